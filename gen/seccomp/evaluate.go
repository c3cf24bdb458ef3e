package seccomp

import (
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/profgen/profgen/internal/abi"
)

// Evaluate returns what the kernel would answer system call nr of arch with
// these arguments under s, and the errno (or, for SCMP_ACT_TRACE, the message)
// that goes with it, 0 for other actions. x32 numbers are given without
// abi.X32Bit.
//
// It answers as the filter does that libseccomp makes of s in the way runc and
// crun ask for it:
//
//   - an ABI that is neither listed nor the native one of its kernel is killed;
//     the native one is always part of the filter
//   - arguments are compared as 64-bit values, as 32-bit values on 32-bit ABIs,
//     x32 among them
//   - an unconditional rule wins over every conditional one of its name, the
//     first unconditional rule over later ones
//   - conditional rules are alternatives; of two that hold and differ in their
//     action the first one is taken, where libseccomp's own order is not
//     specified. Profiles by [Spec] never have such rules
//   - conditions of one rule must all hold, but are alternatives if two of them
//     have the same index
//   - a masked condition compares the bits of its mask only, in both operands
//   - a rule that equals the default, or names what arch does not have, is
//     skipped
//   - on x86 a rule for a call that socketcall or ipc can make allows that too,
//     less its condition on argument 0
//
// SCMP_ACT_KILL_THREAD is answered as its synonym SCMP_ACT_KILL. Numbers that
// no table knows get the default answer.
func Evaluate(s *specs.LinuxSeccomp, arch abi.Arch, nr uint32, args [6]uint64) (specs.LinuxSeccompAction, uint) {
	row, ok := arch.Row()
	if !ok || row.Compat && !slices.Contains(s.Architectures, row.SCMP) {
		return specs.ActKill, 0
	}
	found := answerOf(s.DefaultAction, s.DefaultErrnoRet)
	name, ok := arch.Name(nr)
	if !ok {
		return found.action, found.errno
	}
	c := call{name: name, args: args, narrow: row.Compat, muxed: arch == abi.X86}
	def, conditional := found, false
	for _, r := range s.Syscalls {
		a := answerOf(r.Action, r.ErrnoRet)
		if a == def {
			continue
		}
		switch c.match(r) {
		case always:
			return a.action, a.errno
		case holds:
			if !conditional {
				found, conditional = a, true
			}
		}
	}
	return found.action, found.errno
}

// answer is an action with its number, comparable.
type answer struct {
	action specs.LinuxSeccompAction
	errno  uint
}

// answerOf fills in what the specification leaves to the runtime: without an
// errnoRet the number is EPERM.
func answerOf(action specs.LinuxSeccompAction, errnoRet *uint) answer {
	switch action {
	case specs.ActKillThread:
		return answer{specs.ActKill, 0}
	case specs.ActErrno, specs.ActTrace:
		if errnoRet != nil {
			return answer{action, *errnoRet}
		}
		return answer{action, eperm}
	}
	return answer{action, 0}
}

// call is a system call being judged.
type call struct {
	name   string
	args   [6]uint64
	narrow bool // arguments are compared by their low 32 bits
	muxed  bool // the ABI has socketcall and ipc
}

type outcome int

const (
	never  outcome = iota // the rule is not about this call, or does not hold
	holds                 // its conditions hold
	always                // it has no conditions
)

func (c call) match(r specs.LinuxSyscall) outcome {
	out := never
	for _, n := range r.Names {
		mux, nr := "", uint64(0)
		if c.muxed {
			mux, nr = abi.Multiplexed(n)
		}
		for _, conds := range alternatives(r.Args) {
			switch c.name {
			case n:
			case mux:
				conds = viaMux(conds, nr)
			default:
				continue
			}
			out = max(out, c.matchAll(conds))
		}
	}
	return out
}

// viaMux returns the conditions under which socketcall or ipc makes the call
// that conds are about: argument 0 is its number there.
func viaMux(conds []specs.LinuxSeccompArg, nr uint64) []specs.LinuxSeccompArg {
	out := []specs.LinuxSeccompArg{{Index: 0, Value: nr, Op: specs.OpEqualTo}}
	for _, a := range conds {
		if a.Index != 0 {
			out = append(out, a)
		}
	}
	return out
}

// matchAll judges conditions that must all hold. One that looks at no bit, or
// only at bits that the ABI does not have, is none.
func (c call) matchAll(conds []specs.LinuxSeccompArg) outcome {
	out := always
	for _, a := range conds {
		if mask := a.Value; a.Op == specs.OpMaskedEqual && (mask == 0 || c.narrow && uint32(mask) == 0) {
			continue
		}
		if !c.condition(a) {
			return never
		}
		out = holds
	}
	return out
}

// alternatives splits the conditions of a rule as runc does: each stands alone
// if two have one index.
func alternatives(conds []specs.LinuxSeccompArg) [][]specs.LinuxSeccompArg {
	seen := [maxArg + 1]bool{}
	for _, a := range conds {
		if a.Index <= maxArg && seen[a.Index] {
			return slices.Collect(slices.Chunk(conds, 1))
		}
		seen[min(a.Index, maxArg)] = true
	}
	return [][]specs.LinuxSeccompArg{conds}
}

func (c call) condition(a specs.LinuxSeccompArg) bool {
	if a.Index > maxArg {
		return false
	}
	x, value, two := c.args[a.Index], a.Value, a.ValueTwo
	if c.narrow {
		x, value, two = uint64(uint32(x)), uint64(uint32(value)), uint64(uint32(two))
	}
	switch a.Op {
	case specs.OpEqualTo:
		return x == value
	case specs.OpNotEqual:
		return x != value
	case specs.OpLessThan:
		return x < value
	case specs.OpLessEqual:
		return x <= value
	case specs.OpGreaterEqual:
		return x >= value
	case specs.OpGreaterThan:
		return x > value
	case specs.OpMaskedEqual:
		return x&value == two&value
	}
	return false
}
