package insn

// form is what an x86-64 opcode says of its instruction: the bytes after the
// opcode, the access to its operands, and whether it moves control.
type form uint32

// Fields of a form.
const (
	modrm form = 1 << 0 // a ModRM byte follows

	immMask form = 7 << 1
	ib      form = 1 << 1 // 8-bit immediate
	iw      form = 2 << 1 // 16-bit
	iz      form = 3 << 1 // 16 or 32-bit, by operand size
	iv      form = 4 << 1 // 16, 32 or 64-bit, by operand size
	iwb     form = 5 << 1 // 16-bit and 8-bit (enter)
	jz      form = 6 << 1 // 32-bit displacement of a branch
	moffs   form = 7 << 1 // address, 64-bit or by the prefix 32-bit

	r  form = 1 << 4 // the register or memory of ModRM.rm is read
	w  form = 1 << 5 // it is written
	rw form = r | w

	wreg  form = 1 << 6 // the general register ModRM.reg is written
	gpr   form = 1 << 7 // ModRM.rm is a general register if it is no memory
	wvvvv form = 1 << 8 // the general register VEX.vvvv is written

	// keep: the arithmetic flags stay as they are. It is not set where nobody
	// cares.
	keep form = 1 << 9

	sizeShift      = 10
	sizeMask  form = 15 << sizeShift

	// Registers written that no field names, of the first eight.
	impliedShift      = 14
	impliedMask  form = 0xff << impliedShift
	wax          form = 1 << (impliedShift + 0)
	wcx          form = 1 << (impliedShift + 1)
	wdx          form = 1 << (impliedShift + 2)
	wbx          form = 1 << (impliedShift + 3)
	wsp          form = 1 << (impliedShift + 4)
	wbp          form = 1 << (impliedShift + 5)
	wsi          form = 1 << (impliedShift + 6)
	wdi          form = 1 << (impliedShift + 7)

	kindShift      = 22
	kindMask  form = 31 << kindShift

	groupShift      = 27
	groupMask  form = 31 << groupShift
)

// Sizes of the memory operand.
const (
	szUnsure form = iota << sizeShift // at most 64 bytes
	sz1
	sz2
	sz4
	sz8
	sz10
	sz16
	sz28
	sz32
	szHuge // more than 64 bytes
	szV    // operand size: 2, 4, 8
	szY    // 4 or 8, by REX.W
	szX    // vector: 16, 32, 64
	szP    // MMX or vector: 8 without the prefix 66, else as szX
	szS    // by prefix: none or 66 vector, F3 4, F2 8
	szF    // scalar: by prefix: none or F3 4, else 8
)

// kind is what sets an opcode apart from those that just compute.
type kind uint8

const (
	kPlain kind = iota
	// What the decoder has to act on.
	kBad
	kPrefix
	kEscape // to the two-byte map
	kVEX2
	kVEX3
	kEVEX
	kXOP // or pop
	kREX2

	// What moves control.
	kCall
	kJump
	kJcc // conditional, loop, xbegin
	kRet // and iret, sysret
	kTrap
	kCallInd
	kJumpInd
	kSyscall
	kSysenter
	kInt

	// What Sweep looks at.
	kNop   // padding
	kBound // may bound the index of a jump table
	kLea
	kByteIndex // movzx of a byte
)

const (
	bad    = form(kBad) << kindShift
	prefix = form(kPrefix) << kindShift
	escape = form(kEscape) << kindShift
	vex2   = form(kVEX2) << kindShift
	vex3   = form(kVEX3) << kindShift
	evex   = form(kEVEX) << kindShift
	xop    = form(kXOP) << kindShift
	rex2   = form(kREX2) << kindShift
	call   = form(kCall) << kindShift
	jump   = form(kJump) << kindShift
	jcc    = form(kJcc) << kindShift
	ret    = form(kRet) << kindShift
	trap   = form(kTrap) << kindShift
	callI  = form(kCallInd) << kindShift
	jumpI  = form(kJumpInd) << kindShift
	sysc   = form(kSyscall) << kindShift
	syse   = form(kSysenter) << kindShift
	intn   = form(kInt) << kindShift
	pad    = form(kNop) << kindShift
	bound  = form(kBound) << kindShift
	leaK   = form(kLea) << kindShift
	byteK  = form(kByteIndex) << kindShift
)

func (f form) kind() kind       { return kind(f & kindMask >> kindShift) }
func (f form) access() Access   { return Access(f & rw / r) }
func (f form) implied() RegSet  { return RegSet(f & impliedMask >> impliedShift) }
func (f form) group() uint32    { return uint32(f >> groupShift) }
func (f form) sizeField() uint8 { return uint8(f & sizeMask >> sizeShift) }

// Groups: opcodes whose ModRM.reg selects the instruction. The form of the
// instruction is that of the opcode or-ed with that of the group.
const (
	_ form = iota << groupShift
	g1
	g1a
	g3b
	g3v
	g4
	g5
	gD9
	gDB
	gDD
	gDF
	g0F00
	g0F01
	g0F1E
	g0F71
	g0F73
	g0FAE
	g0FBA
	g0FC7
	g38F3
	gMovB
	gMovV
	g3849
)

// groups has eight forms for each group, in the order of the constants.
var groups = [32][8]form{
	g1 >> groupShift:    {rw, rw, rw, rw, rw | bound, rw, rw, r | bound}, // add or adc sbb and sub xor cmp
	g1a >> groupShift:   {w | gpr | wsp | keep, bad, bad, bad, bad, bad, bad, bad},
	g3b >> groupShift:   {r | ib, r | ib, rw | keep, rw, r | wax, r | wax, r | wax, r | wax},
	g3v >> groupShift:   {r | iz, r | iz, rw | keep, rw, r | wax | wdx, r | wax | wdx, r | wax | wdx, r | wax | wdx},
	g4 >> groupShift:    {rw, rw, bad, bad, bad, bad, bad, bad},
	g5 >> groupShift:    {rw, rw, r | callI, r | callI, r | jumpI, r | jumpI, r | wsp | keep, bad},
	gD9 >> groupShift:   {r | sz4, 0, w | sz4, w | sz4, r | sz28, r | sz2, w | sz28, w | sz2},
	gDB >> groupShift:   {r | sz4, w | sz4, w | sz4, w | sz4, 0, r | sz10, 0, w | sz10},
	gDD >> groupShift:   {r | sz8, w | sz8, w | sz8, w | sz8, r | szHuge, 0, w | szHuge, w | sz2},
	gDF >> groupShift:   {r | sz2, w | sz2, w | sz2, w | sz2, r | sz10, r | sz8, w | sz10, w | sz8},
	g0F00 >> groupShift: {w, w, r, r, r, r, r, bad},
	// With a register for rm these are dozens of system instructions.
	g0F01 >> groupShift: {w, w, r, r, w, rw | sz8, r | sz2, r},
	g0F1E >> groupShift: {0, w | gpr | szY, 0, 0, 0, 0, 0, pad},
	g0F71 >> groupShift: {bad, bad, 0, bad, 0, bad, 0, bad},
	g0F73 >> groupShift: {bad, bad, 0, 0, bad, bad, 0, 0},
	g0FAE >> groupShift: {w | szHuge, rw | szHuge, r | sz4, w | sz4, w | szHuge, r | szHuge, rw, 0},
	g0FBA >> groupShift: {bad, bad, bad, bad, r, rw, rw, rw},
	g0FC7 >> groupShift: {bad, rw | sz16 | wax | wdx, bad, r | szHuge, w | szHuge, w | szHuge, rw | sz8, w | sz8},
	g38F3 >> groupShift: {bad, r, r, r, bad, bad, bad, bad},
	// Only F8 of the last: xabort, xbegin.
	gMovB >> groupShift: {w, bad, bad, bad, bad, bad, bad, 0},
	gMovV >> groupShift: {w, bad, bad, bad, bad, bad, bad, jcc},
	g3849 >> groupShift: {r, r, r, r, r, r, r, r},
}
