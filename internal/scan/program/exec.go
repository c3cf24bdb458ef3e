package program

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/profgen/profgen/internal/elfx"
)

// origin is where something is exec'd.
type origin struct {
	node     *node
	label    string   // the step that leads on from node
	where    string   // the place, for gaps
	script   string   // canonical name of the script that has it
	dirs     []string // where the process may be; the image's own first
	search   []string // directories of PATH, besides those of the image
	busybox  string   // canonical name of the BusyBox whose shell has it
	shebang  bool     // the kernel put the interpreter before a script: label says so
	input    input    // standard input
	rewrites int      // scripts that the kernel has replaced by their interpreters
}

// outcome is what became of an exec.
type outcome struct {
	found    bool
	missing  []string // names that are not there
	err      error    // why, of the first
	computed bool     // something is made up at run time
}

func (o *outcome) add(p outcome) {
	o.found = o.found || p.found
	o.computed = o.computed || p.computed
	o.missing = append(o.missing, p.missing...)
	if o.err == nil {
		o.err = p.err
	}
}

// failure is the error of an exec that found nothing.
func (o outcome) failure() error {
	if o.found || o.computed {
		return nil
	}
	return o.err
}

// report notes what was not found, if nothing was.
func (o outcome) report(f *Finder, where string) {
	if o.failure() == nil {
		return
	}
	for _, name := range slices.Compact(slices.Sorted(slices.Values(o.missing))) {
		f.gap(Missing, where, name+" is not in the image or cannot be run")
	}
}

// maxExecDepth bounds commands that run commands, in one list of arguments.
const maxExecDepth = 24

// exec takes arguments, the first of which names the program.
func (f *Finder) exec(from origin, argv args, depth int) outcome {
	switch {
	case len(argv) == 0:
		return outcome{}
	case depth > maxExecDepth:
		f.gap(Limit, from.where, fmt.Sprintf("more than %d commands run by commands", maxExecDepth))
		return outcome{found: true}
	case !argv[0].open:
		return f.execFile(from, argv[0].text, argv, depth)
	}
	o := outcome{computed: true}
	files, complete := f.under(argv[0].text)
	if !complete {
		f.gap(Limit, from.where, fmt.Sprintf("more than %d files below %s", maxUnder, argv[0].text))
	}
	for _, file := range files {
		if _, err := f.executable(f.name("", file)); err == nil {
			below := from
			below.label += " (any file " + argv[0].text + "*)"
			f.exec(below, slices.Concat(args{{text: file}}, argv[1:]), depth+1)
		}
	}
	if argv[0].many {
		f.exec(from, argv[1:], depth+1)
	}
	return o
}

// execFile takes the program name, with its arguments.
func (f *Finder) execFile(from origin, name string, argv args, depth int) outcome {
	dirs := from.dirs
	if len(dirs) == 0 {
		dirs = []string{path.Join("/", f.config.WorkingDir)}
	}
	file, err := f.lookup(name, dirs, slices.Concat(f.path, from.search, f.inheritedPath()))
	if err != nil && from.busybox != "" && f.hasApplet(from.busybox, name) {
		file, err = from.busybox, nil
	}
	if err != nil {
		return outcome{missing: []string{name}, err: f.explain(name, err)}
	}
	data, err := f.files.Contents(file)
	if err != nil {
		return outcome{missing: []string{name}, err: fmt.Errorf("read: %w", err)}
	}
	if _, ok := elfx.Identify(data[:min(len(data), 64)]); ok {
		f.run(from, file, argv, depth)
		return outcome{found: true}
	}
	if s, ok := parseShebang(data[:min(len(data), binprmBufSize)]); ok {
		return f.execScript(from, file, name, s, argv, depth)
	}
	if from.script == "" || bytes.IndexByte(data[:min(len(data), binprmBufSize)], 0) >= 0 {
		return outcome{missing: []string{name}, err: errors.New("it is neither an ELF file nor a script with #!; the kernel does not run it (ENOEXEC)")}
	}
	// execvp(3) and shells give a file without #! to a shell, which may be such a file itself.
	if from.rewrites == maxRewrites {
		return outcome{missing: []string{name}, err: errors.New("it is a script without #!, and so is the /bin/sh that would run it")}
	}
	from.rewrites++
	from.label, from.shebang = from.label+" (no #!: /bin/sh)", false
	return f.execFile(from, "/bin/sh", slices.Concat(args{{text: "sh"}, {text: f.asSeen(name, file)}}, argv[1:]), depth+1)
}

// explain says why a program was not found, and what to do.
func (f *Finder) explain(name string, err error) error {
	switch {
	case !errors.Is(err, fs.ErrNotExist):
		return err
	case strings.Contains(name, "/"):
		return errors.New("the image has no such file; is it mounted at run time? Scan the image that has it")
	}
	return fmt.Errorf("no such program in PATH %s of the image; name it with its full path", f.env["PATH"])
}

// asSeen is the path that a script gets as its own name.
func (f *Finder) asSeen(name, file string) string {
	if path.IsAbs(name) {
		return name
	}
	return "/" + file
}

// execScript does what the kernel does with #!.
func (f *Finder) execScript(from origin, file, name string, s shebang, argv args, depth int) outcome {
	if from.rewrites == maxRewrites {
		return outcome{missing: []string{name}, err: fmt.Errorf("scripts that interpret scripts, more than %d (ELOOP)", maxRewrites)}
	}
	f.supervise(from, path.Base(name), argv)
	mid := f.graph.node("#!" + file + "\x00" + argv.key())
	from.node.leadsTo(mid, from.label)
	list := args{{text: s.interp}}
	if s.arg != "" {
		list = append(list, arg{text: s.arg})
	}
	list = append(list, arg{text: f.asSeen(name, file)})
	next := from
	next.node, next.shebang, next.rewrites = mid, true, from.rewrites+1
	next.label, next.where, next.script = file+": #!"+strings.TrimSpace(s.interp+" "+s.arg), file+":1", file
	o := f.execFile(next, s.interp, slices.Concat(list, argv[1:]), depth+1)
	if err := o.failure(); err != nil {
		o.err = fmt.Errorf("its interpreter %s: %w", s.interp, err)
		o.missing = []string{name + " (interpreter " + s.interp + ")"}
	}
	return o
}

// run notes a program and looks at what its arguments make it run.
func (f *Finder) run(from origin, file string, argv args, depth int) {
	called, rest := path.Base(argv[0].text), argv
	name := ""
	if slices.Contains(multiCall, stem(path.Base(file))) {
		if stem(called) == stem(path.Base(file)) && len(argv) > 1 && !argv[1].open {
			called, rest = path.Base(argv[1].text), argv[1:]
		}
		name = called
	}
	f.addProgram(from, file, argv, name)
	names := []string{called}
	if name == "" {
		names = append(names, path.Base(file))
	}
	for _, n := range names {
		if f.dispatch(from, file, n, rest, depth) {
			return
		}
	}
}

// dispatch gives the arguments to whoever knows the program; false if nobody does.
func (f *Finder) dispatch(from origin, file, name string, argv args, depth int) bool {
	if lang, ok := shellNamed(name); ok {
		f.shell(from, file, lang, argv)
		return true
	}
	if w, ok := wrapperNamed(name); ok {
		f.wrapped(from, w, argv, depth)
		return true
	}
	if i, ok := interpreterNamed(name); ok {
		f.interpret(from, file, name, i, argv)
		return true
	}
	return f.supervise(from, name, argv)
}

// multiCall are programs that are what their first argument says.
var multiCall = []string{"busybox", "toybox"}

// stem is a name without the version at its end: python3.11 is python.
func stem(name string) string {
	if s := strings.TrimRight(name, "0123456789.-"); s != "" {
		return s
	}
	return name
}

// hasApplet reports whether a BusyBox has an applet: it has a list of their
// names, each ended by a zero byte.
func (f *Finder) hasApplet(busybox, name string) bool {
	data, err := f.files.Contents(busybox)
	return err == nil && name != "" && bytes.Contains(data, []byte("\x00"+name+"\x00"))
}

func (f *Finder) addProgram(from origin, file string, argv args, name string) {
	uses := f.programs[file]
	if uses == nil {
		uses = map[string]*use{}
		f.programs[file] = uses
		f.fresh[file] = true
	}
	key := argv.key()
	u := uses[key]
	if u == nil {
		u = &use{argv, name, from.script, f.graph.node("program\x00" + file + "\x00" + key)}
		uses[key] = u
	}
	u.script = min(u.script, from.script)
	from.node.leadsTo(u.node, from.label)
}
