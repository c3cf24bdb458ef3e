package sandbox

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/profgen/profgen/internal/abi"
)

// What is said with a listener: whether the workload keeps the way to more
// privileges that set-user-ID programs are, or could not be given a filter
// without giving that up.
const (
	Privileged = 'p'
	NoNewPrivs = 'n'
)

// The parts that the guard's program is run again for.
const (
	partListenedTo = "listened-to" // SOCKET PATH ARGV…: load the filter, exec
	partUserNS     = "user-namespace"
)

func runPart(part string, args []string) int {
	switch {
	case part == partListenedTo && len(args) > 2:
		return execListenedTo(args[0], args[1], args[2:])
	case part == partUserNS && len(args) > 0:
		return enterUserNS(args)
	}
	fmt.Fprintf(os.Stderr, "profgen: guard: no part %q\n", part)
	return 2
}

// startListenedTo starts a program whose system calls are notified, and returns
// once it has been exec'd: whoever answers calls has answered that one.
func startListenedTo(socket, path string, argv []string, attr os.ProcAttr) (*os.Process, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	attr.Files = append(attr.Files, w)
	p, err := os.StartProcess("/proc/self/exe", append([]string{GuardName, partListenedTo, socket, path}, argv...), &attr)
	w.Close()
	if err != nil {
		return nil, err
	}
	// The exec closes the pipe; what went wrong before comes through it.
	if complaint, _ := io.ReadAll(r); len(complaint) > 0 {
		p.Wait()
		return nil, errors.New(string(complaint))
	}
	return p, nil
}

// complaints is the descriptor that says what went wrong.
const complaints = 3

// execListenedTo makes this process the program, under the filter. It returns
// only if it could not, after saying so on descriptor 3.
func execListenedTo(socket, path string, argv []string) int {
	unix.CloseOnExec(complaints)
	if err := becomeListenedTo(socket, path, argv); err != nil {
		unix.Write(complaints, []byte(err.Error()))
	}
	return 1
}

// becomeListenedTo loads the filter for this thread alone and execs.
func becomeListenedTo(socket, path string, argv []string) error {
	conn, err := dialSupervisor(socket)
	if err != nil {
		return err
	}
	runtime.LockOSThread()
	nnp, err := allowFilter()
	if err != nil {
		return err
	}
	env := os.Environ()
	if errno := newHandover(conn, nnp).do(); errno != 0 {
		return fmt.Errorf("load a seccomp filter with a listener: %w", explainListener(errno))
	}
	return syscall.Exec(path, argv, env)
}

func dialSupervisor(socket string) (int, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		err = unix.Connect(fd, &unix.SockaddrUnix{Name: socket})
	}
	if err != nil {
		return -1, fmt.Errorf("connect to the recorder: %w", err)
	}
	return fd, nil
}

// allowFilter makes sure that this thread may load a filter, and returns what it
// took: the kernel wants CAP_SYS_ADMIN or no_new_privs.
func allowFilter() (byte, error) {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&hdr, &data[0]); err == nil && data[0].Effective>>unix.CAP_SYS_ADMIN&1 != 0 {
		return Privileged, nil
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return 0, fmt.Errorf("set no_new_privs: %w", err)
	}
	return NoNewPrivs, nil
}

// handover loads the filter and sends its listener. Once the filter is there every
// call of the thread waits for a supervisor, who has no listener yet: all but those
// that have a secret in the two registers that no call made here has arguments in.
// It is chosen at random, and goes with the exec.
type handover struct {
	conn    uintptr
	secret  [2]uint64
	filter  []unix.SockFilter
	prog    unix.SockFprog
	said    [1]byte
	text    unix.Iovec
	control []byte
	message unix.Msghdr
}

func newHandover(conn int, said byte) *handover {
	h := &handover{conn: uintptr(conn), said: [1]byte{said}, control: unix.UnixRights(-1)}
	var random [16]byte
	rand.Read(random[:]) // never fails
	h.secret = [2]uint64{binary.NativeEndian.Uint64(random[:]), binary.NativeEndian.Uint64(random[8:])}
	h.filter = notifyAllBut(h.secret)
	h.prog = unix.SockFprog{Len: uint16(len(h.filter)), Filter: &h.filter[0]}
	h.text = unix.Iovec{Base: &h.said[0], Len: 1}
	h.message = unix.Msghdr{Iov: &h.text, Iovlen: 1, Control: &h.control[0]}
	h.message.SetControllen(len(h.control))
	return h
}

// unasked are the calls that must not wait for an answer. A signal interrupts who
// waits, and unless its handler restarts calls, the call returns EINTR: these two
// never return to where they were made, and what is there is no code. Every
// profile allows them all, and nothing is to be learnt from them.
func unasked() []string { return []string{"rt_sigreturn", "sigreturn", "restart_syscall"} }

// Of struct seccomp_data, include/uapi/linux/seccomp.h: the number, the
// architecture, and six arguments of 64 bits each from byte 16 on.
const (
	dataNr, dataArch, dataArg4 = 0, 4, 16 + 8*4

	loadWord = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
	ifEqual  = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
	answer   = unix.BPF_RET | unix.BPF_K
)

// notifyAllBut returns the filter.
func notifyAllBut(secret [2]uint64) []unix.SockFilter {
	words := []uint32{uint32(secret[0]), uint32(secret[0] >> 32), uint32(secret[1]), uint32(secret[1] >> 32)}
	var out []unix.SockFilter
	for i, w := range words {
		past := uint8(2*(len(words)-i) - 1) // the answer
		out = append(out, unix.SockFilter{Code: loadWord, K: uint32(dataArg4 + 4*i)}, unix.SockFilter{Code: ifEqual, Jf: past, K: w})
	}
	out = append(out, unix.SockFilter{Code: answer, K: unix.SECCOMP_RET_ALLOW})
	for audit, numbers := range unaskedNumbers() {
		out = append(out, unix.SockFilter{Code: loadWord, K: dataArch}, unix.SockFilter{Code: ifEqual, Jf: uint8(2*len(numbers) + 1), K: audit},
			unix.SockFilter{Code: loadWord, K: dataNr})
		for _, nr := range numbers {
			out = append(out, unix.SockFilter{Code: ifEqual, Jf: 1, K: nr}, unix.SockFilter{Code: answer, K: unix.SECCOMP_RET_ALLOW})
		}
	}
	return append(out, unix.SockFilter{Code: answer, K: unix.SECCOMP_RET_USER_NOTIF})
}

// unaskedNumbers are the calls that do not wait, by the kernel's number of the ABI.
func unaskedNumbers() map[uint32][]uint32 {
	out := map[uint32][]uint32{}
	for _, a := range abi.Arches() {
		row, _ := a.Row()
		for _, name := range unasked() {
			nr, ok := a.Number(name)
			if a == abi.X32 {
				nr |= abi.X32Bit
			}
			if ok {
				out[row.Audit] = append(out[row.Audit], nr)
			}
		}
	}
	return out
}

// do makes no call between the first and the last of its own: it calls nothing
// that the Go runtime could interrupt it in, and no signal can.
//
// If the kernel has it (5.19), a call that the supervisor has received is not
// interrupted by signals any more, but for deadly ones.
func (h *handover) do() unix.Errno {
	const setSize, newListener = 8, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER // bytes of a sigset_t
	descriptor := (*int32)(unsafe.Pointer(&h.control[unix.CmsgLen(0)]))
	s0, s1 := uintptr(h.secret[0]), uintptr(h.secret[1])
	all, old := ^uint64(0), uint64(0)
	unix.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&all)), uintptr(unsafe.Pointer(&old)), setSize, 0, 0)
	fd, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, newListener|unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, uintptr(unsafe.Pointer(&h.prog)))
	if errno == unix.EINVAL {
		fd, _, errno = unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, newListener, uintptr(unsafe.Pointer(&h.prog)))
	}
	if errno == 0 {
		*descriptor = int32(fd)
		_, _, failed := unix.RawSyscall6(unix.SYS_SENDMSG, h.conn, uintptr(unsafe.Pointer(&h.message)), 0, 0, s0, s1)
		if failed != 0 { // there is nobody to answer
			unix.RawSyscall6(unix.SYS_WRITE, complaints, uintptr(unsafe.Pointer(&recorderGone[0])), uintptr(len(recorderGone)), 0, s0, s1)
			unix.RawSyscall6(unix.SYS_EXIT_GROUP, 1, 0, 0, 0, s0, s1)
		}
	}
	unix.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&old)), 0, setSize, s0, s1)
	return errno
}

var recorderGone = []byte("the recorder is gone")

func explainListener(errno unix.Errno) error {
	switch errno {
	case unix.EBUSY:
		return fmt.Errorf("%w: this process is supervised so already, and there can be one supervisor only: run profgen outside of it", errno)
	case unix.EINVAL:
		return fmt.Errorf("%w: use Linux 5.5 or later", errno)
	}
	return errno
}
