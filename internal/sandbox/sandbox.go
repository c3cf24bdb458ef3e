// Package sandbox starts the workloads that profgen records and verifies: a
// command on this host, or a container through an OCI runtime (runc, crun).
//
// Whatever it starts dies with profgen, and whatever it makes (processes,
// mounts, cgroups, folders) goes with it, even if profgen is killed: a guard
// process, parent of the workload and reaper of all its descendants, holds the
// other end of a pipe and cleans up when that breaks.
package sandbox

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// Stdio is what a workload reads and writes.
type Stdio struct {
	In       *os.File // nil is /dev/null
	Out, Err *os.File
}

// Inherit gives the workload profgen's own standard files.
func Inherit() Stdio { return Stdio{os.Stdin, os.Stdout, os.Stderr} }

// Talk gives the workload nothing to read and has all it says on profgen's
// standard error, where it cannot be taken for profgen's own output.
func Talk() Stdio { return Stdio{nil, os.Stderr, os.Stderr} }

// stopGrace is how long a workload may take to end after its stop signal
// before it is killed: docker stop's default.
const stopGrace = 10 * time.Second

// Interrupts are the signals that ask profgen to end in good order. That a
// terminal was closed is one, unless profgen was told to ignore it, by nohup,
// which the workload then does too.
func Interrupts() []os.Signal {
	signals := []os.Signal{syscall.SIGINT, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	return signals
}

// Command is a command that runs on this host. It is a target that can be
// recorded.
type Command struct {
	Argv  []string
	Stdio Stdio
	// Listener, if not "", is the unix socket of a supervisor that answers every
	// system call of the command: @NAME is an abstract one. Before the command is
	// exec'd, a seccomp filter is loaded that has all calls, that exec first,
	// notified, and its listener is sent there. The one byte of
	// the message is [Privileged] or [NoNewPrivs]. It needs no privilege; without
	// any it sets no_new_privs.
	Listener string

	guard *guard
}

// Start starts the command. Before it exists, follow is called with the id of
// the process whose child it will be.
func (c *Command) Start(ctx context.Context, follow func(pid int) error) error {
	g, err := startGuard(c.Stdio, 0)
	if err != nil {
		return err
	}
	c.guard = g
	if err = follow(g.pid()); err == nil {
		err = g.start(ctx, order{Start: c.Argv, Listener: c.Listener})
	}
	if err != nil {
		return g.giveUp(err)
	}
	return nil
}

// Wait waits until the command and all its descendants have ended, and returns
// its exit code, as a shell has it: 128+N if signal N killed it.
func (c *Command) Wait() (int, error) { return c.guard.wait() }

// Stop asks the command to end, with SIGTERM, and kills it and its descendants
// if they still run some seconds later.
func (c *Command) Stop() {
	c.guard.stop("TERM", nil)
}
