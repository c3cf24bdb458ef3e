package image_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/compression"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/zstd"

	"github.com/profgen/profgen/internal/image"
	"github.com/profgen/profgen/internal/image/imagetest"
)

// app is an image with one layer of each compression.
func app(t testing.TB) v1.Image {
	t.Helper()
	stream := func(file string) tarball.Opener {
		data := imagetest.Tar(t, imagetest.File(file, "content of "+file))
		return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }
	}
	var layers []v1.Layer
	for _, options := range [][]tarball.LayerOption{
		{tarball.WithCompression(compression.GZip), tarball.WithMediaType(types.OCILayer)},
		{tarball.WithCompression(compression.ZStd), tarball.WithMediaType(types.OCILayerZStd)},
	} {
		l, err := tarball.LayerFromOpener(stream(fmt.Sprintf("file%d", len(layers))), options...)
		if err != nil {
			t.Fatal(err)
		}
		layers = append(layers, l)
	}
	return imagetest.WithLayers(t, layers...)
}

// contents reads every layer to its end and lists the files in them.
func contents(img *image.Image) ([]string, error) {
	var out []string
	for _, l := range img.Layers() {
		r, err := l.Open(context.Background())
		if err != nil {
			return nil, err
		}
		data, err := io.ReadAll(r)
		r.Close()
		if err != nil {
			return nil, err
		}
		for tr := tar.NewReader(bytes.NewReader(data)); ; {
			hdr, err := tr.Next()
			if err != nil {
				break
			}
			out = append(out, hdr.Name)
		}
	}
	return out, nil
}

func open(t *testing.T, ref string, p image.Platform) *image.Image {
	t.Helper()
	img, err := image.Open(t.Context(), ref, p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { img.Close() })
	return img
}

// tarOf packs a folder, as tar -C dir -c . does.
func tarOf(t *testing.T, dir string) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	if err := w.AddFS(os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func write(t *testing.T, file string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), file)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func gzipped(data []byte) []byte {
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	w.Write(data)
	w.Close()
	return buf.Bytes()
}

func zstded(data []byte) []byte {
	w, _ := zstd.NewWriter(nil)
	defer w.Close()
	return w.EncodeAll(data, nil)
}

// docker20 is app as docker save of 20.10 writes it: ID/layer.tar, uncompressed.
// With links the layers are elsewhere, and these are symlinks, as podman does.
func docker20(t *testing.T, img v1.Image, links bool) []byte {
	t.Helper()
	config, _ := img.RawConfigFile()
	id, _ := img.ConfigName()
	entries := []imagetest.Entry{imagetest.File(id.Hex+".json", string(config))}
	layers, _ := img.Layers()
	var names []string
	for i, l := range layers {
		r, err := l.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		data, _ := io.ReadAll(r)
		name := fmt.Sprintf("%064d/layer.tar", i)
		names = append(names, `"`+name+`"`)
		if links {
			entries = append(entries, imagetest.File(fmt.Sprintf("%d.tar", i), string(data)),
				imagetest.Symlink(name, fmt.Sprintf("../%d.tar", i)))
			continue
		}
		entries = append(entries, imagetest.File(name, string(data)))
	}
	manifest := fmt.Sprintf(`[{"Config":"%s.json","RepoTags":["example.com/team/app:1"],"Layers":[%s]}]`, id.Hex, strings.Join(names, ","))
	return imagetest.Tar(t, append(entries, imagetest.File("manifest.json", manifest))...)
}

func dockerSave(t *testing.T, img v1.Image) []byte {
	t.Helper()
	tag, err := name.NewTag("example.com/team/app:1")
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	if err := tarball.Write(tag, img, &buf); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func tagged(tag string) layout.Option {
	return layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": tag})
}

// TestOpen opens one image from every form it can have.
func TestOpen(t *testing.T) {
	img := app(t)
	digest, _ := img.Digest()
	config, _ := img.ConfigName()
	dir := imagetest.Layout(t, img, tagged("v1"))
	for _, tt := range []struct {
		form, ref string
		reference string // what evidence calls it
		digest    string
	}{
		{"layout folder", dir, "app:v1", digest.String()},
		{"layout folder and tag", dir + ":v1", "app:v1", digest.String()},
		{"layout archive", write(t, "a.tar", tarOf(t, dir)), "a.tar:v1", digest.String()},
		{"layout archive and tag", write(t, "a.tar", tarOf(t, dir)) + ":v1", "a.tar:v1", digest.String()},
		{"layout archive, gzip, odd name", write(t, "a.img", gzipped(tarOf(t, dir))), "a.img:v1", digest.String()},
		{"layout archive, zstd", write(t, "a.tar.zst", zstded(tarOf(t, dir))), "a.tar.zst:v1", digest.String()},
		{"docker save 20.10", write(t, "a.tar", docker20(t, img, false)), "app:1", ""},
		{"docker save 20.10, gzip", write(t, "a.tar", gzipped(docker20(t, img, false))), "app:1", ""},
		{"podman docker-archive", write(t, "a.tar", docker20(t, img, true)), "app:1", ""},
		{"docker save and tag", write(t, "a.tar", docker20(t, img, false)) + ":app:1", "app:1", ""},
		{"docker save, compressed layers", write(t, "a.tar", dockerSave(t, img)), "app:1", ""},
	} {
		t.Run(tt.form, func(t *testing.T) {
			got := open(t, tt.ref, image.Platform{OS: "linux", Architecture: "amd64"})
			if got.Reference() != tt.reference || got.Digest() != tt.digest || got.ConfigDigest() != config.String() {
				t.Errorf("got %s, digest %q, config %q", got.Reference(), got.Digest(), got.ConfigDigest())
			}
			if files, err := contents(got); err != nil || !slices.Equal(files, []string{"file0", "file1"}) {
				t.Errorf("layers hold %q, %v", files, err)
			}
			checkConfig(t, got.Config())
		})
	}
}

func checkConfig(t *testing.T, c image.Config) {
	t.Helper()
	if c.User != "app" || !slices.Equal(c.ExposedPorts, []string{"443/tcp", "80/tcp"}) {
		t.Errorf("config is %+v", c)
	}
	if got := c.Command(); !slices.Equal(got, []string{"/bin/app", "-serve"}) {
		t.Errorf("command is %q", got)
	}
	if got := c.Command("-v"); !slices.Equal(got, []string{"/bin/app", "-v"}) {
		t.Errorf("command with an argument is %q", got)
	}
}

// TestOpenRegistry pulls from a registry on the loopback interface.
func TestOpenRegistry(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	t.Setenv("TMPDIR", t.TempDir())
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	ref := strings.TrimPrefix(server.URL, "http://") + "/team/app:1"
	tag, err := name.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	want := app(t)
	if err := remote.WriteIndex(tag, multi(want, "amd64", "arm64"), remote.WithContext(t.Context())); err != nil {
		t.Fatal(err)
	}

	img := open(t, ref, image.Platform{OS: "linux", Architecture: "amd64"})
	digest, _ := want.Digest()
	if img.Digest() != digest.String() || img.Reference() != ref {
		t.Errorf("got %s, %s", img.Reference(), img.Digest())
	}
	for range 2 { // the second time from what was pulled
		if files, err := contents(img); err != nil || len(files) != 2 {
			t.Errorf("layers hold %q, %v", files, err)
		}
		server.CloseClientConnections()
	}
	if left, _ := os.ReadDir(os.Getenv("TMPDIR")); len(left) > 0 {
		t.Errorf("temporary files with names: %v", left)
	}
	_, err = image.Open(t.Context(), ref, image.Platform{OS: "linux", Architecture: "s390x"})
	wantError(t, err, image.ErrPlatform, "linux/s390x", "there is linux/amd64, linux/arm64")
	_, err = image.Open(t.Context(), ref+"-no", image.Platform{})
	wantError(t, err, nil, "team/app:1-no", "save the image to a file")
}

// multi lists one image for several architectures, and an attestation.
func multi(img v1.Image, architectures ...string) v1.ImageIndex {
	index := v1.ImageIndex(empty.Index)
	attested := mutate.IndexAddendum{Add: empty.Image, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "unknown", Architecture: "unknown"}}}
	index = mutate.AppendManifests(index, attested)
	for _, a := range architectures {
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: a}},
		})
	}
	return index
}

// TestOpenFolder opens a root file system: it has no configuration or digest.
func TestOpenFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "root")
	if err := os.MkdirAll(filepath.Join(dir, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	img := open(t, link, image.Platform{})
	if img.Reference() != "link" || img.Folder() != dir || img.Digest()+img.ConfigDigest() != "" || len(img.Layers()) > 0 {
		t.Errorf("got %s, folder %s", img.Reference(), img.Folder())
	}
}

// TestOpenRefuses lists references that mean nothing, or too much.
func TestOpenRefuses(t *testing.T) {
	img := app(t)
	two := imagetest.Layout(t, img, tagged("one"))
	if err := layout.Path(two).AppendImage(imagetest.Image(t), tagged("two")); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, ref string
		is        error
		says      []string
	}{
		{"no such path", "./nothing/app", fs.ErrNotExist, []string{"no such file or folder"}},
		{"no such archive", "nothing.tar", fs.ErrNotExist, []string{"nothing.tar"}},
		{"no reference", "", nil, []string{"no name"}},
		{"no reference at all", "A b", nil, []string{"repository[:tag|@digest]"}},
		{"transport in front", "docker://app:1", nil, []string{"leave out docker://"}},
		{"empty folder", t.TempDir(), nil, []string{"folder is empty"}},
		{"device", "/dev/null", nil, []string{"neither a file nor a folder"}},
		{"no tar", write(t, "a.tar", bytes.Repeat([]byte("text "), 300)), nil, []string{"no tar file", "docker save"}},
		{"empty file", write(t, "a.tar", nil), nil, []string{"holds neither oci-layout nor manifest.json"}},
		{"docker export", write(t, "a.tar", imagetest.Tar(t, imagetest.Dir("bin"))), nil, []string{"docker export"}},
		{"xz", write(t, "a.tar", []byte("\xfd7zXZ\x00...")), image.ErrDamaged, []string{"unpack it with xz -d"}},
		{"several tags", two, nil, []string{"2 images fit: one, two"}},
		{"no such tag", two + ":three", nil, []string{`no image is tagged "three"; there is one, two`}},
		{"no such tag in an archive", write(t, "a.tar", docker20(t, img, false)) + ":2", nil, []string{"0 images fit", "app:1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := image.Open(t.Context(), tt.ref, image.Platform{})
			wantError(t, err, tt.is, tt.says...)
		})
	}
}

// TestPlatform asks images for platforms they have and have not.
func TestPlatform(t *testing.T) {
	img := app(t) // says linux/amd64
	dir := filepath.Join(t.TempDir(), "multi")
	if _, err := layout.Write(dir, multi(img, "amd64", "riscv64")); err != nil {
		t.Fatal(err)
	}
	single := imagetest.Layout(t, img)
	for _, tt := range []struct{ ref, platform, says string }{
		{dir, "linux/amd64", ""},
		{dir, "linux/arm64", "there is linux/amd64, linux/riscv64"},
		{dir, "linux/riscv64", "the image is for linux/amd64"}, // the index lied
		{single, "", ""},
		{single, "linux/amd64", ""},
		{single, "linux/arm64", "the image is for linux/amd64"},
	} {
		p, err := image.ParsePlatform(tt.platform)
		if err != nil {
			t.Fatal(err)
		}
		got, err := image.Open(t.Context(), tt.ref, p)
		if tt.says != "" {
			wantError(t, err, image.ErrPlatform, tt.says)
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tt.platform, err)
			continue
		}
		got.Close()
	}
	for _, bad := range []string{"linux", "linux/", "a/b/c/d"} {
		if p, err := image.ParsePlatform(bad); err == nil {
			t.Errorf("%q is read as %v", bad, p)
		}
	}
}

func wantError(t *testing.T, err, is error, says ...string) {
	t.Helper()
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
