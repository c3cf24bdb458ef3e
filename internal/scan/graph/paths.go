package graph

import "slices"

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
	leaving, first := p.calls.by(len(p.order), func(v *call) int32 { return v.from })
	for next := 0; next < len(todo); next++ {
		n, found := todo[next], len(todo)
		for _, i := range leaving[first[n]:first[n+1]] {
			if to := p.calls.at(i).to; out.direct[to] == notDirect {
				out.direct[to] = i
				todo = append(todo, to)
			}
		}
		slices.Sort(todo[found:])
	}
	return out
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
