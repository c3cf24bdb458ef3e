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
