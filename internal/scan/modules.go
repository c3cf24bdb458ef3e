package scan

import (
	"bytes"
	"errors"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/profgen/profgen/internal/elfx"
	"github.com/profgen/profgen/internal/scan/link"
)

// modulesFor returns the shared objects of the image that look like modules of
// an object: they need symbols that only it has, or they need it and lie where
// no linker looks, or its strings name them or their folder, or they lie in the
// folder of one that is. Sorted.
func (a *analysis) modulesFor(o *link.Object) []string {
	found := map[string]bool{}
	for _, p := range a.mentioned(o) {
		found[p] = true
	}
	shared := a.image.sharedObjects()
	each(len(shared), func(i int) { a.linker.Outline(shared[i]) })
	for _, p := range shared {
		if found[p] || a.link.Has(p) {
			continue
		}
		if !a.fits(p) {
			continue
		}
		// One that cannot be read may be a module too, where it lies beside others.
		if m, err := a.linker.Outline(p); err == nil && a.needs(p, m, o) {
			found[p] = true
		}
	}
	out := slices.Collect(maps.Keys(found))
	for _, p := range out {
		if standardFolder(p) {
			continue
		}
		for _, beside := range a.image.objectsIn(path.Dir(p)) {
			if !found[beside] && a.fits(beside) {
				found[beside] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// fits reports whether the program can load an object that it does not have.
func (a *analysis) fits(p string) bool {
	m, err := a.linker.Outline(p)
	return err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, elfx.ErrUnsupported) ||
		err == nil && m.Machine == a.link.Exe.File.Machine && m.Interp == "" && !a.link.Has(p)
}

// generic are symbols that every object may define.
var generic = map[string]bool{"_init": true, "_fini": true, "_start": true, "main": true, "_edata": true, "_end": true, "__bss_start": true, "__data_start": true, "data_start": true, "_IO_stdin_used": true}

// needs reports whether m, which is at a path, is a module of o: it needs o
// itself, or a symbol that nothing else in the program has.
func (a *analysis) needs(at string, m *link.Outline, o *link.Object) bool {
	if soname := o.File.Dynamic.Soname; soname != "" && !isLibC(o) && slices.Contains(m.Needed, soname) && !standardFolder(at) {
		return true
	}
	return slices.ContainsFunc(m.Undefined, func(name string) bool { return !generic[name] && a.link.Alone(o, name) })
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
	for _, s := range a.texts(o.File) {
		switch {
		case strings.HasPrefix(s, "/") && !standardFolder(strings.TrimPrefix(s, "/")+"/x") && len(s) > 5:
			out = append(out, a.image.objectsIn(strings.Trim(s, "/"))...)
		case strings.Contains(s, ".so") && !strings.Contains(s, "%") && !strings.Contains(s, " "):
			if m, ok := a.link.Search(o, s); ok {
				if !a.link.Has(m.Path) {
					out = append(out, m.Path)
				}
				continue
			}
			for _, p := range a.image.named(path.Base(s)) { // where it is, the program puts together
				if a.fits(p) {
					out = append(out, p)
				}
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// maxText bounds the strings that are looked at.
const maxText = 512

// texts is texts, once for all programs.
func (s *scan) texts(f *elfx.File) []string {
	if _, ok := s.said[f]; !ok {
		s.said[f] = texts(f)
	}
	return s.said[f]
}

// texts returns the strings of an object that can be a path of a shared object
// or of a folder.
func texts(f *elfx.File) []string {
	var out []string
	for i := range f.Sections {
		s := &f.Sections[i]
		if !s.Exec && (strings.HasPrefix(s.Name, ".rodata") || strings.HasPrefix(s.Name, ".data")) {
			out = append(out, paths(s.Data)...)
		}
	}
	return out
}

// paths returns the strings in data that begin with a slash or have ".so" in them,
// in order. There are few among megabytes of others, which are never looked at one
// by one.
func paths(data []byte) []string {
	var out []string
	slash, so := rooted(data, 0), after(data, 0, ".so")
	for at := min(slash, so); at < len(data); at = min(slash, so) {
		start, end := bytes.LastIndexByte(data[:at], 0)+1, after(data, at, "\x00")
		if slash < end {
			slash = rooted(data, end)
		}
		if so < end {
			so = after(data, end, ".so")
		}
		t := data[start:end]
		if len(t) >= 4 && len(t) <= maxText && !bytes.ContainsFunc(t, func(r rune) bool { return r < ' ' || r > '~' }) {
			out = append(out, string(t))
		}
	}
	return out
}

// rooted is where the first string behind at begins that has a slash in front;
// the length of data if there is none.
func rooted(data []byte, at int) int {
	for at = after(data, at, "/"); at < len(data) && at > 0 && data[at-1] != 0; {
		at = after(data, at+1, "/")
	}
	return at
}

// after is the first index of s in data at or behind at; the length of data if
// there is none.
func after(data []byte, at int, s string) int {
	if at < len(data) {
		if i := bytes.Index(data[at:], []byte(s)); i >= 0 {
			return at + i
		}
	}
	return len(data)
}
