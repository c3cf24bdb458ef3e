package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
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

// A workload that crashes, and profgen when it is told to end, end a recording in
// good order: the evidence is whole, and nothing else is left.
func TestEndsInGoodOrder(t *testing.T) {
	image := testImages(t) + ":busybox"
	for _, recorder := range []string{recorderEBPF, recorderUserNotif} {
		for _, tc := range []struct {
			name, script string
			end          func(*os.Process)
			code         int
		}{
			{"crash", `sync; echo synced; sh -c 'kill -SEGV $$'; exit $?`, func(*os.Process) {}, 128 + int(syscall.SIGSEGV)},
			{"told to end", "trap 'exit 3' TERM; sync; echo synced; while :; do sleep 0.1; done", func(p *os.Process) { p.Signal(syscall.SIGTERM) }, 0},
		} {
			t.Run(tc.name+" with "+recorder, func(t *testing.T) {
				dir, private, pinned := filepath.Join(t.TempDir(), "profile"), t.TempDir(), pins(t)
				cmd := command(t, "record", "-o", dir, "--recorder", recorder, "--image", image, "--", "busybox", "sh", "-c", tc.script+" # "+filepath.Base(private))
				cmd.Env = append(os.Environ(), "TMPDIR="+private)
				startAndRead(t, cmd, "synced\n")
				tc.end(cmd.Process)
				cmd.Wait()
				if code := cmd.ProcessState.ExitCode(); code != tc.code {
					t.Errorf("exit code %d, want %d", code, tc.code)
				}
				if set, err := profiledir.Evidence(dir); err != nil || !has(set, "sync") || len(set.Incomplete()) > 0 {
					t.Errorf("evidence %v, %v", set.Incomplete(), err)
				}
				if left, err := os.ReadDir(private); err != nil || len(left) > 0 {
					t.Errorf("left behind: %v, %v", left, err)
				}
				mounts, err := os.ReadFile("/proc/self/mounts")
				if err != nil || strings.Contains(string(mounts), private) {
					t.Errorf("a mount is left below %s: %v", private, err)
				}
				if exec.Command("pgrep", "-f", filepath.Base(private)+"$").Run() == nil {
					t.Error("the workload is left")
				}
				if after := pins(t); !slices.Equal(after, pinned) {
					t.Errorf("pinned in the BPF file system: %v, before %v", after, pinned)
				}
			})
		}
	}
}

// pins is what is pinned in the BPF file system.
func pins(t *testing.T) []string {
	t.Helper()
	names, err := filepath.Glob("/sys/fs/bpf/*")
	if err != nil {
		t.Fatal(err)
	}
	return names
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
