package value

import (
	"cmp"
	"slices"

	"github.com/profgen/profgen/internal/scan/insn"
)

// Object is what the analysis of a function asks about the object it is in.
type Object interface {
	// Constant is the value of width bytes of memory that nothing ever writes.
	Constant(addr uint64, width uint8) (uint64, bool)
	// Tables returns the addresses within the function that its jump tables list,
	// and how many tables there are that could be read.
	Tables() (targets []uint64, n int)
	// ReturnsTwice reports whether what is at an address, or what the address
	// that is stored there is of, may return more than once, as setjmp does.
	ReturnsTwice(addr uint64) bool
}

// Site is a place where control leaves the function: a call, a jump out of it,
// a system call, or the end if control runs past it, with what is known there.
type Site struct {
	Addr uint64
	Op   insn.Op // Call, IndirectCall, Jump, CondBranch, IndirectJump or Syscall
	regs []held  // what is known of registers
	mem  stack
	sp   int64 // stack pointer, from that on entry
	spOK bool
}

// held is a register with a known value.
type held struct {
	reg insn.Reg
	val Value
}

// Function is what was found out about one function.
type Function struct {
	machine *insn.Machine
	sites   []Site // sorted by Addr
	runsOn  bool   // the last site is where control runs past the end
}

// Sites returns the sites of the function in order of their addresses.
func (f *Function) Sites() []Site { return f.sites }

// At returns the site at an address; of addresses behind the code, the end that
// control runs past.
func (f *Function) At(addr uint64) (Site, bool) {
	i, ok := slices.BinarySearchFunc(f.sites, addr, func(s Site, a uint64) int { return cmp.Compare(s.Addr, a) })
	switch {
	case ok:
		return f.sites[i], true
	case f.runsOn && i == len(f.sites):
		return f.sites[i-1], true
	}
	return Site{}, false
}

// Reg is what the register can hold at the site.
func (s Site) Reg(r insn.Reg) Value {
	for _, h := range s.regs {
		if h.reg == r {
			return h.val
		}
	}
	return Unknown()
}

// Resolve is what a symbolic atom of the function that the site enters stands
// for, in terms of the function the site is in.
func (s Site) Resolve(m *insn.Machine, a Atom) Value {
	switch a.Kind {
	case Const:
		return of(a)
	case Param:
		return a.Substitute(s.Reg(a.Reg))
	case StackParam:
		return a.Substitute(s.stack(m, a.N))
	case Field:
		off, ok := frame(s.Reg(a.Reg))
		if !ok {
			return Unknown()
		}
		return a.Substitute(s.mem.read(off+a.N, a.Width))
	}
	return Unknown()
}

// stack is what the entered function finds at off above its stack pointer.
func (s Site) stack(m *insn.Machine, off int64) Value {
	if !s.spOK {
		return Unknown()
	}
	if s.Op == insn.Call || s.Op == insn.IndirectCall {
		off -= m.CallPush
	}
	return s.mem.read(s.sp+off, 8)
}

// Analyze interprets a function, lifted, from its first instruction on, and
// from the entries at which code of other functions gets into the middle of
// it, knowing nothing there. Time and memory are linear in its length, times a
// small constant.
func Analyze(m *insn.Machine, code []insn.Inst, scratch insn.RegSet, obj Object, entries ...uint64) *Function {
	f := &Function{machine: m}
	if len(code) == 0 {
		return f
	}
	r := &run{machine: m, code: code, scratch: scratch, obj: obj}
	r.split(entries)
	first := entry(m)
	r.flow(0, &first)
	for _, e := range entries {
		if b, ok := r.blockAt(e); ok {
			s := anywhere(m)
			r.flow(b, &s)
		}
	}
	r.settle()
	r.strays()
	f.sites, f.runsOn = r.sites()
	return f
}

// block is a stretch of code that is only entered at its start.
type block struct {
	lo, hi int // in code
	in     state
	visits int
	queued bool
	jumps  bool // ends in a jump that may go anywhere within the function
}

type run struct {
	machine *insn.Machine
	code    []insn.Inst
	scratch insn.RegSet
	obj     Object
	blocks  []block
	lowest  int // no block before it is queued
	pending int // blocks that are queued
	tables  []uint64
	count   int // of the tables

	now, taken state // memory for those that are at work
}

// hurried is after how many visits of a block differences become unknown.
const hurried = 6

// split finds the blocks.
func (r *run) split(entries []uint64) {
	lead := make([]bool, len(r.code)+1)
	lead[0] = true
	mark := func(addr uint64) {
		if i, ok := r.index(addr); ok {
			lead[i] = true
		}
	}
	for _, e := range entries {
		mark(e)
	}
	jumps := false
	for i := range r.code {
		in := &r.code[i]
		switch in.Op {
		case insn.Jump, insn.CondBranch:
			mark(uint64(in.Imm))
			lead[i+1] = true
		case insn.IndirectJump:
			jumps = true
			lead[i+1] = true
		case insn.Return, insn.Stop:
			lead[i+1] = true
		}
	}
	if jumps && r.obj != nil {
		r.tables, r.count = r.obj.Tables()
		for _, t := range r.tables {
			mark(t)
		}
	}
	n := 0
	for _, l := range lead[:len(r.code)] {
		if l {
			n++
		}
	}
	r.blocks = make([]block, 0, n)
	for i := 0; i < len(r.code); {
		j := i + 1
		for j < len(r.code) && !lead[j] {
			j++
		}
		r.blocks = append(r.blocks, block{lo: i, hi: j})
		i = j
	}
}

// index is the first Inst at addr or, where the instruction at addr has no
// effect that is told, after it; false if addr is outside the function.
func (r *run) index(addr uint64) (int, bool) {
	if addr < r.code[0].Addr {
		return 0, false
	}
	i, _ := slices.BinarySearchFunc(r.code, addr, func(in insn.Inst, a uint64) int { return cmp.Compare(in.Addr, a) })
	return i, i < len(r.code)
}

func (r *run) blockAt(addr uint64) (int, bool) {
	i, ok := r.index(addr)
	if !ok {
		return 0, false
	}
	return slices.BinarySearchFunc(r.blocks, i, func(b block, i int) int { return b.lo - i })
}

// flow lets control reach block b with state s.
func (r *run) flow(b int, s *state) {
	bl := &r.blocks[b]
	if bl.in.join(s, bl.visits > hurried) && !bl.queued {
		bl.queued = true
		r.pending++
		r.lowest = min(r.lowest, b)
	}
}

// settle interprets blocks until nothing changes. Every value grows at most
// Limit times and, after a few visits, only once more.
func (r *run) settle() {
	// Lowest first: code is laid out more or less in the order it runs.
	for r.pending > 0 {
		b := r.lowest
		r.lowest++
		if !r.blocks[b].queued {
			continue
		}
		bl := &r.blocks[b]
		bl.queued = false
		r.pending--
		bl.visits++
		s := &r.now
		bl.in.copyTo(s)
		for i := bl.lo; i < bl.hi; i++ {
			if i == bl.hi-1 {
				r.leave(b, i, s)
			}
			r.step(s, &r.code[i])
		}
		if r.fallsThrough(bl) && b+1 < len(r.blocks) {
			r.assume(s, bl, false)
			r.flow(b+1, s)
		}
	}
}

func (r *run) fallsThrough(bl *block) bool {
	switch r.code[bl.hi-1].Op {
	case insn.Jump, insn.IndirectJump, insn.Return, insn.Stop:
		return false
	}
	return true
}

// leave follows the jump that may end block b.
func (r *run) leave(b, i int, s *state) {
	in := &r.code[i]
	switch in.Op {
	case insn.Jump, insn.CondBranch:
		if t, ok := r.blockAt(uint64(in.Imm)); ok {
			taken := &r.taken
			s.copyTo(taken)
			r.assume(taken, &r.blocks[b], true)
			r.flow(t, taken)
		}
	case insn.IndirectJump:
		for _, addr := range r.tables {
			if t, ok := r.blockAt(addr); ok {
				r.flow(t, s)
			}
		}
		if sp, ok := frame(s.regs[r.machine.SP]); !ok || sp != 0 || r.picks(&r.blocks[b], s) {
			r.blocks[b].jumps = true
		}
	}
}

// picks reports whether the jump that ends a block may go to a place that is
// picked from a table. Otherwise, with the stack as it was on entry, it is a
// call in the last place, of what was read from memory or given.
func (r *run) picks(bl *block, s *state) bool {
	jump := &r.code[bl.hi-1]
	if jump.A == insn.NoReg {
		return jump.Mem.Index != insn.NoReg
	}
	for i := bl.hi - 2; i >= bl.lo; i-- {
		in := &r.code[i]
		if in.Dst == jump.A {
			return in.Op != insn.Load || in.Mem.Index != insn.NoReg
		}
		if in.Clobbers.Has(jump.A) {
			return in.Op != insn.Call && in.Op != insn.IndirectCall
		}
	}
	_, known := s.regs[jump.A].Known()
	return !known
}

// strays interprets code that nothing was seen to lead to, such as landing
// pads, knowing nothing; and all blocks where a jump may lead anywhere.
func (r *run) strays() {
	jumps := 0
	for b := range r.blocks {
		if r.blocks[b].jumps {
			jumps++
		}
	}
	lost := jumps > r.count
	s := anywhere(r.machine)
	for b := range r.blocks {
		if !r.blocks[b].in.reached || lost && r.blocks[b].lo > 0 && !r.follows(b) {
			r.flow(b, &s)
			r.settle()
		}
	}
}

// follows reports whether block b is entered only from the block before it, as
// far as can be seen: a jump table would have no need for it.
func (r *run) follows(b int) bool {
	return b > 0 && r.code[r.blocks[b].lo-1].Op == insn.CondBranch
}

// sites interprets every block once more and keeps what is known where control
// leaves.
func (r *run) sites() (out []Site, runsOn bool) {
	n := 1
	for i := range r.code {
		if r.leaves(&r.code[i]) {
			n++
		}
	}
	out = make([]Site, 0, n)
	s := &r.now
	for b := range r.blocks {
		bl := &r.blocks[b]
		bl.in.copyTo(s)
		for i := bl.lo; i < bl.hi; i++ {
			in := &r.code[i]
			if r.leaves(in) {
				out = append(out, r.site(s, in))
			}
			r.step(s, in)
		}
	}
	slices.SortStableFunc(out, func(a, b Site) int { return cmp.Compare(a.Addr, b.Addr) })
	if runsOn = r.fallsThrough(&r.blocks[len(r.blocks)-1]); runsOn {
		out = append(out, r.site(s, &insn.Inst{Addr: r.end(), Op: insn.Jump}))
	}
	return out, runsOn
}

func (r *run) leaves(in *insn.Inst) bool {
	switch in.Op {
	case insn.Call, insn.IndirectCall, insn.IndirectJump, insn.Syscall:
		return true
	case insn.Jump, insn.CondBranch:
		t := uint64(in.Imm)
		return t < r.code[0].Addr || t >= r.end()
	}
	return false
}

// end is where the code ends.
func (r *run) end() uint64 {
	last := &r.code[len(r.code)-1]
	return last.Addr + uint64(last.Len)
}

func (r *run) site(s *state, in *insn.Inst) Site {
	out := Site{Addr: in.Addr, Op: in.Op, mem: stack{slots: slices.Clone(s.slots), leak: s.leak}}
	out.sp, out.spOK = frame(s.regs[r.machine.SP])
	known := 0
	for i := range s.regs[:r.machine.Regs] {
		if v := &s.regs[i]; !v.unknown && len(v.atoms) > 0 {
			known++
		}
	}
	out.regs = make([]held, 0, known)
	for reg, v := range s.regs[:r.machine.Regs] {
		if !v.unknown && len(v.atoms) > 0 {
			out.regs = append(out.regs, held{insn.Reg(reg), v})
		}
	}
	return out
}
