// Package abi holds the facts about system call ABIs that every other package
// agrees on: one row an architecture, the number and name of every system call
// of each, and which capability a call may need.
//
// Numbers are meaningless without their architecture: 20 is writev on x86_64
// and getpid on x86. Nothing outside this package translates one without
// naming the other.
//
// The tables are generated (go generate) from the kernel headers as
// golang.org/x/sys/unix publishes them; internal/scmp tests that libseccomp
// agrees on every name it knows.
package abi

import (
	"fmt"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

//go:generate go run ./mktables -o zsyscalls.go

// Arch names a system call ABI, spelled as libseccomp spells it.
type Arch string

// The ABIs an x86-64 or arm64 Linux kernel can be entered through.
const (
	X8664   Arch = "x86_64"
	X86     Arch = "x86"
	X32     Arch = "x32"
	AArch64 Arch = "aarch64"
	ARM     Arch = "arm"
)

// X32Bit marks an x32 call in the number register: __X32_SYSCALL_BIT in the
// kernel's arch/x86/include/uapi/asm/unistd.h.
const X32Bit = 0x40000000

// Row is what is known of one ABI.
type Row struct {
	Arch   Arch
	SCMP   specs.Arch // the OCI and libseccomp constant
	Audit  uint32     // AUDIT_ARCH_*, include/uapi/linux/audit.h; x32 shares x86-64's
	GOARCH string     // "" where Go has no port
	Compat bool       // a second ABI of a 64-bit kernel, not its native one
	Native Arch       // the 64-bit ABI of the same kernel; itself if not Compat
}

var rows = [...]Row{
	{X8664, specs.ArchX86_64, 0xc000003e, "amd64", false, X8664},
	{X86, specs.ArchX86, 0x40000003, "386", true, X8664},
	{X32, specs.ArchX32, 0xc000003e, "", true, X8664},
	{AArch64, specs.ArchAARCH64, 0xc00000b7, "arm64", false, AArch64},
	{ARM, specs.ArchARM, 0x40000028, "arm", true, AArch64},
}

// Arches returns every known architecture, natives before their compat ABIs.
func Arches() []Arch {
	out := make([]Arch, 0, len(rows))
	for _, r := range rows {
		out = append(out, r.Arch)
	}
	return out
}

// Row returns the facts about a; false if a is not a known architecture.
func (a Arch) Row() (Row, bool) {
	i := slices.IndexFunc(rows[:], func(r Row) bool { return r.Arch == a })
	if i < 0 {
		return Row{}, false
	}
	return rows[i], true
}

// ByGOARCH returns the architecture of a Go port, as in an image's platform.
func ByGOARCH(goarch string) (Arch, error) {
	for _, r := range rows {
		if goarch != "" && r.GOARCH == goarch {
			return r.Arch, nil
		}
	}
	return "", fmt.Errorf("architecture %q: not one profgen knows (amd64, 386, arm64, arm)", goarch)
}

// BySCMP returns the architecture of an OCI constant such as SCMP_ARCH_X86_64.
func BySCMP(c specs.Arch) (Arch, bool) {
	for _, r := range rows {
		if r.SCMP == c {
			return r.Arch, true
		}
	}
	return "", false
}

// Name returns the name of system call nr of a; false if no kernel known to
// the tables has it. x32 numbers are given without X32Bit.
func (a Arch) Name(nr uint32) (string, bool) {
	t := a.table()
	if int64(nr) >= int64(len(t)) || t[nr] == "" {
		return "", false
	}
	return t[nr], true
}

// Number returns the number of the system call called name on a; false if a
// has none of that name. O(table), a few hundred comparisons.
func (a Arch) Number(name string) (uint32, bool) {
	if name == "" {
		return 0, false
	}
	i := slices.Index(a.table(), name)
	return uint32(max(i, 0)), i >= 0
}

// Names returns the names of all system calls of a, sorted.
func (a Arch) Names() []string {
	var out []string
	for _, n := range a.table() {
		if n != "" {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (a Arch) table() []string {
	switch a {
	case X8664:
		return syscallsX8664[:]
	case X86:
		return syscallsX86[:]
	case X32:
		return syscallsX32[:]
	case AArch64:
		return syscallsAArch64[:]
	case ARM:
		return syscallsARM[:]
	}
	return nil
}
