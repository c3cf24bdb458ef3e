//go:build linux && (amd64 || arm64)

package ebpf

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/record"
)

func depth(t testing.TB) string {
	t.Helper()
	return compile(t, "depth.c")
}

// TestMoreArguments: what a filter can make use of, masked to what matters.
func TestMoreArguments(t *testing.T) {
	s := recordRun(t, Options{}, record.AtExec, depth(t), "args")
	noGaps(t, s, evidence.UnseenCaps)
	for name, want := range map[string][][]uint64{
		"prctl":         {{7}},
		"ioctl":         {{0x5413}},
		"setsockopt":    {{1, 36}, {6, 1}},
		"bpf":           {{12}},
		"keyctl":        {{11}},
		"ptrace":        {{0x4206}},
		"shmat":         {{0x8000}},
		"pkey_mprotect": {{0}, {4}, {6}},
	} {
		if diff := cmp.Diff(want, args(s, name)); diff != "" {
			t.Errorf("arguments of %s (-want +got):\n%s", name, diff)
		}
	}
}

// TestPorts: each port that the workload chose to listen on, once.
func TestPorts(t *testing.T) {
	s := recordRun(t, Options{}, record.AtExec, "unshare", "-n", depth(t), "ports")
	noGaps(t, s, evidence.UnseenCaps)
	want := []evidence.Resource{
		{Kind: evidence.TCPPort, Value: 20001}, {Kind: evidence.TCPPort, Value: 20002},
		{Kind: evidence.UDPPort, Value: 20003}, {Kind: evidence.UDPPort, Value: 20004},
	}
	for i := range want {
		want[i].Phase, want[i].Basis = evidence.Start, evidence.Observed
	}
	var got []evidence.Resource
	for _, f := range s.Facts {
		if f, ok := f.(evidence.Resource); ok {
			got = append(got, f)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ports (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([][]uint64{{}}, args(s, "listen")); diff != "" {
		t.Errorf("arguments of listen (-want +got):\n%s", diff)
	}
}

// TestServeAtAccept: from the first accept on the workload serves, if nobody
// else says when.
func TestServeAtAccept(t *testing.T) {
	for _, told := range []bool{false, true} {
		r := newRecorder(t, Options{})
		if told {
			if err := r.EnterAtAccept(); err != nil {
				t.Fatal(err)
			}
		}
		l := launch(t, "unshare", "-n", depth(t), "acceptor")
		if err := r.Follow(l.cmd.Process.Pid, record.AtExec); err != nil {
			t.Fatal(err)
		}
		l.run(t)
		s := snapshot(t, r)
		start, serve := names(s, native(), evidence.Start), names(s, native(), evidence.Serve)
		wantHas(t, "start", start, "getpgid", "listen", "accept4")
		if got := slices.Contains(serve, "getsid"); got != told || slices.Contains(start, "getsid") == told {
			t.Errorf("told to look for accept: %t; in phase start %v, in phase serve %v", told, start, serve)
		}
	}
}

// TestPhases: what tasks do is in the phase that the recorder was told last,
// for those that run already too, and for a recording to follow it begins anew.
func TestPhases(t *testing.T) {
	r := newRecorder(t, Options{})
	if err := r.Enter(evidence.Exec); err == nil {
		t.Error("phase exec was entered")
	}
	for range 2 {
		if err := r.Enter(evidence.Start); err != nil {
			t.Fatal(err)
		}
		runSteps(t, r)
	}
	s := snapshot(t, r)
	noGaps(t, s, evidence.UnseenCaps)
	for phase, call := range map[evidence.Phase]string{evidence.Start: "getpgid", evidence.Serve: "getsid", evidence.Stop: "getppid"} {
		for _, p := range []evidence.Phase{evidence.Start, evidence.Serve, evidence.Stop, evidence.Exec} {
			if got := slices.Contains(names(s, native(), p), call); got != (p == phase) {
				t.Errorf("%s in phase %s: %t", call, p, got)
			}
		}
	}
	wantHas(t, "stop", names(s, native(), evidence.Stop), "exit_group")
}

// runSteps has a workload do a step in each phase.
func runSteps(t *testing.T, r *Recorder) {
	t.Helper()
	cmd := exec.Command("/bin/sh", "-c", `read go; "$0" steps; exit $?`, depth(t))
	in, inErr := cmd.StdinPipe()
	out, outErr := cmd.StdoutPipe()
	cmd.Stderr = os.Stderr
	if inErr != nil || outErr != nil {
		t.Fatal(inErr, outErr)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := r.Follow(cmd.Process.Pid, record.AtExec); err != nil {
		t.Fatal(err)
	}
	say(t, in, "go\n")
	lines := bufio.NewReader(out)
	for _, next := range []evidence.Phase{evidence.Serve, evidence.Stop, ""} {
		say(t, in, "x")
		if line, err := lines.ReadString('\n'); err != nil {
			t.Fatalf("%q, %v", line, err)
		}
		if next != "" {
			if err := r.Enter(next); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := io.Copy(io.Discard, lines); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}
