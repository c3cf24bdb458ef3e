package policy

import (
	"fmt"
	"slices"

	"github.com/profgen/profgen/gen/evidence"
)

// families are the AF_* numbers (include/linux/socket.h) as AppArmor names
// them (apparmor.d(5), NETWORK RULES).
var families = map[uint32]string{
	1: "unix", 2: "inet", 3: "ax25", 4: "ipx", 5: "appletalk", 6: "netrom", 7: "bridge", 8: "atmpvc",
	9: "x25", 10: "inet6", 11: "rose", 13: "netbeui", 14: "security", 15: "key", 16: "netlink",
	17: "packet", 18: "ash", 19: "econet", 20: "atmsvc", 21: "rds", 22: "sna", 23: "irda", 24: "pppox",
	25: "wanpipe", 26: "llc", 27: "ib", 28: "mpls", 29: "can", 30: "tipc", 31: "bluetooth", 32: "iucv",
	33: "rxrpc", 34: "isdn", 35: "phonet", 36: "ieee802154", 37: "caif", 38: "alg", 39: "nfc", 40: "vsock",
	41: "kcm", 42: "qipcrtr", 43: "smc", 44: "xdp", 45: "mctp",
}

// socketTypes are the SOCK_* numbers (include/linux/net.h).
var socketTypes = map[uint32]string{1: "stream", 2: "dgram", 3: "raw", 4: "rdm", 5: "seqpacket", 10: "packet"}

// exposed are families that reach far into the kernel for very few programs;
// Docker's default profile refuses the first two to everybody.
var exposed = []string{"alg", "vsock", "packet", "bluetooth", "can", "tipc", "rds"}

func (d *decider) decideNetwork() {
	for _, f := range d.set.Facts {
		f, ok := f.(evidence.Socket)
		if !ok || f.Basis == evidence.Reachable || f.Phase == evidence.Runtime {
			continue
		}
		family, kind := families[f.Family], socketTypes[f.Type]
		if family == "" || kind == "" {
			d.decide(fmt.Sprintf("socket family %d type %d", f.Family, f.Type), false, "no kernel serves it, or AppArmor has no name for it")
			continue
		}
		n := Network{family, kind}
		if slices.Contains(d.policy.Network, n) {
			continue
		}
		d.policy.Network = append(d.policy.Network, n)
		d.decide("network "+family+" "+kind, true, "the workload opened such a socket")
		if slices.Contains(exposed, family) {
			d.warn("exposed-family", "sockets of family %s are allowed because the workload opened one", family)
		}
	}
}
