package link

import (
	"debug/elf"

	"github.com/profgen/profgen/internal/elfx"
)

// Definition is a symbol where it is defined.
type Definition struct {
	Object *Object
	Symbol elfx.Symbol
}

// index maps the names that an object defines to its symbols.
func (o *Object) index() map[string][]int32 {
	o.once.Do(func() {
		o.defined = make(map[string][]int32, len(o.File.Symbols))
		for i := range o.File.Symbols {
			s := &o.File.Symbols[i]
			if s.Defined && s.Bind != elf.STB_LOCAL && s.Name != "" && s.Vis != elf.STV_HIDDEN && s.Vis != elf.STV_INTERNAL {
				o.defined[s.Name] = append(o.defined[s.Name], int32(i))
			}
		}
	})
	return o.defined
}

// Bind returns the definition that a symbol of an object is bound to; false if
// there is none, as may be for a weak one.
func (p *Program) Bind(from *Object, sym elfx.Symbol) (Definition, bool) {
	const dfSymbolic = 2
	if sym.Defined && (sym.Bind == elf.STB_LOCAL || sym.Vis != elf.STV_DEFAULT || from.File.Dynamic.Flags&dfSymbolic != 0) {
		return Definition{from, sym}, true
	}
	for _, o := range p.Objects {
		if d, ok := o.match(sym); ok {
			return d, true
		}
	}
	if sym.Defined {
		return Definition{from, sym}, true
	}
	return Definition{}, false
}

// match looks for the definition of a symbol in one object: of the same
// version; of any if the object has no versions; the default one for whoever
// asks for none.
func (o *Object) match(sym elfx.Symbol) (Definition, bool) {
	best := -1
	for _, i := range o.index()[sym.Name] {
		d := &o.File.Symbols[i]
		switch {
		case d.Version == sym.Version || d.Version == "":
			return Definition{o, *d}, true
		case sym.Version == "" && (!d.VersionHidden || best < 0):
			best = int(i)
		}
	}
	if best < 0 {
		return Definition{}, false
	}
	return Definition{o, o.File.Symbols[best]}, true
}

// BindName returns what dlsym may give for a name: its default definition in
// every object, in the order of search.
func (p *Program) BindName(name string) []Definition {
	var out []Definition
	for _, o := range p.Objects {
		for _, i := range o.index()[name] {
			if s := o.File.Symbols[i]; !s.VersionHidden {
				out = append(out, Definition{o, s})
			}
		}
	}
	return out
}
