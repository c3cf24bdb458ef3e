package graph

// Paths says how functions are reached from the entry points of a program.
type Paths struct {
	p      *Program
	direct []int32 // by Node.id: see below
}

// What Paths.direct holds if it is no call of the program.
const (
	notDirect  = -1
	entryPoint = -2
)

// Paths finds shortest paths. O(functions + calls).
func (p *Program) Paths() *Paths {
	out := &Paths{p: p, direct: make([]int32, len(p.order))}
	var todo []int32
	for i, n := range p.order {
		out.direct[i] = notDirect
		if n.First.Reason == Entry && n.First.From == nil {
			out.direct[i] = entryPoint
			todo = append(todo, int32(i))
		}
	}
	first, leaving := p.leaving()
	for len(todo) > 0 {
		n := todo[0]
		todo = todo[1:]
		for _, l := range leaving[first[n]:first[n+1]] {
			if out.direct[l.to] == notDirect {
				out.direct[l.to] = l.call
				todo = append(todo, l.to)
			}
		}
	}
	return out
}

// leave is a call, seen from where it is.
type leave struct{ call, to int32 }

// leaving sorts the calls of the program by the function that they are in: those
// of the n-th are from first[n] to first[n+1].
func (p *Program) leaving() (first []int32, all []leave) {
	first = make([]int32, len(p.order)+2)
	for i := range p.calls.n {
		first[p.calls.at(i).from+2]++
	}
	for i := 2; i < len(first); i++ {
		first[i] += first[i-1]
	}
	all = make([]leave, p.calls.n)
	for to, n := range p.order {
		for i := n.firstCall; i != 0; i = p.calls.at(i - 1).next {
			at := &first[p.calls.at(i-1).from+1]
			all[*at] = leave{i - 1, int32(to)}
			*at++
		}
	}
	return first, all
}

// Direct reports whether a function is reached from an entry point by calls
// and jumps alone.
func (s *Paths) Direct(n *Node) bool { return s.direct[n.id] != notDirect }

// To returns the edges of a shortest path to a function, from its entry point
// on: by calls alone where there is such a path. The first edge has no From.
// What the last edge leads to is n.
func (s *Paths) To(n *Node) []Edge {
	var back []Edge
	direct := s.Direct(n)
	for n != nil {
		e := n.First
		if i := s.direct[n.id]; direct && i >= 0 {
			e = s.p.edge(i)
		}
		back = append(back, e)
		n = e.From
	}
	for i, j := 0, len(back)-1; i < j; i, j = i+1, j-1 {
		back[i], back[j] = back[j], back[i]
	}
	return back
}
