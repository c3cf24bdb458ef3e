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
	"github.com/profgen/profgen/internal/record"
	"github.com/profgen/profgen/internal/record/recordtest"
)

// after returns what takes some time and then ends with err, or with ctx.
func after(d time.Duration, err error) func(context.Context) error {
	return func(ctx context.Context) error {
		select {
		case <-time.After(d):
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func TestTogether(t *testing.T) {
	if record.Together(nil, nil) != nil {
		t.Error("nothing is something to do")
	}
	failed := errors.New("it failed")
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct {
			all  []func(context.Context) error
			want error
			took time.Duration
		}{
			{[]func(context.Context) error{after(2*time.Second, nil), nil, after(time.Second, nil)}, nil, 2 * time.Second},
			{[]func(context.Context) error{after(time.Hour, nil), after(time.Second, failed)}, failed, time.Second},
		} {
			begun := time.Now()
			if err := record.Together(tt.all...)(t.Context()); !errors.Is(err, tt.want) || time.Since(begun) != tt.took {
				t.Errorf("%v after %s, want %v after %s", err, time.Since(begun), tt.want, tt.took)
			}
		}
	})
}

// Which phases a recording has, and when it ends, by what there is to wait for.
func TestPhasesOfARecording(t *testing.T) {
	sick := errors.New("unhealthy")
	const second = time.Second
	tests := []struct {
		name                string
		ready, probe, check func(context.Context) error
		span                time.Duration
		want                error
		took                time.Duration
		phases              []evidence.Phase
	}{
		{"only time", nil, nil, nil, 5 * second, nil, 5 * second, []evidence.Phase{"", "stop"}},
		{"ready", after(second, nil), nil, nil, 5 * second, nil, 5 * second, []evidence.Phase{"start", "serve", "stop"}},
		{"never ready", after(second, sick), nil, nil, 5 * second, sick, second, []evidence.Phase{"start", "stop"}},
		{"ready too late", after(time.Minute, nil), nil, nil, 5 * second, nil, 5 * second, []evidence.Phase{"start", "stop"}},
		{"a probe does not end it", nil, after(second, nil), nil, 5 * second, nil, 5 * second, []evidence.Phase{"", "stop"}},
		{"a check waits for probes", nil, after(3*second, nil), after(second, nil), 0, nil, 3 * second, []evidence.Phase{"", "stop"}},
		{"and probes for a check", nil, after(second, nil), after(3*second, nil), second, nil, 4 * second, []evidence.Phase{"", "stop"}},
		{"a probe fails", nil, after(second, sick), nil, 5 * second, sick, second, []evidence.Phase{"", "stop"}},
		{"a probe fails a check", nil, after(second, sick), after(3*second, nil), 0, sick, second, []evidence.Phase{"", "stop"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begun := time.Now()
				rec := &recordtest.Recorder{Script: []record.Snapshot{saw(call("read", evidence.Start))}}
				var kept saves
				_, err := record.Run{
					Recorder: rec, Target: &recordtest.Target{}, Save: kept.save,
					Ready: tt.ready, Probe: tt.probe, Check: tt.check, For: tt.span,
				}.Do(t.Context())
				if !errors.Is(err, tt.want) || time.Since(begun) != tt.took {
					t.Errorf("Do: %v after %s, want %v after %s", err, time.Since(begun), tt.want, tt.took)
				}
				if diff := cmp.Diff(tt.phases, rec.Phases); diff != "" {
					t.Errorf("phases (-want +got):\n%s", diff)
				}
				last := kept.sets[len(kept.sets)-1]
				if marked(last, evidence.Unchecked) != (tt.want != nil) {
					t.Errorf("gaps %v; want one only if something failed", last.Gaps)
				}
			})
		})
	}
}

// Whom the processes act as is asked once, before the workload is stopped; not of
// one that ends by itself.
func TestIdentities(t *testing.T) {
	for _, stopped := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			asked, target := 0, &recordtest.Target{}
			run := record.Run{
				Recorder: &recordtest.Recorder{Script: []record.Snapshot{saw(call("read", evidence.Start))}},
				Target:   target, Save: func(evidence.Set) error { return nil },
				Identities: func() []evidence.Identity {
					asked++
					return []evidence.Identity{{UID: 999, GID: 998}, {UID: 999, GID: 998}}
				},
			}
			var want []evidence.Fact
			if stopped {
				run.For = 2500 * time.Millisecond
				want = []evidence.Fact{evidence.Identity{UID: 999, GID: 998, Phase: evidence.Serve, Basis: evidence.Observed}}
			} else {
				target.End = make(chan struct{})
				time.AfterFunc(2500*time.Millisecond, func() { close(target.End) })
			}
			res, err := run.Do(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			facts := slices.DeleteFunc(slices.Clone(res.Evidence.Facts), func(f evidence.Fact) bool { _, ok := f.(evidence.Identity); return !ok })
			if diff := cmp.Diff(want, append([]evidence.Fact(nil), facts...)); diff != "" || asked != len(want) {
				t.Errorf("asked %d times; identities (-want +got):\n%s", asked, diff)
			}
		})
	}
}

// The most that was ever measured is kept, rounded up, and what was not in use
// is left out.
func TestPeaks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		measured := []uint64{5, 100, 7, 7}
		n := -1
		res, err := record.Run{
			Recorder: &recordtest.Recorder{Script: []record.Snapshot{saw(call("read", evidence.Start))}},
			Target:   &recordtest.Target{}, For: 2500 * time.Millisecond, Save: func(evidence.Set) error { return nil },
			Measure: func() map[evidence.ResourceKind]uint64 {
				n++
				return map[evidence.ResourceKind]uint64{evidence.Pids: measured[n], evidence.Shm: 0}
			},
		}.Do(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		want := evidence.Resource{Kind: evidence.Pids, Value: 128, Phase: evidence.Serve, Basis: evidence.Observed}
		facts := slices.DeleteFunc(slices.Clone(res.Evidence.Facts), func(f evidence.Fact) bool { _, ok := f.(evidence.Resource); return !ok })
		if diff := cmp.Diff([]evidence.Fact{want}, facts); diff != "" || n != 2 {
			t.Errorf("measured %d times; resources (-want +got):\n%s", n+1, diff)
		}
	})
}
