//go:build linux && (amd64 || arm64)

package main

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/profgen/profgen/internal/elfx"
	"github.com/profgen/profgen/internal/image"
	"github.com/profgen/profgen/internal/scan"
	"github.com/profgen/profgen/internal/scan/cache"
	"github.com/profgen/profgen/internal/scan/program"
)

// manyImages is how many images there are of a kind that shares its base.
const manyImages = 100

// phases are what the cost of a scan is split into, in order.
func phases() []string {
	return []string{"layers", scan.Link, scan.Reach, scan.Plugins, scan.Values}
}

// cost is processor seconds by phase.
type cost map[string]float64

func (c cost) add(d cost) {
	for k, v := range d {
		c[k] += v
	}
}

func (c cost) total() float64 {
	t := 0.0
	for _, v := range c {
		t += v
	}
	return t
}

// many prints where the time of a scan goes, for 1, 10 and 100 images that share
// Debian's base layer and differ in the program: each has, in a layer of its own,
// another program of that base as /app. With a cache, what was read from the
// functions of libc and its like is not read again.
func many(ctx context.Context, out io.Writer) error {
	dir, err := os.MkdirTemp("", "profgen-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	n, err := family(ctx, filepath.Join(dir, "oci"))
	if err != nil {
		return fmt.Errorf("make images: %w", err)
	}
	c, err := cache.Open(filepath.Join(dir, "cache"), "bench", cache.DefaultSize)
	if err != nil {
		return err
	}
	defer c.Close()
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "PROCESSOR SECONDS AN IMAGE\t%s\tall\t\n", strings.Join(phases(), "\t"))
	for _, span := range []struct {
		what     string
		from, to int
		cache    scan.Cache
	}{
		{"no cache, 1 image", 0, 1, nil},
		{"no cache, 10 images", 0, 10, nil},
		{"empty cache, image 1", 0, 1, c},
		{"images 2 to 10", 1, 10, c},
		{fmt.Sprintf("images 11 to %d", n), 10, n, c},
	} {
		sum := cost{}
		for i := span.from; i < span.to; i++ {
			one, err := phased(ctx, fmt.Sprintf("%s/oci:app%d", dir, i), span.cache)
			if err != nil {
				return fmt.Errorf("scan image %d: %w", i, err)
			}
			sum.add(one)
		}
		fmt.Fprint(w, span.what)
		for _, p := range phases() {
			fmt.Fprintf(w, "\t%.3f", sum[p]/float64(span.to-span.from))
		}
		fmt.Fprintf(w, "\t%.3f\t\n", sum.total()/float64(span.to-span.from))
	}
	return w.Flush()
}

// phased scans an image in this process, and returns what each phase took.
func phased(ctx context.Context, ref string, c scan.Cache) (cost, error) {
	out, now, since := cost{}, "layers", ownTime()
	phase := func(next string) {
		t := ownTime()
		out[now] += (t - since).Seconds()
		now, since = next, t
	}
	img, err := image.Open(ctx, ref, image.Platform{})
	if err != nil {
		return nil, err
	}
	defer img.Close()
	files, err := img.Files(ctx)
	if err != nil {
		return nil, err
	}
	elfs, err := files.ELFs()
	if err != nil {
		return nil, err
	}
	conf := img.Config()
	_, err = scan.Run(ctx, scan.Options{
		Files: files, Config: program.Config{Entrypoint: conf.Command(), Env: conf.Env}, Objects: elfs, Cache: c, Phase: phase,
	})
	phase("")
	return out, err
}

// ownTime is what this process has worked.
func ownTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// family makes the layout of images that differ in the program; it returns how
// many there are.
func family(ctx context.Context, dir string) (int, error) {
	img, err := image.Open(ctx, layoutOfTests+":nginx", image.Platform{})
	if err != nil {
		return 0, err
	}
	defer img.Close()
	files, err := img.Files(ctx)
	if err != nil {
		return 0, err
	}
	l := &layout{dir: filepath.Join(dir, "blobs", "sha256"), arch: img.Config().Platform.Architecture}
	if err := os.MkdirAll(l.dir, 0o700); err != nil {
		return 0, err
	}
	if err := l.base(ctx, img.Layers()[0]); err != nil {
		return 0, err
	}
	elfs, err := files.ELFs()
	if err != nil {
		return 0, err
	}
	for _, name := range elfs {
		if dir := filepath.Dir(name); dir != "usr/bin" && dir != "usr/sbin" || len(l.index) == manyImages {
			continue
		}
		data, err := files.Contents(name)
		if err != nil {
			return 0, err
		}
		if f, err := elfx.Parse(data); err != nil || f.Interp == "" {
			continue
		}
		if err := l.image(data); err != nil {
			return 0, err
		}
	}
	if len(l.index) < 20 {
		return 0, errors.New("the base has too few programs")
	}
	index, err := json.Marshal(map[string]any{"schemaVersion": 2, "manifests": l.index})
	if err != nil {
		return 0, err
	}
	return len(l.index), errors.Join(
		os.WriteFile(filepath.Join(dir, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`), 0o600),
		os.WriteFile(filepath.Join(dir, "index.json"), index, 0o600))
}

// layout is an OCI layout that is being made.
type layout struct {
	dir, arch string
	first     map[string]any // descriptor of the base layer
	diffID    string
	index     []any
}

// store adds a blob and returns its descriptor.
func (l *layout) store(data []byte, mediaType string) (map[string]any, error) {
	sum := fmt.Sprintf("%x", sha256.Sum256(data))
	d := map[string]any{"mediaType": mediaType, "digest": "sha256:" + sum, "size": len(data)}
	return d, os.WriteFile(filepath.Join(l.dir, sum), data, 0o600)
}

// base stores the layer that all have, as it is in the tests' layout.
func (l *layout) base(ctx context.Context, layer image.Layer) error {
	stored := strings.TrimPrefix(layer.Stored(), "sha256:")
	data, err := os.ReadFile(filepath.Join(layoutOfTests, "blobs", "sha256", stored))
	if err != nil {
		return err
	}
	l.diffID = layer.DiffID()
	l.first, err = l.store(data, "application/vnd.oci.image.layer.v1.tar+gzip")
	return err
}

// image adds an image that runs a program.
func (l *layout) image(program []byte) error {
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "app", Mode: 0o755, Size: int64(len(program))}); err != nil {
		return err
	}
	if _, err := w.Write(program); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	second, err := l.store(layer.Bytes(), "application/vnd.oci.image.layer.v1.tar")
	if err != nil {
		return err
	}
	config, err := l.document(map[string]any{
		"os": "linux", "architecture": l.arch, "config": map[string]any{"Entrypoint": []string{"/app"}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []any{l.diffID, second["digest"]}},
	}, "application/vnd.oci.image.config.v1+json")
	if err != nil {
		return err
	}
	const manifestType = "application/vnd.oci.image.manifest.v1+json"
	manifest, err := l.document(map[string]any{
		"schemaVersion": 2, "mediaType": manifestType, "config": config, "layers": []any{l.first, second},
	}, manifestType)
	if err != nil {
		return err
	}
	manifest["annotations"] = map[string]string{"org.opencontainers.image.ref.name": fmt.Sprintf("app%d", len(l.index))}
	l.index = append(l.index, manifest)
	return nil
}

func (l *layout) document(v any, mediaType string) (map[string]any, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return l.store(data, mediaType)
}
