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

// sockets adds the calls of socket or socketpair with the family, the type and
// the protocol that go together, as far as they are known: raw sockets take
// another privilege than others. If a family is not known, the call may be any.
func (a *analysis) sockets(set *evidence.Set, plain evidence.Syscall, calls []graph.Syscall) {
	var facts []evidence.Fact
	var all argument
	for _, c := range calls {
		for _, r := range a.graph.Together(c, 0, 1, 2) {
			family := resolved(r[0], 0)
			all.values = append(all.values, family.values...)
			all.unresolved = append(all.unresolved, family.unresolved...)
			if !family.complete() {
				continue
			}
			for _, args := range combine(family, resolved(r[1], socketFlags), resolved(r[2], 0)) {
				f := plain
				f.Args = args
				facts = append(facts, f)
			}
		}
	}
	slices.Sort(all.values)
	all.values = slices.Compact(all.values)
	if !all.complete() {
		set.Facts = append(set.Facts, plain)
		a.unresolvedArgument(plain.Name, 0, all)
		return
	}
	set.Facts = append(set.Facts, facts...)
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
