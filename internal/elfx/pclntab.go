package elfx

import (
	"bytes"
	"cmp"
	"debug/elf"
	"slices"
	"strings"
)

// Magic numbers of Go's pclntab: src/internal/abi/symtab.go of Go.
const (
	magic12  = 0xfffffffb
	magic116 = 0xfffffffa
	magic118 = 0xfffffff0
	magic120 = 0xfffffff1
)

// pclntab is Go's table of functions.
type pclntab struct {
	data    []byte // from its header on
	names   []byte
	table   []byte // functab, and the structures it points into
	count   int
	text    uint64 // address that entries are relative to
	width   int    // bytes of the numbers in functab
	entries []goFunc
}

type goFunc struct {
	addr uint64
	off  uint64 // of its structure in table
}

// findPCLNTab looks for the table where Go's linker puts it, and reads it; nil
// if the file has none that can be read.
func (p *parser) findPCLNTab() *pclntab {
	for i := range p.f.Sections {
		s := &p.f.Sections[i]
		if s.Name != ".gopclntab" && s.Name != ".data.rel.ro.gopclntab" {
			continue
		}
		if t := p.pclntabAt(s.Addr, s.Data); t != nil {
			return t
		}
	}
	// Section names can be lost: the header is easy to recognise, and what it
	// says is checked.
	for i := range p.f.Sections {
		s := &p.f.Sections[i]
		if s.Exec || strings.HasPrefix(s.Name, ".gopclntab") {
			continue
		}
		if t := p.searchPCLNTab(s); t != nil {
			return t
		}
	}
	return nil
}

// maxHeaders bounds how many places that look like a header are tried.
const maxHeaders = 64

func (p *parser) searchPCLNTab(s *Section) *pclntab {
	tried := 0
	for _, magic := range []byte{magic120 & 0xff, magic118 & 0xff, magic116 & 0xff} {
		head := []byte{magic, 0xff, 0xff, 0xff, 0, 0}
		for at := 0; tried < maxHeaders; tried++ {
			i := bytes.Index(s.Data[at:], head)
			if i < 0 {
				break
			}
			at += i
			if t := p.pclntabAt(s.Addr+uint64(at), s.Data[at:]); t != nil {
				return t
			}
			at++
		}
	}
	return nil
}

func (p *parser) pclntabAt(addr uint64, data []byte) *pclntab {
	r := &reader{b: data}
	magic, pad := r.u32(), r.u16()
	quantum, ptr := r.u8(), r.u8()
	if r.bad || pad != 0 || ptr != 8 || quantum != 1 && quantum != 4 {
		return nil
	}
	t := &pclntab{data: data, width: 4}
	switch magic {
	case magic118, magic120:
		n := r.u64()
		r.u64() // files
		text := r.u64()
		names := r.u64()
		r.take(3 * 8)
		t.open(n, names, r.u64())
		t.text = p.goText(addr, text)
	case magic116:
		n := r.u64()
		r.u64()
		names := r.u64()
		r.take(3 * 8)
		t.width = 8
		t.open(n, names, r.u64())
	case magic12:
		t.width = 8
		t.open(r.u64(), 0, 16)
	default:
		return nil
	}
	if r.bad || !t.read() || !p.code(t.entries[0].addr) {
		return nil
	}
	return t
}

func (t *pclntab) open(count, names, table uint64) {
	if count > uint64(len(t.data)) || names > uint64(len(t.data)) || table > uint64(len(t.data)) {
		return
	}
	t.count, t.names, t.table = int(count), t.data[names:], t.data[table:]
	if t.width == 8 && table == 16 {
		t.table = t.data // Go 1.2: offsets count from the header
	}
}

// read reads the functab: count entries, and the end of the last function.
func (t *pclntab) read() bool {
	r := &reader{b: t.table}
	if t.count > 0 && len(t.names) == len(t.data) && t.width == 8 {
		r.at = 16
	}
	if t.count <= 0 || t.count > len(t.table)/(2*t.width) {
		return false
	}
	number := func() uint64 {
		if t.width == 4 {
			return uint64(r.u32())
		}
		return r.u64()
	}
	for i := 0; i <= t.count; i++ {
		e := goFunc{addr: t.text + number()}
		if i < t.count {
			e.off = number()
		}
		if i > 0 && e.addr < t.entries[i-1].addr {
			return false
		}
		t.entries = append(t.entries, e)
	}
	return !r.bad
}

func (t *pclntab) functions() []Function {
	out := make([]Function, 0, t.count)
	for i, e := range t.entries[:t.count] {
		if end := t.entries[i+1].addr; end > e.addr {
			out = append(out, Function{e.addr, end, Go})
		}
	}
	return out
}

// name is the name of the function that begins at an address.
func (t *pclntab) name(addr uint64) string {
	i, ok := slices.BinarySearchFunc(t.entries[:t.count], addr, func(e goFunc, a uint64) int { return cmp.Compare(e.addr, a) })
	if !ok {
		return ""
	}
	off := t.entries[i].off
	skip := uint64(4) // the entry's offset comes before the name's
	if t.width == 8 {
		skip = 8
	}
	if off > uint64(len(t.table)) || uint64(len(t.table))-off < skip+4 {
		return ""
	}
	return str(t.names, uint64(le.Uint32(t.table[off+skip:])))
}

// goText is the address that functions are given relative to: runtime.text.
// The header has it until Go 1.25, where position-independent files relocate
// it; moduledata has it always.
func (p *parser) goText(header, text uint64) uint64 {
	if text != 0 {
		return text
	}
	const field = 8 + 2*8 // of pcHeader: textStart
	if a, ok := p.pointerAt(header + field); ok && a != 0 {
		return a
	}
	if a, ok := p.moduleText(header); ok {
		return a
	}
	for i := range p.f.Sections {
		if s := &p.f.Sections[i]; s.Exec && s.Name == ".text" {
			return s.Addr
		}
	}
	return 0
}

// moduleText finds runtime.firstmoduledata, which begins with the address of
// the header, and returns its field text.
func (p *parser) moduleText(header uint64) (uint64, bool) {
	const field = 8 + 6*24 + 3*8 // pcHeader, six slices, findfunctab, minpc, maxpc
	for _, at := range p.pointersTo(header) {
		text, ok := p.pointerAt(at + field)
		etext, okEnd := p.pointerAt(at + field + 8)
		if ok && okEnd && text < etext && p.code(text) {
			return text, true
		}
	}
	return 0, false
}

// pointerAt is the pointer that the eight bytes at an address are once the file
// is relocated.
func (p *parser) pointerAt(at uint64) (uint64, bool) {
	i, ok := slices.BinarySearchFunc(p.f.Relocs, at, func(r Reloc, a uint64) int { return cmp.Compare(r.Offset, a) })
	if ok && p.f.Relocs[i].Symbol == 0 {
		return uint64(p.f.Relocs[i].Addend), true
	}
	b := p.memoryOf(at, 8)
	if b == nil {
		return 0, false
	}
	return le.Uint64(b), true
}

// pointersTo returns where the file holds a pointer.
func (p *parser) pointersTo(target uint64) []uint64 {
	var out []uint64
	for _, r := range p.f.Relocs {
		if r.Symbol == 0 && uint64(r.Addend) == target {
			out = append(out, r.Offset)
		}
	}
	if p.f.Type != elf.ET_EXEC {
		return out
	}
	var want [8]byte
	le.PutUint64(want[:], target)
	for i := range p.f.Sections {
		s := &p.f.Sections[i]
		if s.Exec {
			continue
		}
		for at := 0; len(out) < maxHeaders; at++ {
			n := bytes.Index(s.Data[at:], want[:])
			if n < 0 {
				break
			}
			at += n
			if (s.Addr+uint64(at))%8 == 0 {
				out = append(out, s.Addr+uint64(at))
			}
		}
	}
	return out
}
