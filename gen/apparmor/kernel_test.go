package apparmor_test

import (
	"math/rand/v2"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/profgen/profgen/gen/apparmor"
	"github.com/profgen/profgen/gen/policy"
	"github.com/profgen/profgen/internal/abi"
)

// These tests compile a profile and ask the result what the kernel would ask.

// docker-default protects these. Ours must, on every kernel.
func TestProtectsWhatDockerDefaultProtects(t *testing.T) {
	denied := map[string]uint32{
		"/proc/uptime":                             mayWrite,
		"/proc/sysrq-trigger":                      mayWrite,
		"/proc/irq/0/smp_affinity":                 mayWrite,
		"/proc/bus/pci/00/00.0":                    mayWrite,
		"/proc/scsi/scsi":                          mayWrite,
		"/proc/sysvipc/shm":                        mayWrite,
		"/proc/fs/xfs/stat":                        mayWrite,
		"/proc/s/x":                                mayWrite,
		"/proc/sy/x":                               mayWrite,
		"/proc/self2/x":                            mayWrite,
		"/proc/system/x":                           mayWrite,
		"/proc/0/x":                                mayWrite,
		"/proc/sys/vm/drop_caches":                 mayWrite,
		"/proc/sys/net/ipv4/ip_forward":            mayWrite,
		"/proc/sys/fs/binfmt_misc/register":        mayWrite,
		"/proc/sys/kernel/core_pattern":            mayWrite,
		"/proc/sys/kernel/modprobe":                mayWrite,
		"/proc/sys/kernel/domainname":              mayWrite, // from here on beyond docker-default
		"/proc/sys/kernel/sem":                     mayWrite,
		"/proc/sys/kernel/sysrq":                   mayWrite,
		"/proc/sys/kernel/yama/ptrace_scope":       mayWrite,
		"/proc/sys/kernel/seccomp/actions_logged":  mayWrite,
		"/proc/sys/keys/x":                         mayWrite,
		"/proc/sys/kernel/sh":                      mayWrite,
		"/sys/kernel/mm/transparent_hugepage/x":    mayWrite,
		"/sys/kernel/uevent_helper":                mayWrite,
		"/sys/fs/bpf/prog":                         mayWrite,
		"/sys/fs/selinux/load":                     mayWrite,
		"/sys/fs/cgroups/x":                        mayWrite,
		"/sys/class/net/eth0/mtu":                  mayLock,
		"/sys/kernel/notes":                        mayExec,
		"/sys/firmware/efi/efivars/x":              mayRead,
		"/sys/devices/virtual/powercap/energy_uj":  mayRead,
		"/sys/kernel/security/apparmor/.replace":   mayRead,
		"/proc/kcore":                              mayRead,
		"/sys/kernel/security/apparmor/profiles":   mayWrite,
		"/proc/sys/kernel/random/write_wakeup_thr": mayWrite,
	}
	allowed := map[string]uint32{
		"/":                               mayRead,
		"/etc/passwd":                     mayRead | mayWrite,
		"/usr/bin/sh":                     mayRead | mayExec | mayMap,
		"/proc/1/oom_score_adj":           mayRead | mayWrite,
		"/proc/12345/task/12346/comm":     mayWrite,
		"/proc/999/attr/current":          mayWrite,
		"/proc/kallsyms":                  mayRead,
		"/proc/sys/kernel/core_pattern":   mayRead,
		"/proc/sys/kernel/shmmax":         mayRead | mayWrite,
		"/proc/sys/kernel/shm_rmid_force": mayWrite,
		"/sys/fs/cgroup/cgroup.procs":     mayRead | mayWrite,
		"/sys/fs/cgroup/memory/x/tasks":   mayWrite,
		"/sys/class/net/eth0/mtu":         mayRead,
		"/process/x":                      mayWrite,
		"/system/x":                       mayWrite,
	}
	for _, kernel := range kernels() {
		c := readCompiled(t, findParser(t).compile(t, kernel, render(t, policy.Policy{Name: "p"}, apparmor.Options{})))
		for path, perms := range denied {
			if c.may(path, perms) {
				t.Errorf("%s: %s: %#x is allowed", kernel, path, perms)
			}
		}
		if c.mayLink("/sys/module/x", "/etc/x") || c.mayLink("/proc/kcore", "/etc/x") {
			t.Errorf("%s: links in /sys or /proc are allowed", kernel)
		}
		if !c.mayLink("/etc/y", "/etc/x") {
			t.Errorf("%s: links elsewhere are refused", kernel)
		}
		for path, perms := range allowed {
			if !c.may(path, perms) {
				t.Errorf("%s: %s: %#x is refused", kernel, path, perms)
			}
		}
	}
}

// The compiled profile's capabilities must be the policy's, bit for bit.
func TestCapabilitiesAreExact(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for n := range 30 {
		var p policy.Policy
		p.Name = "p"
		var want uint64
		for nr, name := range abi.Capabilities() {
			if n == 1 || n > 1 && rng.IntN(3) == 0 {
				p.Capabilities = append(p.Capabilities, name)
				want |= 1 << nr
			}
		}
		for _, kernel := range kernels() {
			c := readCompiled(t, findParser(t).compile(t, kernel, render(t, p, apparmor.Options{})))
			if c.caps != want {
				t.Errorf("%s: compiled %#x, want %#x", kernel, c.caps, want)
			}
		}
	}
}

// The compiled profile must allow the policy's sockets and no others, out of
// all that a kernel has.
func TestSocketsAreExact(t *testing.T) {
	p := policy.Policy{Name: "p", Network: []policy.Network{
		{Family: "inet", Type: "stream"}, {Family: "inet6", Type: "dgram"}, {Family: "unix", Type: "seqpacket"}, {Family: "netlink", Type: "raw"}, {Family: "packet", Type: "packet"},
	}}
	want := map[[2]uint16]bool{
		{unix.AF_INET, unix.SOCK_STREAM}: true, {unix.AF_INET6, unix.SOCK_DGRAM}: true, {unix.AF_UNIX, unix.SOCK_SEQPACKET}: true,
		{unix.AF_NETLINK, unix.SOCK_RAW}: true, {unix.AF_PACKET, unix.SOCK_PACKET}: true,
	}
	for _, kernel := range kernels() {
		c := readCompiled(t, findParser(t).compile(t, kernel, render(t, p, apparmor.Options{})))
		for family := range uint16(64) {
			for kind := range uint16(16) {
				if got := c.maySocket(family, kind); got != want[[2]uint16{family, kind}] {
					t.Errorf("%s: family %d type %d: allowed %t", kernel, family, kind, got)
				}
			}
		}
	}
}
