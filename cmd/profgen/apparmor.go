package main

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/profgen/profgen/gen/apparmor/syntax"
	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/gen/policy"
	"github.com/profgen/profgen/internal/abi"
	"github.com/profgen/profgen/internal/armor"
	"github.com/profgen/profgen/internal/host"
	"github.com/profgen/profgen/internal/profiledir"
	"github.com/profgen/profgen/internal/record/auditlog"
)

// enforcedArmor is an AppArmor profile in force, and what the kernel says about it.
// The zero value is none: of a kernel without AppArmor.
type enforcedArmor struct {
	name    string // of the profile
	arch    abi.Arch
	profile *armor.Profile
	records *armor.Records
	exists  func(evidence.Path) bool // what was there before the workload began
	known   evidence.Set             // what the profile was made of
}

// enforceAppArmor puts the AppArmor profile of a profile directory into force, if
// this kernel has AppArmor.
func enforceAppArmor(c *cli.Context, enforced profiledir.Enforced) (*enforcedArmor, error) {
	facts, err := host.Read()
	if err != nil {
		return nil, err
	}
	if !facts.AppArmor {
		fmt.Fprintln(c.App.ErrWriter, "AppArmor: this kernel has none; the profile is not proven")
		return &enforcedArmor{}, nil
	}
	name, err := armorName(enforced.AppArmor)
	if err != nil {
		return nil, err
	}
	records, err := armor.Listen()
	if err != nil {
		return nil, err
	}
	profile, err := armor.Load(c.Context, name, enforced.AppArmor)
	if err != nil {
		return nil, errors.Join(err, records.Close())
	}
	return &enforcedArmor{name: name, arch: facts.Arch, profile: profile, records: records}, nil
}

// armorName is the name of the one profile that an AppArmor policy has.
func armorName(policy []byte) (string, error) {
	file, err := syntax.Parse(policy)
	if err != nil {
		return "", fmt.Errorf("read the AppArmor profile: %w", err)
	}
	var names []string
	for _, n := range file.Body.Nodes {
		if p, ok := n.Item.(syntax.Profile); ok {
			names = append(names, p.Name)
		}
	}
	if len(names) != 1 {
		return "", fmt.Errorf("read the AppArmor profile: it has %d profiles; want one", len(names))
	}
	return names[0], nil
}

// Close takes the profile out of force.
func (e *enforcedArmor) Close() error {
	if e.profile == nil {
		return nil
	}
	return errors.Join(e.profile.Close(), e.records.Close())
}

// Refused returns what the profile refused since it is in force.
func (e *enforcedArmor) Refused() ([]evidence.Fact, error) {
	if e.profile == nil {
		return nil, nil
	}
	text, err := e.records.Text()
	if err != nil {
		return nil, err
	}
	report, err := auditlog.Read(bytes.NewReader(text), auditlog.Options{
		Native: e.arch, Profile: e.name, Denied: true,
		Exists: e.exists,
	})
	if err != nil {
		return nil, err
	}
	for _, g := range report.Set.Gaps {
		if g.Kind == evidence.Lost {
			return nil, fmt.Errorf("cannot tell what AppArmor refused: %s", g)
		}
	}
	return slices.DeleteFunc(report.Set.Facts, func(f evidence.Fact) bool {
		access, ok := f.(evidence.FileAccess)
		return ok && policy.FailsAnyway(e.known, access)
	}), nil
}

// use says what a fact is about, in AppArmor's words as far as it has some.
func use(f evidence.Fact) string {
	switch f := f.(type) {
	case evidence.FileAccess:
		return fmt.Sprintf("%s %s", f.Perms, f.Path)
	case evidence.Executed:
		return fmt.Sprintf("x %s", f.Path)
	case evidence.Capability:
		return f.Cap
	case evidence.Socket:
		if n, ok := policy.NetworkOf(f); ok {
			return n.String()
		}
		return fmt.Sprintf("a socket of family %d, type %d", f.Family, f.Type)
	default:
		return fmt.Sprintf("%+v", f)
	}
}
