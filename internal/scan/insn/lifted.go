package insn

import "fmt"

// Op is what a lifted instruction does.
type Op uint8

// Ops. V stands for the second operand: B, or Imm if B is NoReg. Operands are
// truncated to Width before use (for Sar and the signed Conds: and read as
// signed); the result is truncated to Width and extended by Ext.
const (
	Clobber      Op = iota // Clobbers become unknown, and nothing else
	Set                    // Dst = Imm, a constant or an address
	Copy                   // Dst = A
	Add                    // Dst = A + V
	Sub                    // Dst = A - V
	And                    // Dst = A & V
	Or                     // Dst = A | V
	Xor                    // Dst = A ^ V
	Mul                    // Dst = A * V
	Shl                    // Dst = A << V; the count is V modulo 64 if Width is 8, else modulo 32
	Shr                    // Dst = A >> V, zeros shifted in; count likewise
	Sar                    // Dst = A >> V, the sign shifted in; count likewise
	Choose                 // Dst = A or Dst = V
	Load                   // Dst = the Width bytes at Mem
	Store                  // the Width bytes at Mem = A, or Imm if A is NoReg
	Scribble               // the Width bytes at Mem become unknown; Width 0: an unknown extent, before Mem and after it
	Compare                // A with V, for the CondBranch that follows
	Jump                   // to Imm
	CondBranch             // to Imm if Cond, else on
	IndirectJump           // to A, or to the address stored at Mem if A is NoReg
	Call                   // of Imm
	IndirectCall           // of A, or of the address stored at Mem if A is NoReg
	Return                 // to the caller
	Syscall                // by syscall, svc #0 or int 0x80
	Stop                   // control does not go on: a trap, or bytes that are no instruction
)

// String returns the name of the op.
func (o Op) String() string {
	names := [...]string{
		"Clobber", "Set", "Copy", "Add", "Sub", "And", "Or", "Xor", "Mul", "Shl", "Shr", "Sar", "Choose", "Load",
		"Store", "Scribble", "Compare", "Jump", "CondBranch", "IndirectJump", "Call", "IndirectCall", "Return",
		"Syscall", "Stop",
	}
	if int(o) < len(names) {
		return names[o]
	}
	return fmt.Sprintf("Op(%d)", uint8(o))
}

// Ext is how a result of Width bytes becomes the register's value.
type Ext uint8

// Exts.
const (
	ZeroExt Ext = iota // the rest of the register is zero
	SignExt            // the rest of the register is copies of the sign
	Merge              // the rest of the register stays as it is
)

// Cond is the outcome of the last Compare that makes a CondBranch jump.
type Cond uint8

// Conds. U is unsigned, S is signed.
const (
	Any Cond = iota // unknown: the branch may go either way
	EQ
	NE
	ULT
	ULE
	UGT
	UGE
	SLT
	SLE
	SGT
	SGE
)

// Inst is a step of a machine instruction; several may share one Addr. Within
// one they happen in order.
//
// A Cond other than Any is about the last Compare before the CondBranch in the
// slice, and Lift vouches for it: no direct branch of the function goes in
// between, and since the Compare none of its registers were written. Of the
// targets of a jump table Lift knows nothing.
type Inst struct {
	Addr     uint64
	Imm      int64 // operand; the target of Jump, CondBranch and Call
	Mem      Mem   // of Load, Store, Scribble; of IndirectJump and IndirectCall if A is NoReg
	Clobbers RegSet
	Op       Op
	Len      uint8 // of the machine instruction
	Width    uint8 // bytes of the operands and result, or of the memory access
	Ext      Ext
	Dst      Reg
	A, B     Reg // B == NoReg: the second operand is Imm
	Cond     Cond
}

// Mem is a memory operand: Base + Index*Scale + Disp. Neither Base nor Index:
// the absolute address Disp. arm64 ignores the top byte of an address.
type Mem struct {
	Base, Index Reg
	Scale       uint8 // 1, 2, 4, 8 if there is an Index
	// Segment: relative to fs or gs, or computed in a way this struct has no
	// words for (32-bit address arithmetic, vectors of addresses). The other
	// fields tell nothing then.
	Segment bool
	Disp    int64
}

// at returns the memory at a constant address.
func at(addr uint64) Mem { return Mem{Base: NoReg, Index: NoReg, Disp: int64(addr)} }

// based returns the memory at a register.
func based(base Reg, disp int64) Mem { return Mem{Base: base, Index: NoReg, Disp: disp} }

// somewhere is memory at an address that cannot be said.
func somewhere() Mem { return Mem{Base: NoReg, Index: NoReg, Segment: true} }

// writer collects the Insts of a function.
type writer struct {
	out  []Inst
	addr uint64 // of the machine instruction
	len  uint8

	// The registers of the last Compare, while a branch may rely on it.
	compared bool
	withZero bool // it is with the constant 0
	operands RegSet
}

// emit appends an Inst, of which Addr and Len need not be given.
func (w *writer) emit(i Inst) {
	i.Addr, i.Len = w.addr, w.len
	if i.Op == Compare {
		w.compared, w.operands = true, Regs(i.A, i.B)
		w.withZero = i.B == NoReg && i.Imm == 0
	} else if w.operands&(i.Clobbers|Regs(i.Dst)) != 0 {
		w.compared = false
	}
	w.out = append(w.out, i)
}

// plain returns an Inst without operands.
func plain(op Op) Inst {
	return Inst{Op: op, Dst: NoReg, A: NoReg, B: NoReg, Mem: Mem{Base: NoReg, Index: NoReg}}
}

// forget makes the comparison unusable: the flags have changed, or control may
// come from elsewhere.
func (w *writer) forget() { w.compared = false }

func (w *writer) clobber(s RegSet) {
	if s != 0 {
		i := plain(Clobber)
		i.Clobbers = s
		w.emit(i)
	}
}

func (w *writer) scribble(m Mem, width int) {
	i := plain(Scribble)
	i.Mem = m
	if width < 256 {
		i.Width = uint8(width)
	}
	w.emit(i)
}

// simple emits an instruction without operands.
func (w *writer) simple(op Op) { w.emit(plain(op)) }

// set emits Dst = imm.
func (w *writer) set(dst Reg, width uint8, ext Ext, imm int64) {
	i := plain(Set)
	i.Dst, i.Width, i.Ext, i.Imm = dst, width, ext, truncate(imm, width)
	w.emit(i)
}

// regImm emits dst = a op imm.
func (w *writer) regImm(op Op, dst Reg, width uint8, ext Ext, a Reg, imm int64) {
	w.emit(Inst{Op: op, Dst: dst, A: a, B: NoReg, Imm: imm, Width: width, Ext: ext, Mem: Mem{Base: NoReg, Index: NoReg}})
}

// regReg emits dst = a op b.
func (w *writer) regReg(op Op, dst Reg, width uint8, ext Ext, a, b Reg) {
	w.emit(Inst{Op: op, Dst: dst, A: a, B: b, Width: width, Ext: ext, Mem: Mem{Base: NoReg, Index: NoReg}})
}

// copyReg emits dst = a.
func (w *writer) copyReg(dst Reg, width uint8, ext Ext, a Reg) {
	w.regReg(Copy, dst, width, ext, a, NoReg)
}

func (w *writer) load(dst Reg, width uint8, ext Ext, m Mem) {
	w.emit(Inst{Op: Load, Dst: dst, A: NoReg, B: NoReg, Width: width, Ext: ext, Mem: m})
}

// store emits a store of the register, or of imm if it is NoReg.
func (w *writer) store(m Mem, width uint8, a Reg, imm int64) {
	w.emit(Inst{Op: Store, Dst: NoReg, A: a, B: NoReg, Imm: imm, Width: width, Mem: m})
}

// branch emits a jump or call to target.
func (w *writer) branch(op Op, target uint64) {
	i := plain(op)
	i.Imm = int64(target)
	w.emit(i)
}

// branchIf emits a CondBranch.
func (w *writer) branchIf(c Cond, target uint64) {
	if !w.compared {
		c = Any
	}
	i := plain(CondBranch)
	i.Imm, i.Cond = int64(target), c
	w.emit(i)
}

// truncate returns the low bytes of v, the rest zero.
func truncate(v int64, width uint8) int64 {
	if width >= 8 {
		return v
	}
	return v & (1<<(8*width) - 1)
}

// bitset is a set of offsets.
type bitset []uint64

func newBitset(n int) bitset { return make(bitset, (n+63)/64) }

func (b bitset) add(i uint64)      { b[i/64] |= 1 << (i % 64) }
func (b bitset) has(i uint64) bool { return b[i/64]>>(i%64)&1 != 0 }
