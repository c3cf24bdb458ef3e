package sandbox

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// makeVolumes makes the folders of an image's volumes that its layers do not have.
func makeVolumes(root string, volumes []string) error {
	in, err := os.OpenRoot(root)
	if err != nil {
		return fmt.Errorf("make volumes: %w", err)
	}
	defer in.Close()
	for _, v := range volumes {
		name := volumeName(v)
		if _, err := in.Stat(name); !errors.Is(err, fs.ErrNotExist) {
			continue // or it leads out of the root, and is no volume
		}
		if err := in.MkdirAll(name, 0o755); err != nil {
			return fmt.Errorf("make volume %s: %w", v, err)
		}
	}
	return nil
}

// volumeMounts mounts the folders of an image's volumes in their own places: what
// an engine keeps elsewhere is a mount, and stays writable. unpacked is the root
// file system to look at, root where it will be. A path through a symbolic link is
// left alone, since a runtime would follow it on the host.
func volumeMounts(unpacked, root string, volumes []string) ([]specs.Mount, error) {
	in, err := os.OpenRoot(unpacked)
	if err != nil {
		return nil, fmt.Errorf("mount volumes: %w", err)
	}
	defer in.Close()
	var out []specs.Mount
	for _, v := range volumes {
		name := volumeName(v)
		if name == "." || !plainFolder(in, name) {
			continue
		}
		out = append(out, specs.Mount{
			Destination: "/" + name, Type: "bind", Source: filepath.Join(root, name), Options: []string{"rbind", "rw", "rprivate"},
		})
	}
	return out, nil
}

// ownVolumes gives the folders of an image's volumes to a user, in the upper layer
// of an overlay that is not mounted yet. The folders above them stay as they are.
func ownVolumes(o overlay, volumes []string, user string) error {
	lower, err := os.OpenRoot(o.Lower)
	if err != nil {
		return fmt.Errorf("own volumes: %w", err)
	}
	defer lower.Close()
	uid, gid, _ := strings.Cut(user, ":")
	for _, v := range volumes {
		name := volumeName(v)
		if name == "." || !plainFolder(lower, name) {
			continue
		}
		for i := range len(name) + 1 {
			if i < len(name) && name[i] != '/' {
				continue
			}
			if err := copyFolder(lower, o.Upper, name[:i]); err != nil {
				return fmt.Errorf("own volume %s: %w", v, err)
			}
		}
		if err := os.Lchown(filepath.Join(o.Upper, name), int(id(uid)), int(id(gid))); err != nil {
			return fmt.Errorf("own volume %s: %w", v, err)
		}
	}
	return nil
}

// copyFolder makes a folder of lower in upper too, without what is in it.
func copyFolder(lower *os.Root, upper, name string) error {
	info, err := lower.Lstat(name)
	if err != nil {
		return err
	}
	at := filepath.Join(upper, name)
	switch err := os.Mkdir(at, 0o700); {
	case errors.Is(err, fs.ErrExist):
		return nil // on the way to another volume
	case err != nil:
		return err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return errors.New("its owner is not known")
	}
	if err := os.Lchown(at, int(st.Uid), int(st.Gid)); err != nil {
		return err
	}
	return os.Chmod(at, info.Mode()&(fs.ModePerm|fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky))
}

func volumeName(v string) string { return cmp.Or(strings.TrimPrefix(path.Clean("/"+v), "/"), ".") }

// plainFolder reports whether name is a folder, and no part of it a link.
func plainFolder(in *os.Root, name string) bool {
	for dir := name; dir != "."; dir = path.Dir(dir) {
		if info, err := in.Lstat(dir); err != nil || !info.IsDir() {
			return false
		}
	}
	return true
}
