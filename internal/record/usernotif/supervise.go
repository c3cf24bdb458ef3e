//go:build linux && (amd64 || arm64)

package usernotif

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/profgen/profgen/internal/record"
)

// branch is what is under one filter with a listener.
type branch struct {
	listener *os.File
	once     sync.Once
	start    record.StartPoint
	nnp      bool // the filter could be loaded only with no_new_privs
	shim     int  // the process that loaded it

	placed bool   // base and mnt are known
	base   int    // seccomp filters in force when it began
	mnt    uint64 // its mount namespace then
	exec   bool   // the shim has asked to exec
	// inflight are the threads that have asked for such a thing, and for nothing
	// since.
	inflight map[uint32]bool
	// runtimes are the programs that loaded a further filter: OCI runtimes.
	runtimes map[fileID]bool
	changed  uint32 // how often something happened that can make a waiting task count
}

func (b *branch) close() (err error) {
	b.once.Do(func() { err = b.listener.Close() })
	return err
}

// accept takes the listeners of followed workloads until the socket is closed.
func (r *Recorder) accept() {
	for {
		conn, err := r.socket.AcceptUnix()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			err = r.take(conn)
			conn.Close()
		}
		if err != nil {
			r.mu.Lock()
			r.loss.listeners++
			r.mu.Unlock()
		}
	}
}

// take takes the listener that comes through conn, if it comes from a followed
// workload, and begins to answer.
func (r *Recorder) take(conn *net.UnixConn) error {
	pid, err := peer(conn)
	if err != nil {
		return err
	}
	r.mu.Lock()
	start, ok := r.startOf(pid)
	r.mu.Unlock()
	if !ok {
		return nil // a stranger's
	}
	var said [1]byte
	control := make([]byte, unix.CmsgSpace(4))
	n, controlled, _, _, err := conn.ReadMsgUnix(said[:], control)
	if err != nil {
		return err
	}
	fd, err := descriptor(control[:controlled])
	if err != nil || n != 1 {
		return fmt.Errorf("no listener in the message: %w", err)
	}
	unix.CloseOnExec(fd)
	wakeInPlace(fd)
	b := &branch{listener: os.NewFile(uintptr(fd), "seccomp listener"), start: start, nnp: said[0] == 'n', shim: pid, runtimes: map[fileID]bool{}, inflight: map[uint32]bool{}}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return b.close()
	}
	r.branches = append(r.branches, b)
	go r.supervise(b)
	return nil
}

// peer returns the process at the other end.
func peer(conn *net.UnixConn) (int, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	if ctlErr := raw.Control(func(fd uintptr) {
		cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); ctlErr != nil {
		return 0, ctlErr
	}
	if err != nil {
		return 0, err
	}
	return int(cred.Pid), nil
}

func descriptor(control []byte) (int, error) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil || len(messages) != 1 {
		return -1, errors.Join(err, errors.New("want one control message"))
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return -1, errors.Join(err, errors.New("want one descriptor"))
	}
	return fds[0], nil
}

// startOf returns the start point of the followed process that pid descends
// from; false if there is none. r.mu is held.
func (r *Recorder) startOf(pid int) (record.StartPoint, bool) {
	for range 1000 { // of a table that changes meanwhile
		start, ok := r.followed[pid]
		if ok {
			return start, true
		}
		s, err := readStatus(pid)
		if err != nil || s.parent <= 0 {
			return 0, false
		}
		pid = s.parent
	}
	return 0, false
}

// supervise answers every call under the filter, until there is nobody left who
// could make one. Before Linux 6.11 the last wait has no end; the thread then
// stays until this process ends.
func (r *Recorder) supervise(b *branch) {
	runtime.LockOSThread() // for a thread that sleeps and wakes as the workload does
	defer runtime.UnlockOSThread()
	defer b.close()
	fd := int(b.listener.Fd())
	var n notification
	for {
		switch errno := receive(fd, &n); errno {
		case 0:
			if !r.note(b, fd, &n) {
				return // closed: the kernel answers
			}
			if proceed(fd, &n) == unix.ENOENT {
				r.interrupted()
			}
		case unix.EINTR:
		case unix.ENOENT:
			if deserted(fd) {
				return
			}
			r.interrupted()
		default:
			r.mu.Lock()
			if !r.closed {
				r.loss.receive = errno
			}
			r.mu.Unlock()
			return
		}
	}
}

// interrupted notes that a call which waited for an answer was given up, for a
// signal; whether a deadly one, or one whose handler restarts calls, cannot be
// told, but if there is no handler that does not.
func (r *Recorder) interrupted() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen.interrupted = r.seen.interrupted || r.seen.norestart
}
