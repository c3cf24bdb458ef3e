package program

import (
	"slices"
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// builtin does what a builtin command does to what is exec'd.
func (w *walker) builtin(s *site, name string, list args) {
	switch name {
	case "exec":
		if rest := getopt(list, "a", "", "").rest; len(rest) > 0 {
			s.argv.add(rest)
		}
	case "command", "builtin", "nocorrect", "noglob":
		if o := getopt(list, "", "", ""); !o.has("v") && !o.has("V") {
			w.command(s, o.rest, false)
		}
	case "time":
		w.command(s, getopt(list, "", "", "").rest, true)
	case "eval":
		w.eval(s, getopt(list, "", "", "").rest.join())
	case ".", "source":
		w.source(s, getopt(list, "", "", "").rest)
	case "trap":
		if text, ok := getopt(list, "", "", "").rest.at(0); ok && len(list) > 1 && text.text != "-" {
			w.eval(s, text)
		}
	case "set":
		w.setParams(list)
	case "shift":
		w.shift(list)
	case "cd", "chdir", "pushd":
		if dir, ok := getopt(list, "", "", "").rest.at(0); ok && !dir.open {
			w.cd(dir.text)
		}
	case "alias":
		for _, a := range list {
			if name, text, ok := strings.Cut(a.text, "="); ok {
				w.alias[name] = true
				w.eval(s, arg{text: text, open: a.open})
			}
		}
	default:
		w.assigning(name, list)
	}
}

// assigning handles the builtins that set variables.
func (w *walker) assigning(name string, list args) {
	switch name {
	case "export", "readonly", "local", "declare", "typeset":
		w.exportBuiltin(name, list)
		for _, a := range list {
			if name, value, ok := strings.Cut(a.text, "="); ok {
				w.set(name, args{{text: value, open: a.open}}, false)
			}
		}
	case "read", "mapfile", "readarray":
		for _, a := range getopt(list, "adinNptuOsC", "", "").rest {
			for _, value := range w.input.values() {
				w.set(a.text, value, false)
			}
		}
	case "getopts":
		w.set("OPTARG", args{{open: true}}, false)
		if a, ok := list.at(1); ok {
			w.set(a.text, args{{open: true}}, false)
		}
	case "printf":
		if v, ok := getopt(list, "v", "", "").first("v"); ok {
			w.set(v.text, args{{open: true}}, false)
		}
	}
}

// setParams is set: the parameters may be the old ones or the new.
func (w *walker) setParams(list args) {
	if exportsAll(list) {
		w.exported[everything] = true
	}
	given := false
	for len(list) > 0 && !given && !list[0].many {
		a := list[0]
		if a.text == "" || a.text[0] != '-' && a.text[0] != '+' {
			break
		}
		list = list[1:]
		given = a.text == "--" || a.text == "-"
		if !given && (strings.HasSuffix(a.text, "o") || strings.HasSuffix(a.text, "A")) {
			list = list.from(1) // the name of an option, or of an array
		}
	}
	if !given && len(list) == 0 {
		return
	}
	next := &values{list: slices.Clone(w.frame.params.list)}
	if !repeats(next.list, list) {
		next.add(list)
	}
	w.frame.params = next
}

// repeats reports whether the arguments put the same in front of parameters
// that already begin with it, as a script does that runs itself once more. It
// would not the second time.
func repeats(have []args, list args) bool {
	return slices.ContainsFunc(have, func(old args) bool {
		n := len(list) - len(old)
		return n > 0 && n <= len(old) && slices.Equal(list[n:], old) && slices.Equal(list[:n], old[:n])
	})
}

// shift takes parameters away, in a loop any number of them.
func (w *walker) shift(list args) {
	n := 1
	if a, ok := list.at(0); ok {
		var err error
		if n, err = strconv.Atoi(a.text); err != nil || a.open {
			n = 1
		}
	}
	next := &values{list: slices.Clone(w.frame.params.list)}
	for _, old := range w.frame.params.list {
		for from := n; from > 0 && from <= len(old); from += n {
			next.add(old.from(from))
			if w.loops == 0 {
				break
			}
		}
	}
	w.frame.params = next
}

// maxDirs bounds the directories a script may be in.
const maxDirs = 16

func (w *walker) cd(dir string) {
	dir = w.f.join(w.dirs[0], dir)
	if !slices.Contains(w.dirs, dir) && len(w.dirs) < maxDirs {
		w.dirs = append(w.dirs, dir)
	}
}

// input is what is known of a command's standard input.
type input struct {
	text  string
	known bool
	dirs  []string // directories whose files may be named in it
}

// values returns what a variable may be that is read from the input.
func (in input) values() []args { return below(in.dirs, false) }

// below is any file of some directories; if there are none, anything.
func below(dirs []string, many bool) []args {
	if len(dirs) == 0 {
		return []args{{{open: true, many: many}}}
	}
	var out []args
	for _, d := range dirs {
		out = append(out, args{{text: strings.TrimSuffix(d, "/") + "/", open: true, many: many}})
	}
	return out
}

// redirected returns what a redirection gives to standard input.
func (w *walker) redirected(r *syntax.Redirect) (input, bool) {
	switch r.Op {
	case syntax.Hdoc, syntax.DashHdoc:
		if r.Hdoc == nil {
			return input{text: "", known: true}, true
		}
		return w.text(r.Hdoc, strings.ContainsAny(w.source0(r.Word), `'"\`)), true
	case syntax.WordHdoc:
		return w.text(r.Word, false), true
	case syntax.RdrIn:
		for _, p := range r.Word.Parts {
			if p, ok := p.(*syntax.ProcSubst); ok {
				return input{dirs: w.mentionedDirs(p)}, true
			}
		}
		for _, v := range w.wordIn(r.Word, true) {
			if name, ok := v.constant(); !ok && len(name) == 1 {
				if _, data, err := w.f.readScript(name[0], w.dirs, nil); err == nil && len(data) <= maxScript {
					return input{text: string(data), known: true}, true
				}
			}
		}
		return input{}, true
	}
	return input{}, false
}

// source0 is how a word is written.
func (w *walker) source0(n *syntax.Word) string {
	from, to := int(n.Pos().Offset()), int(n.End().Offset())
	return string(w.frame.text[min(from, len(w.frame.text)):min(max(from, to), len(w.frame.text))])
}

// text is the text of a word, if all of it is known. In a here-document whose
// delimiter is quoted nothing is expanded.
func (w *walker) text(n *syntax.Word, literal bool) input {
	if literal {
		var b strings.Builder
		for _, p := range n.Parts {
			if l, ok := p.(*syntax.Lit); ok {
				b.WriteString(l.Value)
			}
		}
		return input{text: b.String(), known: true}
	}
	list := w.wordIn(n, true)
	if len(list) != 1 || list[0].join().open {
		return input{dirs: w.mentionedDirs(n)}
	}
	return input{text: list[0].join().text, known: true}
}

// output is what a command writes, as far as it is plain.
func (w *walker) output(n *syntax.Stmt) input {
	in := input{dirs: w.mentionedDirs(n)}
	call, ok := n.Cmd.(*syntax.CallExpr)
	if !ok || len(call.Args) == 0 {
		return in
	}
	list := w.words(call.Args)
	if len(list) != 1 {
		return in
	}
	argv, open := list[0].constant()
	if open || len(argv) == 0 {
		return in
	}
	switch argv[0] {
	case "echo", "printf":
		if len(argv) == 2 && (argv[0] == "echo" || !strings.ContainsAny(argv[1], `%\`)) {
			in.text, in.known = argv[1], true
		}
	case "cat":
		for _, r := range n.Redirs {
			if from, ok := w.redirected(r); ok && from.known {
				return from
			}
		}
	}
	return in
}

// mentionedDirs returns the directories of the image that are named in a node.
func (w *walker) mentionedDirs(n syntax.Node) []string {
	var out []string
	syntax.Walk(n, func(n syntax.Node) bool {
		word, ok := n.(*syntax.Word)
		if !ok {
			return true
		}
		for _, v := range w.wordIn(word, true) {
			text := v.join().text
			if cut := strings.LastIndexByte(text, '/'); v.join().open && cut >= 0 {
				text = text[:cut+1]
			}
			if len(text) > 1 && text[0] == '/' && !slices.Contains(out, text) && w.f.isDir(text) {
				out = append(out, text)
			}
		}
		return false
	})
	return out
}
