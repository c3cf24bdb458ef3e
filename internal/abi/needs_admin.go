package abi

// adminNeeds are the rows of mounts, modules, clocks, the log, observation and
// the machine as a whole.
var adminNeeds = []Need{
	{"mount umount2 pivot_root mount_setattr fsopen fspick fsmount move_mount", nil, "CAP_SYS_ADMIN", "", Always, "", "capabilities(7)"},
	{"open_tree open_tree_attr", when(has(2, openTreeClone)), "CAP_SYS_ADMIN", "", Always, "", "capabilities(7)"},
	{"open_tree_attr", when(lacks(2, openTreeClone)), "CAP_SYS_ADMIN", "", Conditional, "attributes to set", "capabilities(7)"},
	{"fsconfig", when(is(1, fsConfigCreate, fsConfigReconfigure, fsConfigCreateExcl)), "CAP_SYS_ADMIN", "", Always, "", "capabilities(7)"},
	{"statmount listmount listns", nil, "CAP_SYS_ADMIN", "", Conditional, "another namespace, or a mount outside the root", "capabilities(7)"},
	{"chroot", nil, "CAP_SYS_CHROOT", "", Always, "", "chroot(2)"},
	{"swapon swapoff sethostname setdomainname", nil, "CAP_SYS_ADMIN", "", Always, "", "capabilities(7)"},
	{"lookup_dcookie", nil, "CAP_SYS_ADMIN", "", Always, "", "lookup_dcookie(2)"},
	{"quotactl", when(field(0, subCmdMask, qQuotaOn, qQuotaOff, qSetInfo, qSetQuota)), "CAP_SYS_ADMIN", "", Always, "", "quotactl(2)"},
	{"quotactl", nil, "CAP_SYS_ADMIN", "", Conditional, "what others use, or a change", "quotactl(2)"},
	{"quotactl_fd", when(field(1, subCmdMask, qQuotaOn, qQuotaOff, qSetInfo, qSetQuota)), "CAP_SYS_ADMIN", "", Always, "", "quotactl(2)"},
	{"quotactl_fd", nil, "CAP_SYS_ADMIN", "", Conditional, "what others use, or a change", "quotactl(2)"},
	{"acct", nil, "CAP_SYS_PACCT", "", Always, "", "acct(2)"},

	{"fanotify_init", when(has(0, fanAdminInit)), "CAP_SYS_ADMIN", "", Always, "", "fanotify_init(2)"},
	{"fanotify_init", when(lacks(0, fanReportFIDs)), "CAP_SYS_ADMIN", "", Always, "", "fanotify_init(2)"},
	{"fanotify_init", when(has(0, fanReportFIDs), lacks(0, fanAdminInit)), "CAP_SYS_ADMIN", "", Rare, "before Linux 5.13", "fanotify_init(2)"},
	{"fanotify_init", when(has(0, fanEnableAudit)), "CAP_AUDIT_WRITE", "", Always, "", "fanotify_init(2)"},
	{"fanotify_mark", when(has(1, fanMarkMount|fanMarkFilesystem)), "CAP_SYS_ADMIN", "", Conditional, "a group made without it", "fanotify_mark(2)"},

	{"init_module finit_module delete_module", nil, "CAP_SYS_MODULE", "", Always, "", "capabilities(7)"},
	{"reboot kexec_load kexec_file_load", nil, "CAP_SYS_BOOT", "", Always, "", "reboot(2)"},
	{"ioperm", when(isNot(2, 0)), "CAP_SYS_RAWIO", "", Always, "", "ioperm(2)"},
	{"iopl", when(isNot(0, 0)), "CAP_SYS_RAWIO", "", Conditional, "a level above the present one", "iopl(2)"},
	{"vhangup", nil, "CAP_SYS_TTY_CONFIG", "", Always, "", "vhangup(2)"},

	{"settimeofday stime", nil, "CAP_SYS_TIME", "", Always, "", "settimeofday(2)"},
	{"clock_settime", when(is(0, clockRealtime)), "CAP_SYS_TIME", "", Always, "", "capabilities(7)"},
	{"adjtimex", nil, "CAP_SYS_TIME", "", Conditional, "modes other than 0", "adjtimex(2)"},
	{"clock_adjtime", when(is(0, clockRealtime)), "CAP_SYS_TIME", "", Conditional, "modes other than 0", "adjtimex(2)"},
	{"timer_create", when(is(0, clockRealtimeAlarm, clockBoottimeAlarm)), "CAP_WAKE_ALARM", "", Always, "", "timer_create(2)"},
	{"timerfd_create", when(is(0, clockRealtimeAlarm, clockBoottimeAlarm)), "CAP_WAKE_ALARM", "", Always, "", "timerfd_create(2)"},
	{"timerfd_settime", nil, "CAP_WAKE_ALARM", "", Conditional, "a timer of an alarm clock", "timerfd_settime(2)"},
	{"clock_nanosleep", when(is(0, clockRealtimeAlarm, clockBoottimeAlarm)), "CAP_WAKE_ALARM", "", Always, "", "clock_nanosleep(2)"},
	{"epoll_ctl", when(is(1, epollCtlAdd, epollCtlMod)), "CAP_BLOCK_SUSPEND", "", Partial, "EPOLLWAKEUP is ignored", "epoll_ctl(2)"},

	{"syslog", when(isNot(0, syslogReadAll, syslogSizeBuffer)), "CAP_SYSLOG", "", Always, "", "syslog(2)"},
	{"syslog", when(is(0, syslogReadAll, syslogSizeBuffer)), "CAP_SYSLOG", "", Conditional, "kernel.dmesg_restrict is 1", "syslog(2)"},

	{"bpf", when(isNot(0, bpfSystemOnly...)), "CAP_BPF", "CAP_SYS_ADMIN", Conditional, "kernel.unprivileged_bpf_disabled, or what only the privileged may load", "capabilities(7)"},
	{"bpf", when(is(0, bpfMapCreate, bpfProgLoad, bpfProgAttach, bpfProgDetach, bpfProgQuery, bpfLinkCreate)), "CAP_NET_ADMIN", "CAP_SYS_ADMIN", Conditional, "programs and maps of the network", "capabilities(7)"},
	{"bpf", when(is(0, bpfProgLoad, bpfRawTracepointOpen, bpfLinkCreate)), "CAP_PERFMON", "CAP_SYS_ADMIN", Conditional, "programs that trace or see kernel addresses", "capabilities(7)"},
	{"bpf", when(is(0, bpfSystemOnly...)), "CAP_SYS_ADMIN", "", Always, "", "capabilities(7)"},
	{"perf_event_open", nil, "CAP_PERFMON", "CAP_SYS_ADMIN", Conditional, "kernel.perf_event_paranoid, or " + othersProcess, "perf_event_open(2)"},
	{"perf_event_open", nil, "CAP_SYS_PTRACE", "CAP_PERFMON", Conditional, othersProcess, "capabilities(7)"},

	{"keyctl", when(is(0, keyctlChown, keyctlSetPerm)), "CAP_SYS_ADMIN", "", Conditional, "a key of another user, or an owner other than the caller", "keyctl(2)"},
	{"keyctl", when(is(0, keyctlClear, keyctlInvalidate)), "CAP_SYS_ADMIN", "", Rare, "keyrings that the kernel marks for root", "keyctl(2)"},
	{"keyctl", when(is(0, keyctlGetPersistent)), "CAP_SETUID", "", Conditional, "the keyring of another user", "keyctl(2)"},
}

// bpfSystemOnly are the commands that reach objects of everyone:
// kernel/bpf/syscall.c asks for CAP_SYS_ADMIN, and takes nothing less.
var bpfSystemOnly = []uint64{
	bpfProgGetNextID, bpfMapGetNextID, bpfProgGetFDByID, bpfMapGetFDByID,
	bpfTaskFDQuery, bpfBTFGetNextID, bpfLinkGetFDByID, bpfLinkGetNextID, bpfEnableStats,
}
