package seccomp_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	common "github.com/containers/common/pkg/seccomp"
	moby "github.com/moby/profiles/seccomp"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/profgen/profgen/gen/policy"
	"github.com/profgen/profgen/gen/seccomp"
	"github.com/profgen/profgen/internal/abi"
)

var update = flag.Bool("update", false, "write the golden files")

func family(n uint64) []policy.Condition {
	return []policy.Condition{{Index: 0, Mask: 0xffffffff, Value: n}}
}

// web is a policy with every kind of rule, in no good order.
func web() policy.Policy {
	return policy.Policy{
		Name:   "web",
		Arches: []abi.Arch{abi.X8664, abi.X86},
		Syscalls: []policy.Rule{
			{Name: "write", Block: policy.Workload},
			{Name: "rt_sigreturn", Block: policy.Kernel},
			{Name: "socket", Block: policy.Workload, Conditions: family(2)},
			{Name: "socket", Block: policy.Workload, Conditions: family(1)},
			{Name: "socketpair", Block: policy.Workload, Conditions: family(1)},
			{Name: "socket", Block: policy.Kept, Conditions: family(1)},
			{Name: "openat", Block: policy.Workload},
			{Name: "openat", Block: policy.Floor},
			{Name: "execve", Block: policy.Floor},
			{Name: "clone", Block: policy.Workload, Conditions: []policy.Condition{{Index: 0, Mask: 0x7e020000}}},
			{Name: "clone", Block: policy.Kept},
			{Name: "fork", Block: policy.Fallback},
			{Name: "mmap", Block: policy.Workload, Conditions: []policy.Condition{{Index: 3, Mask: 2, Value: 2}, {Index: 2, Mask: 4}}},
		},
		NotPermitted: []string{"reboot", "bpf", "reboot"},
	}
}

func TestRenderGolden(t *testing.T) {
	got, err := seccomp.Render(web())
	if err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "web.json")
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

// The order of rules, names and conditions in a policy means nothing.
func TestRenderIgnoresOrder(t *testing.T) {
	want, err := seccomp.Render(web())
	if err != nil {
		t.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(1, 1))
	for range 20 {
		p := web()
		rnd.Shuffle(len(p.Syscalls), func(i, j int) { p.Syscalls[i], p.Syscalls[j] = p.Syscalls[j], p.Syscalls[i] })
		slices.Reverse(p.NotPermitted)
		for _, r := range p.Syscalls {
			slices.Reverse(r.Conditions)
		}
		if got, err := seccomp.Render(p); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("shuffled: got %s, %v", got, err)
		}
	}
}

func TestSpecLaws(t *testing.T) {
	s, err := seccomp.Spec(web())
	if err != nil {
		t.Fatal(err)
	}
	if s.DefaultAction != specs.ActErrno || *s.DefaultErrnoRet != 38 {
		t.Errorf("default: got %s %d", s.DefaultAction, *s.DefaultErrnoRet)
	}
	free := map[string]bool{}
	for _, r := range s.Syscalls {
		for _, n := range r.Names {
			if len(r.Args) == 0 && free[n] {
				t.Errorf("%s: in two unconditional rules", n)
			}
			free[n] = free[n] || len(r.Args) == 0
		}
		if r.Action == s.DefaultAction && *r.ErrnoRet == *s.DefaultErrnoRet {
			t.Errorf("%v: equals the default", r)
		}
	}
	for _, r := range s.Syscalls {
		seen := map[uint]bool{}
		for _, a := range r.Args {
			if a.Op != specs.OpMaskedEqual || seen[a.Index] || free[r.Names[0]] {
				t.Errorf("%v: not masked, not one of its index, or redundant", r)
			}
			seen[a.Index] = true
		}
	}
}

// Every consumer reads the file as the rules that were meant.
func TestConsumersReadTheSame(t *testing.T) {
	want, err := seccomp.Spec(web())
	if err != nil {
		t.Fatal(err)
	}
	file, err := seccomp.Render(web())
	if err != nil {
		t.Fatal(err)
	}
	same := func(who string, got *specs.LinuxSeccomp, err error) {
		t.Helper()
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, %v\nwant %+v", who, got, err, want)
		}
	}
	parsed, err := seccomp.Parse(file)
	same("profgen", parsed, err)
	containerd := new(specs.LinuxSeccomp)
	same("containerd", containerd, json.Unmarshal(file, containerd))
	docker, err := moby.LoadProfile(string(file), &specs.Spec{})
	same("docker", docker, err)
	var podman common.Seccomp
	err = json.Unmarshal(file, &podman)
	same("podman", plain(t, podman), err)
}

// plain takes Podman's type for the specification's; what that lacks is not
// there. Built with the tag seccomp, TestPodmanAccepts asks Podman's own code.
func plain(t *testing.T, s common.Seccomp) *specs.LinuxSeccomp {
	t.Helper()
	for _, r := range s.Syscalls {
		if len(r.Includes.Caps)+len(r.Includes.Arches)+len(r.Excludes.Caps)+len(r.Excludes.Arches) > 0 || r.Comment == "" {
			t.Errorf("%v: depends on the host, or has lost its comment", r)
		}
	}
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	out := new(specs.LinuxSeccomp)
	if err := json.Unmarshal(b, out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestSpecRefuses(t *testing.T) {
	for what, change := range map[string]func(*policy.Policy){
		"no such system call":    func(p *policy.Policy) { p.Syscalls[0].Name = "wriet" },
		"no such":                func(p *policy.Policy) { p.NotPermitted = []string{"rebot"} },
		"a rule allows it":       func(p *policy.Policy) { p.NotPermitted = []string{"socket"} },
		"no architecture":        func(p *policy.Policy) { p.Arches = nil },
		`"vax": unknown`:         func(p *policy.Policy) { p.Arches = []abi.Arch{"vax"} },
		"listed twice":           func(p *policy.Policy) { p.Arches = []abi.Arch{abi.X8664, abi.X8664} },
		"block":                  func(p *policy.Policy) { p.Syscalls[0].Block = "spare" },
		"arguments 0 to 5":       func(p *policy.Policy) { p.Syscalls[0].Conditions = []policy.Condition{{Index: 6, Mask: 1}} },
		"empty mask":             func(p *policy.Policy) { p.Syscalls[0].Conditions = []policy.Condition{{Index: 1}} },
		"outside of mask":        func(p *policy.Policy) { p.Syscalls[0].Conditions = []policy.Condition{{Mask: 1, Value: 2}} },
		"two conditions":         func(p *policy.Policy) { p.Syscalls[0].Conditions = append(family(1), family(2)...) },
		"nothing is allowed":     func(p *policy.Policy) { p.Syscalls = nil },
		`profile of "web": not `: func(p *policy.Policy) { p.NotPermitted = []string{""} },
	} {
		p := web()
		change(&p)
		s, err := seccomp.Spec(p)
		b, err2 := seccomp.Render(p)
		if err == nil || err2 == nil || s != nil || b != nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: got %v, %v", what, err, err2)
		}
	}
	if _, err := seccomp.Spec(policy.Policy{Arches: []abi.Arch{abi.ARM}}); !errors.Is(err, seccomp.ErrEmpty) {
		t.Errorf("empty policy: got %v, want ErrEmpty", err)
	}
}
