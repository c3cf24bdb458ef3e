package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/profgen/profgen/internal/image/imagetest"
	"github.com/profgen/profgen/internal/sandbox"
)

// The test binary is profgen, and its guard.
func TestMain(m *testing.M) {
	if os.Args[0] == sandbox.GuardName {
		os.Exit(sandbox.RunGuard())
	}
	if os.Args[0] == attemptsName {
		os.Exit(attemptAll(os.Args[1:]))
	}
	if os.Args[0] == usernsName {
		os.Exit(makeUserns(os.Args[1:]))
	}
	testscript.Main(m, map[string]func(){"profgen": main})
}

// Each script of testdata/script shows a part of profgen at work. $IMAGE is an
// OCI layout with the images busybox, nginx, redis and memcached, $REGISTRY a
// registry to push to; $TMPDIR is where profgen makes its private folders. asuser
// COMMAND runs a command as an ordinary user, whose home is $USERHOME and who sees
// the images at $USERIMAGE.
func TestScripts(t *testing.T) {
	layout := testImages(t)
	registry := imagetest.Registry(t)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("IMAGE", layout)
			env.Setenv("REGISTRY", registry)
			env.Setenv("TMPDIR", filepath.Join(env.WorkDir, "private"))
			env.Setenv("XDG_CACHE_HOME", filepath.Join(env.WorkDir, "cached"))
			u, err := newUser(filepath.Join(env.WorkDir, "user"), layout)
			if err != nil {
				return err
			}
			env.Setenv("USERHOME", u.home())
			env.Setenv("USERIMAGE", filepath.Join(u.dir, "oci"))
			env.Setenv("PATH", u.dir+string(os.PathListSeparator)+env.Getenv("PATH"))
			if err := os.Mkdir(filepath.Join(env.WorkDir, "private"), 0o700); err != nil {
				return err
			}
			return privatePodman(t, env)
		},
	})
}

// privatePodman puts a podman first in PATH that leaves the machine's alone.
func privatePodman(t *testing.T, env *testscript.Env) error {
	script, err := filepath.Abs("../../scripts/podman")
	if err != nil {
		return err
	}
	state, err := os.MkdirTemp("", "engine") // podman wants a short name
	if err != nil {
		return err
	}
	bin := filepath.Join(env.WorkDir, ".podman")
	env.Setenv("PATH", bin+":"+env.Getenv("PATH"))
	env.Defer(func() {
		defer os.RemoveAll(state)
		if used, err := os.ReadDir(state); err == nil && len(used) == 0 {
			return
		}
		if out, err := exec.Command("bash", script, state, "clean").CombinedOutput(); err != nil {
			t.Errorf("scripts/podman clean: %v: %s", err, out)
		}
	})
	if err := os.Mkdir(bin, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(bin, "podman"), fmt.Appendf(nil, "#!/bin/sh\nexec bash %s %s \"$@\"\n", script, state), 0o755)
}

// testImages returns the OCI layout that make test builds, for tests that run
// containers.
func testImages(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: to run containers and to load BPF programs")
	}
	layout, err := filepath.Abs("../../.cache/images/oci")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(layout, "index.json")); err != nil {
		t.Fatalf("%v: make test builds the images that the tests run", err)
	}
	return layout
}

// command returns profgen as a process of its own.
func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
	cmd.Args = append([]string{"profgen"}, args...)
	return cmd
}
