package gen_test

import (
	"math/rand/v2"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/gen/policy"
	"github.com/profgen/profgen/gen/seccomp"
	"github.com/profgen/profgen/internal/abi"
)

// More evidence never takes away what less evidence allowed, except for what
// is refused by decision whenever it is seen (clone3).
func TestMoreEvidenceNeverNarrows(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		less := randomFacts(rng, 1+rng.IntN(30))
		more := evidence.Merge(less, randomFacts(rng, rng.IntN(30)))
		small, large := filter(t, less), filter(t, more)
		for _, f := range append(randomFacts(rng, 40).Facts, more.Facts...) {
			call := f.(evidence.Syscall)
			var args [6]uint64
			for _, a := range call.Args {
				args[a.Index] = a.Value
			}
			before, _ := seccomp.Evaluate(small, call.Arch, call.Nr, args)
			after, _ := seccomp.Evaluate(large, call.Arch, call.Nr, args)
			if before == specs.ActAllow && after != specs.ActAllow {
				t.Fatalf("%s %s %v: allowed with less evidence, %s with more", call.Arch, call.Name, call.Args, after)
			}
			if seen(more, call) && after != specs.ActAllow && call.Name != "clone3" {
				t.Fatalf("%s %s %v: in the evidence, but %s", call.Arch, call.Name, call.Args, after)
			}
		}
	}
}

func filter(t *testing.T, set evidence.Set) *specs.LinuxSeccomp {
	t.Helper()
	p, err := policy.Decide(set, policy.Options{})
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
		if f.Arch == call.Arch && f.Nr == call.Nr && equalArgs(f.Args, call.Args) {
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

// randomFacts returns calls of the workload, those with arguments of interest
// more often than others. The first is always a plain call of the workload.
func randomFacts(rng *rand.Rand, n int) evidence.Set {
	interesting := []string{"socket", "socketpair", "clone", "clone3", "unshare", "setns", "personality", "openat2", "statx"}
	var set evidence.Set
	for i := range n {
		arch := []abi.Arch{abi.X8664, abi.X8664, abi.X86}[rng.IntN(3)]
		names := arch.Names()
		name := names[rng.IntN(len(names))]
		f := evidence.Syscall{Phase: evidence.Start, Basis: evidence.Observed}
		if i > 0 && rng.IntN(2) == 0 {
			name = interesting[rng.IntN(len(interesting))]
			f.Args = randomArgs(rng, name)
		}
		if i > 0 {
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
	case "setns":
		return []evidence.Arg{{Index: 1, Value: 1 << rng.IntN(32)}}
	case "clone", "clone3", "unshare", "personality":
		return []evidence.Arg{{Index: 0, Value: uint64(rng.Uint32()) &^ 0xff}}
	}
	return nil
}
