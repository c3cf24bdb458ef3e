package aare

import "slices"

// Automaton runs several patterns over the same name at once, for who asks what
// they match together. It may be used by several goroutines.
type Automaton struct {
	patterns []Pattern
	first    []int32    // the number of each pattern's first state
	symbols  []byte     // one byte for each set of bytes that all patterns treat alike
	steps    [][]uint64 // of each state: which symbols it takes, as bits; nil for none
}

// NewAutomaton returns an automaton of patterns, which are called by their
// index.
func NewAutomaton(patterns []Pattern) *Automaton {
	a := &Automaton{patterns: patterns}
	classes := []class{}
	seen := map[class]bool{}
	n := int32(0)
	for _, p := range patterns {
		a.first = append(a.first, n)
		n += int32(len(p.insts))
		for _, in := range p.insts {
			if in.class != nil && !seen[*in.class] {
				seen[*in.class] = true
				classes = append(classes, *in.class)
			}
		}
	}
	a.symbols = symbols(classes)
	a.steps = make([][]uint64, 0, n)
	for _, p := range patterns {
		for _, in := range p.insts {
			a.steps = append(a.steps, a.taken(in.class))
		}
	}
	return a
}

// symbols returns the lowest byte of each set of bytes that no class tells
// apart. No name has a NUL.
func symbols(classes []class) []byte {
	group := [256]int{} // of each byte
	groups := 1
	for _, c := range classes {
		split := map[int]int{} // a group: the one of its bytes that are in c
		for b := range 256 {
			if c.has(byte(b)) {
				if _, ok := split[group[b]]; !ok {
					split[group[b]] = groups
					groups++
				}
				group[b] = split[group[b]]
			}
		}
	}
	var out []byte
	known := map[int]bool{}
	for b := 1; b < 256; b++ {
		if !known[group[b]] {
			known[group[b]] = true
			out = append(out, byte(b))
		}
	}
	return out
}

func (a *Automaton) taken(c *class) []uint64 {
	if c == nil {
		return nil
	}
	out := make([]uint64, (len(a.symbols)+63)/64)
	for i, b := range a.symbols {
		if c.has(b) {
			out[i>>6] |= 1 << (i & 63)
		}
	}
	return out
}

// Symbols returns one byte of each set of bytes that all patterns treat alike.
func (a *Automaton) Symbols() []byte { return a.symbols }

// State is where all patterns are after the same bytes: sorted, and comparable
// by its elements.
type State []int32

// Start is the state before the first byte.
func (a *Automaton) Start() State {
	var out State
	for i := range a.patterns {
		out = a.enter(out, i, 0)
	}
	return normal(out)
}

// enter adds state s of pattern p, and those it goes on at without a byte.
func (a *Automaton) enter(out State, p, s int) State {
	todo := []int{s}
	seen := map[int]bool{}
	for len(todo) > 0 {
		s := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[s] {
			continue
		}
		seen[s] = true
		in := &a.patterns[p].insts[s]
		if in.class != nil || len(in.next) == 0 {
			out = append(out, a.first[p]+int32(s))
			continue
		}
		todo = append(todo, in.next...)
	}
	return out
}

func normal(s State) State {
	slices.Sort(s)
	return slices.Compact(s)
}

// Next is the state after one more byte: that of Symbols by its index.
func (a *Automaton) Next(s State, symbol int) State {
	var out State
	for _, at := range s {
		if steps := a.steps[at]; steps != nil && steps[symbol>>6]>>(symbol&63)&1 != 0 {
			p := a.patternOf(at)
			out = a.enter(out, p, a.patterns[p].insts[at-a.first[p]].next[0])
		}
	}
	return normal(out)
}

// Matches returns the patterns that match what came so far.
func (a *Automaton) Matches(s State) []int {
	var out []int
	for _, at := range s {
		p := a.patternOf(at)
		if in := &a.patterns[p].insts[at-a.first[p]]; in.class == nil && len(in.next) == 0 && !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out
}

func (a *Automaton) patternOf(at int32) int {
	i, found := slices.BinarySearch(a.first, at)
	if !found {
		i--
	}
	return i
}
