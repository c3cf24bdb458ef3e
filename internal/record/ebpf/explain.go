//go:build linux && (amd64 || arm64)

package ebpf

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// host is what decides whether eBPF programs load.
type host struct {
	btf        bool   // /sys/kernel/btf/vmlinux is there
	release    string // of the kernel
	privileged bool   // CAP_SYS_ADMIN, or CAP_BPF with CAP_PERFMON
	lockdown   bool   // in confidentiality mode
}

// explain says why err, from loading or attaching programs, came about and what
// to do. The library's own guess at EPERM, the memory lock limit, has not been
// true since Linux 5.11.
func explain(err error) error {
	h := probe()
	if !h.privileged {
		return fmt.Errorf("%w: %s", ErrUnavailable, h.reason()) // what failed first says nothing
	}
	return fmt.Errorf("%w: %s: %w", ErrUnavailable, h.reason(), cause(err))
}

// reason returns the likeliest reason for programs not to load.
func (h host) reason() string {
	switch {
	case !h.privileged:
		return "not privileged: run as root, or with CAP_BPF and CAP_PERFMON"
	case older(h.release, 5, 13):
		return fmt.Sprintf("Linux %s is too old: use Linux 5.13 or later", h.release)
	case !h.btf:
		return "no /sys/kernel/btf/vmlinux: use a kernel built with CONFIG_DEBUG_INFO_BTF"
	case h.lockdown:
		return "kernel lockdown is in confidentiality mode: boot with lockdown=integrity or none"
	}
	return fmt.Sprintf("Linux %s refuses the programs: use another way of recording", h.release)
}

// cause returns the innermost part of err that says something.
func cause(err error) error {
	var verifier *ebpf.VerifierError
	if errors.As(err, &verifier) {
		return verifier
	}
	var errno unix.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}

func probe() host {
	var uts unix.Utsname
	_ = unix.Uname(&uts) // fails only for a bad pointer
	_, btf := os.Stat("/sys/kernel/btf/vmlinux")
	lockdown, _ := os.ReadFile("/sys/kernel/security/lockdown") // none, none in force
	caps := effective()
	has := func(c int) bool { return caps>>c&1 != 0 }
	return host{
		btf:        btf == nil,
		release:    unix.ByteSliceToString(uts.Release[:]),
		privileged: has(unix.CAP_SYS_ADMIN) || has(unix.CAP_BPF) && has(unix.CAP_PERFMON),
		lockdown:   bytes.Contains(lockdown, []byte("[confidentiality]")),
	}
}

// effective returns the caller's effective capabilities, a bit each.
func effective() uint64 {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&hdr, &data[0]); err != nil {
		return 0
	}
	return uint64(data[1].Effective)<<32 | uint64(data[0].Effective)
}

// older reports whether a kernel release is before major.minor; not if it does
// not read as one.
func older(release string, major, minor int) bool {
	var a, b int
	if _, err := fmt.Fscanf(strings.NewReader(release), "%d.%d", &a, &b); err != nil {
		return false
	}
	return a < major || a == major && b < minor
}
