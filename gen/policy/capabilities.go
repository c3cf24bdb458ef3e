package policy

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/profgen/profgen/gen/evidence"
)

// memoryCalls may make the kernel ask for CAP_SYS_ADMIN only to decide whether
// the last 3 % of memory may be used: __vm_enough_memory, mm/util.c. Nothing
// depends on the answer but that.
var memoryCalls = []string{
	"mmap", "mmap2", "brk", "mremap", "mprotect", "pkey_mprotect", "shmat", "remap_file_pages",
	"clone", "clone3", "fork", "vfork", "execve", "execveat", "memfd_create", "ftruncate", "fallocate",
}

// unauditedNeeds are the questions that decide something though the kernel asks
// them without audit: may a filter or a Landlock ruleset be loaded without
// no_new_privs (kernel/seccomp.c, security/landlock/syscalls.c), and may
// oom_score_adj be lowered, which is written to (fs/proc/base.c).
var unauditedNeeds = map[string][]string{
	"CAP_SYS_ADMIN":    {"seccomp", "prctl", "landlock_restrict_self"},
	"CAP_SYS_RESOURCE": {"write", "pwrite64", "writev"},
}

// listingCalls make the kernel ask for CAP_SYS_ADMIN to decide whether names of
// trusted.* attributes are among those listed: simple_xattr_list, fs/xattr.c.
var listingCalls = []string{"listxattr", "llistxattr", "flistxattr", "listxattrat"}

// openingCalls make the kernel ask for CAP_NET_ADMIN where they get to a file of
// /proc/sys/net, whatever for: it decides who may write there
// (net_ctl_permissions, net/sysctl_net.c), which in a container nobody may.
var openingCalls = []string{"open", "openat", "openat2", "access", "faccessat", "faccessat2"}

// setgidCalls are those where CAP_FSETID decides whether a file gets a setgid
// bit that the caller asked for (setattr_prepare, fs/attr.c; mode_strip_sgid,
// fs/inode.c). Elsewhere it only spares a file the loss of its bits on write.
var setgidCalls = []string{
	"chmod", "fchmod", "fchmodat", "fchmodat2",
	"open", "openat", "openat2", "creat", "mknod", "mknodat", "setxattr", "fsetxattr", "lsetxattr",
}

// severe are the capabilities with which root in a container is as good as
// root on the host (capabilities(7)).
var severe = []string{
	"CAP_BPF", "CAP_DAC_READ_SEARCH", "CAP_MAC_ADMIN", "CAP_MAC_OVERRIDE", "CAP_NET_ADMIN", "CAP_PERFMON",
	"CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_MODULE", "CAP_SYS_PTRACE", "CAP_SYS_RAWIO",
}

// decideCapabilities keeps the capabilities that the workload used: asked for
// in its own name, granted, and not known as a mere probe. A check that was
// refused was no need, for the recorded run went on without it. Of those that
// are only reachable it keeps what engines give to every container.
func (d *decider) decideCapabilities() {
	need := map[string]string{} // capability → reason
	var checked []dismissed
	for _, f := range d.set.Facts {
		f, ok := f.(evidence.Capability)
		if !ok || f.Basis == evidence.Reachable {
			continue
		}
		if why := d.dismiss(f); why != "" {
			checked = append(checked, dismissed{f.Cap, why, orUnknown(f.Syscall)})
			continue
		}
		need[f.Cap] = "granted in " + orUnknown(f.Syscall)
	}
	reachable, analysed := d.reachableCapabilities()
	d.warnUnreachable(need, reachable, analysed)
	if slices.ContainsFunc(d.set.Gaps, func(g evidence.Gap) bool { return g.Kind == evidence.UnseenCaps }) {
		d.unseen = d.unseenOf(reachable, analysed)
		addAll(need, d.unseen, "capability checks could not be seen")
	}
	addAll(need, d.opt.Keep, "kept by option")
	for c, why := range d.execNeeds() {
		addAll(need, []string{c}, why)
	}
	d.addReachable(need, reachable)
	for _, c := range slices.Sorted(maps.Keys(need)) {
		if d.denied(c) {
			d.decide(c, false, "denied by option")
			continue
		}
		d.policy.Capabilities = append(d.policy.Capabilities, c)
		d.decide(c, true, "%s", need[c])
		if slices.Contains(severe, c) {
			d.warn("severe-capability", "%s is kept: with it a container can take over the host (%s)", c, need[c])
		}
	}
	d.decideDismissed(need, checked)
}

// dismissed is a check that was no need.
type dismissed struct{ cap, why, call string }

// decideDismissed lists what was checked of capabilities that are not needed.
func (d *decider) decideDismissed(need map[string]string, checked []dismissed) {
	slices.SortFunc(checked, func(a, b dismissed) int {
		return cmp.Or(strings.Compare(a.cap, b.cap), strings.Compare(a.why, b.why), strings.Compare(a.call, b.call))
	})
	for rest := slices.Compact(checked); len(rest) > 0; {
		first, calls := rest[0], []string{}
		for ; len(rest) > 0 && rest[0].cap == first.cap && rest[0].why == first.why; rest = rest[1:] {
			calls = append(calls, rest[0].call)
		}
		if need[first.cap] == "" {
			d.decide(first.cap, false, "checked in %s, not needed: %s", listFew(calls), first.why)
		}
	}
}

// reachableCapabilities returns the capabilities that static analysis says may
// be needed, each with the calls that may; false if it says nothing of
// capabilities. A proof that there are none is decided on as evidence.AnyCapability.
func (d *decider) reachableCapabilities() (calls map[string][]string, analysed bool) {
	calls = map[string][]string{}
	for _, f := range d.set.Facts {
		if f, ok := f.(evidence.Capability); ok && f.Basis == evidence.Reachable {
			calls[f.Cap] = append(calls[f.Cap], orUnknown(f.Syscall))
		}
	}
	for c := range calls {
		calls[c] = slices.Compact(slices.Sorted(slices.Values(calls[c])))
	}
	analysed = len(calls) > 0
	for _, w := range d.set.Witnesses {
		if w.Capability == evidence.AnyCapability && w.Basis == evidence.Reachable {
			analysed = true
			d.decide(w.Capability, false, "no capability is of use to %s: %s", cmp.Or(w.Program, "any program of the image"), w.Reason)
		}
	}
	return calls, analysed
}

// addReachable adds what the image's code may need to what it is known to need.
func (d *decider) addReachable(need map[string]string, reachable map[string][]string) {
	var beyond []string
	for _, c := range slices.Sorted(maps.Keys(reachable)) {
		why := "the image's code can reach " + listFew(reachable[c]) + ", which may need it"
		switch {
		case need[c] != "" || d.denied(c):
		case d.opt.Tight:
			d.decide(c, false, "%s; left out, to keep only what was observed", why)
		case slices.Contains(d.opt.CapabilityCeiling, c):
			need[c] = why
		default:
			d.decide(c, false, "%s, but engines do not give it by default; keep %s to allow it", why, c)
			beyond = append(beyond, c)
		}
	}
	if len(beyond) > 0 {
		d.warn("beyond-default", "the image's code may need %s; since engines do not give it by default, and nothing shows its use, it is left out (--keep allows it)", strings.Join(beyond, " "))
	}
}

// unseenOf returns what to allow in the place of checks that could not be seen:
// of the capabilities of the options those that the code can need, if all of it
// is known.
func (d *decider) unseenOf(reachable map[string][]string, analysed bool) []string {
	if !analysed || !d.bounds.complete() {
		return d.opt.UnseenCapabilities
	}
	return slices.DeleteFunc(slices.Clone(d.opt.UnseenCapabilities), func(c string) bool { return reachable[c] == nil })
}

// warnUnreachable tells of capabilities that were used and, by static analysis,
// cannot be: for them Observed ⊆ Reachable is no error, since the kernel also
// asks for some in its own interest.
func (d *decider) warnUnreachable(need map[string]string, reachable map[string][]string, analysed bool) {
	if !analysed || !d.bounds.complete() {
		return
	}
	for _, c := range slices.Sorted(maps.Keys(need)) {
		if reachable[c] == nil {
			d.warn("capability-not-reachable", "%s was used (%s), and static analysis finds no way to need it", c, need[c])
		}
	}
}

// listFew names the first few of names.
func listFew(names []string) string {
	const most = 4
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d others", strings.Join(names[:most], ", "), len(names)-most)
}

// dismiss returns why a check is no need, or "" if it is one.
func (d *decider) dismiss(f evidence.Capability) string {
	switch {
	case f.Nested:
		return "asked about a user namespace of the workload's own making, where it has all of them"
	case f.Phase == evidence.Runtime:
		return "asked by the OCI runtime, not by the image"
	case !f.Granted:
		return "refused, and the workload went on"
	case f.Overridden:
		return "asked with credentials that were not the workload's own"
	case f.Unaudited && !slices.Contains(unauditedNeeds[f.Cap], f.Syscall):
		return "asked without audit, as the kernel does where it can do without"
	case f.Cap == "CAP_SYS_ADMIN" && strings.HasPrefix(f.Syscall, "clone") && d.namespaces:
		return "" // it may have been for the namespaces
	case f.Cap == "CAP_SYS_ADMIN" && slices.Contains(listingCalls, f.Syscall):
		return "it only adds trusted.* attributes to what is listed"
	case f.Cap == "CAP_NET_ADMIN" && slices.Contains(openingCalls, f.Syscall):
		return "asked for who may write to /proc/sys/net, where containers cannot"
	case f.Cap == "CAP_SETPCAP" && f.Syscall == "capset":
		return "it only lets the inheritable set grow beyond the permitted one"
	case f.Cap == "CAP_SYS_ADMIN" && slices.Contains(memoryCalls, f.Syscall):
		return "asked for the memory overcommit reserve"
	case f.Cap == "CAP_FSETID" && !slices.Contains(setgidCalls, f.Syscall):
		return "it changes no result there"
	}
	return ""
}

func addAll(need map[string]string, names []string, reason string) {
	for _, n := range names {
		if strings.HasPrefix(n, "CAP_") && need[n] == "" {
			need[n] = reason
		}
	}
}

func orUnknown(call string) string {
	if call == "" {
		return "a call that began unseen"
	}
	return call
}
