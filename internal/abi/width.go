package abi

import "slices"

// narrow are the arguments that the kernel takes for 32 bits, of calls that
// profiles look at the arguments of: int and unsigned int in the SYSCALL_DEFINE
// of net/socket.c, kernel/exec_domain.c, kernel/sys.c, fs/ioctl.c, fs/fcntl.c,
// security/keys/keyctl.c, kernel/bpf/syscall.c, kernel/nsproxy.c, ipc/shm.c,
// kernel/seccomp.c, io_uring/io_uring.c and fs/userfaultfd.c.
var narrow = map[string][]uint{
	"bpf":            {0, 2},
	"fcntl":          {0, 1},
	"getsockopt":     {0, 1, 2},
	"io_uring_setup": {0},
	"ioctl":          {0, 1},
	"keyctl":         {0},
	"personality":    {0},
	"prctl":          {0},
	"seccomp":        {0, 1},
	"setns":          {0, 1},
	"setsockopt":     {0, 1, 2, 4},
	"shmat":          {0, 2},
	"socket":         {0, 1, 2},
	"socketpair":     {0, 1, 2},
	"userfaultfd":    {0},
}

// Is32Bit reports whether the kernel looks at the low half alone of an argument
// of the named call: what differs only above is the same call to it, and two to a
// seccomp filter. False is said of what is not known, too.
func Is32Bit(name string, index uint) bool { return slices.Contains(narrow[name], index) }
