package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/profgen/profgen/gen"
	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/gen/policy"
	"github.com/profgen/profgen/internal/abi"
	"github.com/profgen/profgen/internal/profiledir"
)

func coverageCommand() *cli.Command {
	return &cli.Command{
		Name:      "coverage",
		Usage:     "say how much of what the code can do was recorded, and what was not, by library",
		ArgsUsage: "DIR",
		Description: "What was recorded bounds the need from below, what static analysis found reachable from\n" +
			"above; the profile is in between. Listed is what is reachable and was never recorded, by\n" +
			"the object that has the system call in it, with the shortest path there.\n\n" +
			"JSON has {arch, of, recorded, allowed, more, reachable, unrecorded: [{object, calls:\n" +
			"[{name, path}]}], runs, lastNew, openGaps}.",
		Flags:        append([]cli.Flag{&cli.BoolFlag{Name: "json", Usage: "print all of it, as JSON"}}, generateFlags()...),
		OnUsageError: onUsageError,
		Action: func(c *cli.Context) error {
			dir, err := onlyArg(c, "DIR")
			if err != nil {
				return err
			}
			set, err := profiledir.Evidence(dir)
			if err != nil {
				return err
			}
			opt := generateOptions(c)
			opt.AllowIncomplete = true
			bundle, err := gen.Generate(set, opt)
			if err != nil {
				return err
			}
			cov := coverageOf(set, bundle.Policy)
			if c.Bool("json") {
				return printJSON(c.App.Writer, cov)
			}
			return cov.print(c.App.Writer)
		},
	}
}

// coverage is how much of what a workload's code can do was recorded: system
// calls of the native ABI, by name.
type coverage struct {
	Arch       abi.Arch     `json:"arch"`
	Of         int          `json:"of"` // calls that the ABI has
	Recorded   []string     `json:"recorded"`
	Allowed    []string     `json:"allowed"`    // for the workload
	More       []string     `json:"more"`       // for libc, the kernel and the runtime
	Reachable  []string     `json:"reachable"`  // by static analysis; none if there was none
	Unrecorded []unrecorded `json:"unrecorded"` // reachable, by object
	Runs       int          `json:"runs"`
	LastNew    int          `json:"lastNew"`  // the last of the runs with a fact that none before it had
	OpenGaps   int          `json:"openGaps"` // what static analysis could not find out
}

// unrecorded are calls that an object can make and was not seen to.
type unrecorded struct {
	Object string   `json:"object"`
	Calls  []behind `json:"calls"`
}

// behind is a call with the way to it.
type behind struct {
	Name string          `json:"name"`
	Path []evidence.Step `json:"path"`
}

func coverageOf(set evidence.Set, p policy.Policy) coverage {
	out := coverage{Recorded: []string{}, Allowed: []string{}, More: []string{}, Reachable: []string{}, Unrecorded: []unrecorded{}, Runs: len(set.Runs)}
	if len(p.Arches) > 0 {
		out.Arch, out.Of = p.Arches[0], len(p.Arches[0].Names())
	}
	for _, f := range set.Facts {
		f, ok := f.(evidence.Syscall)
		switch {
		case !ok || f.Arch != out.Arch || f.Phase == evidence.Runtime:
		case f.Basis == evidence.Reachable:
			out.Reachable = append(out.Reachable, f.Name)
		case f.Basis == evidence.Observed:
			out.Recorded = append(out.Recorded, f.Name)
		}
	}
	for _, r := range p.Syscalls {
		if r.Block == policy.Workload || r.Block == policy.Execd {
			out.Allowed = append(out.Allowed, r.Name)
		} else {
			out.More = append(out.More, r.Name)
		}
	}
	out.Recorded, out.Allowed, out.Reachable = unique(out.Recorded), unique(out.Allowed), unique(out.Reachable)
	out.More = slices.DeleteFunc(unique(out.More), func(n string) bool { return slices.Contains(out.Allowed, n) })
	out.Unrecorded = out.byObject(set.Witnesses)
	for _, g := range set.Gaps {
		if g.Open() {
			out.OpenGaps++
		}
	}
	var runs []evidence.Set
	for _, r := range set.Runs {
		runs = append(runs, evidence.Set{Facts: r.Facts})
	}
	out.LastNew = evidence.Compare(runs).LastNew
	return out
}

// unique is names in order, each once, and never nil.
func unique(names []string) []string {
	return append([]string{}, slices.Compact(slices.Sorted(slices.Values(names)))...)
}

// byObject groups what is reachable and was not recorded by the object that the
// shortest way to it ends in.
func (c coverage) byObject(witnesses []evidence.Witness) []unrecorded {
	best := map[string]evidence.Witness{}
	for _, w := range witnesses {
		if w.Arch != c.Arch || w.Syscall == "" || w.Basis != evidence.Reachable {
			continue
		}
		if old, ok := best[w.Syscall]; !ok || len(w.Path) > 0 && (len(old.Path) == 0 || len(w.Path) < len(old.Path)) {
			best[w.Syscall] = w
		}
	}
	groups := map[string][]behind{}
	for _, name := range c.Reachable {
		if slices.Contains(c.Recorded, name) {
			continue
		}
		w := best[name]
		object := cmp.Or(w.Reason, "not known")
		if n := len(w.Path); n > 0 {
			object = w.Path[n-1].Object
		}
		groups[object] = append(groups[object], behind{name, append([]evidence.Step{}, w.Path...)})
	}
	out := []unrecorded{}
	for _, object := range slices.Sorted(maps.Keys(groups)) {
		out = append(out, unrecorded{object, groups[object]})
	}
	return out
}

func (c coverage) print(w io.Writer) error {
	var out strings.Builder
	reachable := "not scanned"
	if len(c.Reachable) > 0 {
		reachable = fmt.Sprintf("%d reachable", len(c.Reachable))
		if c.OpenGaps > 0 {
			reachable += fmt.Sprintf(" and %d gaps", c.OpenGaps)
		}
	}
	fmt.Fprintf(&out, "%d recorded, %d allowed (and %d more for libc, the kernel and the runtime), %s, of %d system calls of %s\n",
		len(c.Recorded), len(c.Allowed), len(c.More), reachable, c.Of, c.Arch)
	if c.Runs > 0 {
		fmt.Fprintf(&out, "%d runs, the last new fact in run %d\n", c.Runs, c.LastNew)
	}
	for _, u := range c.Unrecorded {
		fmt.Fprintf(&out, "%s: %d reachable, never recorded\n", u.Object, len(u.Calls))
		for _, call := range u.Calls {
			fmt.Fprintf(&out, "  %-22s %s\n", call.Name, way(call.Path))
		}
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// way is a path on one line: its beginning, and its end.
func way(path []evidence.Step) string {
	const most = 4
	var words []string
	for i, s := range path {
		if len(path) > most && i == 1 {
			words = append(words, "…")
		}
		if len(path) > most && i > 0 && i < len(path)-most+2 {
			continue
		}
		words = append(words, cmp.Or(s.Function, fmt.Sprintf("+%#x", s.Offset)))
	}
	return strings.Join(words, " → ")
}
