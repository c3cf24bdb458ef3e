package verify

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/abi"
	"github.com/profgen/profgen/internal/record"
)

// Denial is a system call that the profile refused, or a capability that it
// left out.
type Denial struct {
	Arch  abi.Arch       `json:"arch"`
	Name  string         `json:"name"` // "number 500" if no table knows it
	Phase evidence.Phase `json:"phase"`
	// Capability is what was asked for and not there; then Name is the call in
	// which it was, and what follows is not known.
	Capability string `json:"capability,omitempty"`

	// How the call was made, if the recorder saw that.
	Args    []uint64 `json:"args,omitempty"`    // all six
	Errno   string   `json:"errno,omitempty"`   // what it answered
	Process string   `json:"process,omitempty"` // the program, or the task's name if it was gone
	Site    string   `json:"site,omitempty"`    // where it went on: object and offset
	Run     int      `json:"run,omitempty"`     // in which it was first seen, from 1

	refusal record.Refusal
}

// denialOf is what a refusal is to a report.
func denialOf(r record.Refusal, run int) Denial {
	d := Denial{
		Arch: r.Arch, Name: cmp.Or(r.Name, fmt.Sprintf("number %d", int32(r.Nr))), Phase: r.Phase,
		Process: cmp.Or(r.Process, r.Comm), Site: r.Site, Run: run, refusal: r,
	}
	if r.Comm != "" {
		d.Args = r.Args[:]
	}
	if r.Result < 0 {
		d.Errno = cmp.Or(unix.ErrnoName(unix.Errno(-r.Result)), fmt.Sprint(-r.Result))
	}
	return d
}

// String is the denial for people: what, how, by whom and where.
func (d Denial) String() string {
	if d.Capability != "" {
		return fmt.Sprintf("%s in %s (%s), phase %s", d.Capability, cmp.Or(d.Name, "no call"), d.Arch, d.Phase)
	}
	out := d.Name
	if d.Args != nil {
		words := make([]string, len(d.Args))
		for i, v := range d.Args {
			words[i] = fmt.Sprintf("%#x", v)
		}
		out += "(" + strings.Join(words, ", ") + ")"
	}
	out += " (" + string(d.Arch) + ")"
	for _, s := range []struct{ word, value string }{
		{"answered ", d.Errno}, {"phase ", string(d.Phase)}, {"by ", d.Process}, {"at ", d.Site},
	} {
		if s.value != "" {
			out += ", " + s.word + s.value
		}
	}
	return out
}

// Fact is the denial as evidence: that the workload needs this.
func (d Denial) Fact() (evidence.Fact, bool) {
	if d.Capability != "" {
		return evidence.Capability{Cap: d.Capability, Arch: d.Arch, Syscall: d.Name, Granted: true, Phase: d.Phase, Basis: evidence.Observed}, true
	}
	if d.refusal.Name == "" {
		return nil, false
	}
	return evidence.Syscall{
		Arch: d.Arch, Nr: d.refusal.Nr, Name: d.Name, Args: d.refusal.Filtered, Phase: d.Phase, Basis: evidence.Observed,
	}, true
}

// classify tells denials from what is unavailable on purpose.
func (t Trials) classify(refused []record.Refusal, first map[string]int, rep *Report) {
	for _, r := range refused {
		d := denialOf(r, first[id(r)])
		if t.isDenial(r) {
			rep.Denials = append(rep.Denials, d)
		} else {
			rep.Unavailable = append(rep.Unavailable, d)
		}
	}
	rep.Denials, rep.Unavailable = sortDenials(rep.Denials), sortDenials(rep.Unavailable)
}

// id stands for a refusal of a kind.
func id(r record.Refusal) string { return fmt.Sprint(r.Arch, r.Nr, r.Phase, r.Filtered, r.Comm != "") }

func sortDenials(all []Denial) []Denial {
	slices.SortStableFunc(all, func(a, b Denial) int {
		return cmp.Or(
			cmp.Compare(a.Capability, b.Capability), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Arch, b.Arch),
			cmp.Compare(a.Phase, b.Phase), slices.Compare(a.Args, b.Args),
		)
	})
	return slices.CompactFunc(all, func(a, b Denial) bool { return a.String() == b.String() })
}

// isDenial reports whether nobody decided that the call should answer as on a
// kernel without it: no rule says so.
func (t Trials) isDenial(r record.Refusal) bool {
	if r.Name == "" {
		return false // a kernel newer than the tables has it, or none
	}
	return !slices.ContainsFunc(t.Profile.Syscalls, func(s specs.LinuxSyscall) bool {
		unavailable := s.Action == specs.ActErrno && s.ErrnoRet != nil && *s.ErrnoRet == uint(unix.ENOSYS)
		return slices.Contains(s.Names, r.Name) && unavailable && len(s.Args) == 0
	})
}

// capabilities are those that the workload asked for in vain and that were
// granted where it was recorded.
func (t Trials) capabilities(facts []evidence.Fact) []Denial {
	var out []Denial
	for _, f := range facts {
		c, ok := f.(evidence.Capability)
		if !ok || c.Granted || c.Overridden || c.Nested || c.Unaudited || c.Phase == evidence.Runtime || !slices.Contains(t.Missing, c.Cap) {
			continue
		}
		out = append(out, Denial{Arch: c.Arch, Name: c.Syscall, Phase: c.Phase, Capability: c.Cap})
	}
	return sortDenials(out)
}
