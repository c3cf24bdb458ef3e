package elfx

import (
	"cmp"
	"debug/elf"
	"slices"
	"strings"
)

// Limits: real files stay far below.
const (
	maxTags    = 1 << 12
	maxSymbols = 1 << 22
	maxRelocs  = 1 << 23
)

// Tags that debug/elf does not name: gABI (SHT_RELR).
const (
	dtRELRSZ elf.DynTag = 35
	dtRELR   elf.DynTag = 36
	shtRELR             = elf.SectionType(19)
)

// dynamic reads PT_DYNAMIC.
func (p *parser) dynamic() error {
	p.tags = map[elf.DynTag]uint64{}
	var strings []struct {
		tag elf.DynTag
		off uint64
	}
	for _, d := range p.dyn {
		b := p.memoryOf(d.Addr, d.Size)
		for n := 0; len(b) >= 16; n++ {
			tag, val := elf.DynTag(le.Uint64(b)), le.Uint64(b[8:])
			b = b[16:]
			if tag == elf.DT_NULL {
				break
			}
			if n == maxTags {
				return damaged("more than %d dynamic tags", maxTags)
			}
			switch tag {
			case elf.DT_NEEDED, elf.DT_SONAME, elf.DT_RPATH, elf.DT_RUNPATH:
				strings = append(strings, struct {
					tag elf.DynTag
					off uint64
				}{tag, val})
			default:
				p.tags[tag] = val
			}
		}
	}
	p.dynstr = p.memory(p.tags[elf.DT_STRTAB])
	if n := p.tags[elf.DT_STRSZ]; n < uint64(len(p.dynstr)) {
		p.dynstr = p.dynstr[:n]
	}
	d := &p.f.Dynamic
	for _, s := range strings {
		if err := d.set(s.tag, str(p.dynstr, s.off)); err != nil {
			return err
		}
	}
	d.Init, d.Fini = p.tags[elf.DT_INIT], p.tags[elf.DT_FINI]
	d.PreinitArray = Range{p.tags[elf.DT_PREINIT_ARRAY], p.tags[elf.DT_PREINIT_ARRAYSZ]}
	d.InitArray = Range{p.tags[elf.DT_INIT_ARRAY], p.tags[elf.DT_INIT_ARRAYSZ]}
	d.FiniArray = Range{p.tags[elf.DT_FINI_ARRAY], p.tags[elf.DT_FINI_ARRAYSZ]}
	d.Flags, d.Flags1 = p.tags[elf.DT_FLAGS], p.tags[elf.DT_FLAGS_1]
	return nil
}

func (d *Dynamic) set(tag elf.DynTag, s string) error {
	switch tag {
	case elf.DT_NEEDED:
		if s == "" {
			return damaged("needs a library without a name")
		}
		d.Needed = append(d.Needed, s)
	case elf.DT_SONAME:
		d.Soname = s
	case elf.DT_RPATH:
		d.RPath = strings.Split(s, ":")
	case elf.DT_RUNPATH:
		d.RunPath = strings.Split(s, ":")
	}
	return nil
}

// symbols reads the dynamic symbol table with its versions, and .symtab.
func (p *parser) symbols() error {
	n := p.symbolCount()
	table := p.memory(p.tags[elf.DT_SYMTAB])
	if p.tags[elf.DT_SYMTAB] == 0 {
		table = nil
	}
	n = min(n, uint64(len(table))/symSize)
	if n > maxSymbols {
		return damaged("%d dynamic symbols", n)
	}
	versions := p.versions()
	versym := p.memory(p.tags[elf.DT_VERSYM])
	if p.tags[elf.DT_VERSYM] == 0 {
		versym = nil
	}
	p.f.Symbols = make([]Symbol, 0, n)
	for i := range n {
		s := symbol(table[i*symSize:], p.dynstr)
		if uint64(len(versym)) >= 2*i+2 {
			v := le.Uint16(versym[2*i:])
			s.Version, s.Library = versions[v&0x7fff].name, versions[v&0x7fff].file
			s.VersionHidden = v&0x8000 != 0
		}
		p.f.Symbols = append(p.f.Symbols, s)
	}
	if len(p.f.Symbols) == 0 {
		p.f.Symbols = []Symbol{{}}
	}
	return nil
}

func (p *parser) locals() {
	if !p.symtab.stored {
		return
	}
	table, _ := p.stored(p.symtab.off, p.symtab.size)
	names, _ := p.stored(p.strtab.off, p.strtab.size)
	for n := 0; len(table) >= symSize && n < maxSymbols; n++ {
		if t := elf.ST_TYPE(table[4]); t == elf.STT_FUNC || t == elf.STT_GNU_IFUNC || t == elf.STT_OBJECT {
			if s := symbol(table, names); s.Defined {
				p.f.Locals = append(p.f.Locals, s)
			}
		}
		table = table[symSize:]
	}
}

func symbol(b, names []byte) Symbol {
	info, shndx := b[4], elf.SectionIndex(le.Uint16(b[6:]))
	return Symbol{
		Name: str(names, uint64(le.Uint32(b))), Value: le.Uint64(b[8:]), Size: le.Uint64(b[16:]),
		Type: elf.ST_TYPE(info), Bind: elf.ST_BIND(info), Vis: elf.ST_VISIBILITY(b[5]),
		Defined: shndx != elf.SHN_UNDEF, Absolute: shndx == elf.SHN_ABS,
	}
}

// symbolCount is how many dynamic symbols there are: the table itself does not
// say. DT_HASH has one chain entry for each; DT_GNU_HASH ends with the last
// chain; failing both, the section header.
func (p *parser) symbolCount() uint64 {
	if b := p.memoryOf(p.tags[elf.DT_HASH], 8); p.tags[elf.DT_HASH] != 0 && b != nil {
		return uint64(le.Uint32(b[4:]))
	}
	if n := p.gnuHashCount(); n > 0 {
		return n
	}
	return p.dynsym.size / symSize
}

func (p *parser) gnuHashCount() uint64 {
	b := p.memory(p.tags[elf.DT_GNU_HASH])
	if p.tags[elf.DT_GNU_HASH] == 0 || len(b) < 16 {
		return 0
	}
	buckets, first, bloom := uint64(le.Uint32(b)), uint64(le.Uint32(b[4:])), uint64(le.Uint32(b[8:]))
	if 16+bloom*8+buckets*4 > uint64(len(b)) {
		return 0
	}
	b = b[16+bloom*8:]
	last := uint64(0)
	for i := range buckets {
		last = max(last, uint64(le.Uint32(b[i*4:])))
	}
	if last < first {
		// An empty table covers nothing; what comes before it is undefined symbols.
		return max(first, p.dynsym.size/symSize)
	}
	chain := b[buckets*4:]
	for i := last - first; i*4+4 <= uint64(len(chain)); i++ {
		if le.Uint32(chain[i*4:])&1 != 0 {
			return first + i + 1
		}
	}
	return 0
}

type version struct{ name, file string }

// versions are the names behind the indexes of DT_VERSYM.
func (p *parser) versions() map[uint16]version {
	out := map[uint16]version{}
	b := p.memory(p.tags[elf.DT_VERDEF])
	for n := p.tags[elf.DT_VERDEFNUM]; n > 0 && len(b) >= 20 && p.tags[elf.DT_VERDEF] != 0; n-- {
		index, aux, next := le.Uint16(b[4:]), uint64(le.Uint32(b[12:])), uint64(le.Uint32(b[16:]))
		const base = 1 // VER_FLG_BASE: the file itself
		if le.Uint16(b[2:])&base == 0 && aux+8 <= uint64(len(b)) {
			out[index] = version{name: str(p.dynstr, uint64(le.Uint32(b[aux:])))}
		}
		if next == 0 || next > uint64(len(b)) {
			break
		}
		b = b[next:]
	}
	b = p.memory(p.tags[elf.DT_VERNEED])
	for n := p.tags[elf.DT_VERNEEDNUM]; n > 0 && len(b) >= 16 && p.tags[elf.DT_VERNEED] != 0; n-- {
		p.needed(b, out)
		next := uint64(le.Uint32(b[12:]))
		if next == 0 || next > uint64(len(b)) {
			break
		}
		b = b[next:]
	}
	return out
}

// needed reads the versions that one library shall define.
func (p *parser) needed(b []byte, out map[uint16]version) {
	count, file, aux := le.Uint16(b[2:]), str(p.dynstr, uint64(le.Uint32(b[4:]))), uint64(le.Uint32(b[8:]))
	if aux > uint64(len(b)) {
		return
	}
	for a := b[aux:]; count > 0 && len(a) >= 16; count-- {
		out[le.Uint16(a[6:])&0x7fff] = version{str(p.dynstr, uint64(le.Uint32(a[8:]))), file}
		next := uint64(le.Uint32(a[12:]))
		if next == 0 || next > uint64(len(a)) {
			return
		}
		a = a[next:]
	}
}

// relocations reads DT_RELA, DT_JMPREL and DT_RELR; of a static program, which
// has no dynamic table, the loaded relocation sections.
func (p *parser) relocations() error {
	if p.tags[elf.DT_REL] != 0 || p.tags[elf.DT_JMPREL] != 0 && p.tags[elf.DT_PLTREL] == uint64(elf.DT_REL) {
		return damaged("relocations without addends")
	}
	if p.tags[elf.DT_RELA] != 0 {
		p.rela(p.memoryOf(p.tags[elf.DT_RELA], p.tags[elf.DT_RELASZ]))
	}
	if p.tags[elf.DT_JMPREL] != 0 && !p.within(elf.DT_JMPREL, elf.DT_RELA, elf.DT_RELASZ) {
		p.rela(p.memoryOf(p.tags[elf.DT_JMPREL], p.tags[elf.DT_PLTRELSZ]))
	}
	if p.tags[dtRELR] != 0 {
		p.relr(p.memoryOf(p.tags[dtRELR], p.tags[dtRELRSZ]))
	}
	if len(p.dyn) == 0 {
		for i := range p.f.Sections {
			if p.f.Sections[i].Type == elf.SHT_RELA {
				p.rela(p.f.Sections[i].Data)
			}
		}
	}
	if len(p.f.Relocs) > maxRelocs {
		return damaged("more than %d relocations", maxRelocs)
	}
	byOffset := func(a, b Reloc) int { return cmp.Compare(a.Offset, b.Offset) }
	if !slices.IsSortedFunc(p.f.Relocs, byOffset) {
		slices.SortStableFunc(p.f.Relocs, byOffset)
	}
	return nil
}

// within reports whether the table at tag lies in another one.
func (p *parser) within(tag, other, size elf.DynTag) bool {
	return p.tags[other] != 0 && p.tags[tag] >= p.tags[other] && p.tags[tag]-p.tags[other] < p.tags[size]
}

func (p *parser) rela(b []byte) {
	p.f.Relocs = slices.Grow(p.f.Relocs, len(b)/relaSize)
	for ; len(b) >= relaSize && len(p.f.Relocs) <= maxRelocs; b = b[relaSize:] {
		info := le.Uint64(b[8:])
		if noAddress(p.f.Machine, uint32(info)) {
			continue
		}
		p.f.Relocs = append(p.f.Relocs, Reloc{le.Uint64(b), int64(le.Uint64(b[16:])), uint32(info), int32(info >> 32)})
	}
}

// noAddress reports whether a relocation is none, or one of thread-local storage:
// psABI AMD64, table 4.10; AAELF64, 5.7.16.
func noAddress(m elf.Machine, typ uint32) bool {
	if m == elf.EM_AARCH64 {
		switch elf.R_AARCH64(typ) {
		case elf.R_AARCH64_NONE, elf.R_AARCH64_NULL, elf.R_AARCH64_TLS_DTPMOD64, elf.R_AARCH64_TLS_DTPREL64,
			elf.R_AARCH64_TLS_TPREL64, elf.R_AARCH64_TLSDESC:
			return true
		}
		return false
	}
	switch elf.R_X86_64(typ) {
	case elf.R_X86_64_NONE, elf.R_X86_64_DTPMOD64, elf.R_X86_64_DTPOFF64, elf.R_X86_64_TPOFF64, elf.R_X86_64_TLSDESC:
		return true
	}
	return false
}

// relr expands packed relative relocations: gABI, "Relative Relocation Table".
// Their addends are where they point to.
func (p *parser) relr(b []byte) {
	relative := uint32(elf.R_X86_64_RELATIVE)
	if p.f.Machine == elf.EM_AARCH64 {
		relative = uint32(elf.R_AARCH64_RELATIVE)
	}
	add := func(at uint64) {
		if w := p.memoryOf(at, 8); w != nil && len(p.f.Relocs) <= maxRelocs {
			p.f.Relocs = append(p.f.Relocs, Reloc{at, int64(le.Uint64(w)), relative, 0})
		}
	}
	where := uint64(0)
	for ; len(b) >= 8; b = b[8:] {
		entry := le.Uint64(b)
		if entry&1 == 0 {
			add(entry)
			where = entry + 8
			continue
		}
		for i := range uint64(63) {
			if entry>>(i+1)&1 != 0 {
				add(where + i*8)
			}
		}
		where += 63 * 8
	}
}
