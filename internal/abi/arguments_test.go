package abi

import (
	"testing"

	"golang.org/x/sys/unix"
)

// What is recorded must be of calls that exist, of arguments that a call can
// have, and of bits that decide something.
func TestArguments(t *testing.T) {
	for name, args := range arguments {
		_, native := X8664.Number(name)
		_, compat := X86.Number(name)
		if !native && !compat {
			t.Errorf("%s: no kernel has it", name)
		}
		for i, a := range args {
			if a.Index > 2 || a.Mask == 0 || i > 0 && a.Index <= args[i-1].Index {
				t.Errorf("%s: argument %d with mask %#x; recorders look at bits of the first three, in order", name, a.Index, a.Mask)
			}
		}
		if got := X8664.Arguments(name); len(got) != len(args) {
			t.Errorf("%s: %d arguments on x86_64, want %d", name, len(got), len(args))
		}
	}
	if X86.Arguments("mmap") != nil || X86.Arguments("mmap2") == nil || X8664.Arguments("read") != nil {
		t.Error("want arguments of mmap2 on x86, and none of its mmap, nor of read anywhere")
	}
	if protWX != unix.PROT_WRITE|unix.PROT_EXEC {
		t.Errorf("PROT_WRITE|PROT_EXEC is %#x", protWX)
	}
}
