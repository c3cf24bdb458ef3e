package scan

import (
	"fmt"
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

func starters() []starter {
	return []starter{
		{"execve", 0, false}, {"execv", 0, false}, {"execvp", 0, false}, {"execvpe", 0, false},
		{"execl", 0, false}, {"execlp", 0, false}, {"execle", 0, false},
		{"posix_spawn", 1, false}, {"posix_spawnp", 1, false},
		{"system", 0, true}, {"popen", 0, true},
	}
}

// executes queues the programs that the program can run, by the names that
// reach exec and its like, and notes a gap where a name is not known.
func (a *analysis) executes() {
	asked := map[*link.Object]bool{} // whose functions were asked by name: their own exec calls are explained
	for _, s := range starters() {
		for _, n := range a.live(s.name) {
			asked[n.Func.Code.Object] = true
			a.starts(s, a.graph.Parameter(n, s.param), asked)
		}
	}
	for _, c := range a.called("execve") {
		if !asked[c.Node.Func.Code.Object] {
			a.starts(starter{name: "execve"}, a.graph.Resolve(c.Node, c.Site, c.Args[0]), nil)
		}
	}
}

// starts queues what one starter runs. Constants and failures within libc
// itself are those of another starter, which is asked too.
func (a *analysis) starts(s starter, r graph.Result, libc map[*link.Object]bool) {
	for _, c := range r.Constants {
		if name, ok := text(c); ok {
			why := fmt.Sprintf("%s: %s", where(c.Node.Func.Code.Object.Path, c.Site), s.name)
			a.run(s, name, why)
		}
	}
	for _, u := range r.Unresolved {
		o := u.Node.Func.Code.Object
		if libc[o] && !u.Node.Taken() {
			continue
		}
		a.gap(evidence.UnresolvedExec, where(o.Path, u.Site), s.name+" of a program whose name "+u.Why)
	}
	if s.shell {
		a.run(starter{}, "/bin/sh", s.name+"(3)")
	}
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
