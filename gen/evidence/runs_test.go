package evidence_test

import (
	"bytes"
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/abi"
)

func saw(names ...string) evidence.Set {
	var s evidence.Set
	for _, name := range names {
		nr, _ := abi.X8664.Number(name)
		s.Facts = append(s.Facts, evidence.Syscall{Arch: abi.X8664, Nr: nr, Name: name, Phase: evidence.Start, Basis: evidence.Observed})
	}
	return s
}

// runs makes the sets the runs of one workload.
func runs(sets ...evidence.Set) []evidence.Set {
	var out []evidence.Set
	for _, s := range sets {
		out = append(out, s.AsRun(out...))
	}
	return out
}

// counts is how many runs saw each call, of how many.
func counts(s evidence.Set) map[string][2]int {
	out := map[string][2]int{}
	for _, seen := range s.Sightings() {
		out[seen.Fact.(evidence.Syscall).Name] = [2]int{len(seen.In), len(s.Runs)}
	}
	return out
}

// How often something was seen survives merging, in any order and again and
// again, and being written down.
func TestNOfM(t *testing.T) {
	all := runs(saw("read", "write"), saw("read"), saw("read", "futex"), saw("read"))
	want := map[string][2]int{"read": {4, 4}, "write": {1, 4}, "futex": {1, 4}}
	merged := evidence.Merge(all...)
	for range 3 {
		if diff := cmp.Diff(want, counts(merged)); diff != "" {
			t.Errorf("N of M (-want +got):\n%s", diff)
		}
		again, err := evidence.Decode(bytes.NewReader(encode(t, merged)))
		if err != nil || !reflect.DeepEqual(again, merged) {
			t.Fatalf("%v: got %+v, want %+v", err, again, merged)
		}
		merged = evidence.Merge(append(slices.Clone(all[1:]), merged, again, all[0])...)
	}
}

// Recordings made apart are told apart by what they saw; of those that saw the
// same, the most that one maker told apart count.
func TestRunsOfOtherMakers(t *testing.T) {
	a := evidence.Merge(runs(saw("read"), saw("read"), saw("write"))...)
	b := evidence.Merge(runs(saw("read"), saw("futex"))...)
	want := map[string][2]int{"read": {2, 4}, "write": {1, 4}, "futex": {1, 4}}
	if diff := cmp.Diff(want, counts(evidence.Merge(a, b))); diff != "" {
		t.Errorf("N of M (-want +got):\n%s", diff)
	}
}

// What no run saw is in none: it is of a scan, or of evidence from before there
// were runs.
func TestBesideRuns(t *testing.T) {
	run := saw("read").AsRun()
	reachable := saw("chroot")
	f := reachable.Facts[0].(evidence.Syscall)
	f.Basis = evidence.Reachable
	reachable.Facts[0] = f
	s := evidence.Merge(run, reachable, saw("write"))
	want := map[string][2]int{"read": {1, 1}, "write": {0, 1}}
	if diff := cmp.Diff(want, counts(s)); diff != "" {
		t.Errorf("N of M (-want +got):\n%s", diff)
	}
	if !bytes.Contains(encode(t, s), []byte(`"basis":"observed"},"in":[]}`)) {
		t.Errorf("it is not written down: %s", encode(t, s))
	}
	if got := s.AsRun(); len(got.Runs) != 1 {
		t.Errorf("evidence of runs became one: %v", got.Runs)
	}
	if got := reachable.AsRun(); len(got.Runs) != 0 {
		t.Errorf("a scan became a run: %v", got.Runs)
	}
}

// A run is what it saw: equal recordings have equal identities, others do not.
func TestIdentity(t *testing.T) {
	r := newRandom()
	for range rounds {
		a, b := r.set(), r.set()
		a.Runs, b.Runs = nil, nil
		x, y, z := a.AsRun(), r.shuffled(a).AsRun(), b.AsRun()
		if len(x.Runs) != len(y.Runs) {
			t.Fatalf("%d runs and %d", len(x.Runs), len(y.Runs))
		}
		if len(x.Runs) == 1 && x.Runs[0].ID != y.Runs[0].ID {
			t.Fatalf("identities %s and %s of the same", x.Runs[0].ID, y.Runs[0].ID)
		}
		same := reflect.DeepEqual(evidence.Set{Facts: observedOf(a)}.Normalize(), evidence.Set{Facts: observedOf(b)}.Normalize())
		if len(x.Runs) == 1 && len(z.Runs) == 1 && (x.Runs[0].ID == z.Runs[0].ID) != same {
			t.Fatalf("identities %s and %s, the same %t", x.Runs[0].ID, z.Runs[0].ID, same)
		}
	}
}

func observedOf(s evidence.Set) []evidence.Fact {
	var out []evidence.Fact
	for _, seen := range s.Normalize().Sightings() {
		out = append(out, seen.Fact)
	}
	return out
}

func TestCompare(t *testing.T) {
	got := evidence.Compare([]evidence.Set{saw("read", "write"), saw("read", "futex"), saw("read", "write"), saw("read")})
	if got.Runs != 4 || !slices.Equal(got.New, []int{2, 1, 0, 0}) || got.LastNew != 2 || got.Always != 1 {
		t.Errorf("%+v", got)
	}
	var sometimes []string
	for _, s := range got.Sometimes {
		sometimes = append(sometimes, s.Fact.(evidence.Syscall).Name)
	}
	if !slices.Equal(sometimes, []string{"futex", "write"}) || !slices.Equal(got.Sometimes[1].In, []int{0, 2}) {
		t.Errorf("sometimes %v, in %v", sometimes, got.Sometimes)
	}
}
