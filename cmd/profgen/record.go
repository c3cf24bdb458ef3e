package main

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/profgen/profgen/gen"
	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/host"
	"github.com/profgen/profgen/internal/profiledir"
	"github.com/profgen/profgen/internal/record"
	"github.com/profgen/profgen/internal/record/ebpf"
	"github.com/profgen/profgen/internal/sandbox"
)

func recordCommand() *cli.Command {
	flags := []cli.Flag{
		&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "write the profile directory `DIR`"},
		&cli.BoolFlag{Name: "fresh", Usage: "forget the evidence that DIR already has instead of adding to it"},
		&cli.IntFlag{Name: "pid", Usage: "record the running process `N`, or the whole container it is in"},
		&cli.BoolFlag{Name: "no-files", Usage: "do not look at files: system calls cost less, and the AppArmor profile does not confine files"},
		capAddFlag(),
	}
	flags = append(flags, containerFlags()...)
	flags = append(flags, driveFlags()...)
	return &cli.Command{
		Name:  "record",
		Usage: "record a workload, and generate its profiles",
		UsageText: "profgen record -o DIR --image REF [-- ARGS...]\n" +
			"profgen record -o DIR --bundle DIR [-- ARGS...]\n" +
			"profgen record -o DIR --pid N\n" +
			"profgen record -o DIR -- COMMAND [ARGS...]",
		Description: "REF is an OCI layout folder (FOLDER or FOLDER:TAG), an OCI or docker save archive, a\n" +
			"root file system folder, or a reference in a registry.\n\n" +
			"The recording ends when the workload does, after --for, or once --check succeeds; an\n" +
			"interrupt ends it too and loses nothing. A check is run again until it succeeds, in\n" +
			"the container's network: http://127.0.0.1:80/ is the workload's port 80.",
		Flags:        append(flags, generateFlags()...),
		OnUsageError: onUsageError,
		Action:       recordAction,
	}
}

// softMemory is how much memory the garbage collector lets a recording take
// without working harder, in bytes: a storm of a workload makes a hundred thousand
// facts, and every second a copy of them to save.
const softMemory = 200 << 20

func recordAction(c *cli.Context) error {
	if err := checkRecordFlags(c); err != nil {
		return err
	}
	facts, err := host.Read()
	if err != nil {
		return err
	}
	rec, err := ebpf.New(ebpf.Options{SeeRefused: facts.Filtered || c.IsSet("pid"), Files: !c.Bool("no-files")})
	if err != nil {
		return err
	}
	defer rec.Close()
	debug.SetMemoryLimit(softMemory)
	run, done, err := newRun(c, facts, rec)
	if err != nil {
		return err
	}
	defer done()
	dir := c.String("output")
	unlock, err := profiledir.Lock(dir)
	if err != nil {
		return err
	}
	defer unlock()
	return recordInto(c, dir, run)
}

// recordInto makes the recording and the files of dir.
func recordInto(c *cli.Context, dir string, run record.Run) error {
	before, err := evidenceBefore(c, dir, run)
	if err != nil {
		return err
	}
	talk := newTalk(c.App.ErrWriter)
	talk.unpacking(run.Subject.Image)
	run.Progress = talk.progress
	run.Save = func(set evidence.Set) error {
		return profiledir.SaveEvidence(dir, evidence.Merge(before, set))
	}
	res, err := run.Do(c.Context)
	talk.clear()
	if err != nil {
		return explain(err, res)
	}
	fmt.Fprintf(c.App.ErrWriter, "recorded %d system calls in %s\n",
		res.Progress.Syscalls, res.Progress.Elapsed.Round(100*time.Millisecond))
	bundle, err := generate(c, dir, evidence.Merge(before, res.Evidence))
	if err != nil {
		return err
	}
	summarize(c.App.ErrWriter, dir, bundle)
	nextSteps(c.App.ErrWriter, dir)
	if res.Code != 0 && !res.Stopped {
		return exitError{res.Code, nil}
	}
	return nil
}

// checkRecordFlags finds what is wrong with the flags before anything is done.
func checkRecordFlags(c *cli.Context) error {
	contained := c.IsSet("image") || c.IsSet("bundle")
	switch {
	case c.String("output") == "":
		return usage("record: want -o DIR, the profile directory to write")
	case c.IsSet("image") && c.IsSet("bundle"), c.IsSet("pid") && (contained || c.NArg() > 0):
		return usage("record: want one of --image, --bundle, --pid and a command, not several")
	case !contained && !c.IsSet("pid") && c.NArg() == 0:
		return usage("record: nothing to run: want --image REF, --bundle DIR, --pid N, or a command after --")
	}
	if err := checkFlags(c); err != nil {
		return err
	}
	if err := gen.Check(generateOptions(c)); err != nil {
		return usage("record: %w", err)
	}
	return nil
}

// evidenceBefore is the evidence that the recording adds to. Of a recording that
// it makes up for, what was seen stays, and the mark goes.
func evidenceBefore(c *cli.Context, dir string, run record.Run) (evidence.Set, error) {
	if c.Bool("fresh") {
		return evidence.Set{}, nil
	}
	before, err := profiledir.EvidenceSoFar(dir)
	if err != nil {
		return evidence.Set{}, fmt.Errorf("%w\nprofgen: hint: --fresh starts over", err)
	}
	before.Gaps = slices.DeleteFunc(before.Gaps, run.MakesUpFor)
	return before, nil
}

// newRun returns the recording that the flags ask for, and what gives back
// what it holds.
func newRun(c *cli.Context, facts host.Facts, rec *ebpf.Recorder) (record.Run, func(), error) {
	nothing := func() {}
	switch {
	case c.IsSet("image") || c.IsSet("bundle"):
		return containerRun(c, facts, rec)
	case c.IsSet("pid"):
		run, err := runningRun(c, facts, rec)
		return run, nothing, err
	}
	argv := c.Args().Slice()
	return record.Run{
		Recorder: rec, Start: record.AtExec,
		Target:  &sandbox.Command{Argv: argv, Stdio: sandbox.Inherit()},
		Subject: hostSubject(facts, argv), Source: source(facts, ""),
		Check: checker(c, sandbox.Shell), For: c.Duration("for"),
	}, nothing, nil
}

func containerRun(c *cli.Context, facts host.Facts, rec *ebpf.Recorder) (record.Run, func(), error) {
	ct, err := newContainer(c, openConfinement(facts.Arch, c.IsSet("bundle"), c.StringSlice("cap-add")))
	if err != nil {
		return record.Run{}, nil, err
	}
	subject, err := subjectOf(ct)
	if err != nil {
		return record.Run{}, nil, err
	}
	if ct.Image != nil && ct.Image.Config().Healthcheck != nil {
		fmt.Fprintln(c.App.ErrWriter, "note: the image's HEALTHCHECK is not run; what it needs is not recorded unless the check does the same")
	}
	src := source(facts, ct.Runtime.String())
	src.NoNewPrivileges = true
	return record.Run{
		Recorder: rec, Start: record.AtFilter, Target: ct,
		Subject: subject, Source: src, Check: checker(c, ct.Shell), For: c.Duration("for"),
	}, func() { closeImage(ct) }, nil
}

// attached is a running process that a recorder attaches to.
type attached struct {
	*sandbox.Running
	rec *ebpf.Recorder
}

func (a attached) Start(ctx context.Context, _ func(int) error) error {
	return a.Running.Start(ctx, a.rec.Attach)
}

func runningRun(c *cli.Context, facts host.Facts, rec *ebpf.Recorder) (record.Run, error) {
	pid := c.Int("pid")
	argv, err := sandbox.Argv(pid)
	if err != nil {
		return record.Run{}, err
	}
	return record.Run{
		Recorder: rec, Target: attached{&sandbox.Running{PID: pid}, rec},
		Subject: hostSubject(facts, argv), Source: source(facts, ""),
		Check: checker(c, sandbox.Shell), For: c.Duration("for"),
	}, nil
}

func source(facts host.Facts, runtime string) evidence.Source {
	return evidence.Source{
		Tool: "profgen record", Version: version(), Method: ebpf.Method,
		Kernel: facts.Kernel, Runtime: runtime,
	}
}

// explain adds to an error what the user needs to know to go on.
func explain(err error, res record.Result) error {
	switch {
	case errors.Is(err, record.ErrUnchecked) && !res.Stopped:
		return fmt.Errorf("%w: it did by itself, with exit code %d; what it said is above", err, res.Code)
	case !errors.Is(err, record.ErrNothing):
		return err
	case res.Stopped:
		return fmt.Errorf("%w: it was stopped before it made a system call", err)
	}
	err = fmt.Errorf("%w: it ended with exit code %d before it began; what it or its runtime said is above", err, res.Code)
	return exitError{max(res.Code, 1), err}
}
