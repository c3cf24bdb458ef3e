package policy

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/abi"
)

// namespaceFlags are the clone(2) flags that make namespaces, less
// CLONE_NEWTIME, which clone(2) cannot express: include/uapi/linux/sched.h.
const namespaceFlags = 0x7e020000

// Flags that only clone3(2) has: clone(2) uses the bits of the first for the
// exit signal and has no room for the others.
const (
	newTime    = 0x80
	intoCgroup = 0x200000000
)

// address families: include/linux/socket.h.
const (
	afNetlink = 16
)

// kernelCalls happen without the program's doing: returning from a signal
// handler, restarting what a signal interrupted, ending, and what the vDSO
// falls back to where the clock source or CPU does not serve it (vdso(7)).
// Recordings miss them at random.
var kernelCalls = []string{
	"rt_sigreturn", "sigreturn", "restart_syscall", "exit", "exit_group",
	"clock_gettime", "clock_gettime64", "clock_getres", "clock_getres_time64", "gettimeofday", "time", "getcpu", "getrandom",
}

// fallbacks are calls of the same power that libc turns to where the newer one
// is missing, as it is on an older kernel or under another engine. clone3 is
// not here: it has rules of its own.
var fallbacks = map[string][]string{
	"openat2":      {"openat"},
	"faccessat2":   {"faccessat"},
	"fchmodat2":    {"fchmodat"},
	"statx":        {"newfstatat", "fstatat64"},
	"epoll_pwait2": {"epoll_pwait"},
	"close_range":  {"close"},
	"futex_waitv":  {"futex"},
	"preadv2":      {"preadv"},
	"pwritev2":     {"pwritev"},
	"renameat2":    {"renameat"},
}

// unified is the first number of the common number space of all ABIs, opened
// in Linux 5.1: 403 to 423 are the 64-bit time calls of 32-bit ABIs, and every
// call since has one number everywhere (asm-generic/unistd.h).
const unified = 403

// probed are older calls that programs fall back from on ENOSYS, and only
// then.
var probed = []string{
	"statx", "rseq", "copy_file_range", "renameat2", "preadv2", "pwritev2",
	"getrandom", "memfd_create", "mlock2", "execveat", "membarrier", "io_pgetevents",
}

func (d *decider) decideSyscalls() {
	d.replaceClone3()
	for _, name := range slices.Sorted(maps.Keys(d.calls)) {
		for _, older := range fallbacks[name] {
			d.needIfKnown(older, Fallback)
		}
	}
	for _, name := range kernelCalls {
		d.needIfKnown(name, Kernel)
	}
	for _, name := range d.opt.Keep {
		if !strings.HasPrefix(name, "CAP_") {
			d.needIfKnown(name, Kept)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(d.calls)) {
		d.decideCall(name, d.calls[name])
	}
	d.refuseTheRest()
	d.warnAboutABIs()
}

// needIfKnown allows name with any arguments, if one of the profile's ABIs has
// it.
func (d *decider) needIfKnown(name string, block Block) {
	if slices.ContainsFunc(d.arches, func(a abi.Arch) bool { _, ok := a.Number(name); return ok }) {
		d.need(name, block).any = true
	}
}

// replaceClone3 takes clone3 out in favour of clone. Its flags lie behind a
// pointer where no filter can look, so allowing it allows every namespace; all
// libcs fall back to clone when it answers ENOSYS, and Docker's default
// profile has long made them.
func (d *decider) replaceClone3() {
	c3 := d.calls["clone3"]
	if c3 == nil || d.kept("clone3") {
		if d.kept("clone3") {
			d.warn("clone3-open", "clone3 was kept: a filter cannot see its flags, so new namespaces are allowed too")
		}
		return
	}
	delete(d.calls, "clone3")
	clone := d.need("clone", c3.block)
	clone.args = append(clone.args, c3.args...)
	clone.any = clone.any || c3.any
	for _, args := range c3.args {
		if flags, _ := value(args, 0); flags&(newTime|intoCgroup) != 0 {
			d.warn("clone3-flags", "clone3 was used with flags %#x, which clone lacks: if the program has no way without, keep clone3", flags)
		}
	}
	d.decide("clone3", false, "seen; answers ENOSYS so that callers fall back to clone, whose flags a filter can see (keep clone3 for a program that has no fallback)")
}

// decideCall allows one call, with conditions where its arguments are known
// and worth a filter.
func (d *decider) decideCall(name string, c *call) {
	if d.denied(name) {
		d.decide(name, false, "denied by option")
		return
	}
	alternatives := conditions(name, c)
	for _, conds := range alternatives {
		d.policy.Syscalls = append(d.policy.Syscalls, Rule{name, c.block, conds})
		d.decide(name+describe(conds), true, "%s", reasons[c.block])
	}
	d.warnAboutCall(name, c)
}

var reasons = map[Block]string{
	Workload: "the workload does it",
	Execd:    "a command exec'd into the container does it",
	Fallback: "libc falls back to it where a newer call that was seen is missing",
	Kernel:   "any process may need it without asking",
	Floor:    "the OCI runtime does it under the filter, before the image's program starts",
	Kept:     "kept by option",
}

// conditions returns the alternatives under which a call is allowed: one
// without conditions if any arguments must do, or if no argument of the call
// is worth a filter.
func conditions(name string, c *call) [][]Condition {
	narrow := filters[name]
	if c.any || narrow == nil {
		return [][]Condition{nil}
	}
	var out [][]Condition
	for _, args := range c.args {
		conds := narrow(args)
		if conds == nil {
			return [][]Condition{nil}
		}
		out = append(out, conds)
	}
	slices.SortFunc(out, compareConditions)
	out = slices.CompactFunc(out, func(a, b []Condition) bool { return compareConditions(a, b) == 0 })
	if len(out) > maxAlternatives {
		c.any = true
		return [][]Condition{nil}
	}
	return out
}

// maxAlternatives is how many ways to make a call are told apart; the recorder
// tells no more either.
const maxAlternatives = 64

// filters narrow a call to the arguments seen. Each returns nil if the
// argument it needs was not recorded. All parameters here are 32-bit to the
// kernel, whatever the register holds above (clone takes lower_32_bits of its
// flags, kernel/fork.c).
var filters = map[string]func([]evidence.Arg) []Condition{
	"socket":      socketFilter,
	"socketpair":  exactly(0),
	"clone":       cloneFilter,
	"unshare":     exactly(0),
	"setns":       setnsFilter,
	"personality": exactly(0),
}

const low32 = 0xffffffff

func exactly(index uint8) func([]evidence.Arg) []Condition {
	return func(args []evidence.Arg) []Condition {
		v, ok := value(args, index)
		if !ok {
			return nil
		}
		return []Condition{{Index: uint(index), Mask: low32, Value: v & low32}}
	}
}

// socketFilter narrows to the family, and netlink to its protocol too: netlink
// families are as different as address families are.
func socketFilter(args []evidence.Arg) []Condition {
	conds := exactly(0)(args)
	if conds == nil || conds[0].Value != afNetlink {
		return conds
	}
	return append(conds, exactly(2)(args)...)
}

// setnsFilter narrows to the type of namespace; type 0 enters any.
func setnsFilter(args []evidence.Arg) []Condition {
	if v, _ := value(args, 1); v == 0 {
		return nil
	}
	return exactly(1)(args)
}

// cloneFilter narrows to the same set of namespaces; the other flags are no
// privilege.
func cloneFilter(args []evidence.Arg) []Condition {
	v, ok := value(args, 0)
	if !ok {
		return nil
	}
	return []Condition{{Index: 0, Mask: namespaceFlags, Value: v & namespaceFlags}}
}

func value(args []evidence.Arg, index uint8) (uint64, bool) {
	i := slices.IndexFunc(args, func(a evidence.Arg) bool { return a.Index == index })
	if i < 0 {
		return 0, false
	}
	return args[i].Value, true
}

// refuseTheRest splits all other known calls: those that a program may try and
// do without answer ENOSYS, the others EPERM.
func (d *decider) refuseTheRest() {
	known := map[string]uint32{} // the lowest number under which an ABI of the profile has it
	for _, a := range d.arches {
		for _, name := range a.Names() {
			nr, _ := a.Number(name)
			if low, ok := known[name]; !ok || nr < low {
				known[name] = nr
			}
		}
	}
	for name, nr := range known {
		switch {
		case d.calls[name] != nil && !d.denied(name):
		case nr >= unified || slices.Contains(probed, name):
			d.policy.Unavailable = append(d.policy.Unavailable, name)
		default:
			d.policy.NotPermitted = append(d.policy.NotPermitted, name)
		}
	}
}

// dangerous are calls that Docker's default profile refuses to a container
// without further capabilities: each opens much of the kernel or of the host.
// Some it allows with arguments that do no harm; those are not meant here.
var dangerous = []string{
	"add_key", "bpf", "delete_module", "fanotify_init", "finit_module", "fsconfig", "fsmount", "fsopen", "fspick",
	"init_module", "io_uring_enter", "io_uring_register", "io_uring_setup", "kexec_file_load", "kexec_load", "keyctl",
	"mount", "mount_setattr", "move_mount", "open_by_handle_at", "open_tree", "perf_event_open", "pivot_root",
	"process_madvise", "quotactl", "reboot", "request_key", "setns", "swapoff", "swapon", "umount", "umount2",
	"unshare", "userfaultfd",
}

// mounting are calls that the AppArmor profile refuses whatever seccomp says.
var mounting = []string{"mount", "move_mount", "fsmount", "mount_setattr", "pivot_root"}

func (d *decider) warnAboutCall(name string, c *call) {
	if slices.Contains(dangerous, name) && c.block != Floor {
		d.warn("dangerous-call", "%s is allowed, which docker-default refuses", name)
	}
	if slices.Contains(mounting, name) && c.block != Floor {
		d.warn("apparmor-mount", "%s is allowed by seccomp, but the AppArmor profile denies mounting as docker-default does", name)
	}
	if name == "clone" && !c.any && d.namespaces && c.block != Floor {
		d.warn("namespaces", "clone may make namespaces, as the workload did")
	}
	switch {
	case name == "socketcall":
		d.warn("socketcall-open", "32-bit socketcall is allowed: a filter cannot see which socket family it asks for")
	case filters[name] != nil && c.any && !d.kept(name):
		d.warn(name+"-any", "%s is allowed with any arguments: those used could not all be recorded", name)
	}
}

func (d *decider) warnAboutABIs() {
	if len(d.arches) > 1 {
		d.warn("several-abis", "the profile serves %d system call ABIs (%s): a name allowed for one is allowed for all", len(d.arches), join(d.arches))
	}
}

func join(arches []abi.Arch) string {
	names := make([]string, len(arches))
	for i, a := range arches {
		names[i] = string(a)
	}
	return strings.Join(names, ", ")
}

func describe(conds []Condition) string {
	var b strings.Builder
	for _, c := range conds {
		fmt.Fprintf(&b, " arg%d&%#x=%#x", c.Index, c.Mask, c.Value)
	}
	return b.String()
}

func compareRules(a, b Rule) int {
	return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(string(a.Block), string(b.Block)), compareConditions(a.Conditions, b.Conditions))
}

func compareConditions(a, b []Condition) int {
	return slices.CompareFunc(a, b, func(a, b Condition) int {
		return cmp.Or(cmp.Compare(a.Index, b.Index), cmp.Compare(a.Mask, b.Mask), cmp.Compare(a.Value, b.Value))
	})
}
