// Package apparmor turns a policy into an AppArmor profile: first into a typed
// tree of rules, then into text.
//
// The profile depends on nothing but the policy and the options: it includes
// no abstractions and no tunables, whose meaning differs from host to host,
// and defines the one variable that it uses. Equal input gives equal bytes.
//
// The language is that of AppArmor 3.0 (apparmor.d(5)), which every later
// parser reads, unless rules are asked for that came with 4.0 ([ABI40]).
//
// Files are confined if the policy says that all uses of them are known, to what
// it lists; else all are allowed that docker-default allows, and the header says
// so. All else is an allow-list in any case: there is no bare capability, network
// or mount rule.
package apparmor

import (
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/profgen/profgen/gen/policy"
)

// Mode says what the kernel does with what a profile does not allow.
type Mode string

const (
	Enforce  Mode = "enforce"  // refuse it
	Complain Mode = "complain" // allow and log it
)

// ABI is the feature set that a profile is written against, as its abi rule
// names it. Without such a rule a parser assumes its own, and with those after
// 4.0 network rules no longer cover unix sockets, which breaks profiles that
// were right before (containerd issue 12726).
//
// The rule names a file of the host that loads the profile, under
// /etc/apparmor.d, and the language cannot make it conditional: if the file is
// missing, the profile does not load. AppArmor has had it since 3.0.
type ABI string

const (
	ABI30 ABI = "3.0"  // abi <abi/3.0>
	ABI40 ABI = "4.0"  // abi <abi/4.0>, and rules about what AppArmor asks about since
	NoABI ABI = "none" // no abi rule: for hosts that lack the file
)

// Options says how a profile is written, and what its header says. The zero
// value is an enforcing profile pinned to [ABI30].
type Options struct {
	Mode     Mode      // "" is Enforce
	ABI      ABI       // "" is ABI30
	Tool     string    // who writes it, with a version: "profgen 1.2"; "" is "profgen"
	Subjects []Subject // the workloads that the policy is for; any order
}

// Subject names a workload in the header. Its strings come from images and
// people and may be anything: they are printed escaped, each on a comment line
// of its own, and cut off after a few hundred characters. Empty ones are left
// out.
type Subject struct {
	Image        string // the reference asked for
	Digest       string // of the manifest
	ConfigDigest string // of the image config
}

// Render returns p as the text of an AppArmor profile, ready to be loaded. p's
// lists may be in any order and repeat themselves.
//
// It is an error if p cannot be said in AppArmor exactly: see [Build].
func Render(p policy.Policy, o Options) ([]byte, error) {
	profile, err := Build(p, o)
	if err != nil {
		return nil, err
	}
	return profile.MarshalText()
}

// withDefaults returns o with the defaults filled in, or an error naming the
// option that has no such value.
func (o Options) withDefaults() (Options, error) {
	if o.Mode == "" {
		o.Mode = Enforce
	}
	if o.ABI == "" {
		o.ABI = ABI30
	}
	if o.Tool == "" {
		o.Tool = "profgen"
	}
	if !slices.Contains([]Mode{Enforce, Complain}, o.Mode) {
		return o, fmt.Errorf("mode %q: want enforce or complain", o.Mode)
	}
	return o, o.ABI.Check()
}

// Check refuses what is no ABI that profiles are written against. "" is [ABI30].
func (a ABI) Check() error {
	if !slices.Contains([]ABI{"", ABI30, ABI40, NoABI}, a) {
		return fmt.Errorf("apparmor abi %q: want %s, %s or %s", string(a), ABI30, ABI40, NoABI)
	}
	return nil
}

// profileName is stricter than AppArmor, which lets a name hold nearly
// anything: this one needs no quoting in the profile, in a peer condition, in
// a run flag, in a Kubernetes manifest or as the name of the local include.
var profileName = regexp.MustCompile(`^[a-z][a-z0-9._-]*$`)

// maxName keeps the include's and the kernel's file names, which append to the
// profile's, within NAME_MAX (255).
const maxName = 200

// checkName refuses a name that cannot be written everywhere it has to be, or
// that would be taken for, or replace, a profile that is not ours.
func checkName(name string) error {
	switch name {
	case "unconfined":
		return errors.New(`profile name "unconfined": runtimes take it for no profile at all; use another`)
	case "docker-default", "runc", "crun", "podman":
		return fmt.Errorf("profile name %q: the host has a profile of that name, which this one would replace; use another", name)
	}
	if !profileName.MatchString(name) || len(name) > maxName {
		return fmt.Errorf("profile name %q: want a letter and then letters, digits, dots, underscores and dashes, all lower case and at most %d", name, maxName)
	}
	return nil
}
