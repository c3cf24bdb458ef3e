//go:build linux

package ebpf

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/abi"
	"github.com/profgen/profgen/internal/record"
)

// calls returns the system calls of a phase by ABI, those without any left out.
func calls(s record.Snapshot, phase evidence.Phase) map[abi.Arch][]string {
	out := map[abi.Arch][]string{}
	for _, a := range abi.Arches() {
		if n := names(s, a, phase); len(n) > 0 {
			out[a] = n
		}
	}
	return out
}

func TestABIs(t *testing.T) {
	tests := []struct {
		src   string
		flags []string
		want  map[abi.Arch][]string
	}{
		{"i386.c", []string{"-nostdlib", "-m32"}, map[abi.Arch][]string{
			abi.X86: {"exit", "getppid", "sync"},
		}},
		{"entries.c", []string{"-nostdlib"}, map[abi.Arch][]string{
			abi.X8664: {"exit_group"},
			abi.X86:   {"getppid", "personality"},
			abi.X32:   {"getpid", "personality", "writev"},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.src, func(t *testing.T) {
			s := recordRun(t, Options{}, record.AtExec, compile(t, tt.src, tt.flags...))
			noGaps(t, s, evidence.UnseenCaps)
			if diff := cmp.Diff(tt.want, calls(s, evidence.Start)); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
		})
	}
}

// TestArgumentsByABI: 32-bit arguments are in other registers; x32 calls have
// no arguments listed, and so stand for any.
func TestArgumentsByABI(t *testing.T) {
	s := recordRun(t, Options{}, record.AtExec, compile(t, "entries.c", "-nostdlib"))
	want := [][]uint64{{}, {0xffffffff}} // x32 sorts before x86
	if diff := cmp.Diff(want, args(s, "personality")); diff != "" {
		t.Errorf("arguments of personality (-want +got):\n%s", diff)
	}
}

func TestSocketcall(t *testing.T) {
	s := recordRun(t, Options{}, record.AtExec, compile(t, "socketcall.c", "-nostdlib", "-m32"))
	noGaps(t, s, evidence.UnseenCaps)
	if diff := cmp.Diff([][]uint64{{1}, {4}, {8}}, args(s, "socketcall")); diff != "" {
		t.Errorf("calls of socketcall (-want +got):\n%s", diff)
	}
	want := []evidence.Socket{
		{Family: 1, Type: 2, Phase: evidence.Start, Basis: evidence.Observed},
		{Family: 2, Type: 1, Protocol: 6, Phase: evidence.Start, Basis: evidence.Observed},
	}
	if diff := cmp.Diff(want, sockets(s)); diff != "" {
		t.Errorf("sockets (-want +got):\n%s", diff)
	}
}
