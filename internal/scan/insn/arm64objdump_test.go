package insn

import (
	"debug/elf"
	"encoding/binary"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const armLibraries = "/usr/aarch64-linux-gnu/lib"

// armTally counts what a comparison saw.
type armTally struct{ files, words, branches, syscalls, pairs, literals, bad int }

func (a *armTally) add(b armTally) {
	a.files += b.files
	a.words += b.words
	a.branches += b.branches
	a.syscalls += b.syscalls
	a.pairs += b.pairs
	a.literals += b.literals
	a.bad += b.bad
}

func TestARM64Objdump(t *testing.T) {
	objdump := need(t, "aarch64-linux-gnu-objdump", "binutils-aarch64-linux-gnu")
	need(t, armLibraries+"/libc.so.6", "libc6-arm64-cross")
	var total armTally
	for _, name := range []string{"libc.so.6", "libm.so.6", "ld-linux-aarch64.so.1", "libstdc++.so.6", "libgcc_s.so.1", "libasan.so.8"} {
		if files, _ := filepath.Glob(filepath.Join(armLibraries, name)); len(files) == 1 {
			total.add(compareARM64(t, objdump, files[0]))
		}
	}
	t.Logf("%d files, %d words: %d branches, %d svc, %d ADRP pairs, %d literals and ADR agree; %d lines that are no instruction",
		total.files, total.words, total.branches, total.syscalls, total.pairs, total.literals, total.bad)
	if total.pairs == 0 || total.syscalls == 0 {
		t.Error("nothing compared")
	}
}

// armListing compares an objdump listing with a sweep of each function.
type armListing struct {
	t         *testing.T
	file      string
	functions extents
	n         armTally
	refs      map[Ref]bool // by Site and Addr only
	branches  map[Branch]bool
	syscalls  map[uint64]bool
	indirect  map[Indirect]bool
	pages     map[string]uint64 // by register, what ADRP gave it just before
}

func compareARM64(t *testing.T, objdump, file string) armTally {
	f, err := elf.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	functions, err := frames(f)
	if err != nil {
		t.Fatal(err)
	}
	section := f.Section(".text")
	text, err := section.Data()
	if err != nil {
		t.Fatal(err)
	}
	l := armListing{
		t: t, file: file, functions: functions, n: armTally{files: 1}, refs: map[Ref]bool{}, branches: map[Branch]bool{},
		syscalls: map[uint64]bool{}, indirect: map[Indirect]bool{}, pages: map[string]uint64{},
	}
	refs := l.sweepAll(text, section.Addr)
	disassemble(t, objdump, file, func(d listed) {
		slices.Reverse(d.code) // printed as a word
		if functions.has(d.addr) {
			l.check(d)
		}
	}, "-j", ".text")
	t.Logf("%-50s %+v; %d refs", file, l.n, refs)
	return l.n
}

func (l *armListing) sweepAll(text []byte, addr uint64) (refs int) {
	var out Sweep
	for _, f := range l.functions {
		if f[0] < addr || f[1] > addr+uint64(len(text)) {
			continue
		}
		ARM64().Sweep(text[f[0]-addr:f[1]-addr], f[0], SweepOptions{}, &out)
		for _, b := range out.Branches {
			l.branches[b] = true
		}
		for _, r := range out.Refs {
			l.refs[Ref{Site: r.Site, Addr: r.Addr}] = true
		}
		for _, s := range out.Syscalls {
			l.syscalls[s] = true
		}
		for _, i := range out.Indirect {
			l.indirect[i] = true
		}
		refs += len(out.Refs)
	}
	return refs
}

// check compares what one line says.
func (l *armListing) check(d listed) {
	text, _, _ := strings.Cut(d.text, " //")
	mnemonic, operands, _ := strings.Cut(text, "\t")
	w := word(binary.LittleEndian.Uint32(d.code))
	l.n.words++
	switch {
	case opaqueText(text) || mnemonic == "udf":
		l.n.bad++
		clear(l.pages)
		return
	case mnemonic == "svc":
		l.n.syscalls++
		if !l.syscalls[d.addr] {
			l.t.Errorf("%s %x: svc not found", l.file, d.addr)
		}
	case mnemonic == "br" || mnemonic == "blr":
		if !l.indirect[Indirect{d.addr, mnemonic == "blr"}] {
			l.t.Errorf("%s %x: %s not found", l.file, d.addr, text)
		}
	case mnemonic == "adr" || strings.HasPrefix(mnemonic, "ldr") && !strings.Contains(operands, "["):
		l.n.literals++
		if !l.refs[Ref{Site: d.addr, Addr: lastHex(operands)}] {
			l.t.Errorf("%s %x: %s not found", l.file, d.addr, text)
		}
	}
	l.checkBranch(d, w, mnemonic, operands)
	l.checkPair(d, mnemonic, operands)
}

// checkBranch compares the target of a direct branch.
func (l *armListing) checkBranch(d listed, w word, mnemonic, operands string) {
	base, _, _ := strings.Cut(mnemonic, ".")
	isBranch := slices.Contains([]string{"b", "bl", "cbz", "cbnz", "tbz", "tbnz"}, base)
	got, ok := w.target(d.addr)
	if isBranch != ok {
		l.t.Errorf("%s %x: %s: a branch is %t", l.file, d.addr, d.text, ok)
	}
	if !isBranch || !ok {
		return
	}
	l.n.branches++
	want := lastHex(operands)
	i, _ := slices.BinarySearchFunc(l.functions, d.addr, func(x [2]uint64, a uint64) int {
		if x[1] <= a {
			return -1
		}
		return 1
	})
	leaves := want < l.functions[i][0] || want >= l.functions[i][1]
	if got != want || leaves != l.branches[Branch{d.addr, want, base == "bl"}] {
		l.t.Errorf("%s %x: %s: target %x, want %x, leaves %t", l.file, d.addr, d.text, got, want, leaves)
	}
}

// checkPair demands a Ref where the register of an ADRP is used before
// anything else writes it or control moves.
func (l *armListing) checkPair(d listed, mnemonic, operands string) {
	fields := strings.FieldsFunc(operands, func(r rune) bool { return strings.ContainsRune(", []#!", r) })
	if mnemonic == "adrp" {
		page, _ := strconv.ParseUint(fields[1], 16, 64)
		l.pages[fields[0]] = page
		return
	}
	if strings.HasPrefix(mnemonic, "b") || strings.HasPrefix(mnemonic, "ret") {
		clear(l.pages)
		return
	}
	if want, ok := l.pairAddress(mnemonic, operands, fields); ok {
		l.n.pairs++
		if !l.refs[Ref{Site: d.addr, Addr: want}] {
			l.t.Errorf("%s %x: %s: no Ref to %x", l.file, d.addr, d.text, want)
		}
	}
	for _, f := range fields { // it may write any register that it names
		delete(l.pages, strings.Replace(f, "w", "x", 1))
	}
}

// pairAddress returns the address that "add x0, x1, #0x10" or
// "ldr x0, [x1, #16]" make of a page.
func (l *armListing) pairAddress(mnemonic, operands string, fields []string) (uint64, bool) {
	isMemory := strings.HasPrefix(mnemonic, "ld") || strings.HasPrefix(mnemonic, "st")
	_, inside, brackets := strings.Cut(operands, "[")
	if isMemory && brackets {
		fields = strings.FieldsFunc(inside, func(r rune) bool { return strings.ContainsRune(", ]#!", r) })
		fields = append([]string{""}, fields...)
	} else if mnemonic != "add" {
		return 0, false
	}
	if len(fields) < 2 || len(fields) > 3 || isMemory && strings.Contains(inside, "],") {
		return 0, false
	}
	page, ok := l.pages[fields[1]]
	if !ok || len(fields) == 2 {
		return page, ok && isMemory
	}
	offset, err := strconv.ParseInt(fields[2], 0, 64)
	return page + uint64(offset), err == nil
}

// lastHex returns the address at the end of "x0, 1234 <symbol+0x10>".
func lastHex(operands string) uint64 {
	operands, _, _ = strings.Cut(operands, " <")
	fields := strings.Fields(operands)
	v, _ := strconv.ParseUint(strings.TrimPrefix(fields[len(fields)-1], "0x"), 16, 64)
	return v
}
