package evidence

import (
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/profgen/profgen/internal/abi"
)

var capName = regexp.MustCompile(`^CAP_[A-Z0-9_]{1,40}$`)

func (h header) validate() error {
	if h.Version != FormatVersion {
		return fmt.Errorf("evidence format %d: this profgen reads format %d", h.Version, FormatVersion)
	}
	return nil
}

func validate(p Phase, b Basis) error {
	if !slices.Contains([]Phase{Runtime, Start, Serve, Exec, Stop}, p) {
		return fmt.Errorf("phase %q: want runtime, start, serve, exec or stop", p)
	}
	if !slices.Contains([]Basis{Observed, Reachable, Declared}, b) {
		return fmt.Errorf("basis %q: want observed, reachable or declared", b)
	}
	return nil
}

// validate refuses a fact whose name is not that of its number: the number is
// what was seen, the name is what gets enforced.
func (f Syscall) validate() error {
	name, ok := f.Arch.Name(f.Nr)
	if !ok || name != f.Name {
		return fmt.Errorf("system call %d of %q is %q, not %q", f.Nr, f.Arch, name, f.Name)
	}
	if err := validateArgs(f.Args); err != nil {
		return fmt.Errorf("%s: %w", f.Name, err)
	}
	return validate(f.Phase, f.Basis)
}

func validateArgs(args []Arg) error {
	last := -1
	for _, a := range args {
		if a.Index > 5 || int(a.Index) <= last {
			return errors.New("arguments: indexes must rise from 0 to at most 5")
		}
		last = int(a.Index)
	}
	return nil
}

func (f Capability) validate() error {
	if !capName.MatchString(f.Cap) {
		return fmt.Errorf("capability %q: want a name such as CAP_CHOWN", f.Cap)
	}
	if _, ok := f.Arch.Row(); !ok {
		return fmt.Errorf("architecture %q: unknown", f.Arch)
	}
	if _, ok := f.Arch.Number(f.Syscall); !ok && f.Syscall != "" {
		return fmt.Errorf("capability %s: %s has no system call %q", f.Cap, f.Arch, f.Syscall)
	}
	return validate(f.Phase, f.Basis)
}

func (f Socket) validate() error { return validate(f.Phase, f.Basis) }

func (g Gap) validate() error {
	kinds := []GapKind{Lost, UnknownSyscall, Unfinished, UnseenStart, UnseenCaps, UnseenFiles, UnseenSockets, Refused, Interrupted, Hidden, Killed, Unchecked}
	if !slices.Contains(kinds, g.Kind) && !g.Kind.Static() {
		return fmt.Errorf("gap %q: unknown kind", g.Kind)
	}
	if g.Covered && !g.Kind.Static() {
		return fmt.Errorf("gap %q: only those of static analysis are covered", g.Kind)
	}
	known := func(a abi.Arch) bool { _, ok := a.Number(g.Syscall); return ok }
	if g.Syscall != "" && !slices.ContainsFunc(abi.Arches(), known) {
		return fmt.Errorf("gap %q: no kernel has system call %q", g.Kind, g.Syscall)
	}
	return nil
}
