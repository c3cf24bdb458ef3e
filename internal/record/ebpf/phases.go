//go:build linux && (amd64 || arm64)

package ebpf

import (
	"fmt"

	"github.com/profgen/profgen/gen/evidence"
)

// Enter implements [record.Phased].
func (r *Recorder) Enter(phase evidence.Phase) error {
	course, ok := map[evidence.Phase]recorderCourse{
		evidence.Start: {},
		evidence.Serve: {Phase: recorderPhasePHASE_SERVE},
		evidence.Stop:  {Phase: recorderPhasePHASE_STOP},
	}[phase]
	if !ok {
		return fmt.Errorf("enter phase %s: want start, serve or stop", phase)
	}
	return r.setCourse(course)
}

// EnterAtAccept implements [record.Phased]. It goes by the call that waits for a
// connection or takes one: accept(2), accept4(2).
func (r *Recorder) EnterAtAccept() error { return r.setCourse(recorderCourse{AtAccept: 1}) }

func (r *Recorder) setCourse(c recorderCourse) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return errClosed
	}
	if err := r.maps[recorderMapCourses].Put(uint32(0), &c); err != nil {
		return fmt.Errorf("say which phase the workload is in: %w", err)
	}
	return nil
}

// phases returns a recorded phase as evidence has it.
func phases(p recorderPhase) evidence.Phase {
	switch p {
	case recorderPhasePHASE_RUNTIME:
		return evidence.Runtime
	case recorderPhasePHASE_SERVE:
		return evidence.Serve
	case recorderPhasePHASE_EXEC:
		return evidence.Exec
	case recorderPhasePHASE_STOP:
		return evidence.Stop
	}
	return evidence.Start
}
