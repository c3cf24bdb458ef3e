package evidence_test

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/abi"
)

const rounds = 200

// random makes sets out of a small vocabulary, so that they overlap.
type random struct{ *rand.Rand }

func newRandom() random { return random{rand.New(rand.NewPCG(1, 2))} }

func pick[T any](r random, from ...T) T { return from[r.IntN(len(from))] }

func (r random) phase() evidence.Phase {
	return pick(r, evidence.Runtime, evidence.Start, evidence.Serve, evidence.Exec, evidence.Stop)
}

func (r random) basis() evidence.Basis {
	return pick(r, evidence.Observed, evidence.Reachable, evidence.Declared)
}

func (r random) word() string {
	return pick(r, "", "a", "b", `"quoted" \ <&>`, "sha256:00", "ünïcode\u2028", "two words", "\n")
}

func (r random) syscall() evidence.Syscall {
	a := pick(r, abi.Arches()...)
	names := a.Names()
	name := names[r.IntN(8)]
	nr, _ := a.Number(name)
	f := evidence.Syscall{Arch: a, Nr: nr, Name: name, Phase: r.phase(), Basis: r.basis()}
	for _, i := range r.Perm(6)[:r.IntN(3)] {
		f.Args = append(f.Args, evidence.Arg{Index: uint8(i), Value: pick(r, 0, 2, 1<<63, ^uint64(0))})
	}
	return f
}

func (r random) path() evidence.Path {
	return pick[evidence.Path](r, "/", "/a", "/a b/\\x", "/\xff\n\u2028", "/ünïcode", "/\ufffd")
}

func (r random) fact() evidence.Fact {
	switch r.IntN(11) {
	case 3:
		return evidence.FileAccess{
			Path: r.path(), Perms: pick(r, "r", "rw", "mx", "l"), Kind: pick(r, "", evidence.Regular), Owner: r.IntN(2) == 0,
			Origin: pick(r, "", evidence.FromImage, evidence.FromItself), Errno: pick(r, "", "EACCES"), Phase: r.phase(), Basis: r.basis(),
		}
	case 4:
		return evidence.Executed{Path: r.path(), By: pick(r, "", r.path()), Phase: r.phase(), Basis: r.basis()}
	case 5:
		return evidence.Signal{Number: pick[uint32](r, 0, 9, 15), Peer: pick(r, evidence.Itself, evidence.Within), Phase: r.phase(), Basis: r.basis()}
	case 6:
		return evidence.Ptrace{Access: pick(r, "read", "trace"), Peer: pick(r, evidence.Within, evidence.Outside), Phase: r.phase(), Basis: r.basis()}
	case 7:
		return evidence.Mount{Op: "mount", FSType: pick(r, "", "tmpfs"), Target: r.path(), Flags: pick(r, nil, []string{"ro", "bind"}, []string{"bind", "ro", "ro"}), Phase: r.phase(), Basis: r.basis()}
	case 8:
		return evidence.Resource{Kind: pick(r, evidence.Pids, evidence.Memory), Value: pick[uint64](r, 0, 9, 10, 1<<63), Phase: r.phase(), Basis: r.basis()}
	case 10:
		return evidence.Identity{UID: pick[uint32](r, 0, 9, 10), GID: pick[uint32](r, 9, 10), Phase: r.phase(), Basis: r.basis()}
	case 9:
		return evidence.Privileged{Path: r.path(), SetUID: r.IntN(2) == 0, SetGID: true, UID: pick[uint32](r, 0, 9, 10), Permitted: pick(r, nil, []string{}, []string{"CAP_KILL", "CAP_CHOWN", "CAP_KILL"}), Effective: r.IntN(2) == 0}
	case 0:
		return evidence.Capability{
			Cap: pick(r, "CAP_CHOWN", "CAP_KILL"), Arch: pick(r, abi.Arches()...), Syscall: pick(r, "", "kill"),
			Granted: r.IntN(2) == 0, Overridden: r.IntN(2) == 0, Phase: r.phase(), Basis: r.basis(),
		}
	case 1:
		return evidence.Socket{Family: pick[uint32](r, 1, 2, 10), Type: 1, Protocol: pick[uint32](r, 0, 6), Phase: r.phase(), Basis: r.basis()}
	}
	return r.syscall()
}

func (r random) witness() evidence.Witness {
	w := evidence.Witness{Arch: abi.X8664, Basis: r.basis(), Program: r.word(), Reason: r.word()}
	if r.IntN(2) == 0 {
		w.Capability = pick(r, "CAP_CHOWN", evidence.AnyCapability)
		return w
	}
	w.Syscall = pick(r, "kill", "prctl")
	w.Args = pick(r, nil, []evidence.Arg{{Index: 1, Value: 9}, {Index: 0, Value: 1}}, []evidence.Arg{{Index: 0, Value: 1}})
	w.Tier = pick(r, append(evidence.Tiers(), "")...)
	for range pick(r, 0, 1, 2, 100) {
		w.Path = append(w.Path, evidence.Step{Object: r.word(), Function: r.word(), Offset: pick(r, 0, 0x110000, 0x120000, ^uint64(0))})
	}
	return w
}

func (r random) set() evidence.Set {
	var s evidence.Set
	for range r.IntN(3) {
		s.Subjects = append(s.Subjects, evidence.Subject{
			Image: r.word(), Digest: r.word(), Platform: r.word(), User: r.word(), Argv: pick(r, nil, []string{}, []string{r.word(), r.word()}),
		})
		s.Sources = append(s.Sources, evidence.Source{Tool: r.word(), Method: r.word(), Kernel: r.word(), NoNewPrivileges: r.IntN(2) == 0})
		s.Gaps = append(s.Gaps, evidence.Gap{
			Kind: pick(r, evidence.Lost, evidence.Refused, evidence.UnseenCaps), Where: r.word(), Detail: r.word(), Count: pick[uint64](r, 0, 9, 10, 1<<63),
		}, evidence.Gap{
			Kind: pick(r, evidence.UnresolvedArgument, evidence.Unreadable), Detail: r.word(), Syscall: pick(r, "", "socket"), Covered: r.IntN(2) == 0,
		})
		s.Witnesses = append(s.Witnesses, r.witness(), r.witness())
	}
	for range r.IntN(30) {
		s.Facts = append(s.Facts, r.fact())
	}
	for range r.IntN(3) {
		s.Runs = append(s.Runs, r.run(s.Facts))
	}
	return s
}

// run is a run that saw some of the facts, and one that the set does not have
// yet. That runs of one identity saw different things does not happen, but is
// no reason to break a law.
func (r random) run(facts []evidence.Fact) evidence.Run {
	out := evidence.Run{ID: "sha256:" + strings.Repeat(pick(r, "0", "1", "2"), 64), Nth: 1 + r.IntN(2)}
	for _, f := range append(facts, r.fact()) {
		if r.IntN(2) == 0 {
			out.Facts = append(out.Facts, f)
		}
	}
	return out
}

// shuffled says the same as s in another order, some of it twice.
func (r random) shuffled(s evidence.Set) evidence.Set {
	out := evidence.Merge(s)
	out.Facts = append(slices.Clone(s.Facts), s.Facts[:len(s.Facts)/2]...)
	for i, f := range out.Facts {
		if f, ok := f.(evidence.Syscall); ok {
			f.Args = slices.Clone(f.Args)
			slices.Reverse(f.Args)
			out.Facts[i] = f
		}
	}
	r.Shuffle(len(out.Facts), func(i, j int) { out.Facts[i], out.Facts[j] = out.Facts[j], out.Facts[i] })
	slices.Reverse(out.Subjects)
	slices.Reverse(out.Sources)
	slices.Reverse(out.Gaps)
	slices.Reverse(out.Witnesses)
	slices.Reverse(out.Runs)
	return out
}

func TestMergeLaws(t *testing.T) {
	r := newRandom()
	for range rounds {
		a, b, c := r.set(), r.set(), r.set()
		for law, sides := range map[string][2]evidence.Set{
			"commutative": {evidence.Merge(a, b), evidence.Merge(b, a)},
			"associative": {evidence.Merge(evidence.Merge(a, b), c), evidence.Merge(a, evidence.Merge(b, c))},
			"idempotent":  {evidence.Merge(a, a), evidence.Merge(a)},
			"neutral":     {evidence.Merge(a, evidence.Set{}), evidence.Merge(a)},
			"orderless":   {evidence.Merge(r.shuffled(a)), evidence.Merge(a)},
			"normal":      {a.Normalize().Normalize(), a.Normalize()},
		} {
			if !reflect.DeepEqual(sides[0], sides[1]) {
				t.Fatalf("not %s: got %+v, want %+v", law, sides[0], sides[1])
			}
		}
		if m := evidence.Merge(a, b); len(m.Facts) > len(evidence.Merge(a).Facts)+len(evidence.Merge(b).Facts) || len(m.Facts) < len(evidence.Merge(a).Facts) {
			t.Fatalf("%d facts of %d and %d", len(m.Facts), len(a.Facts), len(b.Facts))
		}
	}
}

// Merge and Encode leave what they are given as it is.
func TestNothingIsChanged(t *testing.T) {
	r := newRandom()
	for range rounds {
		s := r.set()
		before := evidence.Set{
			Subjects: slices.Clone(s.Subjects), Sources: slices.Clone(s.Sources), Facts: slices.Clone(s.Facts),
			Witnesses: slices.Clone(s.Witnesses), Gaps: slices.Clone(s.Gaps),
		}
		for _, run := range s.Runs {
			run.Facts = slices.Clone(run.Facts)
			before.Runs = append(before.Runs, run)
		}
		evidence.Merge(s, r.set())
		encode(t, s)
		if !reflect.DeepEqual(s, before) {
			t.Fatalf("got %+v, want %+v", s, before)
		}
	}
}

func TestEncodeIsDeterministic(t *testing.T) {
	r := newRandom()
	for range rounds {
		s := r.set()
		if a, b := encode(t, s), encode(t, r.shuffled(s)); !bytes.Equal(a, b) {
			t.Fatalf("got %s, want %s", b, a)
		}
	}
}

func TestIncomplete(t *testing.T) {
	s := evidence.Set{Gaps: []evidence.Gap{{Kind: evidence.Refused}, {Kind: evidence.Lost}, {Kind: evidence.UnseenCaps}}}
	if got := s.Incomplete(); len(got) != 1 || got[0].Kind != evidence.Lost || len(s.Gaps) != 3 {
		t.Errorf("got %v of %v", got, s.Gaps)
	}
}

// What each gap means: whether it keeps a profile from being made, and whether
// static analysis is no upper bound because of it.
func TestWhatGapsMean(t *testing.T) {
	for _, tc := range []struct {
		kind                                          evidence.GapKind
		incomplete, coveredIncomplete, static, isOpen bool
	}{
		{evidence.Lost, true, true, false, false},
		{evidence.UnknownSyscall, true, true, false, false},
		{evidence.Unfinished, true, true, false, false},
		{evidence.UnseenStart, true, true, false, false},
		{evidence.UnseenCaps, false, false, false, false},
		{evidence.Refused, false, false, false, false},
		{evidence.Hidden, false, false, false, false},
		{evidence.Unchecked, true, true, false, false},
		{evidence.UnresolvedSyscall, true, false, true, true},
		{evidence.UnresolvedArgument, false, false, true, false},
		{evidence.UnresolvedDlopen, false, false, true, true},
		{evidence.UnresolvedExec, false, false, true, true},
		{evidence.Interpreter, false, false, true, true},
		{evidence.Unreadable, true, false, true, true},
		{evidence.ForeignABI, false, false, true, true},
	} {
		g, covered := evidence.Gap{Kind: tc.kind}, evidence.Gap{Kind: tc.kind, Covered: true}
		if g.Incomplete() != tc.incomplete || covered.Incomplete() != tc.coveredIncomplete || tc.kind.Static() != tc.static || g.Open() != tc.isOpen || covered.Open() {
			t.Errorf("%s: incomplete %t, covered %t, static %t, open %t; want %+v", tc.kind, g.Incomplete(), covered.Incomplete(), tc.kind.Static(), g.Open(), tc)
		}
	}
}

// What static analysis said can be told apart from the rest, and put back.
func TestStatic(t *testing.T) {
	r := newRandom()
	for range rounds {
		s := r.set()
		static, rest := s.Static()
		if got := evidence.Merge(static, rest); !reflect.DeepEqual(got, s.Normalize()) {
			t.Fatalf("got %+v, want %+v", got, s.Normalize())
		}
		if again, none := static.Static(); !reflect.DeepEqual(again, static) || len(none.Facts)+len(none.Witnesses)+len(none.Gaps) != 0 {
			t.Fatalf("not all static: %+v", none)
		}
		if none, _ := rest.Static(); len(none.Facts)+len(none.Witnesses)+len(none.Gaps) != 0 {
			t.Fatalf("static: %+v", none)
		}
	}
}

func encode(t testing.TB, s evidence.Set) []byte {
	t.Helper()
	var buf bytes.Buffer
	if err := evidence.Encode(&buf, s); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// Witnesses that differ in anything are different witnesses.
func TestWitnessesStayApart(t *testing.T) {
	all := []evidence.Witness{{}}
	for _, change := range []func(*evidence.Witness){
		func(w *evidence.Witness) { w.Syscall = "write" },
		func(w *evidence.Witness) { w.Syscall, w.Capability = "", "CAP_KILL" },
		func(w *evidence.Witness) { w.Arch = abi.AArch64 },
		func(w *evidence.Witness) { w.Args = []evidence.Arg{{Index: 1, Value: 1}} },
		func(w *evidence.Witness) { w.Basis = evidence.Declared },
		func(w *evidence.Witness) { w.Program = "b" },
		func(w *evidence.Witness) { w.Tier = evidence.Plugin },
		func(w *evidence.Witness) { w.Tier = "" },
		func(w *evidence.Witness) { w.Path = []evidence.Step{{Object: "b", Function: "f", Offset: 0x120000}} },
		func(w *evidence.Witness) { w.Path = []evidence.Step{{Object: "a", Function: "g", Offset: 0x120000}} },
		func(w *evidence.Witness) { w.Path = []evidence.Step{{Object: "a", Function: "f", Offset: 0x130000}} },
		func(w *evidence.Witness) { w.Path = nil },
		func(w *evidence.Witness) { w.Reason = "b" },
	} {
		w := evidence.Witness{
			Syscall: "read", Arch: abi.X8664, Basis: evidence.Reachable, Program: "a", Tier: evidence.Direct, Reason: "a",
			Path: []evidence.Step{{Object: "a", Function: "f", Offset: 0x120000}},
		}
		all[0] = w
		change(&w)
		all = append(all, w)
	}
	if got := (evidence.Set{Witnesses: append(all, all...)}).Normalize(); len(got.Witnesses) != len(all) {
		t.Errorf("%d witnesses of %d", len(got.Witnesses), len(all))
	}
}
