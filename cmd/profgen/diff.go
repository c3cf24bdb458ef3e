package main

import (
	"io"

	"github.com/urfave/cli/v2"

	"github.com/profgen/profgen/gen/diff"
	found "github.com/profgen/profgen/gen/findings"
	"github.com/profgen/profgen/profiles"
)

func diffCommand() *cli.Command {
	return &cli.Command{
		Name:      "diff",
		Usage:     "say what a profile allows that another does not",
		ArgsUsage: "A B",
		Description: "A and B are profile directories, or two files: seccomp profiles in the OCI form or\n" +
			"in the dialects of Docker and Podman, or AppArmor profiles. docker-default and\n" +
			"podman-default are the engines' own. Compared is what they mean: rules that are\n" +
			"reordered, split or merged are the same.\n\n" +
			"JSON has {from, to, verdict, axes: [{axis, verdict, changes: [{subject, verdict, from,\n" +
			"to, where, example}]}], notes}; a verdict is same, widened, narrowed, mixed or changed.",
		Flags: append(formatFlags("markdown"),
			&cli.StringFlag{Name: "fail-on", Usage: "exit with 3 if B is `widen`ed: allows anything that A does not"},
			&cli.StringFlag{Name: "include", Value: policyDir, Usage: "read what AppArmor profiles include from `DIR`"},
		),
		OnUsageError: onUsageError,
		Action:       diffAction,
	}
}

func diffAction(c *cli.Context) error {
	if c.NArg() != 2 {
		return usage("diff: want two arguments, A and B; got %d", c.NArg())
	}
	if on := c.String("fail-on"); on != "" && on != "widen" {
		return usage("diff: --fail-on %q: want widen", on)
	}
	form, err := formatOf(c, "markdown")
	if err != nil {
		return err
	}
	var sides [2]diff.Side
	for i := range sides {
		r, err := review(c.Args().Get(i))
		if err != nil {
			return err
		}
		sides[i] = diff.Side{
			Name: r.name, Seccomp: r.seccomp, Capabilities: r.capabilities, AppArmor: r.armor,
			Includes: includesFrom(c.String("include")), Assumed: profiles.DockerCapabilities(),
		}
	}
	report, err := diff.Compare(sides[0], sides[1])
	if err != nil {
		return err
	}
	if err := writeDiff(c.App.Writer, form, report); err != nil {
		return err
	}
	if c.String("fail-on") == "widen" && report.Verdict.Widens() {
		return exitError{3, nil}
	}
	return nil
}

func writeDiff(w io.Writer, form string, r diff.Report) error {
	switch form {
	case "json":
		return printJSON(w, r)
	case "markdown":
		return r.Markdown(w)
	case "sarif":
		return found.WriteSARIF(w, found.Tool{Name: "profgen diff", Version: version(), Rules: diff.Rules()}, r.Findings())
	}
	return r.Print(w)
}
