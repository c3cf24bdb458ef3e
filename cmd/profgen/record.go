package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/profgen/profgen/gen"
	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/host"
	"github.com/profgen/profgen/internal/profiledir"
	"github.com/profgen/profgen/internal/record"
	"github.com/profgen/profgen/internal/sandbox"
)

func recordCommand() *cli.Command {
	flags := []cli.Flag{
		&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "write the profile directory `DIR`"},
		&cli.BoolFlag{Name: "fresh", Usage: "forget the evidence that DIR already has instead of adding to it"},
		&cli.IntFlag{Name: "pid", Usage: "record the running process `N`, or the whole container it is in"},
		&cli.BoolFlag{Name: "no-files", Usage: "do not look at files: system calls cost less, and the AppArmor profile does not confine files"},
		recorderFlag(), capAddFlag(), readyFlag(), runsFlag(), compareFlag(),
	}
	flags = append(flags, engineFlags()...)
	flags = append(flags, containerFlags()...)
	flags = append(flags, probeFlags()...)
	flags = append(flags, driveFlags()...)
	return &cli.Command{
		Name:  "record",
		Usage: "record a workload, and generate its profiles",
		UsageText: "profgen record -o DIR --image REF [-- ARGS...]\n" +
			"profgen record -o DIR --bundle DIR [-- ARGS...]\n" +
			"profgen record -o DIR --pid N\n" +
			"profgen record -o DIR --container NAME\n" +
			"profgen record -o DIR --engine docker|podman -- run [OPTIONS] IMAGE [ARGS...]\n" +
			"profgen record -o DIR -- COMMAND [ARGS...]",
		Description: "REF is an OCI layout folder (FOLDER or FOLDER:TAG), an OCI or docker save archive, a\n" +
			"root file system folder, or a reference in a registry.\n\n" +
			"The recording ends when the workload does, after --for, or once --check succeeds; an\n" +
			"interrupt ends it too and loses nothing. A check is run again until it succeeds, in\n" +
			"the container's network: http://127.0.0.1:80/ is the workload's port 80. What --exec-check\n" +
			"names, and the image's HEALTHCHECK, is exec'd into the container, and has to succeed too.",
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
	if contained(c) && os.Geteuid() != 0 && c.String("recorder") != recorderEBPF {
		code, err := sandbox.InUserNS(os.Args)
		if err == nil && code != 0 {
			err = exitError{code, nil}
		}
		return err
	}
	dir := c.String("output")
	if c.Int("runs") > 1 {
		unlock, err := profiledir.Lock(dir)
		if err != nil {
			return err
		}
		defer unlock()
		return recordRuns(c, facts, dir)
	}
	rec, err := newRecorder(c, facts)
	if err != nil {
		return err
	}
	defer rec.Close()
	rec.tell(c)
	debug.SetMemoryLimit(softMemory)
	run, done, err := newRun(c, facts, rec)
	if err != nil {
		return err
	}
	defer done()
	unlock, err := profiledir.Lock(dir)
	if err != nil {
		return err
	}
	defer unlock()
	return recordInto(c, dir, run)
}

// recordInto makes the recording and the files of dir.
func recordInto(c *cli.Context, dir string, run record.Run) error {
	before, err := evidenceBefore(c, dir)
	if err != nil {
		return err
	}
	res, before, err := perform(c, dir, run, before)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.App.ErrWriter, "recorded %d system calls in %s\n",
		res.Progress.Syscalls, res.Progress.Elapsed.Round(100*time.Millisecond))
	of, err := ofImage(c.Context, run)
	if err != nil {
		return err
	}
	set := evidence.Merge(before, res.Evidence.AsRun(), of)
	if err := profiledir.SaveEvidence(dir, set); err != nil {
		return err
	}
	bundle, err := generate(c, dir, set)
	if err != nil {
		return err
	}
	summarize(c.App.ErrWriter, dir, bundle)
	summarizeUse(c.App.ErrWriter, res.Evidence)
	if ct, ok := run.Target.(*sandbox.Container); ok && ct.Image != nil {
		if err := tellPrices(c, bundle.Policy, set, ct.Image); err != nil {
			return err
		}
	}
	nextSteps(c.App.ErrWriter, dir)
	if res.Code != 0 && !res.Stopped {
		return exitError{res.Code, nil}
	}
	return nil
}

// perform does a recording, which dir keeps beside what there was before it, and
// returns with it what of that still holds: all but marks that it makes up for.
func perform(c *cli.Context, dir string, run record.Run, before evidence.Set) (record.Result, evidence.Set, error) {
	before.Gaps = slices.DeleteFunc(slices.Clone(before.Gaps), run.MakesUpFor)
	talk := newTalk(c.App.ErrWriter)
	talk.unpacking(run.Subject.Image)
	run.Progress = talk.progress
	run.Save = func(set evidence.Set) error {
		return profiledir.SaveEvidence(dir, evidence.Merge(before, set))
	}
	res, err := run.Do(c.Context)
	talk.clear()
	if err != nil {
		return record.Result{}, evidence.Set{}, explain(err, res)
	}
	return res, before, nil
}

// checkRecordFlags finds what is wrong with the flags before anything is done.
func checkRecordFlags(c *cli.Context) error {
	contained := contained(c)
	switch {
	case c.String("output") == "":
		return usage("record: want -o DIR, the profile directory to write")
	case c.IsSet("engine") || c.IsSet("container"):
		if err := checkEngineFlags(c); err != nil {
			return err
		}
	case c.IsSet("image") && c.IsSet("bundle"), c.IsSet("pid") && (contained || c.NArg() > 0):
		return usage("record: want one of --image, --bundle, --pid and a command, not several")
	case !contained && !c.IsSet("pid") && c.NArg() == 0:
		return usage("record: nothing to run: want --image REF, --bundle DIR, --pid N, or a command after --")
	}
	if err := cmp.Or(checkRuns(c), checkFlags(c)); err != nil {
		return err
	}
	if err := gen.Check(generateOptions(c)); err != nil {
		return usage("record: %w", err)
	}
	return nil
}

// evidenceBefore is the evidence that a recording adds to.
func evidenceBefore(c *cli.Context, dir string) (evidence.Set, error) {
	if c.Bool("fresh") {
		return evidence.Set{}, nil
	}
	before, err := profiledir.EvidenceSoFar(dir)
	if err != nil {
		return evidence.Set{}, fmt.Errorf("%w\nprofgen: hint: --fresh starts over", err)
	}
	return before.AsRun(), nil // if it is from before there were runs
}

// newRun returns the recording that the flags ask for, and what gives back
// what it holds.
func newRun(c *cli.Context, facts host.Facts, rec recorder) (record.Run, func(), error) {
	nothing := func() {}
	switch {
	case c.IsSet("container"):
		run, err := inspectedRun(c, facts, rec.ebpf)
		return run, nothing, err
	case c.IsSet("engine"):
		run, err := engineRun(c, facts, rec.ebpf)
		return run, nothing, err
	case contained(c):
		return containerRun(c, facts, rec)
	case c.IsSet("pid"):
		run, err := runningRun(c, facts, rec)
		return run, nothing, err
	}
	argv := c.Args().Slice()
	cmd := &sandbox.Command{Argv: argv, Stdio: workloadStdio(c), Listener: rec.listener}
	src := rec.source(facts, "")
	src.NoNewPrivileges = rec.listener != "" && os.Geteuid() != 0
	return record.Run{
		Recorder: rec.Recorder, Start: record.AtExec, Target: cmd, Measure: cmd.Usage,
		Subject: hostSubject(facts, argv), Source: src,
		Check: checker(c, sandbox.Shell), Ready: readiness(c, sandbox.Shell), For: c.Duration("for"),
	}, nothing, nil
}

func containerRun(c *cli.Context, facts host.Facts, rec recorder) (record.Run, func(), error) {
	confinement := openConfinement(facts.Arch, c.IsSet("bundle"), c.StringSlice("cap-add"))
	if rec.logged {
		confinement.Seccomp = sandbox.LogAll(facts.Arch)
	}
	ct, err := newContainer(c, confinement)
	if err != nil {
		return record.Run{}, nil, err
	}
	subject, err := subjectOf(ct)
	if err != nil {
		return record.Run{}, nil, err
	}
	drive, err := driveOf(c, ct, func(pid int) error { return rec.Follow(pid, record.AtFilter) })
	if err != nil {
		return record.Run{}, nil, err
	}
	ct.Listener = rec.listener
	src := rec.source(facts, ct.Runtime.String())
	src.NoNewPrivileges = true
	return record.Run{
		Recorder: rec.Recorder, Start: record.AtFilter, Target: ct, Measure: ct.Usage, Identities: ct.Identities,
		Subject: subject, Source: src, Check: drive.check, Probe: drive.probe, Ready: drive.ready, For: c.Duration("for"),
	}, func() { closeImage(ct) }, nil
}

// attached is a running process that a recorder attaches to.
type attached struct {
	*sandbox.Running
	attach func(pid int) error
}

func (a attached) Start(ctx context.Context, _ func(int) error) error {
	return a.Running.Start(ctx, a.attach)
}

func runningRun(c *cli.Context, facts host.Facts, rec recorder) (record.Run, error) {
	pid := c.Int("pid")
	argv, err := sandbox.Argv(pid)
	if err != nil {
		return record.Run{}, err
	}
	return record.Run{
		Recorder: rec.Recorder, Target: attached{&sandbox.Running{PID: pid}, rec.ebpf.Attach},
		Subject: hostSubject(facts, argv), Source: rec.source(facts, ""),
		Check: checker(c, sandbox.Shell), For: c.Duration("for"),
	}, nil
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
