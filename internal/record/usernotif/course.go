//go:build linux && (amd64 || arm64)

package usernotif

import (
	"fmt"

	"github.com/profgen/profgen/gen/evidence"
)

// course is how far the workload has come. The zero value is its start.
type course struct {
	phase    phase
	atAccept bool // it serves as soon as it asks for a connection
}

// of returns the phase in which a task of this phase acts by now: what was exec'd
// into a container, and its runtime, have phases of their own.
func (c course) of(p phase) phase {
	if p == started {
		return max(p, c.phase)
	}
	return p
}

// accepting notes that a task asks for a connection to accept.
func (c *course) accepting(p phase) {
	if c.atAccept && p == started && c.phase < serving {
		c.phase = serving
	}
}

// Enter implements [record.Phased].
func (r *Recorder) Enter(p evidence.Phase) error {
	to, ok := map[evidence.Phase]phase{evidence.Start: started, evidence.Serve: serving, evidence.Stop: stopping}[p]
	if !ok {
		return fmt.Errorf("enter phase %s: want start, serve or stop", p)
	}
	return r.enterPhase(course{phase: to})
}

// EnterAtAccept implements [record.Phased].
func (r *Recorder) EnterAtAccept() error {
	return r.enterPhase(course{phase: started, atAccept: true})
}

func (r *Recorder) enterPhase(c course) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return fmt.Errorf("enter a phase: %w", errClosed)
	}
	r.course = c
	return nil
}
