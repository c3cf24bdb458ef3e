// Package program finds which programs a container of an image may exec.
//
// In go the image's configuration and files, out come ELF programs, each with
// the reason why it may run; gaps, where something may be exec'd that is not
// known; and program text that an interpreter runs and machine code does not
// show. Shell scripts are parsed and their variables followed as sets of
// values, without regard to conditions: what may happen in some run is in the
// result, and more.
//
// It reads the image, never the host. Whatever the image holds, work and
// results are bounded; a bound that was hit is a gap.
//
// Sources: execve(2), execvp(3), binfmt_script of Linux 6.12, POSIX.1-2024
// "Shell Command Language", dash(1), bash(1), BusyBox's shell/ash.c, and the
// manual page of each program in the tables.
package program

import (
	"cmp"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
)

// Files are the files of an image, by names without a leading slash.
type Files interface {
	fs.FS // symlinks are followed inside the image
	// Resolve follows all symlinks and returns the file's one canonical name.
	Resolve(name string) (string, error)
	// Contents returns what is in a file. It may be shared: it is never changed.
	Contents(name string) ([]byte, error)
}

// Config is what the image's configuration says about its process.
type Config struct {
	Entrypoint, Cmd []string
	Shell           []string // of HEALTHCHECK; empty is /bin/sh -c
	Env             []string // NAME=value, in order
	User            string   // user[:group], names or numbers; "" is root
	WorkingDir      string   // "" is /
	Healthcheck     []string // as in the image: CMD and arguments, or CMD-SHELL and a line for Shell
}

// Program is an ELF file that may be exec'd.
type Program struct {
	Path string // canonical, without leading slash
	// Argv is what the arguments of all uses begin with, as far as it is constant.
	Argv []string
	// Why and Script are those of the use with the shortest chain of reasons.
	Why    string
	Script string
	// Applets are the names under which a multi-call program (BusyBox) is run; sorted.
	Applets []string
	Uses    []Use // sorted by arguments; at most maxUses
}

// Use is one way in which a program is exec'd.
type Use struct {
	Argv   []string // as far as constant; what follows is not known if Open
	Open   bool
	Why    string // reasons from the first on: ENTRYPOINT → usr/bin/start.sh:12: exec nginx
	Script string // canonical name of the script that has it; "" if none
}

// Kind is a kind of gap.
type Kind string

const (
	Computed    Kind = "computed"    // a command that is made up at run time
	Missing     Kind = "missing"     // a program that the image does not have
	Interactive Kind = "interactive" // a shell or the like that runs what it is told
	Unparsed    Kind = "unparsed"    // a script that could not be read
	Supervisor  Kind = "supervisor"  // a program that starts others, from files not read here
	Limit       Kind = "limit"       // more than is looked at
)

// Gap is something that may be exec'd and is not known.
type Gap struct {
	Kind  Kind
	Where string // file:line of a script, or the start: ENTRYPOINT, or what was given to [Finder.Exec]
	What  string
}

// Interpreter is program text that a program of the image interprets: what it
// makes that program do is not seen in machine code.
type Interpreter struct {
	Path string // canonical name of the ELF file
	Name string // as which it is run: python3
	Text string // a file of the image, module NAME, an option with text (-e), or "" if it is not known
	Why  string
}

// Result is what may be exec'd; all parts are sorted and without duplicates.
type Result struct {
	Programs     []Program
	Gaps         []Gap
	Interpreters []Interpreter
	// Loader has the variables of ld.so(8) that scripts set, as NAME=value.
	Loader []string
}

// Finder finds programs. It is for one goroutine at a time. What it has found
// after some calls does not depend on their order.
type Finder struct {
	files  Files
	config Config
	env    map[string]string
	path   []string // directories of PATH

	graph        graph
	runs         map[string]bool // ways to run a script, by key
	contexts     map[string]int  // how many of them a script has
	queue        []*run
	ran          []*run                     // that were analysed
	inherited    map[string]*variable       // what scripts export, by name
	stale        bool                       // there is more of it than those that ran knew
	parsed       map[string]parsed          // scripts, by language, name and text
	programs     map[string]map[string]*use // by path, then by arguments
	fresh        map[string]bool            // paths found since the last call of Exec
	gaps         map[Gap]bool
	interpreters map[Interpreter]*node
	loader       map[string]bool
}

// use is a Use before its reasons are known.
type use struct {
	argv   args
	name   string // as which a multi-call program is run
	script string
	node   *node
}

const (
	maxUses     = 64
	maxContexts = 32   // ways to run one script
	maxScripts  = 2048 // runs of scripts in all
)

// New returns a finder that has found nothing yet.
func New(files Files, config Config) *Finder {
	f := &Finder{
		files: files, config: config,
		env:          map[string]string{},
		graph:        newGraph(),
		runs:         map[string]bool{},
		parsed:       map[string]parsed{},
		contexts:     map[string]int{},
		programs:     map[string]map[string]*use{},
		fresh:        map[string]bool{},
		gaps:         map[Gap]bool{},
		interpreters: map[Interpreter]*node{},
		loader:       map[string]bool{},
		inherited:    map[string]*variable{},
	}
	for _, v := range config.Env {
		if name, value, ok := strings.Cut(v, "="); ok {
			f.env[name] = value
		}
	}
	if _, ok := f.env["PATH"]; !ok {
		f.env["PATH"] = defaultPath
	}
	if _, ok := f.env["HOME"]; !ok {
		f.env["HOME"] = f.home()
	}
	f.path = strings.Split(f.env["PATH"], ":")
	return f
}

// Find returns what a container of an image may exec. The error is about the
// image's own command: there is none, or the image does not have it.
func Find(files Files, config Config) (Result, error) {
	f := New(files, config)
	err := f.Start()
	return f.Result(), err
}

// Start takes the image's own command, ENTRYPOINT and CMD.
func (f *Finder) Start() error {
	argv := slices.Concat(f.config.Entrypoint, f.config.Cmd)
	if len(argv) == 0 {
		return fmt.Errorf("the image has neither ENTRYPOINT nor CMD; name the program to scan")
	}
	root := "ENTRYPOINT"
	if len(f.config.Entrypoint) == 0 {
		root = "CMD"
	}
	o := f.exec(origin{node: f.graph.root, label: root, where: root}, constant(argv), 0)
	f.drain()
	if err := o.failure(); err != nil {
		return fmt.Errorf("%s %s: %w", root, argv[0], err)
	}
	f.healthcheck()
	return nil
}

// healthcheck takes what the engine runs in the container to see how it is.
func (f *Finder) healthcheck() {
	test, why := f.config.Healthcheck, "HEALTHCHECK"
	switch {
	case len(test) > 1 && test[0] == "CMD":
		f.Exec(test[1], test[1:], why)
	case len(test) > 1 && test[0] == "CMD-SHELL":
		f.ShellLine(test[1], why)
	}
}

// Exec takes a program that other code is known to exec, as execvp(3) finds
// it: path, or a name without a slash to look up in PATH; argv with argv[0].
// why is the first reason of all that is found. It returns what is new: no
// earlier call has returned these paths.
func (f *Finder) Exec(path string, argv []string, why string) []Program {
	clear(f.fresh)
	known := constant(argv)
	if len(known) == 0 {
		known = constant([]string{path})
	}
	from := origin{node: f.graph.root, label: why, where: why}
	o := f.execFile(from, path, known, 0)
	o.report(f, why)
	f.drain()
	programs := f.list()
	return slices.DeleteFunc(programs, func(p Program) bool { return !f.fresh[p.Path] })
}

// ShellLine takes a line for the image's SHELL, as of HEALTHCHECK; like
// [Finder.Exec] otherwise.
func (f *Finder) ShellLine(line, why string) []Program {
	argv := slices.Clone(f.config.Shell)
	if len(argv) == 0 {
		argv = []string{"/bin/sh", "-c"}
	}
	return f.Exec(argv[0], append(argv, line), why)
}

// Result returns all that was found so far.
func (f *Finder) Result() Result {
	r := Result{
		Programs: f.list(),
		Gaps:     slices.SortedFunc(maps.Keys(f.gaps), compareGaps),
		Loader:   slices.Sorted(maps.Keys(f.loader)),
	}
	why := f.graph.reasons()
	for i, n := range f.interpreters {
		i.Why = why[n].String()
		r.Interpreters = append(r.Interpreters, i)
	}
	slices.SortFunc(r.Interpreters, func(a, b Interpreter) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Text, b.Text))
	})
	return r
}

func compareGaps(a, b Gap) int {
	return cmp.Or(cmp.Compare(a.Where, b.Where), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.What, b.What))
}

// list returns the programs, sorted.
func (f *Finder) list() []Program {
	why := f.graph.reasons()
	var out []Program
	for _, path := range slices.Sorted(maps.Keys(f.programs)) {
		out = append(out, summary(path, f.programs[path], why))
	}
	return out
}

// summary makes one program of all its uses.
func summary(path string, uses map[string]*use, why map[*node]chain) Program {
	p := Program{Path: path}
	var best *chain
	for i, key := range slices.Sorted(maps.Keys(uses)) {
		u := uses[key]
		argv, open := u.argv.constant()
		reasons := why[u.node]
		p.Uses = append(p.Uses, Use{argv, open, reasons.String(), u.script})
		if i == 0 {
			p.Argv = argv
		}
		p.Argv = commonPrefix(p.Argv, argv)
		if best == nil || reasons.less(*best) {
			best = &reasons
			p.Why, p.Script = reasons.String(), u.script
		}
		if u.name != "" {
			p.Applets = append(p.Applets, u.name)
		}
	}
	slices.Sort(p.Applets)
	p.Applets = slices.Compact(p.Applets)
	if len(p.Applets) > 0 {
		p.Why += " (applets: " + strings.Join(p.Applets, " ") + ")"
	}
	p.Uses = p.Uses[:min(len(p.Uses), maxUses)]
	return p
}

func commonPrefix(a, b []string) []string {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return a[:n:n]
}

// gap notes what is not known.
func (f *Finder) gap(kind Kind, where, what string) { f.gaps[Gap{kind, where, what}] = true }

// drain runs scripts until there are no more, and none that does not know what
// others export.
func (f *Finder) drain() {
	for round := 0; ; round++ {
		for len(f.queue) > 0 {
			r := f.queue[0]
			f.queue = f.queue[1:]
			f.analyse(r)
			f.ran = append(f.ran, r)
		}
		if !f.stale {
			return
		}
		f.stale = false
		if round == maxRounds {
			f.gap(Limit, f.ran[0].name, "scripts that export to scripts that export, more often than is followed")
			return
		}
		f.queue, f.ran = f.ran, nil
	}
}
