package formats

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/profgen/profgen/gen/caps"
	"github.com/profgen/profgen/gen/policy"
)

func systemFormats() []format {
	return []format{
		{"systemd", "a drop-in for a systemd service that runs the workload: NAME.service.d/profgen.conf", renderSystemd,
			[]part{capabilities, noNewPrivs, seccompPart, apparmorPart, networkPart, ipcPart, pidsPart, memoryPart, filesPart, userPart, readOnlyPart, tmpfsPart, volumesPart, devicesPart}, ""},
		{"lxc", "lines for an LXC container's configuration", renderLXC,
			[]part{capabilities, noNewPrivs, seccompPart, apparmorPart, networkPart, pidsPart, memoryPart, filesPart, shmPart, userPart, readOnlyPart, tmpfsPart, cgroupNSPart}, ""},
		{"lxc-seccomp", "the seccomp profile in LXC's own form, for lxc.seccomp.profile", renderLXCSeccomp, nil, "seccomp"},
		{"landlock", "flags of landrun, which confines a program by Landlock and takes no root", renderLandlock, []part{networkPart}, ""},
	}
}

// allowed returns the names of the system calls that the profile allows, sorted,
// and those of them that it allows with some arguments only.
func allowed(s *specs.LinuxSeccomp) (names, narrowed []string) {
	whole, all := map[string]bool{}, map[string]bool{}
	for _, rule := range s.Syscalls {
		if rule.Action != specs.ActAllow {
			continue
		}
		for _, n := range rule.Names {
			all[n] = true
			whole[n] = whole[n] || len(rule.Args) == 0
		}
	}
	for n := range all {
		if !whole[n] {
			narrowed = append(narrowed, n)
		}
	}
	slices.Sort(narrowed)
	return slices.Sorted(maps.Keys(all)), narrowed
}

// renderSystemd writes what systemd.exec(5) and systemd.resource-control(5)
// have. Unlike an engine, systemd applies it to a program of the host.
func renderSystemd(d *document) error {
	r := d.Plan.Run
	names, narrowed := allowed(d.Seccomp)
	for _, l := range d.header() {
		d.line("# %s", l)
	}
	d.line("[Service]")
	d.line("NoNewPrivileges=yes")
	d.line("CapabilityBoundingSet=%s", strings.Join(d.Plan.Capabilities, " "))
	d.line("SystemCallArchitectures=native")
	d.line("SystemCallErrorNumber=ENOSYS")
	for rest := names; len(rest) > 0; {
		n := min(10, len(rest))
		d.line("SystemCallFilter=%s", strings.Join(rest[:n], " "))
		rest = rest[n:]
	}
	if len(narrowed) > 0 {
		d.warn("systemd-arguments", "SystemCallFilter= cannot look at arguments: %s are allowed with any", listed(narrowed))
	}
	d.warn("systemd-errno", "SystemCallErrorNumber= answers every call alike: those known and not needed answer ENOSYS too, not EPERM")
	if !d.WithoutAppArmor {
		d.line("AppArmorProfile=%s", d.Plan.Profile)
	}
	d.systemdNamespaces(names)
	if r.User.Name != "" {
		uid, gid, ok := strings.Cut(r.User.Name, ":")
		d.line("User=%s", uid)
		if ok {
			d.line("Group=%s", gid)
		}
	}
	d.systemdFiles()
	for _, l := range []struct {
		key string
		n   uint64
	}{{"TasksMax", r.Limits.Pids}, {"MemoryMax", r.Limits.Memory}, {"LimitNOFILE", r.Limits.Files}} {
		if l.n > 0 {
			d.line("%s=%d", l.key, l.n)
		}
	}
	return nil
}

// systemdNamespaces writes the namespaces, and what of the kernel's own
// interfaces nothing needs that has no capability for them.
func (d *document) systemdNamespaces(calls []string) {
	r := d.Plan.Run
	d.line("RestrictAddressFamilies=%s", d.families())
	if r.Network == policy.NoNetwork {
		d.line("PrivateNetwork=yes")
	}
	if r.IPC == policy.NoIPC {
		d.line("PrivateIPC=yes")
	}
	has := func(name string) bool { return slices.Contains(calls, name) }
	if has("unshare") || has("setns") {
		d.warn("systemd-namespaces", "the workload makes namespaces of its own: RestrictNamespaces= is left out")
	} else {
		d.line("RestrictNamespaces=yes")
	}
	for _, o := range []struct {
		unless []string // calls
		key    string
	}{
		{[]string{"personality"}, "LockPersonality"}, {[]string{"sched_setscheduler", "sched_setattr"}, "RestrictRealtime"},
		{[]string{"clock_settime", "adjtimex", "clock_adjtime"}, "ProtectClock"}, {[]string{"init_module", "finit_module"}, "ProtectKernelModules"},
		{[]string{"syslog"}, "ProtectKernelLogs"}, {[]string{"sethostname", "setdomainname"}, "ProtectHostname"},
	} {
		if !slices.ContainsFunc(o.unless, has) {
			d.line("%s=yes", o.key)
		}
	}
	d.line("ProtectControlGroups=yes")
	d.line("ProtectKernelTunables=yes")
}

// families are the address families of the sockets that may be opened.
func (d *document) families() string {
	set := map[string]bool{}
	for _, s := range d.Plan.Sockets {
		if s.Family == "" {
			return "~AF_PACKET AF_ALG AF_VSOCK"
		}
		set["AF_"+strings.ToUpper(s.Family)] = true
	}
	if len(set) == 0 {
		return "none"
	}
	return strings.Join(slices.Sorted(maps.Keys(set)), " ")
}

func (d *document) systemdFiles() {
	r := d.Plan.Run
	if r.ReadOnly {
		d.line("ProtectSystem=strict")
	}
	for _, v := range r.Volumes {
		d.line("ReadWritePaths=%s", v)
	}
	for _, t := range r.Tmpfs {
		options := strings.Join(caps.TmpfsOptions(t), ",")
		d.line("TemporaryFileSystem=%s:%s", t.Path, options)
	}
	if len(r.Devices) == 0 {
		d.line("PrivateDevices=yes")
		return
	}
	d.line("DevicePolicy=closed")
	for _, dev := range r.Devices {
		d.line("DeviceAllow=%s %s", dev.Path, dev.Access)
	}
}

// listed names the first few.
func listed(names []string) string {
	const most = 6
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d others", strings.Join(names[:most], ", "), len(names)-most)
}

// renderLXC writes lxc.container.conf(5).
func renderLXC(d *document) error {
	r := d.Plan.Run
	for _, l := range d.header() {
		d.line("# %s", l)
	}
	if !d.WithoutAppArmor {
		d.line("lxc.apparmor.profile = %s", d.Plan.Profile)
	}
	keep := "none"
	if len(d.Plan.Capabilities) > 0 {
		keep = strings.Join(lower(d.shortCapabilities()), " ")
	}
	d.line("lxc.cap.keep = %s", keep)
	d.line("lxc.no_new_privs = 1")
	d.line("lxc.seccomp.profile = %s", d.seccompPath("/etc/lxc/profgen/"+d.Plan.Profile+".seccomp"))
	if r.Network == policy.NoNetwork {
		d.line("lxc.net.0.type = empty")
	}
	if n := r.Limits.Pids; n > 0 {
		d.line("lxc.cgroup2.pids.max = %d\nlxc.cgroup.pids.max = %d", n, n)
	}
	if n := r.Limits.Memory; n > 0 {
		d.line("lxc.cgroup2.memory.max = %d\nlxc.cgroup.memory.limit_in_bytes = %d", n, n)
	}
	if n := r.Limits.Files; n > 0 {
		d.line("lxc.prlimit.nofile = %d", n)
	}
	if n := r.Limits.Shm; n > 0 && r.IPC == policy.PrivateIPC {
		d.line("lxc.mount.entry = tmpfs dev/shm tmpfs rw,nosuid,nodev,noexec,size=%s,create=dir 0 0", caps.Bytes(n))
	}
	if uid, gid, ok := strings.Cut(r.User.Name, ":"); uid != "" {
		d.line("lxc.init.uid = %s", uid)
		if ok {
			d.line("lxc.init.gid = %s", gid)
		}
	}
	if r.ReadOnly {
		d.line("lxc.rootfs.options = ro")
	}
	for _, t := range r.Tmpfs {
		d.line("lxc.mount.entry = tmpfs %s tmpfs %s,create=dir 0 0", strings.TrimPrefix(t.Path, "/"), strings.Join(caps.TmpfsOptions(t), ","))
	}
	d.warn("lxc-seccomp", "LXC has a form of its own for seccomp profiles: profgen flags --for lxc-seccomp writes the file that is named")
	return nil
}

// renderLXCSeccomp writes version 2 of LXC's form (src/lxc/seccomp.c). LXC makes
// a rule of several conditions as libseccomp does: all have to hold.
func renderLXCSeccomp(d *document) error {
	errno := uint(1)
	if d.Seccomp.DefaultErrnoRet != nil {
		errno = *d.Seccomp.DefaultErrnoRet
	}
	section, err := lxcSection(d.Seccomp.Architectures)
	if err != nil {
		return err
	}
	d.line("2\nallowlist errno %d\n%s", errno, section)
	for _, rule := range d.Seccomp.Syscalls {
		action := "allow"
		if rule.Action != specs.ActAllow {
			if rule.Action != specs.ActErrno || rule.ErrnoRet == nil {
				return fmt.Errorf("action %s of %s: LXC's form is for allow and errno", rule.Action, strings.Join(rule.Names, " "))
			}
			if *rule.ErrnoRet == errno {
				continue // as the default answers
			}
			action = fmt.Sprintf("errno %d", *rule.ErrnoRet)
		}
		conditions := ""
		for _, a := range rule.Args {
			if a.Op == specs.OpMaskedEqual {
				conditions += fmt.Sprintf(" [%d,%d,%s,%d]", a.Index, a.ValueTwo, a.Op, a.Value)
			} else {
				conditions += fmt.Sprintf(" [%d,%d,%s]", a.Index, a.Value, a.Op)
			}
		}
		for _, n := range rule.Names {
			d.line("%s %s%s", n, action, conditions)
		}
	}
	return nil
}

// renderLandlock writes flags of landrun (README, "Options"). Landlock knows
// files and TCP ports, and nothing else of a plan.
func renderLandlock(d *document) error {
	r := d.Plan.Run
	if r.ReadOnly {
		d.line("--rox=/")
		for _, t := range r.Tmpfs {
			flag := "--rw"
			if t.Exec {
				flag = "--rwx"
			}
			d.line("%s=%s", flag, t.Path)
		}
		for _, v := range r.Volumes {
			d.line("--rw=%s", v)
		}
		for _, dev := range append([]policy.Device{{Path: "/dev/null"}}, r.Devices...) {
			d.line("--rw=%s", dev.Path)
		}
		d.format.says = append(slices.Clone(d.format.says), readOnlyPart, tmpfsPart, volumesPart, devicesPart)
	} else {
		d.line("--unrestricted-filesystem")
		d.warn("landlock-files", "which files are written is not known: Landlock does not limit them")
	}
	if r.Network == policy.NoNetwork {
		d.warn("landlock-tcp", "Landlock refuses TCP, and no other sockets")
		return nil
	}
	if names, _ := allowed(d.Seccomp); slices.Contains(names, "connect") {
		d.line("--unrestricted-network")
		d.warn("landlock-network", "which ports are connected to is not known: Landlock does not limit them")
		return nil
	}
	for _, p := range r.Listens {
		if p.Protocol == "tcp" {
			d.line("--bind-tcp=%d", p.Number)
		}
	}
	return nil
}

// lxcSections are LXC's names of ABIs. [all] would let the 32-bit and x32 ABIs of
// a machine in as well.
var lxcSections = map[specs.Arch]string{specs.ArchX86_64: "[x86_64]", specs.ArchAARCH64: "[arm64]"}

// lxcSection is the ABI that rules are for: LXC takes the same rules for one or
// for all.
func lxcSection(arches []specs.Arch) (string, error) {
	if len(arches) == 1 && lxcSections[arches[0]] != "" {
		return lxcSections[arches[0]], nil
	}
	return "", fmt.Errorf("architectures %v: LXC's form is for x86-64 or arm64 alone", arches)
}
