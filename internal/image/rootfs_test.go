package image_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"

	"github.com/profgen/profgen/internal/image"
	"github.com/profgen/profgen/internal/image/imagetest"
)

// files is the root file system of an image with these layers.
func files(t testing.TB, layers ...[]imagetest.Entry) (*image.Files, error) {
	t.Helper()
	var tars [][]byte
	for _, l := range layers {
		tars = append(tars, imagetest.Tar(t, l...))
	}
	img, err := image.Open(t.Context(), imagetest.Layout(t, imagetest.Image(t, tars...)), image.Platform{OS: "linux", Architecture: "amd64"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { img.Close() })
	return img.Files(t.Context())
}

// listing is every file with its contents or target, a line each.
func listing(t *testing.T, f *image.Files) string {
	t.Helper()
	var out []string
	err := fs.WalkDir(f, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		line := name
		switch {
		case d.IsDir():
			line += "/"
		case d.Type()&fs.ModeSymlink != 0:
			to, err := f.ReadLink(name)
			if err != nil {
				return err
			}
			line += " -> " + to
		case d.Type().IsRegular():
			b, err := f.ReadFile(name)
			if err != nil {
				return err
			}
			line += "=" + string(b)
		}
		out = append(out, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(out, " ")
}

type layer = []imagetest.Entry

func TestLayers(t *testing.T) {
	file, dir, link, hard := imagetest.File, imagetest.Dir, imagetest.Symlink, imagetest.Hardlink
	tests := []struct {
		name   string
		layers []layer
		want   string
	}{
		{"later layers win", []layer{{file("a", "1")}, {file("a", "2")}}, "a=2"},
		{"last of one layer wins", []layer{{file("a", "1"), file("a", "2")}}, "a=2"},
		{"whiteout", []layer{{file("d/a", "1"), file("d/b", "2")}, {file("d/.wh.a", "")}}, "d/ d/b=2"},
		{"whiteout of a folder", []layer{{file("d/a", "1")}, {file(".wh.d", "")}}, ""},
		{"whiteout spares its own layer", []layer{{file("a", "1")}, {file("a", "2"), file(".wh.a", "")}}, "a=2"},
		{"opaque folder", []layer{{file("d/a", "1"), file("d/e/b", "2")}, {file("d/.wh..wh..opq", ""), file("d/c", "3")}}, "d/ d/c=3"},
		{"opaque folder, marked last", []layer{{file("d/a", "1")}, {file("d/c", "3"), file("d/.wh..wh..opq", "")}}, "d/ d/c=3"},
		{"folder replaced by a file", []layer{{file("d/a", "1")}, {file("d", "2")}}, "d=2"},
		{"file replaced by a folder", []layer{{file("d", "1")}, {file("d/a", "2")}}, "d/ d/a=2"},
		{"folder again keeps what is in it", []layer{{file("d/a", "1")}, {dir("d")}}, "d/ d/a=1"},
		{"hard link", []layer{{file("a", "1")}, {hard("b", "a")}}, "a=1 b=1"},
		{"hard link keeps what it links to", []layer{{file("a", "1"), hard("b", "a")}, {file("a", "2")}}, "a=2 b=1"},
		{"symlink", []layer{{link("l", "a"), file("a", "1")}}, "a=1 l -> a"},
		{"leading slash and dot", []layer{{file("/a", "1"), file("./b", "2")}}, "a=1 b=2"},
	}
	for _, tt := range tests {
		f, err := files(t, tt.layers...)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if got := listing(t, f); got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.name, got, tt.want)
		}
	}
}

func TestHostileLayers(t *testing.T) {
	for _, tt := range []struct {
		name  string
		layer layer
	}{
		{"climbs", layer{imagetest.File("../a", "")}},
		{"climbs later", layer{imagetest.File("a/../../b", "")}},
		{"through a symlink", layer{imagetest.Symlink("d", "/etc"), imagetest.File("d/passwd", "x")}},
		{"hard link to nothing", layer{imagetest.Hardlink("a", "b")}},
		{"hard link out", layer{imagetest.Hardlink("a", "../b")}},
	} {
		if f, err := files(t, tt.layer); err == nil {
			t.Errorf("%s: accepted: %s", tt.name, listing(t, f))
		}
	}
}

func TestResolve(t *testing.T) {
	f, err := files(t, layer{
		imagetest.File("usr/bin/dash", "d"), imagetest.Symlink("bin", "usr/bin"), imagetest.Symlink("usr/bin/sh", "dash"),
		imagetest.Symlink("abs", "/usr/bin/sh"), imagetest.Symlink("up", "../../../usr/bin/dash"),
		imagetest.Symlink("loop", "loop"), imagetest.Symlink("a", "b"), imagetest.Symlink("b", "a"), imagetest.Symlink("dangling", "nowhere"),
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"bin/sh": "usr/bin/dash", "/bin/sh": "usr/bin/dash", "abs": "usr/bin/dash", "up": "usr/bin/dash", "bin/../bin/dash": "usr/bin/dash", "/": ".",
	} {
		if got, err := f.Resolve(name); err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", name, got, err, want)
		}
	}
	for name, want := range map[string]error{
		"loop": syscall.ELOOP, "a": syscall.ELOOP, "dangling": fs.ErrNotExist, "usr/bin/dash/x": syscall.ENOTDIR, "usr/bin/dash/..": nil,
	} {
		if _, err := f.Resolve(name); want != nil && !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}
}

func TestFilesAreAFileSystem(t *testing.T) {
	entries := layer{imagetest.Dir("d"), imagetest.File("d/a", "1"), imagetest.File("d/e/f", "2"), imagetest.File("g", "")}
	f, err := files(t, entries)
	if err != nil {
		t.Fatal(err)
	}
	if err := fstest.TestFS(f, "d/a", "d/e/f", "g"); err != nil {
		t.Error(err)
	}
	dir := t.TempDir()
	for _, e := range entries[1:] {
		os.MkdirAll(filepath.Join(dir, filepath.Dir(e.Name)), 0o755)
		if err := os.WriteFile(filepath.Join(dir, e.Name), []byte(e.Body), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	host, err := image.FolderFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := fstest.TestFS(host, "d/a", "d/e/f", "g"); err != nil {
		t.Error(err)
	}
}

// Absolute symlinks of a folder start at it, and no name leads out of it.
func TestFolderIsARoot(t *testing.T) {
	dir := t.TempDir()
	symlink(t, "/secret", filepath.Join(dir, "l"))
	symlink(t, "../../../../../../../../etc/passwd", filepath.Join(dir, "out"))
	os.WriteFile(filepath.Join(dir, "secret"), []byte("inside"), 0o600)
	f, err := image.FolderFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := f.ReadFile("l"); string(b) != "inside" {
		t.Errorf("%q, %v", b, err)
	}
	if b, err := f.ReadFile("out"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := f.Open("../x"); !errors.Is(err, fs.ErrInvalid) {
		t.Error(err)
	}
}

func TestObjects(t *testing.T) {
	suid := imagetest.File("bin/su", "\x7fELFx")
	suid.Mode = 0o4755
	cap := imagetest.File("bin/ping", "\x7fELFx")
	cap.PAXRecords = map[string]string{"SCHILY.xattr.security.capability": "\x01\x00\x00\x02"}
	plain := imagetest.File("bin/ls", "\x7fELFx")
	plain.Uid, plain.Gid = 7, 8
	setgidDir := imagetest.Dir("var")
	setgidDir.Mode = 0o2755
	f, err := files(t, layer{suid, cap, plain, setgidDir, imagetest.File("bin/x", "#!/bin/sh\n")})
	if err != nil {
		t.Fatal(err)
	}
	elfs, err := f.ELFs()
	if want := []string{"bin/ls", "bin/ping", "bin/su"}; err != nil || !slices.Equal(elfs, want) {
		t.Errorf("ELF files %v, %v; want %v", elfs, err, want)
	}
	raised, err := f.Privileged()
	if want := []string{"bin/ping -rw-r--r-- 4", "bin/su urwxr-xr-x 0"}; err != nil || !slices.Equal(described(raised), want) {
		t.Errorf("privileged %v, %v; want %v", described(raised), err, want)
	}
	info, err := f.Stat("bin/ls")
	if a, ok := info.Sys().(*image.Attributes); err != nil || !ok || a.UID != 7 || a.GID != 8 {
		t.Errorf("%+v, %v", info, err)
	}
}

// described is a line for each file.
func described(raised []image.Privileged) []string {
	var out []string
	for _, p := range raised {
		out = append(out, fmt.Sprintf("%s %s %d", p.Name, p.Mode, len(p.Capability)))
	}
	return out
}

// Which files raise who runs them is the same whether all of the image is read or
// only the names: what a later layer takes away is not there.
func TestPrivilegedByNames(t *testing.T) {
	var below []imagetest.Entry
	for _, name := range []string{"bin/su", "bin/gone", "bin/plain"} {
		e := imagetest.File(name, strings.Repeat("x", 1<<19))
		e.Mode = 0o4755
		below = append(below, e)
	}
	above := []imagetest.Entry{imagetest.File("bin/.wh.gone", ""), imagetest.File("bin/plain", "now it is"), imagetest.Hardlink("bin/sudo", "bin/su")}
	layout := imagetest.Layout(t, imagetest.Image(t, imagetest.Tar(t, below...), imagetest.Tar(t, above...)))
	img, err := image.Open(t.Context(), layout, image.Platform{OS: "linux", Architecture: "amd64"})
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	light, err := img.Privileged(t.Context())
	if want := []string{"bin/su urwxr-xr-x 0", "bin/sudo urwxr-xr-x 0"}; err != nil || !slices.Equal(described(light), want) {
		t.Errorf("by names %v, %v; want %v", described(light), err, want)
	}
	f, err := img.Files(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if whole, err := f.Privileged(); err != nil || !slices.Equal(described(whole), described(light)) {
		t.Errorf("by contents %v, %v; by names %v", described(whole), err, described(light))
	}
}

// What is not worth keeping is read from its layer again.
func TestLargeFiles(t *testing.T) {
	body := strings.Repeat("text", 1<<19)
	f, err := files(t, layer{imagetest.File("a", "1"), imagetest.File("big", body)})
	if err != nil {
		t.Fatal(err)
	}
	if b, err := f.ReadFile("big"); err != nil || string(b) != body {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}

// FuzzFiles: whatever a layer holds, reading it ends in an error or in a file
// system that can be walked, and whose names stay inside.
func FuzzFiles(f *testing.F) {
	f.Add(imagetest.Tar(f, imagetest.File("d/a", "1"), imagetest.File("d/.wh..wh..opq", "")), imagetest.Tar(f, imagetest.File(".wh.d", "")))
	f.Add(imagetest.Tar(f, imagetest.Symlink("a", "/b"), imagetest.Hardlink("c", "a")), imagetest.Tar(f, imagetest.Dir("a")))
	f.Fuzz(func(t *testing.T, one, two []byte) {
		img, err := image.Open(t.Context(), imagetest.Layout(t, imagetest.Image(t, one, two)), image.Platform{OS: "linux", Architecture: "amd64"})
		if err != nil {
			t.Skip("no image can be made of these layers: ", err)
		}
		defer img.Close()
		view, err := img.Files(t.Context())
		if err != nil {
			return
		}
		n := 0
		err = fs.WalkDir(view, ".", func(name string, _ fs.DirEntry, err error) error {
			if n++; err != nil || n > 1<<16 || !fs.ValidPath(name) {
				return fmt.Errorf("%s: %w", name, err)
			}
			if _, err := view.Lstat(name); err != nil {
				return err
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

// BenchmarkFiles reads the nginx image that the tests use.
func BenchmarkFiles(b *testing.B) {
	const dir = "../../.cache/images/oci"
	if _, err := os.Stat(dir); err != nil {
		b.Skip("make test builds the images: ", err)
	}
	for b.Loop() {
		img, err := image.Open(b.Context(), dir+":nginx", image.Platform{})
		if err != nil {
			b.Fatal(err)
		}
		f, err := img.Files(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		elfs, _ := f.ELFs()
		b.ReportMetric(float64(len(elfs)), "ELFs")
		img.Close()
	}
}
