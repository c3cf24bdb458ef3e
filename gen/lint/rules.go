package lint

import "github.com/profgen/profgen/gen/findings"

const (
	manSeccomp = "https://man7.org/linux/man-pages/man2/seccomp.2.html"
	ociSeccomp = "https://github.com/opencontainers/runtime-spec/blob/main/config-linux.md#seccomp"
	scmpRule   = "https://man7.org/linux/man-pages/man3/seccomp_rule_add.3.html"
	dockerDocs = "https://docs.docker.com/engine/security/seccomp/"
	armorMan   = "https://manpages.debian.org/bookworm/apparmor/apparmor.d.5.en.html"
	capsMan    = "https://man7.org/linux/man-pages/man7/capabilities.7.html"
)

func rule(id string, s findings.Severity, summary, remedy, source string) findings.Rule {
	return findings.Rule{ID: id, Severity: s, Summary: summary, Remedy: remedy, Source: source}
}

// The rules about seccomp profiles.
var (
	defaultAllow    = rule("seccomp-default-allow", findings.Error, "what no rule names is allowed", "list what is needed and answer the rest with SCMP_ACT_ERRNO: every new kernel brings calls that a deny-list does not have", manSeccomp)
	defaultLog      = rule("seccomp-default-log", findings.Error, "the default logs and refuses nothing", "set defaultAction to SCMP_ACT_ERRNO once the log is read", manSeccomp)
	killThread      = rule("seccomp-kill-thread", findings.Warning, "a thread is killed and its process left behind", "use SCMP_ACT_KILL_PROCESS or SCMP_ACT_ERRNO: a process that misses a thread hangs", manSeccomp)
	fallbackEPERM   = rule("seccomp-fallback-eperm", findings.Error, "a new call that libc falls back from is refused by something else than ENOSYS", "answer it with ENOSYS (errnoRet 38), or make that the defaultErrnoRet: libc falls back on ENOSYS only", "https://github.com/opencontainers/runc/issues/2151")
	fallbackMissing = rule("seccomp-fallback-missing", findings.Note, "a new call is allowed and the one that libc falls back to is not", "allow both: on a kernel without the new one the old one is made", ociSeccomp)
	compare64       = rule("seccomp-compare-64", findings.Error, "a refused value gets through with something in the high half of the argument", "compare with SCMP_CMP_MASKED_EQ and mask 4294967295: filters compare 64 bits, of this argument the kernel sees 32", scmpRule)
	sameIndex       = rule("seccomp-same-index", findings.Error, "two conditions on one argument in one rule are alternatives", "make them two rules if either is meant; one rule cannot hold both, but SCMP_CMP_MASKED_EQ can look at several bits", "https://github.com/opencontainers/runc/blob/main/libcontainer/seccomp/seccomp_linux.go")
	ruleIsDefault   = rule("seccomp-rule-is-default", findings.Note, "a rule that says what the default says", "remove it: runtimes skip it", "https://github.com/opencontainers/runc/blob/main/libcontainer/seccomp/seccomp_linux.go")
	conditionVoid   = rule("seccomp-condition-void", findings.Error, "conditions without effect: another rule is about the call whatever its arguments", "remove the rule without conditions, or the one with", scmpRule)
	maskDatum       = rule("seccomp-mask-datum", findings.Warning, "bits to compare that the mask leaves out", "widen the mask or clear the bits: libseccomp overlooks them", scmpRule)
	neverMask       = rule("seccomp-mask-empty", findings.Error, "a condition that looks at no bit always holds", "give the mask as value and what to compare with as valueTwo", scmpRule)
	errnoZero       = rule("seccomp-errno-zero", findings.Error, "refused calls that claim to have succeeded", "give an errno: programs go on as if it had been done", manSeccomp)
	notifyListener  = rule("seccomp-notify-listener", findings.Error, "SCMP_ACT_NOTIFY without anybody to notify", "set listenerPath: runtimes refuse such a profile", ociSeccomp)
	traceTracer     = rule("seccomp-trace", findings.Warning, "SCMP_ACT_TRACE answers ENOSYS where no tracer is attached, and whatever a tracer says where one is", "use SCMP_ACT_ERRNO or SCMP_ACT_ALLOW", manSeccomp)
	specAllow       = rule("seccomp-spec-allow", findings.Warning, "mitigations of speculation are turned off", "remove SECCOMP_FILTER_FLAG_SPEC_ALLOW from flags", manSeccomp)
	unknownCall     = rule("seccomp-unknown-call", findings.Warning, "a name that no kernel has", "correct the spelling: runtimes skip the name without a word", ociSeccomp)
	unknownKey      = rule("seccomp-unknown-key", findings.Warning, "a key that nobody reads", "correct the spelling, or begin it with x-", ociSeccomp)
	noNames         = rule("seccomp-no-names", findings.Error, "a rule about no call", "give names", ociSeccomp)
	missingBasics   = rule("seccomp-missing-basics", findings.Error, "what every process needs is refused", "allow it: signals cannot return and processes cannot end without", manSeccomp)
	missingFloor    = rule("seccomp-runtime-floor", findings.Error, "what the OCI runtime does under the filter is refused", "allow it: containers do not start, or only now and then", "https://github.com/moby/moby/issues/22252")
	x32             = rule("seccomp-x32", findings.Warning, "the x32 ABI is let in, which next to nothing uses", "remove SCMP_ARCH_X32 from architectures", "https://nvd.nist.gov/vuln/detail/CVE-2014-0038")
	socketcall      = rule("seccomp-socketcall", findings.Error, "32-bit programs get around the filter on sockets by socketcall, whose arguments lie in memory", "remove SCMP_ARCH_X86 from architectures, or socketcall from what is allowed", "https://man7.org/linux/man-pages/man2/socketcall.2.html")
	clone3Hole      = rule("seccomp-clone3", findings.Error, "clone3 gets around the filter on namespaces of clone: its flags lie in memory", "answer clone3 with ENOSYS: libc then takes clone", "https://github.com/moby/moby/pull/42681")
	wider           = rule("seccomp-wider-than-default", findings.Warning, "wider than the engine's own default profile", "see whether it is needed; profgen why DIR NAME says it of recorded profiles", dockerDocs)
	dangerous       = rule("seccomp-dangerous-call", findings.Error, "a call that containers break out by, and that the engine's default refuses", "remove it unless the workload is known to need it", dockerDocs)

	archMapIgnored   = rule("seccomp-archmap-ignored", findings.Warning, "archMap does not exist for containerd", "list architectures: only the native one is let in otherwise", ociSeccomp)
	conditionIgnored = rule("seccomp-includes-ignored", findings.Error, "a rule that depends on the host, and for its reader does not", "write the plain form: containerd overlooks includes and excludes, Podman minKernel, and the rule always applies", ociSeccomp)
	nameIgnored      = rule("seccomp-name-ignored", findings.Error, "name does not exist for containerd", "use names", ociSeccomp)
	errnoIgnored     = rule("seccomp-errno-ignored", findings.Warning, "errors by name exist for Podman and CRI-O only", "give defaultErrnoRet and errnoRet: others answer EPERM", ociSeccomp)
)

// The rules about AppArmor profiles.
var (
	armorUnconfined = rule("apparmor-unconfined", findings.Error, "a profile that refuses nothing", "remove the flag", armorMan)
	armorComplain   = rule("apparmor-complain", findings.Warning, "complain mode logs and refuses nothing", "remove the flag once the log is read", armorMan)
	complainDeny    = rule("apparmor-complain-deny", findings.Warning, "deny rules are enforced in complain mode, and not logged", "remove them while complaining", armorMan)
	armorExec       = rule("apparmor-exec-unconfined", findings.Error, "programs run without any profile", "use ix: they keep the profile", armorMan)
	armorTransition = rule("apparmor-exec-transition", findings.Warning, "a change of profile on exec fails under no-new-privileges", "use ix, or run without no-new-privileges", armorMan)
	armorKernel     = rule("apparmor-kernel-files", findings.Error, "files are open by which the kernel is changed", "deny them, as docker-default does", "https://github.com/moby/profiles/blob/main/apparmor/template.go")
	armorMount      = rule("apparmor-mount", findings.Error, "mounts are allowed", "deny mount, as docker-default does", "https://github.com/moby/profiles/blob/main/apparmor/template.go")
	armorPtrace     = rule("apparmor-ptrace", findings.Warning, "ptrace of any process, whatever its profile", "name the profile as peer", armorMan)
	armorChange     = rule("apparmor-change-profile", findings.Error, "a process may choose its profile", "remove change_profile, or name one profile", armorMan)
	armorCapability = rule("apparmor-capability", findings.Warning, "a capability that amounts to root on the host", "remove it, and drop it from the bounding set", capsMan)
	armorName       = rule("apparmor-name", findings.Warning, "a name that engines and the kernel's own files stumble over", "use letters, digits, dots, hyphens and underscores, and begin with a letter", armorMan)
	armorSignal     = rule("apparmor-signal", findings.Error, "the runtime may not send signals: containers cannot be stopped", "add: signal (receive) peer=unconfined,", "https://github.com/moby/profiles/blob/main/apparmor/template.go")
	armorDisconnect = rule("apparmor-attach-disconnected", findings.Warning, "files outside of the container's mounts have no name to match", "add the flag attach_disconnected", armorMan)
)

// The rules about capabilities.
var (
	capabilityPowerful = rule("capability-powerful", findings.Error, "a capability that amounts to root on the host", "drop it: --cap-drop", capsMan)
	capabilityWider    = rule("capability-wider-than-default", findings.Warning, "a capability that no engine grants by default", "see whether it is needed: profgen verify --minimize caps", capsMan)
)

// Rules returns every rule, whatever it is about.
func Rules() []findings.Rule {
	return []findings.Rule{
		defaultAllow, defaultLog, killThread, fallbackEPERM, fallbackMissing, compare64, sameIndex, ruleIsDefault, conditionVoid, maskDatum,
		neverMask, errnoZero, notifyListener, traceTracer, specAllow, unknownCall, unknownKey, noNames, missingBasics, missingFloor, x32,
		socketcall, clone3Hole, wider, dangerous, archMapIgnored, conditionIgnored, nameIgnored, errnoIgnored,
		armorUnconfined, armorComplain, complainDeny, armorExec, armorTransition, armorKernel, armorMount, armorPtrace, armorChange,
		armorCapability, armorName, armorSignal, armorDisconnect,
		capabilityPowerful, capabilityWider,
	}
}

// breakouts are calls that containers were broken out by, or that change the
// host, with what they do.
var breakouts = map[string]string{
	"_sysctl":           "a call that kernels no longer have",
	"acct":              "process accounting of the host",
	"add_key":           "keyrings have no namespaces",
	"bpf":               "programs in the kernel",
	"clock_adjtime":     "the host's clock",
	"clock_settime":     "the host's clock",
	"clock_settime64":   "the host's clock",
	"create_module":     "a call that kernels no longer have",
	"delete_module":     "kernel modules",
	"fanotify_init":     "what others do with files",
	"finit_module":      "kernel modules",
	"fsconfig":          "mounts",
	"fsmount":           "mounts",
	"fsopen":            "mounts",
	"fspick":            "mounts",
	"get_kernel_syms":   "a call that kernels no longer have",
	"init_module":       "kernel modules",
	"io_uring_enter":    "calls that no filter sees",
	"io_uring_register": "calls that no filter sees",
	"io_uring_setup":    "calls that no filter sees, and most of the kernel's recent holes",
	"ioperm":            "the machine's ports",
	"iopl":              "the machine's ports",
	"kcmp":              "addresses in the kernel",
	"kexec_file_load":   "another kernel",
	"kexec_load":        "another kernel",
	"keyctl":            "keyrings have no namespaces",
	"lookup_dcookie":    "paths of the host",
	"migrate_pages":     "memory of other processes",
	"modify_ldt":        "segments, and what the kernel made of them",
	"mount":             "mounts",
	"mount_setattr":     "mounts",
	"move_mount":        "mounts",
	"move_pages":        "memory of other processes",
	"nfsservctl":        "a call that kernels no longer have",
	"open_by_handle_at": "files of the host, by their numbers",
	"open_tree":         "mounts",
	"perf_event_open":   "what other processes and the kernel do",
	"pidfd_getfd":       "files of other processes",
	"pivot_root":        "mounts",
	"process_madvise":   "memory of other processes",
	"process_mrelease":  "memory of other processes",
	"process_vm_readv":  "memory of other processes",
	"process_vm_writev": "memory of other processes",
	"ptrace":            "other processes",
	"query_module":      "a call that kernels no longer have",
	"quotactl":          "quotas of the host",
	"quotactl_fd":       "quotas of the host",
	"reboot":            "the machine",
	"request_key":       "keyrings have no namespaces",
	"setdomainname":     "the name of the host",
	"sethostname":       "the name of the host",
	"setns":             "other namespaces",
	"settimeofday":      "the host's clock",
	"stime":             "the host's clock",
	"swapoff":           "the host's swap",
	"swapon":            "the host's swap",
	"syslog":            "the kernel's log",
	"umount":            "mounts",
	"umount2":           "mounts",
	"unshare":           "namespaces, in which all capabilities are there to be had",
	"uselib":            "a call of old, and its holes",
	"userfaultfd":       "pauses in the kernel, which win races",
	"vm86":              "a mode of old, and its holes",
	"vm86old":           "a mode of old, and its holes",
	"vmsplice":          "pages of pipes",
}

// powerful are capabilities that amount to root on the host: capabilities(7).
var powerful = map[string]string{
	"CAP_BPF":             "programs in the kernel",
	"CAP_DAC_READ_SEARCH": "open_by_handle_at reaches files of the host",
	"CAP_MAC_ADMIN":       "changes the security policy",
	"CAP_MAC_OVERRIDE":    "overrides the security policy",
	"CAP_NET_ADMIN":       "configures networks, and reaches most of netfilter's holes",
	"CAP_PERFMON":         "sees what the kernel does",
	"CAP_SYS_ADMIN":       "mounts, namespaces, and most else",
	"CAP_SYS_BOOT":        "another kernel",
	"CAP_SYS_MODULE":      "code in the kernel",
	"CAP_SYS_PTRACE":      "other processes",
	"CAP_SYS_RAWIO":       "memory and ports of the machine",
	"CAP_SYS_TIME":        "the host's clock",
	"CAP_SYSLOG":          "addresses in the kernel",
}
