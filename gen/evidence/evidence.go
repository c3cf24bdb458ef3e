// Package evidence is the neutral model in the middle of profgen: what was seen
// or derived about a workload, by whom, and what could not be seen.
//
// Recorders and scanners write it, policy decides from it, and it is what
// people commit beside the profile. It turns observations into a set of lines;
// it decides nothing.
//
// The law: Observed ⊆ Needed ⊆ Reachable ∪ Gaps. Whatever a source could not
// see is a [Gap] that travels with the facts, so that no profile rests on
// missing data unknowingly.
//
// A [Set] is a set: [Merge] is commutative, associative and idempotent, and two
// sets that say the same encode to the same bytes on any machine. That is why
// nothing here counts occurrences, tells the time or names a host.
package evidence

import (
	"cmp"
	"slices"

	"github.com/profgen/profgen/internal/abi"
)

// Basis says how a fact is known.
type Basis string

const (
	Observed  Basis = "observed"  // a recorder saw it happen: a lower bound
	Reachable Basis = "reachable" // static analysis could not rule it out: an upper bound
	Declared  Basis = "declared"  // a person, a baseline or a runtime's floor says so
)

// Phase says when in a container's life something happened.
type Phase string

const (
	// Runtime is after the seccomp filter is loaded and before the image's own
	// program is exec'd: what the OCI runtime itself does under the filter.
	Runtime Phase = "runtime"
	Start   Phase = "start" // from the image's exec on
	Serve   Phase = "serve" // once it answers
	Exec    Phase = "exec"  // exec'd into the container: probes, health checks, people
	Stop    Phase = "stop"  // after the stop signal
)

// Set is evidence about one or more workloads. Order and repetition mean
// nothing; [Set.Normalize] puts a set into its one canonical order.
type Set struct {
	Subjects  []Subject
	Sources   []Source
	Runs      []Run
	Facts     []Fact
	Witnesses []Witness
	Gaps      []Gap
}

// Subject is the workload that the facts are about.
type Subject struct {
	Image        string   `json:"image,omitempty"`        // the reference asked for, never a host path; "" for a host command
	Digest       string   `json:"digest,omitempty"`       // of the manifest, sha256:…; "" if the source has none
	ConfigDigest string   `json:"configDigest,omitempty"` // of the image config
	Platform     string   `json:"platform,omitempty"`     // linux/amd64
	Argv         []string `json:"argv,omitempty"`         // the process started
	User         string   `json:"user,omitempty"`         // the image's USER, or uid:gid; "" is root
}

// SameImage reports whether two subjects are the same image, or the same program
// of the host, on the same platform: the same code, whatever its arguments.
func (s Subject) SameImage(o Subject) bool {
	code := func(s Subject) string {
		if s.Image == "" && len(s.Argv) > 0 {
			return s.Argv[0]
		}
		return cmp.Or(s.ConfigDigest, s.Digest, s.Image)
	}
	return code(s) == code(o) && s.Platform == o.Platform
}

// Source is who says so, and under which circumstances.
type Source struct {
	Tool            string `json:"tool"`              // "profgen record", "profgen generate"
	Version         string `json:"version,omitempty"` // of profgen
	Method          string `json:"method,omitempty"`  // "ebpf tracepoints", "runtime floor runc-1.1"
	Kernel          string `json:"kernel,omitempty"`  // uname -r
	Runtime         string `json:"runtime,omitempty"` // "runc 1.1.5"
	NoNewPrivileges bool   `json:"noNewPrivileges,omitempty"`
}

// Fact is one thing known about the workload. The set of kinds is closed.
type Fact interface {
	known() (Basis, Phase)
	key() string // orders facts; equal keys mean equal facts
	validate() error
}

// Syscall is a system call, of one ABI, with or without its arguments.
//
// A fact without Args says that the call happens with arguments that were not
// looked at, could not be derived, or were too many to list: it stands for any
// arguments, whatever other facts name. Facts with Args are complete if there
// is none without: the call is made, or can be made, with one of them. Each
// names the arguments that are known to go together; one that it does not name
// may be anything.
type Syscall struct {
	Arch  abi.Arch `json:"arch"`
	Nr    uint32   `json:"nr"`
	Name  string   `json:"name"` // as abi.Arch.Name has it; a number without a name is a Gap, never a fact
	Args  []Arg    `json:"args,omitempty"`
	Phase Phase    `json:"phase"`
	Basis Basis    `json:"basis"`
}

// Arg is the value of one argument of a system call, as the kernel used it:
// 32-bit parameters truncated, bits that do not matter masked away by the
// recorder (SOCK_CLOEXEC and SOCK_NONBLOCK in a socket's type, all of memory
// protection but PROT_WRITE and PROT_EXEC): abi.Arch.Arguments.
//
// clone3's one interesting argument, the flags in the struct it points to, is
// given as Index 0.
type Arg struct {
	Index uint8  `json:"index"` // 0 to 5
	Value uint64 `json:"value"`
}

// Capability is one answer of the kernel to "has this task that capability?".
// A check is not a need: policy decides.
type Capability struct {
	Cap     string   `json:"cap"` // CAP_CHOWN
	Arch    abi.Arch `json:"arch"`
	Syscall string   `json:"syscall"` // in which it was asked; "" if outside any that was seen to begin
	Granted bool     `json:"granted"`
	// Overridden says that the task was acting with credentials that were not
	// its own, as overlayfs does for it: no need of the workload's.
	Overridden bool `json:"overridden,omitempty"`
	// Unaudited says that the kernel asked without telling the audit log of a
	// refusal (CAP_OPT_NOAUDIT), as it does where it can do without: mostly no
	// need. Not every recorder can tell.
	Unaudited bool `json:"unaudited,omitempty"`
	// Nested says that it was asked about a user namespace that the workload made
	// itself. Whoever makes one has all capabilities in it: no need either.
	Nested bool  `json:"nested,omitempty"`
	Phase  Phase `json:"phase"`
	Basis  Basis `json:"basis"`
}

// Socket is a socket that the workload asked for, by socket(2), socketpair(2)
// or the same through socketcall(2).
type Socket struct {
	Family   uint32 `json:"family"` // AF_*
	Type     uint32 `json:"type"`   // SOCK_* without SOCK_CLOEXEC and SOCK_NONBLOCK
	Protocol uint32 `json:"protocol,omitempty"`
	Phase    Phase  `json:"phase"`
	Basis    Basis  `json:"basis"`
}

func (f Syscall) known() (Basis, Phase)    { return f.Basis, f.Phase }
func (f Capability) known() (Basis, Phase) { return f.Basis, f.Phase }
func (f Socket) known() (Basis, Phase)     { return f.Basis, f.Phase }

// Static returns what static analysis says in s: the Reachable facts, the
// witnesses of them, and the gaps of its kinds. rest is what remains. Subjects
// and sources, which do not say whose facts are whose, are in both.
func (s Set) Static() (static, rest Set) {
	static = Set{Subjects: s.Subjects, Sources: s.Sources}
	rest = static
	rest.Runs = s.Runs
	for _, f := range s.Facts {
		basis, _ := f.known()
		into := choose(basis == Reachable, &static, &rest)
		into.Facts = append(into.Facts, f)
	}
	for _, w := range s.Witnesses {
		into := choose(w.Basis == Reachable, &static, &rest)
		into.Witnesses = append(into.Witnesses, w)
	}
	for _, g := range s.Gaps {
		into := choose(g.Kind.Static(), &static, &rest)
		into.Gaps = append(into.Gaps, g)
	}
	return static, rest
}

func choose[T any](first bool, a, b T) T {
	if first {
		return a
	}
	return b
}

// Merge returns the union of the sets, normalized. O(n log n) in the number of
// lines.
func Merge(sets ...Set) Set {
	var out Set
	for _, s := range sets {
		out.Subjects = append(out.Subjects, s.Subjects...)
		out.Sources = append(out.Sources, s.Sources...)
		out.Runs = append(out.Runs, s.Runs...)
		out.Facts = append(out.Facts, s.Facts...)
		out.Witnesses = append(out.Witnesses, s.Witnesses...)
		out.Gaps = append(out.Gaps, s.Gaps...)
	}
	return out.Normalize()
}

// Normalize returns the set in canonical order, each line once. It leaves s as
// it is.
func (s Set) Normalize() Set {
	runs, facts := normalRuns(s.Runs), s.Facts
	for _, r := range runs {
		facts = append(slices.Clip(facts), r.Facts...)
	}
	return Set{
		Runs:      runs,
		Subjects:  unique(s.Subjects, Subject.canonical, Subject.key),
		Sources:   unique(s.Sources, Source.canonical, Source.key),
		Facts:     unique(facts, canonicalFact, Fact.key),
		Witnesses: unique(s.Witnesses, Witness.canonical, Witness.key),
		Gaps:      unique(s.Gaps, Gap.canonical, Gap.key),
	}
}

// unique returns the canonical forms of in, ordered by key, each key once.
func unique[T any](in []T, canonical func(T) T, key func(T) string) []T {
	type keyed struct {
		key string
		val T
	}
	all := make([]keyed, len(in))
	for i, v := range in {
		v = canonical(v)
		all[i] = keyed{key(v), v}
	}
	slices.SortFunc(all, func(a, b keyed) int { return cmp.Compare(a.key, b.key) })
	all = slices.CompactFunc(all, func(a, b keyed) bool { return a.key == b.key })
	var out []T // nil for none, so that equal sets are deeply equal
	for _, k := range all {
		out = append(out, k.val)
	}
	return out
}
