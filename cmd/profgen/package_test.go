package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func packaged(t *testing.T, what, out string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", "../../scripts/package", what, out)
	cmd.Env = append(os.Environ(), "SOURCE_DATE_EPOCH=1700000000")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("scripts/package %s: %v\n%s", what, err, text)
	}
}

// A Debian package made twice is the same to the last byte, and has all that
// belongs in it.
func TestDebianPackage(t *testing.T) {
	dir := t.TempDir()
	var made [][]byte
	for _, name := range []string{"a.deb", "b.deb"} {
		packaged(t, "deb", filepath.Join(dir, name))
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, content)
	}
	if !bytes.Equal(made[0], made[1]) {
		t.Error("two packages of the same sources differ")
	}
	list, err := exec.CommandContext(t.Context(), "dpkg-deb", "-c", filepath.Join(dir, "a.deb")).CombinedOutput()
	if err != nil {
		t.Fatalf("dpkg-deb: %v\n%s", err, list)
	}
	for _, want := range []string{"./usr/bin/profgen\n", "man1/profgen.1.gz\n", "completions/profgen\n", "_profgen\n", "profgen.fish\n", "copyright\n"} {
		if !bytes.Contains(list, []byte(want)) {
			t.Errorf("no %q in\n%s", want, list)
		}
	}
}

// profgen runs under a profile that it made of itself: of its machine code, and
// of a run.
func TestProfgenUnderItsOwnProfile(t *testing.T) {
	testImages(t) // for what that skips
	layout, dir := filepath.Join(t.TempDir(), "image"), filepath.Join(t.TempDir(), "profile")
	packaged(t, "image", layout)
	work := []string{"--", "scan", "--no-cache", "--allow-incomplete", "-o", "/tmp/out", "/usr/bin/profgen"}
	profgen(t, append([]string{"record", "-o", dir, "--image", layout}, work...)...)
	profgen(t, append([]string{"scan", "--no-cache", "--allow-incomplete", "-o", dir, layout}, work...)...)
	for range 3 {
		profgen(t, append([]string{"run", "--with", "runc", dir, layout}, work...)...)
	}
}
