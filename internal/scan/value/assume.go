package value

import "github.com/profgen/profgen/internal/scan/insn"

// assume narrows s to what must hold after the conditional branch that ends a
// block, taken or not: a register that was compared with a number has it, or
// not. Where nothing would be left, s stays as it is: code that cannot run is
// no different from code that nothing is known of.
func (r *run) assume(s *state, bl *block, taken bool) {
	last := &r.code[bl.hi-1]
	if last.Op != insn.CondBranch || last.Cond == insn.Any {
		return
	}
	for i := bl.hi - 2; i >= bl.lo; i-- {
		in := &r.code[i]
		if in.Op != insn.Compare {
			continue
		}
		if in.B == insn.NoReg && in.A != insn.NoReg {
			if v := narrow(s.regs[in.A], last.Cond, taken, in.Imm, in.Width); v.unknown || len(v.atoms) > 0 {
				s.regs[in.A] = v
			}
		}
		return
	}
}

// narrow is v, knowing that a comparison of its low width bytes with n came out
// as c, or not.
func narrow(v Value, c insn.Cond, taken bool, n int64, width uint8) Value {
	equal := c == insn.EQ && taken || c == insn.NE && !taken
	if v.unknown {
		if equal && width == 8 {
			return Number(n)
		}
		return v
	}
	var out []Atom
	for _, a := range v.atoms {
		switch {
		case a.Kind == Const:
			if holds(c, uint64(a.N), uint64(n), width) == taken {
				out = append(out, a)
			}
		case equal && (width == 8 || a.narrowerThan(width)):
			out = append(out, number(int64(low(uint64(n), width))))
		default:
			out = append(out, a)
		}
	}
	return set(out)
}

// narrowerThan reports whether all that the atom can be fits in width bytes.
func (a Atom) narrowerThan(width uint8) bool {
	return a.Kind != Frame && !a.Signed && low(a.And|a.Or, width) == a.And|a.Or
}

func low(v uint64, width uint8) uint64 {
	if width >= 8 {
		return v
	}
	return v & (1<<(8*width) - 1)
}

// holds reports how a comparison of the low width bytes comes out.
func holds(c insn.Cond, a, b uint64, width uint8) bool {
	a, b = low(a, width), low(b, width)
	shift := 64 - 8*uint(width)
	x, y := int64(a<<shift), int64(b<<shift)
	switch c {
	case insn.EQ:
		return a == b
	case insn.NE:
		return a != b
	case insn.ULT:
		return a < b
	case insn.ULE:
		return a <= b
	case insn.UGT:
		return a > b
	case insn.UGE:
		return a >= b
	case insn.SLT:
		return x < y
	case insn.SLE:
		return x <= y
	case insn.SGT:
		return x > y
	}
	return x >= y
}
