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

// sharedObjects returns all files that are named like shared objects.
func (o *objects) sharedObjects() []string {
	var out []string
	for _, p := range o.all {
		if isSharedObject(path.Base(p)) {
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

// maxInFolder bounds how many modules are taken of a folder.
const maxInFolder = 4096

// objectsIn returns the shared objects that lie in a folder.
func (o *objects) objectsIn(dir string) []string {
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
		if isSharedObject(e.Name()) && len(out) < maxInFolder {
			out = append(out, path.Join(real, e.Name()))
		}
	}
	slices.Sort(out)
	return out
}
