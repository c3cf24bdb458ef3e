package main

import (
	"cmp"
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/host"
	"github.com/profgen/profgen/internal/profiledir"
	"github.com/profgen/profgen/internal/sandbox"
)

func runsFlag() cli.Flag {
	return &cli.IntFlag{Name: "runs", Usage: "record it `N` times, and say how much the recordings agree", Value: 1}
}

func compareFlag() cli.Flag {
	return &cli.BoolFlag{Name: "json", Usage: "with --runs: print how much the recordings agree, as JSON; what the workload prints goes to standard error"}
}

// workloadStdio is profgen's own, unless that is for profgen's own output.
func workloadStdio(c *cli.Context) sandbox.Stdio {
	if c.Bool("json") {
		return sandbox.Talk()
	}
	return sandbox.Inherit()
}

// checkRuns finds what is wrong with --runs.
func checkRuns(c *cli.Context) error {
	switch n := c.Int("runs"); {
	case n == 1 && c.Bool("json"):
		return usage("record: --json tells how much several recordings agree: want --runs N")
	case n < 1:
		return usage("record: --runs %d: want at least one", n)
	case n > 1 && (c.IsSet("pid") || c.IsSet("container")):
		return usage("record: --runs is for what can be started again, not for what runs already")
	}
	return nil
}

// recordRuns records a workload several times into dir. Each recording is kept
// as soon as it is made; the first that fails, or an interrupt, ends them.
func recordRuns(c *cli.Context, facts host.Facts, dir string) error {
	all, err := evidenceBefore(c, dir)
	if err != nil {
		return err
	}
	n, w := c.Int("runs"), c.App.ErrWriter
	var runs []evidence.Set
	for len(runs) < n && c.Context.Err() == nil {
		set, before, err := recordOnce(c, facts, dir, all, len(runs) == 0)
		if err != nil {
			return fmt.Errorf("run %d of %d: %w", len(runs)+1, n, err)
		}
		runs = append(runs, set)
		all = evidence.Merge(before, set)
		fmt.Fprintf(w, "run %d of %d: %d facts, %d of them new\n", len(runs), n,
			evidence.Compare(runs[len(runs)-1:]).Always, evidence.Compare(runs).New[len(runs)-1])
	}
	if err := profiledir.SaveEvidence(dir, all); err != nil {
		return err
	}
	agreed := evidence.Compare(runs)
	printStability(w, agreed)
	if err := generateAndTell(c, dir, all); err != nil || !c.Bool("json") {
		return err
	}
	return printJSON(c.App.Writer, stability(agreed))
}

// stability is how much recordings agree, for programs to read.
func stability(s evidence.Stability) any {
	type sighting struct {
		Fact string `json:"fact"`
		In   []int  `json:"in"` // runs, from 1 on
	}
	out := struct {
		evidence.Stability
		Sometimes []sighting `json:"sometimes"`
	}{s, []sighting{}}
	for _, seen := range s.Sometimes {
		one := sighting{Fact: factName(seen.Fact)}
		for _, i := range seen.In {
			one.In = append(one.In, i+1)
		}
		out.Sometimes = append(out.Sometimes, one)
	}
	return out
}

// recordOnce makes one of several recordings, and returns with it what of the
// evidence before it still holds.
func recordOnce(c *cli.Context, facts host.Facts, dir string, before evidence.Set, first bool) (set, rest evidence.Set, err error) {
	rec, err := newRecorder(c, facts)
	if err != nil {
		return set, rest, err
	}
	defer rec.Close()
	if first {
		rec.tell(c)
	}
	run, done, err := newRun(c, facts, rec)
	if err != nil {
		return set, rest, err
	}
	defer done()
	res, rest, err := perform(c, dir, run, before)
	if err != nil {
		return set, rest, err
	}
	if res.Code != 0 && !res.Stopped {
		return set, rest, exitError{res.Code, fmt.Errorf("the workload ended with exit code %d", res.Code)}
	}
	of, err := ofImage(c.Context, run)
	return evidence.Merge(res.Evidence.AsRun(rest), of), rest, err
}

// printStability says how much recordings agree: a reader can judge by it whether
// a further one would have shown more.
func printStability(w io.Writer, s evidence.Stability) {
	const most = 20
	fmt.Fprintf(w, "compared %d runs: %d facts in all of them, %d only in some\n", s.Runs, s.Always, len(s.Sometimes))
	fmt.Fprintf(w, "  the last new one came in run %d\n", s.LastNew)
	for i, seen := range s.Sometimes {
		if i == most {
			fmt.Fprintf(w, "  and %d more\n", len(s.Sometimes)-most)
			break
		}
		fmt.Fprintf(w, "  %d of %d  %s\n", len(seen.In), s.Runs, factName(seen.Fact))
	}
	if s.LastNew == s.Runs && s.Runs > 1 {
		fmt.Fprintln(w, "  a further run may well show more: --runs takes a higher number")
	}
}

// factName tells people what a fact is about.
func factName(f evidence.Fact) string {
	switch f := f.(type) {
	case evidence.Syscall:
		name := fmt.Sprintf("%s (%s, %s)", f.Name, f.Arch, f.Phase)
		for _, a := range f.Args {
			name += fmt.Sprintf(" arg%d=%#x", a.Index, a.Value)
		}
		return name
	case evidence.Capability:
		return fmt.Sprintf("%s in %s (%s), granted %t", f.Cap, cmp.Or(f.Syscall, "no call"), f.Phase, f.Granted)
	case evidence.Socket:
		return fmt.Sprintf("socket family %d type %d protocol %d (%s)", f.Family, f.Type, f.Protocol, f.Phase)
	case evidence.FileAccess:
		return fmt.Sprintf("file %s %s %s(%s)", f.Path, f.Perms, spaced(f.Errno), f.Phase)
	case evidence.Executed:
		return fmt.Sprintf("exec of %s (%s)", f.Path, f.Phase)
	case evidence.Signal:
		return fmt.Sprintf("signal %d to %s (%s)", f.Number, f.Peer, f.Phase)
	case evidence.Ptrace:
		return fmt.Sprintf("ptrace %s of %s (%s)", f.Access, f.Peer, f.Phase)
	case evidence.Mount:
		return fmt.Sprintf("%s %s (%s)", f.Op, f.Target, f.Phase)
	case evidence.Resource:
		return fmt.Sprintf("%s %d (%s)", f.Kind, f.Value, f.Phase)
	case evidence.Identity:
		return fmt.Sprintf("user %d group %d (%s)", f.UID, f.GID, f.Phase)
	case evidence.Privileged:
		return "privileges of " + f.Path.String()
	}
	return fmt.Sprint(f)
}

func spaced(s string) string {
	if s == "" {
		return ""
	}
	return s + " "
}
