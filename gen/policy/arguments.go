package policy

import (
	"slices"

	"github.com/profgen/profgen/gen/evidence"
)

// call is what the evidence says about the system calls of one name.
type call struct {
	block Block
	args  [][]evidence.Arg
	any   bool // with arguments unknown or too many
	// opened is why any, or unresolved, in words.
	opened string
	// unresolved says that static analysis found it called with arguments that it
	// could not derive, which is not as strong as having seen it.
	unresolved bool
	// needed says that more than static analysis wants it.
	needed bool
	// seen says that the workload was seen to make it; seenArgs with what.
	seen     bool
	seenArgs [][]evidence.Arg
}

// openFor allows any arguments; the first reason stays.
func (c *call) openFor(reason string) {
	if !c.any {
		c.any, c.opened = true, reason
	}
}

// absorb adds what other wants to what c wants.
func (c *call) absorb(other *call) {
	c.args = append(c.args, other.args...)
	c.unresolved = c.unresolved || other.unresolved
	c.needed = c.needed || other.needed
	c.seen = c.seen || other.seen
	c.seenArgs = append(c.seenArgs, other.seenArgs...)
	if other.any {
		c.openFor(other.opened)
	}
}

const (
	unrecorded = "those used could not all be recorded"
	unlooked   = "a recording does not look at them, and static analysis does not bound them"
	underived  = "those that the code may use could not all be derived"
)

// maxAlternatives is how many ways to make a call are told apart; the recorder
// tells no more either.
const maxAlternatives = 64

// conditions returns the alternatives under which a call is allowed: one
// without conditions if any arguments must do.
func (c *call) conditions(name string) [][]Condition {
	open := [][]Condition{nil}
	standIn := engineDefault[name]
	if c.unresolved && standIn == nil {
		c.openFor(underived)
	}
	if c.any {
		return open
	}
	var out [][]Condition
	for _, args := range c.args {
		conds := narrow(name, args)
		if conds == nil {
			return open
		}
		out = append(out, conds)
	}
	slices.SortFunc(out, compareConditions)
	out = slices.CompactFunc(out, func(a, b []Condition) bool { return compareConditions(a, b) == 0 })
	if len(out) > maxAlternatives {
		c.openFor(unrecorded)
		return open
	}
	if c.unresolved {
		out = append(out, standIn...)
	}
	return widest(out)
}

// widest leaves out the alternatives that others of them include.
func widest(all [][]Condition) [][]Condition {
	var out [][]Condition
	for i, a := range all {
		included := func(b []Condition) bool { return includes(b, a) }
		if !slices.ContainsFunc(all[i+1:], included) && !slices.ContainsFunc(out, included) {
			out = append(out, a)
		}
	}
	slices.SortFunc(out, compareConditions)
	return out
}

// includes reports whether the conditions of a hold wherever those of b do.
func includes(a, b []Condition) bool {
	for _, x := range a {
		holds := func(y Condition) bool {
			return x.Index == y.Index && x.Mask&y.Mask == x.Mask && y.Value&x.Mask == x.Value
		}
		if !slices.ContainsFunc(b, holds) {
			return false
		}
	}
	return true
}

// narrow returns the conditions that args meet; nil if the argument that a
// filter of the call needs is not among them.
func narrow(name string, args []evidence.Arg) []Condition {
	if f, ok := filters[name]; ok {
		return f(args)
	}
	var out []Condition
	for _, a := range args {
		out = append(out, condition(name, a))
	}
	return out
}

// filters narrow the calls whose arguments the recorder looks at. Each returns
// nil if the argument it needs is unknown. All parameters here are 32-bit to
// the kernel, whatever the register holds above (clone takes lower_32_bits of
// its flags, kernel/fork.c).
//
// Of other calls only static analysis knows arguments; those are filtered by
// all that it knows to go together.
var filters = map[string]func([]evidence.Arg) []Condition{
	"socket":      socketFilter,
	"socketpair":  exactly(0),
	"clone":       cloneFilter,
	"unshare":     exactly(0),
	"setns":       setnsFilter,
	"personality": exactly(0),
}

// lookedAt reports whether recordings have the arguments of a call, so that a
// fact without them stands for too many.
func lookedAt(name string) bool {
	return filters[name] != nil || name == "clone3" || name == "socketcall"
}

const low32 = 0xffffffff

// wide are the parameters that the kernel takes as 64 bits, of the calls whose
// arguments are worth a filter: include/linux/syscalls.h and the definitions of
// arch/x86 and arch/arm64, Linux 6.18. A parameter that is not here is compared
// by its lower half, which never refuses what the kernel takes for the same.
var wide = map[string][]uint8{
	"fcntl": {2}, "ioctl": {2}, "keyctl": {1, 2, 3, 4}, "madvise": {0, 1}, "prctl": {1, 2, 3, 4},
	"mmap": {0, 1, 2, 3, 5}, "mprotect": {0, 1, 2}, "mremap": {0, 1, 2, 3, 4}, "pkey_mprotect": {0, 1, 2},
	"ptrace": {0, 1, 2, 3},
}

func condition(name string, a evidence.Arg) Condition {
	if slices.Contains(wide[name], a.Index) {
		return Condition{Index: uint(a.Index), Mask: ^uint64(0), Value: a.Value}
	}
	return Condition{Index: uint(a.Index), Mask: low32, Value: a.Value & low32}
}

// engineDefault is what takes the place of arguments that static analysis could
// not derive: those that Docker's default profile lets every container use. It
// keeps a profile that is made without a recording from being weaker than none.
//
// clone gets no namespaces; socket all families below 46 but AF_ALG (38) and
// AF_VSOCK (40); personality those of Linux and of address space randomization.
var engineDefault = map[string][][]Condition{
	"clone": {{{0, namespaceFlags, 0}}},
	"socket": {
		{{0, low32 &^ 31, 0}}, {{0, low32 &^ 3, 32}}, {{0, low32 &^ 1, 36}},
		{{0, low32, 39}}, {{0, low32, 41}}, {{0, low32 &^ 1, 42}}, {{0, low32 &^ 1, 44}},
	},
	"personality": {{{0, low32, 0}}, {{0, low32, 8}}, {{0, low32, 0x20000}}, {{0, low32, 0x20008}}, {{0, low32, low32}}},
}

func exactly(index uint8) func([]evidence.Arg) []Condition {
	return func(args []evidence.Arg) []Condition {
		v, ok := value(args, index)
		if !ok {
			return nil
		}
		return []Condition{{Index: uint(index), Mask: low32, Value: v & low32}}
	}
}

const afNetlink = 16 // include/linux/socket.h

// socketFilter narrows to the family, and netlink to its protocol too: netlink
// families are as different as address families are.
func socketFilter(args []evidence.Arg) []Condition {
	conds := exactly(0)(args)
	if conds == nil || conds[0].Value != afNetlink {
		return conds
	}
	return append(conds, exactly(2)(args)...)
}

// setnsFilter narrows to the type of namespace; type 0 enters any.
func setnsFilter(args []evidence.Arg) []Condition {
	if v, _ := value(args, 1); v == 0 {
		return nil
	}
	return exactly(1)(args)
}

// cloneFilter narrows to the same set of namespaces; the other flags are no
// privilege.
func cloneFilter(args []evidence.Arg) []Condition {
	v, ok := value(args, 0)
	if !ok {
		return nil
	}
	return []Condition{{Index: 0, Mask: namespaceFlags, Value: v & namespaceFlags}}
}

func value(args []evidence.Arg, index uint8) (uint64, bool) {
	i := slices.IndexFunc(args, func(a evidence.Arg) bool { return a.Index == index })
	if i < 0 {
		return 0, false
	}
	return args[i].Value, true
}
