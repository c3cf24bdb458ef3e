package evidence

import "slices"

// GapKind is a reason why something could not be seen.
type GapKind string

const (
	Lost           GapKind = "lost"            // the recorder's own losses: a full map, a skipped program
	UnknownSyscall GapKind = "unknown-syscall" // a number no table knows
	Unfinished     GapKind = "unfinished"      // the recording had not ended when this was written
	UnseenStart    GapKind = "unseen-start"    // attached to a workload that already ran
	UnseenCaps     GapKind = "unseen-caps"     // capability checks cannot be seen on that kernel
	UnseenFiles    GapKind = "unseen-files"    // uses of files were not looked at
	UnseenSockets  GapKind = "unseen-sockets"  // that sockets were made was seen, not which
	Refused        GapKind = "refused"         // a filter already in force refused it; what would follow is unknown
	Interrupted    GapKind = "interrupted"     // being recorded, a call may have failed with EINTR that otherwise would not
	Hidden         GapKind = "hidden"          // work that the kernel does for the workload without its making calls: io_uring
	Killed         GapKind = "killed"          // the workload did not end when it was asked to: how it ends is unknown
	Unchecked      GapKind = "unchecked"       // the workload was never seen to work: its check did not succeed
)

// What static analysis could not find out. Wherever it could put something
// safe in the place of the unknown, such as every number, or every module of a
// folder, it did and the gap is [Gap.Covered].
const (
	UnresolvedSyscall  GapKind = "unresolved-syscall"  // a site whose system call number could not be derived
	UnresolvedArgument GapKind = "unresolved-argument" // a call with an argument that could not be derived: its fact has none, any will do
	UnresolvedDlopen   GapKind = "unresolved-dlopen"   // a library loaded by a name that is computed
	UnresolvedExec     GapKind = "unresolved-exec"     // a program started that is not known
	Interpreter        GapKind = "interpreter"         // a program text that was not analysed; what interprets it was
	Unreadable         GapKind = "unreadable"          // an ELF file that is cut short, contradicts itself, or wants a library that is missing
	ForeignABI         GapKind = "foreign-abi"         // machine code of an ABI that is not analysed: i386 programs, int 0x80
)

// Static reports whether static analysis is what could not see.
func (k GapKind) Static() bool {
	switch k {
	case UnresolvedSyscall, UnresolvedArgument, UnresolvedDlopen, UnresolvedExec, Interpreter, Unreadable, ForeignABI:
		return true
	}
	return false
}

// Gap is something that could not be seen.
type Gap struct {
	Kind   GapKind `json:"kind"`
	Where  string  `json:"where,omitempty"` // the map, the ABI and number, the object and offset
	Detail string  `json:"detail"`          // a sentence for people, with what was done about it
	Count  uint64  `json:"count,omitempty"` // how much, where it can be counted
	// Syscall names the system call that this is about, where it is about one:
	// the call of an UnresolvedArgument.
	Syscall string `json:"syscall,omitempty"`
	// Covered says of a gap of static analysis that the facts nevertheless hold
	// all that can happen there.
	Covered bool `json:"covered,omitempty"`
}

// String is the gap for people.
func (g Gap) String() string {
	if g.Where == "" {
		return g.Detail
	}
	return g.Detail + " (" + g.Where + ")"
}

// Incomplete reports whether a profile made from evidence with this gap may be
// too short for reasons that somebody can cure: by recording again, or by
// giving the image what it lacks. Such evidence is not turned into a profile
// unless the user insists.
//
// Of static analysis these are code that was not read and system calls without
// a number. Programs that may be started, libraries that may be loaded, program
// text and foreign code are warned of: a recording shows what they need.
func (g Gap) Incomplete() bool {
	switch g.Kind {
	case UnseenCaps, UnseenFiles, UnseenSockets, Refused, Interrupted, Hidden, Killed, UnresolvedArgument, UnresolvedDlopen, UnresolvedExec, Interpreter, ForeignABI:
		return false
	case UnresolvedSyscall, Unreadable:
		return !g.Covered
	}
	return true
}

// Open reports whether code may run there that static analysis did not see, so
// that its facts are no upper bound of what can happen.
func (g Gap) Open() bool {
	return g.Kind.Static() && g.Kind != UnresolvedArgument && !g.Covered
}

// Incomplete returns the gaps that make the set incomplete.
func (s Set) Incomplete() []Gap {
	return slices.DeleteFunc(slices.Clone(s.Gaps), func(g Gap) bool { return !g.Incomplete() })
}
