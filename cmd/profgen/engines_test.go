package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/host"
	"github.com/profgen/profgen/internal/record"
)

// engine is a container engine that runs from a folder of its own.
type engine struct {
	name    string
	client  []string // its command line client
	env     []string
	restart func() // nil of one without a daemon
}

var engagedServers = []server{
	servers[0], servers[1],
	{
		name: "memcached", port: servers[2].port, check: servers[2].check,
		exec: "memcached -V", health: `exec bash -c 'exec 3<>/dev/tcp/127.0.0.1/11211; printf "version\r\nquit\r\n" >&3; grep -q VERSION <&3'`,
	},
	postgres,
}

// What an engine's container is recorded at serves every time under that engine,
// with the flags that profgen prints for it, and so do its health check and what is
// exec'd into it.
func TestEngines(t *testing.T) {
	images := filepath.Dir(testImages(t))
	buildArchives(t, images)
	for _, start := range []func(*testing.T) engine{startDocker, startPodman} {
		e := start(t)
		for _, s := range engagedServers {
			t.Run(s.name+" 20 of 20 with "+e.name, func(t *testing.T) {
				e.must(t, "load", "-i", filepath.Join(images, s.name+".docker.tar"))
				e.serveOften(t, s, e.recordEngaged(t, s))
			})
		}
	}
}

// recordEngaged records the server in a container of the engine, with its health
// check and what is exec'd, and returns the flags to run it with.
func (e engine) recordEngaged(t *testing.T, s server) []string {
	t.Helper()
	const name = "recorded"
	dir := filepath.Join(t.TempDir(), "profile")
	check := fmt.Sprintf(`(%s) && %s exec %s sh -c "%s" && %s`, s.checkAt("127.0.0.1", s.port), e.name, name, s.exec, e.healthy(name))
	args := append([]string{"--engine", e.name, "--check", check, "--", "run", "-d", "--name", name}, e.options(s, "first")...)
	out, code, set := e.record(t, dir, append(args, "localhost/"+s.name)...)
	if code != 0 || len(set.Incomplete()) > 0 || len(callsIn(set, evidence.Exec)) < 20 {
		t.Fatalf("exit code %d, %v, exec'd %v: %s", code, set.Incomplete(), callsIn(set, evidence.Exec), out)
	}
	flags := []string{"flags", dir}
	if facts, err := host.Read(); err != nil || !facts.AppArmor {
		flags = append(flags, "--without-apparmor") // podman refuses to name a profile here
	}
	return strings.Fields(profgen(t, flags...))
}

// options are how the server is run: lane names what it keeps.
func (e engine) options(s server, lane string) []string {
	interval := "200ms"
	if e.name == "podman" {
		interval = "disable" // it has systemd run them
	}
	out := []string{"--network", "none", "--health-cmd", s.health, "--health-interval", interval}
	if s.data != "" {
		out = append(out, "-v", lane+":"+s.data)
	}
	return out
}

// healthy is a shell line that succeeds once the health check has.
func (e engine) healthy(name string) string {
	if e.name == "podman" {
		return "podman healthcheck run " + name
	}
	return `[ "$(docker inspect --format '{{.State.Health.Status}}' ` + name + `)" = healthy ]`
}

// serveOften runs the server twenty times, two at a time.
func (e engine) serveOften(t *testing.T, s server, flags []string) {
	var lanes sync.WaitGroup
	for lane := range 2 {
		lanes.Go(func() {
			for i := range 10 {
				name := fmt.Sprintf("%s-%d-%d", s.name, lane, i)
				if err := e.serveEngaged(t.Context(), s, name, fmt.Sprint("lane", lane), flags); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
	lanes.Wait()
}

// serveEngaged runs the server under the flags, has its client ask, execs into it,
// waits until it is healthy, and stops it.
func (e engine) serveEngaged(ctx context.Context, s server, name, lane string, flags []string) error {
	run := slices.Concat([]string{"run", "-d", "--name", name}, e.options(s, lane), flags, []string{"localhost/" + s.name})
	defer e.command(ctx, "rm", "-f", "-v", name).Run()
	if out, err := e.command(ctx, run...).CombinedOutput(); err != nil {
		return fmt.Errorf("run: %w: %s", err, out)
	}
	pid, err := e.command(ctx, "inspect", "--format", "{{.State.Pid}}", name).Output()
	if err != nil {
		return err
	}
	check := []string{"nsenter", "-t", strings.TrimSpace(string(pid)), "-n", "sh", "-c", s.checkAt("127.0.0.1", s.port)}
	for _, argv := range [][]string{check, {e.name, "exec", name, "sh", "-c", s.exec}, {"sh", "-c", e.healthy(name)}} {
		try := record.Until(func(ctx context.Context) ([]byte, error) {
			cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
			if argv[0] == e.name {
				cmd = e.command(ctx, argv[1:]...)
			}
			cmd.Env = append(os.Environ(), e.env...)
			return cmd.CombinedOutput()
		}, time.Minute)
		if err := try(ctx); err != nil {
			logs, _ := e.command(ctx, "logs", name).CombinedOutput()
			return fmt.Errorf("%w\n%s", err, logs)
		}
	}
	if out, err := e.command(ctx, "stop", name).CombinedOutput(); err != nil {
		return fmt.Errorf("stop: %w: %s", err, out)
	}
	code, err := e.command(ctx, "inspect", "--format", "{{.State.ExitCode}}", name).Output()
	if got := strings.TrimSpace(string(code)); err != nil || got != "0" {
		return fmt.Errorf("it ended with exit code %q, %v", got, err)
	}
	return nil
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
	for _, s := range engagedServers {
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
	return engine{"docker", []string{"docker"}, []string{"DOCKER_HOST=" + script("start", dir)}, func() {
		script("stop", dir)
		script("start", dir)
	}}
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
	return engine{"podman", []string{client}, []string{"PATH=" + filepath.Dir(client) + ":" + os.Getenv("PATH")}, nil}
}
