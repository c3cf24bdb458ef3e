package insn

import (
	"debug/elf"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestX86Refs compares what Sweep finds in each function with what objdump's
// text says: branches that leave, syscalls, memory relative to RIP with its
// access and size.
func TestX86Refs(t *testing.T) {
	objdump := need(t, "objdump", "binutils")
	total := map[string]int{}
	for _, pattern := range []string{
		"/lib64/ld-linux-x86-64.so.2", "/lib/x86_64-linux-gnu/libc.so.6", "/usr/lib/x86_64-linux-gnu/libcrypto.so.3",
		"/usr/lib/x86_64-linux-gnu/libstdc++.so.6", "/usr/lib/x86_64-linux-gnu/libx265.so.199", "/usr/bin/git",
	} {
		if files, _ := filepath.Glob(pattern); len(files) > 0 {
			r := refListing{t: t, file: files[0], total: total}
			r.compare(objdump)
		}
	}
	t.Log(total)
	for _, kind := range []string{"branch", "syscall", "Read", "Write", "ReadWrite", "lea", "slot"} {
		if total[kind] == 0 {
			t.Errorf("no %s compared", kind)
		}
	}
}

// refListing compares one file.
type refListing struct {
	t         *testing.T
	file      string
	functions extents
	refs      map[uint64]Ref
	slots     map[SlotUse]bool
	branches  map[Branch]bool
	syscalls  map[uint64]bool
	total     map[string]int
}

func (r *refListing) compare(objdump string) {
	f, err := elf.Open(r.file)
	if err != nil {
		r.t.Fatal(err)
	}
	defer f.Close()
	if r.functions, err = frames(f); err != nil {
		r.t.Fatal(err)
	}
	section := f.Section(".text")
	text, err := section.Data()
	if err != nil {
		r.t.Fatal(err)
	}
	r.refs, r.slots, r.branches, r.syscalls = map[uint64]Ref{}, map[SlotUse]bool{}, map[Branch]bool{}, map[uint64]bool{}
	var out Sweep
	for _, e := range r.functions {
		if e[0] >= section.Addr && e[1] <= section.Addr+uint64(len(text)) {
			X8664().Sweep(text[e[0]-section.Addr:e[1]-section.Addr], e[0], SweepOptions{}, &out)
			r.take(&out)
		}
	}
	disassemble(r.t, objdump, r.file, func(l listed) {
		if r.functions.has(l.addr) && !opaqueText(l.text) {
			r.check(l)
		}
	}, "-M", "intel", "-j", ".text")
}

func (r *refListing) take(out *Sweep) {
	for _, x := range out.Refs {
		r.refs[x.Site] = x
	}
	for _, x := range out.Slots {
		r.slots[x] = true
	}
	for _, x := range out.Branches {
		r.branches[x] = true
	}
	for _, x := range out.Syscalls {
		r.syscalls[x] = true
	}
}

var (
	ripOperand   = regexp.MustCompile(`^(?:(\w+) PTR )?(?:[c-g]s:)?\[rip[+-]0x[0-9a-f]+\]$`)
	directBranch = regexp.MustCompile(`^(?:bnd |notrack |data16 |rex\.W )*(call|jmp|j[a-z]+|loop[a-z]*) +([0-9a-f]+)(?: <.*)?$`)
)

func (r *refListing) check(l listed) {
	text, comment, hasComment := strings.Cut(l.text, "#")
	text = strings.TrimSpace(text)
	if m := directBranch.FindStringSubmatch(text); m != nil {
		r.checkBranch(l, m[1] == "call", m[2])
		return
	}
	mnemonic, operands := instruction(text)
	if mnemonic == "syscall" {
		r.total["syscall"]++
		if !r.syscalls[l.addr] {
			r.t.Errorf("%s %x: syscall not found", r.file, l.addr)
		}
	}
	if !hasComment || !strings.Contains(text, "[rip") {
		return
	}
	addr, err := strconv.ParseUint(strings.Fields(comment)[0], 16, 64)
	at := slices.IndexFunc(operands, ripOperand.MatchString)
	if err != nil || at < 0 {
		r.t.Errorf("%s %x: cannot read %q", r.file, l.addr, l.text)
		return
	}
	r.checkMemory(l, mnemonic, operands, at, addr)
}

// instruction splits "lock add DWORD PTR [rip+0x10],eax".
func instruction(text string) (mnemonic string, operands []string) {
	for _, prefix := range []string{"data16 ", "lock ", "bnd ", "notrack ", "rep ", "repz ", "repnz "} {
		text = strings.TrimPrefix(text, prefix)
	}
	mnemonic, rest, _ := strings.Cut(text, " ")
	return mnemonic, strings.Split(strings.TrimSpace(rest), ",")
}

func (r *refListing) checkBranch(l listed, isCall bool, text string) {
	target, _ := strconv.ParseUint(text, 16, 64)
	i, _ := slices.BinarySearchFunc(r.functions, l.addr, func(x [2]uint64, a uint64) int {
		if x[1] <= a {
			return -1
		}
		return 1
	})
	leaves := target < r.functions[i][0] || target >= r.functions[i][1]
	r.total["branch"]++
	if leaves != r.branches[Branch{l.addr, target, isCall}] {
		r.t.Errorf("%s %x: %s: leaves %t", r.file, l.addr, l.text, leaves)
	}
}

// memorySizes are the sizes that objdump names.
var memorySizes = map[string]uint16{
	"BYTE": 1, "WORD": 2, "DWORD": 4, "FWORD": 6, "QWORD": 8, "TBYTE": 10, "XMMWORD": 16, "YMMWORD": 32, "ZMMWORD": 64,
}

func (r *refListing) checkMemory(l listed, mnemonic string, operands []string, at int, addr uint64) {
	access := accessOf(mnemonic, at)
	size := memorySizes[ripOperand.FindStringSubmatch(operands[at])[1]]
	got, ok := r.refs[l.addr]
	switch {
	case strings.HasPrefix(mnemonic, "nop") || strings.HasPrefix(mnemonic, "prefetch"):
		if ok {
			r.t.Errorf("%s %x: %s: %+v", r.file, l.addr, l.text, got)
		}
	case mnemonic == "call" || mnemonic == "jmp":
		r.total["slot"]++
		if !r.slots[SlotUse{l.addr, addr, mnemonic == "call"}] {
			r.t.Errorf("%s %x: %s: no slot", r.file, l.addr, l.text)
		}
	case mnemonic == "lea":
		r.total["lea"]++
		if got != (Ref{Site: l.addr, Addr: addr}) {
			r.t.Errorf("%s %x: %s: %+v", r.file, l.addr, l.text, got)
		}
	default:
		r.total[[]string{"", "Read", "Write", "ReadWrite"}[access]]++
		exact := got.Size == size || got.Size == 64 && size < 64 && isVector(operands)
		if !ok || got.Addr != addr || got.Access != access || size != 0 && !exact {
			r.t.Errorf("%s %x: %s: %+v, want access %d, size %d", r.file, l.addr, l.text, got, access, size)
		}
	}
}

// isVector reports an instruction on vectors, whose size may be unsure.
func isVector(operands []string) bool {
	return slices.ContainsFunc(operands, func(o string) bool { return strings.Contains(o, "mm") || strings.HasPrefix(o, "k") })
}

// accessOf tells by the mnemonic and the place of the memory operand what is
// done with it: first is the destination.
func accessOf(mnemonic string, at int) Access {
	if mnemonic == "xchg" || mnemonic == "xadd" {
		return ReadWrite
	}
	if at > 0 {
		return Read
	}
	reads := "cmp test push mul imul div idiv bt ucomiss ucomisd comiss comisd ldmxcsr fld fild fadd fsub fsubr fmul fdiv fdivr fcom fcomp " +
		"fiadd fisub fisubr fimul fidiv fidivr ficom ficomp fldcw fldenv fbld vldmxcsr"
	writes := "pop stmxcsr vstmxcsr fst fstp fist fistp fisttp fnstcw fnstenv fnstsw fbstp movnti"
	switch {
	case slices.Contains(strings.Fields(reads), mnemonic):
		return Read
	case slices.Contains(strings.Fields(writes), mnemonic), strings.HasPrefix(mnemonic, "mov"), strings.HasPrefix(mnemonic, "vmov"),
		strings.HasPrefix(mnemonic, "set"), strings.HasPrefix(mnemonic, "vextract"), strings.HasPrefix(mnemonic, "vpmov"),
		strings.HasPrefix(mnemonic, "pextr"), strings.HasPrefix(mnemonic, "vpextr"), strings.HasPrefix(mnemonic, "vpcompress"):
		return Write
	}
	return ReadWrite
}
