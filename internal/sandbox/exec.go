package sandbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/profgen/profgen/internal/image"
)

// Exec runs a command in the container, through its runtime, as docker exec
// does: as the user and in the environment that the container has. It returns
// what the command printed. Before anything of it exists, follow is called, if it
// is not nil, with the id of the process whose child the runtime will be. The
// command and all that it starts end with its first process, with ctx, and with
// profgen.
func (c *Container) Exec(ctx context.Context, argv []string, follow func(pid int) error) ([]byte, error) {
	if _, err := c.InitPID(ctx); err != nil {
		return nil, err
	}
	for c.starting(ctx) {
		if err := c.pause(ctx); err != nil {
			return nil, err
		}
	}
	b := brief{argv: c.command(append([]string{"exec", c.id}, argv...)...), within: c.besideRuntime, follow: follow}
	if follow != nil {
		b.listener = c.Listener
	}
	return b.run(ctx)
}

// besideRuntime calls f where the mounts are missing that the container's
// runtime would not run beside.
func (c *Container) besideRuntime(f func() error) error {
	if !c.hybridHidden {
		return f()
	}
	hidden := cleaner{hidden: []string{unifiedMount}}
	return onThread(func() error {
		if err := hidden.hideAgain(); err != nil {
			return err
		}
		return f()
	})
}

// Health is a HEALTHCHECK as an engine runs it: every Interval, for at most
// Timeout. The container is unhealthy once Retries of them in a row have failed
// that came after StartPeriod.
type Health struct {
	Argv                           []string
	Interval, Timeout, StartPeriod time.Duration
	Retries                        int
}

// HealthOf returns an image's HEALTHCHECK with what it leaves to the engine
// filled in (daemon/health.go of github.com/moby/moby); false if it has none, or
// says that it wants none.
func HealthOf(cfg image.Config) (Health, bool) {
	h := cfg.Healthcheck
	if h == nil || len(h.Test) < 2 {
		return Health{}, false // not given, or NONE
	}
	out := Health{h.Test[1:], h.Interval, h.Timeout, h.StartPeriod, h.Retries}
	switch h.Test[0] {
	case "CMD":
	case "CMD-SHELL":
		out.Argv = inShell(h.Test[1])
	default:
		return Health{}, false
	}
	const moment = 30 * time.Second
	if out.Interval <= 0 {
		out.Interval = moment
	}
	if out.Timeout <= 0 {
		out.Timeout = moment
	}
	if out.Retries <= 0 {
		out.Retries = 3
	}
	return out, true
}

// inShell is a line of shell in a container.
func inShell(line string) []string { return []string{"/bin/sh", "-c", line} }

// patience is how long a container may take to become healthy.
func (h Health) patience() time.Duration {
	return h.StartPeriod + time.Duration(h.Retries)*h.Interval
}

// Wait runs the health check through exec until it succeeds. Nobody is kept
// waiting longer than need be: until then it is run every second, if the
// interval is longer. It fails if it does not succeed before an engine would
// call the container unhealthy, or within the time given, whichever is longer.
// If the container ends, it waits for the end of ctx.
func (h Health) Wait(ctx context.Context, exec func(context.Context, []string) ([]byte, error), least time.Duration) error {
	limit := max(h.patience(), least)
	within, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var failed error
	var said []byte
	for {
		out, err := h.once(within, exec)
		if err == nil {
			return nil
		}
		if failed == nil || within.Err() == nil { // else it was the end that ended it
			failed, said = err, out
		}
		if errors.Is(err, errEnded) {
			<-ctx.Done() // who waits for the container will notice
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-within.Done():
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("the image's HEALTHCHECK did not succeed within %s: %w: %.300s", limit, failed, said)
		case <-time.After(min(h.Interval, time.Second)):
		}
	}
}

// Keep goes on with the health check, at its interval, until ctx is done.
func (h Health) Keep(ctx context.Context, exec func(context.Context, []string) ([]byte, error)) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(h.Interval):
			h.once(ctx, exec) // what it needs is seen, whatever it says
		}
	}
}

func (h Health) once(ctx context.Context, exec func(context.Context, []string) ([]byte, error)) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, h.Timeout)
	defer cancel()
	return exec(ctx, slices.Clone(h.Argv))
}

// unifiedMount is where a hybrid host has its second cgroup hierarchy.
const unifiedMount = "/sys/fs/cgroup/unified"

// hybrid reports whether this host has one.
func hybrid() bool {
	var fs unix.Statfs_t
	return unix.Statfs(unifiedMount, &fs) == nil && fs.Type == unix.CGROUP2_SUPER_MAGIC
}
