package elfx

import (
	"bytes"
	"cmp"
	"debug/elf"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// parser holds what is needed while a file is read.
type parser struct {
	data []byte
	f    *File

	phoff, shoff uint64
	phnum, shnum int
	shstrndx     int
	dyn          []Range // PT_DYNAMIC
	ehHeader     Range   // PT_GNU_EH_FRAME
	symtab       section // SHT_SYMTAB
	strtab       section // its strings
	dynsym       section // SHT_DYNSYM
	tags         map[elf.DynTag]uint64
	dynstr       []byte
}

// section is a section header.
type section struct {
	name, typ   uint32
	flags, addr uint64
	off, size   uint64
	link        uint32
	entsize     uint64
	stored      bool
}

var le = binary.LittleEndian

func damaged(format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, ErrDamaged)...)
}

// stored returns n bytes of the file; false if it does not have them.
func (p *parser) stored(off, n uint64) ([]byte, bool) {
	if off > uint64(len(p.data)) || n > uint64(len(p.data))-off {
		return nil, false
	}
	return p.data[off : off+n], true
}

// Sizes of the gABI's structures, 64 bit.
const (
	ehdrSize = 64
	phdrSize = 56
	shdrSize = 64
	symSize  = 24
	relaSize = 24
)

// Limits: real files stay far below.
const (
	maxSegments = 1 << 10
	maxSections = 1 << 16
)

func (p *parser) header() error {
	h, ok := p.stored(0, ehdrSize)
	if !ok {
		return damaged("header cut short")
	}
	p.f.Entry = le.Uint64(h[24:])
	p.phoff, p.shoff = le.Uint64(h[32:]), le.Uint64(h[40:])
	p.phnum, p.shnum, p.shstrndx = int(le.Uint16(h[56:])), int(le.Uint16(h[60:])), int(le.Uint16(h[62:]))
	if p.phnum > 0 && le.Uint16(h[54:]) != phdrSize {
		return damaged("program headers of %d bytes", le.Uint16(h[54:]))
	}
	if p.phnum == 0 || p.phnum > maxSegments {
		return damaged("%d program headers", p.phnum)
	}
	if p.shnum > 0 && le.Uint16(h[58:]) != shdrSize {
		p.shnum = 0
	}
	return nil
}

func (p *parser) segments() error {
	table, ok := p.stored(p.phoff, uint64(p.phnum)*phdrSize)
	if !ok {
		return damaged("program headers cut short")
	}
	for i := range p.phnum {
		h := table[i*phdrSize:]
		typ, flags := elf.ProgType(le.Uint32(h)), elf.ProgFlag(le.Uint32(h[4:]))
		off, addr, filesz, memsz := le.Uint64(h[8:]), le.Uint64(h[16:]), le.Uint64(h[32:]), le.Uint64(h[40:])
		switch typ {
		case elf.PT_LOAD, elf.PT_INTERP, elf.PT_DYNAMIC, elf.PT_NOTE:
		case elf.PT_GNU_EH_FRAME:
			p.ehHeader = Range{addr, memsz}
			continue
		default:
			continue
		}
		b, ok := p.stored(off, filesz)
		if !ok {
			return damaged("segment %d (%v) ends after the file", i, typ)
		}
		if err := p.segment(typ, flags, addr, memsz, b); err != nil {
			return err
		}
	}
	slices.SortFunc(p.f.Segments, func(a, b Segment) int { return cmp.Compare(a.Addr, b.Addr) })
	for i := 1; i < len(p.f.Segments); i++ {
		if a, b := p.f.Segments[i-1], p.f.Segments[i]; b.Addr < a.Addr+a.Size {
			return damaged("segments overlap at %#x", b.Addr)
		}
	}
	if len(p.f.Segments) == 0 {
		return damaged("nothing to load")
	}
	return nil
}

func (p *parser) segment(typ elf.ProgType, flags elf.ProgFlag, addr, memsz uint64, b []byte) error {
	switch typ {
	case elf.PT_LOAD:
		if memsz < uint64(len(b)) || addr+memsz < addr {
			return damaged("segment at %#x is %#x bytes in memory and %#x in the file", addr, memsz, len(b))
		}
		if memsz > 0 {
			p.f.Segments = append(p.f.Segments, Segment{addr, memsz, b, flags&elf.PF_X != 0, flags&elf.PF_W != 0})
		}
	case elf.PT_INTERP:
		name, _, _ := bytes.Cut(b, []byte{0})
		if len(name) > maxString {
			return damaged("name of the interpreter is %d bytes long", len(name))
		}
		p.f.Interp = string(name)
	case elf.PT_DYNAMIC:
		p.dyn = append(p.dyn, Range{addr, uint64(len(b))})
	case elf.PT_NOTE:
		p.notes(b)
	}
	return nil
}

// notes looks for the build ID: NT_GNU_BUILD_ID, owner "GNU".
func (p *parser) notes(b []byte) {
	for len(b) >= 12 {
		namesz, descsz, typ := uint64(le.Uint32(b)), uint64(le.Uint32(b[4:])), le.Uint32(b[8:])
		name := (namesz + 3) &^ 3
		desc := (descsz + 3) &^ 3
		b = b[12:]
		if name+descsz > uint64(len(b)) {
			return
		}
		if typ == 3 && descsz <= 64 && string(b[:min(4, namesz)]) == "GNU\x00" {
			p.f.BuildID = hex.EncodeToString(b[name : name+descsz])
		}
		b = b[min(name+desc, uint64(len(b))):]
	}
}

// memory returns the stored bytes at an address, up to the end of its segment.
func (p *parser) memory(addr uint64) []byte {
	for i := range p.f.Segments {
		s := &p.f.Segments[i]
		if addr >= s.Addr && addr-s.Addr < uint64(len(s.Data)) {
			return s.Data[addr-s.Addr:]
		}
	}
	return nil
}

// memoryOf is memory of a given size; nil if it is not all there.
func (p *parser) memoryOf(addr, size uint64) []byte {
	b := p.memory(addr)
	if uint64(len(b)) < size {
		return nil
	}
	return b[:size]
}

// sections reads the section headers as far as they agree with the segments.
func (p *parser) sections() error {
	headers, names := p.sectionHeaders()
	for i := range headers {
		h := &headers[i]
		switch elf.SectionType(h.typ) {
		case elf.SHT_SYMTAB:
			if h.stored && int(h.link) < len(headers) && headers[h.link].stored {
				p.symtab, p.strtab = *h, headers[h.link]
			}
		case elf.SHT_DYNSYM:
			p.dynsym = *h
		}
		if s, ok := p.loaded(h, names); ok {
			p.f.Sections = append(p.f.Sections, s)
		}
	}
	slices.SortStableFunc(p.f.Sections, func(a, b Section) int { return cmp.Compare(a.Addr, b.Addr) })
	for i := 1; i < len(p.f.Sections); i++ {
		if a, b := p.f.Sections[i-1], p.f.Sections[i]; b.Addr-a.Addr < a.Size {
			p.f.Sections = nil // they lie: the segments are what is loaded
			break
		}
	}
	if !p.covered() {
		p.f.Sections = nil
		p.dynsym, p.symtab = section{}, section{}
		for _, s := range p.f.Segments {
			p.f.Sections = append(p.f.Sections, fromSegment(s))
		}
	}
	return nil
}

func fromSegment(s Segment) Section {
	name := ".rodata"
	switch {
	case s.Exec:
		name = ".text"
	case s.Write:
		name = ".data"
	}
	return Section{Name: name, Type: elf.SHT_PROGBITS, Addr: s.Addr, Size: s.Size, Data: s.Data, Exec: s.Exec, Write: s.Write}
}

// covered reports whether the sections hold the code that segments do: all but
// what headers and padding take.
func (p *parser) covered() bool {
	var code, have uint64
	for _, s := range p.f.Segments {
		if s.Exec {
			code += uint64(len(s.Data))
		}
	}
	for _, s := range p.f.Sections {
		if s.Exec {
			have += s.Size
		}
	}
	// A segment that also holds read-only data (ld -z noseparate-code) has
	// sections for that.
	all := have
	for _, s := range p.f.Sections {
		if seg := p.segmentAt(s.Addr); !s.Exec && seg != nil && seg.Exec {
			all += s.Size
		}
	}
	return have > 0 && all+all/8+0x4000 >= code
}

func (p *parser) segmentAt(addr uint64) *Segment {
	for i := range p.f.Segments {
		if s := &p.f.Segments[i]; addr >= s.Addr && addr-s.Addr < s.Size {
			return s
		}
	}
	return nil
}

func (p *parser) sectionHeaders() ([]section, []byte) {
	if p.shnum == 0 || p.shnum > maxSections {
		return nil, nil
	}
	table, ok := p.stored(p.shoff, uint64(p.shnum)*shdrSize)
	if !ok {
		return nil, nil
	}
	out := make([]section, p.shnum)
	for i := range out {
		h := table[i*shdrSize:]
		out[i] = section{
			name: le.Uint32(h), typ: le.Uint32(h[4:]), flags: le.Uint64(h[8:]), addr: le.Uint64(h[16:]),
			off: le.Uint64(h[24:]), size: le.Uint64(h[32:]), link: le.Uint32(h[40:]), entsize: le.Uint64(h[56:]),
		}
		if elf.SectionType(out[i].typ) != elf.SHT_NOBITS {
			_, out[i].stored = p.stored(out[i].off, out[i].size)
		}
	}
	var names []byte
	if p.shstrndx < len(out) && out[p.shstrndx].stored {
		names, _ = p.stored(out[p.shstrndx].off, out[p.shstrndx].size)
	}
	return out, names
}

// loaded is the section of a header, if it is loaded, and lies where a segment
// says that its bytes are.
func (p *parser) loaded(h *section, names []byte) (Section, bool) {
	flags, typ := elf.SectionFlag(h.flags), elf.SectionType(h.typ)
	if flags&elf.SHF_ALLOC == 0 || h.size == 0 || typ == elf.SHT_NOBITS && flags&elf.SHF_TLS != 0 {
		return Section{}, false
	}
	seg := p.segmentAt(h.addr)
	if seg == nil || h.size > seg.Size-(h.addr-seg.Addr) {
		return Section{}, false
	}
	s := Section{
		Name: str(names, uint64(h.name)), Type: typ, Addr: h.addr, Size: h.size,
		Exec:  flags&elf.SHF_EXECINSTR != 0 || seg.Exec && strings.HasPrefix(str(names, uint64(h.name)), ".text"),
		Write: seg.Write, TLS: flags&elf.SHF_TLS != 0,
	}
	if typ == elf.SHT_NOBITS {
		return s, true
	}
	// The bytes are the segment's: what is loaded, whatever the header says.
	off := h.addr - seg.Addr
	s.Data = seg.Data[min(off, uint64(len(seg.Data))):min(off+h.size, uint64(len(seg.Data)))]
	return s, true
}

// str is the string at off of a string table; "" if there is none.
func str(table []byte, off uint64) string {
	if off >= uint64(len(table)) {
		return ""
	}
	b := table[off:]
	n := bytes.IndexByte(b[:min(len(b), maxString)], 0)
	if n < 0 {
		return ""
	}
	return string(b[:n])
}
