package policy_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/gen/policy"
)

// User namespaces are allowed to whoever made one; what could make one and was never
// seen to is no reason. The rest goes by the calls that are allowed.
func TestNewer(t *testing.T) {
	const newUser, thread = 0x10000000, 0x3d0f00
	with := func(name string, flags ...uint64) evidence.Syscall {
		f := call(name)
		for _, v := range flags {
			f.Args = append(f.Args, evidence.Arg{Index: 0, Value: v})
		}
		return f
	}
	reachable := func(name string, flags ...uint64) evidence.Syscall {
		f := with(name, flags...)
		f.Basis = evidence.Reachable
		return f
	}
	runtimes := with("unshare", newUser)
	runtimes.Phase = evidence.Runtime
	for _, tt := range []struct {
		name  string
		facts []evidence.Fact
		tight bool
		deny  []string
		want  policy.Newer
	}{
		{name: "a thread", facts: []evidence.Fact{with("clone", thread)}},
		{name: "unshare", facts: []evidence.Fact{with("unshare", newUser)}, want: policy.Newer{UserNamespaces: true}},
		{name: "clone", facts: []evidence.Fact{with("clone", newUser|17)}, want: policy.Newer{UserNamespaces: true}},
		{name: "clone3", facts: []evidence.Fact{with("clone3", newUser)}, want: policy.Newer{UserNamespaces: true}},
		{name: "another namespace", facts: []evidence.Fact{with("unshare", 0x20000)}},
		{name: "the runtime", facts: []evidence.Fact{call("read"), runtimes}},
		{name: "who knows what", facts: []evidence.Fact{call("unshare")}, want: policy.Newer{UserNamespaces: true}},
		{name: "denied", facts: []evidence.Fact{call("read"), with("unshare", newUser)}, deny: []string{"unshare"}},
		{name: "reachable", facts: []evidence.Fact{reachable("read"), reachable("unshare", newUser)}, want: policy.Newer{UserNamespaces: true}},
		{name: "reachable, who knows what", facts: []evidence.Fact{reachable("read"), reachable("unshare")}},
		{name: "tight", facts: []evidence.Fact{call("read"), reachable("unshare", newUser), reachable("mq_open")}, tight: true},
		{
			name: "queues and rings", facts: []evidence.Fact{call("msgget"), call("mq_open"), call("io_uring_setup")},
			want: policy.Newer{MessageQueues: []string{"posix", "sysv"}, IOUring: true},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := policy.Decide(evidence.Set{Facts: tt.facts}, policy.Options{Tight: tt.tight, Deny: tt.deny, AllowUnreachable: true})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, p.Newer); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
