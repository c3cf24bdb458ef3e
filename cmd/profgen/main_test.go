package main

import (
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
	testscript.Main(m, map[string]func(){"profgen": main})
}

// Each script of testdata/script shows a part of profgen at work. $IMAGE is an
// OCI layout with the images busybox, nginx, redis and memcached, $REGISTRY a
// registry to push to; $TMPDIR is where profgen makes its private folders.
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
			return os.Mkdir(filepath.Join(env.WorkDir, "private"), 0o700)
		},
	})
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
