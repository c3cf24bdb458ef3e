package policy

import (
	"fmt"
	"slices"
	"strings"

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

// decideNetwork allows the sockets that the workload opened and, unless the
// profile is to be tight, those that its code can open; any, if it is not known
// which it opened.
func (d *decider) decideNetwork() {
	all := map[Network]string{} // → reason
	for _, f := range d.set.Facts {
		f, ok := f.(evidence.Socket)
		if !ok || f.Phase == evidence.Runtime || f.Basis == evidence.Reachable && d.opt.Tight {
			continue
		}
		n, named := NetworkOf(f)
		switch {
		case !named:
			d.decide(fmt.Sprintf("socket family %d type %d", f.Family, f.Type), false, "no kernel serves it, or AppArmor has no name for it")
		case f.Basis != evidence.Reachable:
			all[n] = "the workload opened such a socket"
		case all[n] == "":
			all[n] = "the image's code can open such a socket"
		}
	}
	if !d.opt.Tight {
		d.addUnresolvedSockets(all)
	}
	if i := slices.IndexFunc(d.set.Gaps, func(g evidence.Gap) bool { return g.Kind == evidence.UnseenSockets }); i >= 0 {
		all[Network{}] = d.set.Gaps[i].Detail
		d.warn("sockets-unseen", "sockets of any kind are allowed: %s", d.set.Gaps[i])
	}
	for n, why := range all {
		d.policy.Network = append(d.policy.Network, n)
		d.decide(n.String(), true, "%s", why)
		if slices.Contains(exposed, n.Family) {
			d.warn("exposed-family", "sockets of family %s are allowed because %s", n.Family, why)
		}
	}
}

// addUnresolvedSockets adds what stands for the sockets that the code can open
// and of which family or type could not be derived.
func (d *decider) addUnresolvedSockets(all map[Network]string) {
	for _, of := range d.bounds.calls {
		for _, name := range []string{"socket", "socketpair"} {
			b := of[name]
			if b == nil {
				continue
			}
			for _, args := range b.args {
				family, known := value(args, 0)
				kind, complete := value(args, 1)
				n := Network{Family: families[uint32(family)], Type: socketTypes[uint32(kind)]}
				switch {
				case !known:
					all[Network{}] = "the image's code can open sockets whose family could not be derived"
				case n.Family == "" || complete && n.Type == "" || all[n] != "":
				case complete:
					all[n] = "the image's code can open such a socket"
				default:
					all[n] = "the image's code can open sockets of this family whose type could not be derived"
				}
			}
		}
	}
}

// NetworkOf is the rule that allows a socket; false if AppArmor has no name for it.
func NetworkOf(s evidence.Socket) (Network, bool) {
	n := Network{families[s.Family], socketTypes[s.Type]}
	return n, n.Family != "" && n.Type != ""
}

// String is the rule in AppArmor's words.
func (n Network) String() string {
	return strings.Join(strings.Fields("network "+n.Family+" "+n.Type), " ")
}
