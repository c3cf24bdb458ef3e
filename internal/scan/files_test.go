package scan_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/image"
	"github.com/profgen/profgen/internal/scan"
	"github.com/profgen/profgen/internal/scan/program"
)

// Files are the program and what it names, links followed, if the image has such a
// file; a folder is none, and neither is a name that is put together.
func TestFiles(t *testing.T) {
	root := t.TempDir()
	const source = `#include <stdio.h>
		int main(int argc, char **argv) {
			char made[64];
			snprintf(made, sizeof(made), "/etc/%s", argc > 1 ? argv[1] : "other.conf");
			const char *names[] = {"/etc/linked.conf", "/etc/missing.conf", "/etc", "/etc/../etc/other.conf", made};
			return fopen(names[argc % 5], "r") == NULL;
		}`
	err := errors.Join(
		os.Mkdir(filepath.Join(root, "etc"), 0o755),
		os.WriteFile(filepath.Join(root, "etc", "app.conf"), nil, 0o644),
		os.WriteFile(filepath.Join(root, "etc", "other.conf"), nil, 0o644),
		os.Symlink("app.conf", filepath.Join(root, "etc", "linked.conf")),
		os.WriteFile(filepath.Join(root, "app.c"), []byte(source), 0o644))
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("gcc", "-static", "-O1", "-o", filepath.Join(root, "app"), filepath.Join(root, "app.c")).CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v: %s", err, out)
	}
	files, err := image.FolderFiles(root)
	if err != nil {
		t.Fatal(err)
	}
	set, err := scan.Run(context.Background(), scan.Options{Files: files, Config: program.Config{Entrypoint: []string{"/app"}}})
	if err != nil {
		t.Fatal(err)
	}
	got := map[evidence.Path]string{}
	for _, f := range set.Facts {
		if f, ok := f.(evidence.FileAccess); ok {
			if f.Basis != evidence.Reachable || f.Origin != evidence.FromImage {
				t.Errorf("%+v", f)
			}
			got[f.Path] = f.Perms
		}
	}
	if diff := cmp.Diff(map[evidence.Path]string{"/app": "rmx", "/etc/app.conf": "r"}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
