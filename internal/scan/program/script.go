package program

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// Limits on the analysis of one script.
const (
	maxRounds  = 6
	maxCalls   = 24      // functions and sourced files within each other
	maxVisits  = 2 << 20 // nodes
	maxSnippet = 80      // bytes of a command in a reason
)

// walker follows a script through all its commands, without regard to
// conditions. Variables are sets of values. A script is walked until these no
// longer change; only the last walk counts.
type walker struct {
	f      *Finder
	lang   *language
	zero   string
	before map[string]*variable // values as the walk before left them
	vars   map[string]*variable
	funcs  map[string][]function // by name: there may be several definitions
	alias  map[string]bool
	dirs   []string // where the process may be

	exported map[string]bool // names of variables
	deriving string          // the variable that is made of its own values just now

	sites     map[string]*site
	gaps      map[Gap]bool
	called    map[string]bool // functions, with and without arguments
	mentioned map[string]bool // names of functions as arguments
	frame     frame
	calls     []string // functions and sourced files that are being walked
	input     input
	loops     int
	depth     int
	visits    int
}

// frame is where commands are read, and with which parameters.
type frame struct {
	name   string // of the file
	text   []byte
	eval   string // the text, if eval gave it
	place  string // of all commands of such a text; "" if each has its own line
	params *values
	via    []string // the commands that source the file
	quiet  bool     // never called: what is not known here is no gap
}

type function struct {
	body *syntax.Stmt
	in   frame // without parameters
}

// site is a command in a script with all that it may be.
type site struct {
	where, label string
	via          []string // the commands that source the file it is in
	argv         values
	input        input
	quiet        bool
	// Of a sourced file: what was found, and what was not.
	sourced bool
	missing []string
}

// analyse runs a script.
func (f *Finder) analyse(r *run) {
	w := &walker{
		f: f, lang: r.lang, zero: r.zero, funcs: map[string][]function{}, alias: map[string]bool{},
		dirs: slices.Concat(r.dirs), before: map[string]*variable{},
	}
	if len(w.dirs) == 0 {
		w.dirs = []string{f.join("/", f.config.WorkingDir)}
	}
	file, err := f.parse(r.lang, r.text, r.name)
	if err != nil {
		f.unparsed(r.name, err)
		return
	}
	settled := false
	for range maxRounds {
		w.begin(frame{name: r.name, text: r.text, params: &values{list: []args{r.params}}})
		for _, name := range r.startup {
			w.sourceFile(name, nil)
		}
		w.walk(file)
		w.uncalled()
		if settled = maps.EqualFunc(w.before, w.vars, (*variable).equal); settled {
			break
		}
		w.before = w.vars
	}
	if !settled {
		w.limit("its variables do not settle")
	}
	w.exports()
	w.commit(r)
}

// limit notes that not all was looked at.
func (w *walker) limit(what string) { w.gaps[Gap{Limit, w.frame.name, what}] = true }

func (w *walker) begin(top frame) {
	w.vars = map[string]*variable{}
	w.exported = map[string]bool{}
	w.sites = map[string]*site{}
	w.gaps = map[Gap]bool{}
	w.called = map[string]bool{}
	w.mentioned = map[string]bool{}
	w.frame = top
	w.visits = 0
}

// unparsed notes a script that cannot be read.
func (f *Finder) unparsed(name string, err error) {
	kind, where := Unparsed, name
	if e, ok := errors.AsType[syntax.ParseError](err); ok {
		where, err = position(name, e.Pos.Line()), errors.New(e.Text)
	} else if e, ok := errors.AsType[syntax.LangError](err); ok {
		where = position(name, e.Pos.Line())
		err = fmt.Errorf("%s is not of this shell", e.Feature)
	} else {
		kind = Limit
	}
	f.gap(kind, where, "the script cannot be read: "+err.Error())
}

// commit execs what the walk has found.
func (w *walker) commit(r *run) {
	for g := range w.gaps {
		w.f.gaps[g] = true
	}
	search := w.search()
	for _, key := range slices.Sorted(maps.Keys(w.sites)) {
		s := w.sites[key]
		from := origin{
			node: w.f.sourced(r.node, s.via), label: s.label, where: s.where, script: r.script, busybox: r.busybox,
			dirs: w.dirs, search: search, input: s.input,
		}
		var o outcome
		for _, argv := range s.argv.list {
			o.add(w.f.exec(from, argv, 0))
		}
		if s.quiet {
			continue
		}
		o.found = o.found || s.sourced
		o.report(w.f, s.where)
		if o.computed {
			w.f.gap(Computed, s.where, strings.TrimPrefix(s.label, s.where+": "))
		}
		for _, name := range s.missing {
			if !s.sourced {
				w.f.gap(Missing, s.where, name+" is not in the image and cannot be sourced")
			}
		}
	}
	for name, v := range w.vars {
		if strings.HasPrefix(name, "LD_") {
			w.f.loaderVariable(name, v, r.name)
		}
	}
}

// sourced is the node of a script that others have sourced in turn.
func (f *Finder) sourced(n *node, via []string) *node {
	for _, label := range via {
		next := f.graph.node(n.key + "\x00source\x00" + label)
		n.leadsTo(next, label)
		n = next
	}
	return n
}

// loaderVariable notes a variable of the dynamic linker.
func (f *Finder) loaderVariable(name string, v *variable, where string) {
	for _, a := range v.all() {
		f.loaderValue(name, a, where)
	}
}

func (f *Finder) loaderValue(name string, a args, where string) {
	value := a.join()
	if value.open {
		f.gap(Computed, where, name+" is set to what is not known: "+value.text)
		return
	}
	f.loader[name+"="+value.text] = true
}

// search returns the directories that the script adds to PATH.
func (w *walker) search() []string {
	out := w.f.inheritedPath()
	if v := w.vars["PATH"]; v != nil {
		out = append(out, folders(v.all())...)
	}
	return out
}

// walk visits a node and what is in it.
func (w *walker) walk(root syntax.Node) {
	outer := w.depth
	syntax.Walk(root, func(n syntax.Node) bool {
		if n == nil {
			w.depth--
			return true
		}
		w.visits++
		if w.visits > maxVisits || w.depth > maxNesting {
			w.limit("the script is larger or deeper than is looked at")
			return false
		}
		if !w.visit(n) {
			return false
		}
		w.depth++
		return true
	})
	w.depth = outer
}

func (w *walker) walkAll(stmts []*syntax.Stmt) {
	for _, s := range stmts {
		w.walk(s)
	}
}

// visit does what a node does, and reports whether to go on with what is in it.
func (w *walker) visit(n syntax.Node) bool {
	switch n := n.(type) {
	case *syntax.Stmt:
		return w.stmt(n)
	case *syntax.FuncDecl:
		w.define(n)
		return false
	case *syntax.BinaryCmd:
		return w.binary(n)
	case *syntax.ForClause:
		w.forLoop(n)
		return false
	case *syntax.WhileClause:
		w.inLoop(func() { w.walkAll(n.Cond); w.walkAll(n.Do) })
		return false
	case *syntax.DeclClause:
		w.declared(n)
		for _, a := range n.Args {
			w.assign(a)
		}
	case *syntax.ParamExp:
		w.assignDefault(n)
	}
	return true
}

// inLoop walks what may run more than once.
func (w *walker) inLoop(body func()) {
	w.loops++
	body()
	w.loops--
}

// stmt takes a command with its redirections.
func (w *walker) stmt(n *syntax.Stmt) bool {
	outer := w.input
	defer func() { w.input = outer }()
	for _, r := range n.Redirs {
		w.walk(r)
		if in, ok := w.redirected(r); ok {
			w.input = in
		}
	}
	if call, ok := n.Cmd.(*syntax.CallExpr); ok {
		for _, a := range call.Assigns {
			w.walk(a)
		}
		for _, word := range call.Args {
			w.walk(word)
		}
		w.call(call)
	} else if n.Cmd != nil {
		w.walk(n.Cmd)
	}
	return false
}

// binary walks a pipeline so that its right side knows the left.
func (w *walker) binary(n *syntax.BinaryCmd) bool {
	if n.Op != syntax.Pipe && n.Op != syntax.PipeAll {
		return true
	}
	w.walk(n.X)
	outer := w.input
	w.input = w.output(n.X)
	w.walk(n.Y)
	w.input = outer
	return false
}

func (w *walker) forLoop(n *syntax.ForClause) {
	if loop, ok := n.Loop.(*syntax.WordIter); ok {
		for _, item := range loop.Items {
			w.walk(item)
		}
		items := w.frame.params.list
		if loop.InPos.IsValid() {
			items = w.words(loop.Items)
		}
		for _, list := range items {
			for _, a := range list {
				w.set(loop.Name.Value, args{{a.text, a.open, false}}, false)
			}
		}
	} else {
		w.walk(n.Loop)
	}
	w.inLoop(func() { w.walkAll(n.Do) })
}

// tooDeep reports whether functions and sourced files are within each other more
// deeply than is followed, and notes it.
func (w *walker) tooDeep() bool {
	if len(w.calls) < maxCalls {
		return false
	}
	w.limit(fmt.Sprintf("more than %d functions and sourced files within each other", maxCalls))
	return true
}

// define notes a function.
func (w *walker) define(n *syntax.FuncDecl) {
	names := n.Names
	if n.Name != nil {
		names = append(slices.Clip(names), n.Name)
	}
	for _, name := range names {
		known := w.funcs[name.Value]
		if !slices.ContainsFunc(known, func(f function) bool { return f.body == n.Body }) {
			w.funcs[name.Value] = append(known, function{n.Body, w.frame})
		}
	}
}

// invoke walks a function with parameters.
func (w *walker) invoke(name string, params args, quiet bool) {
	key := name + "\x00" + params.key()
	if w.called[key] || slices.Contains(w.calls, key) || w.tooDeep() {
		return
	}
	w.called[key], w.called[name] = true, true
	outer := w.frame
	w.calls = append(w.calls, key)
	for _, fn := range w.funcs[name] {
		w.frame = fn.in
		w.frame.params, w.frame.quiet = &values{list: []args{params}}, quiet
		w.walk(fn.body)
	}
	w.calls = w.calls[:len(w.calls)-1]
	w.frame = outer
}

// uncalled walks the functions that no command has called. Their commands are
// candidates; what is not known in them is a gap only if the script mentions
// them otherwise.
func (w *walker) uncalled() {
	for _, name := range slices.Sorted(maps.Keys(w.funcs)) {
		if !w.called[name] {
			w.invoke(name, anything(), !w.mentioned[name])
		}
	}
}

// call takes a simple command.
func (w *walker) call(n *syntax.CallExpr) {
	for _, a := range n.Assigns {
		w.assign(a)
	}
	if len(n.Args) == 0 {
		return
	}
	for _, a := range n.Assigns {
		if a.Name != nil {
			w.exported[a.Name.Value] = true
		}
	}
	s := w.site(n)
	for _, argv := range w.words(n.Args) {
		for _, a := range argv[min(1, len(argv)):] {
			if len(w.funcs[a.text]) > 0 {
				w.mentioned[a.text] = true
			}
		}
		w.command(s, argv, true)
	}
}

// site returns what is known of a command so far.
func (w *walker) site(n syntax.Node) *site {
	where := w.frame.place
	if where == "" {
		where = position(w.frame.name, n.Pos().Line())
	}
	key := fmt.Sprintf("%s\x00%s\x00%08d", w.frame.name, w.frame.place+w.frame.eval, n.Pos().Offset())
	s := w.sites[key]
	if s == nil {
		text := w.frame.text[min(int(n.Pos().Offset()), len(w.frame.text)):min(int(n.End().Offset()), len(w.frame.text))]
		s = &site{where: where, label: where + ": " + snippet(string(text)), via: w.frame.via, quiet: true}
		w.sites[key] = s
	}
	s.quiet = s.quiet && w.frame.quiet
	if w.input.known || w.input.dirs != nil {
		s.input = w.input
	}
	return s
}

// snippet is a command on one line, cut.
func snippet(text string) string {
	text = strings.ToValidUTF8(strings.Join(strings.Fields(text), " "), "?")
	if len(text) > maxSnippet {
		text = strings.ToValidUTF8(text[:maxSnippet], "") + "…"
	}
	return text
}

// command takes a command after expansion: a function, if they count, a
// builtin, or a program.
func (w *walker) command(s *site, argv args, functions bool) {
	if len(argv) == 0 {
		return
	}
	name := argv[0].text
	switch {
	case argv[0].open:
		s.argv.add(argv)
		if argv[0].many && name == "" {
			w.command(s, argv[1:], functions)
		}
	case functions && len(w.funcs[name]) > 0:
		w.invoke(name, argv[1:], w.frame.quiet)
	case w.alias[name]:
	case w.lang.builtin(name):
		w.builtin(s, name, argv[1:])
	default:
		s.argv.add(argv)
	}
}

// eval walks text as part of the script.
func (w *walker) eval(s *site, text arg) {
	if text.open {
		w.computed(s)
		// What is known may begin with a whole command.
		text.text = text.text[:strings.LastIndexAny(text.text, " \t\n;&|")+1]
		if _, err := w.lang.parse([]byte(text.text), s.where); err != nil {
			return
		}
	}
	if strings.TrimSpace(text.text) == "" {
		return
	}
	file, err := w.lang.parse([]byte(text.text), s.where)
	if err != nil {
		w.gaps[Gap{Unparsed, s.where, "the text cannot be read: " + snippet(text.text)}] = true
		return
	}
	key := "eval\x00" + text.text
	if slices.Contains(w.calls, key) || w.tooDeep() {
		return
	}
	w.calls = append(w.calls, key)
	outer := w.frame
	w.frame.text, w.frame.eval, w.frame.place = []byte(text.text), text.text, s.where
	w.walk(file)
	params := w.frame.params
	w.frame = outer
	w.frame.params = params
	w.calls = w.calls[:len(w.calls)-1]
}

// source walks a file as part of the script.
func (w *walker) source(s *site, argv args) {
	if len(argv) == 0 {
		return
	}
	params, via := w.frame.params, w.frame.via
	defer func() { w.frame.via = via }()
	if len(argv) > 1 {
		w.frame.params = &values{list: []args{argv[1:]}}
		defer func() { w.frame.params = params }()
	}
	if !argv[0].open {
		w.frame.via = append(slices.Clip(via), s.label)
		w.sourceFile(argv[0].text, s)
		return
	}
	w.computed(s)
	files, _ := w.f.under(argv[0].text)
	for _, p := range files {
		if w.f.isText(p) {
			w.frame.via = append(slices.Clip(via), s.label)
			w.sourceFile(p, nil)
		}
	}
}

// computed notes that a site runs what is not known.
func (w *walker) computed(s *site) {
	if !s.quiet {
		w.gaps[Gap{Computed, s.where, strings.TrimPrefix(s.label, s.where+": ")}] = true
	}
}

// sourceFile walks a file; s, if not nil, is told whether it is there.
func (w *walker) sourceFile(name string, s *site) {
	file, data, err := w.f.readScript(name, w.dirs, w.search())
	if err != nil {
		if s != nil && !slices.Contains(s.missing, name) {
			s.missing = append(s.missing, name)
		}
		return
	}
	if s != nil {
		s.sourced = true
	}
	key := "source\x00" + file
	if slices.Contains(w.calls, key) || w.tooDeep() {
		return
	}
	parsed, err := w.f.parse(w.lang, data, file)
	if err != nil {
		if s != nil {
			w.f.unparsed(file, err)
		}
		return
	}
	w.calls = append(w.calls, key)
	outer := w.frame
	w.frame.name, w.frame.text, w.frame.eval, w.frame.place = file, data, "", ""
	w.walk(parsed)
	params := w.frame.params
	w.frame = outer
	w.frame.params = params
	w.calls = w.calls[:len(w.calls)-1]
}
