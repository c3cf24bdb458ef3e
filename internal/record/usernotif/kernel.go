//go:build linux && (amd64 || arm64)

package usernotif

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What golang.org/x/sys/unix lacks of include/uapi/linux/seccomp.h.
const (
	ioctlIDValid  = 0x40082102 // SECCOMP_IOCTL_NOTIF_ID_VALID
	ioctlSetFlags = 0x40082104 // SECCOMP_IOCTL_NOTIF_SET_FLAGS, since 6.6
)

// notification is struct seccomp_notif.
type notification struct {
	id    uint64
	pid   uint32 // of the thread, in the pid namespace of this process
	flags uint32
	nr    int32
	audit uint32 // AUDIT_ARCH_*
	ip    uint64
	args  [6]uint64
}

// response is struct seccomp_notif_resp.
type response struct {
	id    uint64
	val   int64
	errno int32
	flags uint32
}

// receive waits for the next notification; nothing is allocated, and a call
// that waits lets others have the processor. Since Linux 6.11 it fails with ENOENT
// once no task is under the filter any more.
func receive(fd int, n *notification) syscall.Errno {
	*n = notification{} // the kernel insists
	_, _, errno := syscall.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SECCOMP_IOCTL_NOTIF_RECV, uintptr(unsafe.Pointer(n)))
	return errno
}

// proceed lets the call that n is about happen.
func proceed(fd int, n *notification) syscall.Errno {
	r := response{id: n.id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}
	_, _, errno := syscall.RawSyscall(unix.SYS_IOCTL, uintptr(fd), unix.SECCOMP_IOCTL_NOTIF_SEND, uintptr(unsafe.Pointer(&r)))
	return errno
}

// valid reports whether the call that n is about still waits, so that what was
// read of a process with its id in the meantime was read of the right one.
func valid(fd int, n *notification) bool {
	id := n.id
	_, _, errno := syscall.RawSyscall(unix.SYS_IOCTL, uintptr(fd), ioctlIDValid, uintptr(unsafe.Pointer(&id)))
	return errno == 0
}

// wakeInPlace has whoever is notified, and whoever waits for an answer, run on
// the processor that the other gives up, where the kernel can do that.
func wakeInPlace(fd int) {
	syscall.RawSyscall(unix.SYS_IOCTL, uintptr(fd), ioctlSetFlags, unix.SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP)
}

// deserted reports whether no task is under the filter any more.
func deserted(fd int) bool {
	fds := []unix.PollFd{{Fd: int32(fd)}}
	for {
		_, err := unix.Poll(fds, 0)
		if err != unix.EINTR {
			return err == nil && fds[0].Revents&unix.POLLHUP != 0
		}
	}
}

const (
	sizeofNotification = uint16(unsafe.Sizeof(notification{}))
	sizeofResponse     = uint16(unsafe.Sizeof(response{}))
)

// ask asks seccomp(2) a question that changes nothing.
func ask[T any](operation uintptr, about *T) error {
	_, _, errno := syscall.RawSyscall(unix.SYS_SECCOMP, operation, 0, uintptr(unsafe.Pointer(about)))
	if errno != 0 {
		return errno
	}
	return nil
}
