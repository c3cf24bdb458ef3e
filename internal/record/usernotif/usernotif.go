//go:build linux && (amd64 || arm64)

package usernotif

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/profgen/profgen/internal/record"
)

// Recorder is a [record.Recorder] that is asked about every system call.
type Recorder struct {
	socket *net.UnixListener
	name   string

	mu       sync.Mutex
	closed   bool
	followed map[int]record.StartPoint // by process
	branches []*branch
	tasks    map[uint32]*task // by thread, as this process numbers them
	// containers are the mount namespaces that runtimes made, with the process
	// that first exec'd there.
	containers map[uint64]int
	course     course
	seen       seen
	loss       loss
}

var (
	_ record.Recorder = (*Recorder)(nil)
	_ record.Phased   = (*Recorder)(nil)
)

// New returns a recorder that waits for listeners. The error wraps
// [ErrUnavailable] if the kernel is to blame.
func New() (*Recorder, error) {
	if err := usable(); err != nil {
		return nil, err
	}
	var random [16]byte
	rand.Read(random[:]) // never fails
	name := "@profgen-" + hex.EncodeToString(random[:])
	socket, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: name, Net: "unixpacket"})
	if err != nil {
		return nil, fmt.Errorf("wait for a workload: %w", err)
	}
	r := &Recorder{
		socket: socket, name: name, followed: map[int]record.StartPoint{}, tasks: map[uint32]*task{},
		containers: map[uint64]int{}, seen: newSeen(),
	}
	go r.accept()
	return r, nil
}

// usable asks the kernel for what is needed, without using it.
func usable() error {
	action := uint32(unix.SECCOMP_RET_USER_NOTIF)
	if err := ask(unix.SECCOMP_GET_ACTION_AVAIL, &action); err != nil {
		return fmt.Errorf("%w: the kernel has no seccomp user notification (%w): use Linux 5.5 or later, built with CONFIG_SECCOMP_FILTER", ErrUnavailable, err)
	}
	var sizes struct{ notif, resp, data uint16 }
	if err := ask(unix.SECCOMP_GET_NOTIF_SIZES, &sizes); err != nil {
		return fmt.Errorf("%w: seccomp: %w: use Linux 5.5 or later", ErrUnavailable, err)
	}
	if sizes.notif != sizeofNotification || sizes.resp != sizeofResponse {
		return fmt.Errorf("%w: this kernel's notifications have %d and %d bytes, profgen knows those of %d and %d: use a newer profgen",
			ErrUnavailable, sizes.notif, sizes.resp, sizeofNotification, sizeofResponse)
	}
	return nil
}

// Listener is the unix socket, an abstract one as @NAME, to which the listener of
// a workload is to be sent: a message of one byte, see package sandbox, with the
// descriptor. It is taken only from descendants of followed processes.
func (r *Recorder) Listener() string { return r.name }

// Follow implements [record.Recorder]. What pid starts is recorded if its
// listener comes to [Recorder.Listener]: no other process can be.
//
// With [record.AtFilter], nothing counts unless one more seccomp filter is loaded
// than the one with the listener: to record a container that is to run without
// one, have its runtime load a filter that allows everything.
func (r *Recorder) Follow(pid int, start record.StartPoint) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return fmt.Errorf("follow process %d: %w", pid, errClosed)
	}
	if start != record.AtExec && start != record.AtFilter {
		return fmt.Errorf("follow process %d: unknown start point %d", pid, start)
	}
	r.followed[pid] = start
	return nil
}

var errClosed = errors.New("the recorder is closed")

// Close implements [record.Recorder]. Calls of what still runs under the filter
// fail from then on. It may be called more than once.
func (r *Recorder) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil
	}
	r.closed = true
	errs := []error{r.socket.Close()}
	for _, b := range r.branches {
		errs = append(errs, b.close())
	}
	return errors.Join(errs...)
}
