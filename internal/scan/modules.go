package scan

import (
	"bytes"
	"path"
	"slices"
	"strings"

	"github.com/profgen/profgen/internal/elfx"
	"github.com/profgen/profgen/internal/scan/link"
)

// modulesFor returns the shared objects of the image that look like modules of
// an object: they need symbols that only it has, or they need it and lie where
// no linker looks, or its strings name them or their folder. Sorted.
func (a *analysis) modulesFor(o *link.Object) []string {
	found := map[string]bool{}
	for _, p := range a.mentioned(o) {
		found[p] = true
	}
	own := a.exports(o)
	shared := a.image.sharedObjects()
	each(len(shared), func(i int) { a.linker.Object(shared[i]) })
	for _, p := range shared {
		if found[p] || a.link.Has(p) {
			continue
		}
		m, err := a.linker.Object(p)
		if err != nil || m.File.Machine != o.File.Machine || m.File.Interp != "" {
			continue
		}
		if a.needs(m, o, own) {
			found[p] = true
		}
	}
	out := make([]string, 0, len(found))
	for p := range found {
		out = append(out, p)
	}
	slices.Sort(out)
	return out
}

// exports returns the names of the symbols that an object defines and nothing
// else in the program does.
func (a *analysis) exports(o *link.Object) map[string]bool {
	out := map[string]bool{}
	for _, s := range o.File.Symbols {
		if s.Defined && s.Name != "" && !generic[s.Name] {
			out[s.Name] = true
		}
	}
	for _, other := range a.link.Objects {
		if other == o {
			continue
		}
		for _, s := range other.File.Symbols {
			if s.Defined {
				delete(out, s.Name)
			}
		}
	}
	return out
}

// generic are symbols that every object may define.
var generic = map[string]bool{"_init": true, "_fini": true, "_start": true, "main": true, "_edata": true, "_end": true, "__bss_start": true, "__data_start": true, "data_start": true, "_IO_stdin_used": true}

// needs reports whether m is a module of o.
func (a *analysis) needs(m, o *link.Object, own map[string]bool) bool {
	if soname := o.File.Dynamic.Soname; soname != "" && !isLibC(o) && slices.Contains(m.File.Dynamic.Needed, soname) && !standardFolder(m.Path) {
		return true
	}
	for _, s := range m.File.Symbols {
		if !s.Defined && own[s.Name] {
			return true
		}
	}
	return false
}

// isLibC reports whether everything needs an object.
func isLibC(o *link.Object) bool {
	n := path.Base(o.Path)
	return strings.HasPrefix(n, "libc.") || strings.HasPrefix(n, "ld-") || strings.HasPrefix(n, "libpthread") || strings.HasPrefix(n, "libdl.") || strings.HasPrefix(n, "libm.")
}

// standardFolder reports whether the linker looks for libraries where p is.
func standardFolder(p string) bool {
	dir := path.Dir(p)
	if base := path.Base(dir); strings.HasSuffix(base, "-linux-gnu") || strings.HasSuffix(base, "-linux-musl") {
		dir = path.Dir(dir)
	}
	return slices.Contains([]string{"lib", "lib64", "usr/lib", "usr/lib64", "usr/local/lib"}, dir)
}

// mentioned returns the shared objects that strings of an object name: by file, or
// by the folder that they lie in. A program that puts the path together at run
// time has at least the folder.
func (a *analysis) mentioned(o *link.Object) []string {
	var out []string
	for _, s := range texts(o.File) {
		switch {
		case strings.HasPrefix(s, "/") && !standardFolder(strings.TrimPrefix(s, "/")+"/x") && len(s) > 5:
			out = append(out, a.image.objectsIn(strings.Trim(s, "/"))...)
		case strings.Contains(s, ".so") && !strings.Contains(s, "%") && !strings.Contains(s, " "):
			if m, ok := a.link.Search(o, s); ok && !a.link.Has(m.Path) {
				out = append(out, m.Path)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// maxText bounds the strings that are looked at.
const maxText = 512

// texts returns the strings of an object that can be a path of a shared object
// or of a folder.
func texts(f *elfx.File) []string {
	var out []string
	for i := range f.Sections {
		s := &f.Sections[i]
		if s.Exec || !strings.HasPrefix(s.Name, ".rodata") && !strings.HasPrefix(s.Name, ".data") {
			continue
		}
		for t := range bytes.SplitSeq(s.Data, []byte{0}) {
			if len(t) < 4 || len(t) > maxText || t[0] != '/' && !bytes.Contains(t, []byte(".so")) {
				continue
			}
			if bytes.ContainsFunc(t, func(r rune) bool { return r < ' ' || r > '~' }) {
				continue
			}
			out = append(out, string(t))
		}
	}
	return out
}
