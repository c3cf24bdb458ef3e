// Package imagetest builds small images for tests, honest ones and others: tar
// streams from a list of entries, images from tar streams.
package imagetest

import (
	"archive/tar"
	"bytes"
	"path/filepath"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Entry is one entry of a tar stream.
type Entry struct {
	tar.Header
	Body string
}

// File is a regular file, mode 0644, root's.
func File(name, body string) Entry {
	return Entry{tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(body))}, body}
}

// Dir is a folder, mode 0755, root's.
func Dir(name string) Entry {
	return Entry{Header: tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: 0o755}}
}

// Symlink is a symbolic link to target.
func Symlink(name, target string) Entry {
	return Entry{Header: tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target, Mode: 0o777}}
}

// Hardlink is another name for target.
func Hardlink(name, target string) Entry {
	return Entry{Header: tar.Header{Typeflag: tar.TypeLink, Name: name, Linkname: target, Mode: 0o644}}
}

// Tar writes a tar stream. An entry whose Body is shorter than its Size makes
// the stream end there, as a truncated one does.
func Tar(tb testing.TB, entries ...Entry) []byte {
	tb.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, e := range entries {
		if err := w.WriteHeader(&e.Header); err != nil {
			tb.Fatalf("write header %q: %v", e.Name, err)
		}
		if _, err := w.Write([]byte(e.Body)); err != nil {
			tb.Fatalf("write %q: %v", e.Name, err)
		}
		if int64(len(e.Body)) < e.Size {
			return buf.Bytes()
		}
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return buf.Bytes()
}

// Image is an image for linux/amd64 with uncompressed layers of these bytes.
func Image(tb testing.TB, tars ...[]byte) v1.Image {
	tb.Helper()
	var layers []v1.Layer
	for _, data := range tars {
		layers = append(layers, static.NewLayer(data, types.OCIUncompressedLayer))
	}
	return WithLayers(tb, layers...)
}

// WithLayers is an image for linux/amd64 that runs /bin/app as user app.
func WithLayers(tb testing.TB, layers ...v1.Layer) v1.Image {
	tb.Helper()
	base := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
	base = mutate.ConfigMediaType(base, types.OCIConfigJSON)
	img, err := mutate.AppendLayers(base, layers...)
	if err != nil {
		tb.Fatal(err)
	}
	cf, err := img.ConfigFile()
	if err != nil {
		tb.Fatal(err)
	}
	cf = cf.DeepCopy()
	cf.OS, cf.Architecture = "linux", "amd64"
	cf.Config = v1.Config{
		Entrypoint: []string{"/bin/app"}, Cmd: []string{"-serve"}, User: "app",
		ExposedPorts: map[string]struct{}{"443/tcp": {}, "80/tcp": {}},
	}
	if img, err = mutate.ConfigFile(img, cf); err != nil {
		tb.Fatal(err)
	}
	return img
}

// Layout writes an OCI layout with the image and returns its folder.
func Layout(tb testing.TB, img v1.Image, options ...layout.Option) string {
	tb.Helper()
	dir := filepath.Join(tb.TempDir(), "app")
	l, err := layout.Write(dir, empty.Index)
	if err != nil {
		tb.Fatal(err)
	}
	if err := l.AppendImage(img, options...); err != nil {
		tb.Fatal(err)
	}
	return dir
}
