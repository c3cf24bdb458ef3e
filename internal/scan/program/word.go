package program

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// variable is what a variable may be, with values made of its own earlier ones apart.
type variable struct{ base, derived values }

func (v *variable) all() []args { return slices.Concat(v.base.list, v.derived.list) }

func (v *variable) equal(o *variable) bool {
	return slices.EqualFunc(v.all(), o.all(), func(a, b args) bool { return slices.Equal(a, b) })
}

// set adds a value to a variable.
func (w *walker) set(name string, value args, derived bool) {
	v := w.vars[name]
	if v == nil {
		v = &variable{}
		w.vars[name] = v
	}
	if derived {
		v.derived.add(value)
		return
	}
	v.base.add(value)
}

// get returns what a variable may be; nil if nothing ever sets it. base leaves
// out the values that are made of its own. While the variable is being made of
// its own, only those count that come before in the script: each walk would make
// longer ones of those of the walk before.
func (w *walker) get(name string, base bool) []args {
	var out values
	if value, ok := w.f.env[name]; ok {
		out.add(args{{text: value}})
	}
	own := name == w.deriving
	for i, v := range []*variable{w.f.inherited[name], w.before[name], w.vars[name]} {
		if v == nil {
			continue
		}
		out.addAll(v.base.list)
		if !base && (!own || i == 2) {
			out.addAll(v.derived.list)
		}
	}
	return out.list
}

// assign takes NAME=value, also NAME+=value and NAME=(list).
func (w *walker) assign(a *syntax.Assign) {
	if a.Name == nil || a.Naked {
		return
	}
	name := a.Name.Value
	derived := mentions(a, name)
	if derived {
		outer := w.deriving
		w.deriving = name
		defer func() { w.deriving = outer }()
	}
	var list []args
	switch {
	case a.Array != nil:
		var words []*syntax.Word
		for _, e := range a.Array.Elems {
			if e.Value != nil {
				words = append(words, e.Value)
			}
		}
		list = w.words(words)
	case a.Value != nil:
		list = w.wordIn(a.Value, true)
	default:
		list = []args{{{}}}
	}
	if a.Append || a.Index != nil {
		derived = true
		join := glue
		if a.Array != nil {
			join = concat
		}
		if old := w.get(name, true); len(old) > 0 {
			// There may be more to come, in any order.
			list = product(product(old, list, join), []args{anything()}, concat)
		}
	}
	for _, v := range list {
		w.set(name, v, derived)
	}
}

// mentions reports whether a value is made of the variable itself.
func mentions(a *syntax.Assign, name string) bool {
	found := false
	syntax.Walk(a, func(n syntax.Node) bool {
		if p, ok := n.(*syntax.ParamExp); ok && p.Param != nil && p.Param.Value == name {
			found = true
		}
		return !found
	})
	return found
}

// assignDefault takes ${NAME:=value}.
func (w *walker) assignDefault(p *syntax.ParamExp) {
	if p.Exp == nil || p.Param == nil || p.Exp.Word == nil {
		return
	}
	if p.Exp.Op == syntax.AssignUnset || p.Exp.Op == syntax.AssignUnsetOrNull {
		for _, v := range w.wordIn(p.Exp.Word, true) {
			w.set(p.Param.Value, v, false)
		}
	}
}

// words returns what a list of words may expand to.
func (w *walker) words(list []*syntax.Word) []args {
	out := []args{nil}
	for _, word := range list {
		out = product(out, w.wordIn(word, false), concat)
	}
	return out
}

// wordIn returns the fields that a word may expand to. Quoted, or where the
// shell does not split, it is one.
func (w *walker) wordIn(word *syntax.Word, quoted bool) []args {
	if word == nil {
		return []args{{{}}}
	}
	return w.parts(word.Parts, quoted)
}

func (w *walker) parts(parts []syntax.WordPart, quoted bool) []args {
	out := []args{nil}
	if quoted {
		out = []args{{{}}}
	}
	for _, p := range parts {
		out = product(out, w.part(p, quoted), glue)
	}
	return out
}

func (w *walker) part(p syntax.WordPart, quoted bool) []args {
	switch p := p.(type) {
	case *syntax.Lit:
		return []args{{w.literal(p.Value, quoted)}}
	case *syntax.SglQuoted:
		return []args{{{text: p.Value, open: p.Dollar && strings.Contains(p.Value, `\`)}}}
	case *syntax.DblQuoted:
		// "$@" without parameters is nothing, other quotes are a field.
		if len(p.Parts) == 1 {
			if e, ok := p.Parts[0].(*syntax.ParamExp); ok && isList(e) {
				return w.param(e, true)
			}
		}
		return w.parts(p.Parts, true)
	case *syntax.ParamExp:
		return w.param(p, quoted)
	case *syntax.CmdSubst:
		return w.substitution(p, quoted)
	}
	return []args{{{open: true, many: !quoted}}}
}

// literal is text as the shell reads it: without backslashes, up to what may
// be a pattern of file names.
func (w *walker) literal(s string, quoted bool) arg {
	if !quoted && (s == "~" || strings.HasPrefix(s, "~/")) {
		s = strings.TrimSuffix(w.f.env["HOME"], "/") + s[1:]
	}
	if !quoted && s != "[" && s != "[[" {
		if i := pattern(s); i >= 0 {
			return arg{text: unescape(s[:i], quoted), open: true, many: true}
		}
	}
	return arg{text: unescape(s, quoted)}
}

// pattern returns where text stops being literal; -1 if it is to its end.
func pattern(s string) int {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '*', '?':
			return i
		case '[':
			if strings.IndexByte(s[i:], ']') > 0 {
				return i
			}
		case '{':
			if end := strings.IndexByte(s[i:], '}'); end > 0 && strings.ContainsAny(s[i:i+end], ",.") {
				return i
			}
		}
	}
	return -1
}

func unescape(s string, quoted bool) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) && (!quoted || strings.IndexByte("$`\"\\\n", s[i+1]) >= 0) {
			i++
			if s[i] == '\n' {
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// isList reports whether an expansion gives one field for each element even in quotes.
func isList(p *syntax.ParamExp) bool {
	if p.Length || p.Excl || p.Param == nil {
		return false
	}
	if p.Index != nil {
		index, ok := p.Index.(*syntax.Word)
		return ok && index.Lit() == "@"
	}
	return p.Param.Value == "@"
}

// param returns what an expansion may be.
func (w *walker) param(p *syntax.ParamExp, quoted bool) []args {
	unknown := []args{{{open: true, many: !quoted || isList(p)}}}
	if p.Param == nil || p.Length || p.Width || p.Excl || p.IsSet || p.Repl != nil || p.Names != 0 || p.Flags != nil || len(p.Modifiers) > 0 {
		return unknown
	}
	list, set := w.variable(p, quoted)
	if p.Slice != nil {
		return w.slice(p, list, unknown)
	}
	if p.Exp != nil {
		return w.expansion(p, list, set, quoted, unknown)
	}
	if !set {
		return unknown
	}
	return split(list, quoted)
}

// split splits fields at blanks unless they are quoted.
func split(list []args, quoted bool) []args {
	if quoted {
		return list
	}
	var out values
	for _, v := range list {
		var fields args
		for _, a := range v {
			words := strings.Fields(a.text)
			for i, s := range words {
				last := i == len(words)-1
				fields = append(fields, arg{s, a.open && last, a.open && last})
			}
			if len(words) == 0 && a.open {
				fields = append(fields, anything()...)
			}
		}
		out.add(fields)
	}
	return out.list
}

// variable returns what a parameter may be, and false if nothing sets it.
func (w *walker) variable(p *syntax.ParamExp, quoted bool) ([]args, bool) {
	name := p.Param.Value
	number, err := strconv.Atoi(name)
	switch {
	case name == "@", name == "*":
		return flatten(w.frame.params.list, name == "*" && quoted), true
	case name == "0", name == "BASH_SOURCE":
		zero := w.zero
		if name != "0" && w.frame.name != "" && w.f.exists(w.frame.name) {
			zero = "/" + w.frame.name
		}
		return []args{{{text: zero}}}, true
	case err == nil:
		return w.positional(number, quoted), true
	case strings.Contains("?$#!-_", name):
		return []args{{{open: true}}}, true
	}
	list := w.get(name, false)
	if len(list) == 0 {
		return nil, false
	}
	if p.Index == nil {
		return first(list), true
	}
	if isList(p) {
		return list, true
	}
	if index, ok := p.Index.(*syntax.Word); ok && index.Lit() == "*" {
		return flatten(list, quoted), true
	}
	return elements(list), true
}

func (f *Finder) exists(name string) bool {
	_, err := f.stat(name)
	return err == nil
}

// flatten joins lists to one field each, if asked to.
func flatten(list []args, join bool) []args {
	if !join {
		return list
	}
	var out values
	for _, v := range list {
		out.add(args{v.join()})
	}
	return out.list
}

// first returns the first element of each value: what $NAME is of an array.
func first(list []args) []args {
	var out values
	for _, v := range list {
		a, _ := v.at(0)
		out.add(args{a})
	}
	return out.list
}

// elements returns every element of every value.
func elements(list []args) []args {
	var out values
	for _, v := range list {
		for _, a := range v {
			out.add(args{{a.text, a.open, false}})
		}
	}
	return out.list
}

func (w *walker) positional(n int, quoted bool) []args {
	var out values
	for _, v := range w.frame.params.list {
		a, ok := v.at(n - 1)
		switch {
		case ok:
			out.add(args{a})
		case quoted:
			out.add(args{{}})
		default:
			out.add(nil)
		}
	}
	return out.list
}

// slice takes ${@:n} and ${NAME[@]:n}.
func (w *walker) slice(p *syntax.ParamExp, list, unknown []args) []args {
	offset, ok := p.Slice.Offset.(*syntax.Word)
	if !ok || !isList(p) || p.Slice.Length != nil {
		return unknown
	}
	n, err := strconv.Atoi(offset.Lit())
	if p.Index == nil {
		n-- // $0 is before the first
	}
	if err != nil || n < 0 {
		return unknown
	}
	var out values
	for _, v := range list {
		out.add(v.from(n))
	}
	return out.list
}

// expansion takes ${NAME:-word} and its like.
func (w *walker) expansion(p *syntax.ParamExp, list []args, set, quoted bool, unknown []args) []args {
	list = split(list, quoted)
	var out values
	switch p.Exp.Op {
	case syntax.DefaultUnset, syntax.DefaultUnsetOrNull, syntax.AssignUnset, syntax.AssignUnsetOrNull:
		for _, v := range list {
			if len(v) > 0 && v[0] != (arg{}) {
				out.add(v)
			}
		}
		out.addAll(w.wordIn(p.Exp.Word, quoted))
		return out.list
	case syntax.AlternateUnset, syntax.AlternateUnsetOrNull:
		out.add(args{{}}[:boolToInt(quoted)])
		out.addAll(w.wordIn(p.Exp.Word, quoted))
		return out.list
	case syntax.ErrorUnset, syntax.ErrorUnsetOrNull:
		if set {
			return list
		}
	case syntax.RemSmallSuffix, syntax.RemLargePrefix:
		if set && p.Exp.Word != nil {
			return removed(list, p.Exp.Op, p.Exp.Word.Lit(), unknown)
		}
	}
	return unknown
}

func boolToInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// removed takes ${NAME%/*} and ${NAME##*/}, the directory and the base name.
func removed(list []args, op syntax.ParExpOperator, what string, unknown []args) []args {
	var out values
	for _, v := range list {
		a := v.join()
		slash := strings.LastIndexByte(a.text, '/')
		switch {
		case a.open:
			return unknown
		case op == syntax.RemSmallSuffix && what == "/*":
			if slash >= 0 {
				a.text = a.text[:slash]
			}
		case op == syntax.RemLargePrefix && what == "*/":
			a.text = a.text[slash+1:]
		default:
			return unknown
		}
		out.add(args{a})
	}
	return out.list
}

// substitution returns what a command substitution may be.
func (w *walker) substitution(p *syntax.CmdSubst, quoted bool) []args {
	if len(p.Stmts) == 1 {
		if list := w.printed(p.Stmts[0]); list != nil {
			return split(list, quoted)
		}
	}
	return below(w.mentionedDirs(p), !quoted)
}

// printed returns what some simple commands print; nil if it is not known.
func (w *walker) printed(n *syntax.Stmt) []args {
	switch cmd := n.Cmd.(type) {
	case *syntax.BinaryCmd: // cd DIR && pwd
		if x, ok := cmd.X.Cmd.(*syntax.CallExpr); ok && cmd.Op == syntax.AndStmt && len(x.Args) > 1 && x.Args[0].Lit() == "cd" {
			if y, ok := cmd.Y.Cmd.(*syntax.CallExpr); ok && len(y.Args) > 0 && y.Args[0].Lit() == "pwd" {
				return w.wordIn(x.Args[len(x.Args)-1], true)
			}
		}
	case *syntax.CallExpr:
		var out values
		for _, v := range w.words(cmd.Args) {
			a, ok := w.prints(v)
			if !ok {
				return nil
			}
			out.add(args{a})
		}
		return out.list
	}
	return nil
}

// prints returns what a command prints; false if it is not known.
func (w *walker) prints(v args) (arg, bool) {
	argv, open := v.constant()
	if open || len(argv) == 0 {
		return arg{}, false
	}
	words := slices.DeleteFunc(slices.Clone(argv[1:]), func(s string) bool { return strings.HasPrefix(s, "-") })
	last := ""
	if len(words) > 0 {
		last = words[len(words)-1]
	}
	switch argv[0] {
	case "pwd":
		return arg{text: w.dirs[0]}, true
	case "echo":
		return arg{text: strings.Join(words, " ")}, len(words) == len(argv)-1
	case "dirname":
		return arg{text: path.Dir(last)}, len(words) == 1
	case "basename":
		return arg{text: path.Base(last)}, len(words) == 1
	case "which", "command", "type":
		file, err := w.f.lookup(last, w.dirs, slices.Concat(w.f.path, w.search()))
		return arg{text: "/" + file}, err == nil
	case "readlink", "realpath":
		file, err := w.f.files.Resolve(w.f.name(w.dirs[0], last))
		return arg{text: "/" + file}, err == nil && len(words) == 1
	}
	return arg{}, false
}
