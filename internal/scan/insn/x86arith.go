package insn

// arithmetic are the operations by bits 3…5 of the opcode or of ModRM.
// Clobber: not modelled.
var arithmetic = [8]Op{Add, Or, Clobber, Clobber, And, Sub, Xor, Compare}

func (l *x86Lifter) arithToRM() {
	width := l.width()
	l.arith(arithmetic[l.in.op>>3&7], width, l.rmOperand(width), l.regOperand(width))
}

func (l *x86Lifter) arithToReg() {
	width := l.width()
	l.arith(arithmetic[l.in.op>>3&7], width, l.regOperand(width), l.rmOperand(width))
}

func (l *x86Lifter) arithAcc() {
	l.arith(arithmetic[l.in.op>>3&7], l.width(), operand{reg: rax}, l.immOperand())
}

func (l *x86Lifter) arithGroup() {
	width := l.width()
	l.arith(arithmetic[l.in.modrm>>3&7], width, l.rmOperand(width), l.immOperand())
}

// arith lifts dst = dst op src, or the comparison of both.
func (l *x86Lifter) arith(op Op, width uint8, dst, src operand) {
	value, constant := absorbed(op, src)
	switch {
	case op == Compare:
		if dst.isReg() && (src.isReg() || src.isImm) {
			l.binary(Compare, NoReg, width, ZeroExt, dst.reg, src)
		}
	case dst.mem && constant:
		l.store(l.mem(), width, NoReg, truncate(value, width))
	case dst.mem:
		l.scribble(l.mem(), int(width))
	case dst.high || src.high || src.mem || op == Clobber:
		l.clobber(Regs(dst.reg))
	case constant:
		l.set(dst.reg, width, extension(width), value)
	case (op == Xor || op == Sub) && src.reg == dst.reg:
		l.set(dst.reg, width, extension(width), 0)
	default:
		l.binary(op, dst.reg, width, extension(width), dst.reg, src)
	}
}

// binary emits dst = a op b, of which b is a register or an immediate.
func (l *x86Lifter) binary(op Op, dst Reg, width uint8, ext Ext, a Reg, b operand) {
	if b.isImm {
		l.regImm(op, dst, width, ext, a, b.imm)
		return
	}
	l.regReg(op, dst, width, ext, a, b.reg)
}

// absorbed returns the result of an operation with an immediate that does not
// depend on the other operand: and 0, or -1.
func absorbed(op Op, src operand) (int64, bool) {
	return src.imm, src.isImm && (op == And && src.imm == 0 || op == Or && src.imm == -1)
}

// test lifts test of a register with itself as a comparison with 0, which sets
// the flags likewise.
func (l *x86Lifter) test() {
	width := l.width()
	a, b := l.rmOperand(width), l.regOperand(width)
	if a.isReg() && b.isReg() && a.reg == b.reg {
		l.regImm(Compare, NoReg, width, ZeroExt, a.reg, 0)
	}
}

// shifts are the operations by ModRM.reg; rotations are not modelled.
var shifts = [8]Op{Clobber, Clobber, Clobber, Clobber, Shl, Shr, Shl, Sar}

func (l *x86Lifter) shift() {
	width := l.width()
	dst := l.rmOperand(width)
	op := shifts[l.in.modrm>>3&7]
	switch {
	case dst.mem:
		l.scribble(l.mem(), int(width))
	case dst.high || op == Clobber:
		l.clobber(Regs(dst.reg))
	case l.in.op >= 0xd2: // by CL
		l.regReg(op, dst.reg, width, extension(width), dst.reg, rcx)
	default:
		count := int64(1)
		if l.in.op < 0xd0 {
			count = l.in.imm
		}
		l.regImm(op, dst.reg, width, extension(width), dst.reg, count&shiftMask(width))
	}
}

// shiftMask is how much of a shift count the processor looks at.
func shiftMask(width uint8) int64 {
	if width == 8 {
		return 63
	}
	return 31
}

// group3 lifts test, not, neg, mul and div.
func (l *x86Lifter) group3() {
	width := l.width()
	dst := l.rmOperand(width)
	which := l.in.modrm >> 3 & 7
	switch {
	case which == 2 && dst.isReg():
		l.regImm(Xor, dst.reg, width, extension(width), dst.reg, -1)
	case which == 3 && dst.isReg():
		l.regImm(Xor, dst.reg, width, extension(width), dst.reg, -1)
		l.regImm(Add, dst.reg, width, extension(width), dst.reg, 1)
	default:
		l.opaque()
	}
}

// group45 lifts inc, dec and push of the operand. Its jumps and calls are
// lifted elsewhere.
func (l *x86Lifter) group45() {
	width := l.width()
	dst := l.rmOperand(width)
	which := l.in.modrm >> 3 & 7
	switch {
	case which == 6 && dst.mem:
		l.pushMem()
	case which == 6:
		l.push(dst.reg, 0)
	case !dst.isReg():
		l.opaque()
	case which == 0:
		l.regImm(Add, dst.reg, width, extension(width), dst.reg, 1)
	case which == 1:
		l.regImm(Sub, dst.reg, width, extension(width), dst.reg, 1)
	}
}

func (l *x86Lifter) imul() {
	width := l.in.operandSize()
	if l.in.isMem() {
		l.clobber(Regs(Reg(l.in.reg())))
		return
	}
	dst := Reg(l.in.reg())
	l.regReg(Mul, dst, width, extension(width), dst, Reg(l.in.rm()))
}

func (l *x86Lifter) imulImm() {
	width := l.in.operandSize()
	dst := Reg(l.in.reg())
	if l.in.isMem() {
		l.clobber(Regs(dst))
		return
	}
	l.regImm(Mul, dst, width, extension(width), Reg(l.in.rm()), l.in.imm)
}

// lea lifts what takes no register besides the destination.
func (l *x86Lifter) lea() {
	in := &l.in
	dst, width := Reg(in.reg()), in.operandSize()
	in.prefix &^= pSeg // segments do not count here
	if in.prefix&p67 != 0 {
		in.prefix &^= p67
		width = min(width, 4)
	}
	m := l.mem()
	base := m.Base
	if m.Index != NoReg {
		if base == dst && m.Scale != 1 || width < 4 {
			l.clobber(Regs(dst))
			return
		}
		base = l.indexed(dst, width, m)
	}
	switch {
	case in.modrm >= 0xc0:
		l.simple(Stop) // there is no such instruction
	case base == NoReg:
		l.set(dst, width, extension(width), m.Disp)
	case m.Disp != 0:
		l.regImm(Add, dst, width, extension(width), base, m.Disp)
	case base != dst || width < 8 && m.Index == NoReg:
		l.copyReg(dst, width, extension(width), base)
	}
}

// indexed computes base and index into dst and returns dst.
func (l *x86Lifter) indexed(dst Reg, width uint8, m Mem) Reg {
	switch {
	case m.Base == NoReg:
		l.regImm(Shl, dst, width, ZeroExt, m.Index, log2(m.Scale))
	case m.Scale == 1:
		l.regReg(Add, dst, width, ZeroExt, m.Base, m.Index)
	default:
		l.regImm(Shl, dst, width, ZeroExt, m.Index, log2(m.Scale))
		l.regReg(Add, dst, width, ZeroExt, dst, m.Base)
	}
	return dst
}
