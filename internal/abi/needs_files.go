package abi

// What a call needs of the files it names: searching folders.
const (
	unsearchable = "a folder on the path that the caller may not search"
	unreadable   = "a file or folder the caller may not read or search"
	unwritable   = "a file or folder the caller may not write"
	othersFile   = "a file of another user"
)

// fileNeeds are the rows of owners, modes, times, attributes, devices and
// handles of files. Mode arguments are 16 bits wide in the kernel (umode_t).
var fileNeeds = []Need{
	{"chown fchown fchownat lchown", nil, "CAP_CHOWN", "", Conditional, "a new owner, a group the caller is not in, or " + othersFile, "chown(2)"},

	{"chmod fchmod fchmodat fchmodat2", nil, "CAP_FOWNER", "", Conditional, othersFile, "chmod(2)"},
	{"chmod fchmod", when(has(1, sISGID)), "CAP_FSETID", "", Partial, "set-group-ID is dropped if the file's group is not the caller's", "chmod(2)"},
	{"fchmodat fchmodat2", when(has(2, sISGID)), "CAP_FSETID", "", Partial, "set-group-ID is dropped if the file's group is not the caller's", "chmod(2)"},
	{"write writev pwrite64 pwritev pwritev2 ftruncate truncate fallocate", nil, "CAP_FSETID", "", Partial, "set-user-ID and set-group-ID of the file are cleared", "capabilities(7)"},

	{"utime utimes futimesat utimensat", nil, "CAP_FOWNER", "", Conditional, othersFile, "utimensat(2)"},
	{"unlink unlinkat rmdir rename renameat renameat2", nil, "CAP_FOWNER", "", Conditional, othersFile + " in a sticky folder", "unlink(2)"},
	{"link linkat", nil, "CAP_FOWNER", "", Conditional, othersFile + ", with fs.protected_hardlinks", "capabilities(7)"},
	{"open", when(has(1, oNoATime)), "CAP_FOWNER", "", Conditional, othersFile, "open(2)"},
	{"openat", when(has(2, oNoATime)), "CAP_FOWNER", "", Conditional, othersFile, "open(2)"},
	{"openat2", nil, "CAP_FOWNER", "", Conditional, othersFile + ", with O_NOATIME", "open(2)"},
	{"fcntl", when(is(1, fSetFL), has(2, oNoATime)), "CAP_FOWNER", "", Conditional, othersFile, "open(2)"},
	{"fcntl", when(is(1, fSetLease)), "CAP_LEASE", "", Conditional, othersFile, "fcntl(2)"},
	{"fcntl", when(is(1, fSetPipeSz)), "CAP_SYS_RESOURCE", "", Conditional, "a size above fs.pipe-max-size, or fs.pipe-user-pages-soft reached", "fcntl(2)"},

	{"setxattr lsetxattr fsetxattr setxattrat removexattr lremovexattr fremovexattr removexattrat", nil, "CAP_FOWNER", "", Conditional, "an access control list of " + othersFile, "capabilities(7)"},
	{"setxattr lsetxattr fsetxattr setxattrat removexattr lremovexattr fremovexattr removexattrat", nil, "CAP_SETFCAP", "", Conditional, "the attribute security.capability", "capabilities(7)"},
	{"setxattr lsetxattr fsetxattr setxattrat removexattr lremovexattr fremovexattr removexattrat", nil, "CAP_SYS_ADMIN", "", Conditional, "trusted and security attributes", "xattr(7)"},
	{"getxattr lgetxattr fgetxattr getxattrat", nil, "CAP_SYS_ADMIN", "", Conditional, "trusted attributes", "xattr(7)"},
	{"listxattr llistxattr flistxattr listxattrat", nil, "CAP_SYS_ADMIN", "", Partial, "trusted attributes are left out", "xattr(7)"},
	{"setxattr lsetxattr fsetxattr setxattrat removexattr lremovexattr fremovexattr removexattrat lsm_set_self_attr", nil, "CAP_MAC_ADMIN", "", Rare, "labels of the Smack security module", "capabilities(7)"},
	{"file_setattr", nil, "CAP_FOWNER", "", Conditional, othersFile, "ioctl_iflags(2)"},
	{"file_setattr", nil, "CAP_LINUX_IMMUTABLE", "", Conditional, "the immutable and append-only flags", "ioctl_iflags(2)"},

	{"mknod", when(field(1, sIFMT, sIFBLK)), "CAP_MKNOD", "", Always, "", "mknod(2)"},
	{"mknod", when(field(1, sIFMT, sIFCHR), isNot(2, whiteoutDev)), "CAP_MKNOD", "", Always, "", "mknod(2)"},
	{"mknodat", when(field(2, sIFMT, sIFBLK)), "CAP_MKNOD", "", Always, "", "mknod(2)"},
	{"mknodat", when(field(2, sIFMT, sIFCHR), isNot(3, whiteoutDev)), "CAP_MKNOD", "", Always, "", "mknod(2)"},
	{"mknod", when(field(1, sIFMT, sIFCHR), is(2, whiteoutDev)), "CAP_MKNOD", "", Rare, "before Linux 5.8", "mknod(2)"},
	{"mknodat", when(field(2, sIFMT, sIFCHR), is(3, whiteoutDev)), "CAP_MKNOD", "", Rare, "before Linux 5.8", "mknod(2)"},
	{"renameat2", when(has(4, renameWhiteout)), "CAP_MKNOD", "", Rare, "before Linux 5.8", "rename(2)"},

	{"open_by_handle_at", nil, "CAP_DAC_READ_SEARCH", "", Conditional, "any file but a pidfs or nsfs one (Linux 6.14), or, from Linux 6.11, one in a mount of the caller's", "open_by_handle_at(2)"},
	{"linkat", when(has(4, atEmptyPath)), "CAP_DAC_READ_SEARCH", "", Conditional, "a descriptor that others have opened; before Linux 6.10, any", "link(2)"},

	// procfs and devices: what open asks itself, and what writing asks.
	{"open openat openat2", nil, "CAP_SYS_RAWIO", "", Rare, "/dev/mem, /dev/port, /proc/kcore, /dev/cpu/*/msr", "capabilities(7)"},
	{"open openat openat2 readlink readlinkat", nil, "CAP_SYS_PTRACE", "", Rare, "/proc/PID of another user's process", "proc(5)"},
	{"open openat openat2", nil, "CAP_SYSLOG", "", Rare, "/proc/kmsg, /dev/kmsg with kernel.dmesg_restrict", "capabilities(7)"},
	{"open openat openat2", nil, "CAP_NET_ADMIN", "", Rare, "/dev/ppp", "capabilities(7)"},
	{"open openat openat2", nil, "CAP_CHECKPOINT_RESTORE", "CAP_SYS_ADMIN", Rare, "/proc/PID/map_files", "capabilities(7)"},
	{"write pwrite64 writev", nil, "CAP_SYS_RESOURCE", "", Rare, "a lower /proc/PID/oom_score_adj", "proc(5)"},
	{"write writev", nil, "CAP_SETUID", "", Rare, "/proc/PID/uid_map of others than the writer", "user_namespaces(7)"},
	{"write writev", nil, "CAP_SETGID", "", Rare, "/proc/PID/gid_map of others than the writer", "user_namespaces(7)"},
	{"write writev", nil, "CAP_SETFCAP", "", Rare, "/proc/PID/uid_map that maps user 0", "user_namespaces(7)"},
	{"write pwrite64 writev", nil, "CAP_CHECKPOINT_RESTORE", "CAP_SYS_ADMIN", Rare, "/proc/sys/kernel/ns_last_pid", "capabilities(7)"},
	{"write pwrite64 writev", nil, "CAP_SYS_ADMIN", "", Rare, "kernel.dmesg_restrict and kernel.kptr_restrict", "capabilities(7)"},
	{"write pwrite64 writev", nil, "CAP_MAC_ADMIN", "", Rare, "AppArmor policy in securityfs", "capabilities(7)"},
}

// pathNeeds are the rows of the checks that any path meets. DAC_READ_SEARCH is
// the lesser of the two that let a caller search and read; only DAC_OVERRIDE
// lets it write.
var pathNeeds = []Need{
	{"access faccessat faccessat2 chdir fchdir chroot chmod fchmodat fchmodat2 chown fchownat lchown", nil, "CAP_DAC_READ_SEARCH", "CAP_DAC_OVERRIDE", Conditional, unsearchable, "capabilities(7)"},
	{"stat lstat newfstatat statx statfs readlink readlinkat file_getattr file_setattr", nil, "CAP_DAC_READ_SEARCH", "CAP_DAC_OVERRIDE", Conditional, unsearchable, "capabilities(7)"},
	{"getxattr lgetxattr getxattrat listxattr llistxattr listxattrat", nil, "CAP_DAC_READ_SEARCH", "CAP_DAC_OVERRIDE", Conditional, unsearchable, "capabilities(7)"},
	{"setxattr lsetxattr setxattrat removexattr lremovexattr removexattrat", nil, "CAP_DAC_READ_SEARCH", "CAP_DAC_OVERRIDE", Conditional, unsearchable, "capabilities(7)"},
	{"execve execveat inotify_add_watch fanotify_mark name_to_handle_at truncate", nil, "CAP_DAC_READ_SEARCH", "CAP_DAC_OVERRIDE", Conditional, unsearchable, "capabilities(7)"},
	{"link linkat mkdir mkdirat mknod mknodat rename renameat renameat2 rmdir symlink symlinkat unlink unlinkat", nil, "CAP_DAC_READ_SEARCH", "CAP_DAC_OVERRIDE", Conditional, unsearchable, "capabilities(7)"},
	{"utime utimes futimesat utimensat bind connect sendto sendmsg sendmmsg", nil, "CAP_DAC_READ_SEARCH", "CAP_DAC_OVERRIDE", Conditional, unsearchable, "capabilities(7)"},
	{"mount umount2 pivot_root swapon swapoff acct open_tree open_tree_attr move_mount mount_setattr fspick quotactl uselib", nil, "CAP_DAC_READ_SEARCH", "CAP_DAC_OVERRIDE", Conditional, unsearchable, "capabilities(7)"},
	{"creat", nil, "CAP_DAC_READ_SEARCH", "CAP_DAC_OVERRIDE", Conditional, unsearchable, "capabilities(7)"},
	{"open openat openat2", nil, "CAP_DAC_READ_SEARCH", "CAP_DAC_OVERRIDE", Conditional, unreadable, "capabilities(7)"},
	{"mq_open", nil, "CAP_DAC_READ_SEARCH", "CAP_DAC_OVERRIDE", Conditional, "a queue the caller may not read", "capabilities(7)"},

	// Writing: O_RDONLY without O_CREAT, O_TRUNC or O_TMPFILE writes nothing.
	{"open", when(has(1, oWriting)), "CAP_DAC_OVERRIDE", "", Conditional, unwritable, "capabilities(7)"},
	{"openat", when(has(2, oWriting)), "CAP_DAC_OVERRIDE", "", Conditional, unwritable, "capabilities(7)"},
	{"openat2 creat truncate access faccessat faccessat2", nil, "CAP_DAC_OVERRIDE", "", Conditional, unwritable, "capabilities(7)"},
	{"link linkat mkdir mkdirat mknod mknodat rename renameat renameat2 rmdir symlink symlinkat unlink unlinkat", nil, "CAP_DAC_OVERRIDE", "", Conditional, unwritable, "capabilities(7)"},
	{"utime utimes futimesat utimensat", nil, "CAP_DAC_OVERRIDE", "CAP_FOWNER", Conditional, "the time now for " + unwritable, "utimensat(2)"},
	{"setxattr lsetxattr fsetxattr setxattrat removexattr lremovexattr fremovexattr removexattrat", nil, "CAP_DAC_OVERRIDE", "", Conditional, unwritable, "capabilities(7)"},
	{"bind connect sendto sendmsg sendmmsg", nil, "CAP_DAC_OVERRIDE", "", Conditional, "a unix socket in " + unwritable, "capabilities(7)"},
	{"execve execveat", nil, "CAP_DAC_OVERRIDE", "", Conditional, "a file that others may execute, and the caller not", "capabilities(7)"},
	{"mq_open", nil, "CAP_DAC_OVERRIDE", "", Conditional, "a queue the caller may not write", "capabilities(7)"},
	{"mq_unlink", nil, "CAP_FOWNER", "", Conditional, "a queue of another user", "capabilities(7)"},
	{"swapon", nil, "CAP_DAC_OVERRIDE", "", Conditional, unwritable, "capabilities(7)"},
	{"uselib", nil, "CAP_DAC_OVERRIDE", "", Conditional, "a file that others may execute, and the caller not", "capabilities(7)"},
}
