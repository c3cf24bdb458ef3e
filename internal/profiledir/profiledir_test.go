package profiledir_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/profgen/profgen/gen"
	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/abi"
	"github.com/profgen/profgen/internal/profiledir"
)

var set = evidence.Set{
	Subjects: []evidence.Subject{{Argv: []string{"/usr/bin/app"}}},
	Facts: []evidence.Fact{
		evidence.Syscall{Arch: abi.X8664, Nr: 0, Name: "read", Phase: evidence.Start, Basis: evidence.Observed},
		evidence.Capability{Cap: "CAP_CHOWN", Arch: abi.X8664, Syscall: "chown", Granted: true, Phase: evidence.Start, Basis: evidence.Observed},
	},
}

// generated is a profile directory made from set.
func generated(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "profile")
	if err := profiledir.SaveEvidence(dir, set); err != nil {
		t.Fatal(err)
	}
	bundle, err := gen.Generate(set, gen.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := profiledir.SaveBundle(dir, bundle); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestWhatIsSavedIsLoaded(t *testing.T) {
	dir := generated(t)
	got, err := profiledir.Evidence(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(set, got); diff != "" {
		t.Errorf("evidence (-saved +loaded):\n%s", diff)
	}
	enforced, err := profiledir.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"CAP_CHOWN"}, enforced.Capabilities); diff != "" || len(enforced.Seccomp.Syscalls) == 0 {
		t.Errorf("capabilities (-want +got):\n%s\n%d seccomp rules", diff, len(enforced.Seccomp.Syscalls))
	}
	flags, err := profiledir.Flags(dir, true)
	want := []string{"--cap-drop=ALL", "--cap-add=CHOWN", "--security-opt=no-new-privileges", "--security-opt=seccomp=" + dir + "/seccomp.json", "--network=none", "--ipc=private", "--cgroupns=private"}
	if diff := cmp.Diff(want, flags); err != nil || diff != "" {
		t.Errorf("flags: %v (-want +got):\n%s", err, diff)
	}
	left, err := filepath.Glob(filepath.Join(dir, ".*"))
	if err != nil || len(left) != 0 {
		t.Errorf("temporary files are left: %v, %v", left, err)
	}
}

// Files that were changed, or made from something else, are told; those that
// are not there are not.
func TestDiffer(t *testing.T) {
	dir := generated(t)
	same, err := gen.Generate(set, gen.Options{})
	if err != nil {
		t.Fatal(err)
	}
	more, err := gen.Generate(set, gen.Options{Floors: []string{"crun"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		bundle gen.Bundle
		want   []string
	}{{same, nil}, {more, []string{gen.SeccompFile}}} {
		got, err := profiledir.Differ(dir, tc.bundle)
		if diff := cmp.Diff(tc.want, got); err != nil || diff != "" {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
	}
	if got, err := profiledir.Differ(t.TempDir(), same); err != nil || got != nil {
		t.Errorf("an empty directory: %v, %v", got, err)
	}
}

func TestNoEvidenceYet(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "none")
	if _, err := profiledir.Evidence(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Evidence: %v, want ErrNotExist", err)
	}
	if got, err := profiledir.EvidenceSoFar(dir); err != nil || len(got.Facts) != 0 {
		t.Errorf("EvidenceSoFar: %v, %v; want nothing", got, err)
	}
}

// No capability is a set like any other, and not the absence of one: a bundle
// would keep its own.
func TestNoCapabilityIsASet(t *testing.T) {
	dir := generated(t)
	if err := os.WriteFile(filepath.Join(dir, gen.CapabilitiesFile), []byte("# none\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, gen.PlanFile)
	plan, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, bytes.ReplaceAll(plan, []byte("\n\t\t\"CAP_CHOWN\"\n\t"), nil), 0o644); err != nil {
		t.Fatal(err)
	}
	enforced, err := profiledir.Load(dir)
	if err != nil || enforced.Capabilities == nil || len(enforced.Capabilities) != 0 {
		t.Errorf("capabilities %#v, %v; want the empty set, not nil", enforced.Capabilities, err)
	}
}

// A profile directory is what somebody committed: it may hold anything.
func TestDirectoriesThatConfineLessThanTheySeemTo(t *testing.T) {
	tests := []struct{ file, content, want string }{
		{gen.FlagsFile, "--cap-add=CHOWN\n", "no --cap-drop=ALL"},
		{gen.FlagsFile, "--cap-drop=ALL\n--privileged --pid=host\n", "is not one flag"},
		{gen.FlagsFile, "--cap-drop=ALL\n$(reboot)\n", "is not one flag"},
		{gen.CapabilitiesFile, "CAP_EVERYTHING\n", `"CAP_EVERYTHING" is no capability`},
		{gen.SeccompFile, "{}", "seccomp.json"},
		{gen.SeccompFile, strings.Repeat(" ", 17<<20), "more than"},
	}
	for _, tc := range tests {
		dir := generated(t)
		if err := os.WriteFile(filepath.Join(dir, tc.file), []byte(tc.content), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := profiledir.Load(dir)
		if tc.file == gen.FlagsFile {
			_, err = profiledir.Flags(dir, false)
		}
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s holding %.40q: %v, want %q", tc.file, tc.content, err, tc.want)
		}
	}
}
