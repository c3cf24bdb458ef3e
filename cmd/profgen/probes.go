package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/profgen/profgen/internal/record"
	"github.com/profgen/profgen/internal/sandbox"
)

// probeFlags say what is exec'd into a container.
func probeFlags() []cli.Flag {
	return []cli.Flag{
		&cli.GenericFlag{Name: "exec-check", Value: &lines{}, Usage: "exec `CMD`, a line of shell or a JSON array of words, into the container until it succeeds, as a check; repeatable"},
		&cli.BoolFlag{Name: "no-healthcheck", Usage: "do not run the image's HEALTHCHECK"},
	}
}

func readyFlag() cli.Flag {
	return &cli.StringFlag{Name: "ready", Usage: "the workload serves once the shell command `CMD` succeeds (default: the image's HEALTHCHECK, or else the first connection)"}
}

// lines is a flag that may be given several times, and is not split at commas.
type lines struct{ all []string }

func (l *lines) Set(s string) error {
	l.all = append(l.all, s)
	return nil
}

func (l *lines) String() string { return strings.Join(l.all, "; ") }

// execChecks are the commands to exec, as words.
func execChecks(c *cli.Context) ([][]string, error) {
	given, ok := c.Generic("exec-check").(*lines)
	if !ok {
		return nil, nil
	}
	var out [][]string
	for _, line := range given.all {
		argv := []string{"/bin/sh", "-c", line}
		if strings.HasPrefix(line, "[") {
			argv = nil
			if err := json.Unmarshal([]byte(line), &argv); err != nil {
				return nil, usage("--exec-check %s: %w", line, err)
			}
		}
		if len(argv) == 0 || strings.TrimSpace(line) == "" {
			return nil, usage("--exec-check %q is empty: it would succeed whatever the workload does", line)
		}
		out = append(out, argv)
	}
	return out, nil
}

// drive is how a container is made to work.
type drive struct {
	check func(context.Context) error // ends the recording; nil if the user asked for none
	probe func(context.Context) error // the image's HEALTHCHECK; nil if it has none
	ready func(context.Context) error // nil if nobody tells
}

// driveOf is what the flags and the image ask for. What is exec'd is followed
// with follow.
func driveOf(c *cli.Context, ct *sandbox.Container, follow func(pid int) error) (drive, error) {
	argvs, err := execChecks(c)
	if err != nil {
		return drive{}, err
	}
	exec := func(ctx context.Context, argv []string) ([]byte, error) { return ct.Exec(ctx, argv, follow) }
	all := []func(context.Context) error{checker(c, ct.Shell)}
	for _, argv := range argvs {
		try := func(ctx context.Context) ([]byte, error) { return exec(ctx, argv) }
		all = append(all, record.Until(try, c.Duration("check-timeout")))
	}
	d := drive{check: record.Together(all...), ready: readiness(c, ct.Shell)}
	if ct.Image == nil || c.Bool("no-healthcheck") {
		return d, nil
	}
	health, ok := sandbox.HealthOf(ct.Image.Config())
	if !ok {
		return d, nil
	}
	healthy := make(chan struct{})
	d.probe = func(ctx context.Context) error {
		if err := health.Wait(ctx, exec, c.Duration("check-timeout")); err != nil {
			return fmt.Errorf("%w (--no-healthcheck leaves it out)", err)
		}
		close(healthy)
		if d.check == nil {
			health.Keep(ctx, exec) // the recording goes on, and so does an engine
		}
		return nil
	}
	if d.ready == nil {
		d.ready = func(ctx context.Context) error {
			select {
			case <-healthy:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return d, nil
}

// readiness returns what the flags say tells that the workload serves, run by
// shell; nil if nothing.
func readiness(c *cli.Context, shell func(context.Context, string) ([]byte, error)) func(context.Context) error {
	line := c.String("ready")
	if line == "" {
		return nil
	}
	try := func(ctx context.Context) ([]byte, error) { return shell(ctx, line) }
	ready := record.Until(try, c.Duration("check-timeout"))
	return func(ctx context.Context) error {
		if err := ready(ctx); err != nil {
			return errors.Join(errors.New("--ready: the workload was never ready"), err)
		}
		return nil
	}
}
