package profiles_test

import (
	"cmp"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/moby/profiles/apparmor"
	"github.com/moby/profiles/seccomp"

	"github.com/profgen/profgen/internal/abi"
	"github.com/profgen/profgen/profiles"
)

func TestFloors(t *testing.T) {
	floors, err := profiles.Floors()
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range floors {
		if f.Name == "" || f.Runtime == "" || f.Versions == "" || f.Source == "" || len(f.Syscalls) == 0 {
			t.Errorf("floor %d: something is missing: %+v", i, f)
		}
		if !slices.IsSorted(f.Syscalls) || len(slices.Compact(slices.Clone(f.Syscalls))) != len(f.Syscalls) {
			t.Errorf("%s: not sorted, or not a set: %v", f.Name, f.Syscalls)
		}
		if strings.HasSuffix(f.Name, "-without-nnp") == f.NoNewPrivileges || f.Exec != strings.Contains(f.Name, "exec") {
			t.Errorf("%s: its name tells another story than %+v", f.Name, f)
		}
		got, err := profiles.FloorByName(f.Name)
		if err != nil || got.Source != f.Source {
			t.Errorf("%s by name: got %+v, %v", f.Name, got, err)
		}
	}
}

func TestFloorByNameListsThem(t *testing.T) {
	_, err := profiles.FloorByName("runc")
	if err == nil || !strings.Contains(err.Error(), "runc-1.1, ") {
		t.Errorf("got %v, want the names there are", err)
	}
}

// The embedded profile is that of the version in go.mod: go generate makes it so.
func TestDockerDefaultIsCurrent(t *testing.T) {
	got, version := profiles.DockerDefault()
	gomod, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(gomod), version) {
		t.Errorf("generated from %q, go.mod has another", version)
	}
	var a, b any
	want, err := json.Marshal(seccomp.DefaultProfile())
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(got, &a); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(want, &b); err != nil {
		t.Fatal(err)
	}
	if x, y := canonical(t, a), canonical(t, b); x != y {
		t.Error("docker-default.json is not what the module has; run go generate")
	}
}

// So is the AppArmor profile: Docker gives it to apparmor_parser, here one that
// keeps it.
func TestDockerAppArmorIsCurrent(t *testing.T) {
	got, version := profiles.DockerAppArmor()
	gomod, err := os.ReadFile("../go.mod")
	if err != nil || !strings.Contains(string(gomod), version) {
		t.Errorf("generated from %q, go.mod has another (%v)", version, err)
	}
	dir := t.TempDir()
	parser := "#!/bin/sh\nexec /bin/cp \"$2\" " + dir + "/profile\n"
	if err := os.WriteFile(filepath.Join(dir, "apparmor_parser"), []byte(parser), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	if err := apparmor.InstallDefault("docker-default"); err != nil {
		t.Fatal(err)
	}
	made, err := os.ReadFile(filepath.Join(dir, "profile"))
	if err != nil {
		t.Fatal(err)
	}
	if a, b := rules(string(got)), rules(string(made)); a != b {
		t.Errorf("docker-default-apparmor is not what the module makes; run go generate:\n%s\nwant\n%s", a, b)
	}
}

// rules are the lines of a profile that do not depend on what AppArmor has on the
// host.
func rules(profile string) string {
	var out []string
	for line := range strings.Lines(profile) {
		line = strings.TrimSpace(line)
		if line != "" && line != "@{PROC}=/proc/" && !strings.HasPrefix(line, "#include") {
			out = append(out, line)
		}
	}
	return strings.Join(out, "\n")
}

func canonical(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestCapabilities(t *testing.T) {
	docker, podman := profiles.DockerCapabilities(), profiles.PodmanCapabilities()
	if len(docker) != 14 || len(podman) != 11 || !slices.IsSorted(docker) || !slices.IsSorted(podman) {
		t.Errorf("docker has %d, podman %d, want 14 and 11, sorted", len(docker), len(podman))
	}
	for _, c := range podman {
		if !slices.Contains(docker, c) {
			t.Errorf("%s: podman grants it and docker does not", c)
		}
	}
}

// Every hole is reached by calls that kernels have, with arguments that have
// bits under their masks.
func TestCVEs(t *testing.T) {
	all, err := profiles.CVEs()
	if err != nil || len(all) < 40 {
		t.Fatalf("%d, %v", len(all), err)
	}
	for i, c := range all {
		if i > 0 && all[i-1].ID == c.ID || c.What == "" || len(c.Needs) == 0 {
			t.Errorf("%+v", c)
		}
		for _, way := range c.Needs {
			for _, use := range way {
				arch := abi.Arch(cmp.Or(use.Arch, string(abi.X8664)))
				if _, ok := arch.Number(use.Call); !ok || len(way) == 0 {
					t.Errorf("%s: %s has no %s", c.ID, arch, use.Call)
				}
				for _, g := range use.Given {
					if g.Index > 5 || g.Mask == 0 || g.Value&^g.Mask != 0 {
						t.Errorf("%s: %+v", c.ID, g)
					}
				}
			}
		}
	}
}
