package program

import (
	"slices"
	"strings"
)

// graph has what leads to what: from the root through scripts to programs.
type graph struct {
	root  *node
	nodes map[string]*node
}

// node is a way to run something.
type node struct {
	key string
	out map[edge]bool
}

// edge is a step; its label says what it is, "" if that goes without saying.
type edge struct {
	label string
	to    *node
}

func newGraph() graph {
	return graph{&node{out: map[edge]bool{}}, map[string]*node{}}
}

func (g *graph) node(key string) *node {
	n := g.nodes[key]
	if n == nil {
		n = &node{key, map[edge]bool{}}
		g.nodes[key] = n
	}
	return n
}

func (n *node) leadsTo(to *node, label string) { n.out[edge{label, to}] = true }

// chain is the labels on the way to a node.
type chain []string

func (c chain) String() string { return strings.Join(c, " → ") }

func (c chain) less(d chain) bool {
	if len(c) != len(d) {
		return len(c) < len(d)
	}
	return slices.Compare(c, d) < 0
}

// reasons returns for each node the chain with the fewest labels, of these the
// first in order, so that it does not matter in which order edges were added.
func (g *graph) reasons() map[*node]chain {
	best := map[*node]chain{g.root: {}}
	for changed := []*node{g.root}; len(changed) > 0; {
		var next []*node
		for _, n := range changed {
			for e := range n.out {
				c := best[n]
				if e.label != "" {
					c = append(slices.Clip(c), e.label)
				}
				if old, seen := best[e.to]; !seen || c.less(old) {
					best[e.to] = c
					next = append(next, e.to)
				}
			}
		}
		changed = next
	}
	return best
}
