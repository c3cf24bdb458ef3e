package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/profgen/profgen/gen/attest"
	"github.com/profgen/profgen/internal/profiledir"
)

func attestCommand() *cli.Command {
	return &cli.Command{
		Name:      "attest",
		Usage:     "write an in-toto statement about the image of a profile directory, for cosign to sign",
		ArgsUsage: "DIR",
		Description: "The statement is about the image's digest. It says what the image may do: run.json, and\n" +
			"the digest of every file of DIR; or, with --evidence, what was seen of it, as a runtime\n" +
			"trace. profgen signs nothing: the command that signs and attaches it is printed to\n" +
			"standard error. cosign wants the predicate alone, and makes the statement itself.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "evidence", Usage: "state what was observed, not what is allowed"},
			&cli.BoolFlag{Name: "predicate", Usage: "write the predicate alone, for cosign attest --predicate"},
		},
		OnUsageError: onUsageError,
		Action:       attestAction,
	}
}

func attestAction(c *cli.Context) error {
	dir, err := onlyArg(c, "DIR")
	if err != nil {
		return err
	}
	in, err := profiledir.Input(dir)
	if err != nil {
		return err
	}
	kind, file, option := attest.Policy, "policy.json", ""
	var predicate any
	if c.Bool("evidence") {
		kind, file, option = attest.Trace, "trace.json", "--evidence "
		set, err := profiledir.Evidence(dir)
		if err != nil {
			return err
		}
		predicate = attest.TracePredicate(set)
	} else {
		files, err := profiledir.Files(dir)
		if err != nil {
			return err
		}
		predicate = attest.PolicyPredicate(in.Plan, files)
	}
	command, err := attest.Command(in.Plan, kind, file)
	if err != nil {
		return err
	}
	text, err := attest.Encode(predicate)
	if !c.Bool("predicate") {
		text, err = attest.Statement(in.Plan, kind, predicate)
		fmt.Fprintf(c.App.ErrWriter, "sign and attach it: profgen attest %s--predicate %s > %s && %s\n", option, dir, file, command)
	}
	if err != nil {
		return err
	}
	_, err = c.App.Writer.Write(text)
	return err
}
