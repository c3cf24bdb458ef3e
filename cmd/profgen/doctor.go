package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/armor"
	"github.com/profgen/profgen/internal/host"
	"github.com/profgen/profgen/internal/record"
	"github.com/profgen/profgen/internal/record/auditlog"
	"github.com/profgen/profgen/internal/record/ebpf"
	"github.com/profgen/profgen/internal/record/usernotif"
	"github.com/profgen/profgen/internal/sandbox"
	"github.com/profgen/profgen/internal/scmp"
)

func doctorCommand() *cli.Command {
	return &cli.Command{
		Name:  "doctor",
		Usage: "say what works on this host, and what to do about the rest",
		Description: "Each mechanism is tried: programs are loaded, namespaces made, engines asked, as record\n" +
			"and verify do, and nothing of it stays. What it says is about whoever runs it: run it as\n" +
			"the user who will record.",
		Flags:        []cli.Flag{&cli.BoolFlag{Name: "json", Usage: "print JSON"}},
		OnUsageError: onUsageError,
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return usage("doctor: takes no arguments; got %q", c.Args().First())
			}
			groups := examine(c.Context)
			if c.Bool("json") {
				return printJSON(c.App.Writer, groups)
			}
			return printFindings(c.App.Writer, groups)
		},
	}
}

// findings are mechanisms that serve one end.
type findings struct {
	For        string           `json:"for"`
	Mechanisms []host.Mechanism `json:"mechanisms"`
}

// examine tries everything.
func examine(ctx context.Context) []findings {
	return []findings{
		{"recording", append(ebpf.Mechanisms(), notified(ctx), audited())},
		{"recording by the kernel", append(host.Mechanisms(), stracePrograms()...)},
		{"running", sandbox.Mechanisms(ctx)},
		{"profiles", profileMechanisms(ctx)},
	}
}

// notified has a program recorded by seccomp user notification: that a filter
// cannot be loaded, for whatever reason, shows no other way.
func notified(ctx context.Context) host.Mechanism {
	rec, err := usernotif.New()
	if err == nil {
		defer rec.Close()
		_, err = record.Run{
			Recorder: rec, Start: record.AtExec, Save: func(evidence.Set) error { return nil },
			Target: &sandbox.Command{Argv: []string{"true"}, Listener: rec.Listener()},
		}.Do(ctx)
	}
	return host.Tried("usernotif recorder", err, usernotif.Method, "use Linux 5.5 or later, outside of what is supervised so already")
}

// audited asks for the kernel's audit records.
func audited() host.Mechanism {
	log, err := armor.Listen()
	if err == nil {
		err = log.Close()
	}
	return host.Tried("auditlog recorder", err, auditlog.AuditMethod, "run as root of the host; it takes a kernel with CONFIG_AUDIT")
}

func stracePrograms() []host.Mechanism {
	path, err := exec.LookPath("strace")
	return []host.Mechanism{host.Tried("strace (profgen import)", err, path, "apt-get install strace")}
}

// profileMechanisms are what reads the profiles that profgen writes.
func profileMechanisms(ctx context.Context) []host.Mechanism {
	version, err := scmp.Version()
	level := uint(0)
	if err == nil {
		level, err = scmp.APILevel()
	}
	return []host.Mechanism{
		host.Tried("libseccomp (verify)", err, fmt.Sprintf("%s, API level %d", version, level),
			"build with CGO_ENABLED=1 and libseccomp-dev; without it verify does not say what a profile compiles to"),
		host.Tried("apparmor_parser", parse(ctx), "", "apt-get install apparmor; only loading a profile takes it"),
	}
}

// parse has apparmor_parser compile a profile, which takes no AppArmor in the
// kernel.
func parse(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, "apparmor_parser", "-QTK", "--quiet")
	cmd.Stdin = strings.NewReader("profile profgen-doctor { /etc/hostname r, }\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w %.200s", err, bytes.TrimSpace(out))
	}
	return nil
}

func printFindings(w io.Writer, groups []findings) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, g := range groups {
		fmt.Fprintf(out, "%s\n", g.For)
		for _, m := range g.Mechanisms {
			fmt.Fprintf(out, "  %s\t%s\t%s\n", m.Name, m.State, oneLine(m.Detail))
			if m.Do != "" {
				fmt.Fprintf(out, "  \t\tto do: %s\n", m.Do)
			}
		}
	}
	return out.Flush()
}

// oneLine keeps what an engine or a kernel says from breaking the table.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
