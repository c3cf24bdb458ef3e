package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// files is a set of named files, a folder's or an archive's. Names are slash
// paths relative to its top; no name leads out of it.
type files interface {
	// openFile opens a regular file and tells its size in bytes. It follows
	// links inside the set. The error wraps fs.ErrNotExist if there is none.
	openFile(name string) (io.ReadCloser, int64, error)
}

// folder is the files of a layout folder.
type folder struct{ root *os.Root }

func (f folder) openFile(name string) (io.ReadCloser, int64, error) {
	// Without O_NONBLOCK a named pipe would be waited for.
	file, err := f.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, 0, inside(name, err)
	}
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		file.Close()
		return nil, 0, inside(name, errors.Join(err, errors.New("not a regular file")))
	}
	return file, info.Size(), nil
}

// inside names a file by its place in the image, not on the host.
func inside(name string, err error) error {
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		err = pathErr.Err
	}
	return fmt.Errorf("%s: %w; the image is incomplete or was changed: save it again", name, err)
}

// readSmall reads a whole file that describes others.
func readSmall(f files, name string) ([]byte, error) {
	file, size, err := f.openFile(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if size > maxDocument {
		return nil, fmt.Errorf("%s: %d bytes, more than the %d an image's JSON may have; it is not what its name says", name, size, maxDocument)
	}
	data, err := io.ReadAll(io.LimitReader(file, maxDocument))
	if err != nil {
		return nil, inside(name, err)
	}
	return data, nil
}

// maxDocument bounds index, manifest and configuration, in bytes; registries
// accept manifests up to 4 MiB.
const maxDocument = 8 << 20

// maxSpool bounds, in bytes, what one image may put into temporary files.
const maxSpool = 16 << 30

// spool copies r, at most limit bytes, to a temporary file without a name: it
// vanishes when it is closed.
func spool(ctx context.Context, r io.Reader, limit int64) (*os.File, int64, error) {
	file, err := os.CreateTemp("", "profgen-")
	if err != nil {
		return nil, 0, fmt.Errorf("make a temporary file: %w; set TMPDIR to a folder with room", err)
	}
	fail := func(err error) (*os.File, int64, error) {
		return nil, 0, errors.Join(err, file.Close())
	}
	if err := os.Remove(file.Name()); err != nil {
		return fail(err)
	}
	n, err := io.Copy(file, io.LimitReader(&stoppable{ctx, r}, limit+1))
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return fail(fmt.Errorf("%w; set TMPDIR to a folder with room", err))
	case err != nil:
		return fail(err)
	case n > limit:
		return fail(fmt.Errorf("more than %d bytes; if the image is really that large, unpack it and give the folder", limit))
	}
	return file, n, nil
}

// stoppable is a reader that ends when ctx does.
type stoppable struct {
	ctx context.Context
	r   io.Reader
}

func (s *stoppable) Read(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	return s.r.Read(p)
}
