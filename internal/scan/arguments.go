package scan

import (
	"slices"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/scan/graph"
)

// selectors is the argument of a system call that selects what it does: the one
// worth knowing, and worth filtering by. The calls' man pages name them. All
// are 32 bits wide for the kernel, or have no meaning beyond.
func selectors() map[string]int {
	return map[string]int{
		"arch_prctl": 0, "bpf": 0, "clock_adjtime": 0, "clock_settime": 0, "clone": 0, "epoll_ctl": 1, "fadvise64": 3,
		"fcntl": 1, "fsconfig": 1, "getrlimit": 0, "getsockopt": 1, "io_uring_register": 1, "ioctl": 1, "kcmp": 2,
		"keyctl": 0, "kill": 1, "madvise": 2, "membarrier": 0, "mmap": 2, "mprotect": 2, "msgctl": 1, "personality": 0,
		"pkey_mprotect": 2, "prctl": 0, "prlimit64": 1, "ptrace": 0, "quotactl": 0, "reboot": 2, "rseq": 2, "rt_sigprocmask": 0,
		"seccomp": 0, "semctl": 2, "setns": 1, "setrlimit": 0, "setsockopt": 1, "shmctl": 1, "socket": 0, "socketpair": 0,
		"syslog": 0, "tgkill": 2, "timerfd_create": 0, "timer_create": 0, "unshare": 0,
	}
}

// argument is what one argument of a system call can be, over all places that
// make the call.
type argument struct {
	values     []uint64
	unresolved []graph.Unresolved
	ways       [][]evidence.Arg // to make the call, if it is complete: with others that go together
}

func (a argument) complete() bool { return len(a.unresolved) == 0 && len(a.values) > 0 }

// argument resolves one argument of all calls of one name, to 32 bits.
func (a *analysis) argument(calls []graph.Syscall, index int) argument {
	var out argument
	for _, c := range calls {
		r := a.graph.Resolve(c.Node, c.Site, c.Args[index])
		for _, k := range r.Constants {
			out.values = append(out.values, uint64(uint32(k.N)))
		}
		out.unresolved = append(out.unresolved, r.Unresolved...)
		if len(r.Constants) == 0 && len(r.Unresolved) == 0 {
			out.unresolved = append(out.unresolved, graph.Unresolved{Node: c.Node, Site: c.Site, Why: "is never given"})
		}
	}
	slices.Sort(out.values)
	out.values = slices.Compact(out.values)
	for _, v := range out.values {
		out.ways = append(out.ways, []evidence.Arg{{Index: uint8(index), Value: v}})
	}
	return out
}
