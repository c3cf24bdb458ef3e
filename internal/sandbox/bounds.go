package sandbox

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Bounds are what holds a container beside its profiles, as an engine has it by
// flags. Zero values leave a thing as it is.
type Bounds struct {
	User string // uid[:gid] instead of the image's
	// OwnVolumes has the folders of the image's volumes be User's, as an operator has
	// them who starts it so. What the image has in them stays whose it is.
	OwnVolumes bool
	NoShm      bool   // no /dev/shm
	Pids       uint64 // tasks at most: pids.max
	Memory     uint64 // bytes at most: memory.max
	Files      uint64 // file descriptors of a process at most: RLIMIT_NOFILE
	Shm        uint64 // bytes in /dev/shm at most
	ReadOnly   bool   // the root file system cannot be written to
	Tmpfs      []specs.Mount
	// Volumes are folders that can be written to all the same. Each begins as the
	// image has it, and ends with the container.
	Volumes []string
	Devices []Device
}

// Device is a device of the host that the container may use.
type Device struct {
	Path   string
	Access string // letters of rwm
}

// apply puts the bounds into a runtime configuration.
func (b *Bounds) apply(spec *specs.Spec) error {
	if b == nil {
		return nil
	}
	b.applyLimits(spec)
	if b.User != "" {
		uid, gid, _ := strings.Cut(b.User, ":")
		spec.Process.User = specs.User{UID: id(uid), GID: id(gid)}
		spec.Process.Capabilities = capabilities(id(uid), spec.Process.Capabilities.Bounding)
	}
	own := func(n specs.LinuxNamespace) bool { return n.Type == specs.CgroupNamespace }
	if !slices.ContainsFunc(spec.Linux.Namespaces, own) {
		spec.Linux.Namespaces = append(spec.Linux.Namespaces, specs.LinuxNamespace{Type: specs.CgroupNamespace})
	}
	spec.Root.Readonly = spec.Root.Readonly || b.ReadOnly
	for i, m := range spec.Mounts {
		if m.Destination == "/dev/shm" && b.Shm > 0 {
			options := slices.DeleteFunc(slices.Clone(m.Options), func(o string) bool { return strings.HasPrefix(o, "size=") })
			spec.Mounts[i].Options = append(options, fmt.Sprintf("size=%d", b.Shm))
		}
	}
	if b.NoShm {
		spec.Mounts = slices.DeleteFunc(spec.Mounts, func(m specs.Mount) bool { return m.Destination == "/dev/shm" })
	}
	spec.Mounts = append(spec.Mounts, b.Tmpfs...)
	for _, v := range b.Volumes {
		spec.Mounts = append(spec.Mounts, specs.Mount{Destination: v, Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "nodev", "tmpcopyup"}})
	}
	if len(b.Tmpfs)+len(b.Volumes) > 0 {
		slices.SortStableFunc(spec.Mounts, func(a, b specs.Mount) int { return depth(a.Destination) - depth(b.Destination) })
	}
	return b.applyDevices(spec)
}

// depth orders mounts so that none hides another.
func depth(name string) int { return strings.Count(path.Clean(name), "/") }

func id(s string) uint32 {
	n, _ := strconv.ParseUint(s, 10, 32) // "" is 0
	return uint32(n)
}

func (b *Bounds) applyLimits(spec *specs.Spec) {
	if spec.Linux.Resources == nil {
		spec.Linux.Resources = &specs.LinuxResources{}
	}
	if b.Pids > 0 {
		n := int64(b.Pids)
		spec.Linux.Resources.Pids = &specs.LinuxPids{Limit: &n}
	}
	if b.Memory > 0 {
		n := int64(b.Memory)
		spec.Linux.Resources.Memory = &specs.LinuxMemory{Limit: &n}
	}
	if b.Files > 0 {
		n := b.Files
		var own unix.Rlimit
		if unix.Getrlimit(unix.RLIMIT_NOFILE, &own) == nil {
			n = min(n, own.Max) // what is above takes CAP_SYS_RESOURCE
		}
		spec.Process.Rlimits = append(spec.Process.Rlimits, specs.POSIXRlimit{Type: "RLIMIT_NOFILE", Soft: n, Hard: n})
	}
}

func (b *Bounds) applyDevices(spec *specs.Spec) error {
	for _, d := range b.Devices {
		var st unix.Stat_t
		if err := unix.Stat(d.Path, &st); err != nil {
			return fmt.Errorf("device %s: %w", d.Path, err)
		}
		kind := map[uint32]string{unix.S_IFCHR: "c", unix.S_IFBLK: "b"}[st.Mode&unix.S_IFMT]
		if kind == "" {
			return fmt.Errorf("device %s: it is none on this host", d.Path)
		}
		major, minor := int64(unix.Major(uint64(st.Rdev))), int64(unix.Minor(uint64(st.Rdev)))
		spec.Linux.Devices = append(spec.Linux.Devices, specs.LinuxDevice{Path: d.Path, Type: kind, Major: major, Minor: minor})
		spec.Linux.Resources.Devices = append(spec.Linux.Resources.Devices,
			specs.LinuxDeviceCgroup{Allow: true, Type: kind, Major: &major, Minor: &minor, Access: d.Access})
	}
	return nil
}
