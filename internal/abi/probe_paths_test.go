package abi_test

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// hidden makes a file that anyone may use, in a folder that only another user
// may search.
func (p *probe) hidden() string {
	p.folder("hidden", 0o700)
	return p.file("hidden/f", other, 0o777)
}

// closed makes a folder that anyone may search and only another user write,
// with a file f like it and an empty folder d in it.
func (p *probe) closed() string {
	dir := p.folder("closed", 0o755)
	p.file("closed/f", other, 0o644)
	p.folder("closed/d", 0o755)
	return dir
}

// pathCall is a call with a path somewhere among its arguments.
type pathCall struct {
	calls string
	also  string
	args  func(p *probe, path string) []any
}

func (c pathCall) exercise(capability string, path func(p *probe) string) exercise {
	return exercise{calls: c.calls, cap: capability, also: c.also, run: func(p *probe) error {
		return p.call(c.args(p, path(p))...)
	}}
}

func pathExercises() []exercise {
	var out []exercise
	for _, c := range append(searches(), searchesOfSockets()...) {
		e := c.exercise("CAP_DAC_READ_SEARCH", (*probe).hidden)
		e.row = "search" // and not what else linkat asks it for
		out = append(out, e)
	}
	for _, c := range writes() {
		out = append(out, c.exercise("CAP_DAC_OVERRIDE", (*probe).closed))
	}
	return append(out, otherPathExercises()...)
}

func args(a ...any) []any { return a }

// searches are the calls whose path is looked up. Where the call would go on to
// ask for more, the path ends beneath a file, which is an error of another kind.
func searches() []pathCall {
	buf := make([]byte, 4096)
	return []pathCall{
		{"access chdir chroot execve mkdir", "", func(_ *probe, f string) []any { return args(f, 0, 0) }},
		{"acct uselib rmdir unlink", "CAP_SYS_PACCT", func(_ *probe, f string) []any { return args(f + "/beneath") }},
		{"stat lstat statfs", "", func(_ *probe, f string) []any { return args(f, buf) }},
		{"readlink", "", func(_ *probe, f string) []any { return args(f, buf, 99) }},
		{"open truncate utime utimes", "", func(_ *probe, f string) []any { return args(f, 0) }},
		{"creat", "", func(_ *probe, f string) []any { return args(f, 0o600) }},
		{"chmod", "CAP_FOWNER", func(_ *probe, f string) []any { return args(f, 0o700) }},
		{"chown lchown", "", func(_ *probe, f string) []any { return args(f, -1, -1) }},
		{"faccessat faccessat2 openat mkdirat open_tree", "", func(_ *probe, f string) []any { return args(at, f, 0, 0) }},
		{"open_tree_attr", "", func(_ *probe, f string) []any { return args(at, f, 0, nil, 0) }},
		{"fspick", "CAP_SYS_ADMIN", func(_ *probe, f string) []any { return args(at, f, 0) }},
		{"openat2", "", func(_ *probe, f string) []any { return args(at, f, openHow(0), unix.SizeofOpenHow) }},
		{"fchmodat fchmodat2", "CAP_FOWNER", func(_ *probe, f string) []any { return args(at, f, 0o700, 0) }},
		{"fchownat", "", func(_ *probe, f string) []any { return args(at, f, -1, -1, 0) }},
		{"newfstatat", "", func(_ *probe, f string) []any { return args(at, f, buf, 0) }},
		{"statx", "", func(_ *probe, f string) []any { return args(at, f, 0, 0x7ff, buf) }},
		{"readlinkat", "", func(_ *probe, f string) []any { return args(at, f, buf, 99) }},
		{"file_getattr file_setattr", "CAP_FOWNER", func(_ *probe, f string) []any { return args(at, f, make([]byte, 24), 24, 0) }},
		{"futimesat utimensat", "", func(_ *probe, f string) []any { return args(at, f, nil, 0) }},
		{"execveat", "", func(_ *probe, f string) []any { return args(at, f, nil, nil, 0) }},
		{"fchdir", "", func(p *probe, _ string) []any { return args(p.open(p.dir+"/hidden", unix.O_PATH)) }},
		{"inotify_add_watch", "", func(_ *probe, f string) []any { return args(need(unix.InotifyInit1(0)), f, unix.IN_OPEN) }},
		{"fanotify_mark", "", func(_ *probe, f string) []any {
			return args(need(unix.FanotifyInit(unix.FAN_REPORT_FID, 0)), unix.FAN_MARK_ADD, unix.FAN_OPEN, at, f)
		}},
		{"name_to_handle_at", "", func(_ *probe, f string) []any { return args(at, f, make([]byte, 256), buf, 0) }},

		{"link", "", func(p *probe, f string) []any { return args(f, p.dir+"/new") }},
		{"linkat", "", func(p *probe, f string) []any { return args(at, f, at, p.dir+"/new", 0) }},
		{"rename", "", func(p *probe, f string) []any { return args(f+"/beneath", p.dir+"/new") }},
		{"renameat renameat2", "", func(p *probe, f string) []any { return args(at, f+"/beneath", at, p.dir+"/new", 0) }},
		{"unlinkat", "", func(_ *probe, f string) []any { return args(at, f+"/beneath", 0) }},
		{"symlink", "", func(_ *probe, f string) []any { return args("target", f) }},
		{"symlinkat", "", func(_ *probe, f string) []any { return args("target", at, f) }},
		{"mknod", "", func(_ *probe, f string) []any { return args(f, unix.S_IFREG, 0) }},
		{"mknodat", "", func(_ *probe, f string) []any { return args(at, f, unix.S_IFREG, 0) }},

		{"mount", "CAP_SYS_ADMIN", func(_ *probe, f string) []any { return args("none", f, "no such type", 0, 0) }},
		{"umount2 swapoff", "CAP_SYS_ADMIN", func(_ *probe, f string) []any { return args(f, 0) }},
		{"swapon", "CAP_SYS_ADMIN", func(_ *probe, f string) []any { return args(f+"/beneath", 0) }},
		{"pivot_root", "CAP_SYS_ADMIN", func(_ *probe, f string) []any { return args(f, f) }},
		{"move_mount", "CAP_SYS_ADMIN", func(_ *probe, f string) []any { return args(at, f, at, f, 0) }},
		{"mount_setattr", "CAP_SYS_ADMIN", func(_ *probe, f string) []any {
			return args(at, f, 0, append([]byte{unix.MOUNT_ATTR_RDONLY}, make([]byte, 31)...), 32)
		}},
		{"quotactl", "", func(_ *probe, f string) []any { return args(0x80000400, f, 0, buf) }},
	}
}

// searchesOfSockets are the calls with the address of a unix socket.
func searchesOfSockets() []pathCall {
	return []pathCall{
		{"bind connect", "", func(p *probe, f string) []any { return args(unixSocket(), unixAddr(f), addrLen(f)) }},
		{"sendto", "", func(_ *probe, f string) []any {
			return args(unixSocket(), []byte("x"), 1, 0, unixAddr(f), addrLen(f))
		}},
		{"sendmsg", "", func(p *probe, f string) []any { return args(unixSocket(), p.message(unixAddr(f), addrLen(f), nil), 0) }},
		{"sendmmsg", "", func(p *probe, f string) []any {
			return args(unixSocket(), p.message(unixAddr(f), addrLen(f), nil), 1, 0)
		}},
	}
}

// writes are the calls that change a folder, or what is in it.
func writes() []pathCall {
	return []pathCall{
		{"open access", "", func(_ *probe, d string) []any { return args(d+"/f", 2) }},
		{"openat", "", func(_ *probe, d string) []any { return args(at, d+"/new", unix.O_CREAT, 0o600) }},
		{"openat2", "", func(_ *probe, d string) []any { return args(at, d+"/f", openHow(unix.O_WRONLY), unix.SizeofOpenHow) }},
		{"creat mkdir", "", func(_ *probe, d string) []any { return args(d+"/new", 0o700) }},
		{"mkdirat", "", func(_ *probe, d string) []any { return args(at, d+"/new", 0o700) }},
		{"truncate utime utimes", "", func(_ *probe, d string) []any { return args(d+"/f", 0) }},
		{"futimesat utimensat", "", func(_ *probe, d string) []any { return args(at, d+"/f", nil, 0) }},
		{"faccessat faccessat2", "", func(_ *probe, d string) []any { return args(at, d+"/f", unix.W_OK, 0) }},
		{"link", "", func(p *probe, d string) []any { return args(p.file("mine", 0, 0o644), d+"/new") }},
		{"linkat", "", func(p *probe, d string) []any { return args(at, p.file("mine", 0, 0o644), at, d+"/new", 0) }},
		{"symlink", "", func(_ *probe, d string) []any { return args("target", d+"/new") }},
		{"symlinkat", "", func(_ *probe, d string) []any { return args("target", at, d+"/new") }},
		{"mknod", "", func(_ *probe, d string) []any { return args(d+"/new", unix.S_IFREG, 0) }},
		{"mknodat", "", func(_ *probe, d string) []any { return args(at, d+"/new", unix.S_IFREG, 0) }},
		{"rename", "", func(_ *probe, d string) []any { return args(d+"/f", d+"/new") }},
		{"renameat renameat2", "", func(_ *probe, d string) []any { return args(at, d+"/f", at, d+"/new", 0) }},
		{"rmdir", "", func(_ *probe, d string) []any { return args(d + "/d") }},
		{"unlink", "", func(_ *probe, d string) []any { return args(d + "/f") }},
		{"unlinkat", "", func(_ *probe, d string) []any { return args(at, d+"/f", 0) }},
		{"swapon", "CAP_SYS_ADMIN", func(_ *probe, d string) []any { return args(d+"/f", 0) }},

		{"bind", "", func(_ *probe, d string) []any { return args(unixSocket(), unixAddr(d+"/s"), addrLen(d+"/s")) }},
		{"connect", "", func(p *probe, d string) []any { return args(unixSocket(), p.listener(d+"/s"), addrLen(d+"/s")) }},
		{"sendto", "", func(p *probe, d string) []any {
			return args(unixSocket(), []byte("x"), 1, 0, p.listener(d+"/s"), addrLen(d+"/s"))
		}},
		{"sendmsg", "", func(p *probe, d string) []any {
			return args(unixSocket(), p.message(p.listener(d+"/s"), addrLen(d+"/s"), nil), 0)
		}},
		{"sendmmsg", "", func(p *probe, d string) []any {
			return args(unixSocket(), p.message(p.listener(d+"/s"), addrLen(d+"/s"), nil), 1, 0)
		}},
	}
}

// otherPathExercises are those of files to execute, and of message queues.
func otherPathExercises() []exercise {
	return []exercise{
		{calls: "execve uselib", cap: "CAP_DAC_OVERRIDE", run: func(p *probe) error { return p.call(p.file("f", other, 0o100), nil, nil) }},
		{calls: "execveat", cap: "CAP_DAC_OVERRIDE", run: func(p *probe) error { return p.call(at, p.file("f", other, 0o100), nil, nil, 0) }},
		{calls: "mq_open", cap: "CAP_DAC_READ_SEARCH", run: func(p *probe) error { return p.call(p.queue(), unix.O_RDONLY, 0, nil) }},
		{calls: "mq_open", cap: "CAP_DAC_OVERRIDE", run: func(p *probe) error { return p.call(p.queue(), unix.O_WRONLY, 0, nil) }},
		{calls: "mq_unlink", cap: "CAP_FOWNER", run: func(p *probe) error {
			name := p.queue()
			p.user(2) // the folder of queues is sticky, and root's
			return p.call(name)
		}},
	}
}

// queue makes a POSIX message queue of another user, for the probe alone.
func (p *probe) queue() string {
	p.isolate(unix.CLONE_NEWIPC)
	fd := need(p.result("mq_open", "queue", unix.O_CREAT|unix.O_RDWR, 0o600, nil))
	must(unix.Fchown(fd, other, 0))
	return "queue"
}

func unixSocket() int { return need(unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM, 0)) }

func unixAddr(path string) []byte { return append([]byte{unix.AF_UNIX, 0}, path+"\x00"...) }

func addrLen(path string) int { return len(path) + 3 }

// listener makes a unix socket of another user.
func (p *probe) listener(path string) []byte {
	must(unix.Bind(unixSocket(), &unix.SockaddrUnix{Name: path}))
	must(unix.Chown(path, other, 0))
	must(unix.Chmod(path, 0o600))
	return unixAddr(path)
}

// message is a struct mmsghdr of one byte, which starts with its struct msghdr.
func (p *probe) message(addr []byte, addrLen int, control []byte) []byte {
	iov := p.iovec([]byte("x"))
	b := make([]byte, unsafe.Sizeof(unix.Msghdr{})+8)
	m := (*unix.Msghdr)(unsafe.Pointer(&b[0]))
	m.Iov = (*unix.Iovec)(unsafe.Pointer(&iov[0]))
	m.SetIovlen(1)
	if addr != nil {
		m.Name, m.Namelen = &addr[0], uint32(addrLen)
	}
	if control != nil {
		m.Control = &control[0]
		m.SetControllen(len(control))
	}
	p.pinned = append(p.pinned, iov, addr, control)
	return b
}
