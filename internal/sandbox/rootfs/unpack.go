package rootfs

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/apex/log"
	"github.com/apex/log/handlers/discard"
	"github.com/opencontainers/umoci/oci/layer"
	"github.com/opencontainers/umoci/pkg/fseval"

	"github.com/profgen/profgen/internal/image"
)

// Unpack fills dir with the root file system of img: its layers in order,
// whiteouts honoured, or a copy of its folder.
//
// dir must be an empty folder inside a folder that nobody but its owner may
// enter (mode 0700). Errors name the layer and the entry, and wrap [ErrLimit],
// [ErrHostile], or what package image gives for bytes that are not the image's;
// dir is then empty, with the mode it had.
func Unpack(ctx context.Context, img *image.Image, dir string, limits Limits) error {
	info, err := private(dir)
	if err != nil {
		return fmt.Errorf("unpack image: %w", err)
	}
	b := &budget{limits: limits.orDefault()}
	if folder := img.Folder(); folder != "" {
		err = copyFolder(ctx, folder, dir, b)
	} else {
		err = unpackLayers(ctx, img.Layers(), dir, b)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("unpack image: %w", err), empty(dir, info.Mode()))
	}
	return nil
}

// private checks what Unpack asks of its folder.
func private(dir string) (os.FileInfo, error) {
	info, err := os.Lstat(dir)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("%s is not a folder; make an empty one", dir)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	if len(entries) > 0 {
		return nil, fmt.Errorf("folder %s is not empty; make a new one", dir)
	}
	above, err := os.Stat(filepath.Join(dir, ".."))
	if err != nil {
		return nil, err
	}
	if above.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("the folder above %s is open to other users (mode %#o), who could run the image's setuid programs; make it mode 0700",
			dir, above.Mode().Perm())
	}
	return info, nil
}

// empty removes everything in dir, also what an unprivileged user made
// unreadable, and gives it back its mode.
func empty(dir string, mode os.FileMode) error {
	if err := os.Chmod(dir, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	errs := []error{err}
	for _, e := range entries {
		errs = append(errs, access().RemoveAll(filepath.Join(dir, e.Name())))
	}
	return errors.Join(append(errs, os.Chmod(dir, mode))...)
}

// access is how files are reached: without root, through folders that their own
// mode closes.
func access() fseval.FsEval {
	if os.Geteuid() != 0 {
		return fseval.Rootless
	}
	return fseval.Default
}

// quiet keeps umoci from writing to stderr: whatever matters is in its errors.
// Nothing else in profgen uses its logger.
var quiet = sync.OnceFunc(func() { log.SetHandler(discard.New()) })

// unpackLayers reads every layer twice: to judge it, then to unpack it.
func unpackLayers(ctx context.Context, layers []image.Layer, dir string, judged *budget) error {
	quiet()
	if err := os.Chmod(dir, 0o755); err != nil { // if no layer says otherwise
		return err
	}
	options := &layer.UnpackOptions{OnDiskFormat: layer.DirRootfs{
		MapOptions: layer.MapOptions{Rootless: os.Geteuid() != 0},
	}}
	unpacked := &budget{limits: judged.limits}
	for _, l := range layers {
		nothing := func(*tar.Header, io.Reader) error { return nil }
		if err := walk(ctx, l, judged, nothing); err != nil {
			return err
		}
		extractor := layer.NewTarExtractor(options)
		unpack := func(hdr *tar.Header, data io.Reader) error {
			err := extractor.UnpackEntry(dir, hdr, data)
			if isDevice(hdr) && errors.Is(err, fs.ErrPermission) { // which root of a user namespace gets
				err = extractor.UnpackEntry(dir, standIn(hdr), data)
			}
			return err
		}
		if err := walk(ctx, l, unpacked, unpack); err != nil {
			return err
		}
	}
	return nil
}

func isDevice(hdr *tar.Header) bool {
	return hdr.Typeflag == tar.TypeChar || hdr.Typeflag == tar.TypeBlock
}

// standIn is an empty file in the place of a device that cannot be made: the
// runtime gives a container those that it needs.
func standIn(hdr *tar.Header) *tar.Header {
	file := *hdr
	file.Typeflag, file.Size, file.Devmajor, file.Devminor = tar.TypeReg, 0, 0, 0
	return &file
}

// walk calls visit with each entry of a layer that passes judgement, and reads
// the layer to its end, so that it is verified when walk returns nil. Its errors
// name the layer.
func walk(ctx context.Context, l image.Layer, b *budget, visit func(*tar.Header, io.Reader) error) error {
	stream, err := l.Open(ctx)
	if err != nil {
		return err
	}
	defer stream.Close()
	counted := &counter{stream, l, b}
	tr := tar.NewReader(counted)
	for {
		hdr, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return rest(counted, l, err)
		}
		if err := admit(hdr, b); err != nil {
			return fmt.Errorf("%s: %w", l, err)
		}
		if !plain(hdr) {
			continue
		}
		if err := visit(hdr, tr); err != nil {
			return fmt.Errorf("%s: entry %q: %w; %s", l, hdr.Name, err, advice(hdr, err))
		}
	}
	// What follows the end mark belongs to the digest.
	_, err = io.Copy(io.Discard, counted)
	return err
}

// admit books an entry and judges it: first by its size, which needs no trust.
func admit(hdr *tar.Header, b *budget) error {
	if err := b.take(hdr.Name, hdr.Size); err != nil {
		return err
	}
	return judge(hdr)
}

// advice says what to do about an entry that could not be unpacked.
func advice(hdr *tar.Header, err error) string {
	switch {
	case errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT):
		return "make room, or set TMPDIR to a folder with more"
	case errors.Is(err, fs.ErrPermission):
		return "run as root, on a file system that takes files of this kind"
	case hdr.Typeflag == tar.TypeLink && errors.Is(err, fs.ErrNotExist):
		return fmt.Sprintf("its link target %q is not in the image: build it again", hdr.Linkname)
	}
	return "build the image again if another tool cannot unpack it either"
}

// rest explains a tar error: bytes that are not the image's explain it best.
func rest(stream io.Reader, l image.Layer, err error) error {
	if _, verdict := io.Copy(io.Discard, stream); verdict != nil {
		return verdict
	}
	return fmt.Errorf("%s: %w: tar stream: %w; the image was built broken: build it again", l, image.ErrDamaged, err)
}

// plain reports whether an entry is a file in its own right, and gives old GNU
// sparse files the type umoci knows; the tar reader fills in the holes.
func plain(hdr *tar.Header) bool {
	if hdr.Typeflag == tar.TypeGNUSparse {
		hdr.Typeflag = tar.TypeReg
	}
	return hdr.Typeflag != tar.TypeXGlobalHeader
}

// counter books what passes through it.
type counter struct {
	r     io.Reader
	layer image.Layer
	b     *budget
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if limit := c.b.pass(n); limit != nil {
		return n, fmt.Errorf("%s: %w", c.layer, limit)
	}
	return n, err
}
