package insn

// access lifts loads and stores at a register and a constant.
func (l *armLifter) access() {
	a, ok := l.w.memory()
	if !ok {
		return // a prefetch, or not allocated
	}
	m := based(a.base, a.offset)
	written := Regs(general(a.regs[0])) | Regs(a.regs[1])&^Regs(zr)
	overlap := a.writeback != 0 && written.Has(a.base) || a.regs[0] == a.regs[1]
	switch {
	case overlap && a.access == Read && !a.vector: // constrained unpredictable
		l.clobber(written | Regs(a.base))
		return
	case a.vector && a.access == Write:
		l.scribble(m, a.size)
	case a.vector:
	case a.regs[1] == NoReg:
		l.one(a, a.regs[0], a.size, m)
	default:
		l.two(a, m)
	}
	if a.writeback != 0 {
		l.regImm(Add, a.base, 8, ZeroExt, a.base, a.writeback)
	}
}

// two lifts LDP and STP. A register that is base and result is loaded last.
func (l *armLifter) two(a armAccess, m Mem) {
	size := a.size / 2
	next := m
	next.Disp += int64(size)
	if a.access == Read && a.regs[0] == a.base {
		l.one(a, a.regs[1], size, next)
		l.one(a, a.regs[0], size, m)
		return
	}
	l.one(a, a.regs[0], size, m)
	l.one(a, a.regs[1], size, next)
}

// one lifts the load or store of a general register.
func (l *armLifter) one(a armAccess, r Reg, size int, m Mem) {
	switch r = general(r); {
	case a.access == Write:
		l.store(m, uint8(size), r, 0)
	case r == NoReg:
	default:
		l.load(r, uint8(size), a.ext, m)
		if a.half {
			l.copyReg(r, 4, ZeroExt, r)
		}
	}
}

func (l *armLifter) loadLiteral() {
	addr, size, ok := l.w.literal(l.addr)
	dst := general(l.w.rd())
	if !ok || l.w.field(26, 1) == 1 || dst == NoReg {
		return
	}
	ext := ZeroExt
	if l.w.field(30, 2) == 2 {
		ext = SignExt
	}
	l.load(dst, uint8(size), ext, at(addr))
}

// accessRegister lifts loads and stores with an index register. If that is
// extended from 32 bits, only the base can be told.
func (l *armLifter) accessRegister() {
	w := l.w
	a := armAccess{base: w.rn(), regs: [2]Reg{w.rd(), NoReg}}
	if !w.single(&a) {
		return
	}
	m := based(a.base, 0)
	index := general(w.rm())
	scale := 1
	if w.field(12, 1) == 1 {
		scale = a.size
	}
	option := w.field(13, 3)
	switch {
	case index == NoReg:
	case option&3 == 3 && scale <= 8:
		m.Index, m.Scale = index, uint8(scale)
	case a.access == Write:
		l.scribble(m, 0)
		return
	default:
		l.clobber(Regs(general(a.regs[0])))
		return
	}
	switch {
	case !a.vector:
		l.one(a, a.regs[0], a.size, m)
	case a.access == Write:
		l.scribble(m, a.size)
	}
}

func (l *armLifter) loadAcquire() {
	if dst := general(l.w.rd()); dst != NoReg {
		l.load(dst, 1<<l.w.field(30, 2), ZeroExt, based(l.w.rn(), 0))
	}
}

// loadAuthenticated makes the result and, if written back, the base unknown.
func (l *armLifter) loadAuthenticated() {
	set := Regs(general(l.w.rd()))
	if l.w.field(11, 1) == 1 {
		set |= Regs(l.w.rn())
	}
	l.clobber(set)
}

// load64 lifts LD64B, to eight registers.
func (l *armLifter) load64() { l.clobber(0xff << l.w.rd() & (1<<zr - 1)) }

// store64 lifts ST64B, ST64BV, ST64BV0; the latter return a status.
func (l *armLifter) store64() {
	l.scribble(based(l.w.rn(), 0), 64)
	l.clobber(Regs(general(l.w.rm())))
}

// atomic lifts LDADD, SWP and the like.
func (l *armLifter) atomic() {
	l.scribble(based(l.w.rn(), 0), 1<<l.w.field(30, 2))
	l.opaqueRd()
}

// exclusive lifts LDXR, STXR, LDAR, STLR, CAS and their pairs.
func (l *armLifter) exclusive() {
	w := l.w
	size := 1 << w.field(30, 2)
	m := based(w.rn(), 0)
	load, status := w.field(22, 1) == 1, general(w.rm())
	switch ordered, pair := w.field(23, 1) == 1, w.field(21, 1) == 1; {
	case ordered && pair: // CAS
		l.scribble(m, size)
		l.clobber(Regs(status))
	case pair && w.sf() == 0: // CASP
		l.scribble(m, 8<<w.field(30, 1))
		l.clobber(Regs(status, general(status+1)))
	case pair && load: // LDXP
		l.clobber(Regs(general(w.rd()), general(w.ra())))
	case pair: // STXP
		l.scribble(m, 2*size)
		l.clobber(Regs(status))
	case load: // LDXR, LDAR
		if dst := general(w.rd()); dst != NoReg {
			l.load(dst, uint8(size), ZeroExt, m)
		}
	case ordered: // STLR
		l.store(m, uint8(size), general(w.rd()), 0)
	default: // STXR may fail
		l.scribble(m, size)
		l.clobber(Regs(status))
	}
}

// vectors lifts LD1 to ST4.
func (l *armLifter) vectors() {
	w := l.w
	if w.field(22, 1) == 0 {
		l.scribble(based(w.rn(), 0), 64)
	}
	if w.field(23, 1) == 1 { // post-indexed
		l.clobber(Regs(w.rn()))
	}
}

// opaqueAccess makes unknown all registers that the word could name, and
// memory: tags, memory copies, pairs of newer kinds.
func (l *armLifter) opaqueAccess() {
	w := l.w
	l.scribble(somewhere(), 0)
	l.clobber(Regs(general(w.rd()), w.rn(), general(w.rm())))
}
