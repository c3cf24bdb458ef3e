//go:build linux && (amd64 || arm64)

package ebpf

import (
	"errors"
	"fmt"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/profgen/profgen/internal/record"
)

// noCall is the number of a task's last call before its first.
const noCall = ^uint32(0)

// Recorder is a [record.Recorder] that looks through eBPF programs at
// tracepoints. Everything it has in the kernel goes with it, even if it is
// killed: nothing is pinned.
type Recorder struct {
	opts Options

	mu       sync.Mutex
	maps     map[string]*ebpf.Map
	progs    map[string]*ebpf.Program
	missing  map[string]error // optional programs that this kernel refused
	capsSeen bool             // one of capPrograms is attached
	links    []link.Link
	tasks    *link.Iter // nil if this kernel refused it
	stream   *stream    // nil without [Options.Files]
	denials  *denials   // nil without [Options.SeeRefused]
	attached bool       // to a process that already ran
	closed   bool
}

var (
	_ record.Recorder = (*Recorder)(nil)
	_ record.Phased   = (*Recorder)(nil)
)

// Follow implements [record.Recorder]. pid is a number of the pid namespace
// that the caller is in, and names a process, not one of its threads. It stays
// followed when it execs, except from a thread that was older than the call.
//
// With [record.AtFilter], nothing counts unless a seccomp filter is loaded: to
// record a container that is to run without one, have its runtime load a filter
// that allows everything.
func (r *Recorder) Follow(pid int, start record.StartPoint) error {
	at, ok := map[record.StartPoint]recorderStart{
		record.AtExec:   recorderStartSTART_AT_EXEC,
		record.AtFilter: recorderStartSTART_AT_FILTER,
	}[start]
	if !ok {
		return fmt.Errorf("follow process %d: unknown start point %d", pid, start)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.seed(pid, recorderState{Phase: recorderPhasePHASE_ROOT, Start: at}); err != nil {
		return fmt.Errorf("follow process %d: %w", pid, err)
	}
	if r.stream != nil {
		r.stream.follow(pid)
	}
	return nil
}

// seed gives process pid a state. The kernel finds the process by a pidfd, so
// that no pid needs to be translated between namespaces.
func (r *Recorder) seed(pid int, s recorderState) error {
	if r.closed {
		return errClosed
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return fmt.Errorf("%w: is it the number of a running process, not of a thread?", err)
	}
	defer unix.Close(fd)
	s.Nr, s.Entered = noCall, 1
	if err := r.maps[recorderMapTasks].Put(int32(fd), &s); err != nil {
		return fmt.Errorf("mark it in the kernel: %w", err)
	}
	return nil
}

var errClosed = errors.New("the recorder is closed")

// Close implements [record.Recorder]. It may be called more than once.
func (r *Recorder) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	var errs []error
	for _, l := range r.links {
		errs = append(errs, l.Close())
	}
	if r.stream != nil {
		errs = append(errs, r.stream.close())
	}
	if r.denials != nil {
		errs = append(errs, r.denials.close())
	}
	for _, p := range r.progs {
		errs = append(errs, p.Close())
	}
	for _, m := range r.maps {
		errs = append(errs, m.Close())
	}
	r.links, r.tasks, r.stream, r.denials, r.progs, r.maps = nil, nil, nil, nil, nil, nil
	return errors.Join(errs...)
}
