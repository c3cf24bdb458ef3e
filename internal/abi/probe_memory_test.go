package abi_test

import (
	"os"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const page = 4096

// limit lowers a limit of the probe.
func limit(resource int, to uint64) {
	must(unix.Setrlimit(resource, &unix.Rlimit{Cur: to, Max: to}))
}

// mapped is memory of the probe's own.
func mapped(length int) unsafe.Pointer {
	return unsafe.Pointer(&need(unix.Mmap(-1, 0, length, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS))[0])
}

func memoryExercises() []exercise {
	const anonymous = unix.MAP_PRIVATE | unix.MAP_ANONYMOUS
	low := []error{unix.EPERM, unix.EACCES}
	full := []error{unix.EAGAIN, unix.ENOMEM, unix.EPERM}
	return append(ipcExercises(), []exercise{
		{calls: "mlock mlock2", cap: "CAP_IPC_LOCK", deny: full, run: func(p *probe) error {
			limit(unix.RLIMIT_MEMLOCK, 0)
			return p.call(mapped(page), page, 0)
		}},
		{calls: "mlockall", cap: "CAP_IPC_LOCK", deny: full, run: func(p *probe) error {
			limit(unix.RLIMIT_MEMLOCK, page)
			return p.call(unix.MCL_CURRENT | unix.MCL_ONFAULT)
		}},
		{calls: "mmap", cap: "CAP_IPC_LOCK", row: "0x2000 any", deny: full, run: func(p *probe) error {
			limit(unix.RLIMIT_MEMLOCK, page)
			return p.call(0, 2*page, unix.PROT_READ, anonymous|unix.MAP_LOCKED, -1, 0)
		}},
		{calls: "mmap", cap: "CAP_IPC_LOCK", row: "rare", deny: full, run: func(p *probe) error {
			_, err := p.callLocked(0, 2*page, unix.PROT_READ, anonymous, -1, 0)
			return err
		}},
		{calls: "mremap", cap: "CAP_IPC_LOCK", deny: full, run: func(p *probe) error {
			b := mapped(page)
			must(p.sys("mlock", b, page))
			limit(unix.RLIMIT_MEMLOCK, page)
			return p.call(b, page, 8*page, unix.MREMAP_MAYMOVE, 0)
		}},
		{calls: "brk", cap: "CAP_IPC_LOCK", run: func(p *probe) error {
			end := need(p.result("brk", 0))
			return lost(need(p.callLocked(end+64*page)) > end)
		}},
		{calls: "mmap", cap: "CAP_SYS_RAWIO", deny: low, run: func(p *probe) error {
			p.guardedLow()
			return p.call(0, page, unix.PROT_READ, anonymous|unix.MAP_FIXED, -1, 0)
		}},
		{calls: "mremap", cap: "CAP_SYS_RAWIO", deny: low, run: func(p *probe) error {
			p.guardedLow()
			return p.call(mapped(page), page, page, unix.MREMAP_MAYMOVE|unix.MREMAP_FIXED, 0)
		}},
		{calls: "shmat", cap: "CAP_SYS_RAWIO", deny: low, run: func(p *probe) error {
			if p.guardedLow() <= page {
				panic(missing("vm.mmap_min_addr guards no address but 0"))
			}
			p.isolate(unix.CLONE_NEWIPC)
			return p.call(need(p.result("shmget", 7, page, unix.IPC_CREAT|0o600)), page, 0)
		}},
		{calls: "madvise", cap: "CAP_SYS_ADMIN", run: func(p *probe) error {
			return p.call(mapped(page), page, madvSoftOffline)
		}, absent: []error{unix.EINVAL}, half: "it would take a page of the machine's memory out of use"},
		{calls: "mbind", cap: "CAP_SYS_NICE", run: func(p *probe) error { return p.call(mapped(page), page, 0, nil, 0, 4) }},
		{calls: "move_pages", cap: "CAP_SYS_NICE", run: func(p *probe) error { return p.call(0, 0, nil, nil, nil, 4) }},
		{calls: "migrate_pages", cap: "CAP_SYS_NICE", none: "takes a machine of two memory nodes and a cpuset of one"},
		{calls: "userfaultfd", cap: "CAP_SYS_PTRACE", run: func(p *probe) error {
			if need(os.ReadFile(p.special("/proc/sys/vm/unprivileged_userfaultfd")))[0] != '0' {
				panic(missing("vm.unprivileged_userfaultfd is 1"))
			}
			return p.call(0)
		}},
		{calls: "io_uring_setup", cap: "CAP_IPC_LOCK", deny: full, run: func(p *probe) error {
			p.user(54322) // what others of the user have pinned counts
			limit(unix.RLIMIT_MEMLOCK, 0)
			return p.call(64, make([]byte, 120))
		}},
		{calls: "io_uring_register", cap: "CAP_IPC_LOCK", deny: full, run: func(p *probe) error {
			p.user(54322) // what others of the user have pinned counts
			limit(unix.RLIMIT_MEMLOCK, 1<<18)
			p.drop() // the ring remembers who made it
			ring := need(p.result("io_uring_setup", 4, make([]byte, 120)))
			b := unsafe.Slice((*byte)(mapped(1<<20)), 1<<20)
			return p.call(ring, 0, p.iovec(b), 1) // IORING_REGISTER_BUFFERS
		}},
		{calls: "io_uring_setup", cap: "CAP_SYS_ADMIN", none: "takes kernel.io_uring_disabled of 1, a setting of the whole machine"},
	}...)
}

// callLocked makes the row's call while every new mapping is locked, and nearly
// none may be. That time is short: Go's runtime maps memory as it likes, and
// dies if it cannot.
func (p *probe) callLocked(args ...any) (int, error) {
	limit(unix.RLIMIT_MEMLOCK, page)
	p.drop()
	p.check(args)
	nr, r := p.number(p.row.Syscall), p.registers(args)
	syscall.RawSyscall(unix.SYS_MLOCKALL, unix.MCL_FUTURE|unix.MCL_ONFAULT, 0, 0)
	got, _, errno := syscall.RawSyscall6(nr, r[0], r[1], r[2], r[3], r[4], r[5])
	syscall.RawSyscall(unix.SYS_MUNLOCKALL, 0, 0, 0)
	if errno != 0 {
		return -1, errno
	}
	return int(got), nil
}

// guardedLow is for checks of addresses that the machine may not guard.
func (p *probe) guardedLow() int {
	least := number(strings.TrimSpace(string(need(os.ReadFile("/proc/sys/vm/mmap_min_addr")))))
	if least == 0 {
		panic(missing("vm.mmap_min_addr is 0"))
	}
	return least
}

const (
	ipcSet, ipcStat = 1, 2
	madvSoftOffline = 101
)

func ipcExercises() []exercise {
	return []exercise{
		{calls: "msgget", cap: "CAP_IPC_OWNER", run: func(p *probe) error {
			p.object("msg", other)
			return p.call(7, 0o600)
		}},
		{calls: "semget shmget", cap: "CAP_IPC_OWNER", run: func(p *probe) error {
			p.object(p.row.Syscall[:3], other)
			return p.call(7, 1, 0o600)
		}},
		{calls: "msgsnd", cap: "CAP_IPC_OWNER", run: func(p *probe) error { return p.call(p.object("msg", other), p.text(), 1, 0o4000) }},
		{calls: "msgrcv", cap: "CAP_IPC_OWNER", run: func(p *probe) error {
			return p.call(p.object("msg", other), p.text(), 1, 0, 0o4000)
		}},
		{calls: "semop semtimedop", cap: "CAP_IPC_OWNER", run: func(p *probe) error {
			return p.call(p.object("sem", other), []byte{0, 0, 1, 0, 0, 0}, 1, nil)
		}},
		{calls: "shmat", cap: "CAP_IPC_OWNER", run: func(p *probe) error { return p.call(p.object("shm", other), 0, 0) }},
		{calls: "msgctl shmctl", cap: "CAP_IPC_OWNER", run: func(p *probe) error {
			return p.call(p.object(p.row.Syscall[:3], other), ipcStat, make([]byte, 256))
		}},
		{calls: "semctl", cap: "CAP_IPC_OWNER", run: func(p *probe) error {
			return p.call(p.object("sem", other), 0, ipcStat, make([]byte, 256))
		}},
		{calls: "msgctl shmctl", cap: "CAP_SYS_ADMIN", run: func(p *probe) error { return p.call(p.object(p.row.Syscall[:3], other), 0, nil) }},
		{calls: "semctl", cap: "CAP_SYS_ADMIN", run: func(p *probe) error { return p.call(p.object("sem", other), 0, 0, nil) }},
		{calls: "msgctl", cap: "CAP_SYS_RESOURCE", run: func(p *probe) error {
			id := p.object("msg", 0)
			ds := make([]byte, 256)
			must(p.sys("msgctl", id, ipcStat, ds))
			// msg_qbytes of a struct msqid64_ds: include/uapi/asm-generic/msgbuf.h.
			*(*uint64)(unsafe.Pointer(&ds[88])) = 1 << 30
			return p.call(id, ipcSet, ds)
		}},
		{calls: "shmctl", cap: "CAP_IPC_LOCK", run: func(p *probe) error {
			limit(unix.RLIMIT_MEMLOCK, 0)
			return p.call(p.object("shm", 0), 11, nil) // SHM_LOCK
		}},
		{calls: "shmget", cap: "CAP_IPC_LOCK", run: func(p *probe) error {
			limit(unix.RLIMIT_MEMLOCK, 0)
			must(unix.Setgid(54323))
			p.isolate(unix.CLONE_NEWIPC)
			return p.call(8, 1<<21, unix.IPC_CREAT|0o600|0o4000) // SHM_HUGETLB
		}, absent: []error{unix.EINVAL}},
		{calls: "mq_open", cap: "CAP_SYS_RESOURCE", deny: []error{unix.EINVAL}, run: func(p *probe) error {
			p.isolate(unix.CLONE_NEWIPC)
			attr := [8]int64{1: 1000, 2: 16} // mq_maxmsg, mq_msgsize
			return p.call("queue", unix.O_CREAT|unix.O_RDWR, 0o600, unsafe.Pointer(&attr))
		}},
	}
}

// object makes a System V object with key 7 and mode 0, for the probe alone,
// and gives it to a user. The row's call is made by user 2.
func (p *probe) object(kind string, owner int) int {
	p.isolate(unix.CLONE_NEWIPC)
	const create = unix.IPC_CREAT | 0o600
	var id int
	ds := make([]byte, 256)
	*(*uint32)(unsafe.Pointer(&ds[4])) = uint32(owner) // uid of a struct ipc64_perm; the mode stays 0
	switch kind {
	case "msg":
		id = need(p.result("msgget", 7, create))
		*(*uint64)(unsafe.Pointer(&ds[88])) = 1024
		must(p.sys("msgctl", id, ipcSet, ds))
	case "sem":
		id = need(p.result("semget", 7, 1, create))
		must(p.sys("semctl", id, 0, ipcSet, ds))
	default:
		id = need(p.result("shmget", 7, page, create))
		must(p.sys("shmctl", id, ipcSet, ds))
	}
	if owner != 0 {
		p.user(2) // the creator, root, keeps the rights of an owner
	}
	return id
}

// text is a struct msgbuf of type 1.
func (p *probe) text() []byte { return append([]byte{1}, make([]byte, 63)...) }
