package sandbox

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The names of volumes are an image's own, and so are the links in its root file
// system: neither leads out of it.
func TestVolumes(t *testing.T) {
	outside, root := t.TempDir(), t.TempDir()
	for _, step := range []error{
		os.MkdirAll(filepath.Join(root, "srv/data"), 0o700),
		os.Symlink(outside, filepath.Join(root, "out")),
		os.Symlink("srv", filepath.Join(root, "in")),
		os.WriteFile(filepath.Join(root, "file"), nil, 0o600),
	} {
		if step != nil {
			t.Fatal(step)
		}
	}
	volumes := []string{"/srv/data", "/srv/new/", "../../up", "/out/a", "/in/data", "/file", "/", "", "."}
	if err := makeVolumes(root, volumes); err != nil {
		t.Fatal(err)
	}
	if made, _ := os.ReadDir(outside); len(made) > 0 {
		t.Errorf("made outside: %v", made)
	}
	mounts, err := volumeMounts(root, "/elsewhere", volumes)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range mounts {
		got = append(got, m.Source+" at "+m.Destination)
	}
	want := []string{"/elsewhere/srv/data at /srv/data", "/elsewhere/srv/new at /srv/new", "/elsewhere/up at /up"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
