package link

import (
	"debug/elf"
	"slices"

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

// Bind returns the definitions that a symbol of an object may be bound to; none,
// as may be for a weak one. What was loaded when the program started comes
// first, and is all there is if it has one. Of what was opened since, each
// object sees what it brought in itself, and what others gave to all
// (RTLD_GLOBAL): any of them may be meant, and later says that more may come
// when more objects are opened.
func (p *Program) Bind(from *Object, sym elfx.Symbol) (defs []Definition, later bool) {
	const dfSymbolic = 2
	if sym.Defined && (sym.Bind == elf.STB_LOCAL || sym.Vis != elf.STV_DEFAULT || from.File.Dynamic.Flags&dfSymbolic != 0) {
		return []Definition{{from, sym}}, false
	}
	for _, o := range p.Objects[:p.started] {
		if d, ok := o.Match(sym); ok {
			if sym.Defined && o != from && slices.Contains(p.Objects[p.started:], from) {
				return []Definition{d, {from, sym}}, false // RTLD_DEEPBIND prefers its own
			}
			return []Definition{d}, false
		}
	}
	for _, o := range p.Objects[p.started:] {
		if d, ok := o.Match(sym); ok {
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
func (o *Object) Match(sym elfx.Symbol) (Definition, bool) {
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

// Versions returns every definition of a name in an object.
func (o *Object) Versions(name string) []Definition {
	var out []Definition
	for _, i := range o.index()[name] {
		out = append(out, Definition{o, o.File.Symbols[i]})
	}
	return out
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
