package armor

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Bounds on what is kept of the kernel's records, and asked of the socket.
const (
	maxMessage = 16 << 10 // MAX_AUDIT_MESSAGE_LENGTH is 8970
	maxText    = 64 << 20 // bytes of all records
	socketSize = 8 << 20  // bytes of what was not read yet
	maxWait    = 30 * time.Second
)

// Records are the audit records of the kernel from a moment on. They come from
// the kernel itself (audit's multicast group, Linux 3.16), beside auditd if there
// is one: the kernel's log drops what comes fast, and overwrites what is old.
type Records struct {
	file *os.File
	ask  *control
	lost uint32 // what the kernel had lost before
	done chan struct{}

	mu      sync.Mutex
	changed chan struct{} // closed when there is more
	text    bytes.Buffer
	failed  error
}

// Listen begins to keep audit records. It takes CAP_AUDIT_READ, and
// CAP_AUDIT_CONTROL and CAP_AUDIT_WRITE to know that none is missing.
func Listen() (*Records, error) {
	r, err := listen()
	if err != nil {
		return nil, fmt.Errorf("listen to the kernel's audit records: %w", err)
	}
	go r.read()
	return r, nil
}

func listen() (*Records, error) {
	ask, err := newControl()
	if err != nil {
		return nil, err
	}
	lost, err := ask.lost()
	if err != nil {
		return nil, errors.Join(err, ask.Close())
	}
	fd, err := netlink(unix.SOCK_NONBLOCK, 1<<(unix.AUDIT_NLGRP_READLOG-1))
	if err != nil {
		return nil, errors.Join(err, ask.Close())
	}
	// Without CAP_NET_ADMIN it stays as small as it is; what does not fit is noticed.
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, socketSize)
	return &Records{
		file: os.NewFile(uintptr(fd), "audit"), ask: ask, lost: lost,
		done: make(chan struct{}), changed: make(chan struct{}),
	}, nil
}

// netlink returns a socket to audit, in some of its multicast groups.
func netlink(flags int, groups uint32) (int, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|flags, unix.NETLINK_AUDIT)
	if err != nil {
		return -1, err
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
		return -1, errors.Join(err, unix.Close(fd))
	}
	return fd, nil
}

// Close stops listening.
func (r *Records) Close() error {
	err := errors.Join(r.file.Close(), r.ask.Close())
	<-r.done
	return err
}

// read keeps what comes until the socket is closed.
func (r *Records) read() {
	defer close(r.done)
	buf := make([]byte, maxMessage)
	for {
		n, err := r.file.Read(buf)
		if errors.Is(err, os.ErrClosed) {
			return
		}
		r.mu.Lock()
		switch {
		case errors.Is(err, unix.ENOBUFS):
			r.failed = errors.New("audit records came faster than they could be read")
		case err != nil:
			r.failed = err
		case r.text.Len()+n > maxText:
			r.failed = fmt.Errorf("audit records of more than %d MiB", maxText>>20)
		default:
			r.keep(buf[:n])
		}
		close(r.changed)
		r.changed = make(chan struct{})
		stop := err != nil && !errors.Is(err, unix.ENOBUFS)
		r.mu.Unlock()
		if stop {
			return
		}
	}
}

// keep adds a record as a line, as the kernel's log has it:
// type=1400 audit(1795602655.524:77): apparmor="DENIED" …
func (r *Records) keep(datagram []byte) {
	if len(datagram) < unix.NLMSG_HDRLEN {
		return
	}
	text := bytes.TrimRight(datagram[unix.NLMSG_HDRLEN:], "\x00\n")
	fmt.Fprintf(&r.text, "type=%d %s\n", binary.NativeEndian.Uint16(datagram[4:]), bytes.ReplaceAll(text, []byte("\n"), []byte(" ")))
}

// Text returns all records that were made until now, one a line. Records that
// were lost are an error: what was refused cannot be told then.
func (r *Records) Text() ([]byte, error) {
	if err := r.catchUp(); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return bytes.Clone(r.text.Bytes()), nil
}

// Take returns what Text does, and forgets it. After an error, records are missing.
func (r *Records) Take() ([]byte, error) {
	err := r.catchUp()
	r.mu.Lock()
	defer r.mu.Unlock()
	defer r.text.Reset()
	return bytes.Clone(r.text.Bytes()), err
}

// catchUp waits until every record made before it is there.
func (r *Records) catchUp() error {
	mark := "op=profgen-" + rand.Text()
	if err := r.ask.write(mark); err != nil {
		return fmt.Errorf("mark the kernel's audit records: %w", err)
	}
	if err := r.await(mark); err != nil {
		return fmt.Errorf("read the kernel's audit records: %w", err)
	}
	lost, err := r.ask.lost()
	if err != nil {
		return fmt.Errorf("ask how many audit records were lost: %w", err)
	}
	if lost != r.lost {
		return fmt.Errorf("the kernel lost %d audit records: boot with audit_backlog_limit=8192", lost-r.lost)
	}
	return nil
}

// await waits for a record that has mark.
func (r *Records) await(mark string) error {
	late := time.After(maxWait)
	for {
		r.mu.Lock()
		failed, changed, found := r.failed, r.changed, bytes.Contains(r.text.Bytes(), []byte(mark))
		r.mu.Unlock()
		switch {
		case failed != nil:
			return failed
		case found:
			return nil
		}
		select {
		case <-changed:
		case <-late:
			return fmt.Errorf("a record of our own has not come back after %s", maxWait)
		}
	}
}
