package main

import (
	"context"
	"errors"
	"fmt"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/urfave/cli/v2"

	"github.com/profgen/profgen/internal/host"
	"github.com/profgen/profgen/internal/profiledir"
	"github.com/profgen/profgen/internal/record"
	"github.com/profgen/profgen/internal/record/ebpf"
	"github.com/profgen/profgen/internal/sandbox"
	"github.com/profgen/profgen/internal/scmp"
	"github.com/profgen/profgen/internal/verify"
)

func verifyCommand() *cli.Command {
	flags := append(append(containerFlags(), driveFlags()...), probeFlags()...)
	return &cli.Command{
		Name:      "verify",
		Usage:     "run the workload under its profile and count what is refused",
		UsageText: "profgen verify DIR --image REF [--runs N] --check CMD [-- ARGS...]",
		Description: "Runs the container with the seccomp profile, the capabilities, the limits and all else that\n" +
			"DIR says, with no-new-privileges, and with the AppArmor profile where the kernel has AppArmor,\n" +
			"N times. Exits 3 if anything was refused or a run failed. The image's\n" +
			"HEALTHCHECK, and what --exec-check names, is exec'd into it and has to succeed.",
		Flags: append(flags, allowOtherFlag(),
			&cli.IntFlag{Name: "runs", Usage: "run it `N` times: runtimes written in Go make some calls only now and then", Value: 20}),
		OnUsageError: onUsageError,
		Action:       verifyAction,
	}
}

func verifyAction(c *cli.Context) (err error) {
	dir := c.Args().First()
	switch {
	case dir == "":
		return usage("verify: want the profile directory")
	case c.IsSet("image") == c.IsSet("bundle"):
		return usage("verify: want one of --image and --bundle")
	case c.Int("runs") < 1:
		return usage("verify: want at least one run")
	}
	if err := checkFlags(c); err != nil {
		return err
	}
	enforced, err := profiledir.Load(dir)
	if err != nil {
		return err
	}
	if err := compile(c, enforced.Seccomp); err != nil {
		return err
	}
	rec, err := ebpf.New(ebpf.Options{SeeRefused: true})
	if err != nil {
		return err
	}
	defer rec.Close()
	armor, err := enforceAppArmor(c, enforced)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, armor.Close()) }()
	template, err := newContainer(c, sandbox.Confinement{
		Seccomp: enforced.Seccomp, Capabilities: enforced.Plan.Capabilities, AppArmor: armor.name,
		Bounds: boundsOf(enforced.Plan.Run),
	})
	if err != nil {
		return err
	}
	defer closeImage(template)
	if template.Image != nil {
		if err := trust(c, dir, enforced.Plan.Image, knownImage(template.Image)); err != nil {
			return err
		}
	}
	template.Args, template.Stdio = c.Args().Tail(), sandbox.Talk()
	talk := newTalk(c.App.ErrWriter)
	if template.Image != nil {
		talk.unpacking(template.Image.Reference())
		root, err := sandbox.Unpack(c.Context, template.Image, template.Limits)
		talk.clear()
		if err != nil {
			return err
		}
		defer root.Close()
		template.Root, armor.root = root, root
	}
	report, err := verify.Trials{
		Runs: c.Int("runs"), For: c.Duration("for"), Profile: enforced.Seccomp, Recorder: rec, Refuser: armor,
		Trial: func() (record.Target, func(context.Context) error) {
			ct := *template
			// Its flags were read before: there is nothing that can be wrong with them.
			drive, _ := driveOf(c, &ct, func(pid int) error { return rec.Follow(pid, record.AtFilter) })
			return &ct, record.Together(drive.check, drive.probe)
		},
		Done: func(run int, _ error) { talk.say("run %d of %d", run, c.Int("runs")) },
	}.Run(c.Context)
	talk.clear()
	if err != nil {
		return err
	}
	return printReport(c, report)
}

// compile says what the seccomp profile compiles to here, or why it does not,
// before any container is started with it.
func compile(c *cli.Context, profile *specs.LinuxSeccomp) error {
	facts, err := host.Read()
	if err != nil {
		return err
	}
	filter, err := verify.Compile(profile, facts.Arch)
	switch {
	case errors.Is(err, scmp.ErrUnavailable): // the runtime will say
	case err != nil:
		return err
	default:
		fmt.Fprintf(c.App.ErrWriter, "seccomp filter: %s\n", filter)
	}
	return nil
}

func printReport(c *cli.Context, r verify.Report) error {
	fmt.Fprintf(c.App.Writer, "passed %d of %d runs, denials %d\n", r.Passed, r.Runs, len(r.Denials)+len(r.Refused))
	for _, d := range r.Denials {
		fmt.Fprintf(c.App.Writer, "denied %s (%s)\n", d.Name, d.Arch)
	}
	for _, f := range r.Refused {
		fmt.Fprintf(c.App.Writer, "denied by AppArmor %s\n", use(f))
	}
	for _, d := range r.Unavailable {
		fmt.Fprintf(c.App.Writer, "answered ENOSYS, as decided: %s (%s)\n", d.Name, d.Arch)
	}
	if r.Failure != nil {
		fmt.Fprintf(c.App.ErrWriter, "profgen: %v\n", r.Failure)
	}
	if r.Passed < r.Runs || len(r.Denials)+len(r.Refused) > 0 {
		return exitError{3, nil}
	}
	return nil
}
