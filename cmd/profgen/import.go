package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/profgen/profgen/gen"
	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/abi"
	"github.com/profgen/profgen/internal/host"
	"github.com/profgen/profgen/internal/profiledir"
	"github.com/profgen/profgen/internal/record/auditlog"
)

func importCommand() *cli.Command {
	flags := []cli.Flag{
		&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "write the profile directory `DIR`"},
		&cli.BoolFlag{Name: "fresh", Usage: "forget the evidence that DIR already has instead of adding to it"},
		&cli.StringFlag{Name: "profile", Usage: "take AppArmor records of profile `NAME` only"},
		&cli.StringSliceFlag{Name: "comm", Usage: "take seccomp records of tasks called `NAME` only"},
		&cli.BoolFlag{Name: "denied", Usage: "take what was refused, and only that, for needed: to mend a profile by its denials"},
		&cli.StringFlag{Name: "arch", Usage: "the log is of an `ARCH`, amd64 or arm64", DefaultText: "this machine's"},
	}
	return &cli.Command{
		Name:      "import",
		Usage:     "take evidence from audit logs and strace output, and generate profiles",
		UsageText: "profgen import -o DIR [--profile NAME] [--comm NAME] [--denied] FILE...",
		Description: "FILE, or - for standard input, is what auditd, the journal or dmesg wrote of seccomp\n" +
			"(SCMP_ACT_LOG, and what was refused) and of AppArmor (complain mode, and what was\n" +
			"denied), or the output of strace -f -o FILE; strace -y makes more of names.\n\n" +
			"What a log does not tell, and what was lost of it, is in the evidence; where that may\n" +
			"make a profile too short, it takes --allow-incomplete.",
		Flags:        append(flags, generateFlags()...),
		OnUsageError: onUsageError,
		Action:       importAction,
	}
}

func importAction(c *cli.Context) error {
	dir := c.String("output")
	switch {
	case dir == "":
		return usage("import: want -o DIR, the profile directory to write")
	case c.NArg() == 0:
		return usage("import: nothing to import: want FILE..., audit logs or strace output, or - for standard input")
	}
	if err := gen.Check(generateOptions(c)); err != nil {
		return usage("import: %w", err)
	}
	arch, err := importArch(c.String("arch"))
	if err != nil {
		return err
	}
	opt := auditlog.Options{Native: arch, Profile: c.String("profile"), Comms: c.StringSlice("comm"), Denied: c.Bool("denied")}
	var found []evidence.Set
	for _, name := range c.Args().Slice() {
		set, err := importFile(c, name, opt)
		if err != nil {
			return fmt.Errorf("import %s: %w", name, err)
		}
		found = append(found, set)
	}
	unlock, err := profiledir.Lock(dir)
	if err != nil {
		return err
	}
	defer unlock()
	before, err := evidenceBefore(c, dir)
	if err != nil {
		return err
	}
	if opt.Denied && len(before.Facts) == 0 {
		return usage("import: --denied adds to what was recorded before, and %s has nothing", dir)
	}
	set := evidence.Merge(append(found, before)...)
	if err := profiledir.SaveEvidence(dir, set); err != nil {
		return err
	}
	return generateAndTell(c, dir, set)
}

// importArch is the ABI of the machine that a log is from.
func importArch(goarch string) (abi.Arch, error) {
	if goarch == "" {
		facts, err := host.Read()
		return facts.Arch, err
	}
	a, err := abi.ByGOARCH(goarch)
	if row, _ := a.Row(); err != nil || row.Compat {
		return "", usage("import: --arch %q: want amd64 or arm64, what the log's kernel is built for", goarch)
	}
	return a, nil
}

// importFile reads one log.
func importFile(c *cli.Context, name string, opt auditlog.Options) (evidence.Set, error) {
	file := os.Stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return evidence.Set{}, errors.Unwrap(err) // the name is said already
		}
		defer f.Close()
		file = f
	}
	report, err := auditlog.Read(file, opt)
	if err != nil {
		return evidence.Set{}, err
	}
	strace := report.Method == auditlog.StraceMethod
	switch {
	case strace && (opt.Denied || opt.Profile != "" || len(opt.Comms) > 0):
		return evidence.Set{}, usage("import %s: it is strace output; --denied, --profile and --comm choose among audit records", name)
	case len(report.Set.Facts) == 0:
		return evidence.Set{}, fmt.Errorf("nothing of the workload is in it: 0 records were taken, %d are of others", report.Others)
	}
	fmt.Fprintf(c.App.ErrWriter, "%s: %s, %d records, %d of others, %d things that it does not tell\n",
		name, report.Method, report.Records, report.Others, len(report.Set.Gaps))
	row, _ := opt.Native.Row()
	for i := range report.Set.Subjects {
		report.Set.Subjects[i].Platform = "linux/" + row.GOARCH
	}
	report.Set.Sources = []evidence.Source{{Tool: "profgen import", Version: version(), Method: report.Method}}
	return report.Set, nil
}
