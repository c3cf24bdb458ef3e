package insn

import "math"

// armSweep is a sweep under way.
type armSweep struct {
	out       *Sweep
	code      []byte
	low       uint64
	pages     *armPages // nil while no ADRP was met
	ended     bool      // control does not get past the last instruction
	byteIndex bool      // a byte is zero-extended
	compares  bool      // registers are compared
	largest   int64     // constant moved to a register
}

func (arm64) sweep(code []byte, addr uint64, _ SweepOptions, out *Sweep) {
	s := armSweep{out: out, code: code, low: addr}
	words(code, func(off uint64, w word) bool {
		s.word(addr+off, w)
		return true
	})
	out.Bad += len(code) % 4
	out.Cut = len(code)%4 != 0
	if s.pages != nil {
		s.pages.resolve(code, addr, out)
	}
	if s.byteIndex && len(out.Indirect) > 0 {
		out.TableLimit = max(out.TableLimit, math.MaxUint8)
	}
	if s.compares {
		out.TableLimit = max(out.TableLimit, s.largest)
	}
	out.FallsThrough = !s.ended
}

// Classes of words by their top byte, which says enough to skip most.
const (
	cOther = iota
	cJump  // B
	cCall  // BL
	cCond  // B.cond, CBZ, TBZ
	cReg   // BR, BLR, RET
	cTrap  // SVC, BRK
	cSystem
	cUDF
	cADR
	cADRP
	cLiteral
	cBits  // logical immediates and constants
	cArith // ADD and SUB (immediate)
	cCompare
	cByte // LDRB
	cUxtb // UBFM
)

var armClasses = [256]uint8{
	0x00: cUDF,
	0x14: cJump, 0x15: cJump, 0x16: cJump, 0x17: cJump,
	0x94: cCall, 0x95: cCall, 0x96: cCall, 0x97: cCall,
	0x54: cCond, 0x34: cCond, 0x35: cCond, 0xb4: cCond, 0xb5: cCond, 0x36: cCond, 0x37: cCond, 0xb6: cCond, 0xb7: cCond, 0x74: cCond, 0x75: cCond, 0xf4: cCond, 0xf5: cCond,
	0xd6: cReg, 0xd7: cReg, 0x55: cReg, 0xd4: cTrap, 0xd5: cSystem,
	0x10: cADR, 0x30: cADR, 0x50: cADR, 0x70: cADR, 0x90: cADRP, 0xb0: cADRP, 0xd0: cADRP, 0xf0: cADRP,
	0x18: cLiteral, 0x58: cLiteral, 0x98: cLiteral, 0x1c: cLiteral, 0x5c: cLiteral, 0x9c: cLiteral,
	0x12: cBits, 0x92: cBits, 0x72: cBits, 0xf2: cBits, 0x52: cBits, 0xd2: cBits,
	0x71: cArith, 0xf1: cArith, 0x6b: cCompare, 0xeb: cCompare,
	0x39: cByte, 0x38: cByte, 0x53: cUxtb, 0xd3: cUxtb,
}

// word notes what one instruction does, but for the uses of pages.
func (s *armSweep) word(site uint64, w word) {
	class := armClasses[w>>24]
	if class == cOther && w.unallocated() || class == cUDF {
		s.out.Bad++
		s.ended = s.ended || armUDF.matches(w)
		return
	}
	s.out.Insts++
	if class == cSystem && armNOP.matches(w) {
		return // padding
	}
	s.ended = false
	switch class {
	case cJump, cCall, cCond, cReg, cTrap:
		s.control(class, site, w)
	case cADR:
		s.out.Refs = append(s.out.Refs, Ref{Site: site, Addr: w.address(site)})
	case cADRP:
		if s.pages == nil {
			s.pages = &armPages{}
		}
		s.pages.define(w.rd(), w.address(site), site)
	case cLiteral:
		if addr, size, ok := w.literal(site); ok {
			s.out.Refs = append(s.out.Refs, Ref{site, addr, Read, uint16(size)})
		}
	case cOther:
	default:
		s.limit(class, w)
	}
}

// control notes a branch, call or trap.
func (s *armSweep) control(class uint8, site uint64, w word) {
	switch class {
	case cJump, cCall, cCond:
		if target, ok := w.target(site); ok && target-s.low >= uint64(len(s.code)) {
			s.out.Branches = append(s.out.Branches, Branch{site, target, class == cCall})
		}
		// A call that is the last instruction does not return.
		s.ended = class == cJump || class == cCall && site+8 > s.low+uint64(len(s.code))
	case cReg:
		isCall := armBLR.matches(w)
		if isCall || armBR.matches(w) {
			s.out.Indirect = append(s.out.Indirect, Indirect{site, isCall})
		}
		s.ended = !isCall || site+8 > s.low+uint64(len(s.code))
	case cTrap:
		if armSVC.matches(w) {
			s.out.Syscalls = append(s.out.Syscalls, site)
		}
		s.ended = armBRK.matches(w) || armHLT.matches(w)
	}
}

// limit raises the limit of jump tables.
func (s *armSweep) limit(class uint8, w word) {
	v := int64(-1)
	switch class {
	case cArith:
		if armCMPI.matches(w) {
			v = w.immediate()
		}
	case cCompare:
		s.compares = s.compares || armCMP.matches(w)
	case cBits:
		if armMOVW.matches(w) {
			if w.field(29, 2) == 2 && w.field(21, 2) == 0 { // MOVZ
				s.largest = max(s.largest, w.field(5, 16))
			}
		} else if mask, ok := w.bitmask(); ok && w.field(29, 2)%3 == 0 { // AND, ANDS
			v = mask
		}
	case cByte:
		s.byteIndex = true
	case cUxtb:
		bit := w.field(10, 6) - w.field(16, 6)
		s.byteIndex = s.byteIndex || bit >= 0 && bit < 8
	}
	s.out.TableLimit = max(s.out.TableLimit, v)
}
