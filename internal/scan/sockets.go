package scan

import (
	"slices"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/scan/graph"
)

// socketFlags are SOCK_CLOEXEC and SOCK_NONBLOCK, which are no part of the type:
// socket(2).
const socketFlags = 0o2000000 | 0o4000

// maxTogether is how many types and protocols of one call are told apart.
const maxTogether = 16

// sockets is the family that socket or socketpair is called with, and the type
// and the protocol that go with it, as far as they are known: raw sockets take
// another privilege than others.
func (a *analysis) sockets(calls []graph.Syscall) argument {
	var out argument
	for _, c := range calls {
		for _, r := range a.graph.Together(c, 0, 1, 2) {
			family := resolved(r[0], 0)
			if len(family.values) == 0 && len(family.unresolved) == 0 {
				family.unresolved = []graph.Unresolved{{Node: c.Node, Site: c.Site, Why: "is never given"}}
			}
			out.values = append(out.values, family.values...)
			out.unresolved = append(out.unresolved, family.unresolved...)
			out.ways = append(out.ways, combine(family, resolved(r[1], socketFlags), resolved(r[2], 0))...)
		}
	}
	slices.Sort(out.values)
	out.values = slices.Compact(out.values)
	return out
}

// resolved is a result to 32 bits, without some of them.
func resolved(r graph.Result, without uint32) argument {
	out := argument{unresolved: r.Unresolved}
	for _, c := range r.Constants {
		out.values = append(out.values, uint64(uint32(c.N)&^without))
	}
	slices.Sort(out.values)
	out.values = slices.Compact(out.values)
	return out
}

// combine lists the arguments of a call: with each family, and with each type
// and protocol if those are known.
func combine(family argument, more ...argument) [][]evidence.Arg {
	out := [][]evidence.Arg{nil}
	for i, arg := range append([]argument{family}, more...) {
		if i > 0 && (!arg.complete() || len(arg.values) > maxTogether) {
			continue
		}
		var next [][]evidence.Arg
		for _, args := range out {
			for _, v := range arg.values {
				next = append(next, append(slices.Clone(args), evidence.Arg{Index: uint8(i), Value: v}))
			}
		}
		out = next
	}
	return out
}
