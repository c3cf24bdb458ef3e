package image

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
)

const (
	// maxFiles bounds the entries of an image archive: an image has a few files
	// a layer, and the kernel's overlay file system ends at 500 layers.
	maxFiles = 20_000
	// maxName bounds an entry's name, in bytes.
	maxName = 1024
	// maxLinks bounds the links followed from one entry to the next.
	maxLinks = 8
)

// archive is the files of a tar archive, read in place: an index says where in
// the tar file each one's bytes lie. Names are keys into the index and nothing
// else.
type archive struct {
	tar   *os.File
	index map[string]entry
}

// entry is one file of an archive.
type entry struct {
	offset, size int64
	link         string // another name of the index; "" for a regular file
}

// readArchive indexes the tar archive at name. A compressed one is unpacked
// into a temporary file first.
func readArchive(ctx context.Context, name string) (*archive, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	if file, err = unpacked(ctx, file); err != nil {
		return nil, err
	}
	a := &archive{tar: file, index: map[string]entry{}}
	if err := a.read(ctx); err != nil {
		file.Close()
		return nil, err
	}
	return a, nil
}

// unpacked returns file itself, or what a compressed file holds. It closes file
// unless it returns it.
func unpacked(ctx context.Context, file *os.File) (*os.File, error) {
	head := make([]byte, magicBytes)
	n, err := file.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		file.Close()
		return nil, err
	}
	if sniff(head[:n]) == plain {
		return file, nil
	}
	defer file.Close()
	r, err := decompress(file)
	if err != nil {
		return nil, fmt.Errorf("unpack archive: %w", broken(err))
	}
	defer r.Close()
	out, _, err := spool(ctx, fallible{r}, maxSpool)
	if err != nil {
		return nil, fmt.Errorf("unpack archive: %w", err)
	}
	_, err = out.Seek(0, io.SeekStart)
	return out, err
}

// fallible marks what goes wrong in a decompressor as the archive's fault.
type fallible struct{ r io.Reader }

func (f fallible) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if err != nil && err != io.EOF {
		err = broken(err)
	}
	return n, err
}

func broken(err error) error {
	return fmt.Errorf("%w: %w; the archive is cut short or was changed: save it again", ErrDamaged, err)
}

func (a *archive) read(ctx context.Context) error {
	tr := tar.NewReader(a.tar)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		hdr, err := tr.Next()
		switch {
		case err == io.EOF:
			return nil
		case errors.Is(err, tar.ErrHeader) && len(a.index) == 0:
			return errors.New("not an image archive: it is no tar file; write it with docker save or as an OCI archive")
		case err != nil:
			return broken(err)
		case len(a.index) == maxFiles:
			return fmt.Errorf("archive: more than %d files; it is no image", maxFiles)
		case len(hdr.Name) > maxName || len(hdr.Linkname) > maxName:
			return fmt.Errorf("archive: a name of more than %d bytes (%.40q…); it is no image", maxName, hdr.Name)
		}
		if err := a.add(hdr); err != nil {
			return err
		}
	}
}

// add notes an entry. The tar reader stands at its first byte of data, since it
// reads no further than it must.
func (a *archive) add(hdr *tar.Header) error {
	name := key(hdr.Name)
	switch hdr.Typeflag {
	case tar.TypeReg:
		if sparse(hdr) {
			return fmt.Errorf("archive: %q is a sparse file; write the archive without --sparse", hdr.Name)
		}
		offset, err := a.tar.Seek(0, io.SeekCurrent)
		if err != nil {
			return err
		}
		a.index[name] = entry{offset: offset, size: hdr.Size}
	case tar.TypeSymlink:
		// podman stores layers as ID/layer.tar -> ../DIGEST.tar.
		a.index[name] = entry{link: key(path.Join(path.Dir(name), hdr.Linkname))}
	case tar.TypeLink:
		a.index[name] = entry{link: key(hdr.Linkname)}
	}
	return nil
}

// sparse reports whether an entry's bytes lie elsewhere than behind its header.
func sparse(hdr *tar.Header) bool {
	for record := range hdr.PAXRecords {
		if strings.HasPrefix(record, "GNU.sparse.") {
			return true
		}
	}
	return false
}

// key is the one spelling of a name in the index.
func key(name string) string { return path.Clean("/" + name)[1:] }

func (a *archive) has(name string) bool {
	_, ok := a.index[name]
	return ok
}

func (a *archive) openFile(name string) (io.ReadCloser, int64, error) {
	at := key(name)
	for range maxLinks {
		e, ok := a.index[at]
		if !ok {
			return nil, 0, inside(name, fs.ErrNotExist)
		}
		if e.link == "" {
			return io.NopCloser(io.NewSectionReader(a.tar, e.offset, e.size)), e.size, nil
		}
		at = e.link
	}
	return nil, 0, inside(name, errors.New("too many links"))
}

// Close closes the tar file.
func (a *archive) Close() error { return a.tar.Close() }
