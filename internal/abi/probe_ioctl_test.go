package abi_test

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

func ioctlExercises() []exercise {
	out := fileIoctlExercises()
	out = append(out, terminalExercises()...)
	out = append(out, interfaceExercises()...)
	for i := range out {
		out[i].calls = "ioctl"
	}
	return out
}

func flags(v uint32) []byte { return binary.NativeEndian.AppendUint32(nil, v) }

func fileIoctlExercises() []exercise {
	return []exercise{
		{cap: "CAP_LINUX_IMMUTABLE", run: func(p *probe) error {
			p.tmpfs()
			return p.call(p.open(p.file("f", 0, 0o644), 0), unix.FS_IOC_SETFLAGS, flags(0x10))
		}},
		{cap: "CAP_FOWNER", run: func(p *probe) error {
			p.tmpfs()
			return p.call(p.open(p.file("f", other, 0o644), 0), unix.FS_IOC_SETFLAGS, flags(0x40))
		}},
		{cap: "CAP_SYS_RESOURCE", absent: []error{unix.EOPNOTSUPP}, run: func(p *probe) error {
			fd := p.open(p.file("f", 0, 0o644), 0)
			old := need(unix.IoctlGetInt(fd, unix.FS_IOC_GETFLAGS))
			return p.call(fd, unix.FS_IOC_SETFLAGS, flags(uint32(old)|0x4000))
		}},
		{cap: "CAP_SYS_ADMIN", row: "0xc0045878", run: func(p *probe) error {
			p.tmpfs()
			return p.call(p.open(p.dir, 0), 0xc0045878, 0) // FITHAW
		}},
		{cap: "CAP_SYS_RAWIO", row: "in 0x1)", run: func(p *probe) error {
			return p.call(p.open(p.file("f", 0, 0o644), 0), 1, make([]byte, 4))
		}},
		{cap: "CAP_SYS_RAWIO", row: "0x2285", none: "takes a disk, and a command that a disk must not get"},
		{cap: "CAP_SYS_ADMIN", row: "0x125f", run: func(p *probe) error { return p.call(p.open(p.special("/dev/loop0"), 0), unix.BLKRASET, 256) }},
		{cap: "CAP_SYS_ADMIN", row: "0x1261", run: func(p *probe) error { return p.call(p.open(p.special("/dev/loop0"), 0), unix.BLKFLSBUF, 0) }},
		{cap: "CAP_SYS_ADMIN", row: "0x4c02", run: func(p *probe) error {
			return p.call(p.open(p.special("/dev/loop0"), 0), unix.LOOP_SET_STATUS64, make([]byte, 232))
		}},
		{cap: "CAP_SYS_ADMIN", row: "0x5207", run: func(p *probe) error { return p.call(p.open("/dev/random", 0), 0x5207, 0) }},
		{cap: "CAP_NET_ADMIN", row: "0x40088a01", absent: []error{unix.EINVAL, unix.ENOTTY}, run: func(p *probe) error {
			params := append(flags(10), 100, 0, 0, 0) // a budget of 100 packets
			return p.call(need(unix.EpollCreate1(0)), 0x40088a01, params)
		}},
	}
}

// terminal opens a new pseudo-terminal, which is no one's controlling one.
func (p *probe) terminal() int {
	master := p.open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY)
	must(unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0))
	n := need(unix.IoctlGetInt(master, unix.TIOCGPTN))
	return p.open(fmt.Sprintf("/dev/pts/%d", n), unix.O_RDWR|unix.O_NOCTTY)
}

// console opens a virtual terminal that nobody looks at.
func (p *probe) console() int {
	fd, err := unix.Open(p.special("/dev/tty60"), unix.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		panic(missing("/dev/tty60: " + err.Error()))
	}
	return fd
}

func terminalExercises() []exercise {
	return []exercise{
		{cap: "CAP_SYS_ADMIN", row: "0x5437", run: func(p *probe) error { return p.call(p.terminal(), unix.TIOCVHANGUP, 0) }},
		{cap: "CAP_SYS_ADMIN", row: "in 0x5412", deny: []error{unix.EIO, unix.EPERM}, run: func(p *probe) error {
			return p.call(p.terminal(), unix.TIOCSTI, []byte("x"))
		}},
		{cap: "CAP_SYS_ADMIN", row: "in 0x540e", run: func(p *probe) error {
			fd := p.terminal()
			cmd := exec.Command("sleep", "20")
			cmd.Stdin = os.NewFile(uintptr(need(unix.Dup(fd))), "terminal")
			cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Pdeathsig: syscall.SIGKILL}
			must(cmd.Start())
			return p.call(fd, unix.TIOCSCTTY, 1)
		}},
		{cap: "CAP_SYS_ADMIN", row: "in 0x541c", run: func(p *probe) error { return p.call(p.console(), unix.TIOCLINUX, []byte{6}) }},
		{cap: "CAP_CHECKPOINT_RESTORE", run: func(p *probe) error { return p.call(p.terminal(), unix.TIOCSLCKTRMIOS, make([]byte, 64)) }},
		{cap: "CAP_SYS_ADMIN", row: "in 0x541f", none: "takes a serial line, and would change it"},
		{cap: "CAP_SYS_TTY_CONFIG", row: "always", run: func(p *probe) error { return p.call(p.console(), 0x560c, 0) }},      // VT_UNLOCKSWITCH
		{cap: "CAP_SYS_TTY_CONFIG", row: "conditional", run: func(p *probe) error { return p.call(p.console(), 0x4b30, 0) }}, // KDMKTONE of nothing
		{cap: "CAP_KILL", also: "CAP_SYS_TTY_CONFIG", run: func(p *probe) error { return p.call(p.console(), 0x4b4e, 0) }},   // KDSIGACCEPT of no signal
	}
}

// interfaceRequest is a struct ifreq about the loopback interface.
func interfaceRequest(rest ...byte) []byte {
	return append(append([]byte("lo"), make([]byte, unix.IFNAMSIZ-2)...), append(rest, make([]byte, 104)...)...)
}

// inet is a socket in an empty network namespace of the probe's own.
func (p *probe) inet(family, kind int) int {
	p.isolate(unix.CLONE_NEWNET)
	return need(unix.Socket(family, kind, 0))
}

func interfaceExercises() []exercise {
	request := func(request int, rest ...byte) func(p *probe) error {
		return func(p *probe) error {
			return p.call(p.inet(unix.AF_INET, unix.SOCK_DGRAM), request, interfaceRequest(rest...))
		}
	}
	return []exercise{
		{cap: "CAP_NET_ADMIN", row: "0x8914", run: request(unix.SIOCSIFFLAGS, unix.IFF_UP)},
		{cap: "CAP_NET_ADMIN", row: "0x8922", run: request(unix.SIOCSIFMTU, 0, 8)},
		{cap: "CAP_NET_ADMIN", row: "0x8931", run: request(unix.SIOCADDMULTI)},
		{cap: "CAP_NET_ADMIN", row: "0x8990", run: request(unix.SIOCBONDENSLAVE)},
		{cap: "CAP_NET_ADMIN", row: "0x89a2", run: request(unix.SIOCBRADDIF, 1)},
		{cap: "CAP_NET_ADMIN", row: "0x890b", run: request(unix.SIOCADDRT)},
		{cap: "CAP_NET_ADMIN", row: "0x8955", run: request(unix.SIOCSARP)},
		{cap: "CAP_NET_ADMIN", row: "in 0x8946", run: func(p *probe) error {
			command := [2]uint32{8} // ETHTOOL_SMSGLVL
			b := interfaceRequest()
			binary.NativeEndian.PutUint64(b[unix.IFNAMSIZ:], uint64(uintptr(unsafe.Pointer(&command))))
			p.pinned = append(p.pinned, &command)
			return p.call(p.inet(unix.AF_INET, unix.SOCK_DGRAM), unix.SIOCETHTOOL, b)
		}},
		{cap: "CAP_NET_ADMIN", row: "0x89f0", none: "every driver asks for itself; the loopback interface has none"},
		{cap: "CAP_NET_ADMIN", row: "0x400454ca", run: func(p *probe) error {
			p.isolate(unix.CLONE_NEWNET)
			b := append(append([]byte("probe"), make([]byte, 11)...), append([]byte{1, 0x10}, make([]byte, 22)...)...)
			return p.call(p.open(p.special("/dev/net/tun"), unix.O_RDWR), unix.TUNSETIFF, b) // IFF_TUN, IFF_NO_PI
		}},
	}
}
