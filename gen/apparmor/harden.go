package apparmor

import (
	"fmt"
	"slices"
	"strings"

	"github.com/profgen/profgen/gen/apparmor/syntax"
	"github.com/profgen/profgen/gen/policy"
)

// hardening refuses at least what docker-default refuses (moby/profiles,
// apparmor/template.go, and its AF_ALG rule of 2026), because the rule that
// allows all files reaches these too. docker-default approximates "everything
// but kernel/shm*" by a pattern of three letters, which leaves out
// kernel/domainname, kernel/sem, kernel/sysrq and more (asked of the compiled
// profile); these patterns are exact.
//
// Nothing lifts a deny rule, not even the local include. A policy that allows
// AF_ALG therefore gets no rule against it. CAP_SYS_ADMIN does not lift the one
// against mounting, which docker-default has too; mounts that were seen do.
//
// Where files are confined, no rule reaches what these would refuse but one that
// the recording asks for.
func hardening(p policy.Policy) []Group {
	ways := kernelDenied(p)
	if p.Files.Confined {
		return ways
	}
	return append(ways, []Group{
		{"Denied: writing to /proc, but for processes' own files and sys/kernel/shm*.", denyFiles("w",
			"@{PROC}/*",
			"@{PROC}/{[^1-9s/]*,s,s[^y/]*,sy,sy[^s/]*,sys[^/]*}/**",
			"@{PROC}/sys/"+except("kernel/"),
			"@{PROC}/sys/kernel/"+except("shm"),
		)},
		{"Denied, reading too: the magic system request key and the kernel's memory.", denyFiles("rwklx",
			"@{PROC}/sysrq-trigger",
			"@{PROC}/kcore",
		)},
		{"Denied: changing anything in /sys but control groups.", denyFiles("wklx",
			"/sys/"+except("fs/"),
			"/sys/fs/"+except("cgroup/"),
		)},
		{"Denied, reading too: firmware, power meters and security modules.", denyFiles("rwklx",
			"/sys/firmware/**",
			"/sys/devices/virtual/powercap/**",
			"/sys/kernel/security/**",
		)},
	}...)
}

// kernelDenied refuses ways to the kernel that no file has.
func kernelDenied(p policy.Policy) []Group {
	var rules []syntax.Item
	var what []string
	if len(p.Mounts) == 0 {
		rules, what = append(rules, syntax.Rule{Qualifiers: denied, Kind: "mount"}), append(what, "mounting")
	}
	if !slices.ContainsFunc(p.Network, func(n policy.Network) bool { return n.Family == "alg" }) {
		rules, what = append(rules, network(denied, "alg", "")), append(what, "the kernel's crypto sockets (CVE-2026-31431)")
	}
	if len(rules) == 0 {
		return nil
	}
	return []Group{{"Denied: " + strings.Join(what, ", and ") + ".", rules}}
}

func denyFiles(access string, paths ...string) []syntax.Item {
	var out []syntax.Item
	for _, p := range paths {
		out = append(out, file(denied, p, access))
	}
	return out
}

// except returns a pattern for every name that does not begin with prefix, as
// AppArmor has no negation but that of one character: for "ab" it is
// {[^a]**,a,a[^b]**}. prefix must have no character that means something in a
// pattern.
func except(prefix string) string {
	var alternatives []string
	for i := range len(prefix) {
		if i > 0 {
			alternatives = append(alternatives, prefix[:i])
		}
		alternatives = append(alternatives, fmt.Sprintf("%s[^%c]**", prefix[:i], prefix[i]))
	}
	return "{" + strings.Join(alternatives, ",") + "}"
}
