package link_test

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/profgen/profgen/internal/elfx"
	"github.com/profgen/profgen/internal/image"
	"github.com/profgen/profgen/internal/scan/link"
)

func host(t *testing.T) *link.Linker {
	t.Helper()
	files, err := image.FolderFiles("/")
	if err != nil {
		t.Fatal(err)
	}
	return link.New(files)
}

func paths(p *link.Program) []string {
	var out []string
	for _, o := range p.Objects {
		out = append(out, "/"+o.Path)
	}
	slices.Sort(out)
	return out
}

var loaded = regexp.MustCompile(`(?m)^\s*(?:\S+ => )?(/\S+) \(0x`)

// ld.so itself says what it would load.
func TestLoadAsLdSo(t *testing.T) {
	l := host(t)
	for _, bin := range []string{"/usr/bin/ls", "/usr/bin/bash", "/usr/bin/git", "/usr/bin/perl", "/usr/bin/curl", "/usr/bin/redis-server", "/usr/bin/strace", "/usr/bin/apt-get"} {
		real, err := filepath.EvalSymlinks(bin)
		if err != nil {
			continue // not every machine has them all
		}
		cmd := exec.Command(real)
		cmd.Env = append(os.Environ(), "LD_TRACE_LOADED_OBJECTS=1")
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v", bin, err)
		}
		want := []string{real}
		for _, m := range loaded.FindAllSubmatch(out, -1) {
			p, err := filepath.EvalSymlinks(string(m[1]))
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, p)
		}
		slices.Sort(want)
		p, err := l.Load(bin, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := paths(p); !slices.Equal(got, slices.Compact(want)) || len(p.Missing) > 0 {
			t.Errorf("%s:\n got %v, missing %v\nwant %v", bin, got, p.Missing, want)
		}
	}
}

var binding = regexp.MustCompile("binding file (\\S+) \\[0\\] to (\\S+) \\[0\\]: normal symbol `([^']+)'(?: \\[([^\\]]+)\\])?")

// And to what it binds symbols.
func TestBindAsLdSo(t *testing.T) {
	l := host(t)
	for _, argv := range [][]string{{"/usr/bin/ls", "--version"}, {"/usr/bin/bash", "--version"}, {"/usr/bin/redis-server", "--version"}, {"/usr/bin/strace", "-V"}} {
		real, err := filepath.EvalSymlinks(argv[0])
		if err != nil {
			continue
		}
		cmd := exec.Command(real, argv[1:]...)
		cmd.Env = append(os.Environ(), "LD_DEBUG=bindings", "LD_BIND_NOW=1")
		out, _ := cmd.CombinedOutput()
		p, err := l.Load(real, nil)
		if err != nil {
			t.Fatal(err)
		}
		byPath := map[string]*link.Object{}
		for _, o := range p.Objects {
			byPath["/"+o.Path] = o
		}
		n := 0
		for _, m := range binding.FindAllSubmatch(out, -1) {
			from, okFrom := byPath[resolve(string(m[1]))]
			to, okTo := byPath[resolve(string(m[2]))]
			if !okFrom || !okTo {
				continue // loaded by dlopen
			}
			if to != from && copied(from, string(m[3])) {
				continue // where its data comes from, not where it is
			}
			n++
			if err := bound(p, from, to, string(m[3]), string(m[4])); err != "" {
				t.Errorf("%s: %s of %s: %s", argv[0], m[3], from.Path, err)
			}
		}
		if n < 50 {
			t.Errorf("%s: only %d bindings seen", argv[0], n)
		}
		t.Logf("%s: %d bindings are ld.so's", argv[0], n)
	}
}

// copied reports whether an object has a place of its own for data that ld.so
// copies from another one.
func copied(o *link.Object, name string) bool {
	return slices.ContainsFunc(o.File.Relocs, func(r elfx.Reloc) bool {
		return r.Type == uint32(elf.R_X86_64_COPY) && o.File.Symbols[r.Symbol].Name == name
	})
}

func resolve(p string) string {
	if real, err := filepath.EvalSymlinks(p); err == nil {
		return real
	}
	return p
}

// bound says how Bind differs from a binding that ld.so made; "" if it does not.
func bound(p *link.Program, from, to *link.Object, name, version string) string {
	for i := range from.File.Symbols {
		s := &from.File.Symbols[i]
		if s.Name != name || s.Version != version || s.Bind == elf.STB_LOCAL {
			continue
		}
		defs, _ := p.Bind(from, s)
		switch {
		case len(defs) == 0:
			return "bound to nothing, want " + to.Path
		case len(defs) > 1 || defs[0].Object != to:
			return "bound to " + defs[0].Object.Path + ", want " + to.Path
		}
		return ""
	}
	return "" // asked for by name, as ld.so does for its own malloc
}

// RUNPATH, $ORIGIN, preloading, and a library that is not there.
func TestSearch(t *testing.T) {
	dir := t.TempDir()
	build := func(out, source string, args ...string) {
		t.Helper()
		src := filepath.Join(dir, out+".c")
		if err := os.WriteFile(src, []byte(source), 0o600); err != nil {
			t.Fatal(err)
		}
		os.MkdirAll(filepath.Dir(filepath.Join(dir, out)), 0o755)
		cmd := exec.Command("gcc", append([]string{"-o", out, out + ".c"}, args...)...)
		cmd.Dir = dir
		if b, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, b)
		}
	}
	os.Mkdir(filepath.Join(dir, "lib"), 0o755)
	build("lib/liba.so", "int a(void) { return 1; }", "-shared", "-fPIC")
	build("lib/libb.so", "int a(void) { return 2; }", "-shared", "-fPIC")
	build("lib/libgone.so", "int gone(void) { return 2; }", "-shared", "-fPIC")
	build("main", "int a(void); int gone(void); int main(void) { return a() + gone(); }", "-Llib", "-la", "-lgone", "-Wl,-rpath,$ORIGIN/lib")
	os.Remove(filepath.Join(dir, "lib/libgone.so"))
	p, err := host(t).Load(filepath.Join(dir, "main"), []string{"LD_PRELOAD=" + dir + "/lib/libb.so"})
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Missing) != 1 || p.Missing[0].Needed != "libgone.so" {
		t.Errorf("missing %v, want libgone.so", p.Missing)
	}
	if got := filepath.Base(p.Objects[1].Path); got != "libb.so" {
		t.Errorf("%s is looked up first, want what is preloaded", got)
	}
	defs := p.BindName("a")
	if len(defs) != 2 || filepath.Base(defs[0].Object.Path) != "libb.so" || filepath.Base(defs[1].Object.Path) != "liba.so" {
		t.Errorf("a is defined by %v", defs)
	}
}
