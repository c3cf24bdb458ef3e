package verify_test

import (
	"context"
	"errors"
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/profgen/profgen/internal/verify"
)

// Workloads that need any one of several sets: what is found is one of those
// that nothing can be dropped from, and no other set of privileges that is
// smaller by inclusion passes. It takes at most n + 3 runs.
func TestMinimizeFindsWhatASearchOfAllSetsFinds(t *testing.T) {
	rnd := rand.New(rand.NewPCG(4, 2))
	for range 500 {
		names := []string{"A", "B", "C", "D", "E", "F"}[:1+rnd.IntN(6)]
		var needs []uint
		for range 1 + rnd.IntN(2) {
			needs = append(needs, uint(rnd.IntN(1<<len(names))))
		}
		passes := func(set uint) bool {
			return slices.ContainsFunc(needs, func(n uint) bool { return n&^set == 0 })
		}
		bitsOf := func(set []string) (out uint) {
			for _, n := range set {
				out |= 1 << slices.Index(names, n)
			}
			return out
		}
		got, err := verify.Ablation{
			Candidates: names,
			Try: func(_ context.Context, set []string) (verify.Outcome, error) {
				return verify.Outcome{Passed: passes(bitsOf(set))}, nil
			},
		}.Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		minimal := bitsOf(got.Minimal)
		if !passes(minimal) || len(got.Attempts) > len(names)+3 || len(got.Verdicts) != len(names) {
			t.Fatalf("needs %b: %+v", needs, got)
		}
		for set := range uint(1 << len(names)) { // the search of all sets
			if set&^minimal == 0 && set != minimal && passes(set) {
				t.Fatalf("needs %b: %b passes, and is less than %b", needs, set, minimal)
			}
			if len(needs) == 1 && passes(set) && bits.OnesCount(set) < bits.OnesCount(minimal) {
				t.Fatalf("needs %b: %b passes, and is smaller than %b", needs, set, minimal)
			}
		}
		checkVerdicts(t, got)
	}
}

// checkVerdicts holds that each verdict is what its run shows.
func checkVerdicts(t *testing.T, c verify.Certificate) {
	t.Helper()
	for _, v := range c.Verdicts {
		a := c.Attempts[v.Run-1]
		if a.Passed == v.Kept || slices.Contains(a.Set, v.Name) || v.Kept != slices.Contains(c.Minimal, v.Name) {
			t.Fatalf("verdict %+v by run %+v of %v", v, a, c.Minimal)
		}
	}
}

func TestMinimizeSubstitutes(t *testing.T) {
	got, err := verify.Ablation{
		Candidates: []string{"CAP_DAC_OVERRIDE", "CAP_CHOWN"},
		Instead:    map[string]string{"CAP_DAC_OVERRIDE": "CAP_DAC_READ_SEARCH"},
		Try: func(_ context.Context, set []string) (verify.Outcome, error) {
			reads := slices.Contains(set, "CAP_DAC_OVERRIDE") || slices.Contains(set, "CAP_DAC_READ_SEARCH")
			return verify.Outcome{Passed: reads && slices.Contains(set, "CAP_CHOWN")}, nil
		},
	}.Run(t.Context())
	if err != nil || !slices.Equal(got.Minimal, []string{"CAP_CHOWN", "CAP_DAC_READ_SEARCH"}) || got.Verdicts[0].Instead != "CAP_DAC_READ_SEARCH" || len(got.Attempts) > 5 {
		t.Errorf("%+v, %v", got, err)
	}
}

// What passes now and then is told by repeating it; what never passes is no
// basis.
func TestMinimizeFlaky(t *testing.T) {
	runs := 0
	got, err := verify.Ablation{
		Candidates: []string{"A", "B"}, Repeats: 3,
		Try: func(_ context.Context, set []string) (verify.Outcome, error) {
			runs++
			return verify.Outcome{Passed: len(set) == 2 || slices.Contains(set, "A") && runs%2 == 0}, nil
		},
	}.Run(t.Context())
	if err != nil || !slices.Equal(got.Minimal, []string{"A", "B"}) {
		t.Errorf("%+v, %v", got, err)
	}
	var whole *verify.ErrFailsWhole
	for _, candidates := range [][]string{nil, {"A"}, {"A", "B"}} {
		_, err := verify.Ablation{Candidates: candidates, Try: func(context.Context, []string) (verify.Outcome, error) {
			return verify.Outcome{Failure: "no page"}, nil
		}}.Run(t.Context())
		if !errors.As(err, &whole) || whole.Outcome.Failure != "no page" {
			t.Errorf("%v: %v", candidates, err)
		}
	}
}
