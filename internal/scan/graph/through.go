package graph

import (
	"github.com/profgen/profgen/internal/scan/insn"
	"github.com/profgen/profgen/internal/scan/value"
)

// Through returns the system calls that an unresolved one is if all calls through
// pointers in its object give it their first parameter as the number, and those
// behind it as arguments; false if one of these numbers is not known.
func (p *Program) Through(u Unresolved) (calls []Syscall, ok bool) {
	m := u.Node.Func.Code.Machine
	for _, n := range p.order {
		if n.Func.Code != u.Node.Func.Code {
			continue
		}
		for _, s := range n.Func.throughPointers() {
			r := p.Resolve(n, s.Addr, s.Reg(m.Params[0]))
			if !r.Complete() {
				return nil, false
			}
			var args [6]value.Value
			for i := range args {
				args[i] = value.Unknown()
				if i+1 < len(m.Params) {
					args[i] = s.Reg(m.Params[i+1])
				}
			}
			for _, c := range r.Constants {
				calls = append(calls, Syscall{uint32(c.N), n, s.Addr, u.Node, u.Site, args})
			}
		}
	}
	return calls, true
}

// throughPointers returns the sites at which the function calls, or jumps for good,
// to an address that is not constant. One that the GOT holds is: of what is linked
// weakly, such as __gmon_start__.
func (f *Func) throughPointers() []value.Site {
	lifted := f.lift()
	defer f.Code.lifted.Put(lifted)
	_, tables := f.Tables()
	var out []value.Site
	for i := range *lifted {
		in := &(*lifted)[i]
		if in.Op != insn.IndirectCall && (in.Op != insn.IndirectJump || tables > 0) {
			continue
		}
		if s, _ := f.Values().At(in.Addr); !f.fromGOT(in, s) {
			out = append(out, s)
		}
	}
	return out
}

// fromGOT reports whether a call is one to an address out of the GOT.
func (f *Func) fromGOT(in *insn.Inst, s value.Site) bool {
	c := f.Code
	if in.A == insn.NoReg {
		sec := c.File.Section(uint64(in.Mem.Disp))
		return in.Mem.Base == insn.NoReg && in.Mem.Index == insn.NoReg && sec != nil && isGOT(sec)
	}
	atoms, ok := s.Reg(in.A).Known()
	for _, a := range atoms {
		sec := c.File.Section(uint64(a.N))
		ok = ok && a.Kind == value.Global && sec != nil && isGOT(sec)
	}
	return ok
}
