package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/google/renameio/v2"
	"github.com/urfave/cli/v2"

	"github.com/profgen/profgen/gen/apparmor/syntax"
)

func fmtCommand() *cli.Command {
	return &cli.Command{
		Name:      "fmt",
		Usage:     "write AppArmor policy in one canonical form",
		ArgsUsage: "[FILE...]",
		Description: "Profiles, abstractions and tunables that people already have are sorted and aligned;\n" +
			"comments and sections stay where they are, and what is compiled from them does not\n" +
			"change. Without FILE, standard input goes to standard output.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "write", Aliases: []string{"w"}, Usage: "rewrite each FILE in place instead of printing it"},
			&cli.BoolFlag{Name: "check", Usage: "print nothing but the names of files that are not in canonical form; exit code 1 if there are any"},
		},
		OnUsageError: onUsageError,
		Action:       fmtAction,
	}
}

func fmtAction(c *cli.Context) error {
	if c.Bool("write") && c.Bool("check") {
		return usage("fmt: want one of --write and --check, not both")
	}
	if !c.Args().Present() {
		if c.Bool("write") || c.Bool("check") {
			return usage("fmt: --write and --check want FILE...")
		}
		text, err := io.ReadAll(c.App.Reader)
		if err != nil {
			return fmt.Errorf("read standard input: %w", err)
		}
		out, err := formatted("standard input", text)
		if err != nil {
			return err
		}
		_, err = c.App.Writer.Write(out)
		return err
	}
	var errs []error
	for _, name := range c.Args().Slice() {
		errs = append(errs, fmtFile(c, name))
	}
	return errors.Join(errs...)
}

// errNotFormatted is what --check finds; the name is printed already.
var errNotFormatted = exitError{code: 1}

func fmtFile(c *cli.Context, name string) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	out, err := formatted(name, text)
	switch {
	case err != nil:
		return err
	case c.Bool("check"):
		if bytes.Equal(out, text) {
			return nil
		}
		fmt.Fprintln(c.App.Writer, name)
		return errNotFormatted
	case !c.Bool("write"):
		_, err = c.App.Writer.Write(out)
		return err
	case bytes.Equal(out, text):
		return nil
	}
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	return renameio.WriteFile(name, out, info.Mode().Perm())
}

func formatted(name string, text []byte) ([]byte, error) {
	f, err := syntax.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("read AppArmor policy %s: %w", name, err)
	}
	return syntax.Format(f.Canonical()), nil
}
