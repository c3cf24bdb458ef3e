package policy

import (
	"slices"

	"github.com/profgen/profgen/gen/evidence"
)

// Newer says what the workload may do of that which AppArmor asks about only since
// 4.0: before, who got past the seccomp filter was free to.
type Newer struct {
	UserNamespaces bool     `json:",omitempty"` // make them
	MessageQueues  []string `json:",omitempty"` // "posix" (mq_overview(7)), "sysv" (msgget(2)); sorted
	IOUring        bool     `json:",omitempty"`
}

// newUser is CLONE_NEWUSER (include/uapi/linux/sched.h).
const newUser = 0x10000000

// decideNewer goes by the calls that are allowed, and for user namespaces, which are
// the way to most of the kernel's holes, by the flags that they were made with.
func (d *decider) decideNewer() {
	n := &d.policy.Newer
	for _, r := range d.policy.Syscalls {
		if r.Block == Floor {
			continue
		}
		switch r.Name {
		case "mq_open":
			n.MessageQueues = append(n.MessageQueues, "posix")
		case "msgget":
			n.MessageQueues = append(n.MessageQueues, "sysv")
		case "io_uring_setup":
			n.IOUring = true
		}
	}
	slices.Sort(n.MessageQueues)
	n.MessageQueues = slices.Compact(n.MessageQueues)
	n.UserNamespaces = slices.ContainsFunc(d.set.Facts, d.makesUserNamespace)
}

// makesUserNamespace reports whether a fact is a call that is allowed and makes a
// user namespace; or was seen, and may have.
func (d *decider) makesUserNamespace(f evidence.Fact) bool {
	call, ok := f.(evidence.Syscall)
	if !ok || call.Phase == evidence.Runtime || d.denied(call.Name) || call.Basis == evidence.Reachable && d.opt.Tight {
		return false
	}
	if !slices.Contains([]string{"clone", "clone3", "unshare"}, call.Name) {
		return false
	}
	flags, known := value(call.Args, 0)
	return flags&newUser != 0 || !known && call.Basis == evidence.Observed
}
