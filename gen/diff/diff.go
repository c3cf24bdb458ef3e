// Package diff says how one confinement differs from another, in meaning and
// not in text: per axis widened, narrowed or the same.
//
// In go two sides: profile directories, or single files of anybody's. Out comes
// a [Report], and its forms as text, Markdown and SARIF. The invariant: what is
// reordered, split, merged or said twice is the same, and whatever is allowed on
// one side only is named, with an example. What it cannot compare exactly it
// says in a note. It does not see what programs do under either side.
package diff

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/profgen/profgen/gen/apparmor/access"
	"github.com/profgen/profgen/gen/apparmor/syntax"
	"github.com/profgen/profgen/gen/seccomp"
	"github.com/profgen/profgen/internal/abi"
)

// Side is one of the two confinements.
type Side struct {
	Name         string
	Seccomp      *seccomp.File // nil: not given
	Capabilities []string      // the bounding set; nil: not given
	AppArmor     *syntax.File  // of one profile; nil: not given
	Includes     access.Includes
	// Assumed is the bounding set that rules of the seccomp profile are read for
	// where Capabilities is nil.
	Assumed []string
}

// Axis is one kind of privilege.
type Axis struct {
	Name    string          `json:"axis"`
	Verdict seccomp.Verdict `json:"verdict"`
	Changes []Change        `json:"changes"` // sorted
}

// Change is one thing that differs.
type Change struct {
	Subject string          `json:"subject"` // "socket", "CAP_CHOWN", "/etc/shadow"
	Verdict seccomp.Verdict `json:"verdict"`
	From    string          `json:"from"` // what the first side says
	To      string          `json:"to"`
	Where   string          `json:"where,omitempty"`   // "x86_64, x86"
	Example string          `json:"example,omitempty"` // what only one side allows
}

// Report is how the second side differs from the first.
type Report struct {
	From    string          `json:"from"`
	To      string          `json:"to"`
	Verdict seccomp.Verdict `json:"verdict"`
	Axes    []Axis          `json:"axes"`
	Notes   []string        `json:"notes"` // what could not be compared, or not exactly
}

// The axes, in the order of reports.
const (
	SystemCalls  = "system calls"
	ABIs         = "ABIs"
	Capabilities = "capabilities"
	Files        = "files"
	ArmorRules   = "AppArmor rules"
	Mode         = "AppArmor mode"
)

// Compare compares two sides on every axis that both are about. Its error is
// about a side that cannot be understood.
func Compare(a, b Side) (Report, error) {
	r := &reporter{out: Report{From: a.Name, To: b.Name, Verdict: seccomp.Same, Axes: []Axis{}, Notes: []string{}}}
	if err := r.seccomp(a, b); err != nil {
		return Report{}, err
	}
	r.capabilities(a, b)
	if err := r.appArmor(a, b); err != nil {
		return Report{}, err
	}
	for _, axis := range r.out.Axes {
		r.out.Verdict = r.out.Verdict.Join(axis.Verdict)
	}
	if len(r.out.Axes) == 0 {
		return Report{}, fmt.Errorf("%s and %s have nothing in common that could be compared: want two seccomp profiles, two AppArmor profiles, or two profile directories", a.Name, b.Name)
	}
	return r.out, nil
}

type reporter struct{ out Report }

func (r *reporter) note(format string, args ...any) {
	if n := fmt.Sprintf(format, args...); !slices.Contains(r.out.Notes, n) {
		r.out.Notes = append(r.out.Notes, n)
	}
}

// axis adds an axis; its verdict is its changes'.
func (r *reporter) axis(name string, changes []Change) {
	a := Axis{Name: name, Verdict: seccomp.Same, Changes: changes}
	if changes == nil {
		a.Changes = []Change{}
	}
	for _, c := range changes {
		a.Verdict = a.Verdict.Join(c.Verdict)
	}
	slices.SortStableFunc(a.Changes, func(x, y Change) int {
		return cmp.Or(cmp.Compare(x.Subject, y.Subject), cmp.Compare(x.Where, y.Where), cmp.Compare(x.From, y.From), cmp.Compare(x.To, y.To))
	})
	r.out.Axes = append(r.out.Axes, a)
}

// oneSided reports whether only one side is about something, and says so.
func (r *reporter) oneSided(what string, a, b bool, sideA, sideB Side) bool {
	switch {
	case a && !b:
		r.note("%s: only %s has any to compare", what, sideA.Name)
	case b && !a:
		r.note("%s: only %s has any to compare", what, sideB.Name)
	}
	return !a || !b
}

func (r *reporter) seccomp(a, b Side) error {
	if r.oneSided("system calls", a.Seccomp != nil, b.Seccomp != nil, a, b) {
		return nil
	}
	var calls []Change
	var abis []Change
	for _, native := range kernels(a.Seccomp, b.Seccomp) {
		before, err := a.read(native)
		if err != nil {
			return err
		}
		after, err := b.read(native)
		if err != nil {
			return err
		}
		c := seccomp.Compare(before, after, native)
		for _, arch := range c.Widened {
			abis = append(abis, Change{Subject: string(arch), Verdict: seccomp.Widened, From: "killed", To: "let in"})
		}
		for _, arch := range c.Narrowed {
			abis = append(abis, Change{Subject: string(arch), Verdict: seccomp.Narrowed, From: "let in", To: "killed"})
		}
		for _, call := range c.Calls {
			calls = addCall(calls, call)
			if call.Sampled {
				r.note("system calls: %s on %s has too many rules to compare exactly; values around those of its conditions were compared", call.Name, call.Arch)
			}
		}
	}
	r.assumptions(a, b)
	r.axis(SystemCalls, calls)
	r.axis(ABIs, abis)
	return nil
}

// assumptions says for what host rules were read that depend on one.
func (r *reporter) assumptions(sides ...Side) {
	for _, s := range sides {
		for _, rule := range s.Seccomp.Syscalls {
			if s.Capabilities == nil && (!rule.Includes.Empty() && len(rule.Includes.Caps) > 0 || !rule.Excludes.Empty() && len(rule.Excludes.Caps) > 0) {
				r.note("system calls: rules of %s depend on capabilities; read for %s", s.Name, orNone(s.Assumed))
			}
		}
	}
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, " ")
}

// read returns the profile as Docker reads it on a new kernel.
func (s Side) read(native abi.Arch) (*specs.LinuxSeccomp, error) {
	caps := s.Capabilities
	if caps == nil {
		caps = s.Assumed
	}
	out, err := s.Seccomp.Read(seccomp.Docker, seccomp.Host{Native: native, Capabilities: caps})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.Name, err)
	}
	return out, nil
}

// kernels are the native ABIs that one of the files is written for; all, if
// neither says.
func kernels(files ...*seccomp.File) []abi.Arch {
	var out []abi.Arch
	for _, f := range files {
		listed := slices.Clone(f.Architectures)
		for _, m := range f.ArchMap {
			listed = append(listed, m.Arch)
		}
		for _, a := range listed {
			if arch, ok := abi.BySCMP(a); ok {
				row, _ := arch.Row()
				out = append(out, row.Native)
			}
		}
	}
	// A file for several kernels beside one for a single one: where the latter
	// says nothing there is nothing to compare with.
	var common []abi.Arch
	for _, native := range []abi.Arch{abi.X8664, abi.AArch64} {
		everyone := !slices.ContainsFunc(files, func(f *seccomp.File) bool { return !writtenFor(f, native) })
		if slices.Contains(out, native) && everyone {
			common = append(common, native)
		}
	}
	switch {
	case len(common) > 0:
		return common
	case len(out) == 0:
		return []abi.Arch{abi.X8664, abi.AArch64}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func writtenFor(f *seccomp.File, native abi.Arch) bool {
	row, _ := native.Row()
	if len(f.Architectures)+len(f.ArchMap) == 0 || slices.Contains(f.Architectures, row.SCMP) {
		return true
	}
	return slices.ContainsFunc(f.ArchMap, func(m seccomp.ArchMap) bool { return m.Arch == row.SCMP })
}

// addCall adds a change of a system call, or another ABI to one that is there.
func addCall(all []Change, c seccomp.Change) []Change {
	out := Change{Subject: c.Name, Verdict: c.Verdict, From: c.From, To: c.To, Where: string(c.Arch)}
	if c.Name == "" {
		out.Subject = "every other call"
	}
	switch {
	case c.More != nil && *c.More != [6]uint64{} && c.Verdict.Widens():
		out.Example = example(c, *c.More)
	case c.Less != nil && *c.Less != [6]uint64{} && c.Verdict == seccomp.Narrowed:
		out.Example = example(c, *c.Less)
	}
	for i, o := range all {
		if o.Subject == out.Subject && o.Verdict == out.Verdict && o.From == out.From && o.To == out.To {
			all[i].Where += ", " + out.Where
			return all
		}
	}
	return append(all, out)
}

// example spells a call with the arguments up to the last that is not 0.
func example(c seccomp.Change, args [6]uint64) string {
	last := 0
	for i, v := range args {
		if v != 0 {
			last = i
		}
	}
	words := make([]string, 0, len(args))
	for _, v := range args[:last+1] {
		words = append(words, fmt.Sprintf("%#x", v))
	}
	return fmt.Sprintf("%s(%s)", c.Name, strings.Join(words, ", "))
}

func (r *reporter) capabilities(a, b Side) {
	if r.oneSided("capabilities", a.Capabilities != nil, b.Capabilities != nil, a, b) {
		return
	}
	r.axis(Capabilities, sets(a.Capabilities, b.Capabilities))
}

// sets compares two sets of names.
func sets(a, b []string) []Change {
	var out []Change
	for _, name := range b {
		if !slices.Contains(a, name) {
			out = append(out, Change{Subject: name, Verdict: seccomp.Widened, From: "refused", To: "allowed"})
		}
	}
	for _, name := range a {
		if !slices.Contains(b, name) {
			out = append(out, Change{Subject: name, Verdict: seccomp.Narrowed, From: "allowed", To: "refused"})
		}
	}
	return out
}
