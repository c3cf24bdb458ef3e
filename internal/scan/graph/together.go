package graph

import "github.com/profgen/profgen/internal/scan/value"

// Together finds out which values some arguments of a system call can have at
// the same time: one list of results, an argument each, for every place that
// decides on them. What is given by different callers is kept apart as long as
// all callers are known.
func (p *Program) Together(c Syscall, indexes ...int) [][]Result {
	t := together{p: p, visits: map[*Node]int{}}
	first := combination{node: c.Node, site: c.Site}
	for _, i := range indexes {
		first.vals = append(first.vals, c.Args[i])
	}
	t.todo = append(t.todo, first)
	for len(t.todo) > 0 {
		c := t.todo[len(t.todo)-1]
		t.todo = t.todo[:len(t.todo)-1]
		if !t.up(c) {
			t.settle(c)
		}
	}
	return t.out
}

// combination is some arguments of a system call as one function sees them.
type combination struct {
	node  *Node
	site  uint64
	vals  []value.Value
	depth int
}

type together struct {
	p      *Program
	visits map[*Node]int
	todo   []combination
	out    [][]Result
}

// up asks the callers for what a function is given; false if there is nothing
// to ask, or not all callers can be.
func (t *together) up(c combination) bool {
	n := c.node
	if !symbolic(c.vals) || n.Taken() || n.First.Reason == Export || c.depth == maxDepth {
		return false
	}
	if t.visits[n]++; t.visits[n] > maxVisits {
		return false
	}
	m := n.Func.Code.Machine
	var ups []combination
	for _, e := range t.p.Callers(n) {
		if e.Inside {
			continue
		}
		up := combination{node: e.From, site: e.Site, depth: c.depth + 1}
		site, ok := e.From.Func.Values().At(e.Site)
		if !ok {
			return false
		}
		for _, v := range c.vals {
			up.vals = append(up.vals, lift(m, site, v, false))
		}
		ups = append(ups, up)
	}
	t.todo = append(t.todo, ups...)
	return len(ups) > 0
}

// symbolic reports whether any of the values depends on who calls.
func symbolic(vals []value.Value) bool {
	for _, v := range vals {
		atoms, _ := v.Known()
		for _, a := range atoms {
			switch a.Kind {
			case value.Param, value.StackParam, value.Field:
				return true
			}
		}
	}
	return false
}

// settle resolves the arguments one by one.
func (t *together) settle(c combination) {
	var out []Result
	for _, v := range c.vals {
		out = append(out, t.p.Resolve(c.node, c.site, v))
	}
	t.out = append(t.out, out)
}
