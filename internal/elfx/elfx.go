// Package elfx reads ELF files that nobody vouches for.
//
// In goes a whole file as bytes, out come the parts that say how its code is
// laid out, linked and entered: segments, sections, the dynamic table, symbols
// with versions, relocations with RELR expanded, and functions with their
// extents from unwind information, symbols and Go's pclntab. Only 64-bit
// little-endian x86-64 and AArch64 programs and shared objects are read; what
// else there is gives [ErrUnsupported] and says what it is.
//
// Whatever the bytes say, Parse neither panics nor loops, and its time and
// memory are linear in the size of the file. The result shares the memory of
// its input, which it never writes.
//
// Sources: System V gABI (chapters 4 and 5), the psABIs for x86-64 and
// AArch64, elf(5), LSB 5.0 (.eh_frame, symbol versions), and src/runtime/
// symtab.go of Go for the pclntab.
package elfx

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
)

// ErrUnsupported says that a file is ELF, but no 64-bit little-endian program
// or shared object for x86-64 or AArch64.
var ErrUnsupported = errors.New("not supported")

// ErrDamaged says that a file is cut short or contradicts itself.
var ErrDamaged = errors.New("damaged")

// Ident is what the first bytes of an ELF file say about it.
type Ident struct {
	Class   elf.Class
	Data    elf.Data
	Machine elf.Machine
	Type    elf.Type
}

// String names the kind of file for people: "EM_386 ELFCLASS32 ET_EXEC".
func (i Ident) String() string { return fmt.Sprintf("%v %v %v", i.Machine, i.Class, i.Type) }

// headLen is how many bytes Identify wants.
const headLen = 20

// Identify reads the first bytes of a file; false if it is no ELF file.
func Identify(head []byte) (Ident, bool) {
	if len(head) < headLen || string(head[:4]) != elf.ELFMAG {
		return Ident{}, false
	}
	i := Ident{Class: elf.Class(head[4]), Data: elf.Data(head[5])}
	half := func(at int) uint16 {
		if i.Data == elf.ELFDATA2MSB {
			return uint16(head[at])<<8 | uint16(head[at+1])
		}
		return uint16(head[at+1])<<8 | uint16(head[at])
	}
	i.Type, i.Machine = elf.Type(half(16)), elf.Machine(half(18))
	return i, true
}

// File is a program or shared object.
type File struct {
	Ident
	Entry   uint64
	Interp  string // the dynamic linker it asks for, "" if none
	BuildID string // hex, "" if none

	Segments []Segment // loaded, sorted by Addr
	// Sections are those that are loaded, sorted by Addr, not overlapping. A file
	// whose section headers are missing or do not fit its segments gets one for
	// each segment.
	Sections  []Section
	Dynamic   Dynamic
	Symbols   []Symbol   // of the dynamic symbol table; [0] is the null symbol
	Locals    []Symbol   // of .symtab: functions and objects
	Relocs    []Reloc    // those that put an address somewhere, sorted by Offset
	Functions []Function // sorted by Start, not overlapping

	data  []byte
	names map[uint64]string
	pcln  *pclntab
}

// Segment is a PT_LOAD. Bytes from len(Data) to Size are zero.
type Segment struct {
	Addr, Size  uint64
	Data        []byte
	Exec, Write bool
}

// Section is a loaded section. Bytes from len(Data) to Size are zero.
type Section struct {
	Name             string
	Type             elf.SectionType
	Addr, Size       uint64
	Data             []byte
	Exec, Write, TLS bool
	// Coverage is the share of an executable section that functions of known
	// extent cover.
	Coverage float64
}

// Dynamic is what the dynamic table says to the dynamic linker: ld.so(8).
type Dynamic struct {
	Needed         []string
	Soname         string
	RPath, RunPath []string // split at ':', $ORIGIN and its like unexpanded
	Init, Fini     uint64
	PreinitArray   Range
	InitArray      Range
	FiniArray      Range
	Flags, Flags1  uint64
}

// Range is a stretch of addresses.
type Range struct{ Addr, Size uint64 }

// Symbol is a symbol. Version is "" where it has none.
type Symbol struct {
	Name          string
	Version       string
	VersionHidden bool   // name@version: bound only by who asks for the version
	Library       string // of an undefined symbol: the file that shall define the version
	Value, Size   uint64
	Type          elf.SymType
	Bind          elf.SymBind
	Vis           elf.SymVis
	Defined       bool
	Absolute      bool
}

// Reloc is a relocation with addend. Symbol is an index of File.Symbols, or 0.
type Reloc struct {
	Offset uint64
	Addend int64
	Type   uint32
	Symbol int32
}

// Source says how a function is known.
type Source uint8

// Sources of functions.
const (
	FDE Source = iota // unwind information
	Sym               // a symbol
	Go                // Go's pclntab: the function follows Go's calling convention
)

// Function is the extent of a function's code.
type Function struct {
	Start, End uint64
	Source     Source
}

// Parse reads an ELF file.
func Parse(data []byte) (*File, error) { return parse(data, true) }

// Outline reads as much of an ELF file as says how it is linked, and is faster by
// far: Locals, Relocs and Functions are missing.
func Outline(data []byte) (*File, error) { return parse(data, false) }

func parse(data []byte, whole bool) (f *File, err error) {
	ident, ok := Identify(data)
	if !ok {
		return nil, fmt.Errorf("no ELF file: %w", ErrUnsupported)
	}
	if err := supported(ident); err != nil {
		return nil, err
	}
	if len(data) > maxSize {
		return nil, fmt.Errorf("%d bytes, more than the %d that are read", len(data), maxSize)
	}
	// The last line: whatever was overlooked is the file's fault, not the caller's.
	defer func() {
		if r := recover(); r != nil {
			f, err = nil, fmt.Errorf("%w: %v", ErrDamaged, r)
		}
	}()
	p := &parser{data: data, f: &File{Ident: ident, data: data, names: map[uint64]string{}}}
	for _, step := range []func() error{p.header, p.segments, p.sections, p.dynamic, p.symbols} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	if !whole {
		return p.f, nil
	}
	p.locals()
	if err := p.relocations(); err != nil {
		return nil, err
	}
	p.functions()
	return p.f, nil
}

// maxSize bounds a file, in bytes: distances within one fit 32 bits.
const maxSize = 2 << 30

func supported(i Ident) error {
	switch {
	case i.Class != elf.ELFCLASS64 || i.Data != elf.ELFDATA2LSB, i.Machine != elf.EM_X86_64 && i.Machine != elf.EM_AARCH64:
		return fmt.Errorf("%v: %w", i, ErrUnsupported)
	case i.Type != elf.ET_EXEC && i.Type != elf.ET_DYN:
		return fmt.Errorf("%v: neither a program nor a shared object: %w", i, ErrUnsupported)
	}
	return nil
}

// Section returns the section that contains an address; nil if none does.
func (f *File) Section(addr uint64) *Section {
	lo, hi := 0, len(f.Sections) // asked for millions of times: no function call
	for lo < hi {
		if mid := int(uint(lo+hi) >> 1); f.Sections[mid].Addr <= addr {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == 0 || addr-f.Sections[lo-1].Addr >= f.Sections[lo-1].Size {
		return nil
	}
	return &f.Sections[lo-1]
}

// Bytes returns n bytes at an address; nil if the file does not have them all
// in one section.
func (f *File) Bytes(addr uint64, n int) []byte {
	s := f.Section(addr)
	if s == nil || n < 0 {
		return nil
	}
	off := addr - s.Addr
	if off > uint64(len(s.Data)) || uint64(n) > uint64(len(s.Data))-off {
		return nil
	}
	return s.Data[off : off+uint64(n)]
}

// maxString bounds strings in data: PATH_MAX.
const maxString = 4096

// CString returns the NUL-terminated string at an address; false if there is
// none shorter than PATH_MAX.
func (f *File) CString(addr uint64) (string, bool) {
	s := f.Section(addr)
	if s == nil || addr-s.Addr >= uint64(len(s.Data)) {
		return "", false
	}
	b := s.Data[addr-s.Addr:]
	b = b[:min(len(b), maxString)]
	n := bytes.IndexByte(b, 0)
	if n < 0 {
		return "", false
	}
	return string(b[:n]), true
}

// FunctionName is the symbol of the function that begins at an address; "" if
// nothing says.
func (f *File) FunctionName(addr uint64) string {
	if n := f.names[addr]; n != "" || f.pcln == nil {
		return n
	}
	return f.pcln.name(addr)
}

// Contents is the whole file. It must not be changed.
func (f *File) Contents() []byte { return f.data }

// IsGo reports whether the file has code made by Go's compiler.
func (f *File) IsGo() bool { return f.pcln != nil }
