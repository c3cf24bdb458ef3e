package image

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// FolderFiles gives the files of a folder, read when somebody asks for them:
// the root file system of a folder image, or / for programs of this host.
func FolderFiles(dir string) (*Files, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	t := &hostTree{root: root}
	f := &Files{tree: t, folder: true}
	f.objects = sync.OnceValues(t.objects)
	return f, nil
}

// hostTree is a folder of the host. os.Root keeps every name inside it, also
// when somebody changes the folder meanwhile.
type hostTree struct{ root *os.Root }

func dot(name string) string {
	if name == "" {
		return "."
	}
	return name
}

func (t *hostTree) lstat(name string) (*node, error) {
	info, err := t.root.Lstat(dot(name))
	if err != nil {
		return nil, cause(err)
	}
	e := &node{name: path.Base(name), mode: info.Mode(), size: info.Size()}
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		e.attr.UID, e.attr.GID = int(s.Uid), int(s.Gid)
	}
	if e.mode&fs.ModeSymlink != 0 {
		if e.target, err = t.root.Readlink(name); err != nil {
			return nil, cause(err)
		}
	}
	return e, nil
}

// cause is an error without the path that the host has for it.
func cause(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}

func (t *hostTree) list(name string) ([]*node, error) {
	d, err := t.open(name)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return nil, cause(err)
	}
	out := make([]*node, 0, len(names))
	for _, n := range names {
		if e, err := t.lstat(path.Join(name, n)); err == nil {
			out = append(out, e)
		}
	}
	return out, nil
}

func (t *hostTree) open(name string) (*os.File, error) {
	// Without O_NONBLOCK a named pipe would be waited for.
	f, err := t.root.OpenFile(dot(name), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	return f, cause(err)
}

func (t *hostTree) read(name string) ([]byte, error) {
	f, err := t.open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, cause(err)
	case !info.Mode().IsRegular():
		return nil, errors.New("not a regular file")
	case info.Size() > maxRead:
		return nil, fmt.Errorf("%d bytes, more than the %d that are read of one file", info.Size(), maxRead)
	}
	b := make([]byte, 0, info.Size()+1)
	for len(b) <= maxRead {
		n, err := f.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if err == io.EOF {
			return b, nil
		}
		if err != nil {
			return nil, cause(err)
		}
		if len(b) == cap(b) {
			b = slices.Grow(b, 4096)
		}
	}
	return nil, errors.New("grows while it is read")
}

// objects walks the folder.
func (t *hostTree) objects() (objects, error) {
	var out objects
	err := fs.WalkDir(t.root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil // what cannot be read cannot be run either
		}
		return t.classify(name, &out)
	})
	out.sort()
	return out, err
}

func (t *hostTree) classify(name string, out *objects) error {
	f, err := t.open(name)
	if err != nil {
		return nil
	}
	defer f.Close()
	e, err := t.lstat(name)
	if err != nil {
		return nil
	}
	var buf [64]byte
	if n, err := unix.Fgetxattr(int(f.Fd()), "security.capability", buf[:]); err == nil {
		e.attr.Capability = slices.Clone(buf[:n])
	}
	if e.privileged() {
		out.privileged = append(out.privileged, Privileged{name, e.mode, e.attr})
	}
	if n, _ := f.ReadAt(buf[:wantedHead], 0); n == wantedHead && string(buf[:wantedHead]) == "\x7fELF" {
		out.elf = append(out.elf, name)
	}
	return nil
}
