package verify

import (
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/profgen/profgen/gen/policy"
	"github.com/profgen/profgen/gen/seccomp"
	"github.com/profgen/profgen/internal/abi"
)

// maxCombined bounds how many combinations of corners a rule gets.
const maxCombined = 64

// cases are the arguments that calls are asked about.
type cases struct {
	any    [][6]uint64            // for every call
	byName map[string][][6]uint64 // for those with conditions
}

func (c cases) of(name string) [][6]uint64 {
	if special := c.byName[name]; special != nil {
		return special
	}
	return c.any
}

// casesOf returns the corners of a policy and of the file made of it: the file
// may compare with values that the policy does not have.
func casesOf(p policy.Policy, f *seccomp.File) cases {
	c := cases{any: everyCall(), byName: map[string][][6]uint64{}}
	for _, r := range p.Syscalls {
		c.add(r.Name, cornersOfPolicy(r.Conditions))
	}
	for _, r := range f.Syscalls {
		if vectors := cornersOfFile(r.Args); len(vectors) > 0 {
			for _, name := range r.AllNames() {
				c.add(name, vectors)
			}
		}
	}
	c.multiplex()
	for name, vectors := range c.byName {
		slices.SortFunc(vectors, func(a, b [6]uint64) int { return slices.Compare(a[:], b[:]) })
		c.byName[name] = slices.Compact(vectors)
	}
	return c
}

func (c cases) add(name string, vectors [][6]uint64) {
	if len(vectors) == 0 {
		return
	}
	if c.byName[name] == nil {
		c.byName[name] = slices.Clone(c.any)
	}
	c.byName[name] = append(c.byName[name], vectors...)
}

// multiplex asks socketcall and ipc for every call behind them, with the other
// arguments that its rules look at.
func (c cases) multiplex() {
	for _, mux := range []string{"socketcall", "ipc"} {
		var vectors [][6]uint64
		for nr := range uint64(26) {
			for _, high := range []uint64{0, 1 << 32} {
				vectors = append(vectors, [6]uint64{nr | high}, [6]uint64{nr | high, ^uint64(0), 1, 2, 3, 4})
			}
		}
		for name, of := range c.byName {
			behind, nr := abi.Multiplexed(name)
			if behind != mux {
				continue
			}
			for _, v := range of {
				v[0] = nr
				vectors = append(vectors, v)
			}
		}
		c.add(mux, vectors)
	}
}

// everyCall are arguments that no call's own rule suggests: a rule on an
// argument that should have none answers differently under them.
func everyCall() [][6]uint64 {
	out := [][6]uint64{{}, {1, 2, 3, 4, 5, 6}}
	all := ^uint64(0)
	out = append(out, [6]uint64{all, all, all, all, all, all})
	for i := range 6 {
		for _, v := range []uint64{1, 2, 38, 1 << 31, 1 << 32, 0x7e020000, all} {
			var args [6]uint64
			args[i] = v
			out = append(out, args)
		}
	}
	return out
}

// corner is an argument with values around a condition on it.
type corner struct {
	index  uint
	met    uint64
	values []uint64
}

func cornersOfPolicy(conds []policy.Condition) [][6]uint64 {
	var all []corner
	for _, c := range conds {
		all = append(all, corner{c.Index, c.Value, around(c.Value, c.Mask)})
	}
	return combine(all)
}

func cornersOfFile(args []specs.LinuxSeccompArg) [][6]uint64 {
	var all []corner
	for _, a := range args {
		switch {
		case a.Index > 5:
		case a.Op == specs.OpMaskedEqual:
			all = append(all, corner{a.Index, a.ValueTwo, around(a.ValueTwo, a.Value)})
		default:
			all = append(all, corner{a.Index, a.Value, around(a.Value, ^uint64(0))})
		}
	}
	return combine(all)
}

// around are v itself, its neighbours, each with other high and low halves, and
// v with every bit of the mask flipped in turn.
func around(v, mask uint64) []uint64 {
	var out []uint64
	for _, n := range []uint64{v, v - 1, v + 1, v | ^mask, ^v} {
		out = append(out, n, n&0xffffffff, n|0xffffffff<<32, n^1<<32, n^1<<63)
	}
	for bit := range 64 {
		if mask&(1<<bit) != 0 {
			out = append(out, v^1<<bit)
		}
	}
	return out
}

// combine returns argument lists in which all conditions but one are met, and
// some in which none is.
func combine(all []corner) [][6]uint64 {
	if len(all) == 0 {
		return nil
	}
	var met [6]uint64
	for _, c := range all {
		met[c.index] = c.met
	}
	out := [][6]uint64{met}
	for i, c := range all {
		for k, v := range c.values {
			args := met
			args[c.index] = v
			out = append(out, args)
			if next := all[(i+1)%len(all)]; k < maxCombined && next.index != c.index {
				args[next.index] = next.values[k%len(next.values)]
				out = append(out, args)
			}
		}
	}
	return out
}
