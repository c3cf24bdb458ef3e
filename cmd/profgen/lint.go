package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/profgen/profgen/gen"
	found "github.com/profgen/profgen/gen/findings"
	"github.com/profgen/profgen/gen/lint"
	"github.com/profgen/profgen/gen/runconfig"
	"github.com/profgen/profgen/gen/seccomp"
	"github.com/profgen/profgen/internal/profiledir"
)

func lintCommand() *cli.Command {
	return &cli.Command{
		Name:      "lint",
		Usage:     "say what is wrong with any profile, or with how somebody starts containers",
		ArgsUsage: "FILE|DIR...",
		Description: "A FILE is a seccomp profile, in the OCI form or the dialects of Docker and Podman, or an\n" +
			"AppArmor profile, whoever wrote it; a DIR is a profile directory. docker-default and\n" +
			"podman-default are the engines' own.\n\n" +
			"A FILE may also be a docker run or podman run command line, or a script with some, a Compose\n" +
			"file, a Kubernetes manifest, a Quadlet unit, or what docker inspect prints. Every finding has a rule, which stays the same, and\n" +
			"says what to do; --ignore leaves rules out.\n\n" +
			"--score counts what gets through, beside the engines' defaults, with the kernel's known\n" +
			"holes and whether a system call that each needs is refused.\n\n" +
			"JSON has {findings: [{rule, severity, message, remedy, location: {file, line, in}}],\n" +
			"scores: [{name, native, axes, breakouts, cves}]}.",
		Flags: append(formatFlags(),
			&cli.StringFlag{Name: "for", Usage: "review the seccomp profile as `READER` reads it: docker, podman, or kubernetes"},
			&cli.BoolFlag{Name: "score", Usage: "count what gets through"},
			&cli.BoolFlag{Name: "strict", Usage: "exit with 3 if there is an error or a warning"},
			&cli.BoolFlag{Name: "rules", Usage: "list the rules"},
			&cli.StringSliceFlag{Name: "ignore", Usage: "leave out what `RULE` finds"},
		),
		OnUsageError: onUsageError,
		Action:       lintAction,
	}
}

func lintAction(c *cli.Context) error {
	form, err := formatOf(c)
	if err != nil {
		return err
	}
	if c.Bool("rules") {
		return listRules(c, form)
	}
	if c.NArg() == 0 {
		return usage("lint: want a FILE or a DIR")
	}
	reader, err := readerOf(c.String("for"))
	if err != nil {
		return err
	}
	for _, id := range c.StringSlice("ignore") {
		if !slices.ContainsFunc(allRules(), func(r found.Rule) bool { return r.ID == id }) {
			return usage("lint: --ignore %q: no such rule; profgen lint --rules lists them", id)
		}
	}
	out := linted{Findings: []found.Finding{}, Scores: []scored{}}
	for _, operand := range c.Args().Slice() {
		if err := out.add(c, operand, reader); err != nil {
			return err
		}
	}
	out.Findings = found.Sort(out.Findings)
	if err := out.write(c, form); err != nil {
		return err
	}
	if worst := found.Worst(out.Findings); c.Bool("strict") && (worst == found.Error || worst == found.Warning) {
		return exitError{3, nil}
	}
	return nil
}

// readerOf is the consumer that the user names.
func readerOf(name string) (seccomp.Consumer, error) {
	switch name {
	case "":
		return "", nil
	case "docker":
		return seccomp.Docker, nil
	case "podman", "cri-o":
		return seccomp.Podman, nil
	case "kubernetes", "containerd":
		return seccomp.Containerd, nil
	}
	return "", usage("lint: --for %q: want docker, podman (cri-o reads alike) or kubernetes (through containerd)", name)
}

// linted is what lint prints.
type linted struct {
	Findings []found.Finding `json:"findings"`
	Scores   []scored        `json:"scores"`
}

type scored struct {
	Name string `json:"name"`
	lint.Score
}

// allRules are those for profiles and those for how containers are started.
func allRules() []found.Rule { return append(lint.Rules(), runconfig.Rules()...) }

// keep adds findings, but for those of rules that the user left out.
func (l *linted) keep(c *cli.Context, all []found.Finding) {
	for _, f := range all {
		if !slices.Contains(c.StringSlice("ignore"), f.Rule) {
			l.Findings = append(l.Findings, f)
		}
	}
}

// addRun reviews an operand that says how somebody starts containers; the error
// wraps [runconfig.ErrUnknown] if it does not.
func (l *linted) addRun(c *cli.Context, operand string) error {
	info, err := os.Stat(operand)
	if err != nil || info.IsDir() {
		return runconfig.ErrUnknown
	}
	text, err := profiledir.ReadFile(operand)
	if err != nil {
		return err
	}
	all, err := runconfig.Review(operand, text)
	l.keep(c, all)
	return err
}

// addSeen adds what a profile directory says of what its workload was seen to
// do to the host.
func (l *linted) addSeen(c *cli.Context, operand string) {
	info, err := os.Stat(operand)
	if err != nil || !info.IsDir() {
		return
	}
	in, err := profiledir.Input(operand)
	if err != nil {
		return // it may be half of one: its profiles are reviewed all the same
	}
	for _, w := range in.Plan.Warnings {
		if w.Code == "engine-socket" {
			l.keep(c, []found.Finding{runconfig.EngineUsed(filepath.Join(operand, gen.PlanFile), w.Sentence)})
		}
	}
}

// add reviews an operand.
func (l *linted) add(c *cli.Context, operand string, reader seccomp.Consumer) error {
	runErr := l.addRun(c, operand)
	if runErr == nil {
		return nil
	}
	r, err := review(operand)
	if err != nil && !errors.Is(runErr, runconfig.ErrUnknown) {
		return runErr
	}
	if err != nil {
		return err
	}
	l.addSeen(c, operand)
	in := lint.Input{
		Name: r.name, Seccomp: r.seccomp, SeccompName: r.seccompName, AppArmor: r.armor, AppArmorName: r.armorName,
		Capabilities: r.capabilities, For: reader,
	}
	all, err := lint.Review(in)
	if err != nil {
		return err
	}
	l.keep(c, all)
	if c.Bool("score") && r.seccomp != nil {
		s, err := lint.ScoreOf(in)
		if err != nil {
			return err
		}
		l.Scores = append(l.Scores, scored{r.name, s})
	}
	return nil
}

func (l *linted) write(c *cli.Context, form string) error {
	switch form {
	case "json":
		return printJSON(c.App.Writer, l)
	case "sarif":
		return found.WriteSARIF(c.App.Writer, found.Tool{Name: "profgen lint", Version: version(), Rules: allRules()}, l.Findings)
	}
	if err := found.Print(c.App.Writer, l.Findings); err != nil {
		return err
	}
	for _, s := range l.Scores {
		fmt.Fprintf(c.App.Writer, "score of %s\n", s.Name)
		if err := s.Print(c.App.Writer); err != nil {
			return err
		}
	}
	count := map[found.Severity]int{}
	for _, f := range l.Findings {
		count[f.Severity]++
	}
	fmt.Fprintf(c.App.ErrWriter, "%d errors, %d warnings, %d notes in %s\n",
		count[found.Error], count[found.Warning], count[found.Note], strings.Join(c.Args().Slice(), " "))
	return nil
}

func listRules(c *cli.Context, form string) error {
	if form == "json" {
		return printJSON(c.App.Writer, allRules())
	}
	for _, r := range allRules() {
		fmt.Fprintf(c.App.Writer, "%-28s %-8s %s\n", r.ID, r.Severity, r.Summary)
	}
	return nil
}
