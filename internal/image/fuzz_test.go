package image_test

import (
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/profgen/profgen/internal/image"
	"github.com/profgen/profgen/internal/image/imagetest"
)

func pipe(t *testing.T, file string) {
	t.Helper()
	os.Remove(file)
	if err := syscall.Mkfifo(file, 0o600); err != nil {
		t.Fatal(err)
	}
}

func symlink(t *testing.T, target, file string) {
	t.Helper()
	os.Remove(file)
	if err := os.Symlink(target, file); err != nil {
		t.Fatal(err)
	}
}

// FuzzOpenArchive: whatever a file holds, opening it and reading its layers
// ends in an error or in bytes with the digests the image gives; never in a
// panic. More seeds are in testdata/fuzz.
func FuzzOpenArchive(f *testing.F) {
	f.Add(imagetest.Tar(f, imagetest.File("manifest.json", `[{"Config":"c","Layers":["l"]}]`), imagetest.File("c", `{}`)))
	f.Add(imagetest.Tar(f, imagetest.File("oci-layout", `{}`), imagetest.File("index.json", `{"manifests":[{}]}`)))
	f.Add(gzipped(imagetest.Tar(f, imagetest.Symlink("manifest.json", "manifest.json"))))
	f.Add(zstded(nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		file := filepath.Join(t.TempDir(), "a")
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		img, err := image.Open(t.Context(), file, image.Platform{})
		if err != nil {
			return
		}
		defer img.Close()
		for _, l := range img.Layers() {
			if r, err := l.Open(t.Context()); err == nil {
				io.Copy(io.Discard, io.LimitReader(r, 64<<20))
				r.Close()
			}
		}
	})
}
