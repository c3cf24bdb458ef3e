package program

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// language is a shell's: how its scripts are parsed and what is built in.
type language struct {
	names    string
	variants []syntax.LangVariant // tried in turn
	builtins string
}

const posixBuiltins = `. : [ alias bg break cd command continue echo eval exec exit export false fc fg getopts
	hash jobs kill pwd read readonly return set shift test times trap true type ulimit umask unalias unset wait`

// languages are from dash(1), bash(1), ash.c of BusyBox, mksh(1), ksh(1) and zshbuiltins(1).
var languages = []language{
	{"sh dash", []syntax.LangVariant{syntax.LangPOSIX, syntax.LangBash}, posixBuiltins + " chdir local printf"},
	{"bash rbash", []syntax.LangVariant{syntax.LangBash}, posixBuiltins + ` bind builtin caller compgen complete compopt declare dirs
		disown enable help history let local logout mapfile popd printf pushd readarray shopt source suspend time typeset`},
	{"ash", []syntax.LangVariant{syntax.LangPOSIX, syntax.LangBash}, posixBuiltins + " [[ chdir help history let local printf source"},
	{"ksh mksh oksh pdksh lksh rksh", []syntax.LangVariant{syntax.LangMirBSDKorn, syntax.LangBash}, posixBuiltins + ` builtin chdir global
		let local print realpath rename source suspend time typeset whence bind mknod printf`},
	{"zsh", []syntax.LangVariant{syntax.LangZsh, syntax.LangBash}, posixBuiltins + ` [[ autoload bindkey builtin chdir compdef declare
		disable emulate enable float functions integer let local logout noglob popd print printf pushd rehash setopt source
		suspend typeset unfunction unhash unsetopt vared whence where which zle zmodload zparseopts zstyle`},
}

func shellNamed(name string) (*language, bool) {
	for i := range languages {
		names := strings.Fields(languages[i].names)
		if slices.Contains(names, name) || slices.Contains(names, stem(name)) {
			return &languages[i], true
		}
	}
	return nil, false
}

func (l *language) builtin(name string) bool {
	return slices.Contains(strings.Fields(l.builtins), name)
}

// Limits on scripts.
const (
	maxScript  = 1 << 20 // bytes
	maxNesting = 4000    // calls of the parser, and nodes in nodes
)

var errNested = errors.New("nested too deeply")

// shallow is a script for a parser that calls itself without limit, and reads
// as it goes: deep down there is no more to read.
type shallow struct{ text io.Reader }

// chunk is how many bytes the parser gets at a time, so how much deeper it can
// go between two looks.
const chunk = 256

func (s shallow) Read(p []byte) (int, error) {
	var pc [1]uintptr
	if runtime.Callers(maxNesting, pc[:]) > 0 {
		return 0, errNested
	}
	return s.text.Read(p[:min(len(p), chunk)])
}

// parse parses a script. The error has the line.
func (l *language) parse(text []byte, name string) (*syntax.File, error) {
	if len(text) > maxScript {
		return nil, fmt.Errorf("%s: %d bytes, more than the %d that are read", name, len(text), maxScript)
	}
	var first error
	for _, v := range l.variants {
		file, err := syntax.NewParser(syntax.Variant(v)).Parse(shallow{bytes.NewReader(text)}, name)
		if err == nil {
			return file, nil
		}
		if first == nil {
			first = err
		}
	}
	return nil, first
}

// run is a way in which a script is run.
type run struct {
	origin  // of what it execs: label and where are set for each command
	lang    *language
	name    string // canonical name, or that of the place where its text is
	zero    string // $0
	text    []byte
	params  args
	startup []string // files that the shell sources first
}

// shell takes a shell with its arguments.
func (f *Finder) shell(from origin, file string, lang *language, argv args) {
	if strings.Contains(file, "busybox") {
		from.busybox = file
	}
	o, rest := shellOptions(argv[1:])
	r := &run{origin: from, lang: lang, zero: argv[0].text, startup: f.startup(lang, o, argv[0].text)}
	switch {
	case o.has("c"):
		line, ok := rest.at(0)
		if !ok {
			return
		}
		if line.open {
			f.gap(Computed, from.where, from.label+": the text after -c is not known")
			f.shellPrefix(r, line)
			return
		}
		if zero, ok := rest.at(1); ok && !zero.open {
			r.zero = zero.text
		}
		r.name, r.text, r.params = from.where+" -c", []byte(line.text), rest.from(2)
		f.enqueue(r, from.label)
	case o.has("s") || len(rest) == 0:
		f.stdinScript(r, from, rest)
	default:
		f.scriptFile(r, from, rest)
	}
}

// shellPrefix takes what is known of a line's beginning, if that is a whole command.
func (f *Finder) shellPrefix(r *run, line arg) {
	known := line.text[:strings.LastIndexAny(line.text, ";&|\n \t")+1]
	if strings.TrimSpace(known) == "" {
		return
	}
	if _, err := r.lang.parse([]byte(known), ""); err != nil {
		return
	}
	r.name, r.text, r.params = r.where+" -c", []byte(known), anything()
	f.enqueue(r, r.label)
}

// stdinScript takes a shell that reads commands from its standard input.
func (f *Finder) stdinScript(r *run, from origin, params args) {
	if !from.input.known {
		f.gap(Interactive, from.where, "a shell that reads commands may exec anything: "+from.label)
		return
	}
	r.name, r.text, r.params = from.where+" stdin", []byte(from.input.text), params
	f.enqueue(r, from.label)
}

// scriptFile takes a shell with the name of a script.
func (f *Finder) scriptFile(r *run, from origin, rest args) {
	if rest[0].open {
		f.gap(Computed, from.where, from.label+": the name of the script is not known")
		files, _ := f.under(rest[0].text)
		for _, p := range files {
			if f.isText(p) {
				f.scriptFile(r.copy(), from, slices.Concat(args{{text: p}}, rest.from(1)))
			}
		}
		return
	}
	file, data, err := f.readScript(rest[0].text, from.dirs, from.search)
	if err != nil {
		f.gap(Missing, from.where, "script "+rest[0].text+" is not in the image")
		return
	}
	r.name, r.script, r.zero, r.text, r.params = file, file, rest[0].text, data, rest[1:]
	label := from.label
	if from.shebang {
		label = ""
	}
	f.enqueue(r, label)
}

func (r *run) copy() *run {
	c := *r
	return &c
}

// readScript finds a script as shells do: where the process is, then in PATH.
// It needs no execute permission.
func (f *Finder) readScript(name string, dirs, search []string) (string, []byte, error) {
	places := slices.Concat(dirs, []string{f.config.WorkingDir})
	if !strings.Contains(name, "/") {
		places = slices.Concat(places, f.path, search)
	}
	err := error(nil)
	for _, dir := range places {
		full := f.name("", f.join(dir, name))
		info, problem := f.stat(full)
		if problem == nil && info.IsDir() {
			problem = errors.New("is a directory")
		}
		if problem != nil {
			err = problem
			continue
		}
		file, problem := f.files.Resolve(full)
		if problem != nil {
			err = problem
			continue
		}
		data, problem := f.files.Contents(file)
		return file, data, problem
	}
	return "", nil, err
}

// isText reports whether a file looks like a script.
func (f *Finder) isText(p string) bool {
	data, err := f.files.Contents(f.name("", p))
	return err == nil && len(data) <= maxScript && bytes.IndexByte(data[:min(len(data), 4096)], 0) < 0
}

// enqueue has a script run later, once for the same arguments.
func (f *Finder) enqueue(r *run, label string) {
	key := strings.Join([]string{"run", r.name, r.lang.names, r.zero, string(r.text), r.params.key()}, "\x00")
	n := f.graph.node(key)
	r.origin.node.leadsTo(n, label)
	r.origin.node = n
	if f.runs[key] {
		return
	}
	if f.contexts[r.name] == maxContexts || len(f.runs) == maxScripts {
		f.gap(Limit, r.name, "run in more ways than are looked at")
		return
	}
	f.runs[key] = true
	f.contexts[r.name]++
	f.queue = append(f.queue, r)
}

// shellOptions reads a shell's own options: they may begin with +, and -o has a
// value that does not follow in the same argument.
func shellOptions(list args) (options, args) {
	o := options{values: map[string][]arg{}}
	for len(list) > 0 {
		a := list[0]
		if a.many || len(a.text) < 2 || a.text[0] != '-' && a.text[0] != '+' {
			break
		}
		list = list[1:]
		if a.text == "--" {
			break
		}
		if name, ok := strings.CutPrefix(a.text, "--"); ok {
			o.values[name] = append(o.values[name], arg{})
			if name == "rcfile" || name == "init-file" {
				list = list.from(1)
			}
			continue
		}
		for _, letter := range a.text[1:] {
			o.values[string(letter)] = append(o.values[string(letter)], arg{})
			if letter == 'o' || letter == 'O' {
				list = list.from(1)
			}
		}
	}
	if len(list) > 0 && list[0].text == "-" && !list[0].open {
		list = list[1:]
	}
	return o, list
}

// startup returns the files that a shell sources before anything else.
func (f *Finder) startup(lang *language, o options, zero string) []string {
	var out []string
	if o.has("l") || o.has("login") || strings.HasPrefix(zero, "-") {
		out = append(out, "/etc/profile")
		for _, name := range []string{".bash_profile", ".bash_login", ".profile"} {
			out = append(out, f.join(f.env["HOME"], name))
		}
	}
	if file := f.env["BASH_ENV"]; file != "" && strings.HasPrefix(lang.names, "bash") {
		out = append(out, file)
	}
	if file := f.env["ENV"]; file != "" && o.has("i") {
		out = append(out, file)
	}
	return out
}

// parse parses a script once for each language.
func (f *Finder) parse(l *language, text []byte, name string) (*syntax.File, error) {
	key := l.names + "\x00" + name + "\x00" + string(text)
	p, ok := f.parsed[key]
	if !ok {
		p.file, p.err = l.parse(text, name)
		f.parsed[key] = p
	}
	return p.file, p.err
}

// parsed is a script, or why it is none.
type parsed struct {
	file *syntax.File
	err  error
}
