package policy

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/profgen/profgen/gen/evidence"
)

// becoming are the capabilities that an entry point uses to give files to a user
// and become it.
var becoming = []string{"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID"}

// hostOnly are the capabilities that are good for nothing in a user namespace
// of its own: the kernel asks whether one has them on the host (capable, not
// ns_capable). user_namespaces(7), "Capabilities".
var hostOnly = []string{
	"CAP_AUDIT_CONTROL", "CAP_AUDIT_READ", "CAP_AUDIT_WRITE", "CAP_BLOCK_SUSPEND", "CAP_BPF", "CAP_LINUX_IMMUTABLE",
	"CAP_MAC_ADMIN", "CAP_MAC_OVERRIDE", "CAP_MKNOD", "CAP_PERFMON", "CAP_SYS_BOOT", "CAP_SYS_MODULE", "CAP_SYS_NICE",
	"CAP_SYS_PACCT", "CAP_SYS_RAWIO", "CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_SYSLOG", "CAP_WAKE_ALARM",
}

// adviseUser says what starting as another user would make unnecessary, and
// what capabilities are worth to who is not root.
func (d *decider) adviseUser() {
	caps := d.policy.Capabilities
	if !d.policy.Run.User.Root {
		if len(caps) > 0 {
			d.advise("capabilities-nonroot", "the container does not start as root: docker and Kubernetes then give its first process none of %s, whatever is added; podman does", strings.Join(caps, " "))
		}
		return
	}
	own := slices.DeleteFunc(slices.Clone(caps), func(c string) bool { return c == "CAP_NET_BIND_SERVICE" })
	startOnly := len(own) > 0 && !slices.ContainsFunc(own, func(c string) bool { return !slices.Contains(becoming, c) || !d.onlyAtStart(c) })
	switch id, fixed := Becomes(d.set); {
	case !startOnly:
	case fixed:
		d.adviseFixed(own, id)
	default:
		d.advise("become-user", "%s serve only to give files to a user and become it: started as that user, with folders that are its own, the workload needs none of them; record it with --user UID:GID to see", strings.Join(own, " "))
	}
}

// Becomes is the one user and group that all of the workload was when it was asked
// to end, as an [evidence.Identity] without phase and basis; false if there are
// several, or nobody looked, or it is root. set has to be normalized.
func Becomes(set evidence.Set) (evidence.Identity, bool) {
	var all []evidence.Identity
	for _, f := range set.Facts {
		if f, ok := f.(evidence.Identity); ok {
			f.Phase, f.Basis = "", ""
			all = append(all, f)
		}
	}
	all = slices.Compact(all) // facts are in order
	if len(all) != 1 || all[0].UID == 0 {
		return evidence.Identity{}, false
	}
	return all[0], true
}

// adviseFixed says as whom to start what only begins as root, and what of it has
// to be that user's then.
func (d *decider) adviseFixed(own []string, id evidence.Identity) {
	user := fmt.Sprintf("%d:%d", id.UID, id.GID)
	before := ""
	if folders := d.writtenMounts(); len(folders) > 0 {
		before = fmt.Sprintf(", with what is mounted at %s owned by %s beforehand", listFew(folders), user)
	}
	d.decide("--user="+user, false, "it is not given, for the workload was recorded as root; but it serves only to become that user")
	d.advise("become-user", "%s serve only to give files to %s and become it: started with --user=%s%s, the workload needs none of them; record it with --user %s to prove that", strings.Join(own, " "), user, user, before, user)
}

// writtenMounts are folders in which the workload writes on mounts of the user's:
// those that no other of them is above.
func (d *decider) writtenMounts() []string {
	var out []string
	for _, f := range d.set.Facts {
		f, ok := f.(evidence.FileAccess)
		if !ok || !strings.ContainsAny(f.Perms, "wal") || f.Errno != "" || f.Phase == evidence.Runtime || f.Basis == evidence.Reachable ||
			f.Origin != evidence.FromMount && !f.Mounted {
			continue
		}
		folder := path.Dir(string(f.Path))
		if f.Kind == evidence.Directory && f.Origin == evidence.FromMount {
			folder = string(f.Path) // which it changed: its owner, say
		}
		kernels := folder == "/" || slices.ContainsFunc([]string{"/dev", "/proc", "/sys", "/etc", "/run/secrets"}, func(at string) bool { return within(folder, at) })
		if !kernels && !slices.ContainsFunc(out, func(above string) bool { return within(folder, above) }) {
			out = slices.DeleteFunc(out, func(below string) bool { return within(below, folder) })
			out = append(out, folder)
		}
	}
	slices.Sort(out)
	for i := range out {
		out[i] = evidence.Path(out[i]).String()
	}
	return out
}

// onlyAtStart reports whether the capability was observed, and only before the
// workload served.
func (d *decider) onlyAtStart(name string) bool {
	seen, later := false, false
	for _, f := range d.set.Facts {
		f, ok := f.(evidence.Capability)
		if !ok || f.Cap != name || f.Basis != evidence.Observed || d.dismiss(f) != "" {
			continue
		}
		seen = true
		later = later || f.Phase != evidence.Start
	}
	return seen && !later
}

// adviseUserNamespace says whether the capabilities work in a user namespace,
// where root is nobody on the host.
func (d *decider) adviseUserNamespace() {
	var not []string
	for _, c := range d.policy.Capabilities {
		if slices.Contains(hostOnly, c) {
			not = append(not, c)
		}
	}
	switch {
	case len(not) > 0:
		d.advise("no-user-namespace", "in a user namespace %s would be worth nothing", strings.Join(not, " "))
	case d.policy.Run.User.Root:
		d.advise("user-namespace", "nothing that is needed fails in a user namespace, where root is nobody on the host: podman run --userns=auto, Kubernetes hostUsers: false, dockerd --userns-remap")
	}
}

// warnOutside tells of what reaches beyond the container's own processes.
func (d *decider) warnOutside() {
	for _, f := range d.set.Facts {
		switch f := f.(type) {
		case evidence.Signal:
			if f.Peer == evidence.Outside && f.Phase != evidence.Runtime {
				d.adviseOnce("outside-processes", "the workload was seen to signal processes that are not its own: in a process namespace of its own they are not there")
			}
		case evidence.Ptrace:
			if f.Peer == evidence.Outside && f.Phase != evidence.Runtime {
				d.adviseOnce("outside-processes", "the workload was seen to look into processes that are not its own: in a process namespace of its own they are not there")
			}
		case evidence.FileAccess:
			if slices.Contains(engineSockets, string(f.Path)) && f.Phase != evidence.Runtime && f.Basis != evidence.Reachable {
				d.adviseOnce("engine-socket", "the workload was seen to use %s: whoever can talk to an engine is root on the host", f.Path)
			}
		}
	}
}

// engineSockets are where engines take orders.
var engineSockets = []string{
	"/var/run/docker.sock", "/run/docker.sock", "/run/containerd/containerd.sock", "/run/podman/podman.sock", "/run/crio/crio.sock",
}

func (d *decider) adviseOnce(code, format string, args ...any) {
	if !slices.ContainsFunc(d.policy.Run.Warnings, func(w Warning) bool { return w.Code == code }) {
		d.advise(code, format, args...)
	}
}
