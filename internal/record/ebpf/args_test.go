//go:build linux && (amd64 || arm64)

package ebpf

import (
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/record"
)

func sockets(s record.Snapshot) []evidence.Socket {
	var out []evidence.Socket
	for _, f := range s.Facts {
		if f, ok := f.(evidence.Socket); ok {
			out = append(out, f)
		}
	}
	return out
}

// TestSockets: what was asked for, without the flags that do not matter, be it
// granted or not.
func TestSockets(t *testing.T) {
	s := recordRun(t, Options{}, record.AtExec, acts(t), "sockets")
	noGaps(t, s, evidence.UnseenCaps)
	var want []evidence.Socket
	for _, v := range [][3]uint32{{1, 1, 0}, {2, 1, 0}, {10, 2, 17}, {38, 5, 0}} {
		want = append(want, evidence.Socket{
			Family: v[0], Type: v[1], Protocol: v[2], Phase: evidence.Start, Basis: evidence.Observed,
		})
	}
	if diff := cmp.Diff(want, sockets(s)); diff != "" {
		t.Errorf("sockets (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([][]uint64{{2, 1, 0}, {10, 2, 17}, {38, 5, 0}}, args(s, "socket")); diff != "" {
		t.Errorf("arguments of socket (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([][]uint64{{1, 1, 0}}, args(s, "socketpair")); diff != "" {
		t.Errorf("arguments of socketpair (-want +got):\n%s", diff)
	}
}

func TestArguments(t *testing.T) {
	s := recordRun(t, Options{}, record.AtExec, acts(t), "args")
	noGaps(t, s, evidence.UnseenCaps)
	for name, want := range map[string][][]uint64{
		"personality": {{0xffffffff}},
		"unshare":     {{0x200}},
		"setns":       {{0x04000000}},
		"clone3":      {{}}, // its struct is out of reach
	} {
		if diff := cmp.Diff(want, args(s, name)); diff != "" {
			t.Errorf("arguments of %s (-want +got):\n%s", name, diff)
		}
	}
	s = recordRun(t, Options{}, record.AtExec, acts(t), "clone3")
	if diff := cmp.Diff([][]uint64{{0}}, args(s, "clone3")); diff != "" {
		t.Errorf("arguments of clone3 (-want +got):\n%s", diff)
	}
}

// TestManyArguments: a call with few different arguments has them listed, one
// with many stands for any, and neither is a loss.
func TestManyArguments(t *testing.T) {
	for n, want := range map[int]int{tuplesMax - 1: tuplesMax, tuplesMax: 1, 3000: 1} {
		s := recordRun(t, Options{}, record.AtExec, acts(t), "personalities", strconv.Itoa(n))
		noGaps(t, s, evidence.UnseenCaps)
		got := args(s, "personality")
		if len(got) != want || want == 1 && len(got[0]) != 0 {
			t.Errorf("%d distinct arguments: %d facts, the first with %v; want %d", n+1, len(got), got[0], want)
		}
	}
}

// TestOverflow makes maps too small for real: every loss must show.
func TestOverflow(t *testing.T) {
	tests := []struct {
		name string
		size uint32
		argv []string
	}{
		{"tuples", 4, []string{"personalities", "40"}},
		{"calls", 4, []string{"manyunknown", "40"}},
		{"refusals", 1, []string{"refusehigh", "1000", "1001"}},
		{"checks", 1, []string{"chown", t.TempDir()}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			opts := Options{SeeRefused: true, mapSizes: map[string]uint32{tt.name: tt.size}}
			s := recordRun(t, opts, record.AtExec, append([]string{acts(t)}, tt.argv...)...)
			lost := gaps(s, evidence.Lost)
			if len(lost) != 1 || lost[0].Where != "map "+tt.name || lost[0].Count == 0 || !lost[0].Incomplete() {
				t.Errorf("lost: %+v", lost)
			}
			if tt.name == "tuples" && !slices.ContainsFunc(args(s, "personality"), func(a []uint64) bool { return len(a) == 0 }) {
				t.Error("a call whose arguments did not fit does not stand for any")
			}
		})
	}
}

// TestTooManyContainers: one that does not fit is followed, but what is exec'd
// into it cannot be.
func TestTooManyContainers(t *testing.T) {
	opts := Options{mapSizes: map[string]uint32{recorderMapContainers: 1}}
	script := `for i in 1 2; do unshare -m "$0" filter "$0" mark; done`
	s := recordRun(t, opts, record.AtFilter, "/bin/sh", "-c", script, acts(t))
	if lost := gaps(s, evidence.Lost); len(lost) != 1 || lost[0].Where != "map containers" || lost[0].Count != 1 {
		t.Errorf("lost: %+v", lost)
	}
}

// TestLossesThatCannotBeForced: only a counter that is not zero makes a gap.
func TestLossesThatCannotBeForced(t *testing.T) {
	s := seen{tally: recorderTally{LostTasks: 2, LostLookups: 4, Adopted: 5}, misses: map[string]uint64{"on_fork": 3, "on_exec": 0}}
	want := []evidence.Gap{
		{Kind: evidence.Lost, Where: "map tasks", Detail: "tasks that could not be followed, nor what they started", Count: 2},
		{
			Kind: evidence.Lost, Where: "task storage", Count: 4,
			Detail: "events, of followed tasks or of others, that came while this kernel could not tell which: use Linux 6.2 or later",
		},
		{Kind: evidence.Lost, Where: "program on_fork", Detail: "events that the kernel skipped the program for", Count: 3},
	}
	if diff := cmp.Diff(want, s.gaps()); diff != "" {
		t.Errorf("gaps (-want +got):\n%s", diff)
	}
}

// TestIOUring: whoever asks for a ring, granted or not, may work unseen. A ring
// that was there before the recording shows by its use.
func TestIOUring(t *testing.T) {
	setup, _ := native().Number("io_uring_setup")
	enter, _ := native().Number("io_uring_enter")
	for _, tt := range []struct {
		calls []uint32
		where string
	}{{[]uint32{setup}, "io_uring_setup"}, {[]uint32{enter, setup, setup}, "io_uring_setup"}, {[]uint32{enter}, "io_uring_enter"}} {
		argv := []string{acts(t), "unknown"}
		for _, nr := range tt.calls {
			argv = append(argv, strconv.Itoa(int(nr)))
		}
		s := recordRun(t, Options{}, record.AtExec, argv...)
		noGaps(t, s, evidence.UnseenCaps, evidence.Hidden)
		want := []evidence.Gap{{
			Kind:   evidence.Hidden,
			Where:  string(native()) + " " + tt.where,
			Detail: "io_uring was used: files, sockets and capability checks that it works on do not show",
		}}
		if diff := cmp.Diff(want, gaps(s, evidence.Hidden)); diff != "" {
			t.Errorf("calls %v: hidden (-want +got):\n%s", tt.calls, diff)
		}
	}
}

func TestUnknownNumbers(t *testing.T) {
	s := recordRun(t, Options{}, record.AtExec, acts(t), "unknown", "500", "1000", "-1", "0x7fffffff")
	noGaps(t, s, evidence.UnseenCaps, evidence.UnknownSyscall)
	var got []string
	for _, g := range gaps(s, evidence.UnknownSyscall) {
		got = append(got, g.Where)
	}
	a := string(native())
	want := []string{a + " -1", a + " 1000", a + " 500"}
	if native() == "x86_64" { // that bit makes it an x32 call
		want = append(want, "x32 1073741823")
	} else {
		want = append(want, a+" 2147483647")
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("unknown calls (-want +got):\n%s", diff)
	}
}
