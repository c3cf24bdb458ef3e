package insn

// armAccess is a load or store of which the address is a base register and a
// constant.
type armAccess struct {
	base      Reg // 31 is SP
	offset    int64
	size      int // bytes, of all registers together
	access    Access
	writeback int64 // added to the base
	vector    bool
	// Registers loaded or stored, general ones; NoReg if there is none or it
	// is vector.
	regs [2]Reg
	ext  Ext
	half bool // loaded with sign to 32 bits
}

// memory decodes a load or store of one or two registers; false if the word is
// another, or its address is not of that kind.
func (w word) memory() (armAccess, bool) {
	a := armAccess{base: w.rn(), regs: [2]Reg{w.rd(), NoReg}}
	switch {
	case armPair.matches(w):
		return w.pair(a)
	case armUImm.matches(w):
		if !w.single(&a) {
			return a, false
		}
		a.offset = w.field(10, 12) * int64(a.size)
		return a, true
	case armSImm.matches(w):
		imm := w.signedField(12, 9)
		switch w.field(10, 2) {
		case 1: // post-indexed
			a.writeback = imm
		case 3: // pre-indexed
			a.offset, a.writeback = imm, imm
		default:
			a.offset = imm
		}
		return a, w.single(&a)
	case armRCpc.matches(w):
		a.offset = w.signedField(12, 9)
		return a, w.single(&a)
	}
	return a, false
}

// single fills in what size, V and opc say; false for a prefetch and what is
// not allocated.
func (w word) single(a *armAccess) bool {
	size, opc := w.field(30, 2), w.field(22, 2)
	if a.vector = w.field(26, 1) == 1; a.vector {
		a.size = 1 << (opc&2<<1 | size)
		a.regs[0] = NoReg
		a.access = Write - Access(opc&1)
		return a.size <= 16
	}
	a.size = 1 << size
	switch opc {
	case 0:
		a.access = Write
	case 1:
		a.access = Read
	default:
		a.access, a.ext, a.half = Read, SignExt, opc == 3
		return size < 3 && !(a.half && size == 2)
	}
	return true
}

// pair fills in what LDP and STP say.
func (w word) pair(a armAccess) (armAccess, bool) {
	opc, load := w.field(30, 2), w.field(22, 1) == 1
	size := int64(4) << (opc >> 1)
	a.vector = w.field(26, 1) == 1
	if a.vector {
		size = 4 << opc
		a.regs = [2]Reg{NoReg, NoReg}
	} else {
		a.regs[1] = w.ra()
	}
	a.access = Write
	if load {
		a.access = Read
	}
	a.size = int(2 * size)
	a.offset = w.signedField(15, 7) * size
	switch {
	case opc == 3:
		return a, false
	case opc == 1 && !a.vector && load: // LDPSW
		a.ext = SignExt
	case opc == 1 && !a.vector: // STGP
		a.offset *= 4
		a.size, a.vector, a.regs = 16, true, [2]Reg{NoReg, NoReg}
	}
	switch w.field(23, 2) {
	case 1: // post-indexed
		a.offset, a.writeback = 0, a.offset
	case 3: // pre-indexed
		a.writeback = a.offset
	}
	return a, true
}

// literal decodes LDR (literal); false for a prefetch.
func (w word) literal(addr uint64) (uint64, int, bool) {
	addr += uint64(w.signedField(5, 19) << 2)
	opc := w.field(30, 2)
	switch {
	case w.field(26, 1) == 1:
		return addr, 4 << opc, opc < 3
	case opc == 2: // LDRSW
		return addr, 4, true
	}
	return addr, 4 << opc, opc < 3
}
