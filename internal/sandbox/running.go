package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Running is a process that already runs. It is a target that can be recorded;
// stopping it stops only the recording.
type Running struct {
	PID int

	pidfd *os.File
	stop  *os.File // read end: readable once stopped
	stopW *os.File
	once  sync.Once
}

// Start makes sure that the process exists and calls attach with its id.
func (r *Running) Start(_ context.Context, attach func(pid int) error) error {
	fd, err := unix.PidfdOpen(r.PID, 0)
	if err != nil {
		return fmt.Errorf("process %d: %w; --pid wants the id of a process as this host sees it", r.PID, err)
	}
	r.pidfd = os.NewFile(uintptr(fd), "pidfd")
	if r.stop, r.stopW, err = os.Pipe(); err != nil {
		r.pidfd.Close()
		return fmt.Errorf("process %d: %w", r.PID, err)
	}
	err = attach(r.PID)
	if err == nil && !runs(fd) {
		// Its id may have been another's already when it was attached to.
		err = fmt.Errorf("process %d: it ended before it could be followed", r.PID)
	}
	if err != nil {
		r.pidfd.Close()
		r.stop.Close()
		r.stopW.Close()
		return err
	}
	return nil
}

// Wait waits until the process has ended or Stop was called. The exit code of
// a process that is not one's child cannot be known: it is 0.
func (r *Running) Wait() (int, error) {
	defer r.pidfd.Close()
	defer r.stop.Close()
	fds := []unix.PollFd{{Fd: int32(r.pidfd.Fd()), Events: unix.POLLIN}, {Fd: int32(r.stop.Fd()), Events: unix.POLLIN}}
	for {
		_, err := unix.Poll(fds, -1)
		if !errors.Is(err, unix.EINTR) {
			return 0, err
		}
	}
}

// Stop ends the wait and leaves the process alone.
func (r *Running) Stop() { r.once.Do(func() { r.stopW.Close() }) }

// Argv is the command line of process pid.
func Argv(pid int) ([]string, error) {
	raw, err := os.ReadFile(filepath.Join("/proc", fmt.Sprint(pid), "cmdline"))
	if err != nil {
		return nil, fmt.Errorf("process %d: %w", pid, err)
	}
	return strings.Split(strings.TrimRight(string(raw), "\x00"), "\x00"), nil
}
