package insn

func (l *x86Lifter) movToRM() {
	width := l.width()
	l.move(width, l.rmOperand(width), l.regOperand(width))
}

func (l *x86Lifter) movToReg() {
	width := l.width()
	l.move(width, l.regOperand(width), l.rmOperand(width))
}

func (l *x86Lifter) movImmToRM() {
	width := l.width()
	if l.in.modrm == 0xf8 {
		return // xabort: without a transaction it does nothing
	}
	l.move(width, l.rmOperand(width), l.immOperand())
}

func (l *x86Lifter) movImm8() {
	l.move(1, l.gpr(l.opcodeReg(), 1), l.immOperand())
}

func (l *x86Lifter) movImm() {
	l.move(l.in.operandSize(), l.gpr(l.opcodeReg(), 4), l.immOperand())
}

// move lifts dst = src.
func (l *x86Lifter) move(width uint8, dst, src operand) {
	switch {
	case dst.mem && src.high:
		l.scribble(l.mem(), int(width))
	case dst.mem:
		l.store(l.mem(), width, src.reg, truncate(src.imm, width))
	case dst.high || src.high:
		l.clobber(Regs(dst.reg))
	case src.mem:
		l.load(dst.reg, width, extension(width), l.mem())
	case src.isImm:
		l.set(dst.reg, width, extension(width), src.imm)
	default:
		l.copyReg(dst.reg, width, extension(width), src.reg)
	}
}

// offset is the memory operand of mov with a full address.
func (l *x86Lifter) offset() Mem {
	if l.in.prefix&pSeg != 0 {
		return somewhere()
	}
	if l.in.prefix&p67 != 0 {
		return at(uint64(uint32(l.in.imm)))
	}
	return at(uint64(l.in.imm))
}

func (l *x86Lifter) loadOffset() {
	width := l.width()
	l.load(rax, width, extension(width), l.offset())
}

func (l *x86Lifter) storeOffset() { l.store(l.offset(), l.width(), rax, 0) }

func (l *x86Lifter) movzx() { l.extend(1<<(l.in.op&1), ZeroExt) }
func (l *x86Lifter) movsx() { l.extend(1<<(l.in.op&1), SignExt) }

// movsxd without REX.W moves 32 bits, or 16.
func (l *x86Lifter) movsxd() {
	if width := l.in.operandSize(); width < 8 {
		l.move(width, l.regOperand(width), l.rmOperand(width))
		return
	}
	l.extend(4, SignExt)
}

// extend lifts the move of a narrow operand to a wide register.
func (l *x86Lifter) extend(width uint8, ext Ext) {
	dst, src := Reg(l.in.reg()), l.rmOperand(width)
	to := l.in.operandSize()
	if src.high || to == 2 {
		l.clobber(Regs(dst))
		return
	}
	if src.mem {
		l.load(dst, width, ext, l.mem())
	} else {
		l.copyReg(dst, width, ext, src.reg)
	}
	if ext == SignExt && to == 4 {
		l.copyReg(dst, 4, ZeroExt, dst)
	}
}

// cwde lifts cbw, cwde and cdqe.
func (l *x86Lifter) cwde() {
	switch l.in.operandSize() {
	case 2:
		l.clobber(Regs(rax))
	case 4:
		l.copyReg(rax, 2, SignExt, rax)
		l.copyReg(rax, 4, ZeroExt, rax)
	case 8:
		l.copyReg(rax, 4, SignExt, rax)
	}
}

// cqo lifts cwd, cdq and cqo.
func (l *x86Lifter) cqo() {
	width := l.in.operandSize()
	l.regImm(Sar, rdx, width, extension(width), rax, int64(8*width-1))
}

// bswap is not modelled, but its register is in the opcode.
func (l *x86Lifter) bswap() { l.clobber(Regs(Reg(l.opcodeReg()))) }

// xchg makes both operands unknown: there is no order of copies for it.
func (l *x86Lifter) xchg() {
	width := l.width()
	a, b := l.rmOperand(width), l.regOperand(width)
	if a.mem {
		l.scribble(l.mem(), int(width))
	}
	l.clobber(Regs(a.reg, b.reg))
}

// xchgAcc is nop for the accumulator itself, unless REX.B makes it R8.
func (l *x86Lifter) xchgAcc() {
	if other := Reg(l.opcodeReg()); other != rax {
		l.clobber(Regs(rax, other))
	}
}

func (l *x86Lifter) xadd() { l.xchg() }

func (l *x86Lifter) cmpxchg() {
	width := l.width()
	dst := l.rmOperand(width)
	if dst.mem {
		l.scribble(l.mem(), int(width))
	}
	l.clobber(Regs(dst.reg, rax))
}

func (l *x86Lifter) cmov() {
	width, dst := l.in.operandSize(), Reg(l.in.reg())
	if l.in.isMem() {
		l.load(between, width, ZeroExt, l.mem())
		l.regReg(Choose, dst, width, extension(width), dst, between)
		l.clobber(Regs(between))
		return
	}
	l.regReg(Choose, dst, width, extension(width), dst, Reg(l.in.rm()))
}

func (l *x86Lifter) setcc() {
	dst := l.rmOperand(1)
	if !dst.isReg() {
		l.opaque()
		return
	}
	l.set(dst.reg, 1, Merge, 0)
	l.regImm(Choose, dst.reg, 1, Merge, dst.reg, 1)
}

// stackWidth is the operand size of push and pop.
func (l *x86Lifter) stackWidth() uint8 {
	if l.in.prefix&p66 != 0 && l.in.rex&rexW == 0 {
		return 2
	}
	return 8
}

// push stores first: what is pushed may be the stack pointer.
func (l *x86Lifter) push(src Reg, imm int64) {
	width := l.stackWidth()
	l.store(based(rsp, -int64(width)), width, src, truncate(imm, width))
	l.regImm(Sub, rsp, 8, ZeroExt, rsp, int64(width))
}

func (l *x86Lifter) pushReg() { l.push(Reg(l.opcodeReg()), 0) }
func (l *x86Lifter) pushImm() { l.push(NoReg, l.in.imm) }

// pushMem reads before it writes: the operand may be relative to the stack
// pointer.
func (l *x86Lifter) pushMem() {
	l.load(between, l.stackWidth(), ZeroExt, l.mem())
	l.push(between, 0)
	l.clobber(Regs(between))
}

// pushOther pushes what no register has.
func (l *x86Lifter) pushOther() {
	width := l.stackWidth()
	l.scribble(based(rsp, -int64(width)), int(width))
	l.regImm(Sub, rsp, 8, ZeroExt, rsp, int64(width))
}

func (l *x86Lifter) popReg() { l.pop(Reg(l.opcodeReg())) }

func (l *x86Lifter) pop(dst Reg) {
	width := l.stackWidth()
	l.load(dst, width, extension(width), based(rsp, 0))
	switch {
	case dst != rsp:
		l.regImm(Add, rsp, 8, ZeroExt, rsp, int64(width))
	case width != 8:
		l.clobber(Regs(rsp))
	}
}

// popRM stores to memory, whose address is computed after the stack pointer is
// raised.
func (l *x86Lifter) popRM() {
	width := l.stackWidth()
	if !l.in.isMem() {
		l.pop(Reg(l.in.rm()))
		return
	}
	l.load(between, width, ZeroExt, based(rsp, 0))
	l.popOther()
	l.store(l.mem(), width, between, 0)
	l.clobber(Regs(between))
}

// popOther pops to where no register is.
func (l *x86Lifter) popOther() {
	l.regImm(Add, rsp, 8, ZeroExt, rsp, int64(l.stackWidth()))
}

func (l *x86Lifter) leave() {
	if l.stackWidth() != 8 {
		l.clobber(Regs(rsp, rbp))
		return
	}
	l.copyReg(rsp, 8, ZeroExt, rbp)
	l.pop(rbp)
}

func (l *x86Lifter) enter() {
	size, nesting := l.in.imm&0xffff, l.in.imm>>16&31
	if nesting != 0 || l.stackWidth() != 8 {
		l.scribble(based(rsp, 0), 0)
		l.clobber(Regs(rsp, rbp))
		return
	}
	l.push(rbp, 0)
	l.copyReg(rbp, 8, ZeroExt, rsp)
	l.regImm(Sub, rsp, 8, ZeroExt, rsp, size)
}

// str lifts string instructions. Those that write do so at RDI; repeated, or
// with the direction flag set, the extent is unknown.
func (l *x86Lifter) str() {
	in := &l.in
	writes := in.op == 0x6c || in.op == 0x6d || in.op == 0xa4 || in.op == 0xa5 || in.op == 0xaa || in.op == 0xab
	width := int(l.width())
	repeated := in.prefix&(pF3|pF2) != 0
	if repeated {
		width = 0
	}
	switch {
	case writes && in.prefix&p67 != 0:
		l.scribble(somewhere(), width)
	case writes:
		l.scribble(based(rdi, 0), width)
	}
	set := in.form.implied()
	if !repeated {
		set &^= Regs(rcx)
	}
	l.clobber(set)
}

// inPort lifts in: a hypervisor may answer in any register.
func (l *x86Lifter) inPort() { l.clobber(everything) }

// x87 lifts fnstsw ax besides what the form says.
func (l *x86Lifter) x87() {
	if l.in.modrm == 0xe0 {
		l.clobber(Regs(rax))
		return
	}
	l.opaque()
}

// system lifts the instructions after 0F 01.
func (l *x86Lifter) system() {
	in := &l.in
	switch {
	case in.isMem():
		l.opaque()
	case in.modrm == 0xfc: // clzero
		l.scribble(based(rax, 0), 0)
	case in.modrm < 0xc8 || in.modrm>>3&7 == 3 || in.modrm == 0xd7: // hypervisor calls, enclaves
		l.clobber(everything)
	case in.modrm>>3&7 == 4: // smsw
		l.opaque()
	default:
		l.clobber(Regs(rax, rbx, rcx, rdx))
	}
}

// padlock lifts the string instructions of VIA.
func (l *x86Lifter) padlock() {
	l.scribble(based(rdi, 0), 0)
	l.scribble(based(rsi, 0), 0)
	l.opaque()
}

// bitString lifts bts, btr and btc, which in memory reach as far as the bit
// number goes.
func (l *x86Lifter) bitString() {
	if l.in.isMem() {
		l.scribble(l.mem(), 0)
		return
	}
	l.opaque()
}

func (l *x86Lifter) maskmov() {
	if l.in.prefix&(p67|pSeg) != 0 {
		l.scribble(somewhere(), 16)
		return
	}
	l.scribble(based(rdi, 0), 16)
}

// movdir64b lifts it and enqcmd, which write where a register points.
func (l *x86Lifter) movdir64b() {
	if l.in.prefix&(p67|pSeg) != 0 {
		l.scribble(somewhere(), 64)
		return
	}
	l.scribble(based(Reg(l.in.reg()), 0), 64)
}
