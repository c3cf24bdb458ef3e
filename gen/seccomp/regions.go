package seccomp

import (
	"maps"
	"math/bits"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/profgen/profgen/internal/abi"
)

// cube is a set of values of one argument: those whose bits under the mask are
// the value. What a condition holds for is a union of cubes, and so is the rest.
type cube struct{ mask, value uint64 }

// Bounds on an exact answer: how many cubes one argument is cut into, and how
// many argument lists are tried.
const (
	maxCubes = 20_000
	maxLists = 100_000
)

// split cuts c along o: what is in both, false if nothing is, and the rest of c
// in cubes without anything in common.
func (c cube) split(o cube) (in cube, some bool, rest []cube) {
	if c.mask&o.mask&(c.value^o.value) != 0 {
		return cube{}, false, []cube{c}
	}
	for only := o.mask &^ c.mask; only != 0; only &= only - 1 {
		bit := only & -only
		rest = append(rest, cube{c.mask | bit, c.value | ^o.value&bit})
		c.mask |= bit
		c.value |= o.value & bit
	}
	return c, true, rest
}

// cubesOf returns the values for which a condition holds, or all others, as cubes
// without anything in common. Only the bits of width are looked at.
func cubesOf(a specs.LinuxSeccompArg, width uint64) []cube {
	v := a.Value & width
	switch a.Op {
	case specs.OpEqualTo, specs.OpNotEqual:
		return []cube{{width, v}}
	case specs.OpMaskedEqual:
		return []cube{{v, a.ValueTwo & v}}
	case specs.OpLessThan, specs.OpGreaterEqual:
		return below(v, width)
	case specs.OpLessEqual, specs.OpGreaterThan:
		return append(below(v, width), cube{width, v})
	}
	return nil
}

// below returns the values less than v: those that have v's bits down to one
// that is set in v, and in them is not.
func below(v, width uint64) []cube {
	var out []cube
	for set := v; set != 0; set &= set - 1 {
		bit := uint64(1) << bits.TrailingZeros64(set)
		higher := width &^ (bit | (bit - 1))
		out = append(out, cube{higher | bit, v & higher})
	}
	return out
}

// representatives returns values of one argument of which each combination of
// conditions that can hold together has one, the lowest; false if they are too
// many. Who compares profiles need not look at others.
func representatives(conds []specs.LinuxSeccompArg, width uint64) ([]uint64, bool) {
	type atom struct {
		cube
		holds string // for which conditions
	}
	all := []atom{{}}
	for _, a := range conds {
		var next []atom
		todo := all
		for _, o := range cubesOf(a, width) {
			var outside []atom
			for _, c := range todo {
				in, some, rest := c.split(o)
				if some {
					next = append(next, atom{in, c.holds + "1"})
				}
				for _, r := range rest {
					outside = append(outside, atom{r, c.holds})
				}
			}
			if todo = outside; len(todo)+len(next) > maxCubes {
				return nil, false
			}
		}
		for _, c := range todo {
			next = append(next, atom{c.cube, c.holds + "0"})
		}
		all = next
	}
	lowest := map[string]uint64{}
	for _, c := range all {
		if v, ok := lowest[c.holds]; !ok || c.value < v {
			lowest[c.holds] = c.value
		}
	}
	return slices.Sorted(maps.Values(lowest)), true
}

// lists returns the argument lists to compare for the rules of a call; exact is
// false if there are more, and these are no more than a sample. Arguments of
// which the kernel sees the low half are listed by that.
func lists(name string, rules []rule1, width uint64) (out [][maxArg + 1]uint64, exact bool) {
	var conds [maxArg + 1][]specs.LinuxSeccompArg
	for _, r := range rules {
		for _, a := range r.conds {
			if a.Index <= maxArg && !slices.Contains(conds[a.Index], a) {
				conds[a.Index] = append(conds[a.Index], a)
			}
		}
	}
	out, exact = [][maxArg + 1]uint64{{}}, true
	for i := range conds {
		seen := width
		if abi.Is32Bit(name, uint(i)) {
			seen = low
		}
		values, ok := representatives(conds[i], seen)
		if !ok {
			values, exact = around(conds[i]), false
		}
		if most := maxLists / max(len(values), 1); len(out) > most {
			out, exact = out[:most], false
		}
		var next [][maxArg + 1]uint64
		for _, list := range out {
			for _, v := range values {
				list[i] = v
				next = append(next, list)
			}
		}
		out = next
	}
	return out, exact
}

// low are the bits of the low half of an argument.
const low = 0xffffffff

// variants are the argument lists that the kernel takes for the same call and a
// filter does not: with something in the high half of what has 32 bits to the
// kernel.
func variants(name string, rules []rule1, width uint64, args [maxArg + 1]uint64) [][maxArg + 1]uint64 {
	out := [][maxArg + 1]uint64{args}
	if width == low {
		return out
	}
	for i := range uint(maxArg + 1) {
		looked := slices.ContainsFunc(rules, func(r rule1) bool {
			return slices.ContainsFunc(r.conds, func(a specs.LinuxSeccompArg) bool { return a.Index == i })
		})
		if !looked || !abi.Is32Bit(name, i) {
			continue
		}
		for _, v := range slices.Clone(out) {
			v[i] |= 1 << 32
			out = append(out, v)
		}
	}
	return out
}

// around are the values of the conditions, and their neighbours.
func around(conds []specs.LinuxSeccompArg) []uint64 {
	out := []uint64{0}
	for _, a := range conds {
		for _, v := range []uint64{a.Value, a.ValueTwo} {
			out = append(out, v-1, v, v+1)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
