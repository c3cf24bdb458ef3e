// Package gen turns evidence into the files of a profile directory. It is
// pure: it reads no clock, no environment and no host, so that the same
// evidence gives the same bytes on any machine.
package gen

import (
	"errors"
	"fmt"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/profgen/profgen/gen/apparmor"
	"github.com/profgen/profgen/gen/caps"
	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/gen/formats"
	"github.com/profgen/profgen/gen/policy"
	"github.com/profgen/profgen/gen/seccomp"
	"github.com/profgen/profgen/internal/abi"
	"github.com/profgen/profgen/profiles"
)

// Options are the user's say in what is generated.
type Options struct {
	policy.Options
	// Floors names the runtimes that the profile must let start a container:
	// profiles.Floors. What the recording saw its own runtime do is allowed in
	// any case.
	Floors []string
	// AllowIncomplete makes a profile even though the evidence says that it may
	// lack something, or contradicts itself ([policy.ErrNotReachable]).
	AllowIncomplete bool
	// AppArmorABI is what the AppArmor profile is written against; "" is 3.0.
	AppArmorABI string
	// Complain makes an AppArmor profile that logs and forbids nothing.
	Complain bool
}

// DefaultFloors are the runtimes that every profile lets start: those that
// docker, podman, containerd and CRI-O use today, with no_new_privs as the
// emitted flags set it.
func DefaultFloors() []string { return []string{"runc-1.1", "runc-1.2", "crun"} }

// The files of a profile directory that Generate makes.
const (
	SeccompFile      = "seccomp.json"
	AppArmorFile     = "apparmor"
	CapabilitiesFile = "capabilities"
	FlagsFile        = "docker.flags"
	PlanFile         = "run.json"
)

// Bundle is a profile directory: its files, and why they are what they are.
type Bundle struct {
	Name  string // of the profile
	Files []File // sorted by name
	// Policy is what the files spell out, with Decisions and Warnings.
	Policy policy.Policy
}

// File is one emitted file.
type File struct {
	Name  string
	Bytes []byte
}

// ErrIncomplete is the error for evidence with gaps that recording again can
// cure.
var ErrIncomplete = errors.New("the evidence is incomplete")

// Generate makes the files of a profile directory from evidence. It refuses
// incomplete evidence ([ErrIncomplete]) unless told otherwise, and never
// returns a profile that would refuse what the evidence shows the workload
// doing, but for what it refuses by decision: clone3 and what the user denies.
func Generate(set evidence.Set, opt Options) (Bundle, error) {
	if err := Check(opt); err != nil {
		return Bundle{}, err
	}
	if gaps := set.Incomplete(); len(gaps) > 0 && !opt.AllowIncomplete {
		return Bundle{}, fmt.Errorf("%w: %s", ErrIncomplete, describe(gaps))
	}
	floor, err := floorEvidence(set, opt.Floors)
	if err != nil {
		return Bundle{}, err
	}
	opt.UnseenCapabilities = profiles.DockerCapabilities()
	opt.CapabilityCeiling = profiles.DockerCapabilities()
	opt.AllowUnreachable = opt.AllowIncomplete
	p, err := policy.Decide(evidence.Merge(set, floor), opt.Options)
	if err != nil {
		return Bundle{}, err
	}
	files, err := render(p, set, opt)
	if err != nil {
		return Bundle{}, err
	}
	if err := selfCheck(p, set, opt.Tight); err != nil {
		return Bundle{}, err
	}
	if err := checkFiles(files[0].Bytes, p, set); err != nil {
		return Bundle{}, err
	}
	return Bundle{Name: p.Name, Files: files, Policy: p}, nil
}

// Check reports what is wrong with options whatever the evidence, so that
// nobody records for an hour to learn of a misspelt name.
func Check(opt Options) error {
	for _, name := range opt.Floors {
		if _, err := profiles.FloorByName(name); err != nil {
			return err
		}
	}
	if err := apparmor.ABI(opt.AppArmorABI).Check(); err != nil {
		return err
	}
	return opt.Options.Check()
}

func describe(gaps []evidence.Gap) string {
	all := make([]string, 0, len(gaps))
	for _, g := range gaps {
		all = append(all, g.String())
	}
	return strings.Join(all, "; ")
}

// floorEvidence is what the named runtime floors declare, for each ABI in
// which the workload's kernel starts programs.
func floorEvidence(set evidence.Set, names []string) (evidence.Set, error) {
	natives := map[abi.Arch]bool{}
	for _, f := range set.Facts {
		if f, ok := f.(evidence.Syscall); ok {
			row, _ := f.Arch.Row()
			natives[row.Native] = true
		}
	}
	var out evidence.Set
	for _, name := range names {
		floor, err := profiles.FloorByName(name)
		if err != nil {
			return evidence.Set{}, err
		}
		for native := range natives {
			for _, call := range floor.Syscalls {
				if nr, ok := native.Number(call); ok {
					out.Facts = append(out.Facts, evidence.Syscall{
						Arch: native, Nr: nr, Name: call, Phase: evidence.Runtime, Basis: evidence.Declared,
					})
				}
			}
		}
	}
	return out, nil
}

func render(p policy.Policy, set evidence.Set, opt Options) ([]File, error) {
	filter, err := seccomp.Render(p)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", SeccompFile, err)
	}
	armor, err := apparmor.Render(p, armorOptions(set, opt))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", AppArmorFile, err)
	}
	bounding, err := caps.RenderSet(p)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", CapabilitiesFile, err)
	}
	flags, err := caps.RenderFlags(p, caps.Options{SeccompPath: SeccompFile})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", FlagsFile, err)
	}
	plan, err := formats.EncodePlan(formats.PlanOf(p))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", PlanFile, err)
	}
	return []File{
		{AppArmorFile, armor}, {CapabilitiesFile, bounding}, {FlagsFile, flags}, {PlanFile, plan}, {SeccompFile, filter},
	}, nil
}

func armorOptions(set evidence.Set, opt Options) apparmor.Options {
	o := apparmor.Options{ABI: apparmor.ABI(opt.AppArmorABI)}
	if opt.Complain {
		o.Mode = apparmor.Complain
	}
	for _, s := range set.Subjects {
		o.Subjects = append(o.Subjects, apparmor.Subject{Image: s.Image, Digest: s.Digest, ConfigDigest: s.ConfigDigest})
	}
	return o
}

// selfCheck evaluates the emitted filter for every call in the evidence, with
// the arguments that are known: none may be refused but by decision.
func selfCheck(p policy.Policy, set evidence.Set, tight bool) error {
	spec, err := seccomp.Spec(p)
	if err != nil {
		return err
	}
	decided := map[string]bool{} // refused by decision
	for _, d := range p.Decisions {
		decided[d.Subject] = decided[d.Subject] || !d.Allowed
	}
	allowed := map[string]bool{} // with some arguments
	for _, r := range p.Syscalls {
		allowed[r.Name] = true
	}
	for _, f := range set.Facts {
		f, ok := f.(evidence.Syscall)
		if !ok || f.Basis == evidence.Reachable && tight || decided[f.Name] {
			continue
		}
		if len(f.Args) == 0 && allowed[f.Name] {
			continue
		}
		var args [6]uint64
		for _, a := range f.Args {
			args[a.Index] = a.Value
		}
		if action, _ := seccomp.Evaluate(spec, f.Arch, f.Nr, args); action != specs.ActAllow {
			return fmt.Errorf("the profile would refuse %s (%s %d), which the evidence has: this is a bug in profgen, please report it with the evidence", f.Name, f.Arch, f.Nr)
		}
	}
	return nil
}
