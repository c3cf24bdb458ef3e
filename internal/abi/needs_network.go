package abi

// networkNeeds are the rows of sockets. What a netlink socket may send depends
// on its protocol, so the protocol's capabilities hang on socket(2). Families
// and types: include/linux/socket.h and net.h.
var networkNeeds = []Need{
	{"socket", when(is(0, afInet, afInet6, afIEEE802154, afNFC), field(1, sockTypeMask, sockRaw)), "CAP_NET_RAW", "", Always, "", "raw(7)"},
	{"socket", when(is(0, afPacket, afXDP)), "CAP_NET_RAW", "", Always, "", "packet(7)"},
	{"socket", when(is(0, afInet), field(1, sockTypeMask, sockPacket)), "CAP_NET_RAW", "", Always, "", "packet(7)"},
	{"socket", when(is(0, afBluetooth), field(1, sockTypeMask, sockRaw)), "CAP_NET_RAW", "", Conditional, "channels of the controller", "capabilities(7)"},
	{"socket", when(is(0, afBluetooth), field(1, sockTypeMask, sockRaw)), "CAP_NET_ADMIN", "", Conditional, "the management channel", "capabilities(7)"},
	{"socket", when(is(0, afKey)), "CAP_NET_ADMIN", "", Always, "", "capabilities(7)"},
	{"socket", when(is(0, afNetlink), is(2, netlinkRoute, netlinkSockDiag, netlinkXfrm, netlinkConnector, netlinkNetfilter, netlinkGeneric, netlinkRDMA, netlinkCrypto)), "CAP_NET_ADMIN", "", Conditional, "messages that change something, or groups", "netlink(7)"},
	{"socket", when(is(0, afNetlink), is(2, netlinkAudit)), "CAP_AUDIT_CONTROL", "", Conditional, "messages that configure auditing", "capabilities(7)"},
	{"socket", when(is(0, afNetlink), is(2, netlinkAudit)), "CAP_AUDIT_READ", "", Conditional, "the multicast group of the log", "capabilities(7)"},
	{"socket", when(is(0, afNetlink), is(2, netlinkAudit)), "CAP_AUDIT_WRITE", "", Conditional, "messages for the log", "capabilities(7)"},

	{"bind", nil, "CAP_NET_BIND_SERVICE", "", Conditional, "a port below net.ipv4.ip_unprivileged_port_start", "ip(7)"},
	{"bind", nil, "CAP_NET_ADMIN", "", Conditional, "multicast groups of netlink", "netlink(7)"},
	{"connect sendto sendmsg sendmmsg", nil, "CAP_NET_ADMIN", "", Conditional, "netlink addresses other than the kernel's, and messages that change something", "netlink(7)"},
	{"sendmsg sendmmsg", nil, "CAP_NET_RAW", "CAP_NET_ADMIN", Conditional, "SO_MARK as ancillary data", "capabilities(7)"},
	{"sendmsg sendmmsg", nil, "CAP_NET_RAW", "", Conditional, "IP options as ancillary data", "capabilities(7)"},

	{"setsockopt", sockOpt(solSocket, soSndBufForce, soRcvBufForce), "CAP_NET_ADMIN", "", Always, "", "socket(7)"},
	{"setsockopt", sockOpt(solSocket, soDebug), "CAP_NET_ADMIN", "", Conditional, "switching it on", "socket(7)"},
	{"setsockopt", sockOpt(solSocket, soMark), "CAP_NET_RAW", "CAP_NET_ADMIN", Always, "", "socket(7)"},
	{"setsockopt", sockOpt(solSocket, soPriority), "CAP_NET_RAW", "CAP_NET_ADMIN", Conditional, "a priority outside 0 to 6", "socket(7)"},
	{"setsockopt", sockOpt(solSocket, soPreferBusyPoll, soBusyPollBudget), "CAP_NET_ADMIN", "", Conditional, "a higher value", "capabilities(7)"},
	{"setsockopt", sockOpt(solSocket, soBusyPoll), "CAP_NET_ADMIN", "", Rare, "a higher value, in older kernels", "socket(7)"},
	{"setsockopt", sockOpt(solSocket, soTxTime), "CAP_NET_ADMIN", "", Conditional, "a clock other than CLOCK_MONOTONIC", "capabilities(7)"},
	{"setsockopt", sockOpt(solSocket, soBindToDevice, soBindToIfIndex), "CAP_NET_RAW", "", Conditional, "a socket that is bound to a device; before Linux 5.7, any", "socket(7)"},
	{"setsockopt", sockOpt(solIP, ipTransparent), "CAP_NET_RAW", "CAP_NET_ADMIN", Conditional, "switching it on", "capabilities(7)"},
	{"setsockopt", sockOpt(solIP, ipOptions), "CAP_NET_RAW", "", Conditional, "options other than routes and timestamps", "capabilities(7)"},
	{"setsockopt", sockOpt(solIP, ipIPSecPolicy, ipXfrmPolicy), "CAP_NET_ADMIN", "", Always, "", "capabilities(7)"},
	{"setsockopt", sockOpt(solIP, iptSoSetReplace, iptSoSetAddCounters), "CAP_NET_ADMIN", "", Always, "", "capabilities(7)"},
	{"getsockopt", sockOpt(solIP, iptSoGetInfo, iptSoGetEntries), "CAP_NET_ADMIN", "", Always, "", "capabilities(7)"},
	{"setsockopt", sockOpt(solIPv6, ipv6Transparent), "CAP_NET_RAW", "CAP_NET_ADMIN", Conditional, "switching it on", "capabilities(7)"},
	{"setsockopt", sockOpt(solIPv6, ipv6HopOpts, ipv6RtHdrDstOpts, ipv6DstOpts), "CAP_NET_RAW", "", Conditional, "options to set", "capabilities(7)"},
	{"setsockopt", sockOpt(solIPv6, ipv6IPSecPolicy, ipv6XfrmPolicy), "CAP_NET_ADMIN", "", Always, "", "capabilities(7)"},
	{"setsockopt", sockOpt(solIPv6, ipv6JoinAnycast), "CAP_NET_ADMIN", "", Conditional, "an address that is not a router's subnet anycast", "capabilities(7)"},
	{"setsockopt", sockOpt(solIPv6, ip6tSoSetReplace, ip6tSoSetAddCounters), "CAP_NET_ADMIN", "", Always, "", "capabilities(7)"},
	{"getsockopt", sockOpt(solIPv6, ip6tSoGetInfo, ip6tSoGetEntries), "CAP_NET_ADMIN", "", Always, "", "capabilities(7)"},
	{"setsockopt", sockOpt(solTCP, tcpCongestion), "CAP_NET_ADMIN", "", Conditional, "algorithms outside net.ipv4.tcp_allowed_congestion_control", "tcp(7)"},
	{"setsockopt", sockOpt(solTCP, tcpRepair), "CAP_NET_ADMIN", "", Always, "", "capabilities(7)"},
	{"setsockopt", sockOpt(solNetlink, netlinkAddMembership), "CAP_NET_ADMIN", "", Conditional, "groups that are not for everyone", "netlink(7)"},
	{"setsockopt", sockOpt(solNetlink, netlinkAddMembership), "CAP_AUDIT_READ", "", Conditional, "the audit log", "capabilities(7)"},
	{"setsockopt", sockOpt(solNetlink, netlinkListenAllNSID), "CAP_NET_BROADCAST", "", Always, "", "capabilities(7)"},
}

func sockOpt(level uint64, names ...uint64) []ArgMatch { return when(is(1, level), is(2, names...)) }
