package insn

import "encoding/binary"

// Registers in encoding order.
const (
	rax Reg = iota
	rcx
	rdx
	rbx
	rsp
	rbp
	rsi
	rdi
	r8
	r9
	r10
	r11
)

// between is no register of the processor: it holds what an instruction moves
// from memory to memory.
const between Reg = 16

// Prefixes of an instruction, as far as they matter: bits.
const (
	p66   = 1 << iota // operand size
	pF3               // rep, mandatory prefix
	pF2               // repne, mandatory prefix
	p67               // address size
	pLock             //
	pSeg              // fs or gs
)

// Bits of the REX prefix, of VEX and EVEX too.
const (
	rexB = 1 << iota
	rexX
	rexR
	rexW
	rexB4 // of REX2: register numbers above 15
	rexX4
	rexR4
	rexAny // there is a REX prefix: no AH, CH, DH, BH
)

// encoding is how the opcode is written.
type encoding uint8

const (
	legacy encoding = iota
	vexed
	evexed
	xoped
)

// maxInst is the longest instruction the processor takes.
const maxInst = 15

// window is what the decoder looks at: no instruction that it reads reaches
// the end, so that an index needs no check but the mask.
type window [32]byte

// x86Inst is a decoded instruction.
type x86Inst struct {
	form   form
	table  opcodeMap // where the form comes from
	imm    int64     // sign-extended, but moffs
	disp   int32
	op     byte
	prefix uint8
	rex    uint8
	enc    encoding
	modrm  byte
	sib    byte
	vvvv   uint8 // VEX.vvvv
	vector uint8 // VEX.L, EVEX.L'L
	dispSz uint8
	len    uint8
	hasSIB bool
	ripRel bool
}

// decode reads the instruction that code begins with; false if there is none.
func (in *x86Inst) decode(code []byte) bool {
	c := cursor{code: code}
	return c.next(in)
}

// cursor goes through code. Near its end it reads a copy, so that a window
// always has its length.
type cursor struct {
	code []byte
	off  int // of the next instruction
	tail [2 * len(window{})]byte
	from int // what tail is a copy of; 0: not yet made
}

// next decodes the instruction at the cursor and moves past it. If there is
// none it moves one byte and returns false.
func (c *cursor) next(in *x86Inst) bool {
	if c.off+len(window{}) <= len(c.code) {
		if in.read((*window)(c.code[c.off:])) {
			c.off += int(in.len)
			return true
		}
	} else if in.read(c.last()) && c.off+int(in.len) <= len(c.code) {
		c.off += int(in.len)
		return true
	}
	c.off++
	return false
}

// last returns the window at the cursor near the end of the code.
func (c *cursor) last() *window {
	if c.from == 0 {
		c.from = c.off + 1
		copy(c.tail[:], c.code[c.off:])
	}
	return (*window)(c.tail[c.off+1-c.from:])
}

// read decodes the instruction at the start of b.
func (in *x86Inst) read(b *window) bool {
	*in = x86Inst{}
	p := 0
	c := b[0]
	if c&0xf0 == 0x40 { // the most frequent prefix
		in.rex = c&15 | rexAny
		p, c = 1, b[1]
	}
	f := oneByte[c]
	in.table, in.op = inOneByte, c
	p++
	if k := f.kind(); k != kPlain && k <= kREX2 {
		var ok bool
		if p, ok = in.opcode(b, p-1); !ok {
			return false
		}
		f = in.form
	}
	if f&modrm != 0 {
		m := b[p&31]
		in.modrm = m
		p++
		if f&groupMask != 0 {
			f = in.resolve(f, m)
			if f.kind() == kBad {
				return false
			}
		}
		if m < 0xc0 {
			p = in.memory(b, p, m)
		}
	}
	in.form = f
	switch f & immMask {
	case 0:
	case ib:
		in.imm = int64(int8(b[p&31]))
		p++
	default:
		p = in.immediate(b, p, f)
	}
	in.len = uint8(p)
	return p <= maxInst
}

// opcode reads prefixes and the opcode from p on, where the fast way ended, and
// leaves the form in in. It returns the position after the opcode.
func (in *x86Inst) opcode(b *window, p int) (int, bool) {
	for p < maxInst {
		c := b[p&31]
		f := oneByte[c]
		in.op, in.form = c, f
		p++
		switch f.kind() {
		case kPrefix:
			in.takePrefix(c)
		case kEscape:
			return in.escaped(b, p)
		case kVEX2:
			return in.vex2(b, p)
		case kVEX3, kXOP:
			return in.vex3(b, p)
		case kEVEX:
			return in.evex(b, p)
		case kREX2:
			return in.rex2(b, p)
		case kBad:
			return p, false
		default:
			return p, true
		}
	}
	return p, false
}

// takePrefix notes a prefix. REX counts only right before the opcode.
func (in *x86Inst) takePrefix(c byte) {
	if c&0xf0 == 0x40 {
		in.rex = c&15 | rexAny
		return
	}
	in.rex = 0
	switch c {
	case 0x66:
		in.prefix |= p66
	case 0xf3:
		in.prefix = in.prefix&^pF2 | pF3
	case 0xf2:
		in.prefix = in.prefix&^pF3 | pF2
	case 0x67:
		in.prefix |= p67
	case 0xf0:
		in.prefix |= pLock
	case 0x64, 0x65:
		in.prefix |= pSeg
	}
}

// escaped reads the opcode after 0F.
func (in *x86Inst) escaped(b *window, p int) (int, bool) {
	in.table, in.op = inTwoByte, b[p&31]
	p++
	switch in.op {
	case 0x38, 0x3a:
		in.table = in38
		if in.op == 0x3a {
			in.table = in3A
		}
		in.op = b[p&31]
		p++
	}
	in.form = opcodeMaps[in.table][in.op]
	if in.op == 0x78 && in.prefix&(p66|pF2) != 0 && in.table == inTwoByte {
		in.form = modrm | iw // extrq, insertq
	}
	return p, in.form.kind() != kBad
}

// mandatory is the prefix that the pp field of VEX, EVEX and XOP stands for.
var mandatory = [4]uint8{0, p66, pF3, pF2}

func (in *x86Inst) vex2(b *window, p int) (int, bool) {
	v := b[p&31]
	in.rex |= ^v >> 5 & rexR
	return in.vexTail(inVEX0F, v, b[(p+1)&31], p+2)
}

// vex3 reads three-byte VEX, XOP, or pop, which shares XOP's first byte.
func (in *x86Inst) vex3(b *window, p int) (int, bool) {
	v, v2 := b[p&31], b[(p+1)&31]
	number := v & 31
	isXOP := in.op == 0x8f
	if isXOP && number < 8 {
		in.form = g1a | modrm | gpr | szV
		return p, true
	}
	in.rex |= ^v>>5&7 | v2>>4&rexW
	op := b[(p+2)&31]
	switch {
	case isXOP && number <= 10:
		p, _ = in.vexTail(inVEX0F, v2, op, p+3)
		in.enc = xoped
		in.form = [3]form{xop8, xop9, xopA}[number-8]
		if number == 9 && op == 0x12 {
			in.form = modrm | rw | gpr | wvvvv // slwpcb
		}
		return p, true
	case isXOP || number == 0 || number > 3:
		return p, false
	}
	return in.vexTail([4]opcodeMap{1: inVEX0F, 2: inVEX38, 3: inVEX3A}[number], v2, op, p+3)
}

// vexTail takes over the fields of the last payload byte and the opcode.
func (in *x86Inst) vexTail(table opcodeMap, v, op byte, p int) (int, bool) {
	in.enc, in.table, in.op = vexed, table, op
	in.prefix |= mandatory[v&3]
	in.vector = v >> 2 & 1
	in.vvvv = ^v >> 3 & 15
	in.form = opcodeMaps[table][op]
	return p, in.form.kind() != kBad
}

func (in *x86Inst) evex(b *window, p int) (int, bool) {
	v0, v1, v2, op := b[p&31], b[(p+1)&31], b[(p+2)&31], b[(p+3)&31]
	table := [8]opcodeMap{1: inVEX0F, 2: inVEX38, 3: inVEX3A, 5: inEVEX5, 6: inEVEX6}[v0&7]
	// Bits that APX gives a meaning to are fixed otherwise; so is map 4.
	if table == inOneByte || v0&8 != 0 || v1&4 == 0 {
		return p, false
	}
	in.rex |= ^v0>>5&7 | v1>>4&rexW
	p, ok := in.vexTail(table, v1&^4, op, p+4)
	in.enc, in.vector = evexed, v2>>5&3
	if v2&0x10 != 0 {
		in.vector = 2 // broadcast, of whatever size, or rounding
	}
	return p, ok && in.form != 0
}

// rex2 reads APX's REX2 prefix and the opcode. Rows of the maps that it may not
// precede are no instructions (APX specification, section 3.1.1); neither is
// jmpabs taken for one.
func (in *x86Inst) rex2(b *window, p int) (int, bool) {
	v, op := b[p&31], b[(p+1)&31]
	in.rex = v&15 | v>>4&7<<4 | rexAny
	in.table, in.op = inOneByte, op
	badRows := uint(1<<0x4 | 1<<0x7 | 1<<0xa | 1<<0xe)
	if v&0x80 != 0 {
		in.table = inTwoByte
		badRows = 1<<0x3 | 1<<0x8
	}
	in.form = opcodeMaps[in.table][op]
	k := in.form.kind()
	return p + 2, badRows>>(op>>4)&1 == 0 && (k == kPlain || k > kREX2)
}

// resolve returns the form of an instruction of a group.
func (in *x86Inst) resolve(f form, m byte) form {
	g := f.group()
	f = f&^groupMask | groups[g][m>>3&7]
	if (g == uint32(gMovB>>groupShift) || g == uint32(gMovV>>groupShift)) && m>>3&7 == 7 && m != 0xf8 {
		return bad
	}
	return f
}

// memory reads SIB and displacement.
func (in *x86Inst) memory(b *window, p int, m byte) int {
	if in.op&0xfc == 0x20 && in.table == inTwoByte {
		in.modrm |= 0xc0 // mov from and to control registers ignores mod
		return p
	}
	base := m & 7
	if base == 4 {
		in.sib = b[p&31]
		in.hasSIB = true
		base = in.sib & 7
		p++
	}
	switch {
	case m >= 0x80:
		in.disp = int32(binary.LittleEndian.Uint32(b[p&31:]))
		in.dispSz = 4
		return p + 4
	case m >= 0x40:
		in.disp = int32(int8(b[p&31]))
		in.dispSz = 1
		return p + 1
	case base == 5:
		in.disp = int32(binary.LittleEndian.Uint32(b[p&31:]))
		in.dispSz = 4
		in.ripRel = !in.hasSIB
		return p + 4
	}
	return p
}

// immediate reads an immediate that is longer than a byte.
func (in *x86Inst) immediate(b *window, p int, f form) int {
	size := 4
	switch f & immMask {
	case jz:
	case iz:
		if in.prefix&p66 != 0 && in.rex&rexW == 0 && in.enc == legacy {
			size = 2
		}
	case iv:
		if in.rex&rexW != 0 {
			size = 8
		} else if in.prefix&p66 != 0 {
			size = 2
		}
	case iw:
		size = 2
	case iwb:
		in.imm = int64(b[p&31]) | int64(b[(p+1)&31])<<8 | int64(b[(p+2)&31])<<16
		return p + 3
	case moffs:
		if in.prefix&p67 == 0 {
			size = 8
		}
	}
	if p > maxInst {
		return p
	}
	v := binary.LittleEndian.Uint64(b[p:])
	in.imm = int64(v<<(64-8*size)) >> (64 - 8*size)
	return p + size
}

// sizes are the bytes of the memory operand by the form's size field; 0 where
// it takes the instruction to say.
var sizes = [16]uint16{64, 1, 2, 4, 8, 10, 16, 28, 32, 512}

// size returns the bytes of the memory operand: 64 if unsure.
func (in *x86Inst) size() int {
	field := in.form & sizeMask
	if n := sizes[field>>sizeShift]; n != 0 {
		return int(n)
	}
	vector := 16 << min(in.vector, 2)
	switch field {
	case szV:
		if in.form&wsp != 0 && in.prefix&p66 == 0 {
			return 8 // push and pop
		}
		return int(in.operandSize())
	case szY:
		return 4 << (in.rex & rexW >> 3)
	case szP:
		if in.enc == legacy && in.prefix&(p66|pF3|pF2) == 0 {
			return 8
		}
	case szS:
		switch {
		case in.prefix&pF3 != 0:
			return 4
		case in.prefix&pF2 != 0:
			return 8
		}
	case szF:
		if in.prefix&(p66|pF2) != 0 {
			return 8
		}
		return 4
	}
	return vector
}

// operandSize returns 2, 4 or 8.
func (in *x86Inst) operandSize() uint8 {
	switch {
	case in.rex&rexW != 0:
		return 8
	case in.prefix&p66 != 0:
		return 2
	}
	return 4
}

// refine replaces the form by that of an exception.
func (in *x86Inst) refine() {
	for i := range exceptions {
		e := &exceptions[i]
		if e.table == in.table && e.enc == in.enc && in.op >= e.op[0] && in.op <= e.op[1] && in.prefix&e.prefix != 0 {
			in.form = e.form
			return
		}
	}
}

// reg is the number in ModRM.reg; rm, base and index likewise.
func (in *x86Inst) reg() uint8 { return in.modrm>>3&7 | in.rex&rexR<<1 | in.rex&rexR4>>2 }
func (in *x86Inst) rm() uint8  { return in.modrm&7 | in.rex&rexB<<3 | in.rex&rexB4 }
func (in *x86Inst) base() uint8 {
	return in.sib&7 | in.rex&rexB<<3 | in.rex&rexB4
}
func (in *x86Inst) index() uint8 {
	return in.sib>>3&7 | in.rex&rexX<<2 | in.rex&rexX4>>1
}

// isMem reports whether ModRM.rm is a memory operand.
func (in *x86Inst) isMem() bool { return in.form&modrm != 0 && in.modrm < 0xc0 }
