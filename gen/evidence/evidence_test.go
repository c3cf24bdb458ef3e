package evidence_test

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"slices"
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

func (r random) fact() evidence.Fact {
	switch r.IntN(3) {
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

func (r random) set() evidence.Set {
	var s evidence.Set
	for range r.IntN(3) {
		s.Subjects = append(s.Subjects, evidence.Subject{
			Image: r.word(), Digest: r.word(), Platform: r.word(), User: r.word(), Argv: pick(r, nil, []string{}, []string{r.word(), r.word()}),
		})
		s.Sources = append(s.Sources, evidence.Source{Tool: r.word(), Method: r.word(), Kernel: r.word(), NoNewPrivileges: r.IntN(2) == 0})
		s.Gaps = append(s.Gaps, evidence.Gap{
			Kind: pick(r, evidence.Lost, evidence.Refused, evidence.UnseenCaps), Where: r.word(), Detail: r.word(), Count: pick[uint64](r, 0, 9, 10, 1<<63),
		})
	}
	for range r.IntN(30) {
		s.Facts = append(s.Facts, r.fact())
	}
	return s
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
		if m := evidence.Merge(a, b); len(m.Facts) > len(a.Facts)+len(b.Facts) || len(m.Facts) < len(evidence.Merge(a).Facts) {
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
			Subjects: slices.Clone(s.Subjects), Sources: slices.Clone(s.Sources), Facts: slices.Clone(s.Facts), Gaps: slices.Clone(s.Gaps),
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

func encode(t testing.TB, s evidence.Set) []byte {
	t.Helper()
	var buf bytes.Buffer
	if err := evidence.Encode(&buf, s); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}
