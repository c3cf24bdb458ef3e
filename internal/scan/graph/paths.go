package graph

// Paths says how functions are reached from the entry points of a program.
type Paths struct {
	direct map[*Node]Edge
}

// Paths finds shortest paths. O(functions + calls).
func (p *Program) Paths() *Paths {
	next := map[*Node][]Edge{} // Edge.From is where the call goes to
	for _, n := range p.order {
		for _, e := range n.Callers {
			next[e.From] = append(next[e.From], Edge{From: n, Site: e.Site})
		}
	}
	out := &Paths{direct: map[*Node]Edge{}}
	var todo []*Node
	for _, n := range p.order {
		if n.First.Reason == Entry && n.First.From == nil {
			out.direct[n] = n.First
			todo = append(todo, n)
		}
	}
	for len(todo) > 0 {
		n := todo[0]
		todo = todo[1:]
		for _, e := range next[n] {
			if _, ok := out.direct[e.From]; !ok {
				out.direct[e.From] = Edge{From: n, Site: e.Site, Reason: Call}
				todo = append(todo, e.From)
			}
		}
	}
	return out
}

// Direct reports whether a function is reached from an entry point by calls
// and jumps alone.
func (s *Paths) Direct(n *Node) bool {
	_, ok := s.direct[n]
	return ok
}

// To returns the edges of a shortest path to a function, from its entry point
// on: by calls alone where there is such a path. The first edge has no From.
// What the last edge leads to is n.
func (s *Paths) To(n *Node) []Edge {
	var back []Edge
	direct := s.Direct(n)
	for n != nil {
		e := n.First
		if direct {
			e = s.direct[n]
		}
		back = append(back, e)
		n = e.From
	}
	for i, j := 0, len(back)-1; i < j; i, j = i+1, j-1 {
		back[i], back[j] = back[j], back[i]
	}
	return back
}
