package link

import (
	"debug/elf"
	"hash/maphash"
	"slices"

	"github.com/profgen/profgen/internal/elfx"
)

// Definition is a symbol where it is defined.
type Definition struct {
	Object *Object
	Symbol *elfx.Symbol // of Object
}

// index finds the symbols that an object defines by their names: a hash table
// with chains.
type index struct {
	sieve []uint64 // bits by the hash: what is not set here is not defined
	first []int32  // by the low bits of the hash: an index of Symbols
	next  []int32  // by index of Symbols
	sums  []uint32 // the same
}

// defines builds the index of the object's symbols, once.
func (o *Object) defines() *index {
	o.once.Do(func() {
		all := o.File.Symbols
		size := 1
		for size < len(all) {
			size *= 2
		}
		x := &index{make([]uint64, (size+sieveShare-1)/sieveShare), make([]int32, size), make([]int32, len(all)), make([]uint32, len(all))}
		for i := len(all) - 1; i > 0; i-- { // so that chains are in order; [0] is no symbol
			s := &all[i]
			if !s.Defined || s.Bind == elf.STB_LOCAL || s.Name == "" || s.Vis == elf.STV_HIDDEN || s.Vis == elf.STV_INTERNAL {
				continue
			}
			x.sums[i] = o.sum(s.Name)
			word, bit := x.sieved(x.sums[i])
			*word |= bit
			head := &x.first[int(x.sums[i])&(size-1)]
			x.next[i], *head = *head, int32(i)
		}
		o.defined = x
	})
	return o.defined
}

// sieveShare is for how many symbols a word of the sieve is: most names that most
// objects are asked for are those of others, and it is small enough to stay in the
// processor's cache.
const sieveShare = 4

// sieved is the word and the bit of the sieve for a hash.
func (x *index) sieved(sum uint32) (word *uint64, bit uint64) {
	return &x.sieve[int(sum>>6)&(len(x.sieve)-1)], 1 << (sum & 63)
}

// sum is the hash of a name. It is seeded: files that are made to have many names
// of one hash have none.
func (o *Object) sum(name string) uint32 { return uint32(maphash.String(o.seed, name)) }

// after is the first definition of a name behind the i-th symbol; 0 if there is
// none. sum is the name's.
func (o *Object) after(i int32, name string, sum uint32) int32 {
	x := o.defines()
	if i == 0 {
		if word, bit := x.sieved(sum); *word&bit == 0 {
			return 0
		}
		i = x.first[int(sum)&(len(x.first)-1)]
	} else {
		i = x.next[i]
	}
	for i != 0 && (x.sums[i] != sum || o.File.Symbols[i].Name != name) {
		i = x.next[i]
	}
	return i
}

// has reports whether the object defines a name, of which sum is the hash.
func (o *Object) has(name string, sum uint32) bool { return o.after(0, name, sum) != 0 }

// Bind returns the definitions that a symbol of an object may be bound to; none,
// as may be for a weak one. What was loaded when the program started comes
// first, and is all there is if it has one. Of what was opened since, each
// object sees what it brought in itself, and what others gave to all
// (RTLD_GLOBAL): any of them may be meant, and later says that more may come
// when more objects are opened.
func (p *Program) Bind(from *Object, sym *elfx.Symbol) (defs []Definition, later bool) {
	const dfSymbolic = 2
	if sym.Defined && (sym.Bind == elf.STB_LOCAL || sym.Vis != elf.STV_DEFAULT || from.File.Dynamic.Flags&dfSymbolic != 0) {
		return []Definition{{from, sym}}, false
	}
	sum := from.sum(sym.Name)
	for _, o := range p.Objects[:p.started] {
		if d, ok := o.match(sym, sum); ok {
			if sym.Defined && o != from && slices.Contains(p.Objects[p.started:], from) {
				return []Definition{d, {from, sym}}, false // RTLD_DEEPBIND prefers its own
			}
			return []Definition{d}, false
		}
	}
	for _, o := range p.Objects[p.started:] {
		if d, ok := o.match(sym, sum); ok {
			defs = append(defs, d)
		}
	}
	if len(defs) == 0 && sym.Defined {
		defs = []Definition{{from, sym}}
	}
	return defs, true
}

// Match looks for the definition of a symbol in one object: of the same
// version; of any if the object has no versions; the default one for whoever
// asks for none.
func (o *Object) Match(sym *elfx.Symbol) (Definition, bool) { return o.match(sym, o.sum(sym.Name)) }

func (o *Object) match(sym *elfx.Symbol, sum uint32) (Definition, bool) {
	best := int32(0)
	for i := o.after(0, sym.Name, sum); i != 0; i = o.after(i, sym.Name, sum) {
		d := &o.File.Symbols[i]
		switch {
		case d.Version == sym.Version || d.Version == "":
			return Definition{o, d}, true
		case sym.Version == "" && (!d.VersionHidden || best == 0):
			best = i
		}
	}
	if best == 0 {
		return Definition{}, false
	}
	return Definition{o, &o.File.Symbols[best]}, true
}

// Versions returns every definition of a name in an object.
func (o *Object) Versions(name string) []Definition {
	var out []Definition
	sum := o.sum(name)
	for i := o.after(0, name, sum); i != 0; i = o.after(i, name, sum) {
		out = append(out, Definition{o, &o.File.Symbols[i]})
	}
	return out
}

// BindName returns what dlsym may give for a name: its default definition in
// every object, in the order of search.
func (p *Program) BindName(name string) []Definition {
	var out []Definition
	sum := p.Exe.sum(name)
	for _, o := range p.Objects {
		for i := o.after(0, name, sum); i != 0; i = o.after(i, name, sum) {
			if s := &o.File.Symbols[i]; !s.VersionHidden {
				out = append(out, Definition{o, s})
			}
		}
	}
	return out
}
