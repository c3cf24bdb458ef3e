package sandbox

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"time"
)

// Shell runs a line of shell on the host's files but in the container's
// network namespace, where every port the workload listens on has its own
// number on 127.0.0.1. It returns what the line printed. The line and all that
// it starts end with its first process, with ctx, and with profgen.
func (c *Container) Shell(ctx context.Context, line string) ([]byte, error) {
	if c.HostNetwork {
		return Shell(ctx, line)
	}
	within := func(f func() error) error { return c.inNetwork(ctx, f) }
	return brief{argv: shell(line), within: within}.run(ctx)
}

// Shell runs a line of shell on this host and returns what it printed. The line
// and all that it starts end with its first process, with ctx, and with
// profgen.
func Shell(ctx context.Context, line string) ([]byte, error) {
	return brief{argv: shell(line)}.run(ctx)
}

func shell(line string) []string { return []string{"/bin/sh", "-c", line} }

// brief is a command of profgen's own beside a workload. It has a guard to
// itself, which costs some milliseconds: the workload's guard is watched by the
// recorder, and cannot tell what belongs to which.
type brief struct {
	argv   []string
	within func(func() error) error // calls its argument where the command is to run; nil is here
	follow func(pid int) error      // if not nil, told whose child it will be
	// listener is as Command has it.
	listener string
}

// run runs the command and returns what it printed.
func (b brief) run(ctx context.Context) ([]byte, error) {
	var out bytes.Buffer
	cmd := &exec.Cmd{Stdout: &out, Stderr: &out, WaitDelay: time.Second}
	var g *guard
	start := func() (err error) {
		g, err = launch(cmd)
		return err
	}
	if b.within == nil {
		b.within = func(f func() error) error { return f() }
	}
	if err := b.within(start); err != nil {
		return nil, err
	}
	defer context.AfterFunc(ctx, func() { g.pipe.Close() })()
	if b.follow != nil {
		if err := b.follow(g.pid()); err != nil {
			return nil, g.giveUp(err)
		}
	}
	if err := g.start(ctx, order{Start: b.argv, Brief: true, Listener: b.listener}); err != nil {
		return nil, g.giveUp(interrupted(ctx, "run "+b.argv[0], err))
	}
	code, err := g.wait()
	if err == nil && code != 0 {
		err = fmt.Errorf("exit status %d", code)
	}
	return out.Bytes(), interrupted(ctx, "run "+b.argv[0], err)
}

// interrupted returns err, or only that ctx has ended if that is the cause of
// whatever else went wrong.
func interrupted(ctx context.Context, doing string, err error) error {
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("%s: %w", doing, ctx.Err())
	}
	return err
}
