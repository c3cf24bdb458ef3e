package policy

import (
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
// refused was no need, for the recorded run went on without it.
func (d *decider) decideCapabilities() {
	need := map[string]string{} // capability → reason
	checked := map[string]string{}
	for _, f := range d.set.Facts {
		f, ok := f.(evidence.Capability)
		if !ok || f.Basis == evidence.Reachable {
			continue
		}
		if why := d.dismiss(f); why != "" {
			checked[f.Cap] = why
			continue
		}
		need[f.Cap] = "granted in " + orUnknown(f.Syscall)
	}
	if slices.ContainsFunc(d.set.Gaps, func(g evidence.Gap) bool { return g.Kind == evidence.UnseenCaps }) {
		addAll(need, d.opt.UnseenCapabilities, "capability checks could not be seen")
	}
	addAll(need, d.opt.Keep, "kept by option")
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
	for _, c := range slices.Sorted(maps.Keys(checked)) {
		if need[c] == "" {
			d.decide(c, false, "checked, not needed: %s", checked[c])
		}
	}
}

// dismiss returns why a check is no need, or "" if it is one.
func (d *decider) dismiss(f evidence.Capability) string {
	switch {
	case f.Nested:
		return "asked about a user namespace of the workload's own making, where it has all of them"
	case f.Phase == evidence.Runtime:
		return "asked by the OCI runtime, not by the image"
	case !f.Granted:
		return "refused in " + orUnknown(f.Syscall) + ", and the workload went on"
	case f.Overridden:
		return "asked with credentials that were not the workload's own"
	case f.Cap == "CAP_SYS_ADMIN" && strings.HasPrefix(f.Syscall, "clone") && d.namespaces:
		return "" // it may have been for the namespaces
	case f.Cap == "CAP_SETPCAP" && f.Syscall == "capset":
		return "asked by capset, where it only lets the inheritable set grow beyond the permitted one"
	case f.Cap == "CAP_SYS_ADMIN" && slices.Contains(memoryCalls, f.Syscall):
		return "asked by " + f.Syscall + " for the memory overcommit reserve"
	case f.Cap == "CAP_FSETID" && !slices.Contains(setgidCalls, f.Syscall):
		return "asked by " + orUnknown(f.Syscall) + ", where it changes no result"
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
