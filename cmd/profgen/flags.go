package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/profgen/profgen/gen"
	"github.com/profgen/profgen/gen/formats"
	"github.com/profgen/profgen/internal/profiledir"
)

func flagsCommand() *cli.Command {
	return &cli.Command{
		Name:      "flags",
		Usage:     "print how to run a container under a profile directory, in the format of who runs it",
		ArgsUsage: "DIR",
		Description: "docker run $(profgen flags DIR) IMAGE\n\n" +
			"Without --for the flags are those of DIR/docker.flags, for docker and podman alike, with\n" +
			"the path of the seccomp profile as seen from here. What a format cannot say is a warning\n" +
			"on standard error. The formats are\n\n" + formatList(),
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "for", Usage: "print `FORMAT`: " + strings.Join(formats.All(), ", ")},
			&cli.StringFlag{Name: "container", Usage: "call the container, service or task `NAME`", DefaultText: "the profile's name"},
			&cli.StringFlag{Name: "seccomp", Usage: "name `PATH` as the place of the seccomp profile"},
			&cli.StringFlag{Name: "image", Usage: "say it only if the image `REF` is the one that DIR was made for"},
			&cli.StringFlag{Name: "platform", Usage: "with --image: the image for `OS/ARCH`", DefaultText: "this machine's"},
			allowOtherFlag(),
			&cli.BoolFlag{Name: "without-apparmor", Usage: "leave the AppArmor profile out: podman refuses to name one on a host without AppArmor"},
			&cli.BoolFlag{Name: "strict", Usage: "exit with 3 if there is a warning"},
		},
		OnUsageError: onUsageError,
		Action:       flagsAction,
	}
}

func formatList() string {
	var out strings.Builder
	for _, name := range formats.All() {
		fmt.Fprintf(&out, "  %-14s %s\n", name, formats.About(name))
	}
	return strings.TrimSuffix(out.String(), "\n")
}

func flagsAction(c *cli.Context) error {
	dir, err := onlyArg(c, "DIR")
	if err != nil {
		return err
	}
	if err := checkImage(c, dir); err != nil {
		return err
	}
	if !c.IsSet("for") {
		if c.IsSet("container") || c.IsSet("seccomp") || c.IsSet("strict") {
			return usage("flags: --container, --seccomp and --strict want --for")
		}
		flags, err := profiledir.Flags(dir, c.Bool("without-apparmor"))
		if err != nil {
			return err
		}
		fmt.Fprintln(c.App.Writer, strings.Join(flags, "\n"))
		return nil
	}
	in, err := profiledir.Input(dir)
	if err != nil {
		return err
	}
	doc, err := formats.Render(c.String("for"), in, formats.Options{
		SeccompPath: seccompPath(c, dir), Container: c.String("container"), WithoutAppArmor: c.Bool("without-apparmor"),
	})
	if errors.Is(err, formats.ErrFormat) {
		return usage("flags: %w", err)
	}
	if err != nil {
		return err
	}
	for _, w := range append(in.Plan.Warnings, doc.Warnings...) {
		fmt.Fprintf(c.App.ErrWriter, "warning: %s [%s]\n", w.Sentence, w.Code)
	}
	if _, err := c.App.Writer.Write(doc.Text); err != nil {
		return err
	}
	if c.Bool("strict") && len(doc.Warnings) > 0 {
		return exitError{3, nil}
	}
	return nil
}

// checkImage refuses an image that the profile was not made for.
func checkImage(c *cli.Context, dir string) error {
	if !c.IsSet("image") {
		return nil
	}
	in, err := profiledir.Input(dir)
	if err != nil {
		return err
	}
	img, err := openImage(c, c.String("image"))
	if err != nil {
		return err
	}
	defer img.Close()
	return trust(c, dir, in.Plan.Image, knownImage(img))
}

// seccompPath is where the reader of a document finds the seccomp profile: flags
// are for who is here, files for elsewhere.
func seccompPath(c *cli.Context, dir string) string {
	if name := c.String("for"); !c.IsSet("seccomp") && (name == "docker" || name == "podman") {
		return filepath.Join(dir, gen.SeccompFile)
	}
	return c.String("seccomp")
}
