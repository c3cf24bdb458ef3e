//go:build linux && (amd64 || arm64)

package usernotif

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/abi"
	"github.com/profgen/profgen/internal/record"
)

// event is a call that waits to be let through.
type event struct {
	r     *Recorder
	b     *branch
	fd    int // the listener
	n     *notification
	arch  abi.Arch
	name  string
	t     *task
	phase phase // in which what it does counts
	c     *call // nil if the call itself does not count
}

// watcher notes more about a call than its plain arguments.
type watcher func(*event)

// note notes the call that n is about; false if the recorder is closed.
func (r *Recorder) note(b *branch, fd int, n *notification) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	t := r.taskOf(b, n.pid)
	if t == nil {
		if valid(fd, n) {
			r.loss.tasks++
		}
		return true
	}
	i, nr, ok := n.arch()
	if !ok {
		r.gap(evidence.UnknownSyscall, "unknown ABI", "a system call of an ABI that this machine is not known to have")
		return true
	}
	var c *call
	phase := r.course.of(t.phase)
	if phase != waiting {
		if c = r.seen.callOf(phase, i, nr, &r.loss); c == nil {
			return true
		}
		if len(c.args) > 0 {
			c.plain(n)
		}
		if c.watch == nil {
			return true
		}
	}
	e := event{r: r, b: b, fd: fd, n: n, arch: abis()[i], t: t, phase: phase, c: c}
	if c != nil {
		e.name = c.name
		c.watch(&e)
		return true
	}
	e.name, _ = e.arch.Name(nr)
	e.awaited()
	return true
}

// awaited looks at a call of a task that does not count yet, for what may let it
// count.
func (e *event) awaited() {
	switch e.name {
	case "seccomp", "prctl":
		e.b.reconsider(e.n.pid)
	case "execve", "execveat":
		if e.b.start == record.AtExec {
			e.b.exec = true
			e.phase = started
			watchExec(e)
		}
		e.b.reconsider(e.n.pid)
	case "exit":
		delete(e.r.tasks, e.n.pid)
	}
}

// watcherOf returns what looks at calls of a name; nil if nothing does.
func watcherOf(a abi.Arch, name string) watcher {
	if a == abi.X32 {
		return watchX32(name)
	}
	if w := pathWatcher(name); w != nil {
		return w
	}
	switch name {
	case "exit":
		return func(e *event) { delete(e.r.tasks, e.n.pid) }
	case "execve", "execveat":
		return watchExec
	case "seccomp", "prctl":
		return watchFilter
	case "accept", "accept4":
		return func(e *event) { e.r.course.accepting(e.t.phase) }
	case "clone3":
		return watchClone3
	case "socketcall":
		return watchSocketcall
	case "connect", "bind", "sendto", "sendmsg":
		return watchAddress
	case "rt_sigaction", "sigaction":
		return watchHandler
	case "setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid", "setfsuid", "setfsgid", "setgroups",
		"setuid32", "setgid32", "setreuid32", "setregid32", "setresuid32", "setresgid32", "setfsuid32", "setfsgid32", "setgroups32",
		"capset", "unshare", "setns":
		return func(e *event) { e.t.creds = nil }
	case "kill", "tkill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "pidfd_send_signal":
		return watchSignal
	case "ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd", "kcmp",
		"get_robust_list", "move_pages", "migrate_pages", "perf_event_open":
		return watchPtrace
	case "mount", "umount", "umount2", "pivot_root", "move_mount", "fsopen", "mount_setattr":
		return watchMount
	case "mmap", "mmap2":
		return watchMap
	}
	return nil
}

// watchX32 keeps what the recorder itself needs to know of x32 calls; their
// arguments it leaves alone.
func watchX32(name string) watcher {
	switch name {
	case "exit":
		return func(e *event) { delete(e.r.tasks, e.n.pid) }
	case "execve", "execveat", "seccomp", "prctl":
		return func(e *event) {
			if e.t.phase < started {
				e.b.reconsider(e.n.pid)
			}
			e.t.creds = nil
		}
	}
	return nil
}

// watchClone3 notes the flags, first in the struct that argument 0 points to.
func watchClone3(e *event) {
	var flags [8]byte
	if !e.read(e.n.args[0], flags[:]) {
		e.c.any = true
		return
	}
	e.c.tuple([4]uint64{binary.NativeEndian.Uint64(flags[:])})
}

// The calls of socketcall(2) that are looked at: include/uapi/linux/net.h.
const (
	sysSocket     = 1
	sysBind       = 2
	sysConnect    = 3
	sysAccept     = 5
	sysSocketpair = 8
	sysAccept4    = 18
)

// watchSocketcall notes which call is meant, and of those that make sockets, what
// is asked for.
func watchSocketcall(e *event) {
	v := [4]uint64{e.n.args[0] & 0xffffffff}
	var args [12]byte
	three := func() (a [3]uint32, ok bool) {
		if !e.read(e.n.args[1], args[:]) {
			return a, false
		}
		for i := range a {
			a[i] = binary.NativeEndian.Uint32(args[4*i:])
		}
		return a, true
	}
	switch v[0] {
	case sysSocket, sysSocketpair:
		a, ok := three()
		if !ok {
			e.c.any = true
			return
		}
		v[1], v[2], v[3] = uint64(a[0]), uint64(a[1]&sockTypeMask), uint64(a[2])
	case sysAccept, sysAccept4:
		e.r.course.accepting(e.t.phase)
	case sysBind, sysConnect:
		if a, ok := three(); ok {
			e.address(v[0] == sysBind, uint64(a[1]), uint64(a[2]))
		}
	}
	e.c.tuple(v)
}

const sockTypeMask = 0xf // without SOCK_CLOEXEC and SOCK_NONBLOCK

// watchHandler notes whether the program handles a signal in a way that lets a
// call which waits for an answer fail.
func watchHandler(e *event) {
	if e.r.seen.norestart || e.phase < started {
		return
	}
	// Of struct sigaction the kernel's own layout: handler, flags, as unsigned
	// longs of the ABI; the old one of 32-bit has its mask between the two.
	word, at := e.word(), 1
	if e.name == "sigaction" {
		at = 2
	}
	var act [16]byte
	if e.n.args[1] == 0 || !e.read(e.n.args[1], act[:(at+1)*word]) {
		return
	}
	number := func(i int) uint64 {
		if word == 4 {
			return uint64(binary.NativeEndian.Uint32(act[4*i:]))
		}
		return binary.NativeEndian.Uint64(act[8*i:])
	}
	const ignored, restart = 1, 0x10000000 // SIG_IGN, SA_RESTART
	e.r.seen.norestart = number(0) > ignored && number(at)&restart == 0
}

// watchFilter looks at what filter the program loads: some of what one can do
// comes before this recorder, and some after it.
func watchFilter(e *event) {
	if e.t.phase < started {
		e.b.reconsider(e.n.pid)
		return
	}
	at, flags := e.n.args[2], e.n.args[1]
	switch {
	case e.name == "seccomp" && e.n.args[0]&0xffffffff == unix.SECCOMP_SET_MODE_FILTER:
	case e.name == "prctl" && e.n.args[0]&0xffffffff == unix.PR_SET_SECCOMP && e.n.args[1] == unix.SECCOMP_MODE_FILTER:
		flags = 0
	default:
		return
	}
	if flags&unix.SECCOMP_FILTER_FLAG_NEW_LISTENER != 0 {
		e.r.gap(evidence.Refused, callWhere(e), "the program asked for a seccomp listener of its own and did not get it (EBUSY), for the recording has one: record it with --recorder ebpf")
	}
	e.actions(at)
}

// actions reads the filter at addr, and says which of its actions stand in the
// recording's way.
func (e *event) actions(addr uint64) {
	var prog [16]byte // struct sock_fprog
	size := 2 * e.word()
	if !e.read(addr, prog[:size]) {
		return
	}
	n, at := int(binary.NativeEndian.Uint16(prog[:])), binary.NativeEndian.Uint64(prog[8:])
	if size == 8 {
		at = uint64(binary.NativeEndian.Uint32(prog[4:]))
	}
	code := make([]byte, 8*min(n, unix.BPF_MAXINSNS))
	if len(code) == 0 || !e.read(at, code) {
		return
	}
	for ; len(code) > 0; code = code[8:] {
		if binary.NativeEndian.Uint16(code) != unix.BPF_RET|unix.BPF_K {
			continue
		}
		switch binary.NativeEndian.Uint32(code[4:]) & unix.SECCOMP_RET_ACTION_FULL {
		case unix.SECCOMP_RET_ERRNO, unix.SECCOMP_RET_KILL_PROCESS, unix.SECCOMP_RET_KILL_THREAD, unix.SECCOMP_RET_TRAP:
			e.r.gap(evidence.Refused, callWhere(e), "the program loaded a seccomp filter that refuses calls: which of them it tried is not seen")
		case unix.SECCOMP_RET_TRACE:
			e.r.gap(evidence.Refused, callWhere(e), "the program loaded a seccomp filter that asks a tracer, who is not asked while this recording has the calls: record it with --recorder ebpf")
		}
	}
}

func callWhere(e *event) string { return string(e.arch) + " " + e.name }
