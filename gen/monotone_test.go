package gen_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/gen/policy"
	"github.com/profgen/profgen/gen/seccomp"
	"github.com/profgen/profgen/internal/abi"
)

// More evidence never takes away what less evidence allowed, except for what
// is refused by decision whenever it is seen (clone3), and for arguments that
// no recording looks at, once static analysis bounds them; it does not where it
// says that it has not seen all code.
func TestMoreEvidenceNeverNarrows(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for round := range 400 {
		opt := policy.Options{Tight: rng.IntN(2) == 0, AllowUnreachable: true}
		less := randomFacts(rng, 1+rng.IntN(30))
		strict := round%2 == 0
		if strict {
			less.Gaps = []evidence.Gap{{Kind: evidence.UnresolvedExec}}
		}
		more := evidence.Merge(less, randomFacts(rng, rng.IntN(30)))
		small, large := filter(t, less, opt), filter(t, more, opt)
		for _, f := range append(randomFacts(rng, 40).Facts, more.Facts...) {
			call := f.(evidence.Syscall)
			after := answer(large, call)
			if answer(small, call) == specs.ActAllow && after != specs.ActAllow && (strict || slices.Contains(looked(), call.Name)) {
				t.Fatalf("%s %s %v: allowed with less evidence, %s with more", call.Arch, call.Name, call.Args, after)
			}
			wanted := call.Basis == evidence.Observed || !opt.Tight
			known := len(call.Args) > 0 || strict && call.Basis == evidence.Observed
			if wanted && known && seen(more, call) && after != specs.ActAllow && call.Name != "clone3" {
				t.Fatalf("%s %s %v: in the evidence, but %s", call.Arch, call.Name, call.Args, after)
			}
		}
	}
}

// A tight profile allows nothing that the other one refuses, and of what was
// observed it refuses nothing.
func TestTightIsTighter(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for round := range 300 {
		set := randomFacts(rng, 1+rng.IntN(40))
		if round%2 == 0 {
			set.Gaps = []evidence.Gap{{Kind: evidence.Interpreter}}
		}
		tight := filter(t, set, policy.Options{Tight: true, AllowUnreachable: true})
		wide := filter(t, set, policy.Options{AllowUnreachable: true})
		for _, f := range append(randomFacts(rng, 40).Facts, set.Facts...) {
			call := f.(evidence.Syscall)
			if answer(tight, call) == specs.ActAllow && answer(wide, call) != specs.ActAllow {
				t.Fatalf("%s %s %v: allowed by the tight profile only", call.Arch, call.Name, call.Args)
			}
		}
		_, observed := set.Static()
		alone := filter(t, observed, policy.Options{})
		for _, f := range set.Facts {
			call := f.(evidence.Syscall)
			if answer(tight, call) == specs.ActAllow && answer(alone, call) != specs.ActAllow {
				t.Fatalf("%s %s %v: allowed by the tight profile, and not by one of the recording alone", call.Arch, call.Name, call.Args)
			}
		}
	}
}

func answer(spec *specs.LinuxSeccomp, call evidence.Syscall) specs.LinuxSeccompAction {
	var args [6]uint64
	for _, a := range call.Args {
		args[a.Index] = a.Value
	}
	action, _ := seccomp.Evaluate(spec, call.Arch, call.Nr, args)
	return action
}

func filter(t *testing.T, set evidence.Set, opt policy.Options) *specs.LinuxSeccomp {
	t.Helper()
	p, err := policy.Decide(set, opt)
	if err != nil {
		t.Fatal(err)
	}
	spec, err := seccomp.Spec(p)
	if err != nil {
		t.Fatal(err)
	}
	return spec
}

func seen(set evidence.Set, call evidence.Syscall) bool {
	for _, f := range set.Facts {
		f := f.(evidence.Syscall)
		if f.Arch == call.Arch && f.Nr == call.Nr && f.Basis == call.Basis && equalArgs(f.Args, call.Args) {
			return true
		}
	}
	return false
}

func equalArgs(a, b []evidence.Arg) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// looked are the calls whose arguments recordings have.
func looked() []string {
	return []string{
		"socket", "socketpair", "clone", "clone3", "unshare", "setns", "personality",
		"prctl", "ioctl", "setsockopt", "mmap", "mprotect", "shmat", "ptrace",
	}
}

// randomFacts returns calls of the workload, those with arguments of interest
// more often than others. The first is always a plain call of the workload.
// Recordings do not have the arguments of all that static analysis has.
func randomFacts(rng *rand.Rand, n int) evidence.Set {
	interesting := append(looked(), "openat2", "statx", "fcntl", "fcntl", "madvise")
	var set evidence.Set
	all := map[abi.Arch][]string{abi.X8664: abi.X8664.Names(), abi.X86: abi.X86.Names()}
	for i := range n {
		arch := []abi.Arch{abi.X8664, abi.X8664, abi.X86}[rng.IntN(3)]
		names := all[arch]
		name := names[rng.IntN(len(names))]
		f := evidence.Syscall{Phase: evidence.Start, Basis: evidence.Observed}
		if i > 0 && rng.IntN(2) == 0 {
			f.Basis = evidence.Reachable
		}
		if i > 0 && rng.IntN(2) == 0 {
			name = interesting[rng.IntN(len(interesting))]
			if f.Basis == evidence.Reachable && rng.IntN(4) > 0 || slices.Contains(looked(), name) {
				f.Args = randomArgs(rng, name)
			}
		}
		if i > 0 && f.Basis == evidence.Observed {
			f.Phase = []evidence.Phase{evidence.Start, evidence.Exec, evidence.Runtime}[rng.IntN(3)]
		}
		f.Arch, f.Name = arch, name
		f.Nr, _ = arch.Number(name)
		set.Facts = append(set.Facts, f)
	}
	return set
}

func randomArgs(rng *rand.Rand, name string) []evidence.Arg {
	switch name {
	case "socket", "socketpair":
		return []evidence.Arg{{Index: 0, Value: rng.Uint64N(46)}, {Index: 1, Value: rng.Uint64N(6)}, {Index: 2, Value: rng.Uint64N(20)}}
	case "prctl", "ptrace":
		return []evidence.Arg{{Index: 0, Value: rng.Uint64N(20)}}
	case "fcntl":
		return []evidence.Arg{{Index: 1, Value: rng.Uint64N(6)}}
	case "ioctl":
		return []evidence.Arg{{Index: 1, Value: 0x5400 + rng.Uint64N(0x60)}}
	case "setsockopt":
		return []evidence.Arg{{Index: 1, Value: rng.Uint64N(8)}, {Index: 2, Value: rng.Uint64N(30)}}
	case "mmap", "mprotect":
		return []evidence.Arg{{Index: 2, Value: rng.Uint64N(8)}}
	case "shmat":
		return []evidence.Arg{{Index: 2, Value: rng.Uint64N(2) << 15}}
	case "madvise":
		return []evidence.Arg{{Index: 1, Value: rng.Uint64N(3)}, {Index: 2, Value: rng.Uint64N(3)}}[rng.IntN(2):]
	case "setns":
		return []evidence.Arg{{Index: 1, Value: 1 << rng.IntN(32)}}
	case "clone", "clone3", "unshare", "personality":
		return []evidence.Arg{{Index: 0, Value: uint64(rng.Uint32()) &^ 0xff}}
	}
	return nil
}
