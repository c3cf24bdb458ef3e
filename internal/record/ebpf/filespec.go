//go:build linux && (amd64 || arm64)

package ebpf

import "strings"

// noArg stands for an argument that a call does not have.
const noArg = 7

// perms returns permissions in the letters of [evidence.FileAccess] as the
// programs have them, a bit each.
func perms(letters string) uint8 {
	var out uint8
	for _, r := range letters {
		out |= 1 << strings.IndexRune("rwalkmx", r)
	}
	return out
}

// filespec returns what to look for in the system call called name when it
// ends; the zero value for nothing. What AppArmor asks of each is in
// security/apparmor/lsm.c; it asks nothing of stat, readlink, access and chdir.
// utimensat and setxattr, of which it asks nothing either, write all the same:
// whoever makes the root read-only has to know.
func filespec(name string) recorderFilespec {
	for _, of := range []func(string) (recorderFilespec, bool){openSpec, namesSpec, fdSpec, memorySpec, socketSpec, processSpec, mountSpec} {
		if s, ok := of(name); ok {
			return s
		}
	}
	return recorderFilespec{}
}

// spec returns a filespec with no arguments.
func spec(op recorderFileOp, letters ...string) recorderFilespec {
	s := recorderFilespec{
		Op: op, Dir: [2]uint8{noArg, noArg}, Name: [2]uint8{noArg, noArg}, Flags: noArg, How: noArg, Type: noArg,
	}
	for i, l := range letters {
		s.Perms[i] = perms(l)
	}
	return s
}

func openSpec(name string) (recorderFilespec, bool) {
	s := spec(recorderFileOpFILE_OPEN, "r") // if it fails; one that does not says
	switch name {
	case "open":
		s.Name[0], s.Flags = 0, 1
	case "creat":
		s.Name[0] = 0
	case "openat":
		s.Dir[0], s.Name[0], s.Flags = 0, 1, 2
	case "openat2":
		s.Dir[0], s.Name[0], s.How = 0, 1, 2
	case "open_by_handle_at":
		s.Flags = 2
	default:
		return s, false
	}
	return s, true
}

// namesSpec is for calls that name files by paths.
func namesSpec(name string) (recorderFilespec, bool) {
	one := func(letters string, dir, name, flags uint8) (recorderFilespec, bool) {
		s := spec(recorderFileOpFILE_NAMES, letters)
		s.Dir[0], s.Name[0], s.Flags = dir, name, flags
		return s, true
	}
	two := func(a, b string, dirs, names [2]uint8, flags uint8) (recorderFilespec, bool) {
		s := spec(recorderFileOpFILE_NAMES, a, b)
		s.Dir, s.Name, s.Flags = dirs, names, flags
		return s, true
	}
	none := [2]uint8{noArg, noArg}
	switch name {
	case "unlink", "rmdir", "mkdir", "mknod", "chmod", "chown", "lchown", "chown32", "lchown32", "truncate", "truncate64",
		"utime", "utimes", "setxattr", "lsetxattr", "removexattr", "lremovexattr", "swapon", "acct":
		return one("w", noArg, 0, noArg)
	case "mkdirat", "mknodat", "fchmodat", "futimesat":
		return one("w", 0, 1, noArg)
	case "unlinkat", "setxattrat", "removexattrat":
		return one("w", 0, 1, 2)
	case "fchmodat2", "utimensat", "utimensat_time64":
		return one("w", 0, 1, 3)
	case "fchownat":
		return one("w", 0, 1, 4)
	case "symlink":
		return one("w", noArg, 1, noArg)
	case "symlinkat":
		return one("w", 1, 2, noArg)
	case "link":
		return two("", "l", none, [2]uint8{0, 1}, noArg)
	case "linkat":
		return two("", "l", [2]uint8{0, 2}, [2]uint8{1, 3}, 4)
	case "rename":
		return two("rw", "w", none, [2]uint8{0, 1}, noArg)
	case "renameat", "renameat2":
		s, _ := two("rw", "w", [2]uint8{0, 2}, [2]uint8{1, 3}, noArg)
		if name == "renameat2" {
			s.Flags = 4
		}
		return s, true
	case "execve":
		s, _ := one("x", noArg, 0, noArg)
		s.Op = recorderFileOpFILE_EXEC
		return s, true
	case "execveat":
		s, _ := one("x", 0, 1, 4)
		s.Op = recorderFileOpFILE_EXEC
		return s, true
	}
	return recorderFilespec{}, false
}

// fdSpec is for calls about files that are open.
func fdSpec(name string) (recorderFilespec, bool) {
	of := func(op recorderFileOp, letters string) (recorderFilespec, bool) {
		s := spec(op, letters)
		s.Dir[0] = 0
		return s, true
	}
	switch name {
	case "fchmod", "fchown", "fchown32", "ftruncate", "ftruncate64", "fallocate", "fsetxattr", "fremovexattr":
		return of(recorderFileOpFILE_FD, "w")
	case "flock":
		return of(recorderFileOpFILE_FD, "k")
	case "fcntl", "fcntl64":
		return of(recorderFileOpFILE_LOCK, "k")
	}
	return recorderFilespec{}, false
}

// memorySpec is for calls that map files, or make files to be mapped.
func memorySpec(name string) (recorderFilespec, bool) {
	s := spec(recorderFileOpFILE_MMAP, "m")
	s.Dir[0] = 0
	switch name {
	case "mmap", "mmap2":
	case "shmget":
		s = spec(recorderFileOpFILE_SHMGET)
		s.Flags = 2
	case "memfd_create":
		s = spec(recorderFileOpFILE_MEMFD)
		s.Flags = 1
	default:
		return s, false
	}
	return s, true
}

// socketSpec is for unix sockets, whose addresses are files.
func socketSpec(name string) (recorderFilespec, bool) {
	switch name {
	case "bind":
		return spec(recorderFileOpFILE_BIND, "w"), true
	case "connect":
		return spec(recorderFileOpFILE_CONNECT, "rw"), true
	case "sendto":
		return spec(recorderFileOpFILE_SENDTO, "rw"), true
	case "sendmsg":
		return spec(recorderFileOpFILE_SENDMSG, "rw"), true
	case "socketcall":
		return spec(recorderFileOpFILE_SOCKETCALL, "rw"), true
	}
	return recorderFilespec{}, false
}

// processSpec is for signals and what is checked as ptrace is.
func processSpec(name string) (recorderFilespec, bool) {
	of := func(op recorderFileOp, pid, second, flags uint8) (recorderFilespec, bool) {
		s := spec(op)
		s.Dir, s.Flags = [2]uint8{pid, second}, flags
		return s, true
	}
	switch name {
	case "kill", "tkill", "rt_sigqueueinfo":
		return of(recorderFileOpFILE_KILL, 0, noArg, 1)
	case "tgkill", "rt_tgsigqueueinfo":
		return of(recorderFileOpFILE_KILL, 0, noArg, 2)
	case "pidfd_send_signal":
		return of(recorderFileOpFILE_KILL, noArg, 0, 1)
	case "ptrace":
		return of(recorderFileOpFILE_PTRACE, noArg, noArg, noArg)
	case "process_vm_readv", "process_vm_writev":
		return of(recorderFileOpFILE_TRACEPROC, 0, noArg, noArg)
	case "get_robust_list", "move_pages", "migrate_pages":
		return of(recorderFileOpFILE_READPROC, 0, noArg, noArg)
	case "perf_event_open":
		return of(recorderFileOpFILE_READPROC, 1, noArg, noArg)
	case "kcmp":
		return of(recorderFileOpFILE_READPROC, 0, 1, noArg)
	}
	return recorderFilespec{}, false
}

func mountSpec(name string) (recorderFilespec, bool) {
	s := spec(recorderFileOpFILE_MOUNT)
	switch name {
	case "mount":
		s.Name, s.Type, s.Flags = [2]uint8{0, 1}, 2, 3
	case "umount", "umount2":
		s.Name[1] = 0
	case "pivot_root":
		s.Name = [2]uint8{1, 0}
	case "move_mount":
		s.Dir, s.Name, s.Flags = [2]uint8{0, 2}, [2]uint8{1, 3}, 4
	case "fsopen":
		s.Type = 0
	case "mount_setattr":
		s.Dir[1], s.Name[1] = 0, 1
	default:
		return s, false
	}
	return s, true
}

// filespecs returns the table that the programs look up calls of an ABI in. x32
// has none.
func filespecs(i uint32) *recorderFiletable {
	var table recorderFiletable
	for nr := range table.Of {
		if name, ok := arches()[i].Name(uint32(nr)); ok {
			table.Of[nr] = filespec(name)
		}
	}
	return &table
}
