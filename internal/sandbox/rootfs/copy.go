package rootfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// copyFolder copies a root file system folder: owners, modes, times, extended
// attributes, hard links, device nodes; symlinks as they are. Sockets are left
// out, and file systems mounted inside the folder come out as empty folders.
// Nothing is written before the whole folder is within the budget.
func copyFolder(ctx context.Context, from, to string, b *budget) error {
	if err := apart(from, to); err != nil {
		return err
	}
	c := &copier{from: from, to: to, links: map[inode]string{}, root: os.Geteuid() == 0}
	count := func(rel string, info fs.FileInfo) error { return b.take(rel, regularSize(info)) }
	if err := c.walk(ctx, count); err != nil {
		return err
	}
	written := &budget{limits: b.limits} // the folder may grow meanwhile
	err := c.walk(ctx, func(rel string, info fs.FileInfo) error {
		if err := written.take(rel, regularSize(info)); err != nil {
			return err
		}
		return c.entry(ctx, rel, info)
	})
	if err != nil {
		return err
	}
	return c.finishFolders()
}

// apart refuses to copy a folder into itself.
func apart(from, to string) error {
	abs, err := filepath.Abs(to)
	if err != nil {
		return err
	}
	if abs, err = filepath.EvalSymlinks(abs); err != nil {
		return err
	}
	if rel, err := filepath.Rel(from, abs); err == nil && filepath.IsLocal(rel) {
		return fmt.Errorf("folder %s is inside the one to copy; use another, or give a folder that holds only the root file system", to)
	}
	return nil
}

func regularSize(info fs.FileInfo) int64 {
	if info.Mode().IsRegular() {
		return info.Size()
	}
	return 0
}

type inode struct{ dev, ino uint64 }

type copier struct {
	from, to string
	root     bool             // may keep owners and make devices
	links    map[inode]string // where a file with several names was copied to
	folders  []pending        // metadata still to set: after what is in them
}

type pending struct {
	rel  string
	info fs.FileInfo
}

// walk visits the folder, itself first as ".", without following symlinks.
func (c *copier) walk(ctx context.Context, visit func(rel string, info fs.FileInfo) error) error {
	var device uint64
	return filepath.WalkDir(c.from, func(path string, d fs.DirEntry, err error) error {
		if err = errors.Join(ctx.Err(), err); err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(c.from, path)
		if err != nil {
			return err
		}
		if err := visit(rel, info); err != nil {
			return fmt.Errorf("copy %q: %w", rel, err)
		}
		dev := uint64(stat(info).Dev)
		if rel == "." {
			device = dev
		}
		if d.IsDir() && dev != device {
			return filepath.SkipDir
		}
		return nil
	})
}

func stat(info fs.FileInfo) *syscall.Stat_t { return info.Sys().(*syscall.Stat_t) }

func (c *copier) entry(ctx context.Context, rel string, info fs.FileInfo) error {
	from, to := filepath.Join(c.from, rel), filepath.Join(c.to, rel)
	if info.IsDir() {
		c.folders = append(c.folders, pending{rel, info})
		if rel == "." {
			return nil
		}
		return os.Mkdir(to, 0o700)
	}
	if info.Mode().Type() == fs.ModeSocket {
		return nil // meaningless without who listens
	}
	if st := stat(info); st.Nlink > 1 {
		id := inode{uint64(st.Dev), st.Ino}
		if first, ok := c.links[id]; ok {
			return os.Link(first, to)
		}
		c.links[id] = to
	}
	if err := c.create(ctx, from, to, info); err != nil {
		return err
	}
	return c.metadata(from, to, info)
}

// create makes a file of the kind and content of from.
func (c *copier) create(ctx context.Context, from, to string, info fs.FileInfo) error {
	switch info.Mode().Type() {
	case 0:
		return copyData(ctx, from, to, info.Size())
	case fs.ModeSymlink:
		target, err := os.Readlink(from)
		if err != nil {
			return err
		}
		return os.Symlink(target, to)
	case fs.ModeNamedPipe:
		return unix.Mkfifo(to, 0o600)
	}
	if c.root {
		st := stat(info)
		err := unix.Mknod(to, st.Mode&unix.S_IFMT|0o600, int(st.Rdev))
		if !errors.Is(err, unix.EPERM) { // which root of a user namespace gets
			return err
		}
	}
	return os.WriteFile(to, nil, 0o600) // stands in for a device
}

// copyData copies at most size bytes, what was booked for the file.
func copyData(ctx context.Context, from, to string, size int64) error {
	in, err := os.OpenFile(from, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w; run as root to copy files only root can read", err)
	}
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	const piece = 64 << 20 // between looks at ctx
	for left := size; left > 0 && err == nil; left -= piece {
		if err = ctx.Err(); err == nil {
			_, err = io.CopyN(out, in, min(piece, left))
		}
	}
	if err == io.EOF {
		err = nil // the file shrank: the user's affair
	}
	return errors.Join(err, out.Close())
}

// metadata gives a copy owner, mode, attributes and times, in the order in
// which one does not undo the other.
func (c *copier) metadata(from, to string, info fs.FileInfo) error {
	st := stat(info)
	if c.root {
		if err := os.Lchown(to, int(st.Uid), int(st.Gid)); err != nil {
			return err
		}
	}
	if info.Mode().Type() != fs.ModeSymlink {
		if err := os.Chmod(to, info.Mode()); err != nil {
			return err
		}
	}
	if err := c.attributes(from, to); err != nil {
		return err
	}
	times := []unix.Timespec{
		{Sec: int64(st.Atim.Sec), Nsec: int64(st.Atim.Nsec)}, {Sec: int64(st.Mtim.Sec), Nsec: int64(st.Mtim.Nsec)},
	}
	return unix.UtimesNanoAt(unix.AT_FDCWD, to, times, unix.AT_SYMLINK_NOFOLLOW)
}

// attributes copies extended attributes but security labels, which belong to
// the host. A file system without any, or without the right to, is no error.
func (c *copier) attributes(from, to string) error {
	list, err := readAttribute(func(buf []byte) (int, error) { return unix.Llistxattr(from, buf) })
	if errors.Is(err, unix.ENOTSUP) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("list attributes: %w", err)
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(list), "\x00"), "\x00") {
		if name == "" || name == "security.selinux" || name == "security.apparmor" {
			continue
		}
		value, err := readAttribute(func(buf []byte) (int, error) { return unix.Lgetxattr(from, name, buf) })
		if err == nil {
			err = unix.Lsetxattr(to, name, value, 0)
		}
		if errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.EPERM) && !c.root {
			continue
		}
		if err != nil {
			return fmt.Errorf("attribute %s: %w", name, err)
		}
	}
	return nil
}

// readAttribute calls get with as large a buffer as it asks for.
func readAttribute(get func([]byte) (int, error)) ([]byte, error) {
	n, err := get(nil)
	if err != nil || n == 0 {
		return nil, err
	}
	buf := make([]byte, n)
	n, err = get(buf)
	return buf[:max(n, 0)], err
}

// finishFolders sets the metadata of folders, inner ones first: a folder that
// may not be written must be filled before.
func (c *copier) finishFolders() error {
	for i := len(c.folders) - 1; i >= 0; i-- {
		f := c.folders[i]
		if err := c.metadata(filepath.Join(c.from, f.rel), filepath.Join(c.to, f.rel), f.info); err != nil {
			return fmt.Errorf("copy %q: %w", f.rel, err)
		}
	}
	return nil
}
