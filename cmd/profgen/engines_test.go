package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/profgen/profgen/internal/host"
	"github.com/profgen/profgen/internal/record"
)

// engine is a container engine that runs from a folder of its own.
type engine struct {
	name   string
	client []string // its command line client
	env    []string
}

// What is recorded with runc, without any engine, serves every time under
// docker and podman too, with the flags that profgen prints for them.
func TestEngines(t *testing.T) {
	layout := testImages(t)
	images := filepath.Dir(layout)
	buildArchives(t, images)
	for _, start := range []func(*testing.T) engine{startDocker, startPodman} {
		e := start(t)
		for _, s := range servers {
			t.Run(s.name+" 20 of 20 with "+e.name, func(t *testing.T) {
				e.must(t, "load", "-i", filepath.Join(images, s.name+".docker.tar"))
				dir := filepath.Join(t.TempDir(), "profile")
				profgen(t, "record", "-o", dir, "--image", layout+":"+s.name, "--check", s.checkAt("127.0.0.1", s.port))
				flags := []string{"flags", dir}
				if facts, err := host.Read(); err != nil || !facts.AppArmor {
					flags = append(flags, "--without-apparmor") // podman refuses to name a profile here
				}
				run := strings.Fields(profgen(t, flags...))
				for i := range 20 {
					e.serveOnce(t, s, fmt.Sprintf("%s-%d", s.name, i), run)
				}
			})
		}
	}
}

// serveOnce runs the server, has its client ask, and stops it.
func (e engine) serveOnce(t *testing.T, s server, name string, flags []string) {
	t.Helper()
	args := append([]string{"run", "-d", "--name", name, "--network", "none"}, flags...)
	if e.name == "podman" { // a limit among the flags replaces all that scripts/podman has set
		args = append(args, "--ulimit", "nproc=2000:2000")
	}
	e.must(t, append(args, "localhost/"+s.name)...)
	pid := strings.TrimSpace(e.must(t, "inspect", "--format", "{{.State.Pid}}", name))
	check := record.Until(func(ctx context.Context) ([]byte, error) {
		return exec.CommandContext(ctx, "nsenter", "-t", pid, "-n", "sh", "-c", s.checkAt("127.0.0.1", s.port)).CombinedOutput()
	}, 20*time.Second)
	if err := check(t.Context()); err != nil {
		logs, _ := e.command(t.Context(), "logs", name).CombinedOutput()
		t.Errorf("%s: %v\n%s", name, err, logs)
	}
	e.must(t, "stop", name)
	e.must(t, "rm", name)
}

func (e engine) command(ctx context.Context, args ...string) *exec.Cmd {
	argv := append(append([]string{}, e.client...), args...)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), e.env...)
	return cmd
}

func (e engine) must(t *testing.T, args ...string) string {
	t.Helper()
	out, err := e.command(t.Context(), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", e.name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func buildArchives(t *testing.T, images string) {
	t.Helper()
	args := []string{"../../testdata/images/build.sh", images}
	for _, s := range servers {
		args = append(args, s.name)
	}
	cmd := exec.CommandContext(t.Context(), "bash", args...)
	cmd.Env = append(os.Environ(), "ARCHIVES=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build image archives: %v\n%s", err, out)
	}
}

// engineDir is a folder whose path is short enough for sockets in it, emptied
// by stop and then removed.
func engineDir(t *testing.T, stop func(dir string)) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "engine")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop(dir)
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func needEngine(t *testing.T, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Fatalf("%v: scripts/install-missing engines installs it", err)
	}
}

func startDocker(t *testing.T) engine {
	t.Helper()
	needEngine(t, "dockerd")
	script := func(verb, dir string) string {
		out, err := exec.Command("bash", "../../scripts/dockerd", verb, dir).Output()
		if err != nil {
			t.Errorf("scripts/dockerd %s: %v", verb, err)
		}
		return strings.TrimSpace(string(out))
	}
	dir := engineDir(t, func(dir string) { script("stop", dir) })
	return engine{"docker", []string{"docker"}, []string{"DOCKER_HOST=" + script("start", dir)}}
}

func startPodman(t *testing.T) engine {
	t.Helper()
	needEngine(t, "podman")
	dir := engineDir(t, func(dir string) {
		if out, err := exec.Command("bash", "../../scripts/podman", dir, "clean").CombinedOutput(); err != nil {
			t.Errorf("scripts/podman clean: %v\n%s", err, out)
		}
	})
	script, err := filepath.Abs("../../scripts/podman")
	if err != nil {
		t.Fatal(err)
	}
	// A client by its name, for who looks for one in PATH.
	client := filepath.Join(dir, "bin", "podman")
	if err := os.Mkdir(filepath.Dir(client), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(client, fmt.Appendf(nil, "#!/bin/sh\nexec bash %s %s \"$@\"\n", script, dir), 0o755); err != nil {
		t.Fatal(err)
	}
	return engine{"podman", []string{client}, []string{"PATH=" + filepath.Dir(client) + ":" + os.Getenv("PATH")}}
}
