package verify

import (
	"context"
	"fmt"
	"slices"
)

// Outcome is what came of running a workload with a set of privileges.
type Outcome struct {
	Passed  bool     `json:"passed"`
	Failure string   `json:"failure,omitempty"` // why it failed
	Denied  []string `json:"denied"`            // what was asked for in vain, in words, the first first
}

// Attempt is one run of a minimization.
type Attempt struct {
	Run int      `json:"run"` // from 1
	Set []string `json:"set"` // what the workload had, sorted
	Outcome
}

// Verdict is why a privilege is in the final set, or is not.
type Verdict struct {
	Name string `json:"name"`
	Kept bool   `json:"kept"`
	// Run is the one that decided: for what is kept the one that failed without
	// it, for what is dropped the one that passed.
	Run int `json:"run"`
	// Instead is the lesser privilege that took its place.
	Instead string `json:"instead,omitempty"`
}

// Certificate is the proof that a set of privileges is enough, and that none of
// it can be taken away: 1-minimal, for the check that was run.
type Certificate struct {
	Candidates []string  `json:"candidates"` // the most severe first
	Minimal    []string  `json:"minimal"`    // sorted
	Verdicts   []Verdict `json:"verdicts"`   // as the candidates
	Attempts   []Attempt `json:"attempts"`   // every run
	Repeats    int       `json:"repeats"`    // how often a set had to pass
}

// Ablation takes privileges from a workload, one at a time.
type Ablation struct {
	// Candidates are what may be dropped, the most severe first: that is tried to be
	// without first.
	Candidates []string
	// Instead is a lesser privilege that may do in the place of another.
	Instead map[string]string
	// Repeats is how often a set has to pass; at least 1.
	Repeats int
	// Try runs the workload with a set, sorted.
	Try func(ctx context.Context, set []string) (Outcome, error)

	out Certificate
}

// ErrFailsWhole says that the workload does not pass with all that it has.
type ErrFailsWhole struct{ Outcome Outcome }

func (e *ErrFailsWhole) Error() string {
	return fmt.Sprintf("the workload fails with all candidates: %s; see that it passes before anything is taken away", e.Outcome.Failure)
}

// Run finds a set of which nothing can be dropped. With n candidates it takes at
// most n + 2 + substitutions runs, if each has to pass once: none, all, all less
// each in turn. The set is the smallest there is where what passes with a set
// passes with more.
func (a Ablation) Run(ctx context.Context) (Certificate, error) {
	a.Repeats = max(a.Repeats, 1)
	a.out = Certificate{Candidates: slices.Clone(a.Candidates), Repeats: a.Repeats, Minimal: []string{}, Verdicts: []Verdict{}, Attempts: []Attempt{}}
	run, outcome, err := a.passes(ctx, nil)
	if err != nil {
		return Certificate{}, err
	}
	if outcome.Passed {
		for _, name := range a.Candidates {
			a.out.Verdicts = append(a.out.Verdicts, Verdict{Name: name, Run: run})
		}
		return a.out, nil
	}
	if len(a.Candidates) == 0 {
		return Certificate{}, &ErrFailsWhole{outcome}
	}
	return a.reduce(ctx, run, outcome)
}

// reduce drops one candidate after another. noneRun failed without any.
func (a *Ablation) reduce(ctx context.Context, noneRun int, none Outcome) (Certificate, error) {
	set := slices.Clone(a.Candidates)
	if len(set) > 1 { // of one, it is known that it cannot go
		if _, outcome, err := a.passes(ctx, set); err != nil || !outcome.Passed {
			if err == nil {
				err = &ErrFailsWhole{outcome}
			}
			return Certificate{}, err
		}
	}
	for _, name := range a.Candidates {
		without := slices.DeleteFunc(slices.Clone(set), func(n string) bool { return n == name })
		run, outcome := noneRun, none
		if len(without) > 0 {
			var err error
			if run, outcome, err = a.passes(ctx, without); err != nil {
				return Certificate{}, err
			}
		}
		verdict := Verdict{Name: name, Kept: !outcome.Passed, Run: run}
		if outcome.Passed {
			set = without
		} else if lesser, ok := a.Instead[name]; ok && !slices.Contains(set, lesser) {
			run, outcome, err := a.passes(ctx, append(slices.Clone(without), lesser))
			if err != nil {
				return Certificate{}, err
			}
			if outcome.Passed {
				set = append(without, lesser)
				verdict = Verdict{Name: name, Run: run, Instead: lesser}
			}
		}
		a.out.Verdicts = append(a.out.Verdicts, verdict)
	}
	if len(a.Candidates) == 1 && slices.Equal(set, a.Candidates) {
		if _, outcome, err := a.passes(ctx, set); err != nil || !outcome.Passed {
			if err == nil {
				err = &ErrFailsWhole{outcome}
			}
			return Certificate{}, err
		}
	}
	a.out.Minimal = slices.Sorted(slices.Values(set))
	return a.out, nil
}

// passes tries a set as often as it has to pass, and returns the last run and
// its outcome.
func (a *Ablation) passes(ctx context.Context, set []string) (run int, out Outcome, err error) {
	sorted := slices.Sorted(slices.Values(set))
	for range a.Repeats {
		if out, err = a.Try(ctx, sorted); err != nil {
			return 0, Outcome{}, err
		}
		if out.Denied == nil {
			out.Denied = []string{}
		}
		if sorted == nil {
			sorted = []string{}
		}
		run = len(a.out.Attempts) + 1
		a.out.Attempts = append(a.out.Attempts, Attempt{Run: run, Set: sorted, Outcome: out})
		if !out.Passed {
			break
		}
	}
	return run, out, nil
}
