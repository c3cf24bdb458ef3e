package graph

import "github.com/profgen/profgen/internal/scan/insn"

// taken notes that code of an object, or data, has the address of the function.
func (n *Node) taken(e Edge) {
	switch {
	case n.pointed:
	case e.Reason == Taken && e.From != nil && e.From.Func.Code == n.Func.Code:
		if n.takers == nil {
			n.takers = new([]*Func)
		}
		*n.takers = append(*n.takers, e.From.Func)
	default:
		n.pointed, n.takers = true, nil
	}
}

// Taken reports whether calls through pointers may enter the function. An
// address that is only compared gives nothing away: musl's signal handler asks
// so whether it interrupted a system call.
func (n *Node) Taken() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	for n.takers != nil && len(*n.takers) > 0 && !n.pointed {
		last := len(*n.takers) - 1
		n.pointed = !(*n.takers)[last].onlyCompares(n.Func.Start)
		*n.takers = (*n.takers)[:last]
	}
	return n.pointed
}

// onlyCompares reports whether the function does nothing with an address but
// compare it.
func (f *Func) onlyCompares(addr uint64) bool {
	lifted := f.lift()
	defer f.Code.lifted.Put(lifted)
	code := *lifted
	found := false
	for i := range code {
		if in := &code[i]; in.Op == insn.Set && uint64(in.Imm) == addr {
			found = true
			c := comparing{f: f, code: code, reg: in.Dst, seen: map[int]bool{}}
			if !c.from(i + 1) {
				return false
			}
		}
	}
	return found
}

// comparing follows what a register holds until it is overwritten.
type comparing struct {
	f    *Func
	code []insn.Inst
	reg  insn.Reg
	seen map[int]bool
}

// maxCompared bounds how many steps are followed.
const maxCompared = 256

// from reports whether all that comes from step i on only compares it.
func (c *comparing) from(i int) bool {
	for ; i < len(c.code); i++ {
		if c.seen[i] {
			return true
		}
		if len(c.seen) == maxCompared {
			return false
		}
		c.seen[i] = true
		in := &c.code[i]
		if in.Op != insn.Compare && (in.A == c.reg || in.B == c.reg || in.Mem.Base == c.reg || in.Mem.Index == c.reg) {
			return false
		}
		if in.Dst == c.reg && in.Ext == insn.ZeroExt && in.Width >= 4 || in.Clobbers.Has(c.reg) {
			return true
		}
		if done, ok := c.control(in); done {
			return ok
		}
	}
	return false // on into another function
}

// control follows what moves control; done if the walk ends there, with ok.
func (c *comparing) control(in *insn.Inst) (done, ok bool) {
	m := c.f.Code.Machine
	switch in.Op {
	case insn.Call, insn.IndirectCall:
		for _, p := range m.Params {
			if p == c.reg {
				return true, false
			}
		}
		return c.f.scratch().Has(c.reg), true
	case insn.Syscall:
		for _, a := range m.Args {
			if a == c.reg {
				return true, false
			}
		}
		return m.SyscallScratch.Has(c.reg), true
	case insn.Return:
		return true, c.reg != m.Return && m.Scratch.Has(c.reg)
	case insn.Stop:
		return true, true
	case insn.IndirectJump:
		return true, false
	case insn.Jump, insn.CondBranch:
		t := uint64(in.Imm)
		if t < c.f.Start || t >= c.f.End || !c.from(instAt(c.code, t)) {
			return true, false
		}
		return in.Op == insn.Jump, true
	}
	return false, true
}
