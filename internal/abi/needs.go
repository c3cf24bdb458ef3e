package abi

import "slices"

// Need is one row of the capability table: a system call that, with some
// arguments, may need a capability. The kernel asks for the capability in the
// user namespace that owns what the call acts on; for most rows of Always kind
// that is the caller's, for SYS_MODULE, SYS_TIME, SYS_BOOT and their like it is
// the initial one, where no container in a user namespace has any.
type Need struct {
	Syscall string
	Args    []ArgMatch // all must hold; none: whatever the arguments
	Cap     string     // the least capability that does: CAP_NET_RAW
	Or      string     // another that does as well, most often a broader one; "" if none
	When    When
	If      string // unless Always: on what it depends
	Source  string // a manual page that says so: chown(2)
}

// When says how a call depends on the capability of its row.
type When uint8

const (
	// Always: no call with such arguments succeeds without.
	Always When = iota
	// Conditional: it depends on what the call acts on: owners, ports, limits.
	Conditional
	// Partial: the call succeeds without, and silently does less.
	Partial
	// Rare: only a special file, a limit of the whole system, an old kernel or
	// an optional security module asks. Most programs that make the call never
	// meet it.
	Rare
)

// String returns the kind in lower case, as documents spell it.
func (w When) String() string {
	names := [...]string{Always: "always", Conditional: "conditional", Partial: "partial", Rare: "rare"}
	if int(w) >= len(names) {
		return "unknown"
	}
	return names[w]
}

// ArgMatch is a predicate on one argument of a system call.
type ArgMatch struct {
	Index  uint8 // from 0
	Op     Op
	Mask   uint64 // the bits the predicate reads; the kernel truncates most arguments to 32
	Values []uint64
}

// Op is how an argument, masked, is compared.
type Op uint8

const (
	OneOf  Op = iota // equals one of the values
	NoneOf           // equals none of the values
	AnyBit           // is not zero; there are no values
)

// Holds reports whether v, an argument as its register has it, is matched.
func (m ArgMatch) Holds(v uint64) bool {
	switch v &= m.Mask; m.Op {
	case OneOf:
		return slices.Contains(m.Values, v)
	case NoneOf:
		return !slices.Contains(m.Values, v)
	default:
		return v != 0
	}
}

// Args is what is known of the arguments of a call, or of many: by index every
// value that the argument may have. An index that is absent, or has no values,
// is unknown: the argument may be anything.
type Args map[uint8][]uint64

// Answer is yes, no, or either.
type Answer uint8

const (
	No    Answer = iota // for none of the possible arguments
	Maybe               // for some of them, or it is unknown
	Yes                 // for all of them
)

// Matches says whether the row's predicates hold for a call with args. No and
// Yes are exact over all combinations of the given values; whoever has several
// call sites gets sharper answers by asking for each.
func (n Need) Matches(args Args) Answer {
	answer := Yes
	for i, m := range n.Args {
		if slices.ContainsFunc(n.Args[:i], func(o ArgMatch) bool { return o.Index == m.Index }) {
			continue // answered together with the first of its index
		}
		answer = min(answer, n.matchIndex(m.Index, args[m.Index]))
	}
	return answer
}

// matchIndex answers for all predicates on one argument, value by value: two
// of them may each hold for some value and both for none.
func (n Need) matchIndex(index uint8, values []uint64) Answer {
	if len(values) == 0 {
		return Maybe
	}
	holding := 0
	for _, v := range values {
		if n.holds(index, v) {
			holding++
		}
	}
	switch holding {
	case 0:
		return No
	case len(values):
		return Yes
	}
	return Maybe
}

func (n Need) holds(index uint8, v uint64) bool {
	return !slices.ContainsFunc(n.Args, func(m ArgMatch) bool { return m.Index == index && !m.Holds(v) })
}

// Needs returns the rows of a system call, sorted by capability; nil if it
// needs none, ever. Names that only 32-bit ABIs have, such as setuid32, get the
// rows of the call they are a variant of. The 32-bit multiplexers ipc and
// socketcall get the rows of every call behind them, without predicates, since
// their arguments lie in memory.
//
// Not in the table is what has no call to hang on: the kernel's own
// bookkeeping, such as the reserve of memory for CAP_SYS_ADMIN, disk
// reservations and quotas for CAP_SYS_RESOURCE, limits of the whole system such
// as fs.file-max, and what io_uring_enter(2)
// does in the place of other calls. Nor is CAP_MAC_OVERRIDE, which only Smack
// asks for, and then on any access to anything. See capabilities(7).
func Needs(syscall string) []Need {
	if behind, ok := multiplexed[syscall]; ok {
		return multiplexedNeeds(syscall, behind)
	}
	name, ok := variants[syscall]
	if !ok {
		name = syscall
	}
	rows := rowsOf(name)
	out := make([]Need, 0, len(rows))
	for _, n := range rows {
		n.Syscall = syscall
		out = append(out, n.clone())
	}
	return slices.Clip(out)
}

// MayNeed returns the rows of a system call that may apply with args: all but
// those whose answer is No.
func MayNeed(syscall string, args Args) []Need {
	return slices.DeleteFunc(Needs(syscall), func(n Need) bool { return n.Matches(args) == No })
}

// AllNeeds returns the whole table, sorted by system call and capability.
// Variants and multiplexers of 32-bit ABIs, which Needs knows, are not in it.
func AllNeeds() []Need {
	out := make([]Need, 0, len(needs))
	for _, n := range needs {
		out = append(out, n.clone())
	}
	return out
}

func (n Need) clone() Need {
	n.Args = slices.Clone(n.Args)
	for i := range n.Args {
		n.Args[i].Values = slices.Clone(n.Args[i].Values)
	}
	return n
}

func multiplexedNeeds(syscall string, behind []string) []Need {
	var out []Need
	for _, name := range behind {
		for _, n := range rowsOf(name) {
			n.Syscall, n.Args = syscall, nil
			if n.When == Always {
				n.When, n.If = Conditional, name
			}
			out = append(out, n)
		}
	}
	slices.SortFunc(out, compareNeeds)
	return slices.CompactFunc(out, func(a, b Need) bool { return compareNeeds(a, b) == 0 })
}
