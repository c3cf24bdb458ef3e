package lint

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/profgen/profgen/gen/seccomp"
	"github.com/profgen/profgen/internal/abi"
	"github.com/profgen/profgen/profiles"
)

// Score is how much a seccomp profile, with its capabilities, lets through, by
// axes and beside the defaults of engines. There is no sum of it: how much one
// axis outweighs another is not a fact.
type Score struct {
	Native    abi.Arch `json:"native"` // of the kernel that is counted for
	Axes      []Axis   `json:"axes"`
	Breakouts []string `json:"breakouts"` // calls containers break out by, allowed
	CVEs      []Hole   `json:"cves"`      // the whole table
}

// Axis is one count; less is tighter.
type Axis struct {
	Name   string `json:"axis"`
	This   int    `json:"this"`
	Docker int    `json:"docker"` // of docker-default
	Podman int    `json:"podman"` // of podman-default
	Of     int    `json:"of"`     // how many there are
}

// Hole is a row of the table of CVEs, and whether the profile blocks it.
type Hole struct {
	ID      string `json:"id"`
	What    string `json:"what"`
	Blocked bool   `json:"blocked"`
	By      string `json:"by,omitempty"`   // the call that is refused
	Open    string `json:"open,omitempty"` // the way that is open
	Source  string `json:"source"`
}

// ScoreOf counts what a seccomp profile lets through.
func ScoreOf(in Input) (Score, error) {
	l := &linter{in: in, reader: in.reader()}
	if in.Seccomp == nil {
		return Score{}, fmt.Errorf("%s: no seccomp profile to score", in.Name)
	}
	if err := l.reviewSeccomp(); err != nil {
		return Score{}, err
	}
	out := Score{Native: l.native, Breakouts: []string{}, CVEs: []Hole{}}
	this, err := countsOf(l.spec, l.native, in.Capabilities)
	if err != nil {
		return Score{}, err
	}
	docker, err := defaultCounts(seccomp.Docker, l.native)
	if err != nil {
		return Score{}, err
	}
	podman, err := defaultCounts(seccomp.Podman, l.native)
	if err != nil {
		return Score{}, err
	}
	for _, a := range []struct {
		name string
		of   int
		n    func(counts) int
	}{
		{"system calls", len(l.native.Names()), func(c counts) int { return c.calls }},
		{"ABIs", len(this.all), func(c counts) int { return len(c.abis) }},
		{"calls to break out by", len(breakoutsOn(l.native)), func(c counts) int { return len(c.breakouts) }},
		{"families of sockets", len(families()), func(c counts) int { return c.families }},
		{"known CVEs", len(this.holes), func(c counts) int { return c.open }},
		{"capabilities", len(abi.Capabilities()), func(c counts) int { return c.capabilities }},
	} {
		if a.name == "capabilities" && in.Capabilities == nil {
			continue
		}
		out.Axes = append(out.Axes, Axis{a.name, a.n(this), a.n(docker), a.n(podman), a.of})
	}
	out.Breakouts = append(out.Breakouts, this.breakouts...)
	out.CVEs = this.holes
	return out, nil
}

type counts struct {
	calls, families, open, capabilities int
	abis, all                           []abi.Arch
	breakouts                           []string
	holes                               []Hole
}

func defaultCounts(c seccomp.Consumer, native abi.Arch) (counts, error) {
	f, caps, err := engineDefault(c)
	if err != nil {
		return counts{}, err
	}
	s, err := f.Read(c, seccomp.Host{Native: native, Capabilities: caps})
	if err != nil {
		return counts{}, err
	}
	return countsOf(s, native, caps)
}

func breakoutsOn(native abi.Arch) []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(breakouts)) {
		if _, ok := native.Number(name); ok {
			out = append(out, name)
		}
	}
	return out
}

func countsOf(s *specs.LinuxSeccomp, native abi.Arch, caps []string) (counts, error) {
	c := counts{capabilities: len(caps)}
	for _, name := range native.Names() {
		if seccomp.Permits(s, native, name).Permits {
			c.calls++
		}
	}
	for _, a := range abi.Arches() {
		row, _ := a.Row()
		if row.Native != native {
			continue
		}
		c.all = append(c.all, a)
		if !row.Compat || slices.Contains(s.Architectures, row.SCMP) {
			c.abis = append(c.abis, a)
		}
	}
	for _, name := range breakoutsOn(native) {
		if seccomp.Permits(s, native, name).Permits {
			c.breakouts = append(c.breakouts, name)
		}
	}
	for _, n := range families() {
		if seccomp.Permits(s, native, "socket", seccomp.Given{Index: 0, Mask: low, Value: n}).Permits {
			c.families++
		}
	}
	cves, err := profiles.CVEs()
	if err != nil {
		return counts{}, err
	}
	for _, cve := range cves {
		h := holeOf(s, c.abis, cve)
		if !h.Blocked {
			c.open++
		}
		c.holes = append(c.holes, h)
	}
	return c, nil
}

// holeOf says whether a profile blocks every way of a CVE.
func holeOf(s *specs.LinuxSeccomp, abis []abi.Arch, cve profiles.CVE) Hole {
	h := Hole{ID: cve.ID, What: cve.What, Source: cve.Source, Blocked: true}
	for _, way := range cve.Needs {
		for _, a := range abis {
			refused, open := "", []string{}
			for _, use := range way {
				if use.Arch != "" && abi.Arch(use.Arch) != a || !through(s, a, use) {
					refused = spelled(use)
					break
				}
				open = append(open, spelled(use))
			}
			if refused == "" {
				h.Blocked, h.By, h.Open = false, "", fmt.Sprintf("%s (%s)", strings.Join(open, ", "), a)
				return h
			}
			h.By = refused
		}
	}
	return h
}

// through reports whether the profile lets a use of a call through, by itself or
// by what stands for it on x86.
func through(s *specs.LinuxSeccomp, a abi.Arch, use profiles.Use) bool {
	var given []seccomp.Given
	for _, g := range use.Given {
		given = append(given, seccomp.Given{Index: g.Index, Mask: g.Mask, Value: g.Value})
	}
	if seccomp.Permits(s, a, use.Call, given...).Permits {
		return true
	}
	mux, nr := abi.Multiplexed(use.Call)
	return a == abi.X86 && mux != "" && seccomp.Permits(s, a, mux, seccomp.Given{Index: 0, Mask: low, Value: nr}).Permits
}

func spelled(use profiles.Use) string {
	var args []string
	for _, g := range use.Given {
		args = append(args, fmt.Sprintf("arg%d %#x", g.Index, g.Value))
	}
	if len(args) == 0 {
		return use.Call
	}
	return use.Call + "(" + strings.Join(args, ", ") + ")"
}

// Print writes the score for people: a table, and what is open.
func (s Score) Print(w io.Writer) error {
	var out strings.Builder
	fmt.Fprintf(&out, "%-24s %6s %8s %8s %6s\n", "let through on "+string(s.Native), "this", "docker", "podman", "of")
	for _, a := range s.Axes {
		fmt.Fprintf(&out, "%-24s %6d %8d %8d %6d\n", a.Name, a.This, a.Docker, a.Podman, a.Of)
	}
	if len(s.Breakouts) > 0 {
		fmt.Fprintf(&out, "calls to break out by: %s\n", strings.Join(s.Breakouts, " "))
	}
	for _, h := range s.CVEs {
		if !h.Blocked {
			fmt.Fprintf(&out, "open: %-16s %s, by %s\n", h.ID, h.What, h.Open)
		}
	}
	_, err := io.WriteString(w, out.String())
	return err
}
