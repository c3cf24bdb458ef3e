//go:build linux && (amd64 || arm64)

package ebpf

import (
	"errors"
	"fmt"
	"io"
)

// maxSweeps bounds how often the tasks are gone over for those that were forked
// meanwhile by tasks not yet followed.
const maxSweeps = 100

// Attach records process pid, which runs already: all its threads, its
// descendants, and, if its mount namespace is not the caller's, whatever runs
// in that one or execs in it later. What runs is in phase serve, what execs
// there later in phase exec. Snapshots carry a gap: the start was not seen.
//
// The caller, should it be among them, is left out, with what it starts; unless
// pid is its own.
//
// If the caller itself runs in a container, pid should not be a process of the
// host: the host's mount namespace would be taken for a container's.
func (r *Recorder) Attach(pid int) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.adopt(pid); err != nil {
		return fmt.Errorf("attach to process %d: %w", pid, err)
	}
	r.attached = true
	return nil
}

// adopt marks the leader of process pid, whose children, and those of its other
// threads, are followed from then on; and then sweeps for what is there already
// until a sweep finds nothing new. Two sweeps are the least: the first may come
// upon a task before it knows its mount namespace for a container's.
func (r *Recorder) adopt(pid int) error {
	if err, ok := r.missing[recorderProgOnTask]; ok {
		return fmt.Errorf("this kernel does not list its tasks to eBPF programs (%w): start the workload under the recorder instead", err)
	}
	if err := r.seed(pid, recorderState{Phase: recorderPhasePHASE_SERVE}); err != nil {
		return err
	}
	before := ^uint64(0)
	for range maxSweeps {
		if err := r.sweep(); err != nil {
			return err
		}
		t, err := r.tally()
		if err != nil {
			return err
		}
		if t.Adopted == before {
			return nil
		}
		before = t.Adopted
	}
	return errors.New("it forks faster than its processes can be listed: start it under the recorder instead")
}

// sweep runs the iterator program over all tasks.
func (r *Recorder) sweep() error {
	it, err := r.tasks.Open()
	if err != nil {
		return fmt.Errorf("go over all tasks: %w", err)
	}
	defer it.Close()
	if _, err := io.Copy(io.Discard, it); err != nil {
		return fmt.Errorf("go over all tasks: %w", err)
	}
	return nil
}
