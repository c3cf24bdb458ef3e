package link_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/profgen/profgen/internal/scan/link"
)

type memory struct{ fstest.MapFS }

func (m memory) Resolve(name string) (string, error) {
	if _, err := fs.Stat(m.MapFS, name); err != nil {
		return "", err
	}
	return name, nil
}

func (m memory) Contents(name string) ([]byte, error)       { return fs.ReadFile(m.MapFS, name) }
func (m memory) ReadDir(name string) ([]fs.DirEntry, error) { return fs.ReadDir(m.MapFS, name) }

// FuzzLoad: whatever an object, ld.so.cache, ld.so.conf and the environment
// hold, linking ends, and every symbol is bound to a definition or to none.
func FuzzLoad(f *testing.F) {
	lib := compile(f, "int a(void) { return 1; } int a2 = 3;", "-shared", "-fPIC", "-nostdlib", "-Wl,-soname,liba.so,-rpath,$ORIGIN/../lib")
	exe := compile(f, "extern int a2; int a(void); int _start(void) { return a() + a2; }", "-nostdlib", "-Wl,--unresolved-symbols=ignore-all,--dynamic-linker=/lib/ld-musl-x86_64.so.1")
	f.Add(exe, lib, []byte("ld.so-1.7.0\x00\x00"), "include /etc/ld.so.conf\n/usr/lib # x\n", "LD_PRELOAD=liba.so:/lib/liba.so")
	f.Add(lib, exe, []byte("glibc-ld.so.cache1.1\x01\x00\x00\x00"), "include /etc/*.conf\n", "LD_LIBRARY_PATH=$LIB:${ORIGIN}")
	f.Fuzz(func(t *testing.T, exe, lib, cache []byte, conf, env string) {
		files := memory{fstest.MapFS{}}
		for name, data := range map[string][]byte{
			"bin/exe": exe, "lib/liba.so": lib, "lib/ld-musl-x86_64.so.1": lib, "usr/lib/libb.so": exe,
			"etc/ld.so.cache": cache, "etc/ld.so.conf": []byte(conf), "etc/more.conf": []byte(conf),
		} {
			files.MapFS[name] = &fstest.MapFile{Data: data, Mode: 0o755}
		}
		p, err := link.New(files).Load("bin/exe", []string{env})
		if err != nil {
			return
		}
		p.Open(p.Exe, "liba.so")
		for _, o := range p.Objects {
			for i := range o.File.Symbols {
				s := &o.File.Symbols[i]
				defs, _ := p.Bind(o, s)
				for _, d := range defs {
					if !d.Symbol.Defined || d.Symbol.Name != s.Name {
						t.Errorf("%s: %+v is bound to %+v", o.Path, s, d.Symbol)
					}
				}
			}
		}
	})
}

// compile builds a small object.
func compile(f *testing.F, source string, args ...string) []byte {
	f.Helper()
	dir := f.TempDir()
	src, out := filepath.Join(dir, "a.c"), filepath.Join(dir, "a")
	if err := os.WriteFile(src, []byte(source), 0o600); err != nil {
		f.Fatal(err)
	}
	if b, err := exec.Command("gcc", append(args, "-O1", "-s", "-o", out, src)...).CombinedOutput(); err != nil {
		f.Fatalf("gcc %v: %v\n%s", args, err, b)
	}
	data, err := os.ReadFile(out)
	if err != nil {
		f.Fatal(err)
	}
	return data
}
