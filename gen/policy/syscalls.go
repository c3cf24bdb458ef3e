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
			d.needIfKnown(older, Fallback, d.calls[name].needed)
		}
	}
	for _, name := range kernelCalls {
		d.needIfKnown(name, Kernel, true)
	}
	for _, name := range d.opt.Keep {
		if !strings.HasPrefix(name, "CAP_") {
			d.needIfKnown(name, Kept, true)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(d.calls)) {
		d.decideCall(name, d.calls[name])
	}
	for _, why := range slices.Sorted(maps.Keys(d.open)) {
		d.warn("arguments-any", "allowed with any arguments, since %s: %s", why, strings.Join(d.open[why], " "))
	}
	d.refuseTheRest()
	d.warnAboutABIs()
}

// needIfKnown allows name with any arguments, if one of the profile's ABIs has
// it. needed is false if it takes nothing but static analysis to want it.
func (d *decider) needIfKnown(name string, block Block, needed bool) {
	if slices.ContainsFunc(d.arches, func(a abi.Arch) bool { _, ok := a.Number(name); return ok }) {
		c := d.need(name, block)
		c.needed = c.needed || needed
		c.openFor(reasons[block])
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
	d.need("clone", c3.block).absorb(c3)
	for _, u := range c3.uses {
		if flags, _ := value(u.args, 0); flags&(newTime|intoCgroup) != 0 {
			d.warn("clone3-flags", "clone3 is used with flags %#x, which clone lacks: if the program has no way without, keep clone3", flags)
		}
	}
	how := "reachable"
	if c3.needed {
		how = "seen"
	}
	d.decide("clone3", false, "%s; answers ENOSYS so that callers fall back to clone, whose flags a filter can see (keep clone3 for a program that has no fallback)", how)
}

// decideCall allows one call, with conditions where its arguments are known
// and worth a filter.
func (d *decider) decideCall(name string, c *call) {
	if d.denied(name) {
		d.decide(name, false, "denied by option")
		return
	}
	for _, a := range c.alternatives(name) {
		d.policy.Syscalls = append(d.policy.Syscalls, Rule{name, a.block, a.conds})
		d.decide(name+describe(a.conds), true, "%s", d.reason(name, c, a))
	}
	d.warnAboutCall(name, c)
}

// reason is why c is allowed in one way.
func (d *decider) reason(name string, c *call, a alternative) string {
	why := reasons[a.block]
	seen := func(args []evidence.Arg) bool { return includes(a.conds, narrow(name, args)) }
	switch {
	case a.block != Workload || slices.ContainsFunc(c.seenArgs, seen):
	case c.seen && !lookedAt(name):
		why += ", with arguments that only its code tells"
	case d.observed:
		why = "the image's code can reach it, and was not seen to"
	default:
		why = "the image's code can reach it"
	}
	if c.any && len(c.uses) > 0 {
		why += "; with any arguments: " + c.opened
	}
	return why
}

var reasons = map[Block]string{
	Workload: "the workload does it",
	Execd:    "a command exec'd into the container does it",
	Fallback: "libc falls back to it where a newer call that was seen is missing",
	Kernel:   "any process may need it without asking",
	Floor:    "the OCI runtime does it under the filter, before the image's program starts",
	Kept:     "kept by option",
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
	makes := func(u use) bool { flags, _ := value(u.args, 0); return flags&namespaceFlags != 0 }
	if name == "clone" && !c.any && c.block != Floor && slices.ContainsFunc(c.uses, makes) {
		who := "the image's code can"
		if d.namespaces {
			who = "the workload did"
		}
		d.warn("namespaces", "clone may make namespaces, as %s", who)
	}
	writeExec := func(u use) bool { conds := narrow(name, u.args); return conds != nil && len(conds) == 0 }
	if everyday[name] != nil && !c.any && slices.ContainsFunc(c.uses, writeExec) {
		d.warn("write-execute", "%s may make memory that is both writable and executable: code that an attacker writes there runs", name)
	}
	switch {
	case name == "socketcall":
		d.warn("socketcall-open", "32-bit socketcall is allowed: a filter cannot see which socket family it asks for")
	case everyday[name] != nil && c.any && !d.kept(name):
		d.open[c.opened] = append(d.open[c.opened], name)
	case filters[name] != nil && c.any && !d.kept(name):
		d.warn(name+"-any", "%s is allowed with any arguments: %s", name, c.opened)
	case c.unresolved && !c.any && !c.needed:
		d.warn(name+"-default", "%s may be called with arguments that could not be derived: it is allowed with those that docker-default allows, and with those that are known; if that is not enough, keep %s", name, name)
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
