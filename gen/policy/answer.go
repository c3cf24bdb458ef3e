package policy

import (
	"slices"

	"github.com/profgen/profgen/internal/abi"
)

// Answer is what a policy has the kernel answer a system call.
type Answer string

const (
	Allow  Answer = "allow"
	EPERM  Answer = "EPERM"  // as when the kernel forbids it
	ENOSYS Answer = "ENOSYS" // as on a kernel without it
	Kill   Answer = "kill"   // a call through an ABI that the policy does not have
)

// Judge answers system calls as a policy wants them answered. It is made of the
// policy alone, and knows nothing of how a profile spells it: whoever emits one
// is held to its answers.
type Judge struct {
	arches []abi.Arch
	calls  map[string]*verdict
	mux    map[muxed]*verdict // what x86 makes through socketcall or ipc
}

// muxed is a call by its number in a multiplexer.
type muxed struct {
	mux string
	nr  uint64
}

// verdict is all that a policy says of one name.
type verdict struct {
	any     bool          // allowed with any arguments
	allowed [][]Condition // allowed if all conditions of one of them hold
	refused bool          // answers EPERM
}

// Judge returns the judge of p.
func (p Policy) Judge() *Judge {
	j := &Judge{arches: p.Arches, calls: map[string]*verdict{}, mux: map[muxed]*verdict{}}
	for _, r := range p.Syscalls {
		v := j.about(r.Name)
		v.any = v.any || len(r.Conditions) == 0
		v.allowed = append(v.allowed, r.Conditions)
	}
	for _, name := range p.NotPermitted {
		j.about(name).refused = true
	}
	for name, v := range j.calls {
		if mux, nr := abi.Multiplexed(name); mux != "" {
			j.mux[muxed{mux, nr}] = v
		}
	}
	return j
}

func (j *Judge) about(name string) *verdict {
	v := j.calls[name]
	if v == nil {
		v = &verdict{}
		j.calls[name] = v
	}
	return v
}

// Answer is what call nr of arch with these arguments is to be answered. x32
// numbers are given without abi.X32Bit. The native ABI of a kernel is always
// part of a policy. On 32-bit ABIs, x32 among them, conditions are about the
// low halves of arguments. What x86 makes through socketcall or ipc is answered
// as the call that is meant, but for conditions on its first argument: they lie
// in memory.
func (j *Judge) Answer(arch abi.Arch, nr uint32, args [6]uint64) Answer {
	row, ok := arch.Row()
	if !ok || row.Compat && !slices.Contains(j.arches, arch) {
		return Kill
	}
	name, ok := arch.Name(nr)
	if !ok {
		return ENOSYS
	}
	width := ^uint64(0)
	if row.Compat {
		width = 0xffffffff
	}
	v := j.calls[name]
	switch {
	case v == nil:
	case v.refused:
		return EPERM
	case v.any || v.allows(args, width, 0):
		return Allow
	}
	if arch != abi.X86 {
		return ENOSYS
	}
	through := j.mux[muxed{name, args[0] & width}]
	switch {
	case through == nil:
		return ENOSYS
	case through.refused:
		return EPERM
	case through.any || through.allows(args, width, 1):
		return Allow
	}
	return ENOSYS
}

// allows reports whether an alternative holds, looking at arguments from first
// on and at those of their bits that are in width.
func (v *verdict) allows(args [6]uint64, width uint64, first uint) bool {
	return slices.ContainsFunc(v.allowed, func(conds []Condition) bool {
		return !slices.ContainsFunc(conds, func(c Condition) bool {
			mask := c.Mask & width
			return c.Index >= first && args[c.Index]&mask != c.Value&mask
		})
	})
}

// Explicit reports whether the policy says something of the name itself.
func (j *Judge) Explicit(name string) bool { return j.calls[name] != nil }
