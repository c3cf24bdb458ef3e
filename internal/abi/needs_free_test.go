package abi_test

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/profgen/profgen/internal/abi"
)

// freeCalls are calls like those of the table, but with arguments that no row
// is about.
func freeCalls(p *probe) []struct {
	call string
	args []any
} {
	const anonymous = unix.MAP_PRIVATE | unix.MAP_ANONYMOUS
	tcp := need(unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0))
	return []struct {
		call string
		args []any
	}{
		{"socket", args(unix.AF_INET, unix.SOCK_STREAM, 0)},
		{"socket", args(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)},
		{"socket", args(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_USERSOCK)},
		{"setsockopt", args(tcp, unix.SOL_SOCKET, unix.SO_KEEPALIVE, flags(1), 4)},
		{"setsockopt", args(tcp, unix.SOL_TCP, unix.TCP_NODELAY, flags(1), 4)},
		{"prctl", args(unix.PR_SET_DUMPABLE, 1, 0, 0, 0)},
		{"prctl", args(unix.PR_SET_KEEPCAPS, 1, 0, 0, 0)},
		{"prctl", args(unix.PR_SET_MM, unix.PR_SET_MM_MAP_SIZE, make([]byte, 8), 0, 0)},
		{"fcntl", args(tcp, unix.F_SETFL, unix.O_NONBLOCK)},
		{"ioctl", args(tcp, 0x5421, flags(1))},
		{"ioctl", args(tcp, unix.SIOCGIFFLAGS, interfaceRequest())},
		{"fanotify_init", args(unix.FAN_REPORT_FID, 0)},
		{"fanotify_init", args(unix.FAN_REPORT_MNT, 0)},
		{"timerfd_create", args(unix.CLOCK_MONOTONIC, 0)},
		{"timer_create", args(unix.CLOCK_MONOTONIC, nil, make([]byte, 8))},
		{"clock_nanosleep", args(unix.CLOCK_MONOTONIC, 0, make([]byte, 16), nil)},
		{"ioperm", args(0, 1, 0)},
		{"iopl", args(0)},
		{"madvise", args(mapped(page), page, unix.MADV_DONTNEED)},
		{"mbind", args(mapped(page), page, 0, nil, 0, 2)},
		{"seccomp", args(2, 0, flags(unix.SECCOMP_RET_ALLOW))},
		{"userfaultfd", args(1)},
		{"mmap", args(0, 2<<20, unix.PROT_READ, anonymous|unix.MAP_HUGETLB, -1, 0)},
		{"memfd_create", args("probe", unix.MFD_HUGETLB)},
		{"unshare", args(unix.CLONE_FS)},
		{"mremap", args(mapped(page), page, page, 0, 0)},
		{"getpid", nil},
	}
}

// freeMain makes the calls, as a user without any capability, and prints which
// are refused and which the table has rows for.
func freeMain() {
	p := &probe{}
	must(unix.Setgroups(nil))
	must(unix.Setgid(54324))
	p.user(54324)
	for _, c := range freeCalls(p) {
		for _, n := range abi.MayNeed(c.call, p.known(c.args)) {
			if n.When != abi.Rare {
				fmt.Println(c.call, c.args, "has a row:", describe(n))
			}
		}
	}
	calls := freeCalls(p)
	p.drop()
	for _, c := range calls {
		if err := p.try(c.call, c.args); err == unix.EPERM || err == unix.EACCES {
			fmt.Println(c.call, c.args, err)
		}
	}
}

// try makes a call that this architecture may not have.
func (p *probe) try(call string, args []any) error {
	arch, _ := abi.ByGOARCH(runtime.GOARCH)
	if _, ok := arch.Number(call); !ok {
		return unix.ENOSYS
	}
	return p.sys(call, args...)
}

// What the table has no row for, the kernel lets anyone do.
func TestCallsThatNeedNothing(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("becoming a user without capabilities takes root")
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), probeVar+"=free")
	out, err := cmd.CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("%v\n%s", err, strings.TrimSpace(string(out)))
	}
}
