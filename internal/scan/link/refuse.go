package link

import (
	"debug/elf"
	"slices"
)

// Loadable returns those of some objects that the dynamic linker would not refuse
// to open in the program. It refuses one that refers to a symbol that nothing has,
// unless the reference is weak, or a call that is bound when it is first made: of
// such an object nothing runs, not even its initialisers. dlopen(3), RTLD_LAZY.
//
// A symbol may come from any object of the program, from the others that are
// asked about, and from what those need, whichever is opened first. musl also
// puts off other references, and refuses nothing here.
func (p *Program) Loadable(objects []*Object) []*Object {
	if p.musl || p.Interp == nil {
		return objects
	}
	for {
		beside := p.needed(objects)
		kept := slices.DeleteFunc(slices.Clone(objects), func(o *Object) bool { return p.lacks(o, beside) })
		if len(kept) == len(objects) {
			return kept
		}
		objects = kept // what is not opened gives nothing to others
	}
}

// needed returns objects and all that they need, as far as it is there.
func (p *Program) needed(objects []*Object) []*Object {
	out := slices.Clone(objects)
	seen := map[*Object]bool{}
	for _, o := range out {
		seen[o] = true
	}
	names := map[string]bool{}
	for i := 0; i < len(out); i++ {
		for _, name := range out[i].File.Dynamic.Needed {
			if names[name] || p.names[name] != nil {
				continue
			}
			found, _ := p.search(out[i], name)
			names[name] = len(found) > 0
			for _, o := range found {
				if !seen[o] {
					seen[o] = true
					out = append(out, o)
				}
			}
		}
	}
	return out
}

// lacks reports whether an object refers to a symbol that neither the program nor
// any of the others has, and that must be there when it is opened.
func (p *Program) lacks(o *Object, others []*Object) bool {
	const dfBindNow, df1Now = 8, 1
	now := o.File.Dynamic.Flags&dfBindNow != 0 || o.File.Dynamic.Flags1&df1Now != 0
	asked := make([]bool, len(o.File.Symbols))
	for _, r := range o.File.Relocs {
		if r.Symbol <= 0 || int(r.Symbol) >= len(asked) || asked[r.Symbol] || !bindsAtOnce(o.File.Machine, r.Type, now) {
			continue
		}
		asked[r.Symbol] = true
		s := &o.File.Symbols[r.Symbol]
		if s.Defined || s.Bind == elf.STB_WEAK || s.Name == "" {
			continue
		}
		sum := o.sum(s.Name)
		defines := func(o *Object) bool { return o.has(s.Name, sum) }
		if !slices.ContainsFunc(p.Objects, defines) && !slices.ContainsFunc(others, defines) {
			return true
		}
	}
	return false
}

// bindsAtOnce reports whether a relocation of a type binds a symbol when the
// object is opened: calls do only if the object says so.
func bindsAtOnce(m elf.Machine, typ uint32, now bool) bool {
	switch m {
	case elf.EM_X86_64:
		switch elf.R_X86_64(typ) {
		case elf.R_X86_64_GLOB_DAT, elf.R_X86_64_64:
			return true
		case elf.R_X86_64_JMP_SLOT:
			return now
		}
	case elf.EM_AARCH64:
		switch elf.R_AARCH64(typ) {
		case elf.R_AARCH64_GLOB_DAT, elf.R_AARCH64_ABS64:
			return true
		case elf.R_AARCH64_JUMP_SLOT:
			return now
		}
	}
	return false
}

// Alone reports whether an object defines a name that no other object of the
// program does.
func (p *Program) Alone(o *Object, name string) bool {
	sum := o.sum(name)
	return o.has(name, sum) && !slices.ContainsFunc(p.Objects, func(other *Object) bool { return other != o && other.has(name, sum) })
}
