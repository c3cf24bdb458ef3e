package insn

import (
	"maps"
	"math/bits"
	"slices"
)

// value is the set of values that a register may have; nil: any.
type value []uint64

// maxValues bounds a value.
const maxValues = 64

// state is what an interpreter of lifted code knows.
type state struct {
	regs [32]value
	mem  memory
	a, b value // operands of the last Compare
	cmp  Inst
}

// memory is what is known of the bytes in the window.
type memory struct {
	stored map[uint64]int // -1: unknown
	lost   bool           // nothing is known but what was stored since
}

// get returns a byte.
func (m *memory) get(addr uint64) (byte, bool) {
	if v, ok := m.stored[addr]; ok {
		return byte(v), v >= 0
	}
	if i := addr - windowAddr; i < windowSize && !m.lost {
		return byte(i*37 + 11), true
	}
	return 0, false
}

func (m *memory) forget() { m.stored, m.lost = map[uint64]int{}, true }

func newState(in [32]uint64, regs int) *state {
	s := &state{mem: memory{stored: map[uint64]int{}}}
	for r := range regs {
		s.regs[r] = value{in[r]}
	}
	return s
}

func (s *state) clone() *state {
	c := *s
	c.mem.stored = maps.Clone(s.mem.stored)
	return &c
}

// join forgets what differs in the other state.
func (s *state) join(o *state) {
	for r := range s.regs {
		s.regs[r] = union(s.regs[r], o.regs[r])
	}
	for i := range uint64(windowSize) {
		a, aok := s.mem.get(windowAddr + i)
		b, bok := o.mem.get(windowAddr + i)
		if !aok || !bok || a != b {
			s.mem.stored[windowAddr+i] = -1
		}
	}
}

func union(a, b value) value {
	if a == nil || b == nil {
		return nil
	}
	return bounded(slices.Concat(a, b))
}

func bounded(v value) value {
	slices.Sort(v)
	if v = slices.Compact(v); len(v) > maxValues {
		return nil
	}
	return v
}

// interpret runs lifted code to its end, both ways where a branch may go
// either.
func interpret(code []Inst, s *state) *state {
	for n := 0; n < len(code); n++ {
		i := code[n]
		if i.Op != CondBranch && i.Op != Jump {
			s.step(i)
			continue
		}
		target := slices.IndexFunc(code, func(c Inst) bool { return c.Addr >= uint64(i.Imm) })
		if target < 0 {
			target = len(code)
		}
		may, must := s.outcome(i.Cond)
		switch {
		case must || i.Op == Jump:
			n = target - 1
		case may:
			taken := interpret(code[target:], s.clone())
			s = interpret(code[n+1:], s)
			s.join(taken)
			return s
		}
	}
	return s
}

// outcome says whether a branch may and whether it must be taken.
func (s *state) outcome(c Cond) (may, must bool) {
	if c == Any || s.a == nil || s.b == nil {
		return true, false
	}
	must = true
	for _, a := range s.a {
		for _, b := range s.b {
			if holds(c, a, b, s.cmp.Width) {
				may = true
			} else {
				must = false
			}
		}
	}
	return may, must
}

func holds(c Cond, a, b uint64, width uint8) bool {
	a, b = low(a, width), low(b, width)
	x, y := signed(a, width), signed(b, width)
	switch c {
	case EQ:
		return a == b
	case NE:
		return a != b
	case ULT:
		return a < b
	case ULE:
		return a <= b
	case UGT:
		return a > b
	case UGE:
		return a >= b
	case SLT:
		return x < y
	case SLE:
		return x <= y
	case SGT:
		return x > y
	default:
		return x >= y
	}
}

func low(v uint64, width uint8) uint64 {
	if width >= 8 {
		return v
	}
	return v & (1<<(8*width) - 1)
}

func signed(v uint64, width uint8) int64 {
	shift := 64 - 8*int(width)
	return int64(v<<shift) >> shift
}

func (s *state) reg(r Reg, imm int64) value {
	if r == NoReg {
		return value{uint64(imm)}
	}
	return s.regs[r]
}

func (s *state) step(i Inst) {
	switch i.Op {
	case Scribble:
		s.write(i, nil)
	case Store:
		s.write(i, s.reg(i.A, i.Imm))
	case Compare:
		s.a, s.b, s.cmp = s.regs[i.A], s.reg(i.B, i.Imm), i
	case Load:
		s.put(i, s.read(i))
	case Set:
		s.put(i, value{uint64(i.Imm)})
	case Copy:
		s.put(i, s.regs[i.A])
	case Choose:
		s.put(i, union(s.regs[i.A], s.reg(i.B, i.Imm)))
	case Add, Sub, And, Or, Xor, Mul, Shl, Shr, Sar:
		s.put(i, combine(i, s.regs[i.A], s.reg(i.B, i.Imm)))
	case Clobber:
	default:
		panic("no straight line: " + i.Op.String())
	}
	for r := range Reg(len(s.regs)) {
		if i.Clobbers.Has(r) {
			s.regs[r] = nil
		}
	}
}

func combine(i Inst, a, b value) value {
	if a == nil || b == nil || len(a)*len(b) > 4*maxValues {
		return nil
	}
	out := value{}
	for _, x := range a {
		for _, y := range b {
			out = append(out, compute(i.Op, x, y, i.Width))
		}
	}
	return bounded(out)
}

func compute(op Op, a, b uint64, width uint8) uint64 {
	a, b = low(a, width), low(b, width)
	count := b % 32
	if width == 8 {
		count = b % 64
	}
	switch op {
	case Add:
		return a + b
	case Sub:
		return a - b
	case And:
		return a & b
	case Or:
		return a | b
	case Xor:
		return a ^ b
	case Mul:
		_, l := bits.Mul64(a, b)
		return l
	case Shl:
		return a << count
	case Shr:
		return a >> count
	default:
		return uint64(signed(a, width) >> count)
	}
}

// put writes a result of i.Width bytes to its register.
func (s *state) put(i Inst, v value) {
	if v == nil {
		s.regs[i.Dst] = nil
		return
	}
	old := s.regs[i.Dst]
	if i.Ext != Merge {
		old = value{0}
	}
	if old == nil || len(v)*len(old) > 4*maxValues {
		s.regs[i.Dst] = nil
		return
	}
	out := value{}
	for _, x := range v {
		for _, o := range old {
			r := low(x, i.Width) | o&^low(^uint64(0), i.Width)
			if i.Ext == SignExt {
				r = uint64(signed(x, i.Width))
			}
			out = append(out, r)
		}
	}
	s.regs[i.Dst] = bounded(out)
}

// addresses returns where a memory operand may be; nil if anywhere.
func (s *state) addresses(m Mem) value {
	if m.Segment {
		return nil
	}
	add := func(v value, r Reg, scale uint8) value {
		if r == NoReg {
			return v
		}
		scaled := combine(Inst{Op: Mul, Width: 8}, s.regs[r], value{uint64(scale)})
		return combine(Inst{Op: Add, Width: 8}, v, scaled)
	}
	v := add(value{uint64(m.Disp)}, m.Base, 1)
	if m.Index == NoReg {
		return v
	}
	return add(v, m.Index, m.Scale)
}

// topByteIgnored is what arm64 looks at of an address. An x86-64 address with
// anything there would fault.
const topByteIgnored = 1<<56 - 1

// write stores v, or something unknown if it is not one value.
func (s *state) write(i Inst, v value) {
	where := s.addresses(i.Mem)
	if where == nil || i.Width == 0 {
		s.mem.forget()
		return
	}
	for _, addr := range where {
		addr &= topByteIgnored
		for n := range uint64(i.Width) {
			b := -1
			if len(v) == 1 && len(where) == 1 {
				b = int(v[0] >> (8 * n) & 0xff)
			}
			s.mem.stored[addr+n] = b
		}
	}
}

// read returns the bytes at an address that is known.
func (s *state) read(i Inst) value {
	where := s.addresses(i.Mem)
	if len(where) != 1 {
		return nil
	}
	v := uint64(0)
	for n := range uint64(i.Width) {
		b, ok := s.mem.get(where[0]&topByteIgnored + n)
		if !ok {
			return nil
		}
		v |= uint64(b) << (8 * n)
	}
	return value{v}
}
