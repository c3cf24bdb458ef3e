// Package verify proves a profile by running the workload under it, several
// times, and reports what was refused.
//
// A refusal is seen by the recorder: the kernel reports the end of every call
// but the beginning only of those that its seccomp filters let through.
package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/abi"
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
}

// Denial is a system call that the profile refused.
type Denial struct {
	Arch abi.Arch `json:"arch"`
	Name string   `json:"name"`
}

// Run makes the trials. Its error is about profgen's own doing; a workload
// that fails under the profile is in the report.
func (t Trials) Run(ctx context.Context) (Report, error) {
	rep := Report{Runs: t.Runs}
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
	t.sort(snap.Refused, &rep)
	if t.Refuser != nil {
		if rep.Refused, err = t.Refuser.Refused(); err != nil {
			return Report{}, fmt.Errorf("read what was refused: %w", err)
		}
	}
	return rep, nil
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

// sort tells denials from calls that are unavailable on purpose.
func (t Trials) sort(refused []record.Refusal, rep *Report) {
	for _, r := range refused {
		d := Denial{r.Arch, cmp.Or(r.Name, fmt.Sprintf("number %d", int32(r.Nr)))}
		if t.isDenial(r.Name) {
			rep.Denials = append(rep.Denials, d)
		} else {
			rep.Unavailable = append(rep.Unavailable, d)
		}
	}
	byName := func(a, b Denial) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Arch, b.Arch))
	}
	slices.SortFunc(rep.Denials, byName)
	slices.SortFunc(rep.Unavailable, byName)
	rep.Denials = slices.Compact(rep.Denials)
	rep.Unavailable = slices.Compact(rep.Unavailable)
}

// isDenial reports whether a refusal of the call is a denial: by an EPERM rule,
// or for its arguments. What no rule allows and none refuses otherwise answers
// ENOSYS.
func (t Trials) isDenial(name string) bool {
	return slices.ContainsFunc(t.Profile.Syscalls, func(s specs.LinuxSyscall) bool {
		unavailable := s.ErrnoRet != nil && *s.ErrnoRet == uint(unix.ENOSYS)
		return slices.Contains(s.Names, name) && !unavailable
	})
}
