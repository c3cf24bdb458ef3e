package record_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/abi"
	"github.com/profgen/profgen/internal/record"
	"github.com/profgen/profgen/internal/record/recordtest"
)

func call(name string, phase evidence.Phase) evidence.Fact {
	nr, _ := abi.X8664.Number(name)
	return evidence.Syscall{Arch: abi.X8664, Nr: nr, Name: name, Phase: phase, Basis: evidence.Observed}
}

func saw(facts ...evidence.Fact) record.Snapshot { return record.Snapshot{Facts: facts} }

// saves keeps what a run saves.
type saves struct{ sets []evidence.Set }

func (s *saves) save(set evidence.Set) error {
	s.sets = append(s.sets, set)
	return nil
}

func unfinished(set evidence.Set) bool { return marked(set, evidence.Unfinished) }

func marked(set evidence.Set, kind evidence.GapKind) bool {
	return slices.ContainsFunc(set.Gaps, func(g evidence.Gap) bool { return g.Kind == kind })
}

// A recording that is killed leaves its last checkpoint: everything seen up to
// then, marked as unfinished. One that ends leaves no mark.
func TestCheckpointsAreMarkedAndTheEndIsNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var kept saves
		target := &recordtest.Target{PID: 7, End: make(chan struct{}), Code: 3}
		read, write := call("read", evidence.Start), call("write", evidence.Start)
		run := record.Run{
			Recorder: &recordtest.Recorder{Script: []record.Snapshot{saw(read), saw(read), saw(read, write)}},
			Target:   target, Save: kept.save,
		}
		time.AfterFunc(2500*time.Millisecond, func() { close(target.End) })
		res, err := run.Do(t.Context())
		if err != nil || res.Code != 3 || res.Stopped {
			t.Fatalf("Do: code %d, stopped %t, %v", res.Code, res.Stopped, err)
		}
		if len(kept.sets) != 2 {
			t.Fatalf("saved %d times, want 2: at the first second and at the end; at the second one nothing was new", len(kept.sets))
		}
		if !unfinished(kept.sets[0]) || unfinished(kept.sets[1]) {
			t.Errorf("unfinished: %t then %t, want true then false", unfinished(kept.sets[0]), unfinished(kept.sets[1]))
		}
		if diff := cmp.Diff([]evidence.Fact{read, write}, kept.sets[1].Facts); diff != "" {
			t.Errorf("facts at the end (-want +got):\n%s", diff)
		}
	})
}

func TestWhatEndsARecording(t *testing.T) {
	failed := errors.New("the check failed")
	passes := func(context.Context) error { time.Sleep(5 * time.Second); return nil }
	fails := func(context.Context) error { return failed }
	waits := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	tests := []struct {
		name  string
		check func(context.Context) error
		span  time.Duration
		end   time.Duration // of ctx
		want  error
		took  time.Duration
	}{
		{"the check passes", passes, 0, time.Hour, nil, 5 * time.Second},
		{"some time after the check", passes, 3 * time.Second, time.Hour, nil, 8 * time.Second},
		{"some time", nil, 3 * time.Second, time.Hour, nil, 3 * time.Second},
		{"interrupted", nil, 0, 3 * time.Second, nil, 3 * time.Second},
		{"the check fails", fails, time.Hour, time.Hour, failed, 0},
		{"interrupted before the check passes", waits, 0, 3 * time.Second, record.ErrUnchecked, 3 * time.Second},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), tc.end)
				defer cancel()
				begun := time.Now()
				var kept saves
				target := &recordtest.Target{Code: 143}
				run := record.Run{
					Recorder: &recordtest.Recorder{Script: []record.Snapshot{saw(call("read", evidence.Start))}},
					Target:   target, Check: tc.check, For: tc.span, Save: kept.save,
				}
				res, err := run.Do(ctx)
				if !errors.Is(err, tc.want) || time.Since(begun) != tc.took {
					t.Errorf("Do: %v after %s, want %v after %s", err, time.Since(begun), tc.want, tc.took)
				}
				if target.Stops != 1 || err == nil && !res.Stopped {
					t.Errorf("stopped %t, Stop called %d times; want true, once", res.Stopped, target.Stops)
				}
				last := kept.sets[len(kept.sets)-1]
				if unfinished(last) || marked(last, evidence.Unchecked) != (tc.want != nil) {
					t.Errorf("gaps at the end: %v; want one only if the check did not succeed", last.Gaps)
				}
			})
		})
	}
}

// A workload that ends before its check succeeds has not been seen to work,
// whatever its exit code.
func TestEndBeforeTheCheck(t *testing.T) {
	var kept saves
	run := record.Run{
		Recorder: &recordtest.Recorder{Script: []record.Snapshot{saw(call("read", evidence.Start))}},
		Target:   &recordtest.Target{End: closed()}, Save: kept.save,
		Check: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
	}
	if _, err := run.Do(t.Context()); !errors.Is(err, record.ErrUnchecked) || !marked(kept.sets[0], evidence.Unchecked) {
		t.Errorf("Do: %v, gaps %v; want ErrUnchecked and its mark", err, kept.sets[0].Gaps)
	}
}

// How a workload ends is evidence too: of one that has to be killed it is missing,
// and one that crashes has not shown what a good end takes.
func TestDeath(t *testing.T) {
	for code, want := range map[int]evidence.GapKind{0: "", 143: "", 137: evidence.Killed, 139: evidence.Unfinished, 134: evidence.Unfinished} {
		var kept saves
		run := record.Run{
			Recorder: &recordtest.Recorder{Script: []record.Snapshot{saw(call("read", evidence.Start))}},
			Target:   &recordtest.Target{Code: code}, Save: kept.save, For: time.Millisecond,
		}
		if _, err := run.Do(t.Context()); err != nil {
			t.Fatal(err)
		}
		gaps := kept.sets[len(kept.sets)-1].Gaps
		if want == "" && len(gaps) == 0 {
			continue
		}
		if len(gaps) != 1 || gaps[0].Kind != want || !run.MakesUpFor(gaps[0]) {
			t.Errorf("exit code %d: gaps %v, want %q, which another run makes up for", code, gaps, want)
		}
	}
}

// If the workload was lost sight of, so was what it did from then on.
func TestLostWorkload(t *testing.T) {
	lost := errors.New("guard was killed")
	var kept saves
	run := record.Run{
		Recorder: &recordtest.Recorder{Script: []record.Snapshot{saw(call("read", evidence.Start))}},
		Target:   &recordtest.Target{Err: lost, End: closed()}, Save: kept.save,
	}
	if _, err := run.Do(t.Context()); !errors.Is(err, lost) || !unfinished(kept.sets[0]) {
		t.Errorf("Do: %v, gaps %v; want the error and an unfinished mark", err, kept.sets[0].Gaps)
	}
}

func closed() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

// A mark says of which workload it is: a recording makes up for those of its
// own, and not for what another one lacks.
func TestMarksAreMadeUpForByTheSameWorkload(t *testing.T) {
	lost, check := errors.New("guard was killed"), func(context.Context) error { return nil }
	run := func(check func(context.Context) error, image string, argv ...string) record.Run {
		return record.Run{Subject: evidence.Subject{Image: image, Argv: argv}, Check: check}
	}
	var kept saves
	before := run(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, "app:1", "app", "-v")
	before.Recorder = &recordtest.Recorder{Script: []record.Snapshot{saw(call("read", evidence.Start))}}
	before.Target, before.Save = &recordtest.Target{Err: lost, End: closed()}, kept.save
	if _, err := before.Do(t.Context()); !errors.Is(err, lost) || len(kept.sets[0].Gaps) != 2 {
		t.Fatalf("Do: %v, gaps %v; want both marks", err, kept.sets[0].Gaps)
	}
	for _, tc := range []struct {
		name string
		run  record.Run
		want []evidence.GapKind
	}{
		{"the same again", run(check, "app:1", "app", "-v"), []evidence.GapKind{evidence.Unchecked, evidence.Unfinished}},
		{"the same without a check", run(nil, "app:1", "app", "-v"), []evidence.GapKind{evidence.Unfinished}},
		{"other arguments", run(check, "app:1", "app"), nil},
		{"another image", run(check, "app:2", "app", "-v"), nil},
	} {
		var got []evidence.GapKind
		for _, g := range kept.sets[0].Gaps {
			if tc.run.MakesUpFor(g) {
				got = append(got, g.Kind)
			}
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s makes up for (-want +got):\n%s", tc.name, diff)
		}
	}
	if other := (evidence.Gap{Kind: evidence.Lost, Where: kept.sets[0].Gaps[0].Where}); run(check, "app:1", "app", "-v").MakesUpFor(other) {
		t.Errorf("a recording makes up for %v", other)
	}
}

// A workload that never started must not leave evidence that looks like a
// small one.
func TestNothingSeenIsAnError(t *testing.T) {
	var kept saves
	run := record.Run{
		Recorder: &recordtest.Recorder{Script: []record.Snapshot{saw(call("execve", evidence.Runtime))}},
		Target:   &recordtest.Target{End: closed(), Code: 1}, Save: kept.save,
	}
	res, err := run.Do(t.Context())
	if !errors.Is(err, record.ErrNothing) || res.Code != 1 || len(kept.sets) != 0 {
		t.Errorf("Do: code %d, %v, %d saves; want 1, ErrNothing, none", res.Code, err, len(kept.sets))
	}
}

func TestAFullDiskStopsTheWorkload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		full := errors.New("no space left on device")
		target := &recordtest.Target{}
		run := record.Run{
			Recorder: &recordtest.Recorder{Script: []record.Snapshot{saw(call("read", evidence.Start))}},
			Target:   target, Save: func(evidence.Set) error { return full },
		}
		if _, err := run.Do(t.Context()); !errors.Is(err, full) || target.Stops != 1 {
			t.Errorf("Do: %v, stopped %d times; want the error of Save, once", err, target.Stops)
		}
	})
}

func TestRefusalsBecomeGaps(t *testing.T) {
	var kept saves
	run := record.Run{
		Recorder: &recordtest.Recorder{Script: []record.Snapshot{{
			Facts:   []evidence.Fact{call("read", evidence.Serve)},
			Refused: []record.Refusal{{Arch: abi.X8664, Nr: 435, Name: "clone3", Phase: evidence.Serve}},
		}}},
		Target: &recordtest.Target{End: closed()}, Save: kept.save,
	}
	if _, err := run.Do(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []evidence.Gap{{Kind: evidence.Refused, Where: "x86_64 435", Detail: "clone3 was refused by a seccomp filter already in force"}}
	if diff := cmp.Diff(want, kept.sets[0].Gaps); diff != "" {
		t.Errorf("gaps (-want +got):\n%s", diff)
	}
}

func TestUntilTriesUntilItSucceeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		refused := func(context.Context) ([]byte, error) {
			tries++
			return []byte("connection refused\n"), errors.New("exit status 7")
		}
		try := func(ctx context.Context) ([]byte, error) {
			if tries < 3 {
				return refused(ctx)
			}
			return nil, nil
		}
		if err := record.Until(try, time.Minute)(t.Context()); err != nil || tries != 3 {
			t.Errorf("Until: %v after %d failures, want success after three", err, tries)
		}
		quiet := func(context.Context) ([]byte, error) { return []byte("\n"), errors.New("exit status 1") }
		hangs := func(ctx context.Context) ([]byte, error) { <-ctx.Done(); return []byte("trying"), ctx.Err() }
		first := true
		hangsLater := func(ctx context.Context) ([]byte, error) {
			if !first {
				return hangs(ctx)
			}
			first = false
			return refused(ctx)
		}
		for _, tc := range []struct {
			try  func(context.Context) ([]byte, error)
			want string
		}{
			{refused, "exit status 7: connection refused"},
			{quiet, "exit status 1"},
			{hangs, "its first try has not ended"},
			{hangsLater, "exit status 7: connection refused"},
		} {
			err := record.Until(tc.try, time.Second)(t.Context())
			if err == nil || err.Error() != "the check did not succeed within 1s: "+tc.want {
				t.Errorf("Until: %v, want %s", err, tc.want)
			}
		}
	})
}
