package sandbox

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/profgen/profgen/internal/image"
	"github.com/profgen/profgen/internal/sandbox/rootfs"
)

// Root is an image unpacked once, for several containers. None of them changes
// it.
type Root struct {
	guard *guard
	dir   string
}

// Unpack unpacks an image into a private folder, which goes when the root is
// closed or profgen ends.
func Unpack(ctx context.Context, img *image.Image, limits rootfs.Limits) (*Root, error) {
	g, err := startGuard(Talk(), 0)
	if err != nil {
		return nil, err
	}
	private, err := g.privateDir()
	if err != nil {
		return nil, g.giveUp(err)
	}
	r := &Root{guard: g, dir: filepath.Join(private, "rootfs")}
	if err := os.Mkdir(r.dir, 0o755); err != nil {
		return nil, g.giveUp(fmt.Errorf("make root file system: %w", err))
	}
	if err := rootfs.Unpack(ctx, img, r.dir, limits); err != nil {
		return nil, g.giveUp(interrupted(ctx, "unpack image", err))
	}
	if err := makeVolumes(r.dir, img.Config().Volumes); err != nil {
		return nil, g.giveUp(err)
	}
	return r, nil
}

// Has reports whether the image has something of that name, which may be a
// symbolic link: the name is as the image's own processes have it, with all links
// before the last component resolved.
func (r *Root) Has(name string) bool {
	in, err := os.OpenRoot(r.dir)
	if err != nil {
		return false
	}
	defer in.Close()
	_, err = in.Lstat(strings.TrimPrefix(name, "/"))
	return err == nil
}

// BundleHas reports whether a container of the OCI bundle in folder dir finds
// something of that name, as [Root.Has] does: in its root, or in what it mounts
// from the host.
func BundleHas(dir, name string) bool {
	spec, err := (&Container{Bundle: dir}).fromBundle()
	if err != nil {
		return false
	}
	in := Root{dir: spec.Root.Path}
	destination, rest := "/", name
	for _, m := range spec.Mounts {
		at := strings.TrimSuffix(m.Destination, "/") + "/"
		below, ok := strings.CutPrefix(name, at)
		if !ok || len(at) < len(destination) {
			continue
		}
		if destination, rest = at, below; m.Type != "bind" {
			in.dir = "" // who knows
		} else {
			in.dir = m.Source
		}
	}
	return in.Has(rest)
}

// Close removes the folder.
func (r *Root) Close() { r.guard.close() }
