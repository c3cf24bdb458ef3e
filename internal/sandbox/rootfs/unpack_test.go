package rootfs_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/profgen/profgen/internal/image"
	"github.com/profgen/profgen/internal/image/imagetest"
	"github.com/profgen/profgen/internal/sandbox/rootfs"
)

// cell is a private folder to unpack into, with a canary above and beside it:
// whatever an image does, only dir may change.
type cell struct {
	dir    string // the root file system to be
	above  string // holds everything
	before string // what above held, but for dir
}

func newCell(t testing.TB) cell {
	t.Helper()
	c := cell{above: t.TempDir()}
	c.dir = filepath.Join(c.above, "private", "rootfs")
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"canary", "private/canary", "private/folder/canary"} {
		path := filepath.Join(c.above, name)
		os.MkdirAll(filepath.Dir(path), 0o700)
		if err := os.WriteFile(path, []byte("sings"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c.before = c.outside(t)
	return c
}

// outside describes everything in the cell but the root file system.
func (c cell) outside(t testing.TB) string {
	t.Helper()
	var out strings.Builder
	err := filepath.WalkDir(c.above, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if path == c.dir {
			return filepath.SkipDir
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		st := info.Sys().(*syscall.Stat_t)
		data, _ := os.ReadFile(path)
		fmt.Fprintln(&out, path, info.Mode(), st.Nlink, st.Uid, string(data))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// unharmed fails the test if anything outside changed.
func (c cell) unharmed(t testing.TB) {
	t.Helper()
	if now := c.outside(t); now != c.before {
		t.Errorf("outside of the folder was\n%sand is\n%s", c.before, now)
	}
	for _, name := range []string{"/evil", "/canary"} {
		if _, err := os.Lstat(name); err == nil {
			t.Errorf("%s exists", name)
		}
	}
}

// list describes what was unpacked, sorted: "f name=content", "d name",
// "l name->target", and other kinds by their mode.
func (c cell) list(t testing.TB) []string {
	t.Helper()
	out := []string{}
	err := filepath.WalkDir(c.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == c.dir {
			return err
		}
		rel, _ := filepath.Rel(c.dir, path)
		switch d.Type() {
		case 0:
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			out = append(out, "f "+rel+"="+string(data))
		case fs.ModeDir:
			out = append(out, "d "+rel)
		case fs.ModeSymlink:
			target, _ := os.Readlink(path)
			out = append(out, "l "+rel+"->"+target)
		default:
			out = append(out, d.Type().String()+" "+rel)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (c cell) unpack(t testing.TB, limits rootfs.Limits, layers ...[]byte) error {
	t.Helper()
	img, err := image.Open(context.Background(), imagetest.Layout(t, imagetest.Image(t, layers...)), image.Platform{})
	if err != nil {
		return err
	}
	defer img.Close()
	return rootfs.Unpack(context.Background(), img, c.dir, limits)
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes device nodes and changes owners")
	}
}

var (
	file     = imagetest.File
	dir      = imagetest.Dir
	symlink  = imagetest.Symlink
	hardlink = imagetest.Hardlink
)

type layer = []imagetest.Entry

func tars(t testing.TB, layers []layer) [][]byte {
	t.Helper()
	var out [][]byte
	for _, l := range layers {
		out = append(out, imagetest.Tar(t, l...))
	}
	return out
}

// TestUnpack shows what becomes of layers.
func TestUnpack(t *testing.T) {
	for _, tt := range []struct {
		name   string
		layers []layer
		want   []string
	}{
		{"no layers", nil, []string{}},
		{"empty layer", []layer{{}}, []string{}},
		{"later layers win", []layer{{file("a", "1"), dir("d/")}, {file("a", "2"), file("d/b", "")}}, []string{"f a=2", "d d", "f d/b="}},
		{"whiteout", []layer{{file("d/a", ""), file("d/b", "")}, {file("d/.wh.a", "")}}, []string{"d d", "f d/b="}},
		{"whiteout of nothing there", []layer{{file(".wh.a", "")}}, []string{}},
		{"opaque whiteout", []layer{{file("d/a", ""), file("d/e/b", "")}, {file("d/new", ""), file("d/.wh..wh..opq", "")}}, []string{"d d", "f d/new="}},
		{"file becomes folder", []layer{{file("a", "")}, {dir("a"), file("a/b", "")}}, []string{"d a", "f a/b="}},
		{"hard link", []layer{{file("a", "x"), hardlink("d/b", "a")}}, []string{"f a=x", "d d", "f d/b=x"}},
		{"absolute names are inside", []layer{{file("/evil", "x"), hardlink("/b", "/evil")}}, []string{"f b=x", "f evil=x"}},
		{"name with a newline", []layer{{file("a\nb", "x")}}, []string{"f a\nb=x"}},
		{"global header", []layer{{{Header: tar.Header{Typeflag: tar.TypeXGlobalHeader, Name: "pax_global_header", PAXRecords: map[string]string{"comment": "x"}}}, file("a", "")}}, []string{"f a="}},
		{"file through a symlink out lands inside", []layer{{symlink("a", "/"), file("a/evil", "x")}}, []string{"l a->/", "f evil=x"}},
		{"file through a climbing symlink lands inside", []layer{{symlink("a", "../../.."), file("a/evil", "x")}}, []string{"l a->../../..", "f evil=x"}},
		{"symlink swapped in by a later layer", []layer{{file("a/old", "")}, {symlink("a", "/")}, {file("a/evil", "x")}}, []string{"l a->/", "f evil=x"}},
		{"symlink at the end is replaced, not written through", []layer{{symlink("a", "../canary")}, {file("a", "x")}}, []string{"f a=x"}},
		{"hard link to a symlink is not followed", []layer{{symlink("a", "../canary"), hardlink("b", "a")}, {file("b", "x")}}, []string{"l a->../canary", "f b=x"}},
		{"whiteout through a symlink out", []layer{{symlink("a", "..")}, {file("a/.wh.canary", "")}}, []string{"l a->.."}},
		{"opaque whiteout through a symlink out", []layer{{symlink("a", "../folder")}, {file("a/.wh..wh..opq", "")}}, []string{"l a->../folder"}},
		{"aufs leftovers", []layer{{file(".wh..wh.plnk", ""), file("a", "")}}, []string{"f a="}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newCell(t)
			if err := c.unpack(t, rootfs.Limits{}, tars(t, tt.layers)...); err != nil {
				t.Fatal(err)
			}
			if got := c.list(t); !slices.Equal(got, tt.want) {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
			c.unharmed(t)
		})
	}
}

// TestUnpackRefuses lists what is refused, and with what words. Nothing is left
// behind, nothing is touched outside.
func TestUnpackRefuses(t *testing.T) {
	many := make(layer, 101)
	for i := range many {
		many[i] = file(fmt.Sprintf("f%d", i), "")
	}
	whole := imagetest.Tar(t, file("a", strings.Repeat("x", 2000)))
	closed := dir("d")
	closed.Mode = 0
	one := func(entries ...imagetest.Entry) [][]byte { return tars(t, []layer{entries}) }
	for _, tt := range []struct {
		name   string
		layers [][]byte
		is     error
		says   []string
	}{
		{"name climbs", one(file("ok", ""), file("../evil", "")), rootfs.ErrHostile, []string{`"../evil"`, "climbs", "layer 1 of 1"}},
		{"name climbs from within", one(file("a/../../evil", "")), rootfs.ErrHostile, []string{"climbs"}},
		{"hard link climbs", one(hardlink("a", "../canary")), rootfs.ErrHostile, []string{`link target "../canary" climbs`}},
		{"hard link to what is only outside", one(hardlink("a", "/etc/hostname")), os.ErrNotExist, []string{`entry "a"`, `"/etc/hostname" is not in the image`}},
		{"hard link through a symlink out", one(symlink("s", ".."), hardlink("a", "s/canary")), os.ErrNotExist, []string{`entry "a"`}},
		{"whiteout of the folder above", one(file(".wh...", "")), rootfs.ErrHostile, []string{`".wh..."`, "whiteout"}},
		{"whiteout of the root", one(file(".wh..", "")), rootfs.ErrHostile, []string{`".wh.."`, "whiteout"}},
		{"whiteout of no name", one(file("d/.wh.", "")), rootfs.ErrHostile, []string{`"d/.wh."`, "whiteout"}},
		{"root becomes a symlink", one(symlink("./", "/")), rootfs.ErrHostile, []string{"replace the root folder"}},
		{"unknown type", one(imagetest.Entry{Header: tar.Header{Typeflag: 'M', Name: "a"}}), rootfs.ErrHostile, []string{"type 'M' is unknown"}},
		{"sparse file of 10 GB", [][]byte{sparse(t, "hole", 10<<30)}, rootfs.ErrLimit, []string{`"hole" of 10737418240 bytes`, "limit of 1048576 bytes", "--max-image-size raises it"}},
		{"old sparse file of 8 GB", [][]byte{oldSparse(t, "hole", 8<<30-1)}, rootfs.ErrLimit, []string{`"hole" of 8589934591 bytes`}},
		{"header of 1 EB", one(big("a", 1<<60)), rootfs.ErrLimit, []string{`"a" of 1152921504606846976 bytes`}},
		{"header says more than there is", one(big("a", 4000)), image.ErrDamaged, []string{"layer 1 of 1", "unexpected EOF"}},
		{"many files together", one(file("a", strings.Repeat("x", 1<<19)), file("b", strings.Repeat("x", 1<<19)), file("c", "x")), rootfs.ErrLimit, []string{`"c" of 1 bytes`}},
		{"many layers together", [][]byte{imagetest.Tar(t, file("a", strings.Repeat("x", 1<<20))), imagetest.Tar(t, file("a", "y"))}, rootfs.ErrLimit, []string{"layer 2 of 2", `"a"`}},
		{"many entries", tars(t, []layer{many}), rootfs.ErrLimit, []string{`"f100" is number 101`, "limit is 100"}},
		{"cut in the data", [][]byte{whole[:1000]}, image.ErrDamaged, []string{"unexpected EOF"}},
		{"no tar", [][]byte{bytes.Repeat([]byte("x"), 1024)}, image.ErrDamaged, []string{"invalid tar header"}},
		{"refused after another layer was unpacked", [][]byte{imagetest.Tar(t, dir("d"), file("d/a", "")), imagetest.Tar(t, file("../evil", ""))}, rootfs.ErrHostile, []string{"layer 2 of 2"}},
		{"refused after a folder nobody may enter", [][]byte{imagetest.Tar(t, closed, file("d/a", "")), imagetest.Tar(t, file("../evil", ""))}, rootfs.ErrHostile, []string{"layer 2 of 2"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newCell(t)
			err := c.unpack(t, rootfs.Limits{Bytes: 1 << 20, Entries: 100}, tt.layers...)
			wantError(t, err, tt.is, tt.says...)
			c.unharmed(t)
			if left := c.list(t); len(left) > 0 {
				t.Errorf("left behind: %q", left)
			}
		})
	}
}

// TestUnpackSparse fills small holes with zeros.
func TestUnpackSparse(t *testing.T) {
	c := newCell(t)
	if err := c.unpack(t, rootfs.Limits{}, sparse(t, "new", 3), oldSparse(t, "old", 2)); err != nil {
		t.Fatal(err)
	}
	if got, want := c.list(t), []string{"f new=\x00\x00\x00", "f old=\x00\x00"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestUnpackIsQuiet has a layer the unpacking library would warn of.
func TestUnpackIsQuiet(t *testing.T) {
	var talk bytes.Buffer
	log.SetOutput(&talk)
	defer log.SetOutput(os.Stderr)
	labelled := file("a", "")
	labelled.PAXRecords = map[string]string{"SCHILY.xattr.security.selinux": "x", "SCHILY.xattr.user.rootlesscontainers": "y"}
	c := newCell(t)
	if err := c.unpack(t, rootfs.Limits{}, imagetest.Tar(t, labelled)); err != nil {
		t.Fatal(err)
	}
	if talk.Len() > 0 {
		t.Errorf("printed: %s", talk.String())
	}
}

// TestUnpackBomb unpacks a layer of a few kilobytes that holds gigabytes of
// nothing behind the end of the tar: no header announces it.
func TestUnpackBomb(t *testing.T) {
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	w.Write(imagetest.Tar(t, file("a", "")))
	for range 64 {
		w.Write(make([]byte, 1<<20))
	}
	w.Close()
	dir := imagetest.Layout(t, imagetest.Image(t, imagetest.Tar(t, file("a", ""))))
	bomb(t, dir, buf.Bytes())
	img, err := image.Open(t.Context(), dir, image.Platform{})
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	c := newCell(t)
	err = rootfs.Unpack(t.Context(), img, c.dir, rootfs.Limits{Bytes: 1 << 20})
	wantError(t, err, rootfs.ErrLimit, "layer 1 of 1", "unpack to more than the limit of 1048576 bytes")
	c.unharmed(t)
}

// TestUnpackForged unpacks nothing of a layer whose digest is wrong.
func TestUnpackForged(t *testing.T) {
	for _, at := range []int{600, 1023} { // in the body; in the padding behind it
		t.Run(fmt.Sprint(at), func(t *testing.T) {
			data := imagetest.Tar(t, file("a", "honest"))
			dir := imagetest.Layout(t, imagetest.Image(t, data))
			changeLargest(t, dir, func(b []byte) { b[at] ^= 1 })
			img, err := image.Open(t.Context(), dir, image.Platform{})
			if err != nil {
				t.Fatal(err)
			}
			defer img.Close()
			c := newCell(t)
			err = rootfs.Unpack(t.Context(), img, c.dir, rootfs.Limits{})
			wantError(t, err, image.ErrDigest, "verify layer 1 of 1", "sha256:")
			if left := c.list(t); len(left) > 0 {
				t.Errorf("left behind: %q", left)
			}
		})
	}
}

// TestUnpackMetadata checks owners, modes, times, devices and attributes.
func TestUnpackMetadata(t *testing.T) {
	needRoot(t)
	suid := file("su", "x")
	suid.Mode, suid.Uid, suid.Gid = 0o4755, 7, 8
	suid.PAXRecords = map[string]string{"SCHILY.xattr.security.capability": "\x00\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"}
	null := imagetest.Entry{Header: tar.Header{Typeflag: tar.TypeChar, Name: "null", Mode: 0o666, Devmajor: 1, Devminor: 3}}
	fifo := imagetest.Entry{Header: tar.Header{Typeflag: tar.TypeFifo, Name: "fifo", Mode: 0o600}}
	c := newCell(t)
	if err := c.unpack(t, rootfs.Limits{}, imagetest.Tar(t, suid, null, fifo)); err != nil {
		t.Fatal(err)
	}
	if got, want := c.list(t), []string{"p--------- fifo", "Dc--------- null", "f su=x"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	info, err := os.Lstat(filepath.Join(c.dir, "su"))
	if err != nil {
		t.Fatal(err)
	}
	st := info.Sys().(*syscall.Stat_t)
	if info.Mode() != 0o755|fs.ModeSetuid || st.Uid != 7 || st.Gid != 8 {
		t.Errorf("su is %v of %d:%d", info.Mode(), st.Uid, st.Gid)
	}
	if n, err := syscall.Getxattr(filepath.Join(c.dir, "su"), "security.capability", nil); err != nil || n != 20 {
		t.Errorf("file capabilities: %d bytes, %v", n, err)
	}
	if info, _ := os.Stat(c.dir); info.Mode().Perm() != 0o755 {
		t.Errorf("the root folder is %v: the container's user could not enter it", info.Mode())
	}
	c.unharmed(t)
}

// TestUnpackWhere checks what is asked of the folder.
func TestUnpackWhere(t *testing.T) {
	img, err := image.Open(t.Context(), imagetest.Layout(t, imagetest.Image(t)), image.Platform{})
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	full := newCell(t)
	os.WriteFile(filepath.Join(full.dir, "mine"), nil, 0o600)
	open := newCell(t)
	os.Chmod(filepath.Dir(open.dir), 0o755)
	linked := newCell(t)
	link := filepath.Join(filepath.Dir(linked.dir), "link")
	os.Symlink(linked.dir, link)
	for _, tt := range []struct{ name, dir, says string }{
		{"not there", filepath.Join(full.dir, "no"), "no such file"},
		{"not empty", full.dir, "is not empty"},
		{"open to others", open.dir, "open to other users"},
		{"symlink", link, "is not a folder"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			wantError(t, rootfs.Unpack(t.Context(), img, tt.dir, rootfs.Limits{}), nil, tt.says)
		})
	}
	if got := full.list(t); !slices.Equal(got, []string{"f mine="}) {
		t.Errorf("the user's folder holds %q", got)
	}
}

// TestUnpackCancelled leaves nothing.
func TestUnpackCancelled(t *testing.T) {
	img, err := image.Open(t.Context(), imagetest.Layout(t, imagetest.Image(t, imagetest.Tar(t, file("a", "")))), image.Platform{})
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c := newCell(t)
	wantError(t, rootfs.Unpack(ctx, img, c.dir, rootfs.Limits{}), context.Canceled)
	if left := c.list(t); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func wantError(t *testing.T, err, is error, says ...string) {
	t.Helper()
	t.Log(err) // to be read with -v
	if err == nil {
		t.Fatal("no error")
	}
	if is != nil && !errors.Is(err, is) {
		t.Errorf("error is not %q: %v", is, err)
	}
	for _, s := range says {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("error does not say %q: %v", s, err)
		}
	}
}
