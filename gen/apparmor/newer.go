package apparmor

import (
	"github.com/profgen/profgen/gen/apparmor/syntax"
	"github.com/profgen/profgen/gen/policy"
)

// newer allows what AppArmor asks about since 4.0, and what network rules no longer
// cover after it. What is not in here is refused.
//
// What a kernel enforces of it is what both it and the file of the abi rule know.
// abi/4.0 as AppArmor ships it has user namespaces and POSIX message queues. It has
// neither io_uring nor SysV queues, rules for which are for hosts whose file has
// them; nor addresses and ports, so that a network rule names a family and a type.
func newer(p policy.Policy) []Group {
	var out []Group
	add := func(comment string, rules ...syntax.Item) { out = append(out, Group{comment, rules}) }
	var unix []syntax.Item
	for _, n := range p.Network {
		if n.Family != "unix" && n.Family != "" {
			continue
		}
		r := syntax.Rule{Kind: "unix"}
		if n.Type != "" {
			r.Conds = []syntax.Condition{{Key: "type", Values: []string{n.Type}}}
		}
		unix = append(unix, r)
	}
	if len(unix) > 0 {
		add("Unix sockets: of these types, to any peer.", unix...)
	}
	var queues []syntax.Item
	for _, kind := range p.Newer.MessageQueues {
		queues = append(queues, syntax.Rule{Kind: "mqueue", Conds: []syntax.Condition{{Key: "type", Values: []string{kind}}}})
	}
	if len(queues) > 0 {
		add("Message queues: of these kinds.", queues...)
	}
	if p.Newer.IOUring {
		add("io_uring: with threads of the kernel's and credentials that were registered.", syntax.Rule{Kind: "io_uring"})
	}
	if p.Newer.UserNamespaces {
		add("User namespaces: may be made.", syntax.Rule{Kind: "userns", Access: []string{"create"}})
	}
	return out
}
