// Package recordtest has a recorder and a target that follow a script, for
// tests of what is built on them. They stand in where a real one cannot be
// made to do what a test needs on demand: lose events, end at a given moment.
package recordtest

import (
	"context"
	"sync"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/record"
)

// Recorder is a [record.Recorder] and [record.Phased] that has seen what its script says: each
// Snapshot returns the next of Script, and the last one again and again.
type Recorder struct {
	Script []record.Snapshot
	Err    error // returned by Snapshot once the script is through

	mu       sync.Mutex
	next     int
	Followed []int
	Closed   bool
	Phases   []evidence.Phase // entered, with "" for at the first accept
}

// Follow notes pid.
func (r *Recorder) Follow(pid int, _ record.StartPoint) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Followed = append(r.Followed, pid)
	return nil
}

// Enter notes phase.
func (r *Recorder) Enter(phase evidence.Phase) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Phases = append(r.Phases, phase)
	return nil
}

// EnterAtAccept notes that it was called.
func (r *Recorder) EnterAtAccept() error { return r.Enter("") }

// Snapshot returns the next part of the script.
func (r *Recorder) Snapshot() (record.Snapshot, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.next < len(r.Script)-1 {
		r.next++
		return r.Script[r.next-1], nil
	}
	if r.Err != nil || len(r.Script) == 0 {
		return record.Snapshot{}, r.Err
	}
	return r.Script[len(r.Script)-1], nil
}

// Close notes that it was called.
func (r *Recorder) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Closed = true
	return nil
}

// Target is a [record.Target] that runs until it is stopped or End is closed.
type Target struct {
	PID  int           // of the process that Start has followed
	Code int           // its exit code
	Err  error         // returned by Wait
	End  chan struct{} // nil runs until stopped

	stop  chan struct{}
	once  sync.Once
	Stops int // how often Stop was called
}

// Start has PID followed.
func (t *Target) Start(_ context.Context, follow func(int) error) error {
	t.stop = make(chan struct{})
	return follow(t.PID)
}

// Wait waits for End or Stop.
func (t *Target) Wait() (int, error) {
	select {
	case <-t.End:
	case <-t.stop:
	}
	return t.Code, t.Err
}

// Stop ends the target.
func (t *Target) Stop() {
	t.Stops++
	t.once.Do(func() { close(t.stop) })
}
