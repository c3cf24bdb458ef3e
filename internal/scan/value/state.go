package value

import (
	"slices"

	"github.com/profgen/profgen/internal/scan/insn"
)

// noLeak says that no address within the frame is known to anybody else.
const noLeak = int64(1) << 62

// slot is a piece of the frame whose contents are known, or known to be
// overwritten by something unknown.
type slot struct {
	off   int64 // from the stack pointer on entry
	width uint8
	val   Value
}

// stack is what is known of the frame.
type stack struct {
	slots []slot // sorted by off, not overlapping
	// leak is the lowest frame address that others may know. They may change
	// what is there and above whenever they run.
	leak int64
}

// state is what is known before an instruction.
type state struct {
	reached bool
	regs    [32]Value
	stack
}

// entry is the state a function begins in.
func entry(m *insn.Machine) state {
	s := state{reached: true, stack: stack{leak: noLeak}}
	for r := range m.Regs {
		s.regs[r] = of(symbol(Param, insn.Reg(r), 0))
	}
	s.regs[m.SP] = of(symbol(Frame, 0, 0))
	return s
}

// anywhere is the state of code that is reached in ways that are not known,
// such as landing pads.
func anywhere(m *insn.Machine) state {
	s := state{reached: true, stack: stack{leak: -noLeak}}
	for r := range m.Regs {
		s.regs[r] = Unknown()
	}
	return s
}

func (s *state) clone() state {
	c := *s
	c.slots = slices.Clone(s.slots)
	return c
}

// copyTo is clone into a state whose memory is used again.
func (s *state) copyTo(c *state) {
	slots := append(c.slots[:0], s.slots...)
	*c = *s
	c.slots = slots
}

// join widens s by what t knows less, and reports whether that changed s. With
// hurry, whatever differs becomes unknown: loops end.
func (s *state) join(t *state, hurry bool) bool {
	if !s.reached {
		*s = t.clone()
		return true
	}
	changed := false
	for r := range s.regs {
		if s.regs[r].equal(t.regs[r]) {
			continue
		}
		v := Join(s.regs[r], t.regs[r])
		if v.equal(s.regs[r]) {
			continue
		}
		if hurry {
			v = Unknown()
		}
		s.regs[r], changed = v, true
	}
	if t.leak < s.leak {
		s.leak, changed = t.leak, true
	}
	return s.joinSlots(t, hurry) || changed
}

func (s *state) joinSlots(t *state, hurry bool) bool {
	changed := false
	for i := range s.slots {
		a := &s.slots[i]
		if a.val.unknown {
			continue
		}
		v := t.read(a.off, a.width)
		v = Join(a.val, v)
		if v.equal(a.val) {
			continue
		}
		if hurry {
			v = Unknown()
		}
		a.val, changed = v, true
	}
	// What only t overwrote differs from what s believes is still there from before.
	for _, b := range t.slots {
		if s.has(b.off, b.width) {
			continue
		}
		if v := s.read(b.off, b.width); !v.unknown {
			s.write(b.off, b.width, Join(v, b.val))
			changed = true
		}
	}
	return changed
}

func (s *stack) search(off int64) int {
	lo, hi := 0, len(s.slots) // asked for all the time: no function call
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if a := &s.slots[mid]; a.off+int64(a.width) <= off {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

func (s *stack) has(off int64, width uint8) bool {
	i := s.search(off)
	return i < len(s.slots) && s.slots[i].off == off && s.slots[i].width == width
}

// read is the value of width bytes of the frame at off.
func (s *stack) read(off int64, width uint8) Value {
	i := s.search(off)
	if i == len(s.slots) || s.slots[i].off >= off+int64(width) {
		if off < 0 || off >= s.leak {
			return Unknown()
		}
		v := of(symbol(StackParam, 0, off))
		return v.each(func(a Atom) (Atom, bool) { return a.extend(width, false) })
	}
	a := s.slots[i]
	if a.off != off || a.width < width {
		return Unknown()
	}
	return a.val.each(func(a Atom) (Atom, bool) { return a.extend(width, false) })
}

// write stores v into width bytes of the frame at off. What is left of slots
// that it cuts is unknown.
func (s *stack) write(off int64, width uint8, v Value) {
	end := off + int64(width)
	i := s.search(off)
	j := i
	if j < len(s.slots) && s.slots[j].off == off && s.slots[j].width == width {
		s.slots[j].val = v
		return
	}
	put := []slot{{off, width, v}}
	for ; j < len(s.slots) && s.slots[j].off < end; j++ {
		a := s.slots[j]
		if a.off < off {
			put = slices.Insert(put, 0, slot{a.off, uint8(off - a.off), Unknown()})
		}
		if tail := a.off + int64(a.width) - end; tail > 0 {
			put = append(put, slot{end, uint8(tail), Unknown()})
		}
	}
	if j == i+1 && len(put) == 1 {
		s.slots[i] = put[0]
		return
	}
	s.slots = slices.Replace(s.slots, i, j, put...)
}

// spoil says that somebody else ran, or that something was written to an
// address that is not known: what others may know of the frame has any value.
func (s *stack) spoil() {
	if s.leak == noLeak {
		return
	}
	for i := range s.slots {
		if a := &s.slots[i]; a.off+int64(a.width) > s.leak {
			a.val = Unknown()
		}
	}
}

// expose says that others now know the addresses in v.
func (s *stack) expose(v Value) {
	for _, a := range v.atoms {
		if a.Kind == Frame && a.N < s.leak {
			s.leak = a.N
		}
	}
}

// frame returns the one place in the frame that an address is at.
func frame(v Value) (int64, bool) {
	if len(v.atoms) == 1 && v.atoms[0].Kind == Frame {
		return v.atoms[0].N, true
	}
	return 0, false
}

// inFrame reports whether any of the addresses is in the frame.
func inFrame(v Value) bool {
	return slices.ContainsFunc(v.atoms, func(a Atom) bool { return a.Kind == Frame })
}
