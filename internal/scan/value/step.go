package value

import (
	"math/bits"

	"github.com/profgen/profgen/internal/scan/insn"
)

// step interprets one instruction.
func (r *run) step(s *state, in *insn.Inst) {
	switch in.Op {
	case insn.Set:
		r.put(s, in, Number(in.Imm))
	case insn.Copy:
		r.put(s, in, s.regs[in.A])
	case insn.Choose:
		r.put(s, in, Join(s.regs[in.A], r.second(s, in)))
	case insn.Add, insn.Sub, insn.And, insn.Or, insn.Xor, insn.Mul, insn.Shl, insn.Shr, insn.Sar:
		r.put(s, in, calculate(in, s.regs[in.A], r.second(s, in)))
	case insn.Load:
		r.put(s, in, r.load(s, in))
	case insn.Store:
		v := Number(in.Imm)
		if in.A != insn.NoReg {
			v = s.regs[in.A]
		}
		r.store(s, in, v)
	case insn.Scribble:
		r.store(s, in, Unknown())
	case insn.Call, insn.IndirectCall:
		if r.returnsTwice(in) {
			s.leak = -noLeak // it returns once more, whatever was stored in the meantime
		}
		r.call(s)
	case insn.Syscall:
		r.syscall(s)
	case insn.Clobber:
		if in.Dst != insn.NoReg {
			s.regs[in.Dst] = Unknown()
		}
	}
	r.clobber(s, in.Clobbers)
}

func (r *run) clobber(s *state, set insn.RegSet) {
	for left := uint64(set); left != 0; left &= left - 1 {
		if reg := bits.TrailingZeros64(left); reg < len(s.regs) {
			s.regs[reg] = Unknown()
		}
	}
}

// second is the second operand.
func (r *run) second(s *state, in *insn.Inst) Value {
	if in.B == insn.NoReg {
		return Number(in.Imm)
	}
	return s.regs[in.B]
}

// put writes a result as the instruction says how.
func (r *run) put(s *state, in *insn.Inst, v Value) {
	if in.Dst == insn.NoReg {
		return
	}
	switch in.Ext {
	case insn.Merge:
		mask := uint64(1)<<(uint(in.Width)*8) - 1
		v = pairs(s.regs[in.Dst], v, func(old, low Atom) (Atom, bool) {
			if low.Kind != Const {
				return low, false
			}
			old, ok := old.and(^mask)
			if !ok {
				return old, false
			}
			return old.or(uint64(low.N) & mask)
		})
	default:
		signed := in.Ext == insn.SignExt
		if in.Width < 8 {
			v = v.each(func(a Atom) (Atom, bool) { return a.extend(in.Width, signed) })
		}
	}
	s.regs[in.Dst] = v
}

// calculate is v op w.
func calculate(in *insn.Inst, v, w Value) Value {
	return pairs(v, w, func(a, b Atom) (Atom, bool) {
		if b.Kind != Const {
			if a.Kind != Const || in.Op != insn.Add && in.Op != insn.And && in.Op != insn.Or {
				return a, false
			}
			a, b = b, a // these three commute
		}
		if a.Kind == Const {
			return number(arithmetic(in, a.N, b.N)), true
		}
		return symbolic(in.Op, a, b.N)
	})
}

// symbolic is a op n, for what is not known yet.
func symbolic(op insn.Op, a Atom, n int64) (Atom, bool) {
	switch op {
	case insn.Add:
		return a.add(n)
	case insn.Sub:
		return a.add(-n)
	case insn.And:
		return a.and(uint64(n))
	case insn.Or:
		return a.or(uint64(n))
	case insn.Mul:
		return a, n == 1
	}
	return a, n == 0 // x^0 and shifts by 0
}

// arithmetic is a op b of operands truncated to the instruction's width.
func arithmetic(in *insn.Inst, a, b int64) int64 {
	width := uint(in.Width) * 8
	count := uint64(b) & 31
	if width == 64 {
		count = uint64(b) & 63
	}
	low := uint64(a) << (64 - width) >> (64 - width)
	switch in.Op {
	case insn.Add:
		return a + b
	case insn.Sub:
		return a - b
	case insn.And:
		return a & b
	case insn.Or:
		return a | b
	case insn.Xor:
		return a ^ b
	case insn.Mul:
		return a * b
	case insn.Shl:
		return a << count
	case insn.Shr:
		return int64(low >> count)
	}
	return int64(low<<(64-width)) >> (64 - width) >> count // Sar
}

// load is what an instruction reads from memory.
func (r *run) load(s *state, in *insn.Inst) Value {
	if in.Mem.Segment || in.Mem.Index != insn.NoReg {
		return Unknown()
	}
	if in.Mem.Base == insn.NoReg {
		return r.loadGlobal(in)
	}
	base := s.regs[in.Mem.Base]
	if off, ok := frame(base); ok {
		return s.read(off+in.Mem.Disp, in.Width)
	}
	if len(base.atoms) != 1 {
		return Unknown()
	}
	switch a := base.atoms[0]; {
	case a.Kind == Const:
		moved := *in
		moved.Mem.Disp += a.N
		return r.loadGlobal(&moved)
	case a.Kind == Param && a.And == ^uint64(0) && a.Or == 0:
		f := symbol(Field, a.Reg, a.Add+in.Mem.Disp)
		f.Width = in.Width
		return of(f)
	}
	return Unknown()
}

func (r *run) loadGlobal(in *insn.Inst) Value {
	addr := uint64(in.Mem.Disp)
	if r.obj != nil {
		if n, ok := r.obj.Constant(addr, in.Width); ok {
			return Number(int64(n))
		}
	}
	g := symbol(Global, 0, int64(addr))
	g.Width = in.Width
	return of(g)
}

// store is a write to memory.
func (r *run) store(s *state, in *insn.Inst, v Value) {
	s.expose(v)
	if in.Mem.Segment || in.Mem.Base == insn.NoReg {
		return // not in the frame: nobody keeps that at an address known beforehand
	}
	base := s.regs[in.Mem.Base]
	off, ok := frame(base)
	switch {
	case ok && in.Mem.Index == insn.NoReg && in.Width > 0:
		if !v.unknown && in.Width < 8 {
			v = v.each(func(a Atom) (Atom, bool) { return a.extend(in.Width, false) })
		}
		s.write(off+in.Mem.Disp, in.Width, v)
	case in.Width == 0:
		s.leak = -noLeak // before that address and after it
		s.spoil()
	case inFrame(base):
		s.expose(base.each(func(a Atom) (Atom, bool) { return a.add(min(in.Mem.Disp, 0)) }))
		s.spoil()
	case in.Mem.Base == r.machine.SP:
		s.leak = -noLeak // an aligned stack pointer: anywhere below
		s.spoil()
	default:
		s.spoil()
	}
}

// returnsTwice reports whether a call is one of setjmp or its like.
func (r *run) returnsTwice(in *insn.Inst) bool {
	switch {
	case r.obj == nil:
	case in.Op == insn.Call:
		return r.obj.ReturnsTwice(uint64(in.Imm))
	case in.A == insn.NoReg && in.Mem.Base == insn.NoReg && in.Mem.Index == insn.NoReg && !in.Mem.Segment:
		return r.obj.ReturnsTwice(uint64(in.Mem.Disp))
	}
	return false
}

// call is what a called function may do: it keeps what the calling convention
// says, and may change what it can know of the frame.
func (r *run) call(s *state) {
	for _, p := range r.machine.Params {
		s.expose(s.regs[p])
	}
	s.spoil()
	r.clobber(s, r.scratch)
}

// syscall is what the kernel does to registers: the result, and on x86-64 also
// what the instruction itself overwrites (RCX and R11).
func (r *run) syscall(s *state) {
	for _, p := range r.machine.Args {
		s.expose(s.regs[p])
	}
	s.spoil()
	r.clobber(s, r.machine.SyscallScratch)
}
