package policy_test

import (
	"strings"
	"testing"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/gen/policy"
	"github.com/profgen/profgen/internal/abi"
)

func call(name string, args ...evidence.Arg) evidence.Syscall {
	nr, _ := abi.X8664.Number(name)
	return evidence.Syscall{Arch: abi.X8664, Nr: nr, Name: name, Args: args, Phase: evidence.Start, Basis: evidence.Observed}
}

func granted(name, in string) evidence.Capability {
	return evidence.Capability{Cap: name, Arch: abi.X8664, Syscall: in, Granted: true, Phase: evidence.Start, Basis: evidence.Observed}
}

func decide(t *testing.T, facts ...evidence.Fact) policy.Policy {
	t.Helper()
	p, err := policy.Decide(evidence.Set{Facts: append(facts, call("read"))}, policy.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func warned(p policy.Policy) []string {
	var codes []string
	for _, w := range p.Warnings {
		codes = append(codes, w.Code)
	}
	return codes
}

// Which checks are needs. What is dismissed wrongly breaks the workload, what
// is kept wrongly opens the container: each row is a case that went wrong
// somewhere.
func TestWhichChecksAreNeeds(t *testing.T) {
	const pidNamespace = 0x20000000
	tests := []struct {
		name  string
		facts []evidence.Fact
		want  string
	}{
		{"plain", []evidence.Fact{granted("CAP_CHOWN", "chown")}, "CAP_CHOWN"},
		{"overcommit reserve", []evidence.Fact{granted("CAP_SYS_ADMIN", "mmap"), granted("CAP_SYS_ADMIN", "clone")}, ""},
		{"clone for a namespace", []evidence.Fact{call("clone", evidence.Arg{Index: 0, Value: pidNamespace}), granted("CAP_SYS_ADMIN", "clone")}, "CAP_SYS_ADMIN"},
		{"clone3 for a namespace", []evidence.Fact{call("clone3", evidence.Arg{Index: 0, Value: pidNamespace}), granted("CAP_SYS_ADMIN", "clone3")}, "CAP_SYS_ADMIN"},
		{"clone for a thread", []evidence.Fact{call("clone", evidence.Arg{Index: 0, Value: 0x3d0f00}), granted("CAP_SYS_ADMIN", "clone")}, ""},
		{"setgid bit of a new file", []evidence.Fact{granted("CAP_FSETID", "openat")}, "CAP_FSETID"},
		{"setgid bit by chmod", []evidence.Fact{granted("CAP_FSETID", "fchmodat")}, "CAP_FSETID"},
		{"bits lost on write", []evidence.Fact{granted("CAP_FSETID", "write"), granted("CAP_FSETID", "chown")}, ""},
		{"inheritable set", []evidence.Fact{granted("CAP_SETPCAP", "capset")}, ""},
		{"bounding set", []evidence.Fact{granted("CAP_SETPCAP", "prctl")}, "CAP_SETPCAP"},
		{"a namespace of its own", []evidence.Fact{evidence.Capability{
			Cap: "CAP_SYS_ADMIN", Arch: abi.X8664, Syscall: "mount", Granted: true, Nested: true, Phase: evidence.Start, Basis: evidence.Observed,
		}}, ""},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			if got := strings.Join(decide(t, tc.facts...).Capabilities, " "); got != tc.want {
				t.Errorf("capabilities %q, want %q", got, tc.want)
			}
		})
	}
}

// Every weakness speaks up.
func TestWarnings(t *testing.T) {
	arg0 := func(v uint64) evidence.Arg { return evidence.Arg{Index: 0, Value: v} }
	many := make([]evidence.Fact, 70)
	for i := range many {
		many[i] = call("personality", arg0(uint64(i)))
	}
	tests := []struct {
		name  string
		facts []evidence.Fact
		want  string
	}{
		{"nothing", []evidence.Fact{call("write")}, ""},
		{"socket with unknown arguments", []evidence.Fact{call("socket")}, "socket-any"},
		{"too many alternatives", many, "personality-any"},
		{"kernel crypto", []evidence.Fact{evidence.Socket{Family: 38, Type: 5, Phase: evidence.Start, Basis: evidence.Observed}}, "exposed-family"},
		{"mounting", []evidence.Fact{call("mount")}, "apparmor-mount dangerous-call"},
		{"bpf", []evidence.Fact{call("bpf", arg0(5))}, "dangerous-call"},
		{"bpf with unknown arguments", []evidence.Fact{call("bpf")}, "bpf-any dangerous-call"},
		{"common calls with unknown arguments", []evidence.Fact{call("prctl"), call("mmap")}, "arguments-any"},
		{"memory written and executed", []evidence.Fact{call("mmap", evidence.Arg{Index: 2, Value: 6})}, "write-execute"},
		{"clone3 with unknown flags", []evidence.Fact{call("clone3")}, "clone-any"},
		{"clone3 into a cgroup", []evidence.Fact{call("clone3", arg0(0x200000000))}, "clone3-flags"},
		{"any namespace", []evidence.Fact{call("setns", evidence.Arg{Index: 1, Value: 0})}, "dangerous-call"},
		{"namespaces", []evidence.Fact{call("clone", arg0(0x10000000))}, "namespaces"},
		{"a capability like root's", []evidence.Fact{granted("CAP_SYS_PTRACE", "ptrace")}, "severe-capability"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			if got := strings.Join(warned(decide(t, tc.facts...)), " "); got != tc.want {
				t.Errorf("warnings %q, want %q", got, tc.want)
			}
		})
	}
}

// A setns to type 0 enters any namespace: a condition on it would narrow
// nothing and say otherwise.
func TestSetnsOfAnyType(t *testing.T) {
	p := decide(t, call("setns", evidence.Arg{Index: 1, Value: 0}))
	for _, r := range p.Syscalls {
		if r.Name == "setns" && len(r.Conditions) > 0 {
			t.Errorf("setns has conditions %v", r.Conditions)
		}
	}
}

func TestNames(t *testing.T) {
	tests := []struct {
		subject evidence.Subject
		want    string
	}{
		{evidence.Subject{Image: "nginx:1.25", ConfigDigest: "sha256:0123456789abcdef"}, "profgen-nginx-0123456789ab"},
		{evidence.Subject{Image: "registry.example:5000/team/My_App@sha256:00"}, "profgen-my_app"},
		{evidence.Subject{Image: "app.tar:web"}, "profgen-web"},
		{evidence.Subject{Image: "app.tar.gz"}, "profgen-app"},
		{evidence.Subject{Argv: []string{"/usr/bin/Redis Server"}}, "profgen-redis-server"},
		{evidence.Subject{Argv: []string{"../../../"}}, "profgen"},
		{evidence.Subject{Image: strings.Repeat("x", 200)}, "profgen-" + strings.Repeat("x", 32)},
		{evidence.Subject{}, "profgen"},
	}
	for _, tc := range tests {
		p, err := policy.Decide(evidence.Set{Subjects: []evidence.Subject{tc.subject}, Facts: []evidence.Fact{call("read")}}, policy.Options{})
		if err != nil || p.Name != tc.want {
			t.Errorf("%+v: %q, %v; want %q", tc.subject, p.Name, err, tc.want)
		}
	}
}
