package scan

import (
	"path"
	"slices"
	"strings"
)

// objects are the shared objects of an image, for those who ask for plugins.
type objects struct {
	files Files
	all   []string // ELF files; nil if they are not known
}

// sharedObjects returns all ELF files but for those that lie where programs do.
func (o *objects) sharedObjects() []string {
	var out []string
	for _, p := range o.all {
		if folder := path.Base(path.Dir(p)); isSharedObject(path.Base(p)) || folder != "bin" && folder != "sbin" {
			out = append(out, p)
		}
	}
	return out
}

// named returns the ELF files of a name, wherever they are.
func (o *objects) named(base string) []string {
	var out []string
	for _, p := range o.all {
		if path.Base(p) == base {
			out = append(out, p)
		}
	}
	return out
}

// isSharedObject reports whether a name is one of a shared object or of a
// module of Node.
func isSharedObject(base string) bool {
	return strings.HasSuffix(base, ".so") || strings.Contains(base, ".so.") || strings.HasSuffix(base, ".node")
}

// objectsIn returns the shared objects that lie in a folder. Where programs lie
// there are none: bin/ld.so is ld.so.
func (o *objects) objectsIn(dir string) []string {
	if base := path.Base(dir); base == "bin" || base == "sbin" {
		return nil
	}
	real, err := o.files.Resolve(dir)
	if err != nil {
		return nil
	}
	entries, err := o.files.ReadDir(real)
	if err != nil {
		return nil
	}
	var out []string
	for _, e := range entries {
		if isSharedObject(e.Name()) {
			out = append(out, path.Join(real, e.Name()))
		}
	}
	slices.Sort(out)
	return out
}
