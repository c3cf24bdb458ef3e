package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/urfave/cli/v2"
	"mvdan.cc/sh/v3/syntax"

	"github.com/profgen/profgen/gen"
	"github.com/profgen/profgen/gen/formats"
	"github.com/profgen/profgen/internal/host"
	"github.com/profgen/profgen/internal/profiledir"
	"github.com/profgen/profgen/internal/sandbox"
)

func runCommand() *cli.Command {
	return &cli.Command{
		Name:      "run",
		Usage:     "run an image under all of its profile directory, with docker, podman or runc",
		UsageText: "profgen run [--with ENGINE] DIR IMAGE [-- ARGS...]",
		Description: "IMAGE has to be the one that DIR was made for, by digest, and is run by it. Before\n" +
			"anything is started, the seccomp profile is read and the AppArmor profile has to be\n" +
			"loaded, where the host has AppArmor. With docker and podman profgen becomes the engine's\n" +
			"client; --pass hands an argument of the engine's own on: --pass=-d --pass=--publish=8080:80.\n" +
			"With runc IMAGE is a file, a folder or a registry's, as for record, and its network is\n" +
			"private. The exit code is the workload's.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "with", Usage: "run it with `ENGINE`: docker, podman or runc", DefaultText: "the first that is there"},
			&cli.StringSliceFlag{Name: "pass", Usage: "hand `ARG` on to docker run or podman run"},
			&cli.BoolFlag{Name: "dry-run", Usage: "print the command, and run nothing"},
			allowOtherFlag(),
			&cli.StringFlag{Name: "platform", Usage: "with runc: run the image for `OS/ARCH`", DefaultText: "this machine's"},
		},
		OnUsageError: onUsageError,
		Action:       runAction,
	}
}

func runAction(c *cli.Context) error {
	if c.NArg() < 2 {
		return usage("run: want DIR, a profile directory, and IMAGE")
	}
	dir, ref, args := c.Args().Get(0), c.Args().Get(1), c.Args().Slice()[2:]
	in, err := profiledir.Input(dir)
	if err != nil {
		return err
	}
	if err := loaded(c, dir, in.Plan.Profile); err != nil {
		return err
	}
	name, err := engineName(c.String("with"))
	if err != nil {
		return err
	}
	if name == "runc" {
		if c.IsSet("pass") {
			return usage("run: --pass is for docker and podman")
		}
		return runBare(c, dir, in, ref, args)
	}
	return runEngine(c, name, dir, in, ref, args)
}

// engineName is who runs it: the first of docker, podman and runc that is there,
// unless the user says.
func engineName(asked string) (string, error) {
	switch asked {
	case "docker", "podman", "runc":
		return asked, nil
	case "":
	default:
		return "", usage("run: --with %s: want docker, podman or runc", asked)
	}
	for _, name := range sandbox.Engines() {
		if _, err := sandbox.FindEngine(name); err == nil {
			return name, nil
		}
	}
	return "runc", nil
}

const loadedProfiles = "/sys/kernel/security/apparmor/profiles"

// loaded refuses to go on where the AppArmor profile should be in force and is
// not loaded: engines say no more than "no such file or directory".
func loaded(c *cli.Context, dir, profile string) error {
	facts, err := host.Read()
	if err != nil {
		return err
	}
	if !facts.AppArmor {
		fmt.Fprintln(c.App.ErrWriter, "note: this host has no AppArmor: files, signals and mounts are confined by the engine alone")
		return nil
	}
	text, err := os.ReadFile(loadedProfiles)
	if errors.Is(err, fs.ErrPermission) {
		fmt.Fprintf(c.App.ErrWriter, "note: whether the AppArmor profile %s is loaded only root can see\n", profile)
		return nil
	}
	if err != nil {
		return fmt.Errorf("see which AppArmor profiles are loaded: %w", err)
	}
	if !strings.Contains("\n"+string(text), "\n"+profile+" (") {
		return fmt.Errorf("the AppArmor profile %s is not loaded: apparmor_parser --replace %s", profile, filepath.Join(dir, gen.AppArmorFile))
	}
	return nil
}

// runEngine becomes the engine's client, or prints what it would become. The
// image is run by what it is, not by the name that it had a moment ago.
func runEngine(c *cli.Context, name, dir string, in formats.Input, ref string, args []string) error {
	engine, err := sandbox.FindEngine(name)
	if err != nil {
		return err
	}
	img, err := engine.Image(c.Context, ref)
	if err != nil {
		return err
	}
	if err := trust(c, dir, in.Plan.Image, known{ref, img.Digests}); err != nil {
		return err
	}
	facts, err := host.Read()
	if err != nil {
		return err
	}
	seccomp, err := filepath.Abs(filepath.Join(dir, gen.SeccompFile))
	if err != nil {
		return err
	}
	doc, err := formats.Render(name, in, formats.Options{SeccompPath: seccomp, WithoutAppArmor: !facts.AppArmor})
	if err != nil {
		return err
	}
	for _, w := range doc.Warnings {
		if w.Code != "image-by-digest" { // it is
			fmt.Fprintf(c.App.ErrWriter, "warning: %s [%s]\n", w.Sentence, w.Code)
		}
	}
	command := append([]string{"run"}, strings.Fields(string(doc.Text))...)
	if !c.IsSet("pass") {
		command = append(command, "--rm")
	}
	command = append(append(append(command, c.StringSlice("pass")...), img.ID), args...)
	if c.Bool("dry-run") {
		return printCommand(c, append([]string{name}, command...))
	}
	return engine.Exec(os.Environ(), command...)
}

// plainWord is what no shell makes anything else of, but in front of a command.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./-]+$`)

// printCommand prints a command line for a shell.
func printCommand(c *cli.Context, argv []string) error {
	words := make([]string, len(argv))
	for i, a := range argv {
		if plainWord.MatchString(a) {
			words[i] = a
			continue
		}
		quoted, err := syntax.Quote(a, syntax.LangPOSIX)
		if err != nil {
			return fmt.Errorf("argument %q: %w", a, err)
		}
		words[i] = quoted
	}
	fmt.Fprintln(c.App.Writer, strings.Join(words, " "))
	return nil
}

// runBare runs the image with an OCI runtime, without an engine.
func runBare(c *cli.Context, dir string, in formats.Input, ref string, args []string) error {
	rt, err := sandbox.FindRuntime(c.Context, "runc")
	if err != nil {
		return err
	}
	facts, err := host.Read()
	if err != nil {
		return err
	}
	ct := &sandbox.Container{
		Args: args, Runtime: rt, Stdio: sandbox.Inherit(),
		Confinement: sandbox.Confinement{Seccomp: in.Seccomp, Capabilities: in.Plan.Capabilities, Bounds: boundsOf(in.Plan.Run)},
	}
	if facts.AppArmor {
		ct.Confinement.AppArmor = in.Plan.Profile
	}
	if ct.Image, err = openImage(c, ref); err != nil {
		return err
	}
	defer closeImage(ct)
	if err := trust(c, dir, in.Plan.Image, knownImage(ct.Image)); err != nil {
		return err
	}
	if c.Bool("dry-run") {
		return printConfig(c, ct)
	}
	if err := ct.Start(c.Context, func(int) error { return nil }); err != nil {
		return err
	}
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		select {
		case <-c.Context.Done():
			ct.Stop()
		case <-stop:
		}
	}()
	code, err := ct.Wait()
	if err != nil {
		return err
	}
	if code != 0 {
		return exitError{code, nil}
	}
	return nil
}

// printConfig prints the configuration that runc is given.
func printConfig(c *cli.Context, ct *sandbox.Container) error {
	root, err := sandbox.Unpack(c.Context, ct.Image, ct.Limits)
	if err != nil {
		return err
	}
	defer root.Close()
	ct.Root = root
	config, err := ct.Config()
	if err != nil {
		return err
	}
	return printJSON(c.App.Writer, config)
}
