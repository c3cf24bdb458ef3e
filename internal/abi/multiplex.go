package abi

import "slices"

// Multiplexed returns the call through which x86 could make the named one
// before it had a number of its own (many still can), and the number of it
// there: SYS_* in include/uapi/linux/net.h, and include/uapi/linux/ipc.h. mux is
// "" if there is none.
func Multiplexed(name string) (mux string, nr uint64) {
	sockets := [...]string{
		1: "socket", "bind", "connect", "listen", "accept", "getsockname", "getpeername", "socketpair",
		"send", "recv", "sendto", "recvfrom", "shutdown", "setsockopt", "getsockopt", "sendmsg", "recvmsg",
		"accept4", "recvmmsg", "sendmmsg",
	}
	ipc := [...]string{
		1: "semop", "semget", "semctl", "semtimedop", 11: "msgsnd", "msgrcv", "msgget", "msgctl",
		21: "shmat", "shmdt", "shmget", "shmctl",
	}
	if i := slices.Index(sockets[1:], name); i >= 0 {
		return "socketcall", uint64(i + 1)
	}
	if i := slices.Index(ipc[1:], name); i >= 0 && name != "" {
		return "ipc", uint64(i + 1)
	}
	return "", 0
}
