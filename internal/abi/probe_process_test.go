package abi_test

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// process starts a program of another user, sleep if none is named, and
// returns the path of one of its files in procfs.
func (p *probe) process(file string, before ...string) string {
	return fmt.Sprintf("/proc/%d/%s", p.start(before...), file)
}

func (p *probe) start(before ...string) int {
	argv := append(before, "sleep", "20")
	path, err := exec.LookPath(argv[0])
	if err != nil {
		panic(missing("no " + argv[0]))
	}
	cmd := exec.Command(path, argv[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Credential: &syscall.Credential{Uid: other, Gid: other, NoSetGroups: true},
		Pdeathsig:  syscall.SIGKILL,
	}
	if p.capableChild() {
		cmd.SysProcAttr.Credential.Uid, cmd.SysProcAttr.Credential.Gid = 0, 0
	}
	must(cmd.Start())
	for range 200 { // until it has become what it is to be
		if comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", cmd.Process.Pid)); string(comm) == "sleep\n" {
			return cmd.Process.Pid
		}
		time.Sleep(10 * time.Millisecond)
	}
	panic("no sleep came of " + path)
}

// capableChild: who writes the maps of a user namespace must have made it.
func (p *probe) capableChild() bool {
	return len(p.row.Syscall) > 4 && p.row.Syscall[:5] == "write" || p.row.Syscall == "pwrite64"
}

func processExercises() []exercise {
	out := signalExercises()
	out = append(out, identityExercises()...)
	out = append(out, prctlExercises()...)
	out = append(out, traceExercises()...)
	out = append(out, scheduleExercises()...)
	return append(out, namespaceExercises()...)
}

func signalExercises() []exercise {
	info := make([]byte, 128)
	*(*int32)(unsafe.Pointer(&info[8])) = -1 // SI_QUEUE
	return []exercise{
		{calls: "kill tkill", cap: "CAP_KILL", run: func(p *probe) error { return p.call(p.start(), 0) }},
		{calls: "tgkill", cap: "CAP_KILL", run: func(p *probe) error {
			pid := p.start()
			return p.call(pid, pid, 0)
		}},
		{calls: "rt_sigqueueinfo", cap: "CAP_KILL", run: func(p *probe) error { return p.call(p.start(), 0, info) }},
		{calls: "rt_tgsigqueueinfo", cap: "CAP_KILL", run: func(p *probe) error {
			pid := p.start()
			return p.call(pid, pid, 0, info)
		}},
		{calls: "pidfd_send_signal", cap: "CAP_KILL", run: func(p *probe) error { return p.call(p.pidfd(), 0, nil, 0) }},
	}
}

func (p *probe) pidfd() int { return need(unix.PidfdOpen(p.start(), 0)) }

func identityExercises() []exercise {
	credentials := func(pid, uid, gid int) func(p *probe) error {
		return func(p *probe) error {
			if pid == 0 {
				pid = os.Getpid()
			}
			control := unix.UnixCredentials(&unix.Ucred{Pid: int32(pid), Uid: uint32(uid), Gid: uint32(gid)})
			fds := need(unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM, 0))
			return p.call(fds[0], p.message(nil, 0, control), p.vlen(), 0)
		}
	}
	return []exercise{
		{calls: "setuid", cap: "CAP_SETUID", run: func(p *probe) error { return p.call(other) }},
		{calls: "setreuid setresuid", cap: "CAP_SETUID", run: func(p *probe) error { return p.call(other, other, other) }},
		{calls: "setgid", cap: "CAP_SETGID", run: func(p *probe) error { return p.call(other) }},
		{calls: "setregid setresgid", cap: "CAP_SETGID", run: func(p *probe) error { return p.call(other, other, other) }},
		{calls: "setfsuid", cap: "CAP_SETUID", run: setsFSID},
		{calls: "setfsgid", cap: "CAP_SETGID", run: setsFSID},
		{calls: "setgroups", cap: "CAP_SETGID", run: func(p *probe) error { return p.call(0, nil) }},
		{calls: "capset", cap: "CAP_SETPCAP", run: func(p *probe) error {
			p.drop()
			header, data := capabilities()
			data[1].Permitted &^= 1 << (unix.CAP_WAKE_ALARM - 32)
			data[1].Effective = data[1].Permitted
			must(unix.Capset(&header, &data[0]))
			data[1].Inheritable = 1 << (unix.CAP_WAKE_ALARM - 32) // not a permitted one
			return p.call(unsafe.Pointer(&header), unsafe.Pointer(&data[0]))
		}},
		{calls: "sendmsg sendmmsg", cap: "CAP_SETUID", run: credentials(0, other, 0)},
		{calls: "sendmsg sendmmsg", cap: "CAP_SETGID", run: credentials(0, 0, other)},
		{calls: "sendmsg sendmmsg", cap: "CAP_SYS_ADMIN", run: credentials(1, 0, 0)},
		{calls: "sendmsg sendmmsg", cap: "CAP_SYS_RESOURCE", deny: []error{unix.ETOOMANYREFS}, run: func(p *probe) error {
			must(unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 64, Max: need(hardLimit(unix.RLIMIT_NOFILE))}))
			fds := need(unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM, 0))
			rights := unix.UnixRights(make([]int, 65)...)
			must(unix.Sendmsg(fds[0], []byte("x"), rights, nil, 0)) // counted against root, as what is sent now
			return p.call(fds[0], p.message(nil, 0, rights), p.vlen(), 0)
		}},
	}
}

func hardLimit(resource int) (uint64, error) {
	var limit unix.Rlimit
	err := unix.Getrlimit(resource, &limit)
	return limit.Max, err
}

// vlen is the third argument: a count of messages, or flags.
func (p *probe) vlen() int {
	if p.row.Syscall == "sendmmsg" {
		return 1
	}
	return 0
}

// setsFSID: the call returns what was before, whether it did anything or not.
func setsFSID(p *probe) error {
	_ = p.call(other)
	now, _ := p.result(p.row.Syscall, -1)
	return lost(now == other)
}

func prctlExercises() []exercise {
	filter := []unix.SockFilter{{Code: unix.BPF_RET, K: unix.SECCOMP_RET_ALLOW}}
	program := unix.SockFprog{Len: 1, Filter: &filter[0]}
	return []exercise{
		{calls: "prctl", cap: "CAP_SETPCAP", row: "in 0x18)", run: func(p *probe) error { return p.call(unix.PR_CAPBSET_DROP, unix.CAP_WAKE_ALARM) }},
		{calls: "prctl", cap: "CAP_SETPCAP", row: "in 0x1c)", run: func(p *probe) error { return p.call(unix.PR_SET_SECUREBITS, 1<<4) }},
		{calls: "prctl", cap: "CAP_SYS_RESOURCE", row: "in 0x23,", run: func(p *probe) error { return p.call(unix.PR_SET_MM, unix.PR_SET_MM_BRK, 0, 0, 0) }},
		{calls: "prctl", cap: "CAP_CHECKPOINT_RESTORE", run: setMap},
		{calls: "prctl", cap: "CAP_SYS_RESOURCE", row: "in 0x39", run: func(p *probe) error { return p.call(unix.PR_GET_IO_FLUSHER, 0, 0, 0, 0) }},
		{calls: "prctl", cap: "CAP_SYS_ADMIN", run: func(p *probe) error {
			return p.call(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, unsafe.Pointer(&program))
		}},
		{calls: "prctl", cap: "CAP_SYS_PTRACE", run: func(p *probe) error {
			return p.call(unix.PR_SCHED_CORE, unix.PR_SCHED_CORE_SHARE_TO, p.start(), 0, 0)
		}, absent: []error{unix.EINVAL, unix.ENODEV}},
		{calls: "seccomp", cap: "CAP_SYS_ADMIN", run: func(p *probe) error {
			return p.call(unix.SECCOMP_SET_MODE_FILTER, 0, unsafe.Pointer(&program))
		}},
		{calls: "landlock_restrict_self", cap: "CAP_SYS_ADMIN", run: func(p *probe) error {
			handled := []byte{1, 0, 0, 0, 0, 0, 0, 0}
			fd, err := p.result("landlock_create_ruleset", handled, len(handled), 0)
			if err != nil {
				panic(missing("landlock: " + err.Error()))
			}
			return p.call(fd, 0)
		}},
	}
}

// setMap gives the process the memory map it has, and a descriptor of its
// program: a struct prctl_mm_map, include/uapi/linux/prctl.h.
func setMap(p *probe) error {
	m := [13]uint64{}
	stat := string(need(os.ReadFile("/proc/self/stat")))
	var pid int
	var comm, state string
	n := make([]uint64, 49) // fields 4 to 52
	into := []any{&pid, &comm, &state}
	for range n {
		into = append(into, new(string))
	}
	_, err := fmt.Sscan(stat, into...)
	must(err)
	field := func(i int) (v uint64) {
		_, err := fmt.Sscan(*into[i-1].(*string), &v)
		must(err)
		return v
	}
	for i, f := range []int{26, 27, 45, 46, 47, 0, 28, 48, 49, 50, 51} {
		if f > 0 {
			m[i] = field(f)
		}
	}
	m[5] = uint64(need(p.result("brk", 0)))
	fd := p.open("/proc/self/exe", unix.O_RDONLY)
	m[12] = uint64(uint32(fd)) << 32
	return p.call(unix.PR_SET_MM, unix.PR_SET_MM_MAP, unsafe.Pointer(&m), len(m)*8, 0)
}

func traceExercises() []exercise {
	local := make([]byte, 16)
	return []exercise{
		{calls: "ptrace", cap: "CAP_SYS_PTRACE", run: func(p *probe) error { return p.call(unix.PTRACE_SEIZE, p.start(), 0, 0) }},
		{calls: "ptrace", cap: "CAP_SYS_ADMIN", row: "0x4206, 3&", run: func(p *probe) error {
			return p.call(unix.PTRACE_SETOPTIONS, p.traced(), 0, unix.PTRACE_O_SUSPEND_SECCOMP)
		}},
		{calls: "ptrace", cap: "CAP_SYS_ADMIN", row: "0x420c", run: func(p *probe) error {
			return p.call(unix.PTRACE_SECCOMP_GET_FILTER, p.traced(), 0, 0)
		}, deny: []error{unix.EACCES, unix.EPERM}},
		{calls: "process_vm_readv process_vm_writev", cap: "CAP_SYS_PTRACE", run: func(p *probe) error {
			return p.call(p.start(), p.iovec(local), 1, p.iovec(local), 1, 0)
		}},
		{calls: "kcmp", cap: "CAP_SYS_PTRACE", run: func(p *probe) error { return p.call(p.start(), os.Getpid(), 1) }},
		{calls: "get_robust_list", cap: "CAP_SYS_PTRACE", run: func(p *probe) error { return p.call(p.start(), local, local[8:]) }},
		{calls: "pidfd_getfd", cap: "CAP_SYS_PTRACE", run: func(p *probe) error { return p.call(p.pidfd(), 0, 0) }},
		{calls: "process_madvise", cap: "CAP_SYS_PTRACE", also: "CAP_SYS_NICE", less: readsMemory, run: func(p *probe) error { return p.madvise() }},
		{calls: "process_madvise", cap: "CAP_SYS_NICE", also: "CAP_SYS_PTRACE", run: func(p *probe) error { return p.madvise() }},
		{calls: "move_pages", cap: "CAP_SYS_PTRACE", run: func(p *probe) error { return p.call(p.start(), 0, nil, nil, nil, 0) }},
		{calls: "migrate_pages", cap: "CAP_SYS_PTRACE", run: func(p *probe) error {
			return p.call(p.start(), 64, []byte{1, 0, 0, 0, 0, 0, 0, 0}, []byte{1, 0, 0, 0, 0, 0, 0, 0})
		}},
	}
}

// readsMemory are capabilities that do for reading memory since Linux 6.13.
const readsMemory = "CAP_PERFMON CAP_SYS_ADMIN"

func (p *probe) madvise() error {
	return p.call(p.pidfd(), p.iovec(make([]byte, 1)), 1, unix.MADV_COLD, 0)
}

// traced is a process that this one traces, and has stopped.
func (p *probe) traced() int {
	pid := p.start()
	must(p.sys("ptrace", unix.PTRACE_ATTACH, pid, 0, 0))
	need(unix.Wait4(pid, nil, unix.WALL, nil))
	return pid
}

func scheduleExercises() []exercise {
	one := []byte{1, 0, 0, 0, 0, 0, 0, 0}
	return []exercise{
		{calls: "setpriority", cap: "CAP_SYS_NICE", run: func(p *probe) error { return p.call(unix.PRIO_PROCESS, 0, -1) }},
		{calls: "sched_setscheduler", cap: "CAP_SYS_NICE", run: func(p *probe) error { return p.call(0, unix.SCHED_RR, one) }},
		{calls: "sched_setparam", cap: "CAP_SYS_NICE", run: func(p *probe) error {
			must(p.sys("sched_setscheduler", 0, unix.SCHED_RR, one))
			return p.call(0, []byte{9, 0, 0, 0})
		}},
		{calls: "sched_setattr", cap: "CAP_SYS_NICE", run: func(p *probe) error {
			attr := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 1}
			return p.call(0, unsafe.Pointer(&attr), 0)
		}},
		{calls: "sched_setaffinity", cap: "CAP_SYS_NICE", run: func(p *probe) error { return p.call(p.start(), 8, one) }},
		{calls: "nice", cap: "CAP_SYS_NICE", run: func(p *probe) error { return p.call(-1) }},
		{calls: "ioprio_set", cap: "CAP_SYS_NICE", row: "always", run: func(p *probe) error { return p.call(1, 0, 1<<13) }},
		{calls: "ioprio_set", cap: "CAP_SYS_NICE", row: "conditional", run: func(p *probe) error { return p.call(1, p.start(), 2<<13) }},
		{calls: "setrlimit", cap: "CAP_SYS_RESOURCE", run: func(p *probe) error {
			must(unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}))
			return p.call(unix.RLIMIT_CORE, unsafe.Pointer(&unix.Rlimit{Cur: 1, Max: 1}))
		}},
		{calls: "prlimit64", cap: "CAP_SYS_RESOURCE", run: func(p *probe) error { return p.call(p.start(), unix.RLIMIT_CORE, nil, make([]byte, 16)) }},
		{calls: "fork vfork", cap: "CAP_SYS_RESOURCE", deny: []error{unix.EAGAIN}, run: func(p *probe) error {
			p.lastProcess()
			return p.call()
		}, half: "a copy of a Go process cannot be let go on; clone shows the same check"},
		{calls: "clone", cap: "CAP_SYS_RESOURCE", deny: []error{unix.EAGAIN}, run: func(p *probe) error {
			p.lastProcess()
			return p.copy(int(syscall.SIGCHLD), 0, 0, 0, 0)
		}},
		{calls: "clone3", cap: "CAP_SYS_RESOURCE", deny: []error{unix.EAGAIN}, run: func(p *probe) error {
			p.lastProcess()
			return p.copy(cloneArgs(0, nil), 64)
		}},
	}
}

// lastProcess makes the probe a user that may have no more processes.
func (p *probe) lastProcess() {
	must(unix.Setrlimit(unix.RLIMIT_NPROC, &unix.Rlimit{}))
	p.user(54321)
}

// copy makes the row's call, which starts a process, and ends that at once.
func (p *probe) copy(args ...any) error {
	p.drop()
	p.check(args)
	nr, r := p.number(p.row.Syscall), p.registers(args)
	got, _, errno := syscall.RawSyscall6(nr, r[0], r[1], r[2], r[3], r[4], r[5])
	if got == 0 && errno == 0 {
		syscall.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
	}
	if errno != 0 {
		return errno
	}
	return nil
}

// cloneArgs is a struct clone_args: include/uapi/linux/sched.h.
func cloneArgs(flags uint64, setTID *int32) []byte {
	a := [8]uint64{0: flags, 4: uint64(syscall.SIGCHLD)}
	b := make([]byte, 0, 80)
	for _, v := range a {
		b = binary.NativeEndian.AppendUint64(b, v)
	}
	if setTID != nil {
		b = binary.NativeEndian.AppendUint64(b, uint64(uintptr(unsafe.Pointer(setTID))))
		b = binary.NativeEndian.AppendUint64(b, 1)
	}
	return b
}

func namespaceExercises() []exercise {
	const userNS = "any but a child user namespace"
	return []exercise{
		{calls: "clone", cap: "CAP_SYS_ADMIN", run: func(p *probe) error { return p.copy(unix.CLONE_NEWUTS|int(syscall.SIGCHLD), 0, 0, 0, 0) }},
		{calls: "clone3", cap: "CAP_SYS_ADMIN", run: func(p *probe) error { return p.copy(cloneArgs(unix.CLONE_NEWUTS, nil), 64) }},
		{calls: "clone3", cap: "CAP_CHECKPOINT_RESTORE", run: func(p *probe) error {
			tid := new(int32)
			*tid = int32(need(os.StartProcess("/proc/self/exe", []string{"x"}, &os.ProcAttr{Env: []string{probeVar + "="}})).Pid)
			need(unix.Wait4(int(*tid), nil, 0, nil)) // a number that is free again
			p.pinned = append(p.pinned, tid)
			return p.copy(cloneArgs(0, tid), 80)
		}},
		{calls: "unshare", cap: "CAP_SYS_ADMIN", run: func(p *probe) error { return p.call(unix.CLONE_NEWUTS) }},
		{calls: "setns", cap: "CAP_SYS_ADMIN", row: "always", run: func(p *probe) error {
			return p.call(p.open("/proc/thread-self/ns/uts", 0), unix.CLONE_NEWUTS)
		}},
		{calls: "setns", cap: "CAP_SYS_ADMIN", row: "(1&0x10000000 any) CAP_SYS_ADMIN", none: "a process of several threads may not enter a user namespace"},
		{calls: "setns", cap: "CAP_SYS_ADMIN", row: "in 0x0) CAP_SYS_ADMIN conditional: " + userNS, run: func(p *probe) error {
			return p.call(p.open("/proc/thread-self/ns/uts", 0), 0)
		}},
		{calls: "setns", cap: "CAP_SYS_CHROOT", row: "always", also: "CAP_SYS_ADMIN", run: func(p *probe) error {
			p.isolate(unix.CLONE_NEWNS)
			return p.call(p.open("/proc/thread-self/ns/mnt", 0), unix.CLONE_NEWNS)
		}},
		{calls: "setns", cap: "CAP_SYS_CHROOT", row: "(1&0x20000 any, 1&0x10000000 any)", none: "a process of several threads may not enter a user namespace"},
		{calls: "setns", cap: "CAP_SYS_CHROOT", row: ": a mount namespace", also: "CAP_SYS_ADMIN", run: func(p *probe) error {
			p.isolate(unix.CLONE_NEWNS)
			return p.call(p.open("/proc/thread-self/ns/mnt", 0), 0)
		}},
	}
}
