package abi_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

func adminExercises() []exercise {
	out := mountExercises()
	out = append(out, machineExercises()...)
	out = append(out, clockExercises()...)
	return append(out, observationExercises()...)
}

func mountExercises() []exercise {
	return []exercise{
		{calls: "mount", cap: "CAP_SYS_ADMIN", run: func(p *probe) error { return p.call("none", p.dir, "no such type", 0, 0) }},
		{calls: "umount2", cap: "CAP_SYS_ADMIN", run: func(p *probe) error { return p.call(p.dir, 0) }},
		{calls: "pivot_root", cap: "CAP_SYS_ADMIN", run: func(p *probe) error { return p.call(p.dir, p.dir) }},
		{calls: "mount_setattr", cap: "CAP_SYS_ADMIN", run: func(p *probe) error {
			return p.call(at, p.dir, 0, append([]byte{unix.MOUNT_ATTR_RDONLY}, make([]byte, 31)...), 32)
		}},
		{calls: "fsopen", cap: "CAP_SYS_ADMIN", run: func(p *probe) error { return p.call("tmpfs", 0) }},
		{calls: "fspick", cap: "CAP_SYS_ADMIN", run: func(p *probe) error { return p.call(at, "/", 0) }},
		{calls: "fsmount", cap: "CAP_SYS_ADMIN", run: func(p *probe) error {
			fd := need(unix.Fsopen("tmpfs", 0))
			must(unix.FsconfigCreate(fd))
			return p.call(fd, 0, 0)
		}},
		{calls: "move_mount", cap: "CAP_SYS_ADMIN", run: func(p *probe) error { return p.call(-1, "from", -1, "to", 0) }},
		{calls: "open_tree", cap: "CAP_SYS_ADMIN", run: func(p *probe) error { return p.call(at, p.dir, unix.OPEN_TREE_CLONE) }},
		{calls: "open_tree_attr", cap: "CAP_SYS_ADMIN", row: "always", run: func(p *probe) error {
			return p.call(at, p.dir, unix.OPEN_TREE_CLONE, nil, 0)
		}},
		{calls: "open_tree_attr", cap: "CAP_SYS_ADMIN", row: "conditional", run: func(p *probe) error {
			return p.call(at, p.dir, 0, append([]byte{unix.MOUNT_ATTR_RDONLY}, make([]byte, 31)...), 32)
		}},
		{calls: "fsconfig", cap: "CAP_SYS_ADMIN", run: func(p *probe) error {
			return p.call(need(unix.Fsopen("tmpfs", 0)), unix.FSCONFIG_CMD_CREATE, nil, nil, 0)
		}},
		{calls: "statmount", cap: "CAP_SYS_ADMIN", run: func(p *probe) error { return p.call(p.outside(2), make([]byte, 4096), 4096, 0) }},
		{calls: "listmount", cap: "CAP_SYS_ADMIN", run: func(p *probe) error { return p.call(p.outside(0), make([]byte, 80), 10, 0) }},
		{calls: "listns", cap: "CAP_SYS_ADMIN", none: "newer than the kernels at hand"},
		{calls: "chroot", cap: "CAP_SYS_CHROOT", run: func(p *probe) error { return p.call(p.dir) }},
		{calls: "swapon swapoff", cap: "CAP_SYS_ADMIN", run: func(p *probe) error { return p.call(p.dir+"/none", 0) }},
		{calls: "sethostname setdomainname", cap: "CAP_SYS_ADMIN", run: func(p *probe) error {
			p.isolate(unix.CLONE_NEWUTS)
			return p.call("probe", 5)
		}},
		{calls: "quotactl", cap: "CAP_SYS_ADMIN", row: "always", run: func(p *probe) error {
			return p.call(0x80000600, p.rootDevice(), 0, make([]byte, 64)) // Q_SETINFO of no field
		}},
		{calls: "quotactl", cap: "CAP_SYS_ADMIN", row: "conditional", run: func(p *probe) error {
			return p.call(0x80000700, p.rootDevice(), other, make([]byte, 256)) // Q_GETQUOTA
		}},
		{calls: "quotactl_fd", cap: "CAP_SYS_ADMIN", row: "always", run: func(p *probe) error {
			return p.call(p.open("/", 0), 0x80000600, 0, make([]byte, 64))
		}},
		{calls: "quotactl_fd", cap: "CAP_SYS_ADMIN", row: "conditional", run: func(p *probe) error {
			return p.call(p.open("/", 0), 0x80000700, other, make([]byte, 256))
		}},
		{calls: "acct", cap: "CAP_SYS_PACCT", run: func(p *probe) error { return p.call(p.dir + "/none") }},
		{calls: "fanotify_init", cap: "CAP_SYS_ADMIN", row: "0x21bc any) CAP_SYS_ADMIN always", run: func(p *probe) error { return p.call(unix.FAN_CLASS_CONTENT, 0) }},
		{calls: "fanotify_init", cap: "CAP_SYS_ADMIN", row: "0x5e00 in 0x0)", run: func(p *probe) error { return p.call(unix.FAN_CLASS_NOTIF, 0) }},
		{calls: "fanotify_init", cap: "CAP_SYS_ADMIN", row: "rare", none: "kernels since 5.13 do not ask"},
		{calls: "fanotify_init", cap: "CAP_AUDIT_WRITE", also: "CAP_SYS_ADMIN", run: func(p *probe) error {
			return p.call(unix.FAN_CLASS_CONTENT|unix.FAN_ENABLE_AUDIT, 0)
		}, absent: []error{unix.EINVAL}},
		{calls: "fanotify_mark", cap: "CAP_SYS_ADMIN", run: func(p *probe) error {
			p.drop() // the group remembers who made it
			group := need(unix.FanotifyInit(unix.FAN_REPORT_FID, 0))
			return p.call(group, unix.FAN_MARK_ADD|unix.FAN_MARK_FILESYSTEM, unix.FAN_OPEN, at, p.dir)
		}},
	}
}

// outside is a struct mnt_id_req for a mount that is outside the probe's root.
func (p *probe) outside(param uint64) []byte {
	var stat unix.Statx_t
	must(unix.Statx(at, "/", 0, 0x4000, &stat)) // STATX_MNT_ID_UNIQUE
	if stat.Mask&0x4000 == 0 {
		panic(missing("no unique mount IDs"))
	}
	p.isolate(unix.CLONE_FS)
	must(unix.Chroot(p.dir))
	b := binary.NativeEndian.AppendUint64(nil, 24)
	b = binary.NativeEndian.AppendUint64(b, stat.Mnt_id)
	return binary.NativeEndian.AppendUint64(b, param)
}

func (p *probe) rootDevice() string {
	for line := range strings.Lines(string(need(os.ReadFile("/proc/self/mounts")))) {
		if f := strings.Fields(line); f[1] == "/" && strings.HasPrefix(f[0], "/dev/") {
			return p.special(f[0])
		}
	}
	panic(missing("no device under /"))
}

func machineExercises() []exercise {
	return []exercise{
		{calls: "init_module", cap: "CAP_SYS_MODULE", run: func(p *probe) error { return p.call([]byte("no module"), 9, "") }},
		{calls: "finit_module", cap: "CAP_SYS_MODULE", run: func(p *probe) error { return p.call(-1, "", 0) }},
		{calls: "delete_module", cap: "CAP_SYS_MODULE", run: func(p *probe) error { return p.call("no such module", unix.O_NONBLOCK) }},
		// Wrong magic numbers and flags: they are looked at after the capability.
		{calls: "reboot", cap: "CAP_SYS_BOOT", run: func(p *probe) error { return p.call(0, 0, 0, nil) }},
		{calls: "kexec_load", cap: "CAP_SYS_BOOT", run: func(p *probe) error { return p.call(0, 0, nil, 0xfff0) }},
		{calls: "kexec_file_load", cap: "CAP_SYS_BOOT", run: func(p *probe) error { return p.call(-1, -1, 0, nil, 0xfff0) }},
		{calls: "ioperm", cap: "CAP_SYS_RAWIO", run: func(p *probe) error { return p.call(0x80, 1, 1) }},
		{calls: "iopl", cap: "CAP_SYS_RAWIO", run: func(p *probe) error { return p.call(3) }},
		{calls: "vhangup", cap: "CAP_SYS_TTY_CONFIG", run: func(p *probe) error { return p.call() }},
		{calls: "lookup_dcookie", cap: "CAP_SYS_ADMIN", run: func(p *probe) error { return p.call(0, make([]byte, 64), 64) }},
		{calls: "syslog", cap: "CAP_SYSLOG", row: "always", run: func(p *probe) error { return p.call(9, nil, 0) }},
		{calls: "syslog", cap: "CAP_SYSLOG", row: "conditional", run: func(p *probe) error {
			if need(os.ReadFile("/proc/sys/kernel/dmesg_restrict"))[0] == '0' {
				panic(missing("kernel.dmesg_restrict is 0"))
			}
			return p.call(10, nil, 0)
		}},
		{calls: "epoll_ctl", cap: "CAP_BLOCK_SUSPEND", run: func(p *probe) error {
			if !p.wakesUp(p.sys) {
				panic(missing("this kernel cannot suspend"))
			}
			return lost(p.wakesUp(func(_ string, args ...any) error { return p.call(args...) }))
		}},
	}
}

// wakesUp reports whether a descriptor added with EPOLLWAKEUP has the flag.
func (p *probe) wakesUp(call func(name string, args ...any) error) bool {
	var fds [2]int
	must(unix.Pipe(fds[:]))
	epoll := need(unix.EpollCreate1(0))
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLWAKEUP}
	must(call("epoll_ctl", epoll, unix.EPOLL_CTL_ADD, fds[0], unsafe.Pointer(&event)))
	info := need(os.ReadFile(fmt.Sprintf("/proc/thread-self/fdinfo/%d", epoll)))
	return bytes.Contains(info, []byte("events: 20000"))
}

func clockExercises() []exercise {
	noClock := []error{unix.EOPNOTSUPP}
	alarm := unix.CLOCK_REALTIME_ALARM
	return []exercise{
		{calls: "settimeofday", cap: "CAP_SYS_TIME", run: func(p *probe) error { return p.call(nil, nil) }},
		{calls: "stime", cap: "CAP_SYS_TIME", run: func(p *probe) error { return p.call(nil) }},
		{calls: "clock_settime", cap: "CAP_SYS_TIME", run: func(p *probe) error {
			now := unix.NsecToTimespec(time.Now().UnixNano())
			return p.call(unix.CLOCK_REALTIME, unsafe.Pointer(&now))
		}, half: "it would set the clock"},
		{calls: "adjtimex", cap: "CAP_SYS_TIME", run: func(p *probe) error { return p.call(unsafe.Pointer(sameClock())) }},
		{calls: "clock_adjtime", cap: "CAP_SYS_TIME", run: func(p *probe) error {
			return p.call(unix.CLOCK_REALTIME, unsafe.Pointer(sameClock()))
		}},
		{calls: "timer_create", cap: "CAP_WAKE_ALARM", absent: noClock, run: func(p *probe) error { return p.call(alarm, nil, make([]byte, 8)) }},
		{calls: "timerfd_create", cap: "CAP_WAKE_ALARM", absent: noClock, run: func(p *probe) error { return p.call(alarm, 0) }},
		{calls: "timerfd_settime", cap: "CAP_WAKE_ALARM", absent: noClock, run: func(p *probe) error {
			return p.call(need(unix.TimerfdCreate(alarm, 0)), 0, make([]byte, 32), nil)
		}},
		{calls: "clock_nanosleep", cap: "CAP_WAKE_ALARM", absent: noClock, run: func(p *probe) error { return p.call(alarm, 0, make([]byte, 16), nil) }},
	}
}

// sameClock sets the clock's estimated error to what it is.
func sameClock() *unix.Timex {
	t := new(unix.Timex)
	need(unix.Adjtimex(t))
	t.Modes = unix.ADJ_ESTERROR
	return t
}

// bpfProgram is the start of a union bpf_attr that loads "return 0".
func (p *probe) bpfProgram(kind uint32) []byte {
	insns := make([]byte, 16)
	insns[0], insns[8] = 0xb7, 0x95 // r0 = 0; exit
	license := []byte("GPL\x00")
	p.pinned = append(p.pinned, insns, license)
	b := binary.NativeEndian.AppendUint32(nil, kind)
	b = binary.NativeEndian.AppendUint32(b, 2)
	b = binary.NativeEndian.AppendUint64(b, uint64(uintptr(unsafe.Pointer(&insns[0]))))
	b = binary.NativeEndian.AppendUint64(b, uint64(uintptr(unsafe.Pointer(&license[0]))))
	return append(b, make([]byte, 48)...)
}

func observationExercises() []exercise {
	return []exercise{
		{calls: "bpf", cap: "CAP_BPF", run: func(p *probe) error {
			if need(os.ReadFile("/proc/sys/kernel/unprivileged_bpf_disabled"))[0] == '0' {
				panic(missing("kernel.unprivileged_bpf_disabled is 0"))
			}
			return p.call(unix.BPF_MAP_CREATE, words(1, 4, 4, 1, 0, 0), 24)
		}},
		{calls: "bpf", cap: "CAP_NET_ADMIN", also: "CAP_BPF", run: func(p *probe) error {
			return p.call(unix.BPF_PROG_LOAD, p.bpfProgram(unix.BPF_PROG_TYPE_SCHED_CLS), 72)
		}},
		{calls: "bpf", cap: "CAP_PERFMON", also: "CAP_BPF", run: func(p *probe) error {
			return p.call(unix.BPF_PROG_LOAD, p.bpfProgram(unix.BPF_PROG_TYPE_RAW_TRACEPOINT), 72)
		}},
		{calls: "bpf", cap: "CAP_SYS_ADMIN", run: func(p *probe) error { return p.call(unix.BPF_PROG_GET_NEXT_ID, make([]byte, 16), 16) }},
		{calls: "perf_event_open", cap: "CAP_PERFMON", run: func(p *probe) error {
			attr := unix.PerfEventAttr{Type: unix.PERF_TYPE_SOFTWARE, Size: unix.PERF_ATTR_SIZE_VER5}
			return p.call(unsafe.Pointer(&attr), -1, 0, -1, 0)
		}},
		{calls: "perf_event_open", cap: "CAP_SYS_PTRACE", less: "CAP_SYS_ADMIN", run: func(p *probe) error {
			attr := unix.PerfEventAttr{Type: unix.PERF_TYPE_SOFTWARE, Size: unix.PERF_ATTR_SIZE_VER5, Bits: unix.PerfBitExcludeKernel | unix.PerfBitExcludeHv}
			return p.call(unsafe.Pointer(&attr), p.start(), -1, -1, 0)
		}},
		{calls: "keyctl", cap: "CAP_SYS_ADMIN", row: "conditional", run: func(p *probe) error {
			key := need(unix.AddKey("user", "probe", []byte("x"), unix.KEY_SPEC_THREAD_KEYRING))
			return p.call(unix.KEYCTL_CHOWN, key, other, -1)
		}},
		{calls: "keyctl", cap: "CAP_SYS_ADMIN", row: "rare", none: "such keyrings are the kernel's own, of DNS and NFS"},
		{calls: "keyctl", cap: "CAP_SETUID", run: func(p *probe) error {
			return p.call(unix.KEYCTL_GET_PERSISTENT, other, unix.KEY_SPEC_THREAD_KEYRING)
		}, absent: []error{unix.EOPNOTSUPP}},
	}
}
