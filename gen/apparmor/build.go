package apparmor

import (
	"fmt"
	"slices"
	"strings"

	"github.com/profgen/profgen/gen/apparmor/syntax"
	"github.com/profgen/profgen/gen/policy"
	"github.com/profgen/profgen/internal/abi"
)

// Build returns the profile that allows what p allows, in the order in which it
// is to be read: what is allowed, then, unless it only complains, what is
// refused whatever else is allowed, and the include for local changes last.
//
// A profile name that is not [a-z][a-z0-9._-]*, a capability that is not the
// kernel's, and a socket family or type that AppArmor 3.0 has no word for are
// errors. The latter could only be allowed by a bare network rule, which
// allows all families and is written only if the policy says so, and left out
// the workload would fail for no reason that anyone sees.
func Build(p policy.Policy, o Options) (Profile, error) {
	o, err := o.withDefaults()
	if err != nil {
		return Profile{}, err
	}
	if err := checkName(p.Name); err != nil {
		return Profile{}, err
	}
	partial := o.Mode == Complain && !p.Files.Confined && len(p.Files.Found) > 0
	if partial {
		p.Files = policy.Files{Confined: true, Rules: p.Files.Found}
	}
	capabilities, err := capabilityRules(p)
	if err != nil {
		return Profile{}, err
	}
	network, err := networkRules(p)
	if err != nil {
		return Profile{}, err
	}
	defined, err := variables(p)
	if err != nil {
		return Profile{}, err
	}
	profile := Profile{
		Tool:      o.Tool,
		Subjects:  o.Subjects,
		Name:      p.Name,
		ABI:       o.ABI,
		Flags:     flags(o.Mode),
		Variables: defined,
		Confined:  p.Files.Confined,
		Partial:   partial,
		Groups:    []Group{capabilities, network},
	}
	mounts, err := mountRules(p)
	if err != nil {
		return Profile{}, err
	}
	switch {
	case len(p.Mounts) > 0:
		profile.Groups = append(profile.Groups, mounts)
	case !p.Files.Confined && slices.Contains(p.Capabilities, "CAP_SYS_ADMIN"):
		profile.Groups = append(profile.Groups, Group{"Unmounting: because CAP_SYS_ADMIN is among the capabilities.", []syntax.Item{umount("")}})
	}
	if o.ABI == ABI40 {
		profile.Groups = append(profile.Groups, newer(p)...)
	}
	allowed, err := files(p, o.Mode)
	if err != nil {
		return Profile{}, err
	}
	profile.Groups = append(profile.Groups, signals(p), ptrace(p))
	profile.Groups = append(profile.Groups, allowed...)
	if o.Mode == Enforce {
		profile.Groups = append(profile.Groups, hardening(p)...)
	}
	local := Group{"Local changes. They cannot lift a deny rule.", []syntax.Item{syntax.Include{Path: "<local/" + p.Name + ">", IfExists: true}}}
	profile.Groups = append(profile.Groups, local)
	return profile, nil
}

// flags are those of every container profile. attach_disconnected gives files
// that the runtime opened outside the container's mount namespace a path at
// all; mediate_deleted goes by the path that a deleted file had.
func flags(m Mode) []string {
	out := []string{"attach_disconnected", "mediate_deleted"}
	if m == Complain {
		out = slices.Insert(out, 1, "complain")
	}
	return out
}

func capabilityRules(p policy.Policy) (Group, error) {
	g := Group{Comment: "Capabilities: these and no others."}
	for _, name := range p.Capabilities {
		if _, ok := abi.CapabilityNumber(name); !ok {
			return Group{}, fmt.Errorf("capability %q: not one of the kernel's (want a name such as CAP_CHOWN)", name)
		}
		g.Rules = append(g.Rules, capability(strings.ToLower(strings.TrimPrefix(name, "CAP_"))))
	}
	if len(g.Rules) == 0 {
		g.Comment = "Capabilities: none."
	}
	return g, nil
}

func networkRules(p policy.Policy) (Group, error) {
	g := Group{Comment: "Sockets: of these families and types and no others."}
	for _, n := range p.Network {
		if n == (policy.Network{}) {
			g.Comment = "Sockets: any, since not all that the workload may ask for are known."
			g.Rules = append(g.Rules, network(syntax.Qualifiers{}, "", ""))
			continue
		}
		if !slices.Contains(families(), n.Family) {
			return Group{}, fmt.Errorf("network %s %s: AppArmor 3.0 has no socket family %q; leave it out of the policy, or use another AppArmor profile", n.Family, n.Type, n.Family)
		}
		if !slices.Contains(socketTypes(), n.Type) && n.Type != "" {
			return Group{}, fmt.Errorf("network %s %s: AppArmor 3.0 has no socket type %q (it has %s)", n.Family, n.Type, n.Type, strings.Join(socketTypes(), ", "))
		}
		g.Rules = append(g.Rules, network(syntax.Qualifiers{}, n.Family, n.Type))
	}
	if len(g.Rules) == 0 {
		g.Comment = "Sockets: none."
	}
	return g, nil
}

// families returns the socket families of a network rule: apparmor.d(5) of
// AppArmor 3.0, DOMAIN.
func families() []string {
	return strings.Fields(`unix inet ax25 ipx appletalk netrom bridge atmpvc x25
		inet6 rose netbeui security key netlink packet ash econet atmsvc rds sna
		irda pppox wanpipe llc ib mpls can tipc bluetooth iucv rxrpc isdn phonet
		ieee802154 caif alg nfc vsock kcm qipcrtr smc xdp mctp`)
}

// socketTypes returns the socket types of a network rule: apparmor.d(5), TYPE.
func socketTypes() []string {
	return []string{"stream", "dgram", "seqpacket", "rdm", "raw", "packet"}
}

// signals lets the container be stopped. Without these rules docker stop waits
// in vain and then kills (moby issue 47749), because the kernel asks the
// receiver's profile too.
//
// A runtime is unconfined on most hosts. Where it has a profile, that is named
// after it or, as AppArmor 4 ships them and podman's own template expects,
// attached to and named by its path.
//
// Among the container's own processes any signal goes: a program has many that it
// sends only when something is amiss, and none reaches beyond.
func signals(p policy.Policy) Group {
	const path = "{/usr/bin/,/usr/sbin/,}"
	g := Group{"Signals: from the host and its container runtimes, and among the container's own processes.", []syntax.Item{
		with("signal", "receive", "unconfined"),
		with("signal", "receive", path+"crun*"),
		with("signal", "receive", path+"podman"),
		with("signal", "receive", path+"runc"),
		with("signal", "send receive", p.Name),
	}}
	var set []string
	for _, n := range p.Processes.Signals {
		set = append(set, signalName(n))
	}
	if len(set) > 0 {
		g.Comment = "Signals: from the host and its container runtimes, among the container's own processes, and what was sent to others."
		g.Rules = append(g.Rules, with("signal", "send", "unconfined", syntax.Condition{Key: "set", Values: set}))
	}
	return g
}

// ptrace lets ps look at /proc/PID of its neighbours and, if the policy says so,
// debuggers work within the container, as docker-default does. It is no way out:
// the peer is the profile itself.
func ptrace(p policy.Policy) Group {
	g := Group{"Tracing: among the container's own processes, to look at them.", []syntax.Item{with("ptrace", "read readby", p.Name)}}
	if p.Processes.Trace || !p.Files.Confined {
		g = Group{"Tracing: among the container's own processes.", []syntax.Item{with("ptrace", "trace read tracedby readby", p.Name)}}
	}
	switch p.Processes.TraceOutside {
	case "read":
		g.Rules = append(g.Rules, with("ptrace", "read", "unconfined"))
	case "trace":
		g.Rules = append(g.Rules, with("ptrace", "trace read", "unconfined"))
	}
	return g
}
