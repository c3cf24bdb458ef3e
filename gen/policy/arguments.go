package policy

import (
	"cmp"
	"slices"

	"github.com/profgen/profgen/gen/evidence"
)

// call is what the evidence says about the system calls of one name.
type call struct {
	block Block
	uses  []use
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

// use is a call with these arguments, and whose it is.
type use struct {
	block Block
	args  []evidence.Arg
}

// alternative is one way in which a call is allowed, and for whom: whatever its
// arguments if there are no conditions.
type alternative struct {
	block Block
	conds []Condition
}

// openFor allows any arguments; the first reason stays.
func (c *call) openFor(reason string) {
	if !c.any {
		c.any, c.opened = true, reason
	}
}

// absorb adds what other wants to what c wants.
func (c *call) absorb(other *call) {
	c.uses = append(c.uses, other.uses...)
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

// alternatives returns the ways in which a call is allowed; one without
// conditions if any arguments must do.
func (c *call) alternatives(name string) []alternative {
	standIn := engineDefault[name]
	if c.unresolved && standIn == nil {
		c.openFor(underived)
	}
	if c.any {
		return []alternative{{block: c.block}}
	}
	var out []alternative
	for _, u := range c.uses {
		conds := narrow(name, u.args)
		if conds == nil {
			return []alternative{{block: c.block}}
		}
		out = append(out, alternative{u.block, conds})
	}
	out = distinct(out)
	if len(out) > maxAlternatives {
		c.openFor(unrecorded)
		return []alternative{{block: c.block}}
	}
	if c.unresolved {
		for _, conds := range standIn {
			out = append(out, alternative{c.block, conds})
		}
	}
	for _, conds := range everyday[name] {
		out = append(out, alternative{Kernel, conds})
	}
	return widest(distinct(out))
}

// distinct returns the alternatives in order, each once, in the first block that
// has it.
func distinct(all []alternative) []alternative {
	slices.SortFunc(all, func(a, b alternative) int {
		return cmp.Or(compareConditions(a.conds, b.conds), cmp.Compare(slices.Index(Blocks(), a.block), slices.Index(Blocks(), b.block)))
	})
	return slices.CompactFunc(all, func(a, b alternative) bool { return compareConditions(a.conds, b.conds) == 0 })
}

// widest leaves out the alternatives that others of them include. No two have
// the same conditions.
func widest(all []alternative) []alternative {
	var out []alternative
	for i, a := range all {
		included := false
		for j, b := range all {
			included = included || i != j && includes(b.conds, a.conds)
		}
		if !included {
			out = append(out, a)
		}
	}
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

// narrow returns the conditions that args meet: none, but not nil, if they stand
// for any; nil if the argument that a filter of the call needs is not among
// them.
func narrow(name string, args []evidence.Arg) []Condition {
	if f, ok := filters[name]; ok {
		return f(args)
	}
	return known(name, args)
}

// known returns a condition for each argument.
func known(name string, args []evidence.Arg) []Condition {
	var out []Condition
	for _, a := range args {
		out = append(out, condition(name, a))
	}
	return out
}

// filters narrow the calls whose arguments recordings have: those of
// abi.Arch.Arguments. Each returns nil if the argument it needs is unknown.
//
// Of other calls only static analysis knows arguments; those are filtered by
// all that it knows to go together.
var filters = map[string]func([]evidence.Arg) []Condition{
	"bpf":           selected("bpf", 0),
	"clone":         cloneFilter,
	"ioctl":         selected("ioctl", 1),
	"keyctl":        selected("keyctl", 0),
	"mmap":          protectionFilter,
	"mmap2":         protectionFilter,
	"mprotect":      protectionFilter,
	"personality":   exactly(0),
	"pkey_mprotect": protectionFilter,
	"prctl":         selected("prctl", 0),
	"ptrace":        selected("ptrace", 0),
	"setns":         setnsFilter,
	"setsockopt":    selected("setsockopt", 1),
	"shmat":         sharedFilter,
	"socket":        socketFilter,
	"socketpair":    exactly(0),
	"unshare":       exactly(0),
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

// everyday is what any process may do that makes the call at all, without its
// author's knowing, and whatever was recorded: what libc and language runtimes do
// depending on where standard output goes, how much memory there is, or who is
// at the other end. Each is without privilege.
//
// ioctl: is it a terminal, how wide, how much is there to read, and flags of the
// descriptor. prctl: the name of a thread, and of a mapping. setsockopt: the old
// options of SOL_SOCKET and TCP, 0 to 23, which leave out those that attach BPF
// programs or change the protocol; IPV6_V6ONLY; and IP_RECVERR and IPV6_RECVERR,
// which resolvers set. Memory that cannot be executed.
var everyday = map[string][][]Condition{
	"ioctl": {
		{{1, low32, 0x5401}}, {{1, low32, 0x802c542a}}, // TCGETS, TCGETS2
		{{1, low32, 0x5413}},                       // TIOCGWINSZ
		{{1, low32, 0x541b}}, {{1, low32, 0x5421}}, // FIONREAD, FIONBIO
		{{1, low32 &^ 1, 0x5450}}, // FIONCLEX, FIOCLEX
	},
	"mmap":          {{{2, protExec, 0}}},
	"mmap2":         {{{2, protExec, 0}}},
	"mprotect":      {{{2, protExec, 0}}},
	"pkey_mprotect": {{{2, protExec, 0}}},
	"prctl":         {{{0, low32, 15}}, {{0, low32, 16}}, {{0, low32, 0x53564d41}}}, // PR_SET_NAME, PR_GET_NAME, PR_SET_VMA
	"setsockopt": {
		{{1, low32, 1}, {2, low32 &^ 15, 0}}, {{1, low32, 1}, {2, low32 &^ 7, 16}},
		{{1, low32, 6}, {2, low32 &^ 15, 0}}, {{1, low32, 6}, {2, low32 &^ 7, 16}},
		{{1, low32, 41}, {2, low32, 26}}, {{1, low32, 41}, {2, low32, 25}}, {{1, low32, 0}, {2, low32, 11}},
	},
	"shmat": {{{2, shmExec, 0}}},
}

// selected narrows to all arguments that are known, if the one that selects what
// the call does is among them.
func selected(name string, index uint8) func([]evidence.Arg) []Condition {
	return func(args []evidence.Arg) []Condition {
		if _, ok := value(args, index); !ok {
			return nil
		}
		return known(name, args)
	}
}

// Bits of memory protection: include/uapi/asm-generic/mman-common.h, linux/shm.h.
const (
	protWrite = 0x2
	protExec  = 0x4
	shmExec   = 0x8000
)

// protectionFilter tells memory apart that is not executable, or not writable,
// from memory that is both (W^X).
func protectionFilter(args []evidence.Arg) []Condition {
	v, ok := value(args, 2)
	switch {
	case !ok:
		return nil
	case v&protExec == 0:
		return []Condition{{Index: 2, Mask: protExec}}
	case v&protWrite == 0:
		return []Condition{{Index: 2, Mask: protWrite}}
	}
	return []Condition{}
}

// sharedFilter narrows to shared memory that is not executable.
func sharedFilter(args []evidence.Arg) []Condition {
	v, ok := value(args, 2)
	switch {
	case !ok:
		return nil
	case v&shmExec == 0:
		return []Condition{{Index: 2, Mask: shmExec}}
	}
	return []Condition{}
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
