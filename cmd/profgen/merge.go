package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/profgen/profgen/gen"
	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/profiledir"
)

func mergeCommand() *cli.Command {
	flags := []cli.Flag{
		&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "write the profile directory `DIR`"},
		&cli.BoolFlag{Name: "json", Usage: "print in how many runs each fact was, as JSON"},
	}
	return &cli.Command{
		Name:      "merge",
		Usage:     "put the evidence of several profile directories together, and generate profiles",
		UsageText: "profgen merge -o DIR A B...",
		Description: "The result allows what any of them needs, and says in how many of the recordings each\n" +
			"thing was seen: N of M. In which order they are merged makes no difference, and merging\n" +
			"the same again changes nothing. DIR may be one of A B..., and what else it has is\n" +
			"forgotten.",
		Flags:        append(flags, generateFlags()...),
		OnUsageError: onUsageError,
		Action:       mergeAction,
	}
}

func mergeAction(c *cli.Context) error {
	dir := c.String("output")
	switch {
	case dir == "":
		return usage("merge: want -o DIR, the profile directory to write")
	case c.NArg() == 0:
		return usage("merge: want the profile directories to merge: A B...")
	}
	if err := gen.Check(generateOptions(c)); err != nil {
		return usage("merge: %w", err)
	}
	var all []evidence.Set
	for _, name := range c.Args().Slice() {
		set, err := profiledir.Evidence(name)
		if err != nil {
			return err
		}
		all = append(all, set.AsRun())
	}
	unlock, err := profiledir.Lock(dir)
	if err != nil {
		return err
	}
	defer unlock()
	set := evidence.Merge(all...)
	if err := profiledir.SaveEvidence(dir, set); err != nil {
		return err
	}
	printMerged(c, set)
	if err := generateAndTell(c, dir, set); err != nil {
		return err
	}
	if c.Bool("json") {
		return printJSON(c.App.Writer, merged(set))
	}
	return nil
}

// mergedFact is a fact with the number of runs that saw it, for programs to read.
type mergedFact struct {
	Fact string `json:"fact"`
	Runs int    `json:"runs"`
}

func merged(set evidence.Set) any {
	out := struct {
		Runs  int          `json:"runs"`
		Facts []mergedFact `json:"facts"`
	}{len(set.Runs), []mergedFact{}}
	for _, seen := range set.Sightings() {
		out.Facts = append(out.Facts, mergedFact{factName(seen.Fact), len(seen.In)})
	}
	return out
}

// printMerged says how much the recordings agree.
func printMerged(c *cli.Context, set evidence.Set) {
	w, some, most := c.App.ErrWriter, 0, 20
	seen := set.Sightings()
	for _, s := range seen {
		if len(s.In) < len(set.Runs) {
			some++
		}
	}
	fmt.Fprintf(w, "merged %d runs: %d facts in all of them, %d only in some\n", len(set.Runs), len(seen)-some, some)
	for _, s := range seen {
		if len(s.In) == len(set.Runs) {
			continue
		}
		if most--; most < 0 {
			fmt.Fprintf(w, "  and %d more: --json\n", some-20)
			return
		}
		fmt.Fprintf(w, "  %d of %d  %s\n", len(s.In), len(set.Runs), factName(s.Fact))
	}
}
