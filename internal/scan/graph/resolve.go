package graph

import (
	"cmp"
	"slices"

	"github.com/profgen/profgen/internal/scan/insn"
	"github.com/profgen/profgen/internal/scan/value"
)

// Constant is a number, or an address, that a value can be, and where it
// comes from.
type Constant struct {
	N    int64
	Node *Node  // N is an address in its object, if it is one
	Site uint64 // the call, jump or system call that hands it on
}

// Unresolved is a place at which a value could not be found out.
type Unresolved struct {
	Node *Node
	Site uint64
	Why  string
}

// Result is what a value can be: Constants, and whatever Unresolved stands
// for. Both are sorted.
type Result struct {
	Constants  []Constant
	Unresolved []Unresolved
}

// Complete reports whether the constants are all that the value can be.
func (r Result) Complete() bool { return len(r.Unresolved) == 0 && len(r.Constants) > 0 }

// query asks for the value of a symbolic atom of a function.
type query struct {
	node *Node
	atom value.Atom
}

// search resolves one value through all callers.
type search struct {
	p    *Program
	seen map[query]bool
	todo []query
	out  Result
}

// maxQueries bounds how many parameters are asked for to resolve one value.
const maxQueries = 20_000

// Resolve finds out what a value in a function can be, by asking all callers
// for what is given to it.
func (p *Program) Resolve(n *Node, site uint64, v value.Value) Result {
	s := &search{p: p, seen: map[query]bool{}}
	s.value(n, site, v)
	for len(s.todo) > 0 {
		q := s.todo[len(s.todo)-1]
		s.todo = s.todo[:len(s.todo)-1]
		s.ask(q)
		if len(s.seen) > maxQueries {
			s.fail(n, site, "comes from too many places")
			break
		}
	}
	return s.out.sorted()
}

// Parameter finds out what the i-th C parameter of a function can be.
func (p *Program) Parameter(n *Node, i int) Result {
	v := value.Entry(n.Func.Code.Machine.Params[i])
	return p.Resolve(n, n.Func.Start, v)
}

func (s *search) value(n *Node, site uint64, v value.Value) {
	atoms, ok := v.Known()
	if !ok {
		s.fail(n, site, "is computed, or read from memory")
		return
	}
	for _, a := range atoms {
		switch a.Kind {
		case value.Const:
			s.out.Constants = append(s.out.Constants, Constant{a.N, n, site})
		case value.Param, value.StackParam, value.Field:
			if q := (query{n, a}); !s.seen[q] {
				s.seen[q] = true
				s.todo = append(s.todo, q)
			}
		case value.Frame:
			s.fail(n, site, "is made on the stack")
		default:
			s.fail(n, site, "is read from memory")
		}
	}
}

func (s *search) fail(n *Node, site uint64, why string) {
	s.out.Unresolved = append(s.out.Unresolved, Unresolved{n, site, why})
}

// ask asks the callers of a function.
func (s *search) ask(q query) {
	taken := q.node.Taken()
	if taken {
		s.fail(q.node, q.node.Func.Start, "is a parameter of a function whose address is taken: calls through pointers may give it anything")
	}
	if q.node.First.Reason == Export {
		s.fail(q.node, q.node.Func.Start, "is a parameter of a function that whoever loads the object may call")
	}
	if len(s.p.callers(q.node)) == 0 && !taken && q.node.First.Reason != Export {
		s.fail(q.node, q.node.Func.Start, "is a parameter of a function that nobody is seen to call")
	}
	m := q.node.Func.Code.Machine
	callers := s.p.Callers(q.node)
	analyse(callers)
	for _, e := range callers {
		if e.Inside {
			continue // what it gives is no parameter
		}
		site, ok := e.From.Func.at(e.Site, func(s value.Site) bool { return known(s.Resolve(m, q.atom)) })
		if !ok {
			s.fail(e.From, e.Site, "is given in a way that is not followed")
			continue
		}
		s.value(e.From, e.Site, site.Resolve(m, q.atom))
	}
}

func (r Result) sorted() Result {
	slices.SortFunc(r.Constants, func(a, b Constant) int {
		return cmp.Or(cmp.Compare(a.N, b.N), compareNodes(a.Node, b.Node), cmp.Compare(a.Site, b.Site))
	})
	r.Constants = slices.Compact(r.Constants)
	slices.SortFunc(r.Unresolved, func(a, b Unresolved) int {
		return cmp.Or(compareNodes(a.Node, b.Node), cmp.Compare(a.Site, b.Site), cmp.Compare(a.Why, b.Why))
	})
	r.Unresolved = slices.Compact(r.Unresolved)
	return r
}

func compareNodes(a, b *Node) int {
	return cmp.Or(cmp.Compare(a.Func.Code.Object.Path, b.Func.Code.Object.Path), cmp.Compare(a.Func.Start, b.Func.Start))
}

// Syscall is a system call that a program can make, with its number known. A
// wrapper gives one for each of its callers, so that its arguments are those
// of the same call.
type Syscall struct {
	Number uint32
	Node   *Node  // in whose terms Args are
	Site   uint64 // in Node: the instruction itself, or the call of the wrapper
	Maker  *Node  // the function with the instruction
	Instr  uint64
	Args   [6]value.Value
}

// frame is a system call instruction seen from one of the functions that lead
// to it.
type frame struct {
	node   *Node
	site   uint64
	number value.Value
	args   [6]value.Value
	depth  int
}

// maxDepth bounds how many wrappers may lie between a number and its
// instruction.
const maxDepth = 8

// Syscalls returns the system calls that live functions can make, and the
// instructions (or wrappers) whose number could not be found out.
func (p *Program) Syscalls() ([]Syscall, []Unresolved) {
	var withSites []*Node
	for _, n := range p.order {
		if len(n.Func.Syscalls()) > 0 {
			withSites = append(withSites, n)
		}
	}
	parallel(len(withSites), func(i int) { withSites[i].Func.Values() })
	var calls []Syscall
	var failed []Unresolved
	for _, n := range withSites {
		for _, instr := range n.Func.Syscalls() {
			w := &wrappers{p: p, maker: n, instr: instr, seen: map[*Node]int{}}
			w.start()
			calls = append(calls, w.calls...)
			failed = append(failed, w.failed...)
		}
	}
	return calls, Result{Unresolved: failed}.sorted().Unresolved
}

// wrappers looks for the number of one system call instruction.
type wrappers struct {
	p      *Program
	maker  *Node
	instr  uint64
	seen   map[*Node]int
	todo   []frame
	calls  []Syscall
	failed []Unresolved
}

func (w *wrappers) start() {
	m := w.maker.Func.Code.Machine
	site, ok := w.maker.Func.at(w.instr, func(s value.Site) bool { return known(s.Reg(m.Number)) })
	if !ok {
		w.fail(w.maker, w.instr, "no instruction of the function")
		return
	}
	f := frame{node: w.maker, site: w.instr, number: site.Reg(m.Number)}
	for i, r := range m.Args {
		f.args[i] = site.Reg(r)
	}
	w.todo = append(w.todo, f)
	for len(w.todo) > 0 {
		f := w.todo[len(w.todo)-1]
		w.todo = w.todo[:len(w.todo)-1]
		w.frame(f)
	}
}

func (w *wrappers) fail(n *Node, site uint64, why string) {
	w.failed = append(w.failed, Unresolved{n, site, why})
}

func (w *wrappers) frame(f frame) {
	atoms, ok := f.number.Known()
	if !ok {
		w.fail(f.node, f.site, "its number is computed, or read from memory")
		return
	}
	asked := false
	for _, a := range atoms {
		switch a.Kind {
		case value.Const:
			w.calls = append(w.calls, Syscall{uint32(a.N), f.node, f.site, w.maker, w.instr, f.args})
		case value.Param, value.StackParam, value.Field:
			if !asked {
				asked = true
				w.callers(f)
			}
		default:
			w.fail(f.node, f.site, "its number is read from memory")
		}
	}
}

// maxCallers bounds how often one function is seen as a wrapper of one
// instruction: functions that call each other in a ring end there.
const maxVisits = 64

// callers sees the instruction from every caller of the frame's function.
func (w *wrappers) callers(f frame) {
	n := f.node
	if w.seen[n]++; f.depth >= maxDepth || w.seen[n] > maxVisits {
		w.fail(n, f.site, "its number comes through too many wrappers")
		return
	}
	taken := n.Taken()
	if taken || n.First.Reason == Export {
		w.fail(n, n.Func.Start, "its number is a parameter, and calls through pointers may give any")
	}
	if len(w.p.callers(n)) == 0 && !taken && n.First.Reason != Export {
		w.fail(n, n.Func.Start, "its number is a parameter, and nobody is seen to call it")
	}
	m := n.Func.Code.Machine
	callers := w.p.Callers(n)
	analyse(callers)
	for _, e := range callers {
		if e.Inside {
			continue
		}
		site, ok := e.From.Func.at(e.Site, func(s value.Site) bool { return known(lift(m, s, f.number, true)) })
		if !ok {
			w.fail(e.From, e.Site, "its number is given in a way that is not followed")
			continue
		}
		up := frame{node: e.From, site: e.Site, number: lift(m, site, f.number, true), depth: f.depth + 1}
		for i, v := range f.args {
			up.args[i] = lift(m, site, v, false)
		}
		w.todo = append(w.todo, up)
	}
}

// known reports whether a value is numbers, and what callers know.
func known(v value.Value) bool {
	atoms, ok := v.Known()
	return ok && !slices.ContainsFunc(atoms, func(a value.Atom) bool { return a.Kind == value.Frame || a.Kind == value.Global })
}

// lift puts a value of a function in terms of the caller at site. Constants of
// the number are left out: they were dealt with.
func lift(m *insn.Machine, site value.Site, v value.Value, number bool) value.Value {
	atoms, ok := v.Known()
	if !ok {
		return value.Unknown()
	}
	var out value.Value
	for _, a := range atoms {
		if number && a.Kind == value.Const {
			continue
		}
		out = value.Join(out, site.Resolve(m, a))
	}
	return out
}
