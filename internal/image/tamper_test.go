package image_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/profgen/profgen/internal/image"
	"github.com/profgen/profgen/internal/image/imagetest"
)

// victim is a layout to tamper with.
type victim struct {
	t        *testing.T
	dir      string
	manifest *v1.Manifest
}

func (v victim) blob(d v1.Descriptor) string {
	return filepath.Join(v.dir, "blobs", d.Digest.Algorithm, d.Digest.Hex)
}

func (v victim) manifestFile() string {
	var index v1.IndexManifest
	v.read(filepath.Join(v.dir, "index.json"), &index)
	return v.blob(index.Manifests[0])
}

func (v victim) read(file string, into any) {
	data, err := os.ReadFile(file)
	if err != nil {
		v.t.Fatal(err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		v.t.Fatal(err)
	}
}

// change rewrites a file of the layout.
func (v victim) change(file string, how func([]byte) []byte) {
	data, err := os.ReadFile(file)
	if err != nil {
		v.t.Fatal(err)
	}
	if err := os.WriteFile(file, how(data), 0o600); err != nil {
		v.t.Fatal(err)
	}
}

// store adds a blob and returns its descriptor.
func (v victim) store(data []byte) v1.Descriptor {
	h, n, err := v1.SHA256(bytes.NewReader(data))
	if err != nil {
		v.t.Fatal(err)
	}
	d := v1.Descriptor{Digest: h, Size: n}
	if err := os.WriteFile(v.blob(d), data, 0o600); err != nil {
		v.t.Fatal(err)
	}
	return d
}

// replace stores a changed manifest and makes the index name it, so that all
// digests but those inside are right.
func (v victim) replace(manifest any) {
	data, err := json.Marshal(manifest)
	if err != nil {
		v.t.Fatal(err)
	}
	index, _ := json.Marshal(v1.IndexManifest{SchemaVersion: 2, Manifests: []v1.Descriptor{v.store(data)}})
	v.change(filepath.Join(v.dir, "index.json"), func([]byte) []byte { return index })
}

// config replaces the configuration, and the manifest to fit.
func (v victim) config(edit func(map[string]any)) {
	var cf map[string]any
	v.read(v.blob(v.manifest.Config), &cf)
	edit(cf)
	data, _ := json.Marshal(cf)
	v.manifest.Config = v.store(data)
	v.replace(v.manifest)
}

func flip(data []byte) []byte  { data[len(data)/2] ^= 1; return data }
func half(data []byte) []byte  { return data[:len(data)/2] }
func more(data []byte) []byte  { return append(data, 0) }
func blank(data []byte) []byte { return bytes.Map(func(rune) rune { return ' ' }, data) }

// TestTampered changes one thing in an honest layout. Whatever it is, it is
// noticed before a layer has been read to its end.
func TestTampered(t *testing.T) {
	for _, tt := range []struct {
		name   string
		tamper func(victim)
		is     error
		says   []string
	}{
		{"manifest", func(v victim) { v.change(v.manifestFile(), flip) }, image.ErrDigest, []string{"manifest sha256:", "content is sha256:"}},
		{"manifest cut", func(v victim) { v.change(v.manifestFile(), half) }, image.ErrDigest, []string{"manifest sha256:", "bytes"}},
		{"config", func(v victim) { v.change(v.blob(v.manifest.Config), blank) }, image.ErrDigest, []string{"config sha256:", "content is sha256:"}},
		{"config longer", func(v victim) { v.change(v.blob(v.manifest.Config), more) }, image.ErrDigest, []string{"config sha256:", "more"}},
		{"gzip layer", func(v victim) { v.change(v.blob(v.manifest.Layers[0]), flip) }, image.ErrDigest, []string{"layer 1 of 2", "manifest says sha256:", "content is sha256:"}},
		{"gzip layer cut", func(v victim) { v.change(v.blob(v.manifest.Layers[0]), half) }, image.ErrDigest, []string{"layer 1 of 2", "bytes"}},
		{"zstd layer", func(v victim) { v.change(v.blob(v.manifest.Layers[1]), flip) }, image.ErrDigest, []string{"layer 2 of 2"}},
		{"zstd layer longer", func(v victim) { v.change(v.blob(v.manifest.Layers[1]), more) }, image.ErrDigest, []string{"layer 2 of 2", "content has more"}},
		{"layer gone", func(v victim) { os.Remove(v.blob(v.manifest.Layers[1])) }, os.ErrNotExist, []string{"layer 2 of 2", "incomplete"}},
		{"layer a pipe", func(v victim) { pipe(v.t, v.blob(v.manifest.Layers[1])) }, nil, []string{"layer 2 of 2", "not a regular file"}},
		{"layer a symlink out", func(v victim) { symlink(v.t, "/etc/passwd", v.blob(v.manifest.Layers[1])) }, nil, []string{"layer 2 of 2", "escapes"}},
		{"built with a cut gzip", func(v victim) {
			data, _ := os.ReadFile(v.blob(v.manifest.Layers[0]))
			v.manifest.Layers[0] = v.store(half(data))
			v.replace(v.manifest)
		}, image.ErrDamaged, []string{"layer 1 of 2", "unexpected EOF"}},
		{"wrong diff ID", func(v victim) {
			v.config(func(cf map[string]any) {
				ids := cf["rootfs"].(map[string]any)["diff_ids"].([]any)
				ids[1] = "sha256:" + strings.Repeat("0", 64)
			})
		}, image.ErrDigest, []string{"layer 2 of 2", "rootfs.diff_ids says sha256:000", "content is sha256:"}},
		{"config without rootfs", func(v victim) { v.config(func(cf map[string]any) { delete(cf, "rootfs") }) },
			nil, []string{"rootfs.diff_ids lists 0 layers, the manifest 2"}},
		{"digest that is a path", func(v victim) {
			v.change(filepath.Join(v.dir, "index.json"), func([]byte) []byte {
				return []byte(`{"manifests":[{"digest":"sha256:../../../etc/passwd","size":3}]}`)
			})
		}, nil, []string{"index.json", "hex"}},
		{"manifest and index at once", func(v victim) {
			v.replace(map[string]any{"manifests": []any{}, "config": v.manifest.Config, "layers": v.manifest.Layers})
		}, nil, []string{"an index and a manifest at once"}},
		{"schema 1", func(v victim) { v.replace(map[string]any{"schemaVersion": 1, "fsLayers": []any{}}) },
			nil, []string{"schema 1"}},
		{"manifest of 1 TB", func(v victim) {
			v.change(filepath.Join(v.dir, "index.json"), func([]byte) []byte {
				return []byte(`{"manifests":[{"digest":"sha256:` + strings.Repeat("0", 64) + `","size":1099511627776}]}`)
			})
		}, nil, []string{"1099511627776 bytes"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := victim{t: t, dir: imagetest.Layout(t, app(t)), manifest: &v1.Manifest{}}
			v.read(v.manifestFile(), v.manifest)
			tt.tamper(v)
			img, err := image.Open(t.Context(), v.dir, image.Platform{})
			if err == nil {
				defer img.Close()
				_, err = contents(img)
			}
			wantError(t, err, tt.is, tt.says...)
		})
	}
}

// TestTamperedArchive does the same with archives.
func TestTamperedArchive(t *testing.T) {
	honest := docker20(t, app(t), false)
	swap := func(old, new string) []byte { return bytes.Replace(honest, []byte(old), []byte(new), 1) }
	loop := imagetest.Tar(t, imagetest.Symlink("manifest.json", "a"), imagetest.Symlink("a", "manifest.json"))
	out := imagetest.Tar(t, imagetest.Symlink("manifest.json", "../../../../../../etc/passwd"))
	for _, tt := range []struct {
		name string
		data []byte
		is   error
		says []string
	}{
		{"cut in a layer", honest[:len(honest)/2], image.ErrDamaged, []string{"cut short"}},
		{"gzip cut", half(gzipped(honest)), image.ErrDamaged, []string{"unexpected EOF"}},
		{"zstd cut", half(zstded(honest)), image.ErrDamaged, []string{"unexpected EOF"}},
		{"config", swap(`"linux"`, `"minix"`), image.ErrDigest, []string{"config ", "its name says sha256:", "content is sha256:"}},
		{"layer", swap("content of file1", "CONTENT of file1"), image.ErrDigest, []string{"layer 2 of 2", "rootfs.diff_ids says sha256:", "content is sha256:"}},
		{"a layer that is not there", swap("1/layer.tar\"]", "7/layer.tar\"]"), os.ErrNotExist, []string{"7/layer.tar"}},
		{"links in a circle", loop, nil, []string{"manifest.json", "too many links"}},
		{"a link out of the archive", out, os.ErrNotExist, []string{"manifest.json"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			img, err := image.Open(t.Context(), write(t, "a.tar", tt.data), image.Platform{})
			if err == nil {
				defer img.Close()
				_, err = contents(img)
			}
			wantError(t, err, tt.is, tt.says...)
		})
	}
}

// TestLyingRegistry pulls from a registry that changes one byte of a layer.
func TestLyingRegistry(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	honest := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	want := app(t)
	layers, err := want.Layers()
	if err != nil {
		t.Fatal(err)
	}
	digest, _ := layers[1].Digest()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, "/blobs/"+digest.String()) {
			honest.ServeHTTP(w, r)
			return
		}
		answer := httptest.NewRecorder()
		honest.ServeHTTP(answer, r)
		w.Write(flip(answer.Body.Bytes()))
	}))
	defer server.Close()
	ref := strings.TrimPrefix(server.URL, "http://") + "/app"
	to, err := name.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(to, want); err != nil {
		t.Fatal(err)
	}
	img := open(t, ref, image.Platform{})
	_, err = contents(img)
	wantError(t, err, image.ErrDigest, "layer 2 of 2", digest.String(), "sha256:")
}
