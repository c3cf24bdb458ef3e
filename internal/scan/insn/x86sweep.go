package insn

import "math"

// x86 is the x86-64 architecture.
type x86 struct{}

// x86Sweep is a sweep under way.
type x86Sweep struct {
	in        x86Inst
	out       *Sweep
	opt       SweepOptions
	low       uint64 // of the function
	size      uint64
	ended     bool // control does not get past the last instruction
	calls     bool // the last instruction is a call
	byteIndex bool // a byte is zero-extended
}

func (x86) sweep(code []byte, addr uint64, opt SweepOptions, out *Sweep) {
	s := x86Sweep{out: out, opt: opt, low: addr, size: uint64(len(code))}
	in := &s.in
	for c := (&cursor{code: code}); c.off < len(code); {
		site := addr + uint64(c.off)
		if !c.next(in) {
			out.Bad++
			out.Cut = out.Cut || len(code)-c.off < len(window{})
			s.calls = false
			continue
		}
		out.Insts++
		kind := in.form.kind()
		if kind != kNop {
			s.ended = false // or so it seems
		}
		s.calls = false
		if kind != kPlain {
			s.special(kind, site)
		}
		if in.ripRel {
			s.ripRelative(kind, site)
		} else if opt.Absolute && (in.dispSz == 4 || in.form&immMask >= iz) {
			s.absolute(kind, site)
		}
	}
	if s.byteIndex && len(out.Indirect) > 0 {
		out.TableLimit = max(out.TableLimit, math.MaxUint8)
	}
	out.FallsThrough = !s.ended && !s.calls
}

// special acts on an instruction that does not just compute.
func (s *x86Sweep) special(k kind, site uint64) {
	switch k {
	case kCall:
		s.branch(site, true)
		s.calls = true
	case kJump:
		s.branch(site, false)
		s.ended = true
	case kJcc:
		s.branch(site, false)
	case kRet, kTrap:
		s.ended = true
	case kCallInd:
		s.indirect(site, true)
		s.calls = true
	case kJumpInd:
		s.indirect(site, false)
		s.ended = true
	case kSyscall:
		s.out.Syscalls = append(s.out.Syscalls, site)
	case kSysenter:
		s.out.Legacy = append(s.out.Legacy, site)
	case kInt:
		if s.in.imm&0xff == 0x80 {
			s.out.Legacy = append(s.out.Legacy, site)
		}
	case kBound:
		s.bound()
	case kByteIndex:
		s.byteIndex = true
	}
}

// branch notes a direct branch that leaves the function.
func (s *x86Sweep) branch(site uint64, isCall bool) {
	target := site + uint64(s.in.len) + uint64(s.in.imm)
	if target-s.low >= s.size {
		s.out.Branches = append(s.out.Branches, Branch{site, target, isCall})
	}
}

// indirect notes a call or jump whose target is not in the instruction.
func (s *x86Sweep) indirect(site uint64, isCall bool) {
	if slot, ok := s.in.constant(site); ok {
		s.out.Slots = append(s.out.Slots, SlotUse{site, slot, isCall})
		return
	}
	s.out.Indirect = append(s.out.Indirect, Indirect{site, isCall})
}

// constant returns the address of the memory operand if it is constant.
func (in *x86Inst) constant(site uint64) (uint64, bool) {
	if !in.isMem() || in.prefix&pSeg != 0 {
		return 0, false
	}
	addr := uint64(int64(in.disp))
	switch {
	case in.ripRel:
		addr += site + uint64(in.len)
	case !in.hasSIB || in.dispSz != 4 || in.modrm >= 0x40 || in.index() != 4:
		return 0, false
	}
	if in.prefix&p67 != 0 {
		addr = uint64(uint32(addr))
	}
	return addr, true
}

// bound raises the limit of jump tables by the immediate compared.
func (s *x86Sweep) bound() {
	v := s.in.imm
	switch {
	case s.in.form.sizeField() == uint8(sz1>>sizeShift) || s.in.form&immMask == ib && s.in.form&modrm == 0:
		v &= math.MaxUint8
	case s.in.operandSize() == 2:
		v &= math.MaxUint16
	}
	s.out.TableLimit = max(s.out.TableLimit, v)
}

// ripRelative notes a memory operand relative to the instruction pointer.
func (s *x86Sweep) ripRelative(k kind, site uint64) {
	if k == kCallInd || k == kJumpInd {
		return
	}
	if addr, ok := s.in.constant(site); ok {
		s.ref(k, site, addr)
	}
}

// ref notes the use of memory at a constant address.
func (s *x86Sweep) ref(k kind, site, addr uint64) {
	s.in.refine()
	access := s.in.form.access()
	switch {
	case k == kLea:
		s.out.Refs = append(s.out.Refs, Ref{Site: site, Addr: addr})
	case access != Address:
		s.out.Refs = append(s.out.Refs, Ref{site, addr, access, uint16(s.in.size())})
	}
}

// absolute notes displacements and immediates that may be addresses.
func (s *x86Sweep) absolute(k kind, site uint64) {
	in := &s.in
	if in.dispSz == 4 && in.prefix&pSeg == 0 {
		s.displacement(k, site)
	}
	if v := uint64(in.imm); v-s.opt.Low < s.opt.High-s.opt.Low {
		switch field := in.form & immMask; {
		case field == moffs && in.prefix&pSeg == 0:
			s.ref(k, site, v)
		case field == iz && k != kJcc || field == iv:
			s.out.Refs = append(s.out.Refs, Ref{Site: site, Addr: v})
		}
	}
}

// displacement notes the displacement of a memory operand if it may be an
// address.
func (s *x86Sweep) displacement(k kind, site uint64) {
	v := uint64(int64(s.in.disp))
	if v-s.opt.Low >= s.opt.High-s.opt.Low {
		return
	}
	if addr, ok := s.in.constant(site); !ok {
		s.out.Refs = append(s.out.Refs, Ref{Site: site, Addr: v})
	} else if k != kCallInd && k != kJumpInd {
		s.ref(k, site, addr)
	}
}

// pltSlot accepts what ld, gold, lld and mold emit: endbr64, then a jump with
// or without the prefix bnd. An entry that pushes its index first jumps to the
// first entry, not through a slot.
func (x86) pltSlot(code []byte, addr uint64) (uint64, bool) {
	var in x86Inst
	for range 2 {
		if !in.decode(code) {
			return 0, false
		}
		if in.form.kind() == kJumpInd {
			return in.constant(addr)
		}
		if in.table != inTwoByte || in.op != 0x1e || in.modrm != 0xfa {
			return 0, false
		}
		code, addr = code[in.len:], addr+uint64(in.len)
	}
	return 0, false
}
