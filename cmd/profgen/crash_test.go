package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/profiledir"
)

// checkpoints is how old what a kill loses can be at most.
const checkpoints = 2 * time.Second

// Killed in the middle of a recording, profgen leaves evidence that parses,
// holds what was seen until shortly before and says that it is not all, and
// nothing else: no workload, no mount, no folder, no BPF program.
func TestKilledInTheMiddle(t *testing.T) {
	layout := testImages(t)
	dir, private := filepath.Join(t.TempDir(), "profile"), t.TempDir()
	cmd := command(t, "record", "-o", dir, "--image", layout+":busybox", "--",
		"busybox", "sh", "-c", "sleep 0.7; sync; echo synced; while :; do sleep 0.1; done; echo "+filepath.Base(private))
	cmd.Env = append(os.Environ(), "TMPDIR="+private)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "synced\n" {
		t.Fatalf("the workload says %q, %v", line, err)
	}
	time.Sleep(checkpoints)
	cmd.Process.Kill()
	cmd.Wait()

	set, err := profiledir.Evidence(dir)
	if err != nil {
		t.Fatalf("evidence after the kill: %v", err)
	}
	if !has(set, "sync") || !slices.ContainsFunc(set.Gaps, func(g evidence.Gap) bool { return g.Kind == evidence.Unfinished }) {
		t.Errorf("evidence after the kill lacks what was seen, or does not say that it is unfinished: %v", set.Gaps)
	}
	eventually(t, "the private folder is gone", func() bool {
		left, err := os.ReadDir(private)
		return err == nil && len(left) == 0
	})
	eventually(t, "the workload is gone", func() bool {
		return exec.Command("pgrep", "-f", filepath.Base(private)+"$").Run() != nil
	})
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil || strings.Contains(string(mounts), private) {
		t.Errorf("a mount is left below %s: %v", private, err)
	}
	said, err := command(t, "generate", dir).CombinedOutput()
	if err == nil || !strings.Contains(string(said), "the recording was cut off") {
		t.Errorf("generate from unfinished evidence: %v: %s", err, said)
	}
}

func has(set evidence.Set, name string) bool {
	return slices.ContainsFunc(set.Facts, func(f evidence.Fact) bool {
		call, ok := f.(evidence.Syscall)
		return ok && call.Name == name
	})
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 30s: %s", what)
		}
	}
}
