package main

import (
	"context"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/profgen/profgen/gen/formats"
	"github.com/profgen/profgen/internal/host"
	"github.com/profgen/profgen/internal/profiledir"
	"github.com/profgen/profgen/internal/record"
	"github.com/profgen/profgen/internal/record/ebpf"
	"github.com/profgen/profgen/internal/sandbox"
	"github.com/profgen/profgen/internal/verify"
)

// engineProof is an engine that runs the workload, instead of an OCI runtime
// alone: with its own flags, as profgen run has it.
type engineProof struct {
	sandbox.Engine
	image string   // by what it is, not by its name
	pass  []string // arguments of the engine's own
	args  []string // the workload's
}

func verifyEngineFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "engine", Usage: "run it with `ENGINE`, docker or podman, which has the image; by default with an OCI runtime alone"},
		&cli.StringSliceFlag{Name: "pass", Usage: "with --engine: hand `ARG` on to docker run or podman run"},
	}
}

// checkVerifyEngine finds what is wrong with flags about engines.
func checkVerifyEngine(c *cli.Context) error {
	engine := c.String("engine")
	switch {
	case !c.IsSet("engine") && c.IsSet("pass"):
		return usage("verify: --pass is for --engine")
	case !c.IsSet("engine"):
		return nil
	case engine != "docker" && engine != "podman":
		return usage("verify: --engine %s: want docker or podman", engine)
	case !c.IsSet("image"):
		return usage("verify: --engine wants --image, an image that %s has", engine)
	}
	for _, other := range []string{"minimize", "exec-check", "no-healthcheck", "platform", "runtime", "network", "publish", "user", "max-image-size"} {
		if c.IsSet(other) {
			return usage("verify: --%s is for an OCI runtime alone, not for --engine", other)
		}
	}
	return nil
}

// newEngineProver proves with an engine: the image has to be the one that dir was
// made for, by the digests that the engine knows.
func newEngineProver(c *cli.Context, dir string, enforced profiledir.Enforced) (*prover, error) {
	engine, err := sandbox.FindEngine(c.String("engine"))
	if err != nil {
		return nil, err
	}
	ref := c.String("image")
	img, err := engine.Image(c.Context, ref)
	if err != nil {
		return nil, err
	}
	if err := trust(c, dir, enforced.Plan.Image, known{ref, img.Digests}); err != nil {
		return nil, err
	}
	return &prover{c: c, dir: dir, talk: newTalk(c.App.ErrWriter), engine: &engineProof{
		Engine: engine, image: img.ID, pass: c.StringSlice("pass"), args: c.Args().Tail(),
	}}, nil
}

// command is the engine's command line for the workload under the profile. It
// names no seccomp profile: who runs it has that in a file of its own. The engine
// execs the image's health check by itself.
func (e *engineProof) command(enforced profiledir.Enforced) ([]string, error) {
	facts, err := host.Read()
	if err != nil {
		return nil, err
	}
	in := formats.Input{Plan: enforced.Plan, Seccomp: enforced.Seccomp}
	doc, err := formats.Render(e.Name, in, formats.Options{WithoutAppArmor: !facts.AppArmor})
	if err != nil {
		return nil, err
	}
	flags := slices.DeleteFunc(strings.Fields(string(doc.Text)), func(f string) bool { return strings.HasPrefix(f, "--security-opt=seccomp=") })
	return slices.Concat([]string{"run"}, flags, e.pass, []string{e.image}, e.args), nil
}

// runEngine is run with an engine.
func (p *prover) runEngine(runs int, enforced profiledir.Enforced, armor verify.Refuser, missing []string) (verify.Report, error) {
	argv, err := p.engine.command(enforced)
	if err != nil {
		return verify.Report{}, err
	}
	rec, err := ebpf.New(ebpf.Options{SeeRefused: true})
	if err != nil {
		return verify.Report{}, err
	}
	defer rec.Close()
	return p.trials(verify.Trials{
		Runs: runs, Profile: enforced.Seccomp, Missing: missing, Recorder: rec, Refuser: armor,
		Trial: func() (record.Target, func(context.Context) error) {
			target := &sandbox.Engaged{Engine: p.engine.Engine, Run: argv, Seccomp: enforced.Seccomp, Stdio: sandbox.Talk()}
			return target, checker(p.c, target.Shell)
		},
	})
}
