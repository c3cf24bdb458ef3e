package elfx_test

import (
	"debug/elf"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/profgen/profgen/internal/elfx"
)

const source = `#include <stdio.h>
static int counter(void) { static int n; return ++n; }
int (*volatile pointer)(void) = counter;
int main(void) { return printf("%d\n", pointer()); }
`

// build compiles a small program.
func build(tb testing.TB, args ...string) []byte {
	tb.Helper()
	dir := tb.TempDir()
	src, out := filepath.Join(dir, "a.c"), filepath.Join(dir, "a")
	if err := os.WriteFile(src, []byte(source), 0o600); err != nil {
		tb.Fatal(err)
	}
	if b, err := exec.Command("gcc", append(args, "-O1", "-s", "-Wl,--build-id=sha1", "-o", out, src)...).CombinedOutput(); err != nil {
		tb.Fatalf("gcc %v: %v\n%s", args, err, b)
	}
	data, err := os.ReadFile(out)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func TestParse(t *testing.T) {
	f, err := elfx.Parse(build(t))
	if err != nil {
		t.Fatal(err)
	}
	if f.Type != elf.ET_DYN || f.Interp != "/lib64/ld-linux-x86-64.so.2" || len(f.BuildID) != 40 || !slices.Equal(f.Dynamic.Needed, []string{"libc.so.6"}) {
		t.Errorf("%v, interpreter %q, build ID %q, needs %v", f.Ident, f.Interp, f.BuildID, f.Dynamic.Needed)
	}
	i := slices.IndexFunc(f.Symbols, func(s elfx.Symbol) bool { return s.Name == "printf" || s.Name == "__printf_chk" })
	if i < 0 || f.Symbols[i].Defined || f.Symbols[i].Version == "" || f.Symbols[i].Library != "libc.so.6" {
		t.Errorf("printf is not an undefined symbol with a version: %+v", f.Symbols)
	}
	if len(f.Functions) < 3 {
		t.Errorf("functions %v: want main, counter and the _start", f.Functions)
	}
}

// Without section headers the same functions are found.
func TestWithoutSections(t *testing.T) {
	data := build(t)
	whole, err := elfx.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	bare := slices.Clone(data)
	clear(bare[40:48]) // e_shoff
	clear(bare[58:64]) // e_shentsize, e_shnum, e_shstrndx
	f, err := elfx.Parse(bare)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range whole.Functions {
		if want.Source != elfx.FDE {
			continue
		}
		if !slices.ContainsFunc(f.Functions, func(g elfx.Function) bool { return g.Start == want.Start }) {
			t.Errorf("function at %#x is lost", want.Start)
		}
	}
	if len(f.Relocs) != len(whole.Relocs) || len(f.Symbols) != len(whole.Symbols) {
		t.Errorf("%d relocations and %d symbols, want %d and %d", len(f.Relocs), len(f.Symbols), len(whole.Relocs), len(whole.Symbols))
	}
}

// Packed relative relocations are the same relocations.
func TestRELR(t *testing.T) {
	relative := func(f *elfx.File) []uint64 {
		var out []uint64
		for _, r := range f.Relocs {
			if r.Type == uint32(elf.R_X86_64_RELATIVE) {
				out = append(out, uint64(r.Addend))
			}
		}
		slices.Sort(out)
		return out
	}
	plain, err := elfx.Parse(build(t))
	if err != nil {
		t.Fatal(err)
	}
	packed, err := elfx.Parse(build(t, "-Wl,-z,pack-relative-relocs"))
	if err != nil {
		t.Fatal(err)
	}
	if a, b := relative(plain), relative(packed); len(a) == 0 || len(a) != len(b) {
		t.Errorf("%x, packed %x", a, b)
	}
}

// A file that is cut short is an error or, where nothing that matters is
// missing, the same file; never a panic.
func TestTruncated(t *testing.T) {
	data := build(t, "-static")
	for n := 0; n < len(data); n += 1 + n/64 {
		if _, err := elfx.Parse(data[:n]); err == nil && n < len(data)/2 {
			t.Errorf("%d of %d bytes: accepted", n, len(data))
		}
	}
}

func TestUnsupported(t *testing.T) {
	data := build(t)
	for at, value := range map[int]byte{4: 1, 5: 2, 16: 1, 18: 3} {
		bad := slices.Clone(data)
		bad[at] = value
		if _, err := elfx.Parse(bad); !errors.Is(err, elfx.ErrUnsupported) {
			t.Errorf("byte %d is %d: %v", at, value, err)
		}
	}
	if _, err := elfx.Parse([]byte("#!/bin/sh\n")); !errors.Is(err, elfx.ErrUnsupported) {
		t.Errorf("a script: %v", err)
	}
}

// FuzzParse: whatever a file holds, reading it ends, and what it gives hangs
// together.
func FuzzParse(f *testing.F) {
	f.Add(build(f))
	f.Add(build(f, "-no-pie", "-Wl,-z,noseparate-code"))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := elfx.Parse(data)
		outline, outlineErr := elfx.Outline(data)
		if err != nil {
			return
		}
		if outlineErr != nil || !slices.Equal(outline.Symbols, file.Symbols) || !slices.Equal(outline.Dynamic.Needed, file.Dynamic.Needed) {
			t.Fatalf("the outline is of another file: %v", outlineErr)
		}
		end := uint64(0)
		for _, fn := range file.Functions {
			if fn.End <= fn.Start || fn.Start < end {
				t.Fatalf("functions overlap or are empty: %+v", fn)
			}
			end = fn.End
			if file.Bytes(fn.Start, int(fn.End-fn.Start)) == nil {
				t.Fatalf("no bytes of the function at %#x", fn.Start)
			}
			file.FunctionName(fn.Start)
		}
		for _, s := range file.Sections {
			if uint64(len(s.Data)) > s.Size {
				t.Fatalf("section %s has more bytes than its size", s.Name)
			}
			file.CString(s.Addr)
		}
	})
}
