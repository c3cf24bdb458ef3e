package auditlog

import (
	"strconv"
	"strings"
)

// The names that strace and AppArmor give to numbers, of include/uapi/linux and
// include/linux/socket.h: the same on x86-64 and arm64.

var families = map[string]uint64{
	"AF_UNSPEC": 0, "AF_UNIX": 1, "AF_LOCAL": 1, "AF_INET": 2, "AF_AX25": 3, "AF_IPX": 4, "AF_APPLETALK": 5, "AF_NETROM": 6,
	"AF_BRIDGE": 7, "AF_ATMPVC": 8, "AF_X25": 9, "AF_INET6": 10, "AF_ROSE": 11, "AF_DECnet": 12, "AF_NETBEUI": 13,
	"AF_SECURITY": 14, "AF_KEY": 15, "AF_NETLINK": 16, "AF_PACKET": 17, "AF_ASH": 18, "AF_ECONET": 19, "AF_ATMSVC": 20,
	"AF_RDS": 21, "AF_SNA": 22, "AF_IRDA": 23, "AF_PPPOX": 24, "AF_WANPIPE": 25, "AF_LLC": 26, "AF_IB": 27, "AF_MPLS": 28,
	"AF_CAN": 29, "AF_TIPC": 30, "AF_BLUETOOTH": 31, "AF_IUCV": 32, "AF_RXRPC": 33, "AF_ISDN": 34, "AF_PHONET": 35,
	"AF_IEEE802154": 36, "AF_CAIF": 37, "AF_ALG": 38, "AF_NFC": 39, "AF_VSOCK": 40, "AF_KCM": 41, "AF_QIPCRTR": 42,
	"AF_SMC": 43, "AF_XDP": 44, "AF_MCTP": 45,
}

var socketTypes = map[string]uint64{
	"SOCK_STREAM": 1, "SOCK_DGRAM": 2, "SOCK_RAW": 3, "SOCK_RDM": 4, "SOCK_SEQPACKET": 5, "SOCK_DCCP": 6, "SOCK_PACKET": 10,
	"SOCK_NONBLOCK": 0x800, "SOCK_CLOEXEC": 0x80000,
}

var ipProtocols = map[string]uint64{
	"IPPROTO_IP": 0, "IPPROTO_ICMP": 1, "IPPROTO_IGMP": 2, "IPPROTO_IPIP": 4, "IPPROTO_TCP": 6, "IPPROTO_EGP": 8, "IPPROTO_PUP": 12,
	"IPPROTO_UDP": 17, "IPPROTO_IDP": 22, "IPPROTO_TP": 29, "IPPROTO_DCCP": 33, "IPPROTO_IPV6": 41, "IPPROTO_RSVP": 46,
	"IPPROTO_GRE": 47, "IPPROTO_ESP": 50, "IPPROTO_AH": 51, "IPPROTO_ICMPV6": 58, "IPPROTO_MTP": 92, "IPPROTO_PIM": 103,
	"IPPROTO_COMP": 108, "IPPROTO_L2TP": 115, "IPPROTO_SCTP": 132, "IPPROTO_UDPLITE": 136, "IPPROTO_RAW": 255, "IPPROTO_MPTCP": 262,
}

var netlinkProtocols = map[string]uint64{
	"NETLINK_ROUTE": 0, "NETLINK_UNUSED": 1, "NETLINK_USERSOCK": 2, "NETLINK_FIREWALL": 3, "NETLINK_SOCK_DIAG": 4,
	"NETLINK_NFLOG": 5, "NETLINK_XFRM": 6, "NETLINK_SELINUX": 7, "NETLINK_ISCSI": 8, "NETLINK_AUDIT": 9, "NETLINK_FIB_LOOKUP": 10,
	"NETLINK_CONNECTOR": 11, "NETLINK_NETFILTER": 12, "NETLINK_IP6_FW": 13, "NETLINK_DNRTMSG": 14, "NETLINK_KOBJECT_UEVENT": 15,
	"NETLINK_GENERIC": 16, "NETLINK_SCSITRANSPORT": 18, "NETLINK_ECRYPTFS": 19, "NETLINK_RDMA": 20, "NETLINK_CRYPTO": 21,
}

// protocolsOf are the names of protocols in a family.
func protocolsOf(family string) map[string]uint64 {
	if family == "AF_NETLINK" {
		return netlinkProtocols
	}
	return ipProtocols
}

var cloneFlags = map[string]uint64{
	"CLONE_NEWTIME": 0x80, "CLONE_VM": 0x100, "CLONE_FS": 0x200, "CLONE_FILES": 0x400, "CLONE_SIGHAND": 0x800, "CLONE_PIDFD": 0x1000,
	"CLONE_PTRACE": 0x2000, "CLONE_VFORK": 0x4000, "CLONE_PARENT": 0x8000, "CLONE_THREAD": 0x10000, "CLONE_NEWNS": 0x20000,
	"CLONE_SYSVSEM": 0x40000, "CLONE_SETTLS": 0x80000, "CLONE_PARENT_SETTID": 0x100000, "CLONE_CHILD_CLEARTID": 0x200000,
	"CLONE_DETACHED": 0x400000, "CLONE_UNTRACED": 0x800000, "CLONE_CHILD_SETTID": 0x1000000, "CLONE_NEWCGROUP": 0x2000000,
	"CLONE_NEWUTS": 0x4000000, "CLONE_NEWIPC": 0x8000000, "CLONE_NEWUSER": 0x10000000, "CLONE_NEWPID": 0x20000000,
	"CLONE_NEWNET": 0x40000000, "CLONE_IO": 0x80000000, "CLONE_CLEAR_SIGHAND": 0x100000000, "CLONE_INTO_CGROUP": 0x200000000,
	"SIGCHLD": 17,
}

var personalities = map[string]uint64{
	"PER_LINUX": 0, "PER_LINUX32": 8, "ADDR_NO_RANDOMIZE": 0x40000, "MMAP_PAGE_ZERO": 0x100000, "ADDR_COMPAT_LAYOUT": 0x200000,
	"READ_IMPLIES_EXEC": 0x400000, "ADDR_LIMIT_32BIT": 0x800000, "SHORT_INODE": 0x1000000, "WHOLE_SECONDS": 0x2000000,
	"STICKY_TIMEOUTS": 0x4000000, "ADDR_LIMIT_3GB": 0x8000000, "UNAME26": 0x20000,
}

var protections = map[string]uint64{"PROT_NONE": 0, "PROT_READ": 1, "PROT_WRITE": 2, "PROT_EXEC": 4, "PROT_SEM": 8, "PROT_BTI": 0x10,
	"PROT_MTE": 0x20, "PROT_GROWSDOWN": 0x1000000, "PROT_GROWSUP": 0x2000000}

var shmFlags = map[string]uint64{"SHM_RDONLY": 0x1000, "SHM_RND": 0x2000, "SHM_REMAP": 0x4000, "SHM_EXEC": 0x8000}

var directions = map[string]uint64{"_IOC_NONE": 0, "_IOC_WRITE": 1, "_IOC_READ": 2}

// argumentNames are what arguments of a call are called, if all of them that are
// looked at have the same names.
var argumentNames = map[string]map[string]uint64{
	"bpf": bpfCommands, "keyctl": keyctlOperations, "mmap": protections, "mmap2": protections, "mprotect": protections,
	"personality": personalities, "pkey_mprotect": protections, "prctl": prctlOptions, "ptrace": ptraceRequests, "setns": cloneFlags,
	"setsockopt": levels, "shmat": shmFlags, "socket": families, "socketpair": families, "unshare": cloneFlags,
}

// signals are those of every Linux but mips, alpha, parisc and sparc; AppArmor
// spells the last four as the second name of each has it.
var signals = map[string]uint64{
	"SIGHUP": 1, "SIGINT": 2, "SIGQUIT": 3, "SIGILL": 4, "SIGTRAP": 5, "SIGABRT": 6, "SIGBUS": 7, "SIGFPE": 8, "SIGKILL": 9,
	"SIGUSR1": 10, "SIGSEGV": 11, "SIGUSR2": 12, "SIGPIPE": 13, "SIGALRM": 14, "SIGTERM": 15, "SIGSTKFLT": 16, "SIGCHLD": 17,
	"SIGCONT": 18, "SIGSTOP": 19, "SIGTSTP": 20, "SIGTTIN": 21, "SIGTTOU": 22, "SIGURG": 23, "SIGXCPU": 24, "SIGXFSZ": 25,
	"SIGVTALRM": 26, "SIGPROF": 27, "SIGWINCH": 28, "SIGIO": 29, "SIGPWR": 30, "SIGSYS": 31, "SIGRTMIN": 32, "SIGRT_1": 33,
	"SIGSTKFLT ": 16, "SIGSTP": 20, "SIGSTKFT": 16,
}

// number reads a value as strace writes it: names and numbers with | between.
func number(text string, names map[string]uint64) (uint64, bool) {
	if text == "" {
		return 0, false
	}
	var out uint64
	for word := range strings.SplitSeq(text, "|") {
		word, _, _ = strings.Cut(word, " /* ")
		word = strings.TrimSpace(word)
		n, ok := names[word]
		if !ok {
			if digits, isRT := strings.CutPrefix(word, "SIGRT_"); isRT {
				word = digits
				out += 32
			}
			value, err := strconv.ParseUint(word, 0, 64)
			if err != nil {
				return 0, false
			}
			n = value
		}
		out |= n
	}
	return out, true
}

// unquote reads a string as strace writes it; whole is false if that cut it short.
func unquote(text string) (s string, whole, ok bool) {
	whole = true
	if cut, isCut := strings.CutSuffix(text, "..."); isCut {
		text, whole = cut, false
	}
	if len(text) < 2 || text[0] != '"' || text[len(text)-1] != '"' {
		return "", false, false
	}
	return unescape(text[1 : len(text)-1]), whole, true
}

// unescape reads C's escapes: octal, hexadecimal, and letters.
func unescape(text string) string {
	if !strings.Contains(text, `\`) {
		return text
	}
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' || i+1 == len(text) {
			out.WriteByte(text[i])
			continue
		}
		i++
		switch c := text[i]; {
		case c >= '0' && c <= '7':
			end := i + 1
			for end < len(text) && end < i+3 && text[end] >= '0' && text[end] <= '7' {
				end++
			}
			n, _ := strconv.ParseUint(text[i:end], 8, 16) // at most three digits
			out.WriteByte(byte(n))
			i = end - 1
		case c == 'x' && i+2 < len(text):
			n, err := strconv.ParseUint(text[i+1:i+3], 16, 8)
			if err != nil {
				out.WriteByte(c)
				continue
			}
			out.WriteByte(byte(n))
			i += 2
		default:
			letters := map[byte]byte{'n': '\n', 't': '\t', 'r': '\r', 'v': '\v', 'f': '\f', 'a': '\a', 'b': '\b'}
			if l, ok := letters[c]; ok {
				c = l
			}
			out.WriteByte(c)
		}
	}
	return out.String()
}
