package sandbox

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
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

// The folders of volumes become the user's, those above them stay whose they are,
// and no link is followed.
func TestOwnVolumes(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: to give files away")
	}
	outside, lower, upper := t.TempDir(), t.TempDir(), t.TempDir()
	for _, step := range []error{
		os.MkdirAll(filepath.Join(lower, "srv/data/deep"), 0o750),
		os.Chown(filepath.Join(lower, "srv"), 5, 6),
		os.Chmod(filepath.Join(lower, "srv/data"), 0o777|os.ModeSticky),
		os.Symlink(outside, filepath.Join(lower, "out")),
	} {
		if step != nil {
			t.Fatal(step)
		}
	}
	volumes := []string{"/srv/data", "/srv/data/deep", "/out", "/out/x", "/missing", "/"}
	if err := ownVolumes(overlay{Lower: lower, Upper: upper}, volumes, "100:102"); err != nil {
		t.Fatal(err)
	}
	var got []string
	err := filepath.WalkDir(upper, func(at string, d os.DirEntry, err error) error {
		if err != nil || at == upper {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		st := info.Sys().(*syscall.Stat_t)
		got = append(got, fmt.Sprintf("%s %s %d:%d", strings.TrimPrefix(at, upper), info.Mode(), st.Uid, st.Gid))
		return nil
	})
	want := []string{"/srv drwxr-x--- 5:6", "/srv/data dtrwxrwxrwx 100:102", "/srv/data/deep drwxr-x--- 100:102"}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if made, _ := os.ReadDir(outside); len(made) > 0 {
		t.Errorf("made outside: %v", made)
	}
}
