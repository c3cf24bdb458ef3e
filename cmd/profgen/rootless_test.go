package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/profiledir"
)

// nobody is the ordinary user that tests run profgen as.
const nobody = 65534

// user is a folder in which an ordinary user has what it takes to run profgen: a
// copy of it, a home, and a command that becomes that user. The user has
// subordinate ids, in a mount namespace of its own: the host's files stay as they
// are.
type user struct{ dir string }

// newUser makes one, with the images of a layout at dir/oci.
func newUser(dir, layout string) (user, error) {
	u := user{dir}
	script := fmt.Sprintf(`#!/bin/sh
# asuser COMMAND: run it as a user without privileges, who has subordinate ids.
exec unshare -m sh -c '
	mount --bind %[1]s/subid /etc/subuid && mount --bind %[1]s/subid /etc/subgid && mount --bind %[2]s %[1]s/oci || exit
	export HOME=%[1]s/home TMPDIR=%[1]s/home/tmp
	exec setpriv --reuid=%[3]d --regid=%[3]d --clear-groups "$@"' sh "$@"
`, dir, layout, nobody)
	err := errors.Join(
		os.MkdirAll(dir, 0o755), os.Chmod(dir, 0o755),
		os.Mkdir(filepath.Join(dir, "oci"), 0o755),
		os.MkdirAll(u.home("tmp"), 0o700),
		os.Chown(u.home(), nobody, nobody), os.Chown(u.home("tmp"), nobody, nobody),
		os.WriteFile(filepath.Join(dir, "subid"), []byte("nobody:1000000:65536\n"), 0o644),
		os.WriteFile(filepath.Join(dir, "asuser"), []byte(script), 0o755),
		shareProgram(filepath.Join(dir, "profgen")),
	)
	for above := filepath.Dir(dir); above != os.TempDir() && above != "/"; above = filepath.Dir(above) {
		err = errors.Join(err, os.Chmod(above, 0o755)) // a folder of this test
	}
	return u, err
}

func (u user) home(name ...string) string {
	return filepath.Join(append([]string{u.dir, "home"}, name...)...)
}

// shareProgram gives this program a further name, or makes a copy.
func shareProgram(to string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if os.Link(self, to) == nil {
		return nil
	}
	program, err := os.ReadFile(self)
	if err != nil {
		return err
	}
	return os.WriteFile(to, program, 0o755)
}

// testUser returns a user who goes with the test, and the layout of the test
// images as that user sees it.
func testUser(t *testing.T) (user, string) {
	t.Helper()
	layout := testImages(t)
	if _, err := exec.LookPath("newuidmap"); err != nil {
		t.Fatalf("%v: scripts/install-missing test installs uidmap", err)
	}
	dir, err := os.MkdirTemp("", "profgen-user-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	u, err := newUser(dir, layout)
	if err != nil {
		t.Fatal(err)
	}
	return u, filepath.Join(dir, "oci")
}

// profgen returns profgen as a process of the user's.
func (u user) profgen(args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(u.dir, "asuser"), append([]string{filepath.Join(u.dir, "profgen")}, args...)...)
	cmd.Dir = u.home()
	return cmd
}

// rootless records the server in a container of an ordinary user, from start to
// end: that has to say the same of its calls as a recording in dir by root, but for
// what happens or not as threads and signals fall.
func (s server) rootless(t *testing.T, dir string, drive []string) {
	u, layout := testUser(t)
	drive = append([]string{"record", "-o", s.name}, drive...)
	drive[slices.Index(drive, "--image")+1] = layout + ":" + s.name // as the user sees it
	out, err := u.profgen(drive...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var calls [2][]string
	for i, dir := range []string{dir, u.home(s.name)} {
		set, err := profiledir.Evidence(dir)
		if err != nil {
			t.Fatal(err)
		}
		calls[i] = recordedCalls(t, set)
		for phase, wanted := range map[evidence.Phase]bool{evidence.Start: true, evidence.Serve: true, evidence.Exec: s.exec != "", evidence.Stop: true} {
			if wanted && len(callsIn(set, phase)) == 0 {
				t.Errorf("%s: nothing in phase %s", dir, phase)
			}
		}
	}
	const chance = 5
	for i, of := range []string{"only root's recording has", "only the user's recording has"} {
		only := slices.DeleteFunc(slices.Clone(calls[i]), func(c string) bool { return slices.Contains(calls[1-i], c) })
		t.Logf("%s %v", of, only)
		if len(only) > chance || len(calls[i]) < 20 {
			t.Errorf("%s %d calls of %d", of, len(only), len(calls[i]))
		}
	}
}

// Killed in the middle of a recording, as the user knows it, profgen leaves
// evidence that says that it is not all, and nothing else; nor is the workload
// left, waiting for an answer.
func TestKilledRootless(t *testing.T) {
	u, layout := testUser(t)
	for name, args := range map[string][]string{
		"container": {"--image", layout + ":busybox", "--", "busybox"}, "command": {"--"},
	} {
		t.Run(name, func(t *testing.T) {
			mark := "mark" + strconv.Itoa(os.Getpid()) + name
			script := "sleep 0.7; sync; echo synced; while :; do sleep 0.1; done; echo " + mark
			cmd := u.profgen(append(append([]string{"record", "-o", name}, args...), "sh", "-c", script)...)
			var talk bytes.Buffer
			cmd.Stderr = &talk
			startAndRead(t, cmd, "synced\n")
			time.Sleep(checkpoints)
			cmd.Process.Kill()
			cmd.Wait()
			set, err := profiledir.Evidence(u.home(name))
			if err != nil {
				t.Fatalf("evidence after the kill: %v: %s", err, talk.String())
			}
			if !has(set, "sync") || !slices.ContainsFunc(set.Gaps, func(g evidence.Gap) bool { return g.Kind == evidence.Unfinished }) {
				t.Errorf("evidence after the kill lacks what was seen, or does not say that it is unfinished: %v", set.Gaps)
			}
			eventually(t, "the private folder is gone", func() bool {
				left, err := os.ReadDir(u.home("tmp"))
				return err == nil && len(left) == 0
			})
			eventually(t, "the workload is gone", func() bool { return exec.Command("pgrep", "-f", mark+"$").Run() != nil })
		})
	}
}

// startAndRead starts a command and waits until it prints a line.
func startAndRead(t *testing.T, cmd *exec.Cmd, want string) {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != want {
		t.Fatalf("%v says %q, %v", cmd.Args, line, err)
	}
}

// A workload that crashes, or is told to end, ends the recording in good order.
func TestEndsRootless(t *testing.T) {
	u, layout := testUser(t)
	cmd := u.profgen("record", "-o", "crash", "--image", layout+":busybox", "--", "busybox", "sh", "-c", `sync; sh -c 'kill -SEGV $$'; exit $?`) // pid 1 is not killed so
	out, err := cmd.CombinedOutput()
	if code := cmd.ProcessState.ExitCode(); err == nil || code != 128+int(syscall.SIGSEGV) {
		t.Errorf("exit code %d of a workload that crashed: %s", code, out)
	}
	if set, err := profiledir.Evidence(u.home("crash")); err != nil || !has(set, "sync") || len(set.Incomplete()) > 0 {
		t.Errorf("evidence of a crash: %v, %v", set.Incomplete(), err)
	}
	cmd = u.profgen("record", "-o", "term", "--", "sh", "-c", "sync; echo synced; while :; do sleep 0.1; done")
	startAndRead(t, cmd, "synced\n")
	cmd.Process.Signal(syscall.SIGTERM)
	if err := cmd.Wait(); err != nil {
		t.Errorf("told to end: %v", err)
	}
	if set, err := profiledir.Evidence(u.home("term")); err != nil || len(set.Incomplete()) > 0 {
		t.Errorf("evidence of what was told to end: %v, %v", set.Incomplete(), err)
	}
}
