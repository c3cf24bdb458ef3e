package insn

import "math/bits"

// x86Lifter lifts one function.
type x86Lifter struct {
	writer
	in   x86Inst
	next uint64 // address of the next instruction
}

func (x86) lift(dst []Inst, code []byte, addr uint64) []Inst {
	l := x86Lifter{writer: writer{out: dst}}
	targets := x86Targets(code)
	for c := (&cursor{code: code}); c.off < len(code); {
		l.addr = addr + uint64(c.off)
		if targets.has(uint64(c.off)) {
			l.forget()
		}
		if !c.next(&l.in) {
			l.len = 1
			l.simple(Stop)
			l.forget()
			continue
		}
		l.len, l.next = l.in.len, addr+uint64(c.off)
		l.inst()
	}
	return l.out
}

// x86Targets returns where in the function its own direct branches go.
func x86Targets(code []byte) bitset {
	targets := newBitset(len(code) + 1)
	var in x86Inst
	for c := (&cursor{code: code}); c.off < len(code); {
		if !c.next(&in) {
			continue
		}
		switch in.form.kind() {
		case kCall, kJump, kJcc:
			if to := uint64(c.off) + uint64(in.imm); to < uint64(len(code)) {
				targets.add(to)
			}
		}
	}
	return targets
}

// inst lifts the instruction decoded.
func (l *x86Lifter) inst() {
	l.in.refine()
	if l.in.form&keep == 0 {
		l.forget()
	}
	if l.control(l.in.form.kind()) {
		return
	}
	if l.in.rex&(rexR4|rexX4|rexB4) != 0 {
		l.apx()
		return
	}
	lift := l.handler()
	if lift == nil {
		lift = (*x86Lifter).opaque
	}
	lift(l)
}

// handler returns what lifts the instruction; nil if its form says it all.
func (l *x86Lifter) handler() func(*x86Lifter) {
	switch l.in.table {
	case inOneByte:
		return liftOneByte[l.in.op]
	case inTwoByte:
		return liftTwoByte[l.in.op]
	case in38:
		if l.in.op == 0xf8 {
			return (*x86Lifter).movdir64b
		}
	case inVEX0F:
		if l.in.op == 0xf7 && l.in.enc == vexed {
			return (*x86Lifter).maskmov
		}
	}
	return nil
}

// apx lifts an instruction that names one of APX's registers, which are not
// modelled.
func (l *x86Lifter) apx() {
	l.scribble(based(rsp, -8), 8) // in case it is a push
	l.opaque()
	l.clobber(everything | Regs(rsp))
}

// control lifts what moves control; false if the instruction does not.
func (l *x86Lifter) control(k kind) bool {
	target := l.next + uint64(l.in.imm)
	switch k {
	case kCall:
		l.branch(Call, target)
	case kJump:
		l.branch(Jump, target)
	case kJcc:
		l.conditional(target)
		return true
	case kRet:
		l.simple(Return)
	case kTrap:
		if l.in.op == 0xcc && l.in.table == inOneByte {
			return true // int3: a debugger may go on
		}
		l.simple(Stop)
	case kCallInd:
		l.indirect(IndirectCall)
	case kJumpInd:
		l.indirect(IndirectJump)
	case kSyscall:
		l.simple(Syscall)
	case kSysenter:
		l.simple(Syscall)
		l.clobber(everything)
	case kInt:
		l.simple(Syscall)
		l.clobber(Regs(rax, r8, r9, r10, r11)) // of int 0x80, before Linux 4.17
	default:
		return false
	}
	l.forget()
	return true
}

// everything is all registers but the stack pointer.
const everything = RegSet(0xffff &^ (1 << rsp))

// indirect lifts a jump or call through a register or memory.
func (l *x86Lifter) indirect(op Op) {
	i := plain(op)
	i.Width = 8
	switch {
	case l.in.isMem():
		i.Mem = l.mem()
	case l.in.rm() < 16:
		i.A = Reg(l.in.rm())
	default:
		i.Mem = somewhere()
	}
	l.emit(i)
}

// conditions are those of jcc by its low four bits, after a comparison.
var conditions = [16]Cond{
	0x2: ULT, 0x3: UGE, 0x4: EQ, 0x5: NE, 0x6: ULE, 0x7: UGT,
	0xc: SLT, 0xd: SGE, 0xe: SLE, 0xf: SGT,
}

func (l *x86Lifter) conditional(target uint64) {
	in := &l.in
	cond := Any
	switch {
	case in.table == inTwoByte || in.op&0xf0 == 0x70:
		cond = conditions[in.op&15]
		if sign := in.op&15 == 8 || in.op&15 == 9; sign && l.withZero {
			cond = SLT + Cond(in.op&1)*(SGE-SLT) // no overflow
		}
	case in.op >= 0xe0 && in.op <= 0xe2: // loop
		width := uint8(8)
		if in.prefix&p67 != 0 {
			width = 4
		}
		l.regImm(Sub, rcx, width, ZeroExt, rcx, 1)
	case in.op == 0xc7: // xbegin
		l.clobber(Regs(rax))
	}
	l.branchIf(cond, target)
}

// mem returns the memory operand.
func (l *x86Lifter) mem() Mem {
	in := &l.in
	if in.prefix&(p67|pSeg) != 0 || in.rex&(rexR4|rexX4|rexB4) != 0 || in.enc == evexed && in.dispSz == 1 || in.vectorIndex() {
		return somewhere()
	}
	m := based(Reg(in.modrm&7|in.rex&rexB<<3), int64(in.disp))
	switch {
	case in.ripRel:
		m.Base = NoReg
		m.Disp += int64(l.next)
	case in.hasSIB:
		m.Base = Reg(in.base())
		if in.sib&7 == 5 && in.modrm < 0x40 {
			m.Base = NoReg
		}
		if x := in.index(); x != 4 {
			m.Index, m.Scale = Reg(x), 1<<(in.sib>>6)
		}
	}
	return m
}

// vectorIndex reports that the index is a vector register, as it is for gather,
// scatter and tiles.
func (in *x86Inst) vectorIndex() bool {
	return in.table == inVEX38 && (in.op == 0x4b || in.op >= 0x90 && in.op <= 0x93 || in.op >= 0xa0 && in.op <= 0xa3 ||
		in.op == 0xc6 || in.op == 0xc7)
}

// width is the operand size of an opcode whose lowest bit says whether it is
// more than a byte.
func (l *x86Lifter) width() uint8 {
	if l.in.op&1 == 0 {
		return 1
	}
	return l.in.operandSize()
}

// extension is how a result of that many bytes fills the register.
func extension(width uint8) Ext {
	if width < 4 {
		return Merge
	}
	return ZeroExt
}

// operand is a register, memory or an immediate.
type operand struct {
	mem, isImm bool
	high       bool // AH, CH, DH, BH
	reg        Reg  // the whole register
	imm        int64
}

// gpr returns the register of that number in an instruction.
func (l *x86Lifter) gpr(number, width uint8) operand {
	if width == 1 && l.in.rex == 0 && number >= 4 && number < 8 && l.in.enc == legacy {
		return operand{high: true, reg: Reg(number - 4)}
	}
	return operand{reg: Reg(number)}
}

func (l *x86Lifter) rmOperand(width uint8) operand {
	if l.in.isMem() {
		return operand{mem: true, reg: NoReg}
	}
	return l.gpr(l.in.rm(), width)
}

func (l *x86Lifter) regOperand(width uint8) operand { return l.gpr(l.in.reg(), width) }

func (l *x86Lifter) immOperand() operand { return operand{isImm: true, reg: NoReg, imm: l.in.imm} }

// opcodeReg is the register in the opcode's low bits.
func (l *x86Lifter) opcodeReg() uint8 { return l.in.op&7 | l.in.rex&rexB<<3 }

// isReg reports a whole or low register.
func (o operand) isReg() bool { return !o.mem && !o.isImm && !o.high }

// opaque makes unknown whatever the form says is written.
func (l *x86Lifter) opaque() {
	in := &l.in
	if in.form&w != 0 && in.isMem() {
		l.scribble(l.mem(), in.size()%szHugeBytes)
	}
	set := in.form.implied()
	byteWide := uint8(4)
	if in.form&sizeMask == sz1 && in.enc == legacy && in.table != in3A {
		byteWide = 1
	}
	if in.form&wreg != 0 && in.reg() < 16 {
		set |= Regs(l.gpr(in.reg(), byteWide).reg, Reg(in.reg()))
	}
	if in.form&(w|gpr|modrm) == w|gpr|modrm && !in.isMem() && in.rm() < 16 {
		set |= Regs(l.gpr(in.rm(), byteWide).reg)
	}
	if in.form&wvvvv != 0 {
		set |= Regs(Reg(in.vvvv))
	}
	l.clobber(set)
}

// szHugeBytes stands for an extent that is not known.
const szHugeBytes = 512

// log2 of a scale.
func log2(scale uint8) int64 { return int64(bits.TrailingZeros8(scale)) }
