package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/host"
	"github.com/profgen/profgen/internal/profiledir"
)

// Containers that docker and podman make, or have made, are recorded as exactly
// as those of profgen's own.
func TestRecordWithEngines(t *testing.T) {
	images := filepath.Dir(testImages(t))
	buildArchives(t, images)
	for _, start := range []func(*testing.T) engine{startDocker, startPodman} {
		e := start(t)
		e.must(t, "load", "-i", filepath.Join(images, "nginx.docker.tar"))
		t.Run(e.name, func(t *testing.T) {
			t.Run("serves under what was recorded", e.testServes)
			t.Run("nothing of its neighbours", e.testNeighbours)
			t.Run("exec and health check", e.testExec)
			t.Run("ends as it ended", e.testEnds)
			t.Run("killed", e.testKilled)
			t.Run("not under the filter", e.testUnfiltered)
			t.Run("running", e.testRunning)
			if e.name == "podman" {
				t.Run("hook", e.testHook)
			} else {
				t.Run("compose", e.testCompose)
				t.Run("restarted", e.testRestarted)
			}
			if left := e.must(t, "ps", "-a", "-q"); left != "" {
				t.Errorf("containers left behind: %s", left)
			}
		})
	}
}

// record runs profgen record with the engine and returns what it printed, its
// exit code and the evidence.
func (e engine) record(t *testing.T, dir string, args ...string) (out string, code int, set evidence.Set) {
	t.Helper()
	cmd := command(t, append([]string{"record", "-o", dir}, args...)...)
	cmd.Env = append(os.Environ(), e.env...)
	var both bytes.Buffer
	cmd.Stdout, cmd.Stderr = &both, &both
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	set, err = profiledir.EvidenceSoFar(dir)
	if err != nil {
		t.Fatal(err)
	}
	return both.String(), cmd.ProcessState.ExitCode(), set
}

const nginxImage = "localhost/nginx"

func (e engine) testServes(t *testing.T) {
	s, dir := servers[0], filepath.Join(t.TempDir(), "profile")
	out, code, set := e.record(t, dir, "--engine", e.name, "--check", s.checkAt("127.0.0.1", s.port),
		"--", "run", "-d", "--network", "none", nginxImage)
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, out)
	}
	got := set.Subjects[0]
	if !strings.HasPrefix(got.Image, nginxImage) || !strings.HasPrefix(got.ConfigDigest, "sha256:") ||
		!slices.Equal(got.Argv, []string{"nginx", "-g", "daemon off;"}) {
		t.Errorf("subject %+v", got)
	}
	if src := set.Sources[0]; !strings.HasPrefix(src.Runtime, e.name+" ") || !src.NoNewPrivileges {
		t.Errorf("source %+v", src)
	}
	if len(set.Gaps) > 0 {
		t.Errorf("gaps: %v", set.Gaps)
	}
	calls := callsIn(set, evidence.Runtime)
	if !slices.Contains(calls, "execve") || slices.Contains(calls, "pivot_root") || len(callsIn(set, evidence.Start)) < 50 {
		t.Errorf("runtime %v, start %v", calls, callsIn(set, evidence.Start))
	}
	flags := []string{"flags", dir}
	if facts, err := host.Read(); err != nil || !facts.AppArmor {
		flags = append(flags, "--without-apparmor")
	}
	for i := range 3 {
		e.serveOnce(t, s, fmt.Sprintf("recorded-%d", i), strings.Fields(profgen(t, flags...)))
	}
}

func callsIn(set evidence.Set, phase evidence.Phase) []string {
	var out []string
	for _, f := range set.Facts {
		if f, ok := f.(evidence.Syscall); ok && f.Phase == phase {
			out = append(out, f.Name)
		}
	}
	return slices.Compact(out)
}

// begin starts a recording of a container that sleeps and returns when it does.
func (e engine) begin(t *testing.T, dir, name string, options ...string) (cmd *exec.Cmd, said *bytes.Buffer) {
	t.Helper()
	args := slices.Concat([]string{"record", "-o", dir, "--engine", e.name, "--", "run", "--name", name, "--network", "none"},
		options, []string{nginxImage, "sh", "-c", "trap 'exit 4' QUIT; sync; while :; do sleep 0.1; done"})
	cmd, said = command(t, args...), &bytes.Buffer{}
	cmd.Env, cmd.Stdout, cmd.Stderr = append(os.Environ(), e.env...), said, said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waitForEvidence(t, dir, "sync")
	return cmd, said
}

// While one container is recorded, others come and go: started by the same
// daemon, with filters of their own, at the same moments.
func (e engine) testNeighbours(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "profile")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			e.command(t.Context(), "run", "--rm", "--network", "none", nginxImage, "chroot", "/", "true").Run()
		}
	}()
	cmd, said := e.begin(t, dir, "recorded")
	e.must(t, "run", "--rm", "--network", "none", nginxImage, "chroot", "/", "true")
	cancel()
	cmd.Process.Signal(os.Interrupt)
	cmd.Wait()
	<-done
	set, err := profiledir.Evidence(dir)
	if err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	if !has(set, "sync") || has(set, "chroot") {
		t.Errorf("sync %t, chroot of a neighbour %t; want only what the container did", has(set, "sync"), has(set, "chroot"))
	}
}

// What the engine execs into the container is recorded as such.
func (e engine) testExec(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "profile")
	var health []string
	if e.name == "docker" { // podman has systemd run it
		health = []string{"--health-cmd", "mknod /tmp/fifo p; true", "--health-interval", "300ms"}
	}
	cmd, said := e.begin(t, dir, "recorded", health...)
	e.must(t, "exec", "recorded", "chroot", "/", "true")
	want := []string{"chroot"}
	if health != nil {
		want = append(want, "mknodat")
	}
	eventually(t, fmt.Sprintf("%v in phase exec", want), func() bool {
		set, err := profiledir.Evidence(dir)
		return err == nil && !slices.ContainsFunc(want, func(name string) bool {
			return !slices.Contains(callsIn(set, evidence.Exec), name)
		})
	})
	cmd.Process.Signal(os.Interrupt)
	cmd.Wait()
	set, err := profiledir.Evidence(dir)
	if err != nil || slices.Contains(callsIn(set, evidence.Start), "chroot") {
		t.Errorf("%v: %s", err, said)
	}
}

func (e engine) testEnds(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "profile")
	for _, detached := range []string{"--init=false", "-d"} {
		if out, code, _ := e.record(t, dir, "--engine", e.name, "--", "run", detached, "--network", "none", nginxImage,
			"sh", "-c", "sleep 0.3; exit 7"); code != 7 {
			t.Errorf("with %s: exit code %d, want the container's, 7: %s", detached, code, out)
		}
	}
	cmd, said := e.begin(t, filepath.Join(t.TempDir(), "profile"), "recorded", "--stop-signal", "QUIT")
	begun := time.Now()
	cmd.Process.Signal(os.Interrupt)
	if err := cmd.Wait(); err != nil || time.Since(begun) > 8*time.Second {
		t.Errorf("%v after %s, want it stopped by its own stop signal: %s", err, time.Since(begun), said)
	}
}

func (e engine) testKilled(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "profile")
	cmd, said := e.begin(t, dir, "recorded", "--rm=false")
	cmd.Process.Signal(syscall.SIGKILL)
	cmd.Wait()
	eventually(t, "the container is gone", func() bool { return e.must(t, "ps", "-a", "-q") == "" })
	set, err := profiledir.EvidenceSoFar(dir)
	if err != nil || !has(set, "sync") {
		t.Errorf("evidence after the kill: %v: %s", err, said)
	}
}

// An engine that is restarted stops its containers. What was seen is kept, and the
// container removed as soon as there is somebody to do it.
func (e engine) testRestarted(t *testing.T) {
	private, dir, attached := t.TempDir(), filepath.Join(t.TempDir(), "profile"), filepath.Join(t.TempDir(), "attached")
	t.Setenv("TMPDIR", private)
	e.must(t, "run", "-d", "--name", "running", "--stop-signal", "KILL", "--network", "none", nginxImage, "sh", "-c", "while :; do sync; sleep 0.1; done")
	running := command(t, "record", "-o", attached, "--container", "running", "--allow-incomplete")
	running.Env = append(os.Environ(), e.env...)
	if err := running.Start(); err != nil {
		t.Fatal(err)
	}
	waitForEvidence(t, attached, "sync")
	cmd, said := e.begin(t, dir, "recorded", "--stop-signal", "QUIT")
	e.restart()
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() < 0 {
		t.Errorf("%v: %s", err, said)
	}
	if err := running.Wait(); err != nil {
		t.Errorf("recording what ran already: %v", err)
	}
	e.must(t, "rm", "running")
	for _, of := range []string{dir, attached} {
		set, err := profiledir.EvidenceSoFar(of)
		if err != nil || !has(set, "sync") {
			t.Errorf("evidence after the restart: %v: %s", err, said)
		}
	}
	if left := e.must(t, "ps", "-a", "-q"); left != "" {
		t.Errorf("a container is left: %s: %s", left, said)
	}
	if left, err := os.ReadDir(private); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func (e engine) testUnfiltered(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "profile")
	out, code, set := e.record(t, dir, "--engine", e.name, "--", "run", "--network", "none",
		"--security-opt", "seccomp=unconfined", nginxImage, "sh", "-c", "trap exit TERM; while :; do sleep 0.1; done")
	if code == 0 || len(set.Facts) > 0 || !strings.Contains(out, "runs without the recording's seccomp filter") {
		t.Errorf("exit code %d, %d facts: %s", code, len(set.Facts), out)
	}
}

func (e engine) testRunning(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "profile")
	e.must(t, "run", "-d", "--name", "serving", "--network", "none", nginxImage)
	defer e.must(t, "rm", "-f", "serving")
	s := servers[0]
	check := s.checkAt("127.0.0.1", s.port)
	out, code, set := e.record(t, dir, "--container", "serving", "--allow-incomplete", "--for", "1s", "--check", check)
	if code != 0 || !has(set, "accept4") || !strings.HasPrefix(set.Subjects[0].Image, nginxImage) {
		t.Errorf("exit code %d, subject %+v: %s", code, set.Subjects, out)
	}
	if got := strings.TrimSpace(e.must(t, "inspect", "--format", "{{.State.Running}}", "serving")); got != "true" {
		t.Errorf("running %s: want it left alone", got)
	}
}

func (e engine) testHook(t *testing.T) {
	hooks, base := filepath.Join(t.TempDir(), "hooks.d"), t.TempDir()
	profgen(t, "hook", "--install", hooks, "--dir", base)
	// The test's own binary is profgen only if it is called so.
	config := filepath.Join(hooks, "profgen.json")
	raw, err := os.ReadFile(config)
	if err != nil || !bytes.Contains(raw, []byte(`"profgen",`)) {
		t.Fatalf("%v: %s", err, raw)
	}
	for _, runtime := range []string{"runc", "crun"} {
		out, err := e.command(t.Context(), "--hooks-dir", hooks, "--runtime", runtime, "run", "--rm", "--network", "none",
			"--annotation", "io.profgen.record="+runtime, nginxImage, "chroot", "/", "true").CombinedOutput()
		dir := filepath.Join(base, runtime)
		if err != nil {
			log, _ := os.ReadFile(filepath.Join(dir, "hook.log"))
			t.Fatalf("%v: %s%s", err, out, log)
		}
		eventually(t, "the profile is made", func() bool {
			_, err := os.Stat(filepath.Join(dir, "seccomp.json"))
			return err == nil
		})
		set, err := profiledir.Evidence(dir)
		if err != nil || !slices.Contains(callsIn(set, evidence.Start), "chroot") ||
			!slices.Contains(callsIn(set, evidence.Runtime), "capset") || slices.Contains(callsIn(set, evidence.Runtime), "pivot_root") {
			t.Errorf("%s: %v, runtime %v, start %v", runtime, err, callsIn(set, evidence.Runtime), callsIn(set, evidence.Start))
		}
		if !strings.HasPrefix(set.Subjects[0].Image, nginxImage) {
			t.Errorf("%s: subject %+v", runtime, set.Subjects)
		}
	}
	for _, bad := range []string{"../up", "a/b", ".hidden"} {
		if err := e.command(t.Context(), "--hooks-dir", hooks, "run", "--rm", "--network", "none",
			"--annotation", "io.profgen.record="+bad, nginxImage, "true").Run(); err == nil {
			t.Errorf("a container that asks to be recorded into %q was started", bad)
		}
	}
}

func (e engine) testCompose(t *testing.T) {
	if _, err := exec.LookPath("docker-compose"); err != nil {
		t.Fatalf("%v: scripts/install-missing engines installs it", err)
	}
	file := filepath.Join(t.TempDir(), "compose.yaml")
	text := `version: "3.8"
services:
  web:
    image: localhost/nginx
    depends_on: [helper]
  helper:
    image: localhost/nginx
    command: ["chroot", "/", "sleep", "1000"]
`
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	s, dir := servers[0], filepath.Join(t.TempDir(), "profile")
	out, code, set := e.record(t, dir, "--engine", e.name, "--compose", file, "--service", "web", "--check", s.checkAt("127.0.0.1", s.port))
	if code != 0 || !has(set, "accept4") || has(set, "chroot") {
		t.Errorf("exit code %d, accept4 %t, chroot of the other service %t: %s", code, has(set, "accept4"), has(set, "chroot"), out)
	}
}

// waitForEvidence returns once a checkpoint of dir has a system call.
func waitForEvidence(t *testing.T, dir, name string) {
	t.Helper()
	eventually(t, "evidence has "+name, func() bool {
		set, err := profiledir.Evidence(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		return has(set, name)
	})
}
