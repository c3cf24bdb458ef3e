package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/profgen/profgen/gen/caps"
	"github.com/profgen/profgen/gen/formats"
	"github.com/profgen/profgen/gen/policy"
	"github.com/profgen/profgen/internal/image"
	"github.com/profgen/profgen/internal/sandbox"
)

// bites is what a part of a plan holds a workload back from: the same command
// fails with it and works without it.
var bites = []struct {
	name, command string
	plan          policy.Run
}{
	{"pids-limit stops a fork bomb", `i=0; while [ $i -lt 100 ]; do sleep 9 & i=$((i+1)); done; kill $(jobs -p)`, policy.Run{Limits: policy.Limits{Pids: 64}}},
	{"memory stops a balloon", `dd if=/dev/zero of=/dev/null bs=96M count=1 2>/dev/null`, policy.Run{Limits: policy.Limits{Memory: 32 << 20}}},
	{"nofile stops a hoarder", `exec 40</dev/null`, policy.Run{Limits: policy.Limits{Files: 32}}},
	{"shm-size stops a hoarder", `dd if=/dev/zero of=/dev/shm/x bs=1M count=4 2>/dev/null`, policy.Run{IPC: policy.PrivateIPC, Limits: policy.Limits{Shm: 1 << 20}}},
	{"read-only stops a write", `echo x >/file`, policy.Run{ReadOnly: true}},
	{"user takes root away", `[ $(id -u) = 0 ]`, policy.Run{User: policy.User{Name: "999:999"}}},
	{"ipc none takes /dev/shm away", `[ -d /dev/shm ]`, policy.Run{IPC: policy.NoIPC}},
	{"tmpfs is noexec", `cp /bin/busybox /tmp/busybox && /tmp/busybox true`, policy.Run{Tmpfs: []policy.Tmpfs{{Path: "/tmp"}}}},
	{"tmpfs has a size", `dd if=/dev/zero of=/tmp/x bs=1M count=4 2>/dev/null`, policy.Run{Tmpfs: []policy.Tmpfs{{Path: "/tmp", Size: 1 << 20}}}},
}

// What a plan lets through, beside what it holds back.
var passes = []struct {
	name, command string
	plan          policy.Run
}{
	{"a tmpfs can be written to under read-only", `echo x >/tmp/x && ! echo x >/x`, policy.Run{ReadOnly: true, Tmpfs: []policy.Tmpfs{{Path: "/tmp", Size: 1 << 20}}}},
	{"a tmpfs is the user's", `echo x >/tmp/x`, policy.Run{User: policy.User{Name: "999:999"}, Tmpfs: []policy.Tmpfs{{Path: "/tmp", Mode: 0o700, UID: 999, GID: 999}}}},
	{"what is executed in a tmpfs is", `cp /bin/busybox /tmp/busybox && /tmp/busybox true`, policy.Run{Tmpfs: []policy.Tmpfs{{Path: "/tmp", Exec: true}}}},
	{"a device is there", `[ -c /dev/full ] && [ -c /dev/loop-control ]`, policy.Run{Devices: []policy.Device{{Path: "/dev/loop-control", Access: "rw"}}}},
	{"a limit that is not reached is no matter", `echo x >/tmp/x`, policy.Run{Limits: policy.Limits{Pids: 64, Memory: 64 << 20, Files: 1024}}},
}

// Each part of a plan holds under each of those who run containers.
func TestEachLimitBites(t *testing.T) {
	layout := testImages(t)
	images := t.TempDir()
	archive := filepath.Join(images, "busybox.tar")
	if out, err := exec.CommandContext(t.Context(), "skopeo", "copy", "--quiet", "oci:"+layout+":busybox", "docker-archive:"+archive+":localhost/busybox:latest").CombinedOutput(); err != nil {
		t.Fatalf("skopeo: %v\n%s", err, out)
	}
	runners := map[string]func(*testing.T, policy.Run, string) error{"runc": bareRunner(t, layout+":busybox")}
	for _, start := range []func(*testing.T) engine{startDocker, startPodman} {
		e := start(t)
		e.must(t, "load", "-i", archive)
		runners[e.name] = engineRunner(e)
	}
	for name, run := range runners {
		for _, tt := range bites {
			t.Run(name+" "+tt.name, func(t *testing.T) {
				if err := run(t, policy.Run{}, tt.command); err != nil {
					t.Fatalf("without it: %v", err)
				}
				if err := run(t, tt.plan, tt.command); err == nil {
					t.Error("it does not hold")
				}
			})
		}
		for _, tt := range passes {
			t.Run(name+" "+tt.name, func(t *testing.T) {
				if _, err := os.Stat("/dev/loop-control"); err != nil && len(tt.plan.Devices) > 0 {
					t.Skip("this host has no /dev/loop-control")
				}
				if err := run(t, tt.plan, tt.command); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// engineRunner runs a command in a container of an engine with the flags of a
// plan.
func engineRunner(e engine) func(*testing.T, policy.Run, string) error {
	return func(t *testing.T, r policy.Run, command string) error {
		t.Helper()
		flags, err := caps.RunFlags(r, e.name == "docker")
		if err != nil {
			return err
		}
		args := append([]string{"run", "--rm", "--network=none"}, flags...)
		cmd := e.command(t.Context(), append(args, "localhost/busybox", "sh", "-c", command)...)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		err = cmd.Run()
		if err != nil && (strings.Contains(out.String(), "nknown flag") || cmd.ProcessState.ExitCode() == 125) {
			t.Fatalf("%s does not take %q: %s", e.name, flags, out.String())
		}
		if err != nil {
			return fmt.Errorf("%w: %s", err, out.String())
		}
		return nil
	}
}

// bareRunner runs a command in a container without an engine.
func bareRunner(t *testing.T, ref string) func(*testing.T, policy.Run, string) error {
	rt, err := sandbox.FindRuntime(t.Context(), "runc")
	if err != nil {
		t.Fatal(err)
	}
	return func(t *testing.T, r policy.Run, command string) error {
		t.Helper()
		img, err := image.Open(t.Context(), ref, image.Platform{})
		if err != nil {
			t.Fatal(err)
		}
		defer img.Close()
		ct := &sandbox.Container{
			Image: img, Args: []string{"sh", "-c", command}, Runtime: rt, Stdio: sandbox.Talk(),
			Confinement: sandbox.Confinement{Capabilities: []string{}, Bounds: boundsOf(r)},
		}
		if err := ct.Start(t.Context(), func(int) error { return nil }); err != nil {
			t.Fatal(err)
		}
		code, err := ct.Wait()
		if err != nil {
			t.Fatal(err)
		}
		if code != 0 {
			return exitError{code, nil}
		}
		return nil
	}
}

// A workload that needs no network has none: a connect comes to nothing at once.
func TestNoNetworkStopsAConnect(t *testing.T) {
	layout := testImages(t)
	e := startPodman(t)
	archive := filepath.Join(t.TempDir(), "busybox.tar")
	if out, err := exec.CommandContext(t.Context(), "skopeo", "copy", "--quiet", "oci:"+layout+":busybox", "docker-archive:"+archive+":localhost/busybox:latest").CombinedOutput(); err != nil {
		t.Fatalf("skopeo: %v\n%s", err, out)
	}
	e.must(t, "load", "-i", archive)
	plan := formats.Plan{Version: 1, Profile: "app", Capabilities: []string{}, Run: policy.Run{Network: policy.NoNetwork, IPC: policy.PrivateIPC}}
	flags, err := caps.RunFlags(plan.Run, false)
	if err != nil {
		t.Fatal(err)
	}
	// 192.0.2.1 is for documentation, RFC 5737: nobody is there.
	args := append(append([]string{"run", "--rm"}, flags...), "localhost/busybox", "sh", "-c", "nc -w 1 192.0.2.1 80 </dev/null")
	out, err := e.command(t.Context(), args...).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "unreachable") {
		t.Errorf("connect: %v\n%s", err, out)
	}
}
