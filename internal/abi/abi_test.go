package abi_test

import (
	"slices"
	"testing"

	"github.com/profgen/profgen/internal/abi"
)

// last is above every number of every table.
const last = 1024

func TestNameAndNumberRoundTrip(t *testing.T) {
	for _, a := range abi.Arches() {
		seen := 0
		for nr := range uint32(last) {
			name, ok := a.Name(nr)
			if !ok {
				continue
			}
			seen++
			if got, ok := a.Number(name); !ok || got != nr {
				t.Errorf("%s: %d is %s, which is %d (%t)", a, nr, name, got, ok)
			}
		}
		if names := a.Names(); len(names) != seen || !slices.IsSorted(names) {
			t.Errorf("%s: %d names for %d numbers, sorted %t", a, len(names), seen, slices.IsSorted(names))
		}
		if seen < 300 {
			t.Errorf("%s: only %d system calls", a, seen)
		}
	}
}

func TestNumbersDifferByArchitecture(t *testing.T) {
	for _, c := range []struct {
		arch abi.Arch
		nr   uint32
		want string
	}{
		{abi.X8664, 20, "writev"}, {abi.X86, 20, "getpid"}, {abi.X32, 516, "writev"},
		{abi.AArch64, 66, "writev"}, {abi.ARM, 146, "writev"},
		{abi.X32, 181, "getpmsg"}, {abi.X8664, 453, "map_shadow_stack"},
	} {
		if got, _ := c.arch.Name(c.nr); got != c.want {
			t.Errorf("%s %d: got %q, want %q", c.arch, c.nr, got, c.want)
		}
	}
}

func TestWhatIsNotThere(t *testing.T) {
	for _, nr := range []uint32{last, abi.X32Bit, 1 << 31, 1<<32 - 1} {
		for _, a := range abi.Arches() {
			if name, ok := a.Name(nr); ok {
				t.Errorf("%s %d: got %q, want none", a, nr, name)
			}
		}
	}
	for a, name := range map[abi.Arch]string{abi.AArch64: "open", abi.X32: "map_shadow_stack", abi.X8664: "", "vax": "read"} {
		if nr, ok := a.Number(name); ok || nr != 0 {
			t.Errorf("%s %q: got %d %t, want 0 false", a, name, nr, ok)
		}
	}
	if names := abi.Arch("vax").Names(); names != nil {
		t.Errorf("names of an unknown architecture: got %v", names)
	}
}

func TestRowsAreUnique(t *testing.T) {
	var rows []abi.Row
	for _, a := range abi.Arches() {
		r, ok := a.Row()
		if !ok || r.Arch != a {
			t.Fatalf("row of %s: got %v %t", a, r, ok)
		}
		rows = append(rows, r)
	}
	for i, r := range rows {
		for _, o := range rows[:i] {
			sharesAudit := r.Arch == abi.X32 && o.Arch == abi.X8664
			if r.Arch == o.Arch || r.SCMP == o.SCMP || r.GOARCH == o.GOARCH || (r.Audit == o.Audit) != sharesAudit {
				t.Errorf("%v and %v share what tells them apart", r, o)
			}
		}
		if native, ok := r.Native.Row(); !ok || native.Compat || r.Compat != (r.Native != r.Arch) {
			t.Errorf("%s: native %q, compat %t", r.Arch, r.Native, r.Compat)
		}
	}
}

func TestLookUps(t *testing.T) {
	for _, a := range abi.Arches() {
		r, _ := a.Row()
		if got, ok := abi.BySCMP(r.SCMP); !ok || got != a {
			t.Errorf("%s: got %q %t", r.SCMP, got, ok)
		}
		got, err := abi.ByGOARCH(r.GOARCH)
		if r.GOARCH != "" && (err != nil || got != a) {
			t.Errorf("%s: got %q, %v", r.GOARCH, got, err)
		}
	}
	if a, err := abi.ByGOARCH(""); err == nil {
		t.Errorf("no GOARCH: got %q, want an error", a)
	}
	if a, ok := abi.BySCMP("SCMP_ARCH_VAX"); ok {
		t.Errorf("SCMP_ARCH_VAX: got %q", a)
	}
}
