//go:build linux && (amd64 || arm64)

package ebpf

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Await records process pid itself and what descends from it, as
// [Recorder.Follow] with [record.AtFilter] does the descendants of another: from
// the moment on that one more seccomp filter binds it than now. It is for a
// container's first process that an OCI runtime has made, with its namespaces,
// and that has yet to load its filter: where hooks run.
//
// Its mount namespace has to be the container's. Before Linux 6.9 only the first
// of its threads can be named: of a runtime written in Go, what the others do
// between filter and exec is not seen then.
func (r *Recorder) Await(pid int) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	filters, err := filtersOf(pid)
	if err == nil {
		s := recorderState{Phase: recorderPhasePHASE_PENDING, Start: recorderStartSTART_AT_FILTER, Filters: filters}
		if err = r.seed(pid, s); err == nil {
			err = r.seedThreads(pid, s)
		}
	}
	if err != nil {
		return fmt.Errorf("wait for the filter of process %d: %w", pid, err)
	}
	return nil
}

// filtersOf is how many seccomp filters bind a process; where the kernel does not
// count them, before 5.9, its seccomp mode, as the programs have it.
func filtersOf(pid int) (uint32, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for _, name := range []string{"Seccomp_filters:", "Seccomp:"} {
		for line := range bytes.Lines(status) {
			if value, ok := bytes.CutPrefix(line, []byte(name)); ok {
				n, err := strconv.ParseUint(string(bytes.TrimSpace(value)), 10, 32)
				return uint32(n), err
			}
		}
	}
	return 0, errors.New("/proc does not say which seccomp filters it has: is the kernel built with CONFIG_SECCOMP?")
}

// seedThreads gives the state to the other threads that process pid has already.
func (r *Recorder) seedThreads(pid int, s recorderState) error {
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return err
	}
	for _, t := range threads {
		tid, err := strconv.Atoi(t.Name())
		if err != nil || tid == pid {
			continue
		}
		fd, err := unix.PidfdOpen(tid, unix.PIDFD_THREAD)
		if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EINVAL) {
			continue // ended, or an older kernel
		}
		if err != nil {
			return err
		}
		s.Nr, s.Entered = noCall, 1
		err = r.maps[recorderMapTasks].Put(int32(fd), &s)
		unix.Close(fd)
		if err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("mark its thread %d in the kernel: %w", tid, err)
		}
	}
	return nil
}
