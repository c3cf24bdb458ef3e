// Package value finds out which values registers and stack slots can hold in a
// function, as far as that is a small set: the numbers and arguments of system
// calls, and the strings given to dlopen and exec.
//
// It is a forward abstract interpretation of one function at a time. What a
// function is given stays symbolic ([Param], [StackParam]), so that a wrapper
// needs no name: who wants the value asks all callers. A value is either a set
// of at most [Limit] atoms or unknown. It never claims a value that the CPU
// would not give, as long as functions keep the calling convention of their
// machine; memory other than the function's own frame is unknown.
package value

import (
	"cmp"
	"slices"

	"github.com/profgen/profgen/internal/scan/insn"
)

// Limit is the largest set of values that is kept; a larger one is unknown.
const Limit = 24

// Kind is what an atom stands for.
type Kind uint8

// The kinds of atoms.
const (
	Const      Kind = iota // N itself: a number, or an address in the object
	Param                  // what register Reg held when the function was entered
	StackParam             // the eight bytes at N above the stack pointer on entry
	Frame                  // the address N above the stack pointer on entry
	Field                  // the memory of Width bytes at N above the address that register Reg held on entry
	Global                 // the memory of Width bytes at address N of the object
)

// Atom is one value, or one that somebody else knows. A Param and the other
// symbolic kinds stand for (value & And) | Or, after Add was added.
type Atom struct {
	Kind   Kind
	Reg    insn.Reg
	Width  uint8
	Signed bool // the upper half repeats bit 31 of the lower: compare 32 bits only
	N      int64
	Add    int64
	And    uint64
	Or     uint64
}

// Value is a set of atoms. The zero Value is the empty set: no execution gets
// there. It is immutable.
type Value struct {
	unknown bool
	atoms   []Atom // sorted, at most Limit
}

// Unknown is any value at all.
func Unknown() Value { return Value{unknown: true} }

// Known reports whether v is a set of atoms, and returns them, sorted. They
// must not be changed.
func (v Value) Known() ([]Atom, bool) { return v.atoms, !v.unknown && len(v.atoms) > 0 }

// Consts returns the numbers v can be; false if it can be anything else.
func (v Value) Consts() ([]int64, bool) {
	if v.unknown || len(v.atoms) == 0 {
		return nil, false
	}
	out := make([]int64, 0, len(v.atoms))
	for _, a := range v.atoms {
		if a.Kind != Const {
			return nil, false
		}
		out = append(out, a.N)
	}
	return out, true
}

func number(n int64) Atom { return Atom{Kind: Const, N: n} }

func symbol(k Kind, r insn.Reg, n int64) Atom {
	return Atom{Kind: k, Reg: r, N: n, And: ^uint64(0)}
}

func of(a Atom) Value { return Value{atoms: []Atom{a}} }

// Number is the value n.
func Number(n int64) Value { return of(number(n)) }

func compareAtoms(a, b Atom) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.N, b.N), cmp.Compare(a.Reg, b.Reg), cmp.Compare(a.Width, b.Width),
		cmp.Compare(a.Add, b.Add), cmp.Compare(a.And, b.And), cmp.Compare(a.Or, b.Or), boolCompare(a.Signed, b.Signed))
}

func boolCompare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

func (v Value) equal(w Value) bool {
	return v.unknown == w.unknown && slices.Equal(v.atoms, w.atoms)
}

// Join is the union of two values.
func Join(v, w Value) Value {
	switch {
	case v.unknown || w.unknown:
		return Unknown()
	case len(v.atoms) == 0 || v.equal(w):
		return w
	case len(w.atoms) == 0:
		return v
	}
	return set(slices.Concat(v.atoms, w.atoms))
}

// set makes a value of atoms, which it takes over.
func set(atoms []Atom) Value {
	slices.SortFunc(atoms, compareAtoms)
	atoms = slices.Compact(atoms)
	if len(atoms) > Limit {
		return Unknown()
	}
	return Value{atoms: atoms}
}

// each applies f to every atom; f says whether there is an answer.
func (v Value) each(f func(Atom) (Atom, bool)) Value {
	if v.unknown || len(v.atoms) == 0 {
		return v
	}
	var out []Atom // nil while nothing changed
	for i, a := range v.atoms {
		b, ok := f(a)
		if !ok {
			return Unknown()
		}
		if out == nil && b != a {
			out = append(make([]Atom, 0, len(v.atoms)), v.atoms[:i]...)
		}
		if out != nil {
			out = append(out, b)
		}
	}
	if out == nil {
		return v
	}
	return set(out)
}

// pairs applies f to every pair of atoms of v and w.
func pairs(v, w Value, f func(a, b Atom) (Atom, bool)) Value {
	if v.unknown || w.unknown || len(v.atoms)*len(w.atoms) > Limit*4 {
		return Unknown()
	}
	var out []Atom
	for _, a := range v.atoms {
		for _, b := range w.atoms {
			c, ok := f(a, b)
			if !ok {
				return Unknown()
			}
			out = append(out, c)
		}
	}
	return set(out)
}

func (a Atom) add(n int64) (Atom, bool) {
	switch {
	case a.Kind == Const || a.Kind == Frame:
		a.N += n
		return a, true
	case n == 0:
		return a, true
	case a.And == ^uint64(0) && a.Or == 0 && !a.Signed:
		a.Add += n
		return a, true
	}
	return a, false
}

func (a Atom) and(mask uint64) (Atom, bool) {
	switch {
	case a.Kind == Const:
		a.N = int64(uint64(a.N) & mask)
		return a, true
	case a.Kind == Frame:
		return a, mask == ^uint64(0)
	}
	if mask <= 0xffffffff {
		a.Signed = false
	}
	a.And &= mask
	a.Or &= mask
	return a, true
}

func (a Atom) or(bits uint64) (Atom, bool) {
	switch {
	case a.Kind == Const:
		a.N = int64(uint64(a.N) | bits)
		return a, true
	case a.Kind == Frame:
		return a, bits == 0
	}
	a.And &^= bits
	a.Or |= bits
	return a, true
}

// extend is what a register holds after a result of width bytes was written
// to it, zero or sign extended.
func (a Atom) extend(width uint8, signed bool) (Atom, bool) {
	if width >= 8 {
		return a, true
	}
	bits := uint(width) * 8
	mask := uint64(1)<<bits - 1
	switch {
	case a.Kind == Const && signed:
		a.N = a.N << (64 - bits) >> (64 - bits)
		return a, true
	case a.Kind == Frame:
		return a, false // half an address
	case signed && width == 4:
		a, _ = a.and(mask)
		a.Signed = a.And&(1<<31) != 0 || a.Or&(1<<31) != 0
		return a, true
	case signed:
		b, _ := a.and(mask)
		return b, b.And>>(bits-1)&1 == 0 && b.Or>>(bits-1)&1 == 0
	}
	return a.and(mask)
}

// Apply gives what the atom is once n is known for what it stands for.
func (a Atom) Apply(n int64) int64 {
	if a.Kind == Const || a.Kind == Frame {
		return a.N
	}
	v := int64(uint64(n+a.Add)&a.And | a.Or)
	if a.Signed {
		v = int64(int32(v))
	}
	return v
}

// Substitute gives the value of a symbolic atom once v is known for what it
// stands for: what a callee's parameter is in terms of its caller.
func (a Atom) Substitute(v Value) Value {
	return v.each(func(b Atom) (Atom, bool) {
		if b.Kind == Const {
			return number(a.Apply(b.N)), true
		}
		b, ok := b.add(a.Add)
		if !ok {
			return b, false
		}
		if b, ok = b.and(a.And); !ok {
			return b, false
		}
		if b, ok = b.or(a.Or); !ok {
			return b, false
		}
		if a.Signed {
			return b.extend(4, true)
		}
		return b, true
	})
}

// Entry is the value of a register when the function is entered.
func Entry(r insn.Reg) Value { return of(symbol(Param, r, 0)) }
