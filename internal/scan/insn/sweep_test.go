package insn

import (
	"encoding/binary"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// sweepCase is a function with what Sweep finds in it. Sites count from the
// function's start, which is at base; so do targets of branches.
type sweepCase struct {
	name, source string
	opt          SweepOptions
	want         Sweep
}

const base = 0x401000

func runSweeps(t *testing.T, m *Machine, as []string, header string, cases []sweepCase) {
	t.Helper()
	for _, tt := range cases {
		t.Run(tt.name, func(t *testing.T) {
			code, _ := assemble(t, as, header+tt.source+"\n")
			var got Sweep
			m.Sweep(code, base, tt.opt, &got)
			got.Insts = 0
			if diff := cmp.Diff(tt.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("% x: -want +got\n%s", code, diff)
			}
		})
	}
}

func TestSweepX86(t *testing.T) {
	need(t, "as", "binutils")
	absolute := SweepOptions{Absolute: true, Low: 0x400000, High: 0x500000}
	runSweeps(t, X8664(), []string{"as", "--64"}, ".intel_syntax noprefix\n", []sweepCase{
		{name: "branches", source: "call .+0x100; je .+0x100; jmp .+2; loop .-0x10; ret", want: Sweep{TableLimit: -1, Branches: []Branch{
			{base, base + 0x100, true}, {base + 5, base + 0x105, false}, {base + 13, base + 13 - 0x10, false},
		}}},
		{name: "no relocation of the end", source: "jmp .+2", want: Sweep{TableLimit: -1, Branches: []Branch{{base, base + 2, false}}}},
		{name: "slots", source: "call [rip+0x10]; bnd jmp [rip+0x10]; call [0x601000]; call fs:[0x10]; ret", want: Sweep{TableLimit: -1,
			Slots:    []SlotUse{{base, base + 0x16, true}, {base + 6, base + 0x1d, false}, {base + 13, 0x601000, true}},
			Indirect: []Indirect{{base + 20, true}},
		}},
		{name: "indirect", source: "call rax; call [rax+8]; jmp [0x402000+rax*8]", want: Sweep{TableLimit: -1,
			Indirect: []Indirect{{base, true}, {base + 2, true}, {base + 5, false}},
		}},
		{name: "indirect absolute", opt: absolute, source: "jmp [0x402000+rax*8]", want: Sweep{TableLimit: -1,
			Indirect: []Indirect{{base, false}}, Refs: []Ref{{base, 0x402000, Address, 0}},
		}},
		{name: "references", source: "lea rax, [rip]; mov eax, [rip]; mov [rip], ax; lock xadd [rip], rax; cmp byte ptr [rip], 1; movaps xmm0, [rip]; ret",
			want: Sweep{TableLimit: 1, Refs: []Ref{
				{base, base + 7, Address, 0}, {base + 7, base + 13, Read, 4}, {base + 13, base + 20, Write, 2},
				{base + 20, base + 29, ReadWrite, 8}, {base + 29, base + 36, Read, 1}, {base + 36, base + 43, Read, 16},
			}}},
		{name: "absolute", opt: absolute, source: "mov edi, 0x401234; mov eax, [0x402000]; mov dword ptr [0x402004], 0x3fffff; " +
			"lea rax, [rbx+0x402008]; movabs al, [0x402010]; mov rax, fs:[0x402000]; push 0x500000; ret",
			want: Sweep{TableLimit: -1, Refs: []Ref{
				{base, 0x401234, Address, 0}, {base + 5, 0x402000, Read, 4}, {base + 12, 0x402004, Write, 4},
				{base + 23, 0x402008, Address, 0}, {base + 30, 0x402010, Read, 1},
			}}},
		{name: "syscalls", source: "syscall; int 0x80; sysenter; int 0x81; ret", want: Sweep{TableLimit: -1,
			Syscalls: []uint64{base}, Legacy: []uint64{base + 2, base + 4},
		}},
		{name: "limit", source: "cmp eax, 7; cmp dl, 0xc8; cmp qword ptr [rax], -1; add eax, 1000; ret", want: Sweep{TableLimit: 200}},
		{name: "limit by mask", source: "cmp eax, 7; and ecx, 63; ret", want: Sweep{TableLimit: 63}},
		{name: "limit by byte", source: "movzx eax, byte ptr [rdi]; jmp [rdx+rax*8]", want: Sweep{TableLimit: 255, Indirect: []Indirect{{base + 3, false}}}},
		{name: "bad bytes", source: "nop; .byte 6, 6; ret", want: Sweep{TableLimit: -1, Bad: 2, Cut: true}},
		{name: "falls through", source: "nop", want: Sweep{TableLimit: -1, FallsThrough: true}},
		{name: "padding", source: "ret; nop; nop word ptr cs:[rax+rax]; xchg ax, ax; int3", want: Sweep{TableLimit: -1}},
		{name: "code after return", source: "ret; nop; inc eax", want: Sweep{TableLimit: -1, FallsThrough: true}},
		{name: "trap", source: "ud2", want: Sweep{TableLimit: -1}},
		{name: "halt", source: "hlt; nop", want: Sweep{TableLimit: -1}},
		{name: "last call", source: "call rax", want: Sweep{TableLimit: -1, Indirect: []Indirect{{base, true}}}},
		{name: "call and padding", source: "call rax; nop", want: Sweep{TableLimit: -1, Indirect: []Indirect{{base, true}}, FallsThrough: true}},
	})
}

func TestSweepARM64(t *testing.T) {
	need(t, "aarch64-linux-gnu-as", "binutils-aarch64-linux-gnu")
	// The assembler leaves ADRP to the linker: "adrp x19, ." is this page, and
	// 0xd0000013 is x19 with the page 0x2000 on.
	const page = base &^ 0xfff
	runSweeps(t, ARM64(), []string{"aarch64-linux-gnu-as", "-march=armv8.5-a"}, "", []sweepCase{
		{name: "branches", source: "bl .+0x100; b.eq .+0x100; cbz x0, .+4; tbnz w0, #3, .-0x10; ret", want: Sweep{TableLimit: -1, Branches: []Branch{
			{base, base + 0x100, true}, {base + 4, base + 0x104, false}, {base + 12, base + 12 - 0x10, false},
		}}},
		{name: "indirect", source: "blr x0; br x1; braa x1, x2; blraaz x0; retaa", want: Sweep{TableLimit: -1, Indirect: []Indirect{
			{base, true}, {base + 4, false}, {base + 8, false}, {base + 12, true},
		}}},
		{name: "syscall", source: "svc #0; ret", want: Sweep{TableLimit: -1, Syscalls: []uint64{base}}},
		{name: "pair", source: "adrp x0, .; add x1, x0, #0x123; ldr w2, [x0, #8]; strb w2, [x0, #1]; ldp x2, x3, [x0, #16]; ldr q0, [x0, #32]; ret",
			want: Sweep{TableLimit: -1, Refs: []Ref{
				{base + 4, page + 0x123, Address, 0}, {base + 8, page + 8, Read, 4}, {base + 12, page + 1, Write, 1},
				{base + 16, page + 16, Read, 16}, {base + 20, page + 32, Read, 16},
			}}},
		{name: "across blocks", source: "adrp x19, .; cbz x0, 1f; .inst 0xd0000013; b 1f; nop; 1: add x0, x19, #1; ret", want: Sweep{TableLimit: -1, Refs: []Ref{
			{base + 20, page + 1, Address, 0}, {base + 20, page + 0x2001, Address, 0},
		}}},
		{name: "backwards", source: "b 2f; 1: add x0, x19, #1; ret; 2: adrp x19, .; b 1b", want: Sweep{TableLimit: -1, Refs: []Ref{
			{base + 4, page + 1, Address, 0},
		}}},
		{name: "moved", source: "adrp x1, .; mov x2, x1; csel x3, x2, x4, eq; ldr x0, [x3, #8]; ret", want: Sweep{TableLimit: -1, Refs: []Ref{
			{base + 12, page + 8, Read, 8},
		}}},
		{name: "overwritten", source: "adrp x1, .; ldr x1, [x1, #8]; ldr x0, [x1, #16]; ret", want: Sweep{TableLimit: -1, Refs: []Ref{
			{base + 4, page + 8, Read, 8},
		}}},
		{name: "kept over a call", source: "adrp x19, .; .inst 0xb0000001; bl .+0x100; ldr x0, [x19, #8]; ldr x0, [x1, #8]; ret",
			want: Sweep{TableLimit: -1, Branches: []Branch{{base + 8, base + 0x108, true}}, Refs: []Ref{
				{base + 4, page + 0x1000, Address, 4096}, {base + 12, page + 8, Read, 8},
			}}},
		{name: "through a jump table", source: "adrp x5, .; br x0; nop; ldr x0, [x5, #8]; ret", want: Sweep{TableLimit: -1,
			Indirect: []Indirect{{base + 4, false}}, Refs: []Ref{{base + 12, page + 8, Read, 8}},
		}},
		{name: "page alone", source: "adrp x0, .; ret", want: Sweep{TableLimit: -1, Refs: []Ref{{base, page, Address, 4096}}}},
		{name: "page stored", source: "adrp x1, .; ldr x0, [x1, #8]; str x1, [sp]; ret", want: Sweep{TableLimit: -1, Refs: []Ref{
			{base, page, Address, 4096}, {base + 4, page + 8, Read, 8},
		}}},
		{name: "atomic", source: "adrp x1, .; ldaxr w0, [x1]; ret", want: Sweep{TableLimit: -1, Refs: []Ref{{base + 4, page, ReadWrite, 64}}}},
		{name: "literals", source: "adr x0, .+8; ldr w0, .+8; ldrsw x0, .+8; ldr q0, .+16; prfm pldl1keep, .+8; ret", want: Sweep{TableLimit: -1, Refs: []Ref{
			{base, base + 8, Address, 0}, {base + 4, base + 12, Read, 4}, {base + 8, base + 16, Read, 4}, {base + 12, base + 28, Read, 16},
		}}},
		{name: "limit", source: "cmp w0, #7; and w1, w1, #0x1f; add x0, x0, #999; ret", want: Sweep{TableLimit: 31}},
		{name: "limit in a register", source: "mov w1, #5000; cmp w0, w1; ret", want: Sweep{TableLimit: 5000}},
		{name: "limit by byte", source: "ldrb w0, [x0]; br x1", want: Sweep{TableLimit: 255, Indirect: []Indirect{{base + 4, false}}}},
		{name: "bad", source: ".inst 0x02000000; .inst 0; ret; .byte 1", want: Sweep{TableLimit: -1, Bad: 3, Cut: true}},
		{name: "falls through", source: "nop", want: Sweep{TableLimit: -1, FallsThrough: true}},
		{name: "padding", source: "b .; nop; nop; .inst 0", want: Sweep{TableLimit: -1, Bad: 1}},
		{name: "last call", source: "blr x0", want: Sweep{TableLimit: -1, Indirect: []Indirect{{base, true}}}},
		{name: "call and padding", source: "blr x0; nop", want: Sweep{TableLimit: -1, Indirect: []Indirect{{base, true}}, FallsThrough: true}},
		{name: "trap", source: "brk #1000", want: Sweep{TableLimit: -1}},
	})
}

// Of 20000 pages that one register may hold at one use, all are named whole,
// and not combined with each use.
func TestARM64PagesBounded(t *testing.T) {
	var code []byte
	emit := func(w uint32) { code = binary.LittleEndian.AppendUint32(code, w) }
	const n, uses = 20000, 1000
	for i := range uint32(n) {
		emit(0x90000000 | i>>2<<5 | i&3<<29) // adrp x0, page i
		emit(0xb4000001 | (2*(n-i)-1)<<5)    // cbz x1, to the end
	}
	for range uses {
		emit(0xf9400402) // ldr x2, [x0, #8]
	}
	var out Sweep
	ARM64().Sweep(code, base, SweepOptions{}, &out)
	if len(out.Refs) > n+uses {
		t.Errorf("%d Refs", len(out.Refs))
	}
	whole := map[uint64]bool{}
	for _, r := range out.Refs {
		if r.Size == 4096 {
			whole[r.Addr] = true
		}
	}
	if len(whole) != n {
		t.Errorf("%d pages whole, want %d", len(whole), n)
	}
}

func TestPLTSlot(t *testing.T) {
	need(t, "as", "binutils")
	need(t, "aarch64-linux-gnu-as", "binutils-aarch64-linux-gnu")
	intel := ".intel_syntax noprefix\n"
	for _, tt := range []struct {
		machine *Machine
		source  string
		slot    uint64 // 0: none
	}{
		{X8664(), intel + "jmp [rip+0x10]; push 3; jmp .-0x100", base + 0x16},
		{X8664(), intel + "endbr64; bnd jmp [rip+0x10]; nop", base + 0x1b},
		{X8664(), intel + "endbr64; jmp [rip+0x10]", base + 0x1a},
		{X8664(), intel + "jmp [0x601018]", 0x601018},
		{X8664(), intel + "push [rip+0x10]; jmp [rip+0x10]", 0},
		{X8664(), intel + "endbr64; push 0; bnd jmp .-0x100", 0},
		{X8664(), intel + "jmp rax", 0},
		{X8664(), intel + "jmp fs:[0x10]", 0},
		{ARM64(), ".inst 0xd0000010; ldr x17, [x16, #0x18]; add x16, x16, #0x18; br x17", base + 0x2018},
		{ARM64(), "bti c; .inst 0xd0000010; ldr x17, [x16, #0x18]; add x16, x16, #0x18; br x17", base + 0x2018},
		{ARM64(), "bti c; .inst 0xd0000010; ldr x17, [x16, #0x18]; add x16, x16, #0x18; autia1716; br x17", base + 0x2018},
		{ARM64(), ".inst 0xd0000010; ldr x17, [x16, #0x18]; add x16, x16, #0x18; braa x17, x16", base + 0x2018},
		{ARM64(), "stp x16, x30, [sp, #-16]!; adrp x16, .; ldr x17, [x16, #0x18]; add x16, x16, #0x18; br x17", 0},
		{ARM64(), "adrp x16, .; ldr x17, [x15, #0x18]; br x17", 0},
		{ARM64(), "adrp x16, .; br x17", 0},
	} {
		as := []string{"as", "--64"}
		if tt.machine.Name == "aarch64" {
			as = []string{"aarch64-linux-gnu-as", "-march=armv8.5-a"}
		}
		code, _ := assemble(t, as, tt.source+"\n")
		slot, ok := tt.machine.PLTSlot(code, base)
		if slot != tt.slot || ok != (tt.slot != 0) {
			t.Errorf("%s: %#x, %t; want %#x", tt.source, slot, ok, tt.slot)
		}
	}
}
