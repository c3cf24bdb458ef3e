package insn

func (l *armLifter) adr() {
	if dst := general(l.w.rd()); dst != NoReg {
		l.set(dst, 8, ZeroExt, int64(l.w.address(l.addr)))
	}
}

// addOp returns which of ADD, ADDS, SUB, SUBS it is.
func (l *armLifter) addOp() (op Op, setsFlags bool) {
	op = Add
	if l.w.field(30, 1) == 1 {
		op = Sub
	}
	return op, l.w.field(29, 1) == 1
}

func (l *armLifter) addImmediate() {
	op, flags := l.addOp()
	dst := l.w.rd() // SP, unless flags are set
	if flags {
		dst = general(dst)
	}
	l.arith(op, flags, dst, operand{reg: l.w.rn()}, constant(l.w.immediate()))
}

// arith lifts dst = a op b and, for SUBS, the comparison.
func (l *armLifter) arith(op Op, flags bool, dst Reg, a, b operand) {
	width := l.w.width()
	switch {
	case flags && op == Sub:
		l.compare(width, a, b)
	case flags:
		l.forget()
	}
	if b.isImm && b.imm == 0 && !a.isImm {
		l.move(dst, width, a)
		return
	}
	l.binary(op, dst, width, a, b)
}

// logicals are the operations by opc.
var logicals = [4]Op{And, Or, Xor, And}

func (l *armLifter) logicalImmediate() {
	w := l.w
	mask, ok := w.bitmask()
	if !ok {
		l.simple(Stop)
		return
	}
	opc := w.field(29, 2)
	dst := w.rd() // SP, unless flags are set
	if opc == 3 {
		dst = general(dst)
	}
	l.binary(logicals[opc], dst, w.width(), l.operand(w.rn()), constant(mask))
	if opc == 3 {
		l.flagsOf(dst)
	}
}

// flagsOf compares the result of a logical operation with 0.
func (l *armLifter) flagsOf(dst Reg) {
	l.forget()
	if dst != NoReg {
		l.compare(l.w.width(), operand{reg: dst}, constant(0))
		l.signedOnly = true
	}
}

func (l *armLifter) moveWide() {
	w := l.w
	dst, width := general(w.rd()), w.width()
	shift := 16 * w.field(21, 2)
	v := w.field(5, 16) << shift
	opc := w.field(29, 2)
	switch {
	case shift >= 8*int64(width) || opc == 1:
		l.simple(Stop)
	case dst == NoReg:
	case opc == 0: // MOVN
		l.set(dst, width, ZeroExt, ^v)
	case opc == 2: // MOVZ
		l.set(dst, width, ZeroExt, v)
	default: // MOVK
		l.regImm(And, dst, width, ZeroExt, dst, truncate(^(0xffff<<shift), width))
		l.regImm(Or, dst, width, ZeroExt, dst, v)
	}
}

// bitfield returns the fields of SBFM and UBFM; false if they are reserved.
func (l *armLifter) bitfield() (r, s int64, ok bool) {
	r, s = l.w.field(16, 6), l.w.field(10, 6)
	bits := 8 * int64(l.w.width())
	return r, s, r < bits && s < bits && l.w.field(22, 1) == int64(l.w.sf())
}

// ubfm lifts LSL, LSR, UXTB, UBFX, UBFIZ: bits s…r of the source go to bit 0,
// or if r > s, bits s…0 go to the bit that is r below the top.
func (l *armLifter) ubfm() {
	r, s, ok := l.bitfield()
	dst, src, width := general(l.w.rd()), l.operand(l.w.rn()), l.w.width()
	top := 8*int64(width) - 1
	switch {
	case !ok:
		l.simple(Stop)
	case dst == NoReg:
	case src.isImm:
		l.set(dst, width, ZeroExt, 0)
	case s == top: // LSR
		l.regImm(Shr, dst, width, ZeroExt, src.reg, r)
	case s+1 == r: // LSL
		l.regImm(Shl, dst, width, ZeroExt, src.reg, top-s)
	case r == 0 && (s == 7 || s == 15 || s == 31):
		l.copyReg(dst, uint8(s+1)/8, ZeroExt, src.reg)
	default:
		l.regImm(Shl, dst, width, ZeroExt, src.reg, top-s)
		if r <= s {
			l.regImm(Shr, dst, width, ZeroExt, dst, top-s+r)
		} else {
			l.regImm(Shr, dst, width, ZeroExt, dst, r-1-s)
		}
	}
}

// sbfm lifts ASR, SXTB, SXTW, SBFX, SBFIZ, likewise with the sign.
func (l *armLifter) sbfm() {
	r, s, ok := l.bitfield()
	dst, src, width := general(l.w.rd()), l.operand(l.w.rn()), l.w.width()
	top := 8*int64(width) - 1
	switch {
	case !ok:
		l.simple(Stop)
	case dst == NoReg:
	case src.isImm:
		l.set(dst, width, ZeroExt, 0)
	case s == top: // ASR
		l.regImm(Sar, dst, width, ZeroExt, src.reg, r)
	case r == 0 && width == 8 && (s == 7 || s == 15 || s == 31):
		l.copyReg(dst, uint8(s+1)/8, SignExt, src.reg)
	default:
		l.regImm(Shl, dst, width, ZeroExt, src.reg, top-s)
		if r <= s {
			l.regImm(Sar, dst, width, ZeroExt, dst, top-s+r)
		} else {
			l.regImm(Sar, dst, width, ZeroExt, dst, r-1-s)
		}
	}
}

// armShifts are the operations by the shift field. ROR is not modelled.
var armShifts = [4]Op{Shl, Shr, Sar, Clobber}

// shifted returns the second operand of an instruction after its shift, which
// goes through dst if dst is free; false if that cannot be.
func (l *armLifter) shifted(dst Reg) (operand, bool) {
	w := l.w
	b, amount, op := l.operand(w.rm()), w.field(10, 6), armShifts[w.field(22, 2)]
	switch {
	case b.isImm || amount == 0:
		return b, true
	case op == Clobber || dst == NoReg || dst == w.rn() || amount >= 8*int64(w.width()):
		return b, false
	}
	l.regImm(op, dst, w.width(), ZeroExt, b.reg, amount)
	return operand{reg: dst}, true
}

func (l *armLifter) addShifted() {
	op, flags := l.addOp()
	dst := general(l.w.rd())
	b, ok := l.shifted(dst)
	if !ok {
		l.forget()
		l.clobber(Regs(dst))
		return
	}
	l.arith(op, flags, dst, l.operand(l.w.rn()), b)
}

// addExtended lifts what has no extension to speak of: SP is an operand.
func (l *armLifter) addExtended() {
	w := l.w
	op, flags := l.addOp()
	dst := w.rd()
	if flags {
		dst = general(dst)
		l.forget()
	}
	option, amount := w.field(13, 3), w.field(10, 3)
	whole := option&3 == 3 || option&3 == 2 && w.sf() == 0
	b := l.operand(w.rm())
	if amount > 4 || flags && !whole {
		l.clobber(Regs(dst))
		return
	}
	if whole && amount == 0 || b.isImm {
		l.arith(op, flags, dst, operand{reg: w.rn()}, b)
		return
	}
	if dst == w.rn() || flags || dst == NoReg {
		l.clobber(Regs(dst))
		return
	}
	ext := ZeroExt
	if option&4 != 0 {
		ext = SignExt
	}
	l.copyReg(dst, 1<<(option&3), ext, b.reg)
	l.regImm(Shl, dst, w.width(), ZeroExt, dst, amount)
	l.binary(op, dst, w.width(), operand{reg: w.rn()}, operand{reg: dst})
}

// logical lifts AND, BIC, ORR, ORN, EOR, EON, ANDS, BICS of registers.
func (l *armLifter) logical() {
	w := l.w
	opc, invert := w.field(29, 2), w.field(21, 1) == 1
	dst, width := general(w.rd()), w.width()
	a := l.operand(w.rn())
	b, ok := l.shifted(dst)
	switch {
	case !ok, invert && !b.isImm && !(opc == 1 && a.isImm):
		if opc == 3 {
			l.forget()
		}
		l.clobber(Regs(dst))
		return
	case invert && b.isImm:
		b.imm = -1
	case invert: // MVN
		l.binary(Xor, dst, width, b, constant(-1))
		return
	}
	if (opc == 1 || opc == 3) && !a.isImm && !b.isImm && a.reg == b.reg {
		l.move(dst, width, a)
	} else if opc == 2 && !a.isImm && !b.isImm && a.reg == b.reg {
		l.move(dst, width, constant(0))
	} else {
		l.binary(logicals[opc], dst, width, a, b)
	}
	if opc != 3 {
		return
	}
	if same := !a.isImm && a.reg == b.reg; dst == NoReg && same { // TST of a register with itself
		dst = a.reg
	}
	l.flagsOf(dst)
}

// conditional lifts CSEL, CSINC, CSINV, CSNEG: Rn or the changed Rm.
func (l *armLifter) conditional() {
	w := l.w
	dst, width := general(w.rd()), w.width()
	a, b := l.operand(w.rn()), l.operand(w.rm())
	change := w.field(30, 1)<<1 | w.field(10, 1)
	zeroChanged := constant([4]int64{0, 1, -1, 0}[change])
	switch {
	case dst == NoReg:
	case a.isImm && b.isImm:
		l.set(dst, width, ZeroExt, 0)
		l.choose(dst, width, dst, zeroChanged)
	case b.isImm:
		l.choose(dst, width, a.reg, zeroChanged)
	case change == 0 && a.isImm:
		l.choose(dst, width, b.reg, a)
	case change == 0:
		l.choose(dst, width, a.reg, b)
	case w.rd() == w.rn():
		l.clobber(Regs(dst))
	default:
		l.changed(change, dst, b)
		l.choose(dst, width, dst, a)
	}
}

// changed emits dst = b as CSINC, CSINV and CSNEG have it.
func (l *armLifter) changed(change int64, dst Reg, b operand) {
	width := l.w.width()
	switch change {
	case 1:
		l.binary(Add, dst, width, b, constant(1))
	case 2:
		l.binary(Xor, dst, width, b, constant(-1))
	case 3:
		l.negate(dst, width, b.reg)
	}
}

// choose emits dst = a or b.
func (l *armLifter) choose(dst Reg, width uint8, a Reg, b operand) {
	if b.isImm {
		l.regImm(Choose, dst, width, ZeroExt, a, b.imm)
		return
	}
	l.regReg(Choose, dst, width, ZeroExt, a, b.reg)
}

// shiftVariable lifts LSLV, LSRV, ASRV; RORV is not modelled.
func (l *armLifter) shiftVariable() {
	w := l.w
	dst, width := general(w.rd()), w.width()
	op := armShifts[w.field(10, 2)]
	a, b := l.operand(w.rn()), l.operand(w.rm())
	switch {
	case dst == NoReg:
	case a.isImm:
		l.set(dst, width, ZeroExt, 0)
	case op == Clobber:
		l.clobber(Regs(dst))
	default:
		l.binary(op, dst, width, a, b)
	}
}

// multiply lifts MUL; with an addend it is not modelled.
func (l *armLifter) multiply() {
	w := l.w
	dst := general(w.rd())
	a, b := l.operand(w.rn()), l.operand(w.rm())
	switch {
	case w.ra() != zr:
		l.clobber(Regs(dst))
	case a.isImm || b.isImm:
		l.move(dst, w.width(), constant(0))
	default:
		l.binary(Mul, dst, w.width(), a, b)
	}
}

// convert lifts conversions between floating point and general registers, of
// which some go the other way.
func (l *armLifter) convert() {
	switch l.w.field(16, 3) {
	case 2, 3, 7: // SCVTF, UCVTF, FMOV to a vector
	default:
		l.opaqueRd()
	}
}
