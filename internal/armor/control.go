package armor

import (
	"encoding/binary"
	"errors"

	"golang.org/x/sys/unix"
)

// Messages to audit: include/uapi/linux/audit.h.
const (
	auditGet     = 1000  // AUDIT_GET: how audit stands
	auditUserAVC = 1107  // AUDIT_USER_AVC: taken even where auditing is off
	statusLost   = 6 * 4 // of struct audit_status: lost
)

// control is a socket that audit is asked through, one question at a time.
type control struct{ fd int }

func newControl() (*control, error) {
	fd, err := netlink(0, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 10}); err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	return &control{fd}, nil
}

func (c *control) Close() error { return unix.Close(c.fd) }

// lost is how many records the kernel has lost since it was booted.
func (c *control) lost() (uint32, error) {
	if err := c.send(auditGet, nil); err != nil {
		return 0, err
	}
	// The acknowledgement and the answer come in either order: a thread of the kernel sends the second.
	var status []byte
	for acknowledged := false; !acknowledged || status == nil; {
		kind, body, err := c.receive()
		switch {
		case err != nil:
			return 0, err
		case kind == unix.NLMSG_ERROR:
			acknowledged = true
		case kind == auditGet:
			status = body
		}
	}
	if len(status) < statusLost+4 {
		return 0, errors.New("audit's status is too short")
	}
	return binary.NativeEndian.Uint32(status[statusLost:]), nil
}

// write has the kernel make a record with a text.
func (c *control) write(text string) error {
	if err := c.send(auditUserAVC, append([]byte(text), 0)); err != nil {
		return err
	}
	for {
		if kind, _, err := c.receive(); err != nil || kind == unix.NLMSG_ERROR {
			return err
		}
	}
}

// send sends one message, to be acknowledged: netlink(7).
func (c *control) send(kind uint16, payload []byte) error {
	msg := make([]byte, unix.NLMSG_HDRLEN, unix.NLMSG_HDRLEN+len(payload))
	binary.NativeEndian.PutUint32(msg, uint32(len(msg)+len(payload)))
	binary.NativeEndian.PutUint16(msg[4:], kind)
	binary.NativeEndian.PutUint16(msg[6:], unix.NLM_F_REQUEST|unix.NLM_F_ACK)
	return unix.Sendto(c.fd, append(msg, payload...), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
}

// receive waits for a message. An acknowledgement is of kind NLMSG_ERROR; one
// that says that something failed is an error.
func (c *control) receive() (kind uint16, body []byte, err error) {
	buf := make([]byte, maxMessage)
	n, err := unix.Read(c.fd, buf)
	if err != nil {
		return 0, nil, err
	}
	if n < unix.NLMSG_HDRLEN+4 {
		return 0, nil, errors.New("an answer of netlink is too short")
	}
	kind, body = binary.NativeEndian.Uint16(buf[4:]), buf[unix.NLMSG_HDRLEN:n]
	if kind == unix.NLMSG_ERROR {
		if errno := -int32(binary.NativeEndian.Uint32(body)); errno != 0 {
			return kind, nil, unix.Errno(errno)
		}
	}
	return kind, body, nil
}
