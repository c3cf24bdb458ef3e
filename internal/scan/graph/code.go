// Package graph finds out which functions of a program's objects can run: a
// call graph without symbols, and the address-taken functions that live code
// or live data gives away ("vacuumed", after sysfilter, RAID 2020).
//
// It starts from what the kernel and the dynamic linker enter, follows calls
// and jumps through the PLT and the GOT, and lets an address-taken function
// live only once live code takes its address or touches the data that holds
// it. Data is as fine as can be known for sure: exactly the bytes that an
// instruction reads; a whole object where the address of a sized symbol is
// taken; else the whole section. It is an over-approximation throughout.
package graph

import (
	"debug/elf"
	"encoding/binary"
	"slices"
	"strings"
	"sync"

	"github.com/profgen/profgen/internal/elfx"
	"github.com/profgen/profgen/internal/scan/insn"
	"github.com/profgen/profgen/internal/scan/link"
	"github.com/profgen/profgen/internal/scan/value"
)

// Code is an object prepared for analysis. It is shared by all programs that
// load the object; nothing in it depends on them.
type Code struct {
	Object  *link.Object
	File    *elfx.File
	Machine *insn.Machine

	summary *summary // nil if nothing is kept

	fixed bool // loaded where it says: addresses are plain numbers in code and data

	mu      sync.Mutex
	funcs   []*Func  // sorted by start
	slots   []slot   // places that hold an address, sorted
	extents []extent // of data that holds addresses, sorted
	rels    relTypes
}

// slot is a place in data that holds an address once the object is loaded.
type slot struct {
	addr   uint64
	kind   slotKind
	symbol int   // of dynsym, for bound slots
	addend int64 // or the address, for relative ones
}

type slotKind uint8

const (
	relative slotKind = iota // addend is an address in this object
	resolver                 // addend is the address of an IFUNC resolver
	bound                    // the address of a symbol, plus addend
	copied                   // a COPY of another object's data
)

// Func is a function: a stretch of code that is entered at its start.
type Func struct {
	Code       *Code
	Start, End uint64
	named      bool // a symbol begins there
	exact      bool // its end is known for sure
	goABI      bool // Go's calling convention: no register survives a call

	swept    sync.Once
	branches []insn.Branch // leave the function, jump tables included
	calls    []insn.SlotUse
	refs     []insn.Ref // of code, and of data that holds addresses
	Syscalls []uint64   // sites; valid once the function lives
	Legacy   []uint64   // int 0x80 and sysenter
	insts    int
	runsOn   bool            // control runs past its end into the next function
	tables   []uint64        // targets of jump tables within the function
	tabled   map[uint64]bool // where jump tables are

	analysis sync.Mutex // of what follows
	entries  []uint64   // within the function, that code of others is seen to jump to, or takes the address of
	values   *value.Function
	refined  bool
	better   *value.Function // nil if no better than values
}

// relTypes are the relocation types of a machine that matter.
type relTypes struct{ relative, irelative, copied, absolute, globDat, jumpSlot uint32 }

func machine(m elf.Machine) (*insn.Machine, relTypes, bool) {
	switch m {
	case elf.EM_X86_64:
		return insn.X8664(), relTypes{
			uint32(elf.R_X86_64_RELATIVE), uint32(elf.R_X86_64_IRELATIVE), uint32(elf.R_X86_64_COPY),
			uint32(elf.R_X86_64_64), uint32(elf.R_X86_64_GLOB_DAT), uint32(elf.R_X86_64_JMP_SLOT),
		}, true
	case elf.EM_AARCH64:
		return insn.ARM64(), relTypes{
			uint32(elf.R_AARCH64_RELATIVE), uint32(elf.R_AARCH64_IRELATIVE), uint32(elf.R_AARCH64_COPY),
			uint32(elf.R_AARCH64_ABS64), uint32(elf.R_AARCH64_GLOB_DAT), uint32(elf.R_AARCH64_JUMP_SLOT),
		}, true
	}
	return nil, relTypes{}, false
}

// Prepare makes an object ready for analysis; nil if it is for a machine whose
// code cannot be read.
func Prepare(obj *link.Object) *Code {
	f := obj.File
	m, rels, ok := machine(f.Machine)
	if !ok {
		return nil
	}
	c := &Code{Object: obj, File: f, Machine: m, rels: rels, fixed: f.Type == elf.ET_EXEC}
	for _, fn := range f.Functions {
		c.funcs = append(c.funcs, &Func{Code: c, Start: fn.Start, End: fn.End, goABI: fn.Source == elfx.Go, exact: fn.Source != elfx.Sym})
	}
	c.slots = c.relocated()
	c.discover()
	if c.fixed {
		c.addConstants()
	}
	c.extents = c.cutExtents()
	c.name()
	return c
}

// name marks the functions that dynamic symbols name.
func (c *Code) name() {
	for _, s := range c.File.Symbols {
		if s.Defined && (s.Type == elf.STT_FUNC || s.Type == elf.STT_GNU_IFUNC) {
			if i, ok := c.search(s.Value); ok {
				c.funcs[i].named = true
			}
		}
	}
}

// relocated returns the slots that relocations fill.
func (c *Code) relocated() []slot {
	var out []slot
	for _, r := range c.File.Relocs {
		s := slot{addr: r.Offset, symbol: r.Symbol, addend: r.Addend}
		switch r.Type {
		case c.rels.relative:
			s.kind = relative
		case c.rels.irelative:
			s.kind = resolver
		case c.rels.copied:
			s.kind = copied
		case c.rels.absolute, c.rels.globDat, c.rels.jumpSlot:
			s.kind = bound
			if r.Type != c.rels.absolute && c.File.Machine == elf.EM_X86_64 {
				s.addend = 0 // S, not S + A: psABI, table 4.9
			}
		default:
			continue
		}
		out = append(out, s)
	}
	slices.SortStableFunc(out, func(a, b slot) int { return compare(a.addr, b.addr) })
	return out
}

func compare(a, b uint64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// addConstants adds the words of data that equal the address of a function or
// of data: an object that is not relocated has nothing better to tell.
func (c *Code) addConstants() {
	lo, hi := c.bounds()
	known := map[uint64]bool{}
	for _, s := range c.slots {
		known[s.addr] = true
	}
	for i := range c.File.Sections {
		sec := &c.File.Sections[i]
		if sec.Exec || sec.TLS || notData(sec) {
			continue
		}
		for off := int(-sec.Addr & 7); off+8 <= len(sec.Data); off += 8 {
			v := binary.LittleEndian.Uint64(sec.Data[off:])
			if v < lo || v >= hi || known[sec.Addr+uint64(off)] || !c.plausible(v) {
				continue
			}
			c.slots = append(c.slots, slot{addr: sec.Addr + uint64(off), kind: relative, addend: int64(v)})
		}
	}
	slices.SortStableFunc(c.slots, func(a, b slot) int { return compare(a.addr, b.addr) })
}

// plausible reports whether a number can be the address of something.
func (c *Code) plausible(v uint64) bool {
	sec := c.File.Section(v)
	return sec != nil && (!sec.Exec || c.startsAt(v))
}

func (c *Code) bounds() (lo, hi uint64) {
	if len(c.File.Segments) == 0 {
		return 0, 0
	}
	last := c.File.Segments[len(c.File.Segments)-1]
	return c.File.Segments[0].Addr, last.Addr + last.Size
}

// notData reports whether a section is the linker's and the unwinder's own,
// whose words are no pointers that a program follows.
func notData(s *elfx.Section) bool {
	switch s.Type {
	case elf.SHT_RELA, elf.SHT_REL, shtRELR, elf.SHT_DYNSYM, elf.SHT_STRTAB, elf.SHT_HASH, elf.SHT_GNU_HASH,
		elf.SHT_GNU_VERSYM, elf.SHT_GNU_VERNEED, elf.SHT_GNU_VERDEF, elf.SHT_NOTE, elf.SHT_DYNAMIC:
		return true
	}
	return strings.HasPrefix(s.Name, ".eh_frame") || s.Name == ".gcc_except_table" || s.Name == ".gopclntab"
}

// shtRELR is SHT_RELR of the gABI, which debug/elf does not name.
const shtRELR elf.SectionType = 19

func isGOT(s *elfx.Section) bool { return strings.HasPrefix(s.Name, ".got") }

func isPLT(s *elfx.Section) bool { return strings.HasPrefix(s.Name, ".plt") || s.Name == ".iplt" }

// dense is the share of an executable section that functions of known extent
// cover where compilers wrote unwind information for all they made: what is
// left is padding, and tables.
const dense = 0.8

// discover finds functions in sections that tell little about theirs (musl,
// assembly, what was compiled without unwind tables): at call targets, at
// addresses that code takes, and at addresses that data holds.
func (c *Code) discover() {
	starts := map[uint64]bool{}
	for i := range c.File.Sections {
		sec := &c.File.Sections[i]
		if !sec.Exec || isPLT(sec) || sec.Coverage >= dense || len(sec.Data) < 16 {
			continue
		}
		c.candidates(sec, starts)
	}
	for a := range starts {
		if i, ok := c.search(a); ok || i > 0 && a < c.funcs[i-1].End && c.funcs[i-1].exact {
			delete(starts, a)
		}
	}
	if len(starts) == 0 {
		return
	}
	for a := range starts {
		c.funcs = append(c.funcs, &Func{Code: c, Start: a})
	}
	slices.SortFunc(c.funcs, func(a, b *Func) int { return compare(a.Start, b.Start) })
	for i, f := range c.funcs {
		end := c.File.Section(f.Start)
		next := end.Addr + end.Size
		if i+1 < len(c.funcs) {
			next = min(next, c.funcs[i+1].Start)
		}
		if f.End == 0 || f.End > next {
			f.End = next
		}
	}
}

// tailCalls adds the targets of jumps from one function into what was taken
// for another one: those are functions that nothing calls. It looks once: what
// it finds cuts other functions in two, whose own jumps would then look alike.
func (c *Code) tailCalls(jumps []insn.Inst, starts map[uint64]bool) {
	all := make([]uint64, 0, len(starts)+len(c.funcs))
	for a := range starts {
		all = append(all, a)
	}
	for _, f := range c.funcs {
		all = append(all, f.Start)
	}
	slices.Sort(all)
	of := func(addr uint64) int {
		i, ok := slices.BinarySearch(all, addr)
		if !ok {
			i--
		}
		return i
	}
	for _, j := range jumps {
		if sec := c.File.Section(uint64(j.Imm)); sec == nil || !sec.Exec || isPLT(sec) || sec.Coverage >= dense {
			continue
		}
		if t := uint64(j.Imm); of(t) != of(j.Addr) {
			starts[t] = true
		}
	}
}

func (c *Code) candidates(sec *elfx.Section, starts map[uint64]bool) {
	within := func(a uint64) bool { return a >= sec.Addr && a < sec.Addr+sec.Size }
	add := func(a uint64) {
		if within(a) && (a%4 == 0 || c.File.Machine != elf.EM_AARCH64) {
			starts[a] = true
		}
	}
	var jumps []insn.Inst
	for _, in := range c.Machine.Lift(nil, sec.Data, sec.Addr) {
		switch in.Op {
		case insn.Call:
			add(uint64(in.Imm))
		case insn.Jump:
			jumps = append(jumps, in)
		}
	}
	defer func() { c.tailCalls(jumps, starts) }()
	var sweep insn.Sweep
	c.Machine.Sweep(sec.Data, sec.Addr, c.sweepOptions(), &sweep)
	for _, r := range sweep.Refs {
		if r.Access == insn.Address && r.Size == 0 {
			add(r.Addr)
		}
	}
	for _, s := range c.slots {
		if s.kind == relative || s.kind == resolver {
			add(uint64(s.addend))
		}
	}
	add(c.File.Entry)
	add(c.File.Dynamic.Init)
	add(c.File.Dynamic.Fini)
	if !c.fixed {
		return
	}
	for i := range c.File.Sections {
		data := &c.File.Sections[i]
		if data.Exec || notData(data) {
			continue
		}
		for off := int(-data.Addr & 7); off+8 <= len(data.Data); off += 8 {
			add(binary.LittleEndian.Uint64(data.Data[off:]))
		}
	}
}
