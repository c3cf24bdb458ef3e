package policy

import (
	"maps"
	"slices"
	"strings"

	"github.com/profgen/profgen/gen/evidence"
)

// decideSysctls says how the workload gets the settings of the kernel that it was
// seen to write, or to try in vain: the files of /proc/sys are read-only in a
// container, and engines write those of its own namespaces before it starts.
// What was written is not in the evidence.
func (d *decider) decideSysctls() {
	own, host := map[string]bool{}, map[string]bool{}
	for _, f := range d.writes("/proc/sys") {
		name := strings.ReplaceAll(strings.TrimPrefix(f, "/proc/sys/"), "/", ".")
		if namespaced(name) {
			own[name] = true
		} else {
			host[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(own)) {
		d.decide("--sysctl="+name, false, "the workload writes it, and /proc/sys is read-only; the value is for you to give, since a recording does not see what is written")
		d.advise("sysctl", "the workload writes %s, which it cannot in a container: start it with --sysctl %s=VALUE", name, name)
	}
	for _, name := range slices.Sorted(maps.Keys(host)) {
		d.decide("--sysctl="+name, false, "it is the whole host's: no engine sets it for one container")
		d.advise("sysctl-host", "the workload writes %s, which is the whole host's: no container gets to set it; set it on the host if it is needed", name)
	}
}

// namespaced reports whether each container has a setting of its own of that name,
// which engines then set by --sysctl: docker-run(1) and podman-run(1),
// "--sysctl"; namespaces(7). A network's have to be its own: not --network host.
func namespaced(name string) bool {
	for _, prefix := range []string{"net.", "fs.mqueue.", "kernel.shm", "kernel.msg"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return name == "kernel.sem" || name == "kernel.domainname"
}

// writes lists what the workload wrote at a path or below it, or tried to.
func (d *decider) writes(at string) []string {
	var out []string
	for _, f := range d.set.Facts {
		f, ok := f.(evidence.FileAccess)
		if ok && f.Kind != evidence.Directory && f.Phase != evidence.Runtime && f.Basis != evidence.Reachable && f.Errno != "ENOENT" &&
			strings.ContainsAny(f.Perms, "wa") && within(string(f.Path), at) {
			out = append(out, f.Path.String())
		}
	}
	return out
}

// masked are what engines hide from containers by empty files and folders, and
// readOnly what they let be read: moby, oci/defaults.go; containers/common,
// pkg/config/default.go. The settings in /proc/sys are a matter of their own.
var (
	masked = []string{
		"/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/sched_debug",
		"/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/sys/devices/virtual/powercap", "/sys/firmware", "/sys/fs/selinux", "/sys/dev/block",
	}
	readOnly = []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sysrq-trigger", "/sys"}
)

// adviseMasked tells of uses of what engines mask: the workload finds nothing
// there.
func (d *decider) adviseMasked() {
	found := map[string]bool{}
	for _, f := range d.set.Facts {
		f, ok := f.(evidence.FileAccess)
		if !ok || f.Phase == evidence.Runtime || f.Basis == evidence.Reachable || f.Errno == "ENOENT" {
			continue
		}
		for _, at := range masked {
			if within(string(f.Path), at) {
				found[at] = true
			}
		}
	}
	if len(found) > 0 {
		d.advise("masked-path", "the workload uses %s, which engines mask: it finds nothing there, and no flag given here changes that", joinWords(slices.Sorted(maps.Keys(found))))
	}
	var refused []string
	for _, at := range readOnly {
		refused = append(refused, d.writes(at)...)
	}
	if len(refused) > 0 {
		slices.Sort(refused)
		d.advise("read-only-path", "the workload writes to %s, which engines make read-only: it cannot in a container", listFew(slices.Compact(refused)))
	}
}

// within reports whether a path is at, or below it.
func within(p, at string) bool { return p == at || strings.HasPrefix(p, at+"/") }
