package sandbox

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
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
func startListenedTo(socket, path string, argv []string) (*os.Process, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	p, err := os.StartProcess("/proc/self/exe", append([]string{GuardName, partListenedTo, socket, path}, argv...),
		&os.ProcAttr{Files: []*os.File{os.Stdin, os.Stdout, os.Stderr, w}})
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

// execListenedTo makes this process the program, under the filter. It returns
// only if it could not, after saying so on descriptor 3.
func execListenedTo(socket, path string, argv []string) int {
	unix.CloseOnExec(3)
	if err := becomeListenedTo(socket, path, argv); err != nil {
		io.WriteString(os.NewFile(3, "complaints"), err.Error())
	}
	return 1
}

// becomeListenedTo loads the filter for this thread alone and execs. From the
// one to the other each call of the thread waits for the supervisor, who has no
// listener yet: another thread, free of the filter, hands it over. The two share a
// number and nothing that would make either wait for the other in the runtime.
func becomeListenedTo(socket, path string, argv []string) error {
	conn, err := dialSupervisor(socket)
	if err != nil {
		return err
	}
	env := os.Environ()
	var loaded atomic.Int64 // the listener
	runtime.LockOSThread()
	debug.SetGCPercent(-1) // which would stop all threads
	nnp, err := allowFilter()
	if err != nil {
		return err
	}
	ready := make(chan struct{})
	go handOver(conn, &loaded, nnp, ready)
	<-ready
	listener, errno := loadNotifyAll()
	if errno != 0 {
		return fmt.Errorf("load a seccomp filter with a listener: %w", explainListener(errno))
	}
	loaded.Store(int64(listener))
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

// loadNotifyAll loads a filter of one instruction and returns its listener. If
// the kernel can (5.19), a call that the supervisor has received is no longer
// interrupted by signals other than deadly ones.
func loadNotifyAll() (int, unix.Errno) {
	filter := [1]unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_USER_NOTIF}}
	prog := unix.SockFprog{Len: 1, Filter: &filter[0]}
	const flags = unix.SECCOMP_FILTER_FLAG_NEW_LISTENER
	load := func(flags uintptr) (int, unix.Errno) {
		fd, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&prog)))
		return int(fd), errno
	}
	fd, errno := load(flags | unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV)
	if errno == unix.EINVAL {
		fd, errno = load(flags)
	}
	return fd, errno
}

func explainListener(errno unix.Errno) error {
	switch errno {
	case unix.EBUSY:
		return fmt.Errorf("%w: this process is supervised so already, and there can be one supervisor only: run profgen outside of it", errno)
	case unix.EINVAL:
		return fmt.Errorf("%w: use Linux 5.5 or later", errno)
	}
	return errno
}

// handOver sends the listener once there is one. It looks at the number again
// and again, since to be woken takes the other thread to make a call.
func handOver(conn int, loaded *atomic.Int64, nnp byte, ready chan<- struct{}) {
	runtime.LockOSThread()
	close(ready)
	for loaded.Load() == 0 {
		pause := unix.Timespec{Nsec: 50_000}
		unix.Nanosleep(&pause, nil)
	}
	if err := unix.Sendmsg(conn, []byte{nnp}, unix.UnixRights(int(loaded.Load())), nil, 0); err != nil {
		os.Exit(1) // the exec waits for good
	}
	for { // until the exec ends this thread
		time.Sleep(time.Hour)
	}
}
