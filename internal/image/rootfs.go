package image

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Files is the root file system of an image, read only: what a container of it
// would see before it changes anything.
//
// Names are those of [io/fs]: slash-separated, relative to the root. Symlinks
// are followed inside the image as a process chrooted there follows them;
// absolute ones start at its root, and none leads out. It may be used by
// several goroutines.
type Files struct {
	tree    tree
	digest  string
	folder  bool
	objects func() (objects, error)
	relax   func() // nil if there is nothing to do
}

// objects are the files that a scan asks for by kind.
type objects struct {
	elf        []string
	privileged []Privileged
}

// Privileged is a file that gives whoever runs it more than they had.
type Privileged struct {
	Name string // as [Files] has it
	Mode fs.FileMode
	Attributes
}

// sort orders what was found by name.
func (o *objects) sort() {
	slices.Sort(o.elf)
	slices.SortFunc(o.privileged, func(a, b Privileged) int { return strings.Compare(a.Name, b.Name) })
}

// tree is where the files lie. Names have no symlinks in them but maybe the
// last part; "" is the root.
type tree interface {
	lstat(name string) (*node, error)
	list(name string) ([]*node, error)
	read(name string) ([]byte, error)
}

// Attributes is what [fs.FileInfo.Sys] of a file gives.
type Attributes struct {
	UID, GID   int
	Capability []byte // the extended attribute security.capability: capabilities(7), "File capabilities"
}

// entry is one file as a directory lists it.
type node struct {
	name   string // base name
	mode   fs.FileMode
	size   int64
	target string // of a symlink
	attr   Attributes
}

func (e *node) Name() string               { return e.name }
func (e *node) Size() int64                { return e.size }
func (e *node) Mode() fs.FileMode          { return e.mode }
func (e *node) Type() fs.FileMode          { return e.mode.Type() }
func (e *node) ModTime() time.Time         { return time.Time{} }
func (e *node) IsDir() bool                { return e.mode.IsDir() }
func (e *node) Sys() any                   { return &e.attr }
func (e *node) Info() (fs.FileInfo, error) { return e, nil }

// privileged reports whether the file gives whoever runs it more than they had.
func (e *node) privileged() bool {
	return e.mode.IsRegular() && (e.mode&(fs.ModeSetuid|fs.ModeSetgid) != 0 && e.mode&0o111 != 0 || len(e.attr.Capability) > 0)
}

// maxSymlinks is MAXSYMLINKS of the kernel's include/linux/namei.h.
const maxSymlinks = 40

// errLoop is ELOOP.
var errLoop = syscall.ELOOP

// resolve follows the symlinks of name, the last one too if last is set, and
// returns the name that is left.
func (f *Files) resolve(name string, last bool) (string, *node, error) {
	var done []string
	todo := strings.Split(name, "/")
	e, err := f.tree.lstat("")
	for links := 0; len(todo) > 0 && err == nil; {
		part := todo[0]
		todo = todo[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			done = done[:max(len(done)-1, 0)]
			e, err = f.tree.lstat(strings.Join(done, "/"))
			continue
		}
		if !e.IsDir() {
			return "", nil, syscall.ENOTDIR
		}
		at := strings.Join(append(slices.Clone(done), part), "/")
		if e, err = f.tree.lstat(at); err != nil {
			break
		}
		if e.mode&fs.ModeSymlink == 0 || len(todo) == 0 && !last {
			done = append(done, part)
			continue
		}
		if links++; links > maxSymlinks {
			return "", nil, errLoop
		}
		if strings.HasPrefix(e.target, "/") {
			done = nil
		}
		todo = append(strings.Split(e.target, "/"), todo...)
		e, err = f.tree.lstat(strings.Join(done, "/"))
	}
	if err != nil {
		return "", nil, err
	}
	return strings.Join(done, "/"), e, nil
}

func (f *Files) find(op, name string, last bool) (string, *node, error) {
	if !fs.ValidPath(name) {
		return "", nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	real, e, err := f.resolve(name, last)
	if err != nil {
		return "", nil, &fs.PathError{Op: op, Path: name, Err: err}
	}
	return real, e, nil
}

// Resolve returns the canonical name of a file: without symlinks, without a
// leading slash. Unlike the methods of [io/fs] it takes any path, also an
// absolute one or one with ".." in it.
func (f *Files) Resolve(name string) (string, error) {
	real, _, err := f.resolve(name, true)
	if err != nil {
		return "", &fs.PathError{Op: "resolve", Path: name, Err: err}
	}
	if real == "" {
		return ".", nil
	}
	return real, nil
}

// Stat describes the file that name leads to.
func (f *Files) Stat(name string) (fs.FileInfo, error) {
	_, e, err := f.find("stat", name, true)
	if err != nil {
		return nil, err
	}
	return f.named(name, e), nil
}

// Lstat describes a file; of a symlink, itself.
func (f *Files) Lstat(name string) (fs.FileInfo, error) {
	_, e, err := f.find("lstat", name, false)
	if err != nil {
		return nil, err
	}
	return f.named(name, e), nil
}

// named gives an entry the name that it was asked for by, as io/fs wants it.
func (f *Files) named(name string, e *node) *node {
	c := *e
	c.name = path.Base(name)
	return &c
}

// ReadLink returns the target of a symlink, as it is written.
func (f *Files) ReadLink(name string) (string, error) {
	_, e, err := f.find("readlink", name, false)
	if err != nil {
		return "", err
	}
	if e.mode&fs.ModeSymlink == 0 {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: fs.ErrInvalid}
	}
	return e.target, nil
}

// ReadDir lists a directory, sorted by name.
func (f *Files) ReadDir(name string) ([]fs.DirEntry, error) {
	real, e, err := f.find("readdir", name, true)
	if err != nil {
		return nil, err
	}
	if !e.IsDir() {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: syscall.ENOTDIR}
	}
	list, err := f.tree.list(real)
	if err != nil {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: err}
	}
	slices.SortFunc(list, func(a, b *node) int { return strings.Compare(a.name, b.name) })
	out := make([]fs.DirEntry, len(list))
	for i, e := range list {
		out[i] = e
	}
	return out, nil
}

// ReadFile returns a copy of the contents of a regular file.
func (f *Files) ReadFile(name string) ([]byte, error) {
	b, err := f.Contents(name)
	return slices.Clone(b), err
}

// Contents returns the contents of a regular file without copying them. They
// may be shared with others and must not be changed.
func (f *Files) Contents(name string) ([]byte, error) {
	real, e, err := f.find("read", name, true)
	if err != nil {
		return nil, err
	}
	if !e.mode.IsRegular() {
		return nil, &fs.PathError{Op: "read", Path: name, Err: errors.New("not a regular file")}
	}
	b, err := f.tree.read(real)
	if err != nil {
		return nil, &fs.PathError{Op: "read", Path: name, Err: err}
	}
	return b, nil
}

// Open opens a file or directory.
func (f *Files) Open(name string) (fs.File, error) {
	_, e, err := f.find("open", name, true)
	if err != nil {
		return nil, err
	}
	e = f.named(name, e)
	if e.IsDir() {
		list, err := f.ReadDir(name)
		return &openDir{entry: e, list: list}, err
	}
	if !e.mode.IsRegular() {
		return &openFile{entry: e, Reader: bytes.NewReader(nil)}, nil
	}
	b, err := f.Contents(name)
	if err != nil {
		return nil, err
	}
	return &openFile{entry: e, Reader: bytes.NewReader(b)}, nil
}

type openFile struct {
	entry *node
	*bytes.Reader
}

func (o *openFile) Stat() (fs.FileInfo, error) { return o.entry, nil }
func (o *openFile) Close() error               { return nil }

type openDir struct {
	entry *node
	list  []fs.DirEntry
}

func (o *openDir) Stat() (fs.FileInfo, error) { return o.entry, nil }
func (o *openDir) Close() error               { return nil }
func (o *openDir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: o.entry.name, Err: syscall.EISDIR}
}

func (o *openDir) ReadDir(n int) ([]fs.DirEntry, error) {
	if n <= 0 {
		n = len(o.list)
	} else if len(o.list) == 0 {
		return nil, io.EOF
	}
	n = min(n, len(o.list))
	out := o.list[:n]
	o.list = o.list[n:]
	return out, nil
}

// Digest identifies the files: the digest of the image's manifest; "" if it has
// none.
func (f *Files) Digest() string { return f.digest }

// Host reports whether the files are those of a folder, which was not read as
// a whole and can be as large as a host.
func (f *Files) Host() bool { return f.folder }

// Relax lets the kernel take back the memory of contents that were looked at so
// far, as far as it can have them again.
func (f *Files) Relax() {
	if f.relax != nil {
		f.relax()
	}
}

// ELFs returns the names of all regular files that begin like ELF files,
// sorted.
func (f *Files) ELFs() ([]string, error) {
	o, err := f.objects()
	return o.elf, err
}

// Privileged returns all files that give whoever runs them more than they had, by
// a set-user-ID or set-group-ID bit or by file capabilities; sorted by name.
func (f *Files) Privileged() ([]Privileged, error) {
	o, err := f.objects()
	return o.privileged, err
}

// Files reads the root file system of the image: its layers, once, in order,
// with whiteouts applied (OCI image specification, "Layer"). What it returns is
// verified, and lives as long as the image is open.
//
// It keeps what a scan reads: ELF files, scripts, and small files, in a temporary
// file that is gone with the process, or in memory if there can be none. A large
// file of another kind is read from its layer again when somebody asks for it.
func (i *Image) Files(ctx context.Context) (*Files, error) {
	if i.Folder() != "" {
		return FolderFiles(i.Folder())
	}
	t := newLayered()
	i.hold(&t.kept)
	if err := i.apply(ctx, t); err != nil {
		return nil, err
	}
	if err := t.kept.done(); err != nil {
		return nil, fmt.Errorf("map the files of the image: %w", err)
	}
	f := &Files{tree: t, digest: i.Digest()}
	o := t.objects()
	f.objects = func() (objects, error) { return o, nil }
	f.relax = t.kept.relax
	return f, nil
}

// apply reads the layers, in order.
func (i *Image) apply(ctx context.Context, t *layered) error {
	next := opening(ctx, i.layers, 0)
	defer func() { next().Close() }()
	for n, l := range i.layers {
		this := next()
		next = opening(ctx, i.layers, n+1)
		if err := t.apply(n, l, this); err != nil {
			return fmt.Errorf("read %s: %w", l, err)
		}
	}
	return nil
}

// Privileged returns what [Files.Privileged] does, by a reading of the layers that
// keeps nothing of what files hold, in memory or elsewhere.
func (i *Image) Privileged(ctx context.Context) ([]Privileged, error) {
	if i.Folder() != "" {
		f, err := FolderFiles(i.Folder())
		if err != nil {
			return nil, err
		}
		return f.Privileged()
	}
	t := newLayered()
	t.namesOnly = true
	if err := i.apply(ctx, t); err != nil {
		return nil, err
	}
	return t.objects().privileged, nil
}

// opening opens the n-th layer while the one before is being read, so that
// unpacking a small one does not wait for a large one. There is one more behind
// the last, which has nothing in it.
func opening(ctx context.Context, layers []Layer, n int) func() opened {
	if n >= len(layers) {
		return func() opened { return opened{} }
	}
	done := make(chan opened, 1)
	go func() {
		r, err := layers[n].Open(ctx)
		done <- opened{r, err}
	}()
	return sync.OnceValue(func() opened { return <-done })
}

// opened is a layer's stream, or why there is none.
type opened struct {
	r   io.ReadCloser
	err error
}

// Close closes the stream, if there is one.
func (o opened) Close() error {
	if o.r == nil {
		return nil
	}
	return o.r.Close()
}
