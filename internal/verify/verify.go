// Package verify proves a profile by running the workload under it, several
// times, and reports what was refused.
//
// A refusal is seen by the recorder: the kernel reports the end of every call
// but the beginning only of those that its seccomp filters let through.
package verify

import (
	"context"
	"errors"
	"fmt"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/record"
)

// Trials are runs of one workload under one profile.
type Trials struct {
	Runs int
	// Profile is the seccomp profile in force: what it answers by ENOSYS on
	// purpose is no denial.
	Profile *specs.LinuxSeccomp
	// Recorder sees refusals.
	Recorder record.Recorder
	// Missing are capabilities that the workload had where it was recorded and has
	// not here: to ask for one in vain is a denial.
	Missing []string
	// Refuser, if not nil, tells what something beside the seccomp filter refused.
	Refuser Refuser
	// Trial returns a fresh workload under the profile, and the check that it has
	// to pass; nil to judge by its exit code.
	Trial func() (record.Target, func(context.Context) error)
	// For is how long each workload runs, after its check if it has one.
	For time.Duration
	// Done, if not nil, is called after each run with its outcome.
	Done func(run int, err error)
}

// Refuser tells what was refused since the trials began: every use once.
type Refuser interface {
	Refused() ([]evidence.Fact, error)
}

// Report is what came of the trials.
type Report struct {
	Runs    int
	Passed  int
	Denials []Denial // sorted
	// Refused are the uses of files, capabilities, sockets and so on that the
	// [Refuser] tells of.
	Refused []evidence.Fact
	// Unavailable are calls that the profile answers with ENOSYS, so that their
	// callers fall back to others: no denials, but worth knowing.
	Unavailable []Denial
	Failure     error // of the first run that failed; nil if all passed
	// Healed is what was let through after it had been refused, in words. Who
	// makes a profile anew between trials fills it in.
	Healed []string
}

// Run makes the trials. Its error is about profgen's own doing; a workload
// that fails under the profile is in the report.
func (t Trials) Run(ctx context.Context) (Report, error) {
	rep := Report{Runs: t.Runs}
	first := map[string]int{} // the run in which a refusal was first seen
	for i := range t.Runs {
		err := t.once(ctx)
		if ctx.Err() != nil {
			return Report{}, ctx.Err()
		}
		if err == nil {
			rep.Passed++
		} else if rep.Failure == nil {
			rep.Failure = fmt.Errorf("run %d: %w", i+1, err)
		}
		if err := t.look(first, i+1); err != nil {
			return Report{}, err
		}
		if t.Done != nil {
			t.Done(i+1, err)
		}
	}
	snap, err := t.Recorder.Snapshot()
	if err != nil {
		return Report{}, fmt.Errorf("read what was refused: %w", err)
	}
	for _, g := range snap.Gaps {
		if g.Kind == evidence.Lost {
			return Report{}, fmt.Errorf("cannot tell what was refused: %s", g.Detail)
		}
	}
	t.classify(snap.Refused, first, &rep)
	rep.Denials = append(rep.Denials, t.capabilities(snap.Facts)...)
	if t.Refuser != nil {
		if rep.Refused, err = t.Refuser.Refused(); err != nil {
			return Report{}, fmt.Errorf("read what was refused: %w", err)
		}
	}
	return rep, nil
}

// look notes what was refused in a run and not before.
func (t Trials) look(first map[string]int, run int) error {
	snap, err := t.Recorder.Snapshot()
	if err != nil {
		return fmt.Errorf("read what was refused: %w", err)
	}
	for _, r := range snap.Refused {
		if first[id(r)] == 0 {
			first[id(r)] = run
		}
	}
	return nil
}

// once makes one trial.
func (t Trials) once(ctx context.Context) error {
	target, check := t.Trial()
	run := record.Run{
		Recorder: t.Recorder, Target: target, Start: record.AtFilter, Check: check, For: t.For,
		Save: func(evidence.Set) error { return nil },
	}
	res, err := run.Do(ctx)
	if err == nil && !res.Stopped && (check != nil || t.For > 0 || res.Code != 0) {
		return fmt.Errorf("the workload ended by itself with exit code %d", res.Code)
	}
	if errors.Is(err, record.ErrNothing) {
		return fmt.Errorf("the container did not start (exit code %d)", res.Code)
	}
	return err
}
