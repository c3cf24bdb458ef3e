//go:build linux && (amd64 || arm64)

package usernotif

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

// Whatever a program's bytes say, to look for its interpreter ends, and gives a
// name that a path can be.
func FuzzELFInterpreter(f *testing.F) {
	sh, err := os.ReadFile("/bin/sh")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sh[:min(len(sh), 8192)])
	f.Add([]byte("\x7fELF"))
	f.Add(bytes.Repeat([]byte("\x7fELF\x02\xff"), 20))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if name := elfInterpreter(bytes.NewReader(raw)); strings.Contains(name, "\x00") || len(name) > pathMax {
			t.Errorf("interpreter %q", name)
		}
	})
}

func TestELFInterpreter(t *testing.T) {
	sh, err := os.ReadFile("/bin/sh")
	if err != nil {
		t.Fatal(err)
	}
	if name := elfInterpreter(bytes.NewReader(sh)); !strings.HasPrefix(name, "/lib") {
		t.Errorf("the interpreter of /bin/sh is %q", name)
	}
}

// A status is the kernel's, but its names are the workload's.
func FuzzStatus(f *testing.F) {
	raw, err := os.ReadFile("/proc/self/status")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte("Uid:\t1\nNStgid:\nGroups:\t\nSeccomp:\t2\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if s := parseStatus(raw); s.filters < 0 && !bytes.Contains(raw, []byte("-")) {
			t.Errorf("%+v", s)
		}
	})
}
