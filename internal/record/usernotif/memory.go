//go:build linux && (amd64 || arm64)

package usernotif

import (
	"bytes"
	"os"

	"golang.org/x/sys/unix"
)

// pathMax is PATH_MAX: the kernel takes no longer path.
const pathMax = 4096

// read fills buf from the memory of the task that asks. It is false if there is
// no such memory, which the kernel will find too, or if it is out of reach, which
// is counted.
func (e *event) read(addr uint64, buf []byte) bool {
	for len(buf) > 0 {
		n := min(len(buf), int(pageLeft(addr)))
		if !e.readPiece(addr, buf[:n]) {
			return false
		}
		addr, buf = addr+uint64(n), buf[n:]
	}
	return true
}

// pageLeft is how many bytes there are from addr to the end of its page.
func pageLeft(addr uint64) uint64 {
	page := uint64(os.Getpagesize())
	return page - addr%page
}

func (e *event) readPiece(addr uint64, buf []byte) bool {
	local := []unix.Iovec{{Base: &buf[0]}}
	local[0].SetLen(len(buf))
	remote := []unix.RemoteIovec{{Base: uintptr(addr), Len: len(buf)}}
	n, err := unix.ProcessVMReadv(int(e.n.pid), local, remote, 0)
	switch err {
	case nil:
		return n == len(buf)
	case unix.EFAULT, unix.EINVAL, unix.ESRCH:
		return false
	}
	e.unreadable()
	return false
}

// text reads a string of at most max bytes.
func (e *event) text(addr uint64, max int) (string, bool) {
	var out []byte
	for piece := uint64(256); len(out) < max; {
		buf := make([]byte, min(piece, pageLeft(addr)))
		if !e.readPiece(addr, buf) {
			return "", false
		}
		if i := bytes.IndexByte(buf, 0); i >= 0 {
			return string(append(out, buf[:i]...)), true
		}
		out, addr = append(out, buf...), addr+uint64(len(buf))
	}
	return "", false
}

// unreadable counts an argument that is out of reach: the process is closed to
// its own user.
func (e *event) unreadable() {
	e.r.loss.unreadable++
}
