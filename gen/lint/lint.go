// Package lint reviews seccomp profiles, AppArmor profiles and capabilities,
// whoever wrote them: what opens more than it seems to, what breaks workloads,
// and what is wider than what engines do by default.
//
// In go parsed files, out come findings by rules with stable IDs, and a [Score]
// by axes. The invariant: nothing is found in the defaults of Docker and Podman,
// nor in what profgen makes of a workload that needs no more than they allow. It
// does not see the workload: that something is allowed may be right, and then is
// one line in a list of what to ignore.
package lint

import (
	"fmt"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/profgen/profgen/gen/apparmor/syntax"
	"github.com/profgen/profgen/gen/findings"
	"github.com/profgen/profgen/gen/seccomp"
	"github.com/profgen/profgen/internal/abi"
	"github.com/profgen/profgen/profiles"
)

// Input is what is reviewed; any part may be missing.
type Input struct {
	Seccomp      *seccomp.File
	SeccompName  string
	AppArmor     *syntax.File
	AppArmorName string
	Capabilities []string // the bounding set; nil if unknown
	Name         string   // of the whole
	// For is who will read the seccomp profile; "" is Podman for a file in its
	// dialect, and else Docker.
	For seccomp.Consumer
}

// Review returns what the rules have to say, sorted.
func Review(in Input) ([]findings.Finding, error) {
	l := &linter{in: in, reader: in.reader()}
	if in.Seccomp != nil {
		if err := l.reviewSeccomp(); err != nil {
			return nil, err
		}
	}
	if in.AppArmor != nil {
		if err := l.reviewAppArmor(); err != nil {
			return nil, err
		}
	}
	l.reviewCapabilities()
	return findings.Sort(l.found), nil
}

// reader is who will read the profile.
func (in Input) reader() seccomp.Consumer {
	if in.For != "" {
		return in.For
	}
	if f := in.Seccomp; f != nil {
		podman := f.DefaultErrno != "" || slices.ContainsFunc(f.Syscalls, func(r seccomp.FileRule) bool { return r.Errno != "" })
		if podman {
			return seccomp.Podman
		}
	}
	return seccomp.Docker
}

// engineDefault is the default profile of the engine that the consumer stands
// for, with the capabilities that go with it.
func engineDefault(c seccomp.Consumer) (*seccomp.File, []string, error) {
	text, _ := profiles.DockerDefault()
	caps := profiles.DockerCapabilities()
	if c == seccomp.Podman {
		text, _ = profiles.PodmanDefault()
		caps = profiles.PodmanCapabilities()
	}
	f, err := seccomp.ParseFile(text)
	if err != nil {
		return nil, nil, fmt.Errorf("the default profile of %s: %w", c, err)
	}
	return f, caps, nil
}

type linter struct {
	in     Input
	reader seccomp.Consumer
	found  []findings.Finding

	native abi.Arch            // the kernel that the seccomp profile is reviewed for
	spec   *specs.LinuxSeccomp // what the reader makes of it there
	base   *specs.LinuxSeccomp // what the engine does by default there

	engines map[string]bool // names in the default profiles of engines; nil until asked for
}

// add adds a finding about rule number i of the seccomp profile, from 0; -1 is
// the profile as a whole.
func (l *linter) add(r findings.Rule, i int, format string, args ...any) {
	at := findings.Location{File: l.in.SeccompName}
	if i >= 0 {
		at.Line, at.In = l.in.Seccomp.Syscalls[i].Line, fmt.Sprintf("rule %d", i+1)
	}
	l.found = append(l.found, r.Of(at, format, args...))
}

func (l *linter) capabilities(base []string) []string {
	if l.in.Capabilities != nil {
		return l.in.Capabilities
	}
	return base
}

// reviewCapabilities looks at the bounding set.
func (l *linter) reviewCapabilities() {
	granted := profiles.DockerCapabilities()
	for _, name := range l.in.Capabilities {
		at := findings.Location{File: l.in.Name, In: name}
		if why, ok := powerful[name]; ok {
			l.found = append(l.found, capabilityPowerful.Of(at, "%s: %s", name, why))
		} else if !slices.Contains(granted, name) {
			l.found = append(l.found, capabilityWider.Of(at, "%s, which no engine grants by default", name))
		}
	}
}
