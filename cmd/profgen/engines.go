package main

import (
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/host"
	"github.com/profgen/profgen/internal/record"
	"github.com/profgen/profgen/internal/record/ebpf"
	"github.com/profgen/profgen/internal/sandbox"

	"context"
)

// engineFlags are those of containers that engines have, or make.
func engineFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "container", Usage: "record the running container `NAME`, or id, of docker, podman or containerd"},
		&cli.StringFlag{Name: "engine", Usage: "record what `ENGINE`, docker or podman, makes of the run arguments after --"},
		&cli.StringFlag{Name: "compose", Usage: "with --engine docker: record a service of the Compose `FILE`"},
		&cli.StringFlag{Name: "service", Usage: "with --compose: the service `NAME`"},
	}
}

// checkEngineFlags finds what is wrong with flags about engines.
func checkEngineFlags(c *cli.Context) error {
	for _, other := range []string{"image", "bundle", "pid"} {
		if c.IsSet(other) {
			return usage("record: want one of --%s, --container and --engine, not several", other)
		}
	}
	engine := c.String("engine")
	switch {
	case c.IsSet("container") && (c.NArg() > 0 || c.IsSet("compose")):
		return usage("record: --container is for what runs already: it takes no arguments")
	case c.IsSet("container"):
		return nil
	case engine != "docker" && engine != "podman":
		return usage("record: engine %q: want docker or podman", engine)
	case c.IsSet("compose") != c.IsSet("service"):
		return usage("record: want --compose FILE and --service NAME together")
	case c.IsSet("compose") && (engine != "docker" || c.NArg() > 0):
		return usage("record: --compose is for --engine docker, and takes no arguments")
	case !c.IsSet("compose") && (c.NArg() < 2 || c.Args().First() != "run"):
		return usage("record: want the arguments of %s run: profgen record --engine %s -o DIR -- run -p 8080:80 IMAGE", engine, engine)
	}
	return nil
}

// inspectedRun attaches to a container of an engine.
func inspectedRun(c *cli.Context, facts host.Facts, rec *ebpf.Recorder) (record.Run, error) {
	d, err := sandbox.FindContainer(c.Context, c.String("engine"), c.String("container"))
	if err != nil {
		return record.Run{}, err
	}
	in := func(ctx context.Context, line string) ([]byte, error) { return sandbox.ShellIn(ctx, d.PID, line) }
	return record.Run{
		Recorder: rec, Target: attached{&sandbox.Running{PID: d.PID}, rec.Attach},
		Subject: describedSubject(facts, d), Source: source(facts, d.Engine),
		Check: checker(c, in), For: c.Duration("for"),
	}, nil
}

// engineRun records a container that an engine makes.
func engineRun(c *cli.Context, facts host.Facts, rec *ebpf.Recorder) (record.Run, error) {
	engine, err := sandbox.FindEngine(c.String("engine"))
	if err != nil {
		return record.Run{}, err
	}
	version, err := engine.Version(c.Context)
	if err != nil {
		return record.Run{}, err
	}
	target := &sandbox.Engaged{
		Engine: engine, Run: c.Args().Slice(), Seccomp: sandbox.AllowAll(facts.Arch), Stdio: workloadStdio(c),
	}
	if c.IsSet("compose") {
		target.Compose = &sandbox.Compose{File: c.String("compose"), Service: c.String("service")}
	}
	src := source(facts, version)
	src.NoNewPrivileges = true
	return record.Run{
		Recorder: rec, Start: record.AtFilter, Target: target, Source: src,
		Describe: func() evidence.Subject { return describedSubject(facts, target.Describe()) },
		Check:    checker(c, target.Shell), For: c.Duration("for"),
	}, nil
}

// describedSubject is what evidence says of a container of an engine.
func describedSubject(facts host.Facts, d sandbox.Description) evidence.Subject {
	s := hostSubject(facts, d.Argv)
	s.Image, s.Digest, s.ConfigDigest, s.User = strings.TrimPrefix(d.Image, "docker.io/library/"), d.Digest, d.ConfigDigest, d.User
	return s
}
