package insn

import (
	"encoding/binary"
	"math/bits"
)

// arm64 is the AArch64 architecture.
type arm64 struct{}

// ARM64 returns the arm64 machine.
func ARM64() *Machine {
	return &Machine{
		Name:           "aarch64",
		Regs:           32,
		SP:             sp,
		Number:         8,
		Args:           [6]Reg{0, 1, 2, 3, 4, 5},
		Params:         []Reg{0, 1, 2, 3, 4, 5, 6, 7},
		Return:         0,
		Scratch:        1<<19 - 1 | Regs(lr),
		SyscallScratch: Regs(0),
		arch:           arm64{},
	}
}

// Registers with a role.
const (
	lr Reg = 30
	sp Reg = 31
	// zr has the number of sp; the instruction says which is meant.
	zr = 31
)

// word is an instruction.
type word uint32

// pattern is a set of words: those that have the value under the mask.
type pattern struct{ mask, value word }

func (p pattern) matches(w word) bool { return w&p.mask == p.value }

// Patterns, by the names of DDI 0487.
var (
	armUDF   = pattern{0xffff0000, 0x00000000}
	armADR   = pattern{0x9f000000, 0x10000000}
	armADRP  = pattern{0x9f000000, 0x90000000}
	armADDI  = pattern{0xffc00000, 0x91000000} // ADD (immediate), 64-bit, not shifted
	armADDSI = pattern{0x1f800000, 0x11000000} // ADD, ADDS, SUB, SUBS (immediate)
	armCMPI  = pattern{0x7f80001f, 0x7100001f}
	armCMP   = pattern{0x7f20001f, 0x6b00001f}
	armANDI  = pattern{0x1f800000, 0x12000000} // AND, ORR, EOR, ANDS (immediate)
	armMOVW  = pattern{0x1f800000, 0x12800000} // MOVN, MOVZ, MOVK
	armMOV   = pattern{0xffe0ffe0, 0xaa0003e0} // MOV (register), 64-bit
	armCSEL  = pattern{0xffe00c00, 0x9a800000}
	armB     = pattern{0xfc000000, 0x14000000}
	armBL    = pattern{0xfc000000, 0x94000000}
	armBCond = pattern{0xff000000, 0x54000000}
	armCBZ   = pattern{0x7e000000, 0x34000000} // CBZ, CBNZ
	armTBZ   = pattern{0x7e000000, 0x36000000} // TBZ, TBNZ
	armCB    = pattern{0x7e000000, 0x74000000} // CB, CBB, CBH (FEAT_CMPBR)
	armBR    = pattern{0xfefff000, 0xd61f0000} // BR, BRAA, BRAAZ, …
	armBLR   = pattern{0xfefff000, 0xd63f0000} // BLR, BLRAA, BLRAAZ, …
	armRET   = pattern{0xfffff000, 0xd65f0000} // RET, RETAA, RETAB
	armERET  = pattern{0xfffff000, 0xd69f0000} // ERET, ERETAA, ERETAB
	armSVC   = pattern{0xffe0001f, 0xd4000001}
	armBRK   = pattern{0xffe0001f, 0xd4200000}
	armHLT   = pattern{0xffe0001f, 0xd4400000}
	armHint  = pattern{0xfffff01f, 0xd503201f}
	armNOP   = pattern{0xffffffff, 0xd503201f}
	armLit   = pattern{0x3b000000, 0x18000000} // LDR (literal)
	armPair  = pattern{0x3a000000, 0x28000000} // LDP, STP, …
	armUImm  = pattern{0x3b000000, 0x39000000} // LDR, STR (immediate), unsigned offset
	armSImm  = pattern{0x3b200000, 0x38000000} // unscaled, pre- and post-indexed, unprivileged
	armRCpc  = pattern{0x3f200c00, 0x19000000} // LDAPUR, STLUR
	armExcl  = pattern{0x3f000000, 0x08000000} // exclusive, ordered, compare and swap
	armLSE   = pattern{0x3f200c00, 0x38200000} // atomic operations
	armVec   = pattern{0xbe000000, 0x0c000000} // LD1…ST4
	armAny   = pattern{0, 0}
)

// Fields of a word.
func (w word) rd() Reg   { return Reg(w & 31) }
func (w word) rn() Reg   { return Reg(w >> 5 & 31) }
func (w word) ra() Reg   { return Reg(w >> 10 & 31) }
func (w word) rm() Reg   { return Reg(w >> 16 & 31) }
func (w word) sf() uint8 { return uint8(w >> 31) } // 64-bit

// width is the operand size that the sf bit selects.
func (w word) width() uint8 { return 4 << w.sf() }

// field returns n bits from the bit at.
func (w word) field(at, n int) int64 { return int64(w>>at) & (1<<n - 1) }

// signedField returns n bits from the bit at, sign-extended.
func (w word) signedField(at, n int) int64 {
	return int64(w) << (64 - at - n) >> (64 - n)
}

// immediate returns the operand of ADD and SUB.
func (w word) immediate() int64 { return w.field(10, 12) << (12 * w.field(22, 1)) }

// target returns where a direct branch at addr goes; false if it is none.
func (w word) target(addr uint64) (uint64, bool) {
	switch {
	case armB.matches(w), armBL.matches(w):
		return addr + uint64(w.signedField(0, 26)<<2), true
	case armBCond.matches(w), armCBZ.matches(w):
		return addr + uint64(w.signedField(5, 19)<<2), true
	case armTBZ.matches(w):
		return addr + uint64(w.signedField(5, 14)<<2), true
	case armCB.matches(w):
		return addr + uint64(w.signedField(5, 9)<<2), true
	}
	return 0, false
}

// address returns what ADR and ADRP compute.
func (w word) address(addr uint64) uint64 {
	imm := w.signedField(5, 19)<<2 | w.field(29, 2)
	if armADRP.matches(w) {
		return addr&^0xfff + uint64(imm<<12)
	}
	return addr + uint64(imm)
}

// bitmask decodes the immediate of a logical instruction (DDI 0487,
// DecodeBitMasks); false if it is reserved.
func (w word) bitmask() (int64, bool) {
	n, immr, imms := w.field(22, 1), w.field(16, 6), w.field(10, 6)
	length := bits.Len64(uint64(n<<6|^imms&0x3f)) - 1
	if length < 1 || n == 1 && w.sf() == 0 {
		return 0, false
	}
	size := int64(1) << length
	ones, rotate := imms&(size-1)+1, immr&(size-1)
	if ones == size {
		return 0, false
	}
	v := uint64(1)<<ones - 1
	v = v>>rotate | v<<(size-rotate)
	if size < 64 {
		v &= 1<<size - 1
	}
	for ; size < 64; size *= 2 {
		v |= v << size
	}
	return truncate(int64(v), w.width()), true
}

// unallocated reports words of no instruction, as far as their top level of
// encoding says (DDI 0487, C4.1).
func (w word) unallocated() bool {
	group := w >> 25 & 15
	return group == 1 || group == 3 || group == 0 && w>>31 == 0
}

// words calls yield with each whole word and its offset.
func words(code []byte, yield func(off uint64, w word) bool) {
	for off := 0; off+4 <= len(code); off += 4 {
		if !yield(uint64(off), word(binary.LittleEndian.Uint32(code[off:]))) {
			return
		}
	}
}

// pltSlot accepts what ld, gold, lld and mold emit: [BTI] ADRP, LDR, ADD,
// [AUTIA1716] BR or its authenticated form. The LDR's address is the slot.
func (arm64) pltSlot(code []byte, addr uint64) (uint64, bool) {
	var page, slot uint64
	var base Reg
	state := 0
	for off := uint64(0); off+4 <= uint64(len(code)) && off < 6*4; off += 4 {
		w := word(binary.LittleEndian.Uint32(code[off:]))
		switch {
		case armHint.matches(w):
		case state == 0 && armADRP.matches(w):
			page, base, state = w.address(addr+off), w.rd(), 1
		case state == 1 && w&0xffc00000 == 0xf9400000 && w.rn() == base: // LDR, 64-bit
			slot, state = page+uint64(w.field(10, 12)*8), 2
		case state == 2 && armADDI.matches(w) && w.rn() == base:
		case state == 2 && armBR.matches(w):
			return slot, true
		default:
			return 0, false
		}
	}
	return 0, false
}
