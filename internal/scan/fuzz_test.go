package scan_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"testing/fstest"
	"time"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/scan"
	"github.com/profgen/profgen/internal/scan/program"
)

// memory is an image of a few files, in memory.
type memory struct{ fstest.MapFS }

func (m memory) Resolve(name string) (string, error) {
	if _, err := fs.Stat(m.MapFS, name); err != nil {
		return "", err
	}
	return name, nil
}

func (m memory) Contents(name string) ([]byte, error)       { return fs.ReadFile(m.MapFS, name) }
func (m memory) ReadDir(name string) ([]fs.DirEntry, error) { return fs.ReadDir(m.MapFS, name) }

// What a scan of a few kilobytes may take, however they are put together. The
// time is for a busy machine.
const (
	mostTime   = 20 * time.Second
	mostMemory = 1 << 30
)

// FuzzScan: whatever the files of an image hold, a scan ends in good time, and
// gives either an error or facts, never nothing.
func FuzzScan(f *testing.F) {
	for _, s := range seeds(f) {
		f.Add(s.exe, s.lib)
	}
	f.Add([]byte("#!/bin/prog2 -x\nexec \"$@\"\n"), []byte("#!/prog\n"))
	f.Fuzz(func(t *testing.T, exe, lib []byte) {
		if len(exe)+len(lib) > 1<<17 {
			t.Skip("more than the limits of this test are for")
		}
		files := memory{fstest.MapFS{}}
		for _, name := range []string{"prog", "bin/prog2"} {
			files.MapFS[name] = &fstest.MapFile{Data: exe, Mode: 0o755}
		}
		for _, name := range []string{"lib64/ld-linux-x86-64.so.2", "lib/ld-linux-aarch64.so.1", "lib/libseed.so", "etc/nsswitch.conf"} {
			files.MapFS[name] = &fstest.MapFile{Data: lib, Mode: 0o755}
		}
		scanWithin(t, files)
	})
}

func scanWithin(t *testing.T, files memory) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), 2*mostTime)
	defer cancel()
	set, err := scan.Run(ctx, scan.Options{
		Files: files, Config: program.Config{Entrypoint: []string{"/prog"}},
		Objects: []string{"prog", "lib/libseed.so"}, Privileged: []string{},
	})
	if took := time.Since(start); took > mostTime {
		t.Errorf("took %v", took)
	}
	if runtime.ReadMemStats(&after); after.TotalAlloc-before.TotalAlloc > mostMemory {
		t.Errorf("allocated %d MiB", (after.TotalAlloc-before.TotalAlloc)>>20)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("did not end")
	}
	calls := 0
	for _, f := range set.Facts {
		if _, ok := f.(evidence.Syscall); ok {
			calls++
		}
	}
	if err == nil && calls == 0 {
		t.Errorf("no error and no system call: %+v", set)
	}
}

// seed is a program and the object that it is linked with.
type seed struct{ exe, lib []byte }

// seeds are small programs of all kinds, one of each machine at least.
func seeds(f *testing.F) []seed {
	f.Helper()
	dir := f.TempDir()
	x86 := seedOf(f, dir, "gcc", nil, "-mno-sse")
	out := []seed{x86, seedOf(f, dir, "gcc", []string{"-no-pie", "-Wl,-z,noseparate-code"}), {x86.lib, x86.exe}}
	if _, err := exec.LookPath("aarch64-linux-gnu-gcc"); err == nil {
		out = append(out, seedOf(f, dir, "aarch64-linux-gnu-gcc", nil))
	}
	return out
}

// seedOf builds a program that uses what the analysis follows: wrappers, tables
// of functions, jump tables, strings given to dlopen and exec.
func seedOf(f *testing.F, dir, compiler string, flags []string, more ...string) seed {
	f.Helper()
	build := func(out string, args ...string) []byte {
		args = append(append(args, more...), "-O2", "-nostdlib", "-Wl,--build-id=none", "-Wl,-z,max-page-size=4096", "-o", filepath.Join(dir, out))
		if b, err := exec.Command(compiler, args...).CombinedOutput(); err != nil {
			f.Fatalf("%s %v: %v\n%s", compiler, args, err, b)
		}
		data, err := os.ReadFile(filepath.Join(dir, out))
		if err != nil {
			f.Fatal(err)
		}
		return data
	}
	lib := build("libseed.so", "-shared", "-fPIC", "testdata/seedlib.c")
	args := append([]string{"testdata/seed.c", filepath.Join(dir, "libseed.so"), "-Wl,--dynamic-linker=/lib/libseed.so"}, flags...)
	return seed{build("seed", args...), lib}
}
