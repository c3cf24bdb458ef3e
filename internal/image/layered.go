package image

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// Limits of what the layers of one image may hold.
const (
	maxEntries   = 1 << 21
	maxKept      = 4 << 30   // bytes
	maxSmall     = 256 << 10 // a file up to so many bytes is kept whatever it holds
	maxRead      = 1 << 30   // and none larger than that is read
	maxSized     = 128 << 20 // memory is set aside for the size that a header claims, up to this
	maxNameBytes = 4096      // PATH_MAX
	wantedHead   = 4         // bytes that tell ELF files and scripts
	whiteout     = ".wh."    // OCI image specification, "Whiteouts"
	opaque       = ".wh..wh..opq"
	capabilityXA = "SCHILY.xattr.security.capability"
)

// layered is a tree made of layers.
type layered struct {
	root    *inode
	entries int
	layers  []Layer
	kept    contents
	// namesOnly keeps nothing of what files hold.
	namesOnly bool
}

// inode is a file. Hard links share one.
type inode struct {
	node
	children map[string]*inode
	kept     place
	dropped  bool // it is only in the layer: the ordinal-th entry of it
	elf      bool
	layer    int
	ordinal  int
}

func directory() *inode {
	return &inode{node: node{mode: fs.ModeDir | 0o755}, children: map[string]*inode{}}
}

func newLayered() *layered { return &layered{root: directory()} }

// at returns the file of a name without following symlinks.
func (t *layered) at(name string) *inode {
	n := t.root
	for part := range strings.SplitSeq(name, "/") {
		if part == "" {
			continue
		}
		if n = n.children[part]; n == nil {
			return nil
		}
	}
	return n
}

func (t *layered) lstat(name string) (*node, error) {
	n := t.at(name)
	if n == nil {
		return nil, fs.ErrNotExist
	}
	e := n.node
	e.name = path.Base(name)
	return &e, nil
}

func (t *layered) list(name string) ([]*node, error) {
	n := t.at(name)
	if n == nil {
		return nil, fs.ErrNotExist
	}
	out := make([]*node, 0, len(n.children))
	for name, c := range n.children {
		e := c.node
		e.name = name
		out = append(out, &e)
	}
	return out, nil
}

func (t *layered) read(name string) ([]byte, error) {
	n := t.at(name)
	switch {
	case n == nil:
		return nil, fs.ErrNotExist
	case n.dropped:
		return t.reread(n)
	}
	return t.kept.at(n.kept)
}

// reread takes a file out of its layer once more.
func (t *layered) reread(n *inode) ([]byte, error) {
	if n.size > maxRead {
		return nil, fmt.Errorf("%d bytes, more than the %d that are read of one file", n.size, maxRead)
	}
	r, err := t.layers[n.layer].Open(context.Background())
	if err != nil {
		return nil, err
	}
	defer r.Close()
	tr := tar.NewReader(r)
	for range n.ordinal + 1 {
		if _, err := tr.Next(); err != nil {
			return nil, err
		}
	}
	return io.ReadAll(tr)
}

// apply reads a layer to its end, verified, and then changes the tree by it.
func (t *layered) apply(number int, l Layer, stream opened) (err error) {
	t.layers = append(t.layers, l)
	if stream.err != nil {
		return stream.err
	}
	defer func() { err = errors.Join(err, stream.Close()) }()
	r := io.Reader(stream.r)
	if v, ok := r.(*verified); !ok || v.memory == nil { // that reads ahead by itself
		ahead, stop := readAhead(r)
		defer stop()
		r = ahead
	}
	tr := tar.NewReader(r)
	added := map[*inode]bool{} // by this layer: opaque directories hide only what was below
	var opaques []string
	for ordinal := 0; ; ordinal++ {
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		if t.entries++; t.entries > maxEntries {
			return fmt.Errorf("more than %d entries", maxEntries)
		}
		name, err := cleanName(h.Name)
		if err != nil {
			return err
		}
		if path.Base(name) == opaque {
			opaques = append(opaques, path.Dir(name))
			continue
		}
		if err := t.put(name, h, tr, added, number, ordinal); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	for _, dir := range opaques {
		t.hide(dir, added)
	}
	// The verdict on the layer comes with its end.
	_, err = io.Copy(io.Discard, r)
	return err
}

// cleanName is the name of an entry relative to the root; "" is the root.
func cleanName(name string) (string, error) {
	if len(name) > maxNameBytes || strings.ContainsRune(name, 0) {
		return "", fmt.Errorf("name of %d bytes: no file can have it", len(name))
	}
	if slices.Contains(strings.Split(name, "/"), "..") {
		return "", fmt.Errorf("name %q climbs out of the layer", name)
	}
	clean := strings.TrimPrefix(path.Clean("/"+name), "/")
	return clean, nil
}

// hide removes from a directory what lower layers put there.
func (t *layered) hide(dir string, added map[*inode]bool) {
	n := t.at(strings.TrimPrefix(dir, "."))
	if n == nil {
		return
	}
	for name, c := range n.children {
		if !added[c] {
			delete(n.children, name)
		}
	}
}

// put adds one entry, or removes what a whiteout names.
func (t *layered) put(name string, h *tar.Header, r io.Reader, added map[*inode]bool, layer, ordinal int) error {
	if name == "" {
		return nil // the root's own attributes matter to nobody here
	}
	dir, base := path.Split(name)
	parent, err := t.parent(strings.TrimSuffix(dir, "/"), added)
	if err != nil {
		return err
	}
	if gone, ok := strings.CutPrefix(base, whiteout); ok {
		if c := parent.children[gone]; c != nil && !added[c] {
			delete(parent.children, gone)
		}
		return nil
	}
	n, err := t.inode(h, r, parent.children[base])
	if err != nil || n == nil {
		return err
	}
	if h.Typeflag != tar.TypeLink {
		n.layer, n.ordinal = layer, ordinal
	}
	parent.children[base] = n
	added[n] = true
	return nil
}

// parent returns a directory, making what is missing of it. What is no
// directory there is replaced: an entry below it says that it is one. Symlinks
// are not followed.
func (t *layered) parent(dir string, added map[*inode]bool) (*inode, error) {
	n := t.root
	for part := range strings.SplitSeq(dir, "/") {
		if part == "" {
			continue
		}
		c := n.children[part]
		if c != nil && c.mode&fs.ModeSymlink != 0 {
			return nil, fmt.Errorf("lies below the symlink %s", part)
		}
		if c == nil || !c.IsDir() {
			c = directory()
			n.children[part] = c
		}
		added[c] = true
		n = c
	}
	return n, nil
}

// inode makes the file of an entry; nil for what is no file. old is what has
// the name so far.
func (t *layered) inode(h *tar.Header, r io.Reader, old *inode) (*inode, error) {
	e := node{mode: h.FileInfo().Mode(), attr: Attributes{UID: h.Uid, GID: h.Gid}}
	if c := h.PAXRecords[capabilityXA]; c != "" {
		e.attr.Capability = []byte(c)
	}
	switch h.Typeflag {
	case tar.TypeDir:
		if old != nil && old.IsDir() {
			old.mode, old.attr = e.mode, e.attr
			return old, nil
		}
		return &inode{node: e, children: map[string]*inode{}}, nil
	case tar.TypeSymlink:
		e.target, e.size = h.Linkname, int64(len(h.Linkname))
		return &inode{node: e}, nil
	case tar.TypeLink:
		target, err := cleanName(h.Linkname)
		if err != nil {
			return nil, err
		}
		n := t.at(target)
		if n == nil || n.IsDir() {
			return nil, fmt.Errorf("hard link to %s, which is no file; the image was built broken: build it again", target)
		}
		return n, nil
	case tar.TypeReg, tar.TypeGNUSparse:
		return t.regular(e, h.Size, r)
	case tar.TypeChar, tar.TypeBlock, tar.TypeFifo:
		return &inode{node: e}, nil
	}
	return nil, nil
}

// regular reads a file as far as it is kept.
func (t *layered) regular(e node, size int64, r io.Reader) (*inode, error) {
	e.size = size
	n := &inode{node: e}
	head := make([]byte, min(size, wantedHead))
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	n.elf = string(head) == "\x7fELF"
	if t.namesOnly || size > maxSmall && !n.elf && !bytes.HasPrefix(head, []byte("#!")) || size > maxRead {
		n.dropped = true
		return n, nil
	}
	var err error
	if n.kept, err = t.kept.keep(head, size, r); err != nil {
		return nil, err
	}
	n.size = n.kept.size
	return n, nil
}

// objects lists the files that a scan asks for by kind.
func (t *layered) objects() objects {
	var out objects
	var walk func(dir string, n *inode)
	walk = func(dir string, n *inode) {
		for name, c := range n.children {
			at := path.Join(dir, name)
			switch {
			case c.IsDir():
				walk(at, c)
			case c.elf:
				out.elf = append(out.elf, at)
			}
			if c.privileged() {
				out.privileged = append(out.privileged, Privileged{at, c.mode, c.attr})
			}
		}
	}
	walk("", t.root)
	out.sort()
	return out
}
