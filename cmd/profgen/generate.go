package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/profgen/profgen/gen"
	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/gen/policy"
	"github.com/profgen/profgen/internal/profiledir"
	"github.com/profgen/profgen/internal/verify"
)

func generateCommand() *cli.Command {
	return &cli.Command{
		Name:         "generate",
		Usage:        "make the files of a profile directory from its evidence",
		ArgsUsage:    "DIR",
		Flags:        generateFlags(),
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
			return generateAndTell(c, dir, set)
		},
	}
}

// generateFlags are the flags of every command that generates.
func generateFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "name", Usage: "call the profile `NAME` instead of after the image"},
		&cli.StringSliceFlag{Name: "keep", Usage: "allow system call or capability `NAME` whatever was recorded"},
		&cli.StringSliceFlag{Name: "deny", Usage: "refuse system call or capability `NAME` whatever was recorded"},
		&cli.StringSliceFlag{Name: "floor", Value: cli.NewStringSlice(gen.DefaultFloors()...), Usage: "let OCI runtime `NAME` start the container"},
		&cli.BoolFlag{Name: "tight", Usage: "allow what was observed, and not what the code is merely found to reach"},
		&cli.StringSliceFlag{Name: "relax", Usage: "let the AppArmor profile fit images like it: `WHAT` is libs, any shared object beside one, or versions, any number in a name"},
		&cli.BoolFlag{Name: "writable", Usage: "leave the root file system of the container writable"},
		&cli.BoolFlag{Name: "complain", Usage: "make an AppArmor profile that logs and forbids nothing"},
		&cli.StringFlag{Name: "apparmor-abi", Usage: "pin the AppArmor profile to what AppArmor `VERSION` asks about: 3.0; 4.0, user namespaces and message queues too; or none", Value: "3.0"},
		&cli.BoolFlag{Name: "allow-incomplete", Usage: "make a profile from evidence known to lack something"},
	}
}

func generateOptions(c *cli.Context) gen.Options {
	return gen.Options{
		Options: policy.Options{
			Name:  c.String("name"),
			Keep:  c.StringSlice("keep"),
			Deny:  c.StringSlice("deny"),
			Tight: c.Bool("tight"),

			WritableRoot: c.Bool("writable"),
			Relax:        c.StringSlice("relax"),
		},
		Floors:          c.StringSlice("floor"),
		AllowIncomplete: c.Bool("allow-incomplete"),
		Complain:        c.Bool("complain"),
		AppArmorABI:     c.String("apparmor-abi"),
	}
}

// accept is the last resort of every cure.
const accept = "--allow-incomplete makes a profile all the same"

// cure says what to do about evidence that is incomplete.
func cure(set evidence.Set) string {
	cures := map[evidence.GapKind]string{
		evidence.Lost:              "record again with --fresh; " + accept,
		evidence.Unfinished:        "record again: what was seen so far is kept; " + accept,
		evidence.Unchecked:         "record again until the check succeeds; " + accept,
		evidence.UnseenStart:       "record it from its start, with --image or a command; " + accept,
		evidence.UnresolvedSyscall: "static analysis does not know what that code calls: record the workload too; " + accept,
		evidence.Unreadable:        "what cannot be read cannot be analysed: see that the image is whole; " + accept,
		evidence.UnknownSyscall:    "under the profile such a call answers ENOSYS, as it does on a kernel without it; " + accept,
	}
	return cures[set.Incomplete()[0].Kind]
}

// generate makes the files of dir from set.
func generate(c *cli.Context, dir string, set evidence.Set) (gen.Bundle, error) {
	bundle, _, err := generateProved(c, dir, set)
	return bundle, err
}

// generateProved makes the files of dir from set. Before any of them is written
// the seccomp filter has given every answer that it was to give.
func generateProved(c *cli.Context, dir string, set evidence.Set) (gen.Bundle, verify.Evaluation, error) {
	bundle, err := generateOnly(c, set)
	if errors.Is(err, gen.ErrIncomplete) {
		return gen.Bundle{}, verify.Evaluation{}, fmt.Errorf("%w\nprofgen: hint: %s", err, cure(set))
	}
	if errors.Is(err, policy.ErrNotReachable) {
		return gen.Bundle{}, verify.Evaluation{}, fmt.Errorf("%w\nprofgen: hint: scan with the arguments that the recording had, or start one of them over with --fresh; %s", err, accept)
	}
	if err != nil {
		return gen.Bundle{}, verify.Evaluation{}, err
	}
	proof, err := prove(c.App.ErrWriter, bundle)
	if err != nil {
		return gen.Bundle{}, verify.Evaluation{}, err
	}
	return bundle, proof, profiledir.SaveBundle(dir, bundle)
}

// generateOnly makes the files, and writes none.
func generateOnly(c *cli.Context, set evidence.Set) (gen.Bundle, error) {
	return gen.Generate(set, generateOptions(c))
}

// prove has the filter of a bundle answer, and notes what a libseccomp as old as
// the one here would skip.
func prove(w io.Writer, b gen.Bundle) (verify.Evaluation, error) {
	i := slices.IndexFunc(b.Files, func(f gen.File) bool { return f.Name == gen.SeccompFile })
	proof, err := verify.Evaluate(b.Policy, b.Files[i].Bytes)
	if err != nil {
		return proof, err
	}
	var skipped []string
	for _, r := range b.Policy.Syscalls {
		if slices.Contains(proof.Skipped, r.Name) {
			skipped = append(skipped, r.Name)
		}
	}
	if len(skipped) > 0 {
		fmt.Fprintf(w, "note: %s does not know %s, which the profile allows: runtimes that are linked with it will answer ENOSYS\n",
			proof.By, strings.Join(slices.Compact(skipped), " "))
	}
	return proof, nil
}

// generateAndTell makes the files of dir, and tells what they are and what to do
// with them.
func generateAndTell(c *cli.Context, dir string, set evidence.Set) error {
	bundle, proof, err := generateProved(c, dir, set)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.App.ErrWriter, "checked %d answers of the seccomp filter, by %s: all are as decided\n", proof.Points, proof.By)
	summarize(c.App.ErrWriter, dir, bundle)
	nextSteps(c.App.ErrWriter, dir)
	return nil
}

// summarize tells in a few lines what a profile is.
func summarize(w io.Writer, dir string, b gen.Bundle) {
	own, more := map[string]bool{}, map[string]bool{}
	for _, r := range b.Policy.Syscalls {
		if r.Block == policy.Workload || r.Block == policy.Execd {
			own[r.Name] = true
		} else {
			more[r.Name] = true
		}
	}
	fmt.Fprintf(w, "profile %s in %s\n", b.Name, dir)
	fmt.Fprintf(w, "  system calls  %d for the workload, %d more for libc, the kernel and the container runtime\n", len(own), len(more))
	fmt.Fprintf(w, "  capabilities  %s\n", orNone(b.Policy.Capabilities))
	fmt.Fprintf(w, "  sockets       %s\n", orNone(sockets(b.Policy.Network)))
	const most = 4
	for i, warning := range gravestFirst(b.Policy.Warnings) {
		if i == most {
			fmt.Fprintf(w, "  and %d more warnings\n", len(b.Policy.Warnings)-most)
			break
		}
		fmt.Fprintf(w, "  warning       %s\n", warning.Sentence)
	}
	for _, advice := range b.Policy.Run.Warnings {
		if advice.Code == "become-user" { // the one thing to do that takes privileges away
			fmt.Fprintf(w, "  advice        %s\n", advice.Sentence)
		}
	}
}

// gravestFirst puts what says that profgen itself was wrong before the rest.
func gravestFirst(warnings []policy.Warning) []policy.Warning {
	grave := func(w policy.Warning) int {
		if strings.HasSuffix(w.Code, "not-reachable") {
			return 0
		}
		return 1
	}
	return slices.SortedStableFunc(slices.Values(warnings), func(a, b policy.Warning) int { return grave(a) - grave(b) })
}

// nextSteps tells what to do with a profile directory.
func nextSteps(w io.Writer, dir string) {
	fmt.Fprintf(w, "next: docker run $(profgen flags %s) IMAGE\n", dir)
	fmt.Fprintf(w, "      where there is AppArmor, first: apparmor_parser --replace %s\n", filepath.Join(dir, gen.AppArmorFile))
}

func sockets(all []policy.Network) []string {
	var out []string
	for _, n := range all {
		out = append(out, cmp.Or(n.Family, "any")+"/"+cmp.Or(n.Type, "any"))
	}
	return out
}
