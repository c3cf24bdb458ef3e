package sandbox

import (
	"os/exec"
	"strings"
	"testing"
	"time"
)

func sleeper(t *testing.T) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

func TestRunningStopsOnlyTheRecording(t *testing.T) {
	cmd := sleeper(t)
	r := &Running{PID: cmd.Process.Pid}
	attached := 0
	if err := r.Start(t.Context(), func(pid int) error { attached = pid; return nil }); err != nil || attached != r.PID {
		t.Fatalf("Start: attached to %d, %v", attached, err)
	}
	r.Stop()
	r.Stop()
	if _, err := waited(t, r); err != nil {
		t.Error(err)
	}
	if p, ok := readProc(r.PID); !ok || p.gone() {
		t.Error("the process was stopped, too")
	}
}

func TestRunningEndsWithTheProcess(t *testing.T) {
	cmd := sleeper(t)
	r := &Running{PID: cmd.Process.Pid}
	if err := r.Start(t.Context(), ignore); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(50*time.Millisecond, func() { cmd.Process.Kill() })
	if _, err := waited(t, r); err != nil {
		t.Error(err)
	}
}

// An id may have become another's when it is attached to.
func TestRunningThatEndsWhileItIsAttachedTo(t *testing.T) {
	cmd := sleeper(t)
	r := &Running{PID: cmd.Process.Pid}
	err := r.Start(t.Context(), func(int) error {
		cmd.Process.Kill()
		cmd.Wait()
		return nil
	})
	if err == nil || !strings.Contains(err.Error(), "it ended before it could be followed") {
		t.Errorf("Start: %v", err)
	}
	if err := r.Start(t.Context(), ignore); err == nil || !strings.Contains(err.Error(), "no such process") {
		t.Errorf("Start of what has ended: %v", err)
	}
}
