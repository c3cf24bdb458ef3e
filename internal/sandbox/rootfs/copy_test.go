package rootfs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/profgen/profgen/internal/image"
	"github.com/profgen/profgen/internal/sandbox/rootfs"
)

func copyOf(t *testing.T, from string, limits rootfs.Limits) (cell, error) {
	t.Helper()
	img, err := image.Open(t.Context(), from, image.Platform{})
	if err != nil {
		t.Fatal(err)
	}
	c := newCell(t)
	return c, rootfs.Unpack(t.Context(), img, c.dir, limits)
}

// TestCopyFolder copies one of each kind of file.
func TestCopyFolder(t *testing.T) {
	from := t.TempDir()
	at := func(name string) string { return filepath.Join(from, name) }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Mkdir(at("sub"), 0o755))
	must(os.WriteFile(at("sub/a"), []byte("x"), 0o640))
	must(os.Link(at("sub/a"), at("b")))
	must(os.Symlink("/etc/passwd", at("link")))
	must(os.Symlink("..", at("up")))
	must(syscall.Mkfifo(at("fifo"), 0o600))
	must(syscall.Setxattr(at("sub/a"), "user.mark", []byte("y"), 0))
	must(os.Chmod(at("sub"), 0o555))
	t.Cleanup(func() { os.Chmod(at("sub"), 0o755) })

	c, err := copyOf(t, from, rootfs.Limits{})
	must(err)
	t.Cleanup(func() { os.Chmod(filepath.Join(c.dir, "sub"), 0o755) })
	want := []string{"f b=x", "p--------- fifo", "l link->/etc/passwd", "d sub", "f sub/a=x", "l up->.."}
	if got := c.list(t); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	original, _ := os.Stat(at("b"))
	a, _ := os.Stat(filepath.Join(c.dir, "sub/a"))
	b, _ := os.Stat(filepath.Join(c.dir, "b"))
	if !os.SameFile(a, b) || os.SameFile(a, original) {
		t.Error("a and b are not two names of one copy")
	}
	if a.Mode() != 0o640 || !a.ModTime().Equal(original.ModTime()) {
		t.Errorf("copy has mode %v, time %v", a.Mode(), a.ModTime())
	}
	if sub, _ := os.Stat(filepath.Join(c.dir, "sub")); sub.Mode() != 0o555|fs.ModeDir {
		t.Errorf("folder has mode %v", sub.Mode())
	}
	value := make([]byte, 8)
	if n, err := syscall.Getxattr(filepath.Join(c.dir, "b"), "user.mark", value); err != nil || string(value[:n]) != "y" {
		t.Errorf("attribute: %q, %v", value[:max(n, 0)], err)
	}
	c.unharmed(t)
}

// TestCopyOwners copies what only root can make.
func TestCopyOwners(t *testing.T) {
	needRoot(t)
	from := t.TempDir()
	su := filepath.Join(from, "su")
	os.WriteFile(su, nil, 0o600)
	os.Chown(su, 7, 8)
	os.Chmod(su, 0o755|fs.ModeSetuid)
	syscall.Mknod(filepath.Join(from, "null"), syscall.S_IFCHR|0o666, 1<<8|3)
	c, err := copyOf(t, from, rootfs.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(c.dir, "su"))
	if err != nil {
		t.Fatal(err)
	}
	if st := info.Sys().(*syscall.Stat_t); st.Uid != 7 || st.Gid != 8 || info.Mode() != 0o755|fs.ModeSetuid {
		t.Errorf("su is %v of %d:%d", info.Mode(), st.Uid, st.Gid)
	}
	if got := c.list(t); !slices.Equal(got, []string{"Dc--------- null", "f su="}) {
		t.Errorf("got %q", got)
	}
}

// TestCopyRefuses leaves nothing, neither there nor here.
func TestCopyRefuses(t *testing.T) {
	from := t.TempDir()
	if err := os.WriteFile(filepath.Join(from, "hole"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(from, "hole"), 10<<30); err != nil {
		t.Fatal(err)
	}
	c, err := copyOf(t, from, rootfs.Limits{})
	wantError(t, err, rootfs.ErrLimit, `"hole" of 10737418240 bytes`)
	if left := c.list(t); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
	_, err = copyOf(t, from, rootfs.Limits{Entries: 1})
	wantError(t, err, rootfs.ErrLimit, "limit is 1")

	inside := filepath.Join(from, "private", "rootfs")
	if err := os.MkdirAll(inside, 0o700); err != nil {
		t.Fatal(err)
	}
	img, err := image.Open(t.Context(), from, image.Platform{})
	if err != nil {
		t.Fatal(err)
	}
	wantError(t, rootfs.Unpack(t.Context(), img, inside, rootfs.Limits{}), nil, "inside the one to copy")
}
