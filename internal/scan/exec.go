package scan

import (
	"path"
	"slices"
	"strings"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/scan/graph"
	"github.com/profgen/profgen/internal/scan/link"
)

// starter is a C function that runs a program: exec(3), posix_spawn(3),
// system(3), popen(3).
type starter struct {
	name  string
	param int  // the program's name or path
	shell bool // it is a command for the shell
}

// starters are in an order in which each comes before those that it is made of.
func starters() []starter {
	return []starter{
		{"system", 0, true}, {"popen", 0, true},
		{"posix_spawnp", 1, false}, {"posix_spawn", 1, false},
		{"execlp", 0, false}, {"execvp", 0, false}, {"execvpe", 0, false},
		{"execl", 0, false}, {"execle", 0, false}, {"execv", 0, false}, {"execve", 0, false},
	}
}

// execs is what was found out about the programs that a program runs.
type execs struct {
	libc map[*link.Object]bool // whose starters were asked by name: what they give each other is explained
	told map[execSite]bool
}

// execSite is where a name is given to a starter, and which; "" if it is not
// known. What one starter hands on to the next is told once, of the first.
type execSite struct{ where, name string }

// executes queues the programs that the program can run, by the names that
// reach exec and its like, and notes a gap where a name is not known.
func (a *analysis) executes() {
	e := &execs{map[*link.Object]bool{}, map[execSite]bool{}}
	for _, s := range starters() {
		for _, n := range a.live(s.name) {
			e.libc[n.Func.Code.Object] = true
		}
	}
	for _, s := range starters() {
		for _, n := range a.live(s.name) {
			a.starts(s, a.graph.Parameter(n, s.param), e)
		}
	}
	for _, n := range a.live("wordexp") {
		a.gap(evidence.UnresolvedExec, where(n.Func.Code.Object.Path, n.Func.Start), "wordexp(3) gives a shell the commands that are in its words")
	}
	for _, c := range a.called("execve") {
		if !e.libc[c.Node.Func.Code.Object] {
			a.starts(starter{name: "execve"}, a.graph.Resolve(c.Node, c.Site, c.Args[0]), e)
		}
	}
	for _, c := range a.called("execveat") {
		a.starts(starter{name: "execveat"}, a.graph.Resolve(c.Node, c.Site, c.Args[1]), e)
	}
}

// starts queues what one starter runs.
func (a *analysis) starts(s starter, r graph.Result, e *execs) {
	for _, c := range r.Constants {
		o := c.Node.Func.Code.Object
		at := where(o.Path, c.Site)
		name, ok := text(c)
		switch {
		case e.libc[o] && s.name == "posix_spawn": // the shell of system and popen, which are asked for their commands
		case ok && s.name != "execveat":
			if !e.again(at, name) {
				a.run(s, name, at+": "+s.name)
			}
		case c.N != 0 && !e.again(at, ""):
			a.gap(evidence.UnresolvedExec, at, s.name+" of a program that is given by a descriptor, or by no string")
		}
	}
	for _, u := range r.Unresolved {
		o := u.Node.Func.Code.Object
		at := where(o.Path, u.Site)
		if e.libc[o] && !u.Node.Escapes || a.onlyLinks(o) || e.again(at, "") {
			continue
		}
		a.gap(evidence.UnresolvedExec, at, s.name+" of a program whose name "+u.Why)
	}
	if s.shell && len(r.Constants)+len(r.Unresolved) > 0 {
		a.add(a.finder.Exec("/bin/sh", []string{"sh", "-c", ":"}, a.program.Path+": "+s.name+"(3)"))
	}
}

// onlyLinks reports whether an object is glibc's dynamic linker, at work for a
// program. It execs only where it is itself what is started (ld.so(8)), and then
// its arguments say what.
func (a *analysis) onlyLinks(o *link.Object) bool {
	return o == a.link.Interp && strings.HasPrefix(path.Base(o.Path), "ld-linux")
}

// again reports whether something was told before, and that it was now.
func (e *execs) again(where, name string) bool {
	k := execSite{where, name}
	defer func() { e.told[k] = true }()
	return e.told[k]
}

func (a *analysis) run(s starter, name, why string) {
	argv := []string{name}
	if s.shell {
		argv = []string{"/bin/sh", "-c", name}
	}
	if strings.HasPrefix(path.Clean(name), "/proc/") {
		return // itself
	}
	a.add(a.finder.Exec(argv[0], argv, a.program.Path+": "+why))
}

// called returns the calls of one name.
func (a *analysis) called(name string) []graph.Syscall {
	nr, ok := a.arch().Number(name)
	if !ok {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(a.calls), func(c graph.Syscall) bool { return c.Number != nr })
}
