// Package host tells facts about the machine that profgen runs on, as values.
package host

import (
	"fmt"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/profgen/profgen/internal/abi"
)

// Facts are what the rest of profgen needs to know of a machine.
type Facts struct {
	Kernel   string   // uname -r
	Arch     abi.Arch // the kernel's native system call ABI
	AppArmor bool     // the kernel enforces AppArmor profiles
	Filtered bool     // this process, and so what it starts, is under a seccomp filter
}

// Read returns the facts about this machine.
func Read() (Facts, error) {
	arch, err := abi.ByGOARCH(runtime.GOARCH)
	if err != nil {
		return Facts{}, err
	}
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return Facts{}, fmt.Errorf("uname: %w", err)
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return Facts{}, err
	}
	enabled, _ := os.ReadFile("/sys/module/apparmor/parameters/enabled") // absent without AppArmor
	return Facts{
		Kernel:   unix.ByteSliceToString(u.Release[:]),
		Arch:     arch,
		AppArmor: strings.HasPrefix(string(enabled), "Y"),
		Filtered: !strings.Contains(string(status), "\nSeccomp:\t0\n"), // proc_pid_status(5)
	}, nil
}
