package abi_test

import (
	"encoding/binary"
	"os"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

func networkExercises() []exercise {
	out := socketExercises()
	out = append(out, addressExercises()...)
	return append(out, optionExercises()...)
}

func socketExercises() []exercise {
	noFamily := []error{unix.EAFNOSUPPORT, unix.EPROTONOSUPPORT}
	socket := func(family, kind, protocol int) func(p *probe) error {
		return func(p *probe) error { return p.call(family, kind, protocol) }
	}
	return []exercise{
		{calls: "socket", cap: "CAP_NET_RAW", row: "in 0x2 0xa", run: socket(unix.AF_INET6, unix.SOCK_RAW, unix.IPPROTO_ICMPV6)},
		{calls: "socket", cap: "CAP_NET_RAW", row: "in 0x11", run: socket(unix.AF_PACKET, unix.SOCK_RAW, 0)},
		{calls: "socket", cap: "CAP_NET_RAW", row: "in 0xa) ", run: socket(unix.AF_INET, unix.SOCK_PACKET, 0)},
		{calls: "socket", cap: "CAP_NET_RAW", row: "channels of the controller", absent: noFamily, run: socket(unix.AF_BLUETOOTH, unix.SOCK_RAW, 1)},
		{calls: "socket", cap: "CAP_NET_ADMIN", row: "the management channel", absent: noFamily, run: socket(unix.AF_BLUETOOTH, unix.SOCK_RAW, 1)},
		{calls: "socket", cap: "CAP_NET_ADMIN", row: "in 0xf) ", absent: noFamily, run: socket(unix.AF_KEY, unix.SOCK_RAW, 2)},
		{calls: "socket", cap: "CAP_NET_ADMIN", row: "messages that change something", run: func(p *probe) error {
			p.isolate(unix.CLONE_NEWNET)
			link := words(0, 1, unix.IFF_UP, unix.IFF_UP) // struct ifinfomsg of interface 1
			return p.netlink(unix.NETLINK_ROUTE, unix.RTM_NEWLINK, link)
		}},
		{calls: "socket", cap: "CAP_AUDIT_CONTROL", absent: []error{unix.EPROTONOSUPPORT}, run: func(p *probe) error {
			// The inode of the first PID namespace: PROC_PID_INIT_INO.
			var stat unix.Stat_t
			if must(unix.Stat("/proc/self/ns/pid", &stat)); stat.Ino != 0xeffffffc {
				panic(missing("in a PID namespace nobody may"))
			}
			return p.netlink(unix.NETLINK_AUDIT, unix.AUDIT_GET, nil)
		}},
		{calls: "socket", cap: "CAP_AUDIT_WRITE", absent: []error{unix.EPROTONOSUPPORT}, run: func(p *probe) error {
			return p.netlink(unix.NETLINK_AUDIT, unix.AUDIT_USER, []byte("probe\x00\x00\x00"))
		}},
		{calls: "socket", cap: "CAP_AUDIT_READ", absent: []error{unix.EPROTONOSUPPORT}, run: func(p *probe) error {
			fd, err := p.descriptor(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_AUDIT)
			if err != nil {
				return err
			}
			return unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1})
		}},
	}
}

// netlink sends a message that asks for an answer, through a socket that the
// row's call made, and returns the error of that.
func (p *probe) netlink(protocol int, kind uint16, payload []byte) error {
	fd, err := p.descriptor(unix.AF_NETLINK, unix.SOCK_RAW, protocol)
	if err != nil {
		return err
	}
	b := binary.NativeEndian.AppendUint32(nil, uint32(unix.SizeofNlMsghdr+len(payload)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = binary.NativeEndian.AppendUint16(b, unix.NLM_F_REQUEST|unix.NLM_F_ACK)
	b = append(append(b, make([]byte, 8)...), payload...)
	if err := unix.Sendto(fd, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	answer := make([]byte, 4096)
	for {
		n := need(unix.Read(fd, answer))
		if binary.NativeEndian.Uint16(answer[4:]) != unix.NLMSG_ERROR || n < 20 {
			continue
		}
		if code := -int32(binary.NativeEndian.Uint32(answer[16:])); code != 0 {
			return syscall.Errno(code)
		}
		return nil
	}
}

// inetAddr is a struct sockaddr_in of any address.
func inetAddr(port uint16) []byte {
	return []byte{unix.AF_INET, 0, byte(port >> 8), byte(port), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
}

// netlinkAddr is a struct sockaddr_nl.
func netlinkAddr(pid, groups uint32) []byte { return words(unix.AF_NETLINK, pid, groups) }

func netlinkSocket(protocol int) int {
	return need(unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW, protocol))
}

// controlMessage is a struct cmsghdr with its data.
func controlMessage(level, kind int, data []byte) []byte {
	b := make([]byte, unix.CmsgSpace(len(data)))
	h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
	h.Level, h.Type = int32(level), int32(kind)
	h.SetLen(unix.CmsgLen(len(data)))
	copy(b[unix.CmsgLen(0):], data)
	return b
}

func addressExercises() []exercise {
	return []exercise{
		{calls: "bind", cap: "CAP_NET_BIND_SERVICE", run: func(p *probe) error {
			return p.call(p.inet(unix.AF_INET, unix.SOCK_STREAM), inetAddr(80), 16)
		}},
		{calls: "bind", cap: "CAP_NET_ADMIN", run: func(p *probe) error {
			return p.call(netlinkSocket(unix.NETLINK_USERSOCK), netlinkAddr(0, 1), 12)
		}},
		{calls: "connect", cap: "CAP_NET_ADMIN", run: func(p *probe) error {
			return p.call(netlinkSocket(unix.NETLINK_ROUTE), netlinkAddr(1, 0), 12)
		}},
		{calls: "sendto", cap: "CAP_NET_ADMIN", run: func(p *probe) error {
			return p.call(netlinkSocket(unix.NETLINK_ROUTE), make([]byte, 16), 16, 0, netlinkAddr(1, 0), 12)
		}},
		{calls: "sendmsg sendmmsg", cap: "CAP_NET_ADMIN", run: func(p *probe) error {
			return p.call(netlinkSocket(unix.NETLINK_ROUTE), p.message(netlinkAddr(1, 0), 12, nil), p.vlen(), 0)
		}},
		{calls: "sendmsg sendmmsg", cap: "CAP_NET_RAW", row: "SO_MARK", run: func(p *probe) error {
			mark := controlMessage(unix.SOL_SOCKET, unix.SO_MARK, flags(7))
			return p.call(p.inet(unix.AF_INET, unix.SOCK_DGRAM), p.message(inetAddr(9), 16, mark), p.vlen(), 0)
		}},
		{calls: "sendmsg sendmmsg", cap: "CAP_NET_RAW", row: "IP options", deny: []error{unix.EINVAL}, run: func(p *probe) error {
			options := controlMessage(unix.SOL_IP, unix.IP_RETOPTS, unknownOption())
			return p.call(p.inet(unix.AF_INET, unix.SOCK_DGRAM), p.message(inetAddr(9), 16, options), p.vlen(), 0)
		}},
	}
}

// unknownOption is an IP option that the kernel does not know.
func unknownOption() []byte { return []byte{30, 4, 0, 0} }

func optionExercises() []exercise {
	type option struct {
		cap, row     string
		family, kind int
		level, name  int
		value        []byte
		deny         []error
	}
	const inet, inet6, udp, tcp = unix.AF_INET, unix.AF_INET6, unix.SOCK_DGRAM, unix.SOCK_STREAM
	on := flags(1)
	var out []exercise
	for _, o := range []option{
		{"CAP_NET_ADMIN", "in 0x20 0x21)", inet, udp, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, flags(9999), nil},
		{"CAP_NET_ADMIN", "in 0x1, 2&0xffffffff in 0x1)", inet, udp, unix.SOL_SOCKET, unix.SO_DEBUG, on, nil},
		{"CAP_NET_RAW", "in 0x24)", inet, udp, unix.SOL_SOCKET, unix.SO_MARK, on, nil},
		{"CAP_NET_RAW", "in 0xc)", inet, udp, unix.SOL_SOCKET, unix.SO_PRIORITY, flags(7), nil},
		{"CAP_NET_ADMIN", "in 0x45 0x46)", inet, udp, unix.SOL_SOCKET, unix.SO_BUSY_POLL_BUDGET, flags(100), nil},
		{"CAP_NET_ADMIN", "in 0x3d)", inet, udp, unix.SOL_SOCKET, unix.SO_TXTIME, words(unix.CLOCK_TAI, 0), nil},
		{"CAP_NET_RAW", "in 0x0, 2&0xffffffff in 0x13)", inet, udp, unix.SOL_IP, unix.IP_TRANSPARENT, on, nil},
		{"CAP_NET_RAW", "in 0x0, 2&0xffffffff in 0x4)", inet, udp, unix.SOL_IP, unix.IP_OPTIONS, unknownOption(), []error{unix.EINVAL}},
		{"CAP_NET_ADMIN", "in 0x10 0x11)", inet, udp, unix.SOL_IP, unix.IP_XFRM_POLICY, make([]byte, 200), nil},
		{"CAP_NET_ADMIN", "in 0x0, 2&0xffffffff in 0x40 0x41)", inet, udp, unix.SOL_IP, 64, make([]byte, 200), nil},
		{"CAP_NET_RAW", "in 0x4b)", inet6, udp, unix.SOL_IPV6, unix.IPV6_TRANSPARENT, on, nil},
		{"CAP_NET_RAW", "in 0x36 0x37 0x3b)", inet6, udp, unix.SOL_IPV6, unix.IPV6_HOPOPTS, []byte{0, 0, 1, 4, 0, 0, 0, 0}, nil},
		{"CAP_NET_ADMIN", "in 0x22 0x23)", inet6, udp, unix.SOL_IPV6, unix.IPV6_XFRM_POLICY, make([]byte, 200), nil},
		{"CAP_NET_ADMIN", "in 0x1b)", inet6, udp, unix.SOL_IPV6, unix.IPV6_JOIN_ANYCAST, make([]byte, 20), nil},
		{"CAP_NET_ADMIN", "in 0x29, 2&0xffffffff in 0x40 0x41)", inet6, udp, unix.SOL_IPV6, 64, make([]byte, 200), nil},
		{"CAP_NET_ADMIN", "in 0x6, 2&0xffffffff in 0x13)", inet, tcp, unix.SOL_TCP, unix.TCP_REPAIR, on, nil},
		{"CAP_NET_ADMIN", "in 0x10e, 2&0xffffffff in 0x1)", unix.AF_NETLINK, unix.NETLINK_USERSOCK, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, on, nil},
		{"CAP_AUDIT_READ", "", unix.AF_NETLINK, unix.NETLINK_AUDIT, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, on, nil},
		{"CAP_NET_BROADCAST", "", unix.AF_NETLINK, unix.NETLINK_ROUTE, unix.SOL_NETLINK, unix.NETLINK_LISTEN_ALL_NSID, on, nil},
	} {
		out = append(out, exercise{
			calls: "setsockopt", cap: o.cap, row: o.row, deny: o.deny, absent: []error{unix.ENOPROTOOPT},
			run: func(p *probe) error {
				fd := 0
				if o.family == unix.AF_NETLINK {
					fd = netlinkSocket(o.kind)
				} else {
					fd = p.inet(o.family, o.kind)
				}
				return p.call(fd, o.level, o.name, o.value, len(o.value))
			},
		})
	}
	return append(out, otherOptionExercises()...)
}

func otherOptionExercises() []exercise {
	return []exercise{
		{calls: "setsockopt", cap: "CAP_NET_ADMIN", row: "in 0x2e)", none: "newer kernels do not ask"},
		{calls: "setsockopt", cap: "CAP_NET_RAW", row: "in 0x19 0x3e)", run: func(p *probe) error {
			fd := p.inet(unix.AF_INET, unix.SOCK_DGRAM)
			must(unix.BindToDevice(fd, "lo"))
			return p.call(fd, unix.SOL_SOCKET, unix.SO_BINDTODEVICE, []byte{0}, 0)
		}},
		{calls: "setsockopt", cap: "CAP_NET_ADMIN", row: "in 0x6, 2&0xffffffff in 0xd)", run: func(p *probe) error {
			const dir = "/proc/sys/net/ipv4/"
			allowed := strings.Fields(string(need(os.ReadFile(dir + "tcp_allowed_congestion_control"))))
			for name := range strings.FieldsSeq(string(need(os.ReadFile(dir + "tcp_available_congestion_control")))) {
				if !strings.Contains(" "+strings.Join(allowed, " ")+" ", " "+name+" ") {
					return p.call(p.inet(unix.AF_INET, unix.SOCK_STREAM), unix.SOL_TCP, unix.TCP_CONGESTION, []byte(name), len(name))
				}
			}
			panic(missing("no algorithm that is not allowed to all"))
		}},
		{calls: "getsockopt", cap: "CAP_NET_ADMIN", row: "in 0x0, 2", absent: []error{unix.ENOPROTOOPT}, run: func(p *probe) error {
			return p.call(p.inet(unix.AF_INET, unix.SOCK_DGRAM), unix.SOL_IP, 64, make([]byte, 84), flags(84))
		}},
		{calls: "getsockopt", cap: "CAP_NET_ADMIN", row: "in 0x29, 2", absent: []error{unix.ENOPROTOOPT}, run: func(p *probe) error {
			return p.call(p.inet(unix.AF_INET6, unix.SOCK_DGRAM), unix.SOL_IPV6, 64, make([]byte, 84), flags(84))
		}},
	}
}
