package abi_test

import (
	"encoding/binary"
	"os"
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

func exercises() []exercise {
	return slices.Concat(fileExercises(), attributeExercises(), pathExercises(), processExercises(),
		memoryExercises(), adminExercises(), ioctlExercises(), networkExercises())
}

// file makes a file of a user with a mode, and returns its path.
func (p *probe) file(name string, uid int, mode uint32) string {
	path := p.dir + "/" + name
	must(os.WriteFile(path, []byte("content"), 0o600))
	must(unix.Chown(path, uid, 0))
	must(unix.Chmod(path, mode))
	return path
}

// folder makes a folder of another user with a mode.
func (p *probe) folder(name string, mode uint32) string {
	path := p.dir + "/" + name
	must(unix.Mkdir(path, 0o700))
	must(unix.Chown(path, other, 0))
	must(unix.Chmod(path, mode))
	return path
}

func (p *probe) open(path string, flags int) int { return need(unix.Open(path, flags, 0o600)) }

// tmpfs mounts an empty file system over the probe's folder, for itself alone.
func (p *probe) tmpfs() {
	p.isolate(unix.CLONE_NEWNS)
	must(unix.Mount("probe", p.dir, "tmpfs", 0, ""))
}

// isolate moves the probe to new namespaces, in the same user namespace.
func (p *probe) isolate(flags int) {
	must(unix.Unshare(flags))
	if flags&unix.CLONE_NEWNS != 0 {
		must(unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""))
	}
}

// lost makes an error of a change that the kernel left out without a word.
func lost(ok bool) error {
	if ok {
		return nil
	}
	return unix.EPERM
}

func fileExercises() []exercise {
	return []exercise{
		{calls: "chown lchown", cap: "CAP_CHOWN", run: func(p *probe) error { return p.call(p.file("f", 0, 0o644), other, other) }},
		{calls: "fchown", cap: "CAP_CHOWN", run: func(p *probe) error { return p.call(p.open(p.file("f", 0, 0o644), 0), other, other) }},
		{calls: "fchownat", cap: "CAP_CHOWN", run: func(p *probe) error { return p.call(at, p.file("f", 0, 0o644), other, other, 0) }},
		{calls: "chmod", cap: "CAP_FOWNER", run: func(p *probe) error { return p.call(p.file("f", other, 0o644), 0o600) }},
		{calls: "fchmod", cap: "CAP_FOWNER", run: func(p *probe) error { return p.call(p.open(p.file("f", other, 0o644), 0), 0o600) }},
		{calls: "fchmodat fchmodat2", cap: "CAP_FOWNER", run: func(p *probe) error { return p.call(at, p.file("f", other, 0o644), 0o600, 0) }},
		{calls: "chmod", cap: "CAP_FSETID", run: setGroupID(func(p *probe, path string) error { return p.call(path, 0o2755) })},
		{calls: "fchmod", cap: "CAP_FSETID", run: setGroupID(func(p *probe, path string) error { return p.call(p.open(path, 0), 0o2755) })},
		{calls: "fchmodat fchmodat2", cap: "CAP_FSETID", run: setGroupID(func(p *probe, path string) error { return p.call(at, path, 0o2755, 0) })},
		{calls: "write pwrite64", cap: "CAP_FSETID", run: keepsIDs(func(p *probe, fd int) error { return p.call(fd, []byte("x"), 1, 0) })},
		{calls: "writev pwritev pwritev2", cap: "CAP_FSETID", run: keepsIDs(func(p *probe, fd int) error { return p.call(fd, p.iovec([]byte("x")), 1, 0, 0, 0) })},
		{calls: "ftruncate", cap: "CAP_FSETID", run: keepsIDs(func(p *probe, fd int) error { return p.call(fd, 1) })},
		{calls: "fallocate", cap: "CAP_FSETID", run: keepsIDs(func(p *probe, fd int) error { return p.call(fd, 0, 0, 100) })},
		{calls: "truncate", cap: "CAP_FSETID", run: keepsIDs(func(p *probe, _ int) error { return p.call(p.dir+"/f", 1) })},

		{calls: "utime utimes", cap: "CAP_FOWNER", run: func(p *probe) error { return p.call(p.file("f", other, 0o666), make([]byte, 32)) }},
		{calls: "futimesat utimensat", cap: "CAP_FOWNER", run: func(p *probe) error { return p.call(at, p.file("f", other, 0o666), make([]byte, 32), 0) }},
		{calls: "unlink rmdir", cap: "CAP_FOWNER", run: func(p *probe) error { return p.call(p.sticky(p.row.Syscall == "rmdir")) }},
		{calls: "unlinkat", cap: "CAP_FOWNER", run: func(p *probe) error { return p.call(at, p.sticky(false), 0) }},
		{calls: "rename", cap: "CAP_FOWNER", run: func(p *probe) error { return p.call(p.sticky(false), p.dir+"/new") }},
		{calls: "renameat renameat2", cap: "CAP_FOWNER", run: func(p *probe) error { return p.call(at, p.sticky(false), at, p.dir+"/new", 0) }},
		{calls: "link", cap: "CAP_FOWNER", run: func(p *probe) error { return p.call(p.unlinkable(), p.dir+"/new") }},
		{calls: "linkat", cap: "CAP_FOWNER", run: func(p *probe) error { return p.call(at, p.unlinkable(), at, p.dir+"/new", 0) }},
		{calls: "open", cap: "CAP_FOWNER", run: func(p *probe) error { return p.call(p.file("f", other, 0o644), unix.O_NOATIME) }},
		{calls: "openat", cap: "CAP_FOWNER", run: func(p *probe) error { return p.call(at, p.file("f", other, 0o644), unix.O_NOATIME) }},
		{calls: "openat2", cap: "CAP_FOWNER", run: func(p *probe) error {
			return p.call(at, p.file("f", other, 0o644), openHow(unix.O_NOATIME), unix.SizeofOpenHow)
		}},
		{calls: "fcntl", cap: "CAP_FOWNER", run: func(p *probe) error {
			return p.call(p.open(p.file("f", other, 0o644), 0), unix.F_SETFL, unix.O_NOATIME)
		}},
		{calls: "fcntl", cap: "CAP_LEASE", run: func(p *probe) error {
			return p.call(p.open(p.file("f", other, 0o644), 0), unix.F_SETLEASE, unix.F_RDLCK)
		}},
		{calls: "fcntl", cap: "CAP_SYS_RESOURCE", run: func(p *probe) error {
			var fds [2]int
			must(unix.Pipe(fds[:]))
			return p.call(fds[0], unix.F_SETPIPE_SZ, 1<<28)
		}},

		{calls: "mknod", cap: "CAP_MKNOD", row: "in 0x6000", run: func(p *probe) error { return p.call(p.dir+"/d", unix.S_IFBLK, 0x700) }},
		{calls: "mknodat", cap: "CAP_MKNOD", row: "in 0x6000", run: func(p *probe) error { return p.call(at, p.dir+"/d", unix.S_IFBLK, 0x700) }},
		{calls: "mknod", cap: "CAP_MKNOD", row: "not in 0x0", run: func(p *probe) error { return p.call(p.dir+"/d", unix.S_IFCHR, 0x103) }},
		{calls: "mknodat", cap: "CAP_MKNOD", row: "not in 0x0", run: func(p *probe) error { return p.call(at, p.dir+"/d", unix.S_IFCHR, 0x103) }},
		{calls: "mknod mknodat renameat2", cap: "CAP_MKNOD", row: "before Linux 5.8", none: "kernels since 5.8 do not ask"},
		{calls: "open_by_handle_at", cap: "CAP_DAC_READ_SEARCH", run: openByHandle},
		{calls: "linkat", cap: "CAP_DAC_READ_SEARCH", row: "descriptor", run: func(p *probe) error {
			fd := p.open(p.file("f", 0, 0o666), unix.O_PATH)
			must(unix.Chmod(p.dir, 0o777))
			p.user(2) // whoever opened it may link it
			return p.call(fd, "", at, p.dir+"/new", unix.AT_EMPTY_PATH)
		}, deny: []error{unix.ENOENT}},

		{calls: "open", cap: "CAP_SYS_RAWIO", run: func(p *probe) error { return p.call(p.rawMemory(), 0) }},
		{calls: "openat", cap: "CAP_SYS_RAWIO", run: func(p *probe) error { return p.call(at, p.rawMemory(), 0) }},
		{calls: "openat2", cap: "CAP_SYS_RAWIO", run: func(p *probe) error {
			return p.call(at, p.rawMemory(), openHow(0), unix.SizeofOpenHow)
		}},
		{calls: "open", cap: "CAP_SYS_PTRACE", run: func(p *probe) error { return p.call(p.process("environ"), 0) }, also: "CAP_DAC_READ_SEARCH", less: readsMemory},
		{calls: "openat", cap: "CAP_SYS_PTRACE", run: func(p *probe) error { return p.call(at, p.process("environ"), 0) }, also: "CAP_DAC_READ_SEARCH", less: readsMemory},
		{calls: "openat2", cap: "CAP_SYS_PTRACE", run: func(p *probe) error {
			return p.call(at, p.process("environ"), openHow(0), unix.SizeofOpenHow)
		}, also: "CAP_DAC_READ_SEARCH", less: readsMemory},
		{calls: "readlink", cap: "CAP_SYS_PTRACE", run: func(p *probe) error { return p.call(p.process("exe"), make([]byte, 99), 99) }},
		{calls: "readlinkat", cap: "CAP_SYS_PTRACE", run: func(p *probe) error { return p.call(at, p.process("exe"), make([]byte, 99), 99) }},
		{calls: "open", cap: "CAP_SYSLOG", run: func(p *probe) error { return p.call(p.special("/proc/kmsg"), 0) }},
		{calls: "openat", cap: "CAP_SYSLOG", run: func(p *probe) error { return p.call(at, p.special("/proc/kmsg"), 0) }},
		{calls: "openat2", cap: "CAP_SYSLOG", run: func(p *probe) error {
			return p.call(at, p.special("/proc/kmsg"), openHow(0), unix.SizeofOpenHow)
		}},
		{calls: "open", cap: "CAP_NET_ADMIN", run: func(p *probe) error { return p.call(p.special("/dev/ppp"), unix.O_RDWR) }},
		{calls: "openat", cap: "CAP_NET_ADMIN", run: func(p *probe) error { return p.call(at, p.special("/dev/ppp"), unix.O_RDWR) }},
		{calls: "openat2", cap: "CAP_NET_ADMIN", run: func(p *probe) error {
			return p.call(at, p.special("/dev/ppp"), openHow(unix.O_RDWR), unix.SizeofOpenHow)
		}},
		{calls: "open", cap: "CAP_CHECKPOINT_RESTORE", run: func(p *probe) error { return p.call(mapFile(), 0) }},
		{calls: "openat", cap: "CAP_CHECKPOINT_RESTORE", run: func(p *probe) error { return p.call(at, mapFile(), 0) }},
		{calls: "openat2", cap: "CAP_CHECKPOINT_RESTORE", run: func(p *probe) error {
			return p.call(at, mapFile(), openHow(0), unix.SizeofOpenHow)
		}},

		{calls: "write pwrite64 writev", cap: "CAP_SYS_RESOURCE", run: func(p *probe) error {
			// Lower than a limit set with the capability, which is not needed to set it higher.
			must(os.WriteFile("/proc/self/oom_score_adj", []byte("500"), 0))
			must(os.WriteFile("/proc/self/oom_score_adj", []byte("500"), 0))
			return p.write("/proc/self/oom_score_adj", "-900")
		}},
		{calls: "write writev", cap: "CAP_SETUID", run: func(p *probe) error {
			return p.write(p.process("uid_map", "unshare", "-U"), "5 3 1")
		}, also: "CAP_SYS_ADMIN"},
		{calls: "write writev", cap: "CAP_SETGID", run: func(p *probe) error {
			return p.write(p.process("gid_map", "unshare", "-U"), "5 3 1")
		}, also: "CAP_SYS_ADMIN"},
		{calls: "write writev", cap: "CAP_SETFCAP", run: func(p *probe) error {
			return p.write(p.process("uid_map", "unshare", "-U"), "5 0 1")
		}, also: "CAP_SYS_ADMIN CAP_SETUID"},
		{calls: "write pwrite64 writev", cap: "CAP_CHECKPOINT_RESTORE", run: func(p *probe) error {
			path := "/proc/sys/kernel/ns_last_pid"
			return p.write(p.special(path), strings.TrimSpace(string(need(os.ReadFile(path)))))
		}},
		{calls: "write pwrite64 writev", cap: "CAP_SYS_ADMIN", run: func(p *probe) error {
			path := "/proc/sys/kernel/dmesg_restrict"
			return p.write(p.special(path), strings.TrimSpace(string(need(os.ReadFile(path)))))
		}},
		{calls: "write pwrite64 writev", cap: "CAP_MAC_ADMIN", none: "loading a policy would confine the machine; AppArmor's own tests show it"},
	}
}

func openHow(flags uint64) []byte {
	how := unix.OpenHow{Flags: flags}
	return unsafe.Slice((*byte)(unsafe.Pointer(&how)), unix.SizeofOpenHow)
}

// rawMemory is a device or file of the machine's memory, or I/O ports.
func (p *probe) rawMemory() string {
	for _, path := range []string{"/proc/kcore", "/dev/mem", "/dev/port"} {
		if fd, err := unix.Open(path, unix.O_RDONLY, 0); err == nil {
			must(unix.Close(fd))
			return path
		}
	}
	panic(missing("no /proc/kcore, /dev/mem or /dev/port"))
}

// special is a file that not every machine has.
func (p *probe) special(path string) string {
	if _, err := os.Lstat(path); err != nil {
		panic(missing("no " + path))
	}
	return path
}

func (p *probe) iovec(b []byte) []byte {
	v := unix.Iovec{Base: &b[0]}
	v.SetLen(len(b))
	p.pinned = append(p.pinned, b)
	return unsafe.Slice((*byte)(unsafe.Pointer(&v)), unsafe.Sizeof(v))
}

// write makes the row's call, whichever of write's family, on an open file.
func (p *probe) write(path, text string) error {
	p.drop() // files of procfs remember who opened them
	fd, err := unix.Open(path, unix.O_WRONLY, 0)
	if err != nil {
		return err
	}
	if p.row.Syscall == "writev" {
		return p.call(fd, p.iovec([]byte(text)), 1)
	}
	return p.call(fd, []byte(text), len(text), 0)
}

// setGroupID is about the set-group-ID bit of a file with a foreign group.
func setGroupID(call func(p *probe, path string) error) func(p *probe) error {
	return func(p *probe) error {
		path := p.file("f", 0, 0o755)
		must(unix.Chown(path, 0, other))
		err := call(p, path)
		var stat unix.Stat_t
		must(unix.Stat(path, &stat))
		if err != nil {
			return err
		}
		return lost(stat.Mode&unix.S_ISGID != 0)
	}
}

// keepsIDs is about the bits that writing clears.
func keepsIDs(call func(p *probe, fd int) error) func(p *probe) error {
	return func(p *probe) error {
		fd := p.open(p.file("f", 0, 0o6777), unix.O_WRONLY)
		if err := call(p, fd); err != nil {
			return err
		}
		var stat unix.Stat_t
		must(unix.Fstat(fd, &stat))
		return lost(stat.Mode&unix.S_ISUID != 0)
	}
}

// sticky makes a file, or folder, of another user in a sticky folder.
func (p *probe) sticky(folder bool) string {
	p.folder("sticky", 0o1777)
	if folder {
		return p.folder("sticky/f", 0o755)
	}
	return p.file("sticky/f", other, 0o666)
}

// unlinkable makes a file that fs.protected_hardlinks protects.
func (p *probe) unlinkable() string {
	if protected := need(os.ReadFile("/proc/sys/fs/protected_hardlinks")); protected[0] != '1' {
		panic(missing("fs.protected_hardlinks is 0"))
	}
	return p.file("f", other, 0o4755)
}

func openByHandle(p *probe) error {
	path := p.file("f", 0, 0o644)
	handle, _, err := unix.NameToHandleAt(at, path, 0)
	must(err)
	mount := p.open(p.dir, unix.O_RDONLY)
	b := binary.NativeEndian.AppendUint32(nil, uint32(handle.Size()))
	b = binary.NativeEndian.AppendUint32(b, uint32(handle.Type()))
	return p.call(mount, append(b, handle.Bytes()...), unix.O_RDONLY)
}

// mapFile is an entry of /proc/self/map_files.
func mapFile() string {
	const dir = "/proc/self/map_files"
	entries := need(os.ReadDir(dir))
	if len(entries) == 0 {
		panic(missing("no " + dir))
	}
	return dir + "/" + entries[0].Name()
}
