package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// inNetwork calls f on a thread in the container's network namespace, once
// there is one.
func (c *Container) inNetwork(ctx context.Context, f func() error) error {
	pid, err := c.InitPID(ctx)
	if err != nil {
		return err
	}
	ns, err := namespaceBelow(c.guard.pid(), pid, "net")
	if err != nil {
		return fmt.Errorf("enter the container's network: %w", err)
	}
	defer ns.Close()
	return onThread(func() error {
		if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter the container's network: %w", err)
		}
		return f()
	})
}

// onThread calls f on a thread that ends afterwards, and with it whatever f
// changed about it.
func onThread(f func() error) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if unix.Gettid() == os.Getpid() {
			// But the first one cannot end, and in /proc it stands for the process:
			// while it is held here, another is found.
			defer runtime.UnlockOSThread()
			result <- onThread(f)
			return
		}
		result <- f()
	}()
	return <-result
}

var errEnded = errors.New("the container has ended")

// namespaceBelow opens a namespace of a process, if that runs below another. A
// process id alone does not say whose it is: the one that it was written down
// for may have ended, and a stranger may have it now. A descriptor of the process
// stands for one and the same, and while it runs its id is nobody else's.
func namespaceBelow(ancestor, pid int, kind string) (*os.File, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EINVAL) {
		return nil, errEnded
	}
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	if !descendsFrom(pid, ancestor) {
		return nil, errEnded
	}
	ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/%s", pid, kind))
	if !runs(fd) {
		if err == nil {
			ns.Close()
		}
		return nil, errEnded
	}
	return ns, err
}

// runs reports whether the process of a pidfd has not ended.
func runs(pidfd int) bool {
	fds := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds, 0)
		if !errors.Is(err, unix.EINTR) {
			return err == nil && n == 0
		}
	}
}
