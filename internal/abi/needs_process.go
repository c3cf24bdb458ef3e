package abi

const othersProcess = "a process of another user"

// namespaces are the flags of clone, unshare and setns that make or enter a
// namespace which takes CAP_SYS_ADMIN. A new user namespace takes nothing, and
// gives whoever makes it every capability in it.
const (
	namespaces      = cloneNewNS | cloneNewUTS | cloneNewIPC | cloneNewPID | cloneNewNet | cloneNewCgroup
	namespacesTimed = namespaces | cloneNewTime // in clone, this bit is part of the signal
)

// processNeeds are the rows of identity, signals, tracing, scheduling, limits
// and namespaces.
var processNeeds = []Need{
	{"kill tkill tgkill rt_sigqueueinfo rt_tgsigqueueinfo pidfd_send_signal", nil, "CAP_KILL", "", Conditional, othersProcess, "kill(2)"},

	{"setuid setreuid setresuid", nil, "CAP_SETUID", "", Conditional, "an ID that is none of the caller's", "setuid(2)"},
	{"setgid setregid setresgid", nil, "CAP_SETGID", "", Conditional, "an ID that is none of the caller's", "setgid(2)"},
	{"setfsuid", nil, "CAP_SETUID", "", Partial, "an ID that is none of the caller's is not set", "setfsuid(2)"},
	{"setfsgid", nil, "CAP_SETGID", "", Partial, "an ID that is none of the caller's is not set", "setfsgid(2)"},
	{"setgroups", nil, "CAP_SETGID", "", Always, "", "setgroups(2)"},
	{"capset", nil, "CAP_SETPCAP", "", Conditional, "inheritable capabilities that are not permitted ones", "capset(2)"},
	{"sendmsg sendmmsg", nil, "CAP_SETUID", "", Conditional, "SCM_CREDENTIALS with a user ID that is none of the caller's", "unix(7)"},
	{"sendmsg sendmmsg", nil, "CAP_SETGID", "", Conditional, "SCM_CREDENTIALS with a group ID that is none of the caller's", "unix(7)"},
	{"sendmsg sendmmsg", nil, "CAP_SYS_ADMIN", "", Conditional, "SCM_CREDENTIALS with another process ID", "unix(7)"},
	{"sendmsg sendmmsg", nil, "CAP_SYS_RESOURCE", "CAP_SYS_ADMIN", Rare, "more descriptors in flight than RLIMIT_NOFILE", "unix(7)"},

	{"prctl", when(is(0, prCapBSetDrop)), "CAP_SETPCAP", "", Always, "", "prctl(2)"},
	{"prctl", when(is(0, prSetSecureBits)), "CAP_SETPCAP", "", Conditional, "a change of bits other than SECBIT_EXEC_* (Linux 6.14)", "prctl(2)"},
	{"prctl", when(is(0, prSetMM), isNot(1, prSetMMMap, prSetMMMapSize)), "CAP_SYS_RESOURCE", "", Always, "", "prctl(2)"},
	{"prctl", when(is(0, prSetMM), is(1, prSetMMMap)), "CAP_CHECKPOINT_RESTORE", "CAP_SYS_ADMIN", Conditional, "a descriptor of a new /proc/PID/exe", "capabilities(7)"},
	{"prctl", when(is(0, prSetIOFlusher, prGetIOFlusher)), "CAP_SYS_RESOURCE", "", Always, "", "capabilities(7)"},
	{"prctl", when(is(0, prSetSeccomp), field(1, ^uint64(0), seccompModeFilter)), "CAP_SYS_ADMIN", "", Conditional, "no_new_privs is not set", "seccomp(2)"},
	{"prctl", when(is(0, prSchedCore)), "CAP_SYS_PTRACE", "", Conditional, othersProcess, "capabilities(7)"},
	{"seccomp", when(is(0, seccompSetModeFilter)), "CAP_SYS_ADMIN", "", Conditional, "no_new_privs is not set", "seccomp(2)"},
	{"landlock_restrict_self", nil, "CAP_SYS_ADMIN", "", Conditional, "no_new_privs is not set", "landlock_restrict_self(2)"},

	{"ptrace", when(field(0, ^uint64(0), ptraceTraceMe, ptraceAttach, ptraceSeize)), "CAP_SYS_PTRACE", "", Conditional, othersProcess + ", or one with more capabilities", "ptrace(2)"},
	{"ptrace", when(field(0, ^uint64(0), ptraceSetOptions, ptraceSeize), has(3, ptraceOSuspendSeccomp)), "CAP_SYS_ADMIN", "", Always, "", "ptrace(2)"},
	{"ptrace", when(field(0, ^uint64(0), ptraceSeccompGetFilter, ptraceSeccompGetMetadata)), "CAP_SYS_ADMIN", "", Always, "", "ptrace(2)"},
	{"process_vm_readv process_vm_writev kcmp get_robust_list pidfd_getfd", nil, "CAP_SYS_PTRACE", "", Conditional, othersProcess + ", or one with more capabilities", "capabilities(7)"},
	{"process_madvise move_pages migrate_pages", nil, "CAP_SYS_PTRACE", "", Conditional, othersProcess + ", or one with more capabilities", "capabilities(7)"},

	{"setpriority sched_setscheduler sched_setparam sched_setattr", nil, "CAP_SYS_NICE", "", Conditional, "more urgent than RLIMIT_NICE or RLIMIT_RTPRIO lets, or " + othersProcess, "capabilities(7)"},
	{"nice", nil, "CAP_SYS_NICE", "", Conditional, "more urgent than RLIMIT_NICE lets", "nice(2)"},
	{"sched_setaffinity", nil, "CAP_SYS_NICE", "", Conditional, othersProcess, "sched_setaffinity(2)"},
	{"ioprio_set", when(field(2, ioprioClassMask, ioprioClassRT)), "CAP_SYS_NICE", "CAP_SYS_ADMIN", Always, "", "ioprio_set(2)"},
	{"ioprio_set", nil, "CAP_SYS_NICE", "", Conditional, othersProcess, "ioprio_set(2)"},
	{"process_madvise", nil, "CAP_SYS_NICE", "", Conditional, "another process than the caller (before Linux 6.13: any)", "process_madvise(2)"},

	{"setrlimit prlimit64", nil, "CAP_SYS_RESOURCE", "", Conditional, "a hard limit raised, or (prlimit64) " + othersProcess, "setrlimit(2)"},
	{"fork vfork clone clone3", nil, "CAP_SYS_RESOURCE", "CAP_SYS_ADMIN", Conditional, "RLIMIT_NPROC exceeded by a user other than root", "setrlimit(2)"},

	{"clone", when(has(0, namespaces), lacks(0, cloneNewUser)), "CAP_SYS_ADMIN", "", Always, "", "clone(2)"},
	{"clone3", nil, "CAP_SYS_ADMIN", "", Conditional, "new namespaces without a new user namespace", "clone(2)"},
	{"clone3", nil, "CAP_CHECKPOINT_RESTORE", "CAP_SYS_ADMIN", Conditional, "chosen process IDs (set_tid)", "clone(2)"},
	{"unshare", when(has(0, namespacesTimed), lacks(0, cloneNewUser)), "CAP_SYS_ADMIN", "", Always, "", "unshare(2)"},
	{"setns", when(has(1, namespacesTimed), lacks(1, cloneNewUser)), "CAP_SYS_ADMIN", "", Always, "", "setns(2)"},
	{"setns", when(has(1, cloneNewUser)), "CAP_SYS_ADMIN", "", Conditional, "any but a child user namespace of the caller's own", "setns(2)"},
	{"setns", when(is(1, 0)), "CAP_SYS_ADMIN", "", Conditional, "any but a child user namespace of the caller's own", "setns(2)"},
	{"setns", when(has(1, cloneNewNS), lacks(1, cloneNewUser)), "CAP_SYS_CHROOT", "", Always, "", "setns(2)"},
	{"setns", when(has(1, cloneNewNS), has(1, cloneNewUser)), "CAP_SYS_CHROOT", "", Conditional, "any but a child user namespace of the caller's own", "setns(2)"},
	{"setns", when(is(1, 0)), "CAP_SYS_CHROOT", "", Conditional, "a mount namespace", "setns(2)"},
}
