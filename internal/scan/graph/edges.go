package graph

// call is a call or jump that enters a function: an Edge, of which a program has
// millions.
type call struct {
	from   int32  // Node.id
	next   int32  // the next one that enters the same function, plus 1; 0 at the end
	site   uint32 // from the start of the function that it is in
	inside bool
}

const callsInChunk = 1 << 14

// calls are all calls of a program, in pieces that never move.
type calls struct {
	chunks [][]call
	n      int32
}

func (c *calls) at(i int32) *call { return &c.chunks[i/callsInChunk][i%callsInChunk] }

// enters notes a call that enters n.
func (p *Program) enters(n *Node, e Edge) {
	c := &p.calls
	if int(c.n) == len(c.chunks)*callsInChunk {
		c.chunks = append(c.chunks, make([]call, callsInChunk))
	}
	*c.at(c.n) = call{from: e.From.id, site: uint32(e.Site - e.From.Func.Start), inside: e.Inside}
	c.n++
	if n.firstCall == 0 {
		n.firstCall = c.n
	} else {
		c.at(n.lastCall - 1).next = c.n
	}
	n.lastCall = c.n
}

// edge is the i-th call of the program.
func (p *Program) edge(i int32) Edge {
	c := p.calls.at(i)
	from := p.order[c.from]
	return Edge{From: from, Site: from.Func.Start + uint64(c.site), Reason: Call, Inside: c.inside}
}

// Callers are the calls and jumps that enter a function directly, in the order in
// which they were found.
func (p *Program) Callers(n *Node) []Edge {
	var out []Edge
	for i := n.firstCall; i != 0; i = p.calls.at(i - 1).next {
		out = append(out, p.edge(i-1))
	}
	return out
}

// Done says that nothing will be opened or followed any more: what only that
// needs is forgotten.
func (p *Program) Done() {
	p.later, p.unseen, p.unused = nil, nil, nil
	for _, c := range p.parts {
		if c != nil {
			c.binds, c.read, c.whole = nil, nil, nil
		}
	}
}
