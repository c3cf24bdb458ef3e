package link

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"path"
	"slices"
	"strings"
)

// folder is where to look.
type folder struct {
	path  string
	maybe bool // or perhaps not: the search goes on
}

// folders are where an object's own and the user's say is to look first:
// RPATH of it and of who brought it in, LD_LIBRARY_PATH, RUNPATH.
func (p *Program) folders(from *Object) []folder {
	var out []folder
	if d := from.File.Dynamic; len(d.RunPath) == 0 || p.musl {
		for o, n := from, 0; o != nil && n < maxObjects; o, n = p.needers[o], n+1 {
			for _, dir := range o.File.Dynamic.RPath {
				out = append(out, folder{p.expand(o, dir), false})
			}
		}
	}
	out = append(out, p.env...)
	for _, dir := range from.File.Dynamic.RunPath {
		out = append(out, folder{p.expand(from, dir), false})
	}
	return out
}

// standard are the folders where every program looks.
func (p *Program) standard() []string {
	arch := "x86_64"
	if p.Exe.File.Machine == elf.EM_AARCH64 {
		arch = "aarch64"
	}
	if p.musl {
		name := strings.TrimSuffix(path.Base(p.Exe.File.Interp), ".so.1")
		if b, err := p.linker.files.Contents("etc/" + name + ".path"); err == nil {
			return split(string(b), ":\n")
		}
		return []string{"lib", "usr/local/lib", "usr/lib"}
	}
	return append(slices.Clip(p.linker.conf()), "lib/"+arch+"-linux-gnu", "usr/lib/"+arch+"-linux-gnu", "lib64", "usr/lib64", "lib", "usr/lib")
}

// expand replaces the tokens of ld.so(8), "Dynamic string tokens".
func (p *Program) expand(o *Object, s string) string {
	if !strings.Contains(s, "$") {
		return s
	}
	lib, platform := "lib/x86_64-linux-gnu", "x86_64"
	if o.File.Machine == elf.EM_AARCH64 {
		lib, platform = "lib/aarch64-linux-gnu", "aarch64"
	}
	return strings.NewReplacer(
		"${ORIGIN}", "/"+path.Dir(o.Path), "$ORIGIN", "/"+path.Dir(o.Path),
		"${LIB}", lib, "$LIB", lib, "${PLATFORM}", platform, "$PLATFORM", platform,
	).Replace(s)
}

// Limits of the configuration: real ones stay far below.
const (
	maxCacheEntries = 1 << 17
	maxIncludes     = 64
)

// readCache reads ld.so.cache: ldconfig(8), glibc's sysdeps/generic/dl-cache.h
// describes it. A cache that cannot be read is none, as for ld.so.
func (l *Linker) readCache() map[string][]string {
	b, err := l.files.Contents("etc/ld.so.cache")
	if err != nil {
		return nil
	}
	const magic = "glibc-ld.so.cache1.1"
	i := bytes.Index(b, []byte(magic)) // an old format may come before it
	if i < 0 {
		return nil
	}
	return parseCache(b[i:])
}

func parseCache(b []byte) map[string][]string {
	const header, entry = 48, 24
	if len(b) < header {
		return nil
	}
	n := int64(binary.LittleEndian.Uint32(b[20:]))
	if n > maxCacheEntries || header+n*entry > int64(len(b)) {
		return nil
	}
	text := func(off uint32) string {
		if int64(off) >= int64(len(b)) {
			return ""
		}
		s := b[off:]
		if i := bytes.IndexByte(s[:min(len(s), 4096)], 0); i >= 0 {
			return string(s[:i])
		}
		return ""
	}
	out := map[string][]string{}
	for i := range n {
		e := b[header+i*entry:]
		name, file := text(binary.LittleEndian.Uint32(e[4:])), text(binary.LittleEndian.Uint32(e[8:]))
		if name != "" && file != "" {
			out[name] = append(out[name], file)
		}
	}
	return out
}

// readConf reads the folders of ld.so.conf. ld.so itself does not, but an image
// whose cache was not made yet has nothing better.
func (l *Linker) readConf() []string {
	var out []string
	todo := []string{"etc/ld.so.conf"}
	for n := 0; len(todo) > 0 && n < maxIncludes; n++ {
		b, err := l.files.Contents(todo[0])
		todo = todo[1:]
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(b)) {
			line, _, _ = strings.Cut(line, "#")
			words := strings.Fields(line)
			switch {
			case len(words) > 1 && words[0] == "include":
				for _, w := range words[1:] {
					todo = append(todo, l.glob(w)...)
				}
			case len(words) > 0 && words[0] != "hwcap":
				out = append(out, split(line, ": \t,\n")...)
			}
		}
	}
	return out
}

// glob returns the files that a pattern, with wildcards in its last part only,
// means; sorted.
func (l *Linker) glob(pattern string) []string {
	if !path.IsAbs(pattern) {
		pattern = path.Join("/etc", pattern)
	}
	dir, last := path.Split(strings.TrimPrefix(pattern, "/"))
	entries, err := l.files.ReadDir(path.Clean(dir))
	if err != nil {
		return nil
	}
	var out []string
	for _, e := range entries {
		if ok, _ := path.Match(last, e.Name()); ok {
			out = append(out, path.Join(dir, e.Name()))
		}
	}
	return out
}
