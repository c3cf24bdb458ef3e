package abi

const (
	othersObject = "an object of another user whose mode does not let the caller"
	lockLimit    = "RLIMIT_MEMLOCK"
)

// memoryNeeds are the rows of memory and of System V IPC. The manual pages
// mmap(2) and memfd_create(2) say that huge pages take CAP_IPC_LOCK; the kernel
// asks for it in shmget(2) only (HUGETLB_SHMFS_INODE in fs/hugetlbfs/inode.c).
var memoryNeeds = []Need{
	{"mlock mlock2 mlockall", nil, "CAP_IPC_LOCK", "", Conditional, lockLimit, "mlock(2)"},
	{"mmap", when(has(3, mapLocked)), "CAP_IPC_LOCK", "", Conditional, lockLimit, "mmap(2)"},
	{"mmap", when(lacks(3, mapLocked)), "CAP_IPC_LOCK", "", Rare, lockLimit + ", after mlockall(MCL_FUTURE) or of a perf buffer", "capabilities(7)"},
	{"mremap brk", nil, "CAP_IPC_LOCK", "", Rare, lockLimit + ", of locked memory that grows", "capabilities(7)"},
	{"mmap", when(has(3, mapFixed|mapFixedNoReplace)), "CAP_SYS_RAWIO", "", Conditional, "an address below vm.mmap_min_addr", "capabilities(7)"},
	{"mremap", when(has(3, mremapFixed)), "CAP_SYS_RAWIO", "", Conditional, "an address below vm.mmap_min_addr", "capabilities(7)"},
	{"shmat", when(has(1, ^uint64(0))), "CAP_SYS_RAWIO", "", Conditional, "an address below vm.mmap_min_addr", "capabilities(7)"},
	{"madvise", when(is(2, madvHWPoison, madvSoftOffline)), "CAP_SYS_ADMIN", "", Always, "", "madvise(2)"},
	{"mbind", when(has(5, mpolMFMoveAll)), "CAP_SYS_NICE", "", Always, "", "mbind(2)"},
	{"move_pages", when(has(5, mpolMFMoveAll)), "CAP_SYS_NICE", "", Always, "", "move_pages(2)"},
	{"migrate_pages", nil, "CAP_SYS_NICE", "", Conditional, "nodes outside the cpuset of the process", "migrate_pages(2)"},
	{"userfaultfd", when(lacks(0, uffdUserModeOnly)), "CAP_SYS_PTRACE", "", Conditional, "vm.unprivileged_userfaultfd is 0", "userfaultfd(2)"},
	{"io_uring_register", nil, "CAP_IPC_LOCK", "", Conditional, lockLimit + ", of buffers, if the ring was made without it", "capabilities(7)"},
	{"io_uring_setup", nil, "CAP_IPC_LOCK", "", Conditional, lockLimit + ", in some kernels", "capabilities(7)"},
	{"io_uring_setup", nil, "CAP_SYS_ADMIN", "", Conditional, "kernel.io_uring_disabled is 1; before Linux 5.11, IORING_SETUP_SQPOLL", "capabilities(7)"},

	{"msgget msgsnd msgrcv msgctl semget semop semtimedop semctl shmget shmat shmctl", nil, "CAP_IPC_OWNER", "", Conditional, othersObject, "capabilities(7)"},
	{"msgctl shmctl", when(is(1, ipcSet, ipcRMID)), "CAP_SYS_ADMIN", "", Conditional, "an object of another user", "msgctl(2)"},
	{"semctl", when(is(2, ipcSet, ipcRMID)), "CAP_SYS_ADMIN", "", Conditional, "an object of another user", "semctl(2)"},
	{"msgctl", when(is(1, ipcSet)), "CAP_SYS_RESOURCE", "", Conditional, "more bytes than kernel.msgmnb", "msgctl(2)"},
	{"shmctl", when(is(1, shmLock, shmUnlock)), "CAP_IPC_LOCK", "", Conditional, lockLimit + " of 0, or an object of another user", "shmctl(2)"},
	{"shmget", when(has(2, shmHugeTLB)), "CAP_IPC_LOCK", "", Conditional, "a group other than vm.hugetlb_shm_group, or " + lockLimit, "shmget(2)"},
	{"mq_open", nil, "CAP_SYS_RESOURCE", "", Conditional, "a queue larger than fs.mqueue limits", "mq_open(2)"},
}
