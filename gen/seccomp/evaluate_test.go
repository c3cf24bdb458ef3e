package seccomp_test

import (
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/profgen/profgen/gen/seccomp"
	"github.com/profgen/profgen/internal/abi"
)

// internal/scmp compares every system call with libseccomp; this is the part
// that can be read.
func TestEvaluate(t *testing.T) {
	s, err := seccomp.Spec(web())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		arch   abi.Arch
		name   string
		args   [6]uint64
		action specs.LinuxSeccompAction
		errno  uint
	}{
		{abi.X8664, "write", [6]uint64{1}, specs.ActAllow, 0},
		{abi.X8664, "reboot", [6]uint64{}, specs.ActErrno, 1},
		{abi.X8664, "read", [6]uint64{}, specs.ActErrno, 38},
		{abi.X8664, "clone", [6]uint64{1 << 28}, specs.ActAllow, 0},
		{abi.X8664, "socket", [6]uint64{2}, specs.ActAllow, 0},
		{abi.X8664, "socket", [6]uint64{0xffffffff_00000002}, specs.ActAllow, 0},
		{abi.X8664, "socket", [6]uint64{38}, specs.ActErrno, 38},
		{abi.X8664, "socket", [6]uint64{0x1_0000_0026}, specs.ActErrno, 38},
		{abi.X8664, "mmap", [6]uint64{0, 0, 3, 0x22}, specs.ActAllow, 0},
		{abi.X8664, "mmap", [6]uint64{0, 0, 7, 0x22}, specs.ActErrno, 38},
		{abi.X8664, "mmap", [6]uint64{0, 0, 3, 1}, specs.ActErrno, 38},
		{abi.X86, "socket", [6]uint64{38}, specs.ActErrno, 38},
		{abi.X86, "socketcall", [6]uint64{1}, specs.ActAllow, 0}, // the family is in memory
		{abi.X86, "socketcall", [6]uint64{2}, specs.ActErrno, 38},
		{abi.X32, "write", [6]uint64{1}, specs.ActKill, 0}, // not listed
		{abi.ARM, "write", [6]uint64{1}, specs.ActKill, 0},
		{abi.AArch64, "write", [6]uint64{1}, specs.ActAllow, 0}, // its kernel's native ABI
	} {
		nr, ok := c.arch.Number(c.name)
		if !ok {
			t.Fatalf("%s has no %s", c.arch, c.name)
		}
		if action, errno := seccomp.Evaluate(s, c.arch, nr, c.args); action != c.action || errno != c.errno {
			t.Errorf("%s %s(%#x): got %s %d, want %s %d", c.arch, c.name, c.args, action, errno, c.action, c.errno)
		}
	}
	if action, _ := seccomp.Evaluate(s, "vax", 1, [6]uint64{}); action != specs.ActKill {
		t.Errorf("vax: got %s", action)
	}
	if action, errno := seccomp.Evaluate(s, abi.X8664, 5000, [6]uint64{}); action != specs.ActErrno || errno != 38 {
		t.Errorf("5000: got %s %d, want ENOSYS", action, errno)
	}
}
