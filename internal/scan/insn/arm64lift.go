package insn

import "encoding/binary"

// armLifter lifts one function.
type armLifter struct {
	writer
	w word
	// signedOnly: the flags after the last Compare tell nothing of unsigned
	// order, as they come of a logical operation.
	signedOnly bool
}

// armRow says what lifts the words of a pattern.
type armRow struct {
	pattern
	lift func(*armLifter)
	keep bool // the flags stay as they are
}

func (arm64) lift(dst []Inst, code []byte, addr uint64) []Inst {
	l := armLifter{writer: writer{out: dst, len: 4}}
	targets := newBitset(len(code)/4 + 1)
	words(code, func(off uint64, w word) bool {
		if target, ok := w.target(addr + off); ok && target-addr < uint64(len(code)) {
			targets.add((target - addr) / 4)
		}
		return true
	})
	for off := 0; off+4 <= len(code); off += 4 {
		l.addr, l.w = addr+uint64(off), word(binary.LittleEndian.Uint32(code[off:]))
		if targets.has(uint64(off / 4)) {
			l.forget()
		}
		row := rowOf(l.w)
		if !row.keep {
			l.forget()
		}
		row.lift(&l)
	}
	if rest := len(code) % 4; rest != 0 {
		l.addr, l.len = addr+uint64(len(code)-rest), uint8(rest)
		l.simple(Stop)
	}
	return l.out
}

// rowOf returns the first row that the word matches; the last matches all.
func rowOf(w word) *armRow {
	for i := range armRows {
		if armRows[i].matches(w) {
			return &armRows[i]
		}
	}
	return nil
}

// armRows are the instructions modelled, then classes of them of which only
// what they write is known. The first that matches counts.
var armRows = [...]armRow{
	// Data processing, immediate.
	{armADR, (*armLifter).adr, true},
	{armADRP, (*armLifter).adr, true},
	{armADDSI, (*armLifter).addImmediate, true},
	{armANDI, (*armLifter).logicalImmediate, true},
	{armMOVW, (*armLifter).moveWide, true},
	{pattern{0x7f800000, 0x13000000}, (*armLifter).sbfm, true},
	{pattern{0x7f800000, 0x53000000}, (*armLifter).ubfm, true},
	{pattern{0x1c000000, 0x10000000}, (*armLifter).opaqueRdSP, true}, // BFM, EXTR, ADDG, SMAX, …

	// Data processing, register.
	{pattern{0x1f000000, 0x0a000000}, (*armLifter).logical, true},
	{pattern{0x1f200000, 0x0b000000}, (*armLifter).addShifted, true},
	{pattern{0x1fe00000, 0x0b200000}, (*armLifter).addExtended, true},
	{pattern{0x3fe00800, 0x1a800000}, (*armLifter).conditional, true},
	{pattern{0x7fe0f000, 0x1ac02000}, (*armLifter).shiftVariable, true},
	{pattern{0x7fe08000, 0x1b000000}, (*armLifter).multiply, true},
	{pattern{0xffe0fc00, 0x9ac01000}, (*armLifter).opaqueRdSP, true}, // IRG
	{pattern{0x3f000000, 0x1a000000}, (*armLifter).opaqueRd, true},   // ADC, RBIT, UDIV, …
	{pattern{0x1f000000, 0x1b000000}, (*armLifter).opaqueRd, true},   // MSUB, SMULL, …
	{pattern{0x3fe00000, 0x3a400000}, (*armLifter).nothing, false},   // CCMP, CCMN
	{pattern{0x0e000000, 0x0a000000}, (*armLifter).opaqueRd, false},  // ADCS, CCMP, RMIF, …

	// Branches, exceptions, system.
	{armB, (*armLifter).jump, false},
	{armBL, (*armLifter).call, false},
	{armBCond, (*armLifter).branchCond, true},
	{armCBZ, (*armLifter).compareAndBranch, false},
	{armTBZ, (*armLifter).testAndBranch, true},
	{armBR, (*armLifter).jumpRegister, false},
	{armBLR, (*armLifter).callRegister, false},
	{armRET, (*armLifter).stepReturn, false},
	{armERET, (*armLifter).stepReturn, false},
	{pattern{0xff00001f, 0x5500001f}, (*armLifter).stepReturn, false}, // RETAASPPC
	{armCB, (*armLifter).compareRegisters, true},
	{armSVC, (*armLifter).syscall, false},
	{pattern{0xffffffff, 0xd43e0000}, (*armLifter).nothing, false}, // BRK #0xf000: a debugger may go on
	{pattern{0xff000000, 0xd4000000}, (*armLifter).stop, false},
	{armHint, (*armLifter).hint, true},
	{pattern{0xfffff000, 0xd5033000}, (*armLifter).nothing, true},   // barriers
	{pattern{0xffe00000, 0xd5200000}, (*armLifter).opaqueRd, false}, // MRS, SYSL
	{pattern{0xffc00000, 0xd5400000}, (*armLifter).opaquePair, false},
	{pattern{0xfe000000, 0xd4000000}, (*armLifter).nothing, false},

	// Loads and stores.
	{pattern{0xff200400, 0xf8200400}, (*armLifter).loadAuthenticated, true}, // LDRAA, LDRAB
	{armLit, (*armLifter).loadLiteral, true},
	{armPair, (*armLifter).access, true},
	{armUImm, (*armLifter).access, true},
	{armSImm, (*armLifter).access, true},
	{armRCpc, (*armLifter).access, true},
	{pattern{0x3b200c00, 0x38200800}, (*armLifter).accessRegister, true},
	{pattern{0x3ffffc00, 0x38bfc000}, (*armLifter).loadAcquire, true}, // LDAPR
	{pattern{0xfffffc00, 0xf83fd000}, (*armLifter).load64, true},
	{pattern{0xfffffc00, 0xf83f9000}, (*armLifter).store64, true},
	{pattern{0xffe0fc00, 0xf820b000}, (*armLifter).store64, true},
	{pattern{0xffe0fc00, 0xf820a000}, (*armLifter).store64, true},
	{armLSE, (*armLifter).atomic, true},
	{armExcl, (*armLifter).exclusive, true},
	{armVec, (*armLifter).vectors, true},
	{pattern{0x0a000000, 0x08000000}, (*armLifter).opaqueAccess, false},

	// Vectors: what moves to general registers.
	{pattern{0xbfe0fc00, 0x0e003c00}, (*armLifter).opaqueRd, true},  // UMOV
	{pattern{0xbfe0fc00, 0x0e002c00}, (*armLifter).opaqueRd, true},  // SMOV
	{pattern{0x7f20fc00, 0x1e200000}, (*armLifter).convert, true},   // FCVT…, FMOV
	{pattern{0x7f3e0000, 0x1e180000}, (*armLifter).opaqueRd, true},  // FCVT…, fixed point
	{pattern{0xff200000, 0x1e200000}, (*armLifter).nothing, false},  // FCMP, …
	{pattern{0x0e000000, 0x0e000000}, (*armLifter).nothing, true},   //
	{pattern{0x1e000000, 0x04000000}, (*armLifter).scalable, false}, // SVE
	{pattern{0x9e000000, 0x80000000}, (*armLifter).scalable, false}, // SME
	{armAny, (*armLifter).stop, false},
}

// operand is a register or, for the zero register, the constant 0.
func (l *armLifter) operand(r Reg) operand {
	if r == zr {
		return operand{isImm: true, reg: NoReg}
	}
	return operand{reg: r}
}

// constant is an immediate operand.
func constant(v int64) operand { return operand{isImm: true, reg: NoReg, imm: v} }

// binary emits dst = a op b. The result is dropped if dst is NoReg.
func (l *armLifter) binary(op Op, dst Reg, width uint8, a, b operand) {
	switch {
	case dst == NoReg:
	case !a.isImm && b.isImm:
		l.regImm(op, dst, width, ZeroExt, a.reg, b.imm)
	case !a.isImm:
		l.regReg(op, dst, width, ZeroExt, a.reg, b.reg)
	case b.isImm:
		l.set(dst, width, ZeroExt, fold(op, a.imm, b.imm))
	case op == Sub: // 0 - b
		l.negate(dst, width, b.reg)
	case op == Add || op == Or || op == Xor:
		l.copyReg(dst, width, ZeroExt, b.reg)
	default: // 0 & b
		l.set(dst, width, ZeroExt, 0)
	}
}

// fold computes an operation on constants.
func fold(op Op, a, b int64) int64 {
	switch op {
	case Add:
		return a + b
	case Sub:
		return a - b
	case And:
		return a & b
	case Or:
		return a | b
	default:
		return a ^ b
	}
}

// negate emits dst = -b.
func (l *armLifter) negate(dst Reg, width uint8, b Reg) {
	l.regImm(Xor, dst, width, ZeroExt, b, -1)
	l.regImm(Add, dst, width, ZeroExt, dst, 1)
}

// move emits dst = a.
func (l *armLifter) move(dst Reg, width uint8, a operand) {
	switch {
	case dst == NoReg:
	case a.isImm:
		l.set(dst, width, ZeroExt, a.imm)
	default:
		l.copyReg(dst, width, ZeroExt, a.reg)
	}
}

// compare emits a comparison; there is none of constants.
func (l *armLifter) compare(width uint8, a, b operand) {
	l.forget()
	l.signedOnly = false
	switch {
	case a.isImm:
	case b.isImm:
		l.regImm(Compare, NoReg, width, ZeroExt, a.reg, b.imm)
	default:
		l.regReg(Compare, NoReg, width, ZeroExt, a.reg, b.reg)
	}
}

// general is the destination r, NoReg for the zero register and beyond.
func general(r Reg) Reg {
	if r >= zr {
		return NoReg
	}
	return r
}

func (l *armLifter) nothing() {}
func (l *armLifter) stop()    { l.simple(Stop) }

// opaqueRd makes Rd unknown.
func (l *armLifter) opaqueRd() { l.clobber(Regs(general(l.w.rd()))) }

// opaqueRdSP makes Rd, which may be SP, unknown.
func (l *armLifter) opaqueRdSP() { l.clobber(Regs(l.w.rd())) }

// opaquePair makes Rd and the register after it unknown.
func (l *armLifter) opaquePair() { l.clobber(Regs(general(l.w.rd()), general(l.w.rd()+1))) }

// scalable makes Rd unknown, and memory for a store. ADDVL may write SP.
func (l *armLifter) scalable() {
	switch l.w >> 24 {
	case 0xe4, 0xe5, 0xa0, 0xa1, 0xe0, 0xe1:
		l.scribble(somewhere(), 0)
	}
	l.clobber(Regs(l.w.rd()))
}

// hint lifts those hints that sign and check addresses in place.
func (l *armLifter) hint() {
	switch l.w.field(5, 7) {
	case 7, 24, 25, 26, 27, 28, 29, 30, 31: // XPACLRI, PACIAZ, …
		l.clobber(Regs(lr))
	case 8, 10, 12, 14: // PACIA1716, …
		l.clobber(Regs(17))
	case 40: // CHKFEAT
		l.clobber(Regs(16))
	}
}

func (l *armLifter) syscall() { l.simple(Syscall) }

// stepReturn lifts returns.
func (l *armLifter) stepReturn() { l.simple(Return) }

func (l *armLifter) jump() { l.branchTo(Jump) }
func (l *armLifter) call() { l.branchTo(Call) }

func (l *armLifter) branchTo(op Op) {
	target, _ := l.w.target(l.addr)
	l.branch(op, target)
	l.forget()
}

func (l *armLifter) jumpRegister() { l.registerTo(IndirectJump) }
func (l *armLifter) callRegister() { l.registerTo(IndirectCall) }

func (l *armLifter) registerTo(op Op) {
	i := plain(op)
	i.Width = 8
	if i.A = general(l.w.rn()); i.A == NoReg {
		i.Mem = somewhere()
	}
	l.emit(i)
}

// armConditions are those of B.cond after SUBS, by their number. MI and PL
// count only if there is no overflow.
var armConditions = [16]Cond{EQ, NE, UGE, ULT, SLT, SGE, Any, Any, UGT, ULE, SGE, SLT, SGT, SLE, Any, Any}

func (l *armLifter) branchCond() {
	target, _ := l.w.target(l.addr)
	number := l.w & 15
	c := armConditions[number]
	unsigned := c == UGE || c == ULT || c == UGT || c == ULE
	if sign := number == 4 || number == 5; sign && !l.withZero || unsigned && l.signedOnly {
		c = Any
	}
	if number >= 14 { // AL
		l.branch(Jump, target)
		l.forget()
		return
	}
	l.branchIf(c, target)
}

// compareAndBranch lifts CBZ and CBNZ. Flags that an earlier comparison set
// stay, but the Compare here hides it.
func (l *armLifter) compareAndBranch() {
	target, _ := l.w.target(l.addr)
	l.compare(l.w.width(), l.operand(l.w.rd()), constant(0))
	l.branchIf([2]Cond{EQ, NE}[l.w.field(24, 1)], target)
	l.forget()
}

// testAndBranch lifts TBZ and TBNZ: of the sign it is a comparison with 0.
func (l *armLifter) testAndBranch() {
	target, _ := l.w.target(l.addr)
	bit := l.w.field(31, 1)<<5 | l.w.field(19, 5)
	width := uint8(bit+1) / 8
	if bit != 31 && bit != 63 || l.w.rd() == zr {
		l.branchIf(Any, target)
		return
	}
	l.compare(width, l.operand(l.w.rd()), constant(0))
	l.branchIf([2]Cond{SGE, SLT}[l.w.field(24, 1)], target)
	l.forget()
}

// compareRegisters lifts CB, which leaves the flags alone.
func (l *armLifter) compareRegisters() {
	target, _ := l.w.target(l.addr)
	i := plain(CondBranch)
	i.Imm = int64(target)
	l.emit(i)
}
