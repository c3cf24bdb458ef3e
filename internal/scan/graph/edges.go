package graph

// call is a call or jump that enters a function: an Edge, of which a program has
// millions.
type call struct {
	from, to int32  // Node.id
	site     uint32 // from the start of the function that it is in; see inside
}

// inside is set in call.site where the call leads behind the function's start. No
// file is so large that a site would need the bit.
const inside = 1 << 31

const callsInChunk = 1 << 14

// calls are all calls of a program, in the order in which they were found and in
// pieces that never move.
type calls struct {
	chunks [][]call
	n      int32

	sorted  []int32 // calls, by what they enter
	entered []int32 // those that enter the i-th node are from entered[i] to entered[i+1] of sorted
}

func (c *calls) at(i int32) *call { return &c.chunks[i/callsInChunk][i%callsInChunk] }

// enters notes a call that enters the function of a Node.id.
func (p *Program) enters(to int32, e Edge) {
	c := &p.calls
	if int(c.n) == len(c.chunks)*callsInChunk {
		c.chunks = append(c.chunks, make([]call, callsInChunk))
	}
	v := call{from: e.From.id, to: to, site: uint32(e.Site - e.From.Func.Start)}
	if e.Inside {
		v.site |= inside
	}
	*c.at(c.n) = v
	c.n++
}

// sort makes callers known of what was found so far, in a program of so many
// functions.
func (c *calls) sort(functions int) {
	if len(c.sorted) == int(c.n) && len(c.entered) == functions+1 {
		return
	}
	c.sorted, c.entered = c.by(functions, func(v *call) int32 { return v.to })
}

// by sorts the calls by a node of each: those of the i-th node are from first[i]
// to first[i+1] of all, in the order in which they were found.
func (c *calls) by(functions int, node func(*call) int32) (all, first []int32) {
	first = make([]int32, functions+2)
	for i := range c.n {
		first[node(c.at(i))+2]++
	}
	for i := 2; i < len(first); i++ {
		first[i] += first[i-1]
	}
	all = make([]int32, c.n)
	for i := range c.n {
		next := &first[node(c.at(i))+1]
		all[*next] = i
		*next++
	}
	return all, first[:functions+1]
}

// edge is the i-th call of the program.
func (p *Program) edge(i int32) Edge {
	c := p.calls.at(i)
	from := p.order[c.from]
	return Edge{From: from, Site: from.Func.Start + uint64(c.site&^inside), Reason: Call, Inside: c.site&inside != 0}
}

// callers are the calls of the program that enter a function directly, as far as
// Run got.
func (p *Program) callers(n *Node) []int32 {
	c := &p.calls
	if int(n.id)+1 >= len(c.entered) {
		return nil
	}
	return c.sorted[c.entered[n.id]:c.entered[n.id+1]]
}

// Callers are the calls and jumps that enter a function directly, in the order in
// which Run found them.
func (p *Program) Callers(n *Node) []Edge {
	found := p.callers(n)
	out := make([]Edge, len(found))
	for i, call := range found {
		out[i] = p.edge(call)
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
