package record

import (
	"context"
	"maps"
	"slices"

	"github.com/profgen/profgen/gen/evidence"
)

// Together returns what does all of the given side by side and is done when each
// is; nil of nothing. Those that are nil do not count. The first that fails ends
// the others, and its error is returned.
func Together(all ...func(context.Context) error) func(context.Context) error {
	all = slices.DeleteFunc(slices.Clone(all), func(f func(context.Context) error) bool { return f == nil })
	if len(all) == 0 {
		return nil
	}
	return func(ctx context.Context) error {
		within, cancel := context.WithCancel(ctx)
		defer cancel()
		done := make(chan error, len(all))
		for _, f := range all {
			go func() { done <- f(within) }()
		}
		var failed error
		for range all {
			if err := <-done; err != nil && failed == nil {
				failed = err
				cancel()
			}
		}
		return failed
	}
}

// beside runs f beside the recording. Its channel never speaks if there is none,
// or if it was the recording's end that ended it.
func beside(ctx context.Context, f func(context.Context) error) <-chan error {
	if f == nil {
		return nil
	}
	done := make(chan error, 1)
	go func() {
		if err := f(ctx); ctx.Err() == nil {
			done <- err
		}
	}()
	return done
}

// checks is what the workload has to pass before its recording is worth a
// profile; nil if there is nothing.
func (w *watch) checks() func(context.Context) error {
	return Together(w.run.Check, w.run.Probe)
}

// unchecked reports whether the workload was not seen to work.
func (w *watch) unchecked() bool {
	return w.failed != nil || w.run.Check != nil && !w.checked
}

// begin is phase start: until the workload is ready, or, if nobody tells, until
// it accepts a connection.
func (w *watch) begin() {
	if p, ok := w.run.Recorder.(Phased); ok && w.run.Ready == nil {
		p.EnterAtAccept() // if this fails, so does what follows
		return
	}
	w.enter(evidence.Start)
}

// enter tells a recorder that can use it which phase the workload is in. It goes
// only forward.
func (w *watch) enter(phase evidence.Phase) {
	if p, ok := w.run.Recorder.(Phased); ok && !w.stopped {
		p.Enter(phase) // it fails only where a snapshot does too, which tells
	}
}

// measure notes what is in use.
func (w *watch) measure() {
	if w.run.Measure == nil || w.stopped {
		return
	}
	for kind, n := range w.run.Measure() {
		w.peaks[kind] = max(w.peaks[kind], n)
	}
}

// identify notes whom the workload's processes act as.
func (w *watch) identify() {
	if w.run.Identities == nil || w.stopped {
		return
	}
	for _, f := range w.run.Identities() {
		f.Phase, f.Basis = evidence.Serve, evidence.Observed
		w.identities = append(w.identities, f)
	}
}

// resources are the peaks as facts, rounded up so that two recordings of the same
// thing say the same. They are those of the whole life of the workload, and
// given in phase serve.
func (w *watch) resources() []evidence.Fact {
	var out []evidence.Fact
	for _, kind := range slices.Sorted(maps.Keys(w.peaks)) {
		if n := w.peaks[kind]; n > 0 {
			out = append(out, evidence.Resource{Kind: kind, Value: evidence.Round(n), Phase: evidence.Serve, Basis: evidence.Observed})
		}
	}
	return out
}
