package runconfig

import "github.com/profgen/profgen/gen/findings"

const (
	dockerSecurity = "https://docs.docker.com/engine/security/"
	podSecurity    = "https://kubernetes.io/docs/concepts/security/pod-security-standards/"
)

var (
	privileged = findings.Rule{ID: "run-privileged", Severity: findings.Error, Source: podSecurity,
		Summary: "a privileged container is root on the host", Remedy: "give it the capabilities and devices that it needs instead: profgen record finds them"}
	engineSocket = findings.Rule{ID: "run-engine-socket", Severity: findings.Error, Source: dockerSecurity + "#docker-daemon-attack-surface",
		Summary: "who can talk to an engine is root on the host", Remedy: "leave the socket out, or put a proxy between that lets through only what is needed"}
	hostRoot = findings.Rule{ID: "run-host-root", Severity: findings.Error, Source: dockerSecurity + "#docker-daemon-attack-surface",
		Summary: "the host's whole file system is in the container", Remedy: "mount the folders that it needs, read-only if it only reads"}
	sensitiveMount = findings.Rule{ID: "run-sensitive-mount", Severity: findings.Error, Source: podSecurity,
		Summary: "a folder of the host is mounted that gives power over it, or its secrets", Remedy: "mount the files that it needs, read-only"}
	writableSystem = findings.Rule{ID: "run-writable-system", Severity: findings.Warning, Source: podSecurity,
		Summary: "a part of the host's system can be written to", Remedy: "mount it read-only"}
	hostNamespace = findings.Rule{ID: "run-host-namespace", Severity: findings.Error, Source: podSecurity,
		Summary: "a namespace that separates it from the host is the host's", Remedy: "leave the namespace its own; publish the ports that it serves"}
	hostNamespaceMinor = findings.Rule{ID: "run-host-namespace-minor", Severity: findings.Warning, Source: podSecurity,
		Summary: "a lesser namespace is the host's", Remedy: "leave the namespace its own"}
	unconfined = findings.Rule{ID: "run-unconfined", Severity: findings.Error, Source: podSecurity,
		Summary: "a protection that engines have on by default is switched off", Remedy: "leave it on, or give it a profile: profgen record makes one"}
	powerfulCapability = findings.Rule{ID: "run-capability", Severity: findings.Error, Source: "capabilities(7)",
		Summary: "a capability is added with which a container can take over the host", Remedy: "find out what it is needed for: profgen record, then profgen why"}
	capabilitiesKept = findings.Rule{ID: "run-capabilities-kept", Severity: findings.Warning, Source: dockerSecurity + "#linux-kernel-capabilities",
		Summary: "the default capabilities are not dropped", Remedy: "drop ALL and add what is needed: profgen record finds out"}
	newPrivileges = findings.Rule{ID: "run-new-privileges", Severity: findings.Warning, Source: podSecurity,
		Summary: "programs may gain privileges on exec", Remedy: "set no-new-privileges (Kubernetes: allowPrivilegeEscalation: false)"}
	dangerousDevice = findings.Rule{ID: "run-device", Severity: findings.Error, Source: "mem(4), kmsg(4)",
		Summary: "a device gives the host's memory, disks or kernel log", Remedy: "leave it out, or give a device of its own"}
	noMemoryLimit = findings.Rule{ID: "run-no-memory-limit", Severity: findings.Warning, Source: dockerSecurity + "#control-groups",
		Summary: "memory is not limited", Remedy: "set a limit: profgen record measures what it takes"}
	noPidsLimit = findings.Rule{ID: "run-no-pids-limit", Severity: findings.Warning, Source: dockerSecurity + "#control-groups",
		Summary: "the number of tasks is not limited", Remedy: "set a limit: profgen record measures what it takes"}
	imageTag = findings.Rule{ID: "run-image-tag", Severity: findings.Warning, Source: dockerSecurity,
		Summary: "the image is not pinned by its digest", Remedy: "name it NAME@sha256:...; a profile is of one image"}
	daemonTCP = findings.Rule{ID: "run-daemon-tcp", Severity: findings.Error, Source: dockerSecurity + "protect-access/",
		Summary: "an engine is reached over TCP without TLS", Remedy: "use TLS with client certificates, or SSH"}
)

// engineUsed is about a workload, as it was recorded.
var engineUsed = findings.Rule{ID: "run-engine-used", Severity: findings.Error, Source: dockerSecurity + "#docker-daemon-attack-surface",
	Summary: "the workload was seen to talk to an engine, which makes it root on the host", Remedy: "run it with as much care as anything that is root on the host, or put a proxy between"}

// EngineUsed is the finding about a profile directory's file that says so.
func EngineUsed(file, sentence string) findings.Finding {
	return engineUsed.Of(findings.Location{File: file}, "%s", sentence)
}

// Rules lists every rule, by ID.
func Rules() []findings.Rule {
	return []findings.Rule{
		capabilitiesKept, powerfulCapability, daemonTCP, dangerousDevice, engineSocket, engineUsed, hostNamespace, hostNamespaceMinor, hostRoot,
		imageTag, newPrivileges, noMemoryLimit, noPidsLimit, privileged, sensitiveMount, unconfined, writableSystem,
	}
}

// socketFolders are where engines' sockets lie.
var socketFolders = []string{"/run", "/var/run", "/run/containerd", "/var/run/containerd", "/run/podman", "/var/run/podman", "/run/crio", "/var/run/crio"}

// sensitive are folders that are dangerous as a whole, also to read; what lies in
// them may be harmless.
var sensitive = []string{"/etc", "/proc", "/dev", "/sys", "/var", "/home", "/boot"}

// secret are folders of which every part is.
var secret = []string{
	"/root", "/etc/shadow", "/etc/kubernetes", "/etc/ssh", "/var/lib/docker", "/var/lib/containerd", "/var/lib/containers", "/var/lib/kubelet",
	"/var/lib/etcd", "/proc/sys", "/proc/1", "/sys/kernel/security", "/sys/fs/cgroup/release_agent",
}

// systemFolders may be read but not written to.
var systemFolders = []string{"/bin", "/boot", "/etc", "/lib", "/lib64", "/sbin", "/sys", "/usr"}

var dangerousDevices = []string{"/dev/mem", "/dev/kmem", "/dev/port", "/dev/kmsg", "/dev/sd", "/dev/nvme", "/dev/vd", "/dev/xvd", "/dev/dm-", "/dev/mapper", "/dev/disk"}

// powerful are the capabilities that are as good as root on the host, or that
// let a container listen in on others: capabilities(7).
var powerful = map[string]string{
	"ALL":             "that is all of them",
	"BPF":             "it can load programs into the kernel",
	"DAC_READ_SEARCH": "it can open any file of the host by its handle",
	"MAC_ADMIN":       "it can change what AppArmor and SELinux allow",
	"MAC_OVERRIDE":    "it is exempt from mandatory access control",
	"NET_ADMIN":       "it can change addresses, routes and firewall rules",
	"PERFMON":         "it can read the kernel's memory by tracing",
	"SYSLOG":          "it can read kernel addresses",
	"SYS_ADMIN":       "it can mount, and most else that root can",
	"SYS_BOOT":        "it can reboot the host, or load another kernel",
	"SYS_MODULE":      "it can load kernel modules",
	"SYS_PTRACE":      "it can take over processes that it sees",
	"SYS_RAWIO":       "it can write to the host's memory and disks",
	"SYS_TIME":        "it can set the host's clock",
}
