package sandbox

import (
	"cmp"
	"path"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/profgen/profgen/internal/abi"
	"github.com/profgen/profgen/internal/image"
)

// Confinement is what a container is confined by, besides no-new-privileges.
type Confinement struct {
	Seccomp *specs.LinuxSeccomp // nil is no filter
	// Capabilities (CAP_*) are all that the container can ever have: its bounding
	// set. An empty list is the empty set. nil leaves a bundle its own; an image
	// has none of its own.
	Capabilities []string
	Added        []string // beside those, whichever they are
	// AppArmor names the profile that binds the container, which has to be in force.
	// "" leaves a bundle its own; an image has none of its own.
	AppArmor string
	Bounds   *Bounds // nil sets none
}

// bounding returns the bounding set, where own is the container's own one.
func (c Confinement) bounding(own []string) []string {
	if c.Capabilities != nil {
		own = c.Capabilities
	}
	return union(own, c.Added)
}

// narrow returns the capabilities of a bundle's process. If the bundle does not
// keep its own, root holds the whole bounding set, and another user what the
// bundle gives it, as far as that is in there.
func (c Confinement) narrow(uid uint32, own *specs.LinuxCapabilities) *specs.LinuxCapabilities {
	if own == nil {
		own = &specs.LinuxCapabilities{}
	}
	bounding := c.bounding(own.Bounding)
	if c.Capabilities != nil && uid == 0 {
		return capabilities(uid, bounding)
	}
	held := c.Added
	if uid != 0 {
		held = nil
	}
	left := func(set []string) []string {
		return slices.DeleteFunc(slices.Clone(set), func(name string) bool {
			return c.Capabilities != nil && !slices.Contains(bounding, name)
		})
	}
	return &specs.LinuxCapabilities{
		Bounding: bounding, Inheritable: left(own.Inheritable), Ambient: left(own.Ambient),
		Effective: union(left(own.Effective), held), Permitted: union(left(own.Permitted), held),
	}
}

// union returns a new set with what is in either.
func union(a, b []string) []string {
	out := slices.Concat(a, b)
	slices.Sort(out)
	return slices.Compact(out)
}

// AllowAll is a seccomp filter that allows everything: under it a recording
// begins exactly where a real filter would begin to bind. It lists every ABI
// of the kernel, for libseccomp kills calls of any other.
func AllowAll(native abi.Arch) *specs.LinuxSeccomp { return all(native, specs.ActAllow) }

// LogAll is one that has the kernel's audit log every call besides.
func LogAll(native abi.Arch) *specs.LinuxSeccomp { return all(native, specs.ActLog) }

func all(native abi.Arch, act specs.LinuxSeccompAction) *specs.LinuxSeccomp {
	s := &specs.LinuxSeccomp{
		DefaultAction: act,
		// A rule that changes nothing, since runtimes load no filter without one.
		Syscalls: []specs.LinuxSyscall{{Names: []string{"getpid"}, Action: act}},
	}
	for _, a := range abi.Arches() {
		if row, _ := a.Row(); row.Native == native {
			s.Architectures = append(s.Architectures, row.SCMP)
		}
	}
	return s
}

// process is who runs in a container, resolved against its root file system.
type process struct {
	argv   []string
	uid    uint32
	gid    uint32
	groups []uint32
}

const defaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// newSpec makes the runtime configuration of a container from an image's: the
// namespaces, mounts and masked paths that Docker gives it.
func newSpec(cfg image.Config, p process, rootfs string, c Confinement, hostNetwork bool, files []specs.Mount) *specs.Spec {
	env := slices.Clone(cfg.Env)
	if !slices.ContainsFunc(env, func(e string) bool { return strings.HasPrefix(e, "PATH=") }) {
		env = append(env, defaultPath)
	}
	namespaces := []specs.LinuxNamespace{
		{Type: specs.PIDNamespace}, {Type: specs.MountNamespace}, {Type: specs.IPCNamespace}, {Type: specs.UTSNamespace},
	}
	if !hostNetwork {
		namespaces = append(namespaces, specs.LinuxNamespace{Type: specs.NetworkNamespace})
	}
	return &specs.Spec{
		Version:  "1.0.2",
		Hostname: "profgen",
		Root:     &specs.Root{Path: rootfs},
		Process: &specs.Process{
			Args: p.argv, Env: env, Cwd: path.Join("/", cmp.Or(cfg.WorkingDir, "/")),
			User:            specs.User{UID: p.uid, GID: p.gid, AdditionalGids: p.groups},
			Capabilities:    capabilities(p.uid, c.bounding(nil)),
			NoNewPrivileges: true,
			ApparmorProfile: c.AppArmor,
		},
		Mounts: append(mounts(hostNetwork && OwnUserNS()), files...),
		Linux: &specs.Linux{
			Namespaces:    namespaces,
			Seccomp:       c.Seccomp,
			MaskedPaths:   maskedPaths(),
			ReadonlyPaths: []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"},
			Resources:     &specs.LinuxResources{Devices: []specs.LinuxDeviceCgroup{{Allow: false, Access: "rwm"}}},
		},
	}
}

// capabilities gives root the whole bounding set and other users nothing to
// start with, as Docker does.
func capabilities(uid uint32, bounding []string) *specs.LinuxCapabilities {
	held := bounding
	if uid != 0 {
		held = nil
	}
	return &specs.LinuxCapabilities{Bounding: bounding, Effective: held, Permitted: held}
}

// mounts are the mounts of a container. Where the network, and so what of it shows
// in /sys, is another user namespace's, /sys is the host's.
func mounts(foreignNetwork bool) []specs.Mount {
	sys := specs.Mount{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"nosuid", "noexec", "nodev", "ro"}}
	if foreignNetwork {
		sys.Type, sys.Source, sys.Options = "bind", "/sys", append(sys.Options, "rbind")
	}
	return []specs.Mount{
		{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "noexec", "nodev"}},
		{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
		{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
		sys,
		{Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup", Options: []string{"nosuid", "noexec", "nodev", "relatime", "ro"}},
		{Destination: "/dev/mqueue", Type: "mqueue", Source: "mqueue", Options: []string{"nosuid", "noexec", "nodev"}},
		{Destination: "/dev/shm", Type: "tmpfs", Source: "shm", Options: []string{"nosuid", "noexec", "nodev", "mode=1777", "size=67108864"}},
	}
}

func maskedPaths() []string {
	return []string{
		"/proc/asound", "/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
		"/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi",
		"/sys/firmware", "/sys/devices/virtual/powercap",
	}
}
