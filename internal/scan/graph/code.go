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

	summary *summary   // nil if nothing is kept
	lifted  *sync.Pool // of *[]insn.Inst

	fixed bool // loaded where it says: addresses are plain numbers in code and data

	mu      sync.Mutex
	funcs   []*Func      // sorted by start
	starts  []uint64     // of funcs
	all     []*Func      // by id
	slots   []elfx.Reloc // of places that hold an address, sorted: see slot
	extents []extent     // of data that holds addresses, sorted
	rels    relTypes
}

// slot is a place in data that holds an address once the object is loaded.
type slot struct {
	addr   uint64
	addend int64 // or the address, for relative ones
	symbol int32 // of dynsym, for bound slots
	kind   slotKind
}

type slotKind uint8

const (
	relative slotKind = iota // addend is an address in this object
	resolver                 // addend is the address of an IFUNC resolver
	bound                    // the address of a symbol, plus addend
	copied                   // a COPY of another object's data
	unknown                  // none of these
)

// Func is a function: a stretch of code that is entered at its start.
type Func struct {
	Code       *Code
	Start, End uint64

	id     int32 // of Code's, in the order in which they were found
	insts  int32
	named  bool // a symbol begins there
	exact  bool // its end is known for sure
	goABI  bool // Go's calling convention: no register survives a call
	swept  bool
	runsOn bool // control runs past its end into the next function

	mu    sync.Mutex // of swept, and of what follows
	out   kept       // branches out of it, jump tables included; slots; refs of code, and of data that holds addresses
	rare  *rare      // nil if there is none of it
	known *knowledge // nil before anybody asks for values
}

// rare is what few functions have.
type rare struct {
	syscalls []uint64 // sites
	legacy   []uint64 // int 0x80 and sysenter
	tables   []uint64 // targets of jump tables within the function
	tabled   int      // how many jump tables there are
}

// knowledge is what was found out about the values in a function.
type knowledge struct {
	entries []uint64 // within the function, that code of others is seen to jump to, or takes the address of
	values  *value.Function
	refined bool
	better  *value.Function // nil if no better than values
}

// Syscalls returns the sites of system calls, once the function lives.
func (f *Func) Syscalls() []uint64 {
	if f.rare == nil {
		return nil
	}
	return f.rare.syscalls
}

// Legacy returns the sites of int 0x80 and sysenter, once the function lives.
func (f *Func) Legacy() []uint64 {
	if f.rare == nil {
		return nil
	}
	return f.rare.legacy
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

// prepare makes an object ready for analysis; nil if it is for a machine whose
// code cannot be read.
func prepare(obj *link.Object, lifted *sync.Pool) *Code {
	f := obj.File
	m, rels, ok := machine(f.Machine)
	if !ok {
		return nil
	}
	c := &Code{Object: obj, File: f, Machine: m, rels: rels, fixed: f.Type == elf.ET_EXEC, lifted: lifted}
	all := make([]Func, len(f.Functions))
	c.funcs, c.starts = make([]*Func, len(all)), make([]uint64, len(all))
	for i, fn := range f.Functions {
		f := &all[i]
		f.Code, f.Start, f.End, f.id = c, fn.Start, fn.End, int32(i)
		f.goABI, f.exact = fn.Source == elfx.Go, fn.Source != elfx.Sym
		c.funcs[i], c.starts[i] = f, f.Start
	}
	c.all = slices.Clone(c.funcs)
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

// relocated returns the relocations that fill slots. There are many, and most
// objects have no other: then they are the file's own.
func (c *Code) relocated() []elfx.Reloc {
	other := func(r elfx.Reloc) bool { return c.kind(r.Type) == unknown }
	if !slices.ContainsFunc(c.File.Relocs, other) {
		return slices.Clip(c.File.Relocs)
	}
	return slices.DeleteFunc(slices.Clone(c.File.Relocs), other)
}

// slot is the i-th slot.
func (c *Code) slot(i int) slot {
	r := &c.slots[i]
	s := slot{addr: r.Offset, addend: r.Addend, symbol: r.Symbol, kind: c.kind(r.Type)}
	if s.kind == bound && r.Type != c.rels.absolute && c.File.Machine == elf.EM_X86_64 {
		s.addend = 0 // S, not S + A: psABI, table 4.9
	}
	return s
}

// kind is what a relocation of a type fills a slot with.
func (c *Code) kind(typ uint32) slotKind {
	switch typ {
	case c.rels.relative:
		return relative
	case c.rels.irelative:
		return resolver
	case c.rels.copied:
		return copied
	case c.rels.absolute, c.rels.globDat, c.rels.jumpSlot:
		return bound
	}
	return unknown
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
		known[s.Offset] = true
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
			c.slots = append(c.slots, elfx.Reloc{Offset: sec.Addr + uint64(off), Type: c.rels.relative, Addend: int64(v)})
		}
	}
	slices.SortStableFunc(c.slots, func(a, b elfx.Reloc) int { return compare(a.Offset, b.Offset) })
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
		c.funcs = append(c.funcs, c.function(a, 0))
	}
	slices.SortFunc(c.funcs, func(a, b *Func) int { return compare(a.Start, b.Start) })
	c.starts = c.starts[:0]
	for _, f := range c.funcs {
		c.starts = append(c.starts, f.Start)
	}
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

// function makes another function.
func (c *Code) function(start, end uint64) *Func {
	f := &Func{Code: c, Start: start, End: end, id: int32(len(c.all))}
	c.all = append(c.all, f)
	return f
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
	for i := range c.slots {
		if s := c.slot(i); s.kind == relative || s.kind == resolver {
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
