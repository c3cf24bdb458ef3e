// Package insn reads machine code of x86-64 and arm64.
//
// Sweep reads a function once and lists what a call graph needs; Lift
// translates it to a few simple operations for value analysis. Neither claims
// what the processor would not do: what is not modelled is said to be unknown.
//
// Sources: Intel 64 and IA-32 Architectures Software Developer's Manual
// (volume 2, appendix A: opcode map), AMD64 Architecture Programmer's Manual
// (volume 3; XOP in volume 4), Arm Architecture Reference Manual for A-profile
// (DDI 0487, C4: A64 encoding), System V ABI (AMD64, section 3.2 and A.2),
// AAPCS64, syscall(2).
package insn

// Reg is a general-purpose register. x86-64: 0…15 in encoding order, RAX RCX
// RDX RBX RSP RBP RSI RDI R8…R15, and 16 is none of the processor's: Lift puts
// there what goes from memory to memory. arm64: X0…X30, and 31 is SP; the zero
// register never appears.
type Reg uint8

// NoReg stands where there is no register.
const NoReg Reg = 0xff

// RegSet is a set of registers: bit n is Reg n.
type RegSet uint64

// Regs returns the set of the registers given. NoReg is left out.
func Regs(regs ...Reg) RegSet {
	var s RegSet
	for _, r := range regs {
		if r < 64 {
			s |= 1 << r
		}
	}
	return s
}

// Has reports whether r is in the set.
func (s RegSet) Has(r Reg) bool { return r < 64 && s>>r&1 != 0 }

// Machine is a processor architecture with the conventions of Linux and C on
// it. It is immutable.
type Machine struct {
	Name           string // as uname -m has it: x86_64, aarch64
	Regs           int    // registers: Reg 0…Regs-1
	SP             Reg
	Number         Reg    // holds a syscall's number
	Args           [6]Reg // hold a syscall's arguments
	Params         []Reg  // hold a C function's parameters
	Return         Reg    // holds a function's or a syscall's result
	Scratch        RegSet // not preserved by a C call
	SyscallScratch RegSet // not preserved by a syscall
	CallPush       int64  // bytes that a call pushes

	arch arch
}

// arch does what differs between architectures.
type arch interface {
	sweep(code []byte, addr uint64, opt SweepOptions, out *Sweep)
	pltSlot(code []byte, addr uint64) (uint64, bool)
	lift(dst []Inst, code []byte, addr uint64) []Inst
}

// X8664 returns the x86-64 machine.
func X8664() *Machine {
	return &Machine{
		Name:           "x86_64",
		Regs:           17,
		SP:             rsp,
		Number:         rax,
		Args:           [6]Reg{rdi, rsi, rdx, r10, r8, r9},
		Params:         []Reg{rdi, rsi, rdx, rcx, r8, r9},
		Return:         rax,
		Scratch:        Regs(rax, rcx, rdx, rsi, rdi, r8, r9, r10, r11),
		SyscallScratch: Regs(rax, rcx, r11),
		CallPush:       8,
		arch:           x86{},
	}
}

// SweepOptions says what else Sweep looks for.
type SweepOptions struct {
	// Absolute makes constants within [Low, High) count as addresses, as they
	// are in an executable that is not position-independent.
	Absolute  bool
	Low, High uint64
}

// Sweep is what one linear reading of a function found, in the order of sites.
type Sweep struct {
	Insts int // instructions
	Bad   int // x86-64: undecodable bytes skipped; arm64: unallocated words, and bytes short of a word

	Branches []Branch   // direct, out of the function
	Slots    []SlotUse  // x86-64 calls and jumps through memory at a constant address
	Refs     []Ref      // other uses of constant addresses
	Indirect []Indirect // through registers or computed memory

	Syscalls []uint64 // sites of syscall and svc, whatever its immediate
	Legacy   []uint64 // sites of int 0x80 and sysenter

	// FallsThrough reports that control may run past the last instruction. It
	// does not after a jump, return or trap, be there padding after it or not
	// (nop, int3), nor after a call that is the very last instruction: that
	// call does not return. A call that padding follows may fall through.
	FallsThrough bool

	// Cut reports that bytes near the end are no instruction: the code may go on.
	Cut bool

	// TableLimit bounds the indexes of the function's jump tables: the
	// largest immediate of a cmp or and, or 255 if a byte is zero-extended
	// (an index that needs no comparison). -1 if there is none. A negative
	// immediate is no bound, except that of an 8 or 16-bit operand, which
	// counts as unsigned.
	TableLimit int64
}

// Branch is a direct jump, conditional or not, or a direct call.
type Branch struct {
	Site, Target uint64
	Call         bool
}

// SlotUse is a call or jump to the address stored at Slot.
type SlotUse struct {
	Site, Slot uint64
	Call       bool
}

// Indirect is a call or jump to a computed address.
type Indirect struct {
	Site uint64
	Call bool
}

// Access is what an instruction does with memory.
type Access uint8

// Accesses. ReadWrite is Read|Write.
const (
	Address   Access = iota // its address is taken
	Read                    // it is read
	Write                   // it is written
	ReadWrite               // both, or not known which
)

// Ref is a use of a constant address.
type Ref struct {
	Site, Addr uint64
	Access     Access
	// Size is how many bytes are accessed: 64 if that is not known exactly
	// but at most 64; 0 for Address, except that an arm64 page address whose
	// use is not found is an Address of Size 4096.
	Size uint16
}

func (s *Sweep) reset() {
	*s = Sweep{
		Branches:   s.Branches[:0],
		Slots:      s.Slots[:0],
		Refs:       s.Refs[:0],
		Indirect:   s.Indirect[:0],
		Syscalls:   s.Syscalls[:0],
		Legacy:     s.Legacy[:0],
		TableLimit: -1,
	}
}

// Sweep reads a function's bytes, which lie at addr, once and linearly. It
// resets and refills out; its slices keep their memory.
func (m *Machine) Sweep(code []byte, addr uint64, opt SweepOptions, out *Sweep) {
	out.reset()
	m.arch.sweep(code, addr, opt, out)
}

// PLTSlot returns the address of the GOT slot that the procedure linkage table
// entry at addr jumps through; false if code does not begin with such an entry.
// x86-64: endbr64, bnd and the jump; arm64: bti, ADRP, LDR, ADD and BR or its
// authenticated forms.
func (m *Machine) PLTSlot(code []byte, addr uint64) (uint64, bool) {
	return m.arch.pltSlot(code, addr)
}

// Lift translates a function's bytes, which lie at addr, and appends the result
// to dst. Addr never decreases from one Inst to the next. Bytes that are no
// instruction give nothing: see Op Stop.
func (m *Machine) Lift(dst []Inst, code []byte, addr uint64) []Inst {
	return m.arch.lift(dst, code, addr)
}
