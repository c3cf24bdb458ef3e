//go:build linux && (amd64 || arm64)

package ebpf

import (
	"slices"
	"strings"
	"testing"

	machine "github.com/profgen/profgen/internal/host"
)

// What is said of each program is what a recorder finds.
func TestMechanisms(t *testing.T) {
	got := Mechanisms()
	state := func(name string) machine.State {
		i := slices.IndexFunc(got, func(m machine.Mechanism) bool { return m.Name == name })
		if i < 0 {
			t.Fatalf("no mechanism %q in %v", name, got)
		}
		if got[i].State != machine.Usable && (got[i].Detail == "" || got[i].Do == "" && got[i].State == machine.Unusable) {
			t.Errorf("%q is not usable, without a reason or a cure", name)
		}
		return got[i].State
	}
	r, err := New(Options{SeeRefused: true})
	if (err == nil) != (state("ebpf recorder") == machine.Usable) {
		t.Errorf("New: %v, mechanism %s", err, state("ebpf recorder"))
	}
	for _, prog := range optional() {
		name, _ := serves(prog)
		want := machine.Unknown
		if err == nil {
			want = machine.Tried("", r.missing[prog], "", "").State
		}
		if strings.HasPrefix(name, "program ") || state(name) != want {
			t.Errorf("%s (%s): %s, want %s, and a name for people", prog, name, state(name), want)
		}
	}
	if err == nil {
		r.Close()
	}
	for _, name := range []string{"fentry programs", "BPF LSM programs", "kprobe programs"} {
		state(name)
	}
}
