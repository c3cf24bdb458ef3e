package policy_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/gen/policy"
	"github.com/profgen/profgen/internal/abi"
)

func reach(name string, args ...evidence.Arg) evidence.Syscall {
	f := call(name, args...)
	f.Basis = evidence.Reachable
	return f
}

func in(phase evidence.Phase, f evidence.Syscall) evidence.Syscall {
	f.Phase = phase
	return f
}

func reachCap(name, in string) evidence.Capability {
	return evidence.Capability{Cap: name, Arch: abi.X8664, Syscall: in, Phase: evidence.Start, Basis: evidence.Reachable}
}

func arg(index uint8, value uint64) evidence.Arg { return evidence.Arg{Index: index, Value: value} }

// What was observed and is not reachable is an error: these are the cases that
// are, and those that only look like it.
func TestObservedButNotReachable(t *testing.T) {
	i386 := evidence.Syscall{Arch: abi.X86, Nr: 4, Name: "write", Phase: evidence.Start, Basis: evidence.Observed}
	arm := evidence.Syscall{Arch: abi.AArch64, Nr: 64, Name: "write", Phase: evidence.Start, Basis: evidence.Observed}
	tests := []struct {
		name string
		set  evidence.Set
		want string
	}{
		{"all reachable", evidence.Set{Facts: []evidence.Fact{call("read"), reach("read"), reach("write")}}, ""},
		{"one is not", evidence.Set{Facts: []evidence.Fact{call("keyctl"), call("bpf"), reach("read")}}, "bpf (x86_64), keyctl (x86_64)"},
		{"while serving and stopping", evidence.Set{Facts: []evidence.Fact{in(evidence.Serve, call("keyctl")), in(evidence.Stop, call("bpf")), reach("read")}}, "bpf (x86_64), keyctl (x86_64)"},
		{"the runtime's, and exec'd", evidence.Set{Facts: []evidence.Fact{in(evidence.Runtime, call("keyctl")), in(evidence.Exec, call("bpf")), reach("read")}}, ""},
		{"the kernel's and the vDSO's", evidence.Set{Facts: []evidence.Fact{call("rt_sigreturn"), call("restart_syscall"), call("clock_gettime"), call("uretprobe"), reach("read")}}, ""},
		{"no scan", evidence.Set{Facts: []evidence.Fact{call("keyctl")}}, ""},
		{"a scan for another kernel", evidence.Set{Facts: []evidence.Fact{arm, reach("read")}}, ""},
		{"another ABI of this kernel", evidence.Set{Facts: []evidence.Fact{i386, reach("read"), reach("write")}}, "write (x86)"},
		{"another image", evidence.Set{
			Subjects: []evidence.Subject{{Image: "a", ConfigDigest: "sha256:aa"}, {Image: "a", ConfigDigest: "sha256:bb"}},
			Facts:    []evidence.Fact{call("keyctl"), reach("read")},
		}, ""},
		{"other arguments of the same image", evidence.Set{
			Subjects: []evidence.Subject{{Image: "a", ConfigDigest: "sha256:aa", Argv: []string{"x"}}, {Image: "b", ConfigDigest: "sha256:aa"}},
			Facts:    []evidence.Fact{call("keyctl"), reach("read")},
		}, "keyctl (x86_64)"},
		{"a gap that explains it", evidence.Set{
			Facts: []evidence.Fact{call("keyctl"), reach("read")}, Gaps: []evidence.Gap{{Kind: evidence.Interpreter, Detail: "app.py"}},
		}, ""},
		{"a gap that was covered", evidence.Set{
			Facts: []evidence.Fact{call("keyctl"), reach("read")}, Gaps: []evidence.Gap{{Kind: evidence.UnresolvedDlopen, Covered: true}},
		}, "keyctl (x86_64)"},
	}
	for _, tc := range tests {
		for _, tight := range []bool{false, true} {
			_, err := policy.Decide(withRead(tc.set), policy.Options{Tight: tight})
			if (tc.want == "") != (err == nil) || err != nil && !(errors.Is(err, policy.ErrNotReachable) && strings.Contains(err.Error(), ": "+tc.want+": ")) {
				t.Errorf("%s, tight %t: %v, want %q", tc.name, tight, err, tc.want)
			}
			p, err := policy.Decide(withRead(tc.set), policy.Options{Tight: tight, AllowUnreachable: true})
			warned := slices.Contains(warned(p), "not-reachable")
			if err != nil || warned != (tc.want != "" || tc.name == "a gap that explains it") {
				t.Errorf("%s, tight %t, allowed: %v, warned %t", tc.name, tight, err, warned)
			}
		}
	}
}

// withRead is the set with something to make a profile from in any case.
func withRead(s evidence.Set) evidence.Set {
	return evidence.Merge(s, evidence.Set{Facts: []evidence.Fact{call("read")}})
}

// Which reachable capabilities become allowed.
func TestReachableCapabilities(t *testing.T) {
	proof := evidence.Witness{Capability: evidence.AnyCapability, Arch: abi.X8664, Basis: evidence.Reachable, Reason: "USER 1"}
	unseen := []evidence.Gap{{Kind: evidence.UnseenCaps, Detail: "an old kernel"}}
	tests := []struct {
		name       string
		set        evidence.Set
		opt        policy.Options
		caps, warn string
	}{
		{"by default", evidence.Set{Facts: []evidence.Fact{reachCap("CAP_CHOWN", "chown"), reachCap("CAP_SYS_ADMIN", "mount")}}, policy.Options{}, "CAP_CHOWN", "beyond-default"},
		{"kept", evidence.Set{Facts: []evidence.Fact{reachCap("CAP_SYS_TIME", "settimeofday")}}, policy.Options{Keep: []string{"CAP_SYS_TIME"}}, "CAP_SYS_TIME", ""},
		{"denied", evidence.Set{Facts: []evidence.Fact{reachCap("CAP_CHOWN", "chown")}}, policy.Options{Deny: []string{"CAP_CHOWN"}}, "", ""},
		{"tight", evidence.Set{Facts: []evidence.Fact{reachCap("CAP_CHOWN", "chown"), reachCap("CAP_SYS_ADMIN", "mount")}}, policy.Options{Tight: true}, "", ""},
		{"observed too", evidence.Set{Facts: []evidence.Fact{reachCap("CAP_SYS_TIME", "settimeofday"), granted("CAP_SYS_TIME", "settimeofday")}}, policy.Options{Tight: true}, "CAP_SYS_TIME", ""},
		{"observed, not reachable", evidence.Set{Facts: []evidence.Fact{reachCap("CAP_CHOWN", "chown"), granted("CAP_KILL", "kill")}}, policy.Options{}, "CAP_CHOWN CAP_KILL", "capability-not-reachable"},
		{"a proof that there are none", evidence.Set{Witnesses: []evidence.Witness{proof}}, policy.Options{}, "", ""},
		{"unseen, not analysed", evidence.Set{Gaps: unseen}, policy.Options{}, "CAP_CHOWN CAP_KILL", "capabilities-unseen"},
		{"unseen, bounded", evidence.Set{Gaps: unseen, Facts: []evidence.Fact{reachCap("CAP_KILL", "kill")}}, policy.Options{Tight: true}, "CAP_KILL", "capabilities-unseen"},
		{"unseen, none possible", evidence.Set{Gaps: unseen, Witnesses: []evidence.Witness{proof}}, policy.Options{}, "", "capabilities-unseen"},
		{"unseen, not bounded", evidence.Set{
			Gaps: append([]evidence.Gap{{Kind: evidence.UnresolvedExec}}, unseen...), Facts: []evidence.Fact{reachCap("CAP_KILL", "kill")},
		}, policy.Options{Tight: true}, "CAP_CHOWN CAP_KILL", "capabilities-unseen unresolved-exec"},
	}
	for _, tc := range tests {
		tc.opt.CapabilityCeiling = []string{"CAP_CHOWN", "CAP_KILL"}
		tc.opt.UnseenCapabilities = tc.opt.CapabilityCeiling
		tc.set.Facts = append(tc.set.Facts, call("read"), reach("read"))
		p, err := policy.Decide(tc.set, tc.opt)
		if err != nil {
			t.Fatalf("%s: %v", tc.name, err)
		}
		if got := strings.Join(p.Capabilities, " "); got != tc.caps {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.caps)
		}
		if got := strings.Join(warned(p), " "); got != tc.warn {
			t.Errorf("%s: warnings %q, want %q", tc.name, got, tc.warn)
		}
	}
}

// With which arguments a call is allowed, of what both bases know of them.
func TestArgumentsOfBothBases(t *testing.T) {
	many := make([]evidence.Fact, 65)
	for i := range many {
		many[i] = reach("keyctl", arg(0, uint64(i)))
	}
	gap := evidence.Gap{Kind: evidence.UnresolvedExec}
	tests := []struct {
		name, call string
		facts      []evidence.Fact
		gaps       []evidence.Gap
		wide       string // alternatives, "any" or "none"
		tight      string
	}{
		{"only reachable", "fcntl", []evidence.Fact{reach("fcntl", arg(1, 4)), reach("fcntl", arg(1, 8))}, nil, "1=4 1=8", "none"},
		{"some not derived", "fcntl", []evidence.Fact{reach("fcntl", arg(1, 4)), reach("fcntl")}, nil, "any", "none"},
		{"not looked at", "fcntl", []evidence.Fact{call("fcntl"), reach("fcntl", arg(1, 4))}, nil, "1=4", "1=4"},
		{"not looked at, code unknown", "fcntl", []evidence.Fact{call("fcntl"), reach("fcntl", arg(1, 4))}, []evidence.Gap{gap}, "any", "any"},
		{"not looked at, code elsewhere", "fcntl", []evidence.Fact{in(evidence.Exec, call("fcntl")), reach("fcntl", arg(1, 4))}, nil, "any", "any"},
		{"not looked at nor derived", "fcntl", []evidence.Fact{call("fcntl"), reach("fcntl")}, nil, "any", "any"},
		{"everyday", "prctl", []evidence.Fact{reach("prctl", arg(0, 4)), call("prctl", arg(0, 15))}, nil, "0=10 0=53564d41 0=4 0=f", "0=10 0=53564d41 0=f"},
		{"too many options seen", "prctl", []evidence.Fact{call("prctl"), reach("prctl", arg(0, 4))}, nil, "any", "any"},
		{"not executable", "mmap", []evidence.Fact{reach("mmap", arg(2, 3)), call("mmap", arg(2, 0))}, nil, "2=0", "2=0"},
		{"never both", "mmap", []evidence.Fact{reach("mmap", arg(2, 5)), call("mmap", arg(2, 2))}, nil, "2=0 2=0", "2=0"},
		{"both", "mmap", []evidence.Fact{reach("mmap", arg(2, 7)), call("mmap", arg(2, 4))}, nil, "any", "2=0 2=0"},
		{"different sockets", "socket", []evidence.Fact{call("socket", arg(0, 2)), reach("socket", arg(0, 1))}, nil, "0=1 0=2", "0=2"},
		{"too many sockets seen", "socket", []evidence.Fact{call("socket"), reach("socket", arg(0, 1))}, nil, "any", "any"},
		{"too many to list", "keyctl", many, nil, "any", "none"},
		{"just few enough", "keyctl", many[:2], nil, "0=0 0=1", "none"},
		{"by two arguments", "madvise", []evidence.Fact{reach("madvise", arg(1, 1), arg(2, 9)), reach("madvise", arg(1, 6))}, nil, "1=1,2=9 1=6", "none"},
		{"family not derived", "socketpair", []evidence.Fact{reach("socketpair", arg(1, 1)), reach("socketpair", arg(0, 1))}, nil, "any", "none"},
		{"flags not derived", "clone", []evidence.Fact{reach("clone"), reach("clone3")}, nil, "0=0", "none"},
		{"flags seen", "clone", []evidence.Fact{call("clone", arg(0, 0x20000000)), reach("clone")}, nil, "0=0 0=20000000", "0=20000000"},
	}
	for _, tc := range tests {
		set := evidence.Set{Facts: append([]evidence.Fact{call("read"), reach("read")}, tc.facts...), Gaps: tc.gaps}
		for _, tight := range []bool{false, true} {
			want := tc.wide
			if tight {
				want = tc.tight
			}
			p, err := policy.Decide(set, policy.Options{Tight: tight})
			if err != nil {
				t.Fatalf("%s: %v", tc.name, err)
			}
			if got := alternatives(p, tc.call); got != want {
				t.Errorf("%s, tight %t: %s is allowed with %s, want %s", tc.name, tight, tc.call, got, want)
			}
		}
	}
}

// Arguments that were observed and are not reachable are allowed, and told of.
func TestArgumentsObservedButNotReachable(t *testing.T) {
	for _, tc := range []struct {
		reachable evidence.Syscall
		gaps      []evidence.Gap
		warn      bool
	}{
		{reach("socket", arg(0, 1), arg(1, 1)), nil, true},
		{reach("socket", arg(0, 2), arg(1, 2)), nil, false}, // policy tells families apart, not types
		{reach("socket"), nil, false},
		{reach("socket", arg(0, 1)), []evidence.Gap{{Kind: evidence.UnresolvedExec}}, false},
	} {
		p, err := policy.Decide(evidence.Set{
			Facts: []evidence.Fact{call("socket", arg(0, 2), arg(1, 1)), tc.reachable}, Gaps: tc.gaps,
		}, policy.Options{})
		if got := slices.Contains(warned(p), "arguments-not-reachable"); err != nil || got != tc.warn {
			t.Errorf("%+v: %v, warned %t, want %t", tc.reachable, err, got, tc.warn)
		}
		if got := alternatives(p, "socket"); got != "any" && !strings.Contains(got, "0=2") && tc.reachable.Args != nil {
			t.Errorf("%+v: socket is allowed with %s, which lacks what was observed", tc.reachable, got)
		}
	}
}

// What code can do with namespaces gives no capability by itself.
func TestReachableNamespacesAreNoNeed(t *testing.T) {
	const pidNamespace = 0x20000000
	p := decide(t, call("clone", arg(0, 0)), granted("CAP_SYS_ADMIN", "clone"), reach("clone", arg(0, pidNamespace)), reach("read"))
	if len(p.Capabilities) > 0 || !slices.Contains(warned(p), "namespaces") {
		t.Errorf("capabilities %v, warnings %v; want none, and one that clone may make namespaces", p.Capabilities, warned(p))
	}
}

// Nothing observed makes no tight profile.
func TestTightTakesARecording(t *testing.T) {
	_, err := policy.Decide(evidence.Set{Facts: []evidence.Fact{reach("read")}}, policy.Options{Tight: true})
	if err == nil || !strings.Contains(err.Error(), "record the workload first") {
		t.Errorf("%v, want an error that says what to do", err)
	}
}

// What the network rules leave open is what the code leaves open.
func TestReachableSockets(t *testing.T) {
	socket := evidence.Socket{Family: 2, Type: 1, Phase: evidence.Start, Basis: evidence.Reachable}
	tests := []struct {
		name  string
		facts []evidence.Fact
		want  string
	}{
		{"all known", []evidence.Fact{socket, reach("socket", arg(0, 2), arg(1, 1))}, "network inet stream"},
		{"no type", []evidence.Fact{socket, reach("socket", arg(0, 10))}, "network inet stream, network inet6"},
		{"no family", []evidence.Fact{socket, reach("socketpair")}, "network, network inet stream"},
	}
	for _, tc := range tests {
		set := evidence.Set{Facts: append(tc.facts, call("read"), reach("read"))}
		for _, tight := range []bool{false, true} {
			p, err := policy.Decide(set, policy.Options{Tight: tight})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, n := range p.Network {
				got = append(got, n.String())
			}
			if s := strings.Join(got, ", "); s != tc.want && !tight || tight && s != "" {
				t.Errorf("%s, tight %t: %q, want %q", tc.name, tight, s, tc.want)
			}
		}
	}
}

// alternatives spells out with which arguments p allows a call.
func alternatives(p policy.Policy, name string) string {
	var out []string
	for _, r := range p.Syscalls {
		if r.Name != name {
			continue
		}
		var conds []string
		for _, c := range r.Conditions {
			conds = append(conds, fmt.Sprintf("%d=%x", c.Index, c.Value))
		}
		if conds == nil {
			return "any"
		}
		out = append(out, strings.Join(conds, ","))
	}
	if out == nil {
		return "none"
	}
	return strings.Join(out, " ")
}
