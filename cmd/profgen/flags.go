package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/profgen/profgen/internal/profiledir"
)

func flagsCommand() *cli.Command {
	return &cli.Command{
		Name:      "flags",
		Usage:     "print the docker run (or podman run) flags of a profile directory",
		ArgsUsage: "DIR",
		Description: "docker run $(profgen flags DIR) IMAGE\n\n" +
			"The flags are those of DIR/docker.flags, with the path of the seccomp profile as\n" +
			"seen from here.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "without-apparmor", Usage: "leave the AppArmor profile out: podman refuses to name one on a host without AppArmor"},
		},
		OnUsageError: onUsageError,
		Action: func(c *cli.Context) error {
			dir, err := onlyArg(c, "DIR")
			if err != nil {
				return err
			}
			flags, err := profiledir.Flags(dir, c.Bool("without-apparmor"))
			if err != nil {
				return err
			}
			fmt.Fprintln(c.App.Writer, strings.Join(flags, "\n"))
			return nil
		},
	}
}
