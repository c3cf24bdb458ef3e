package seccomp_test

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	moby "github.com/moby/profiles/seccomp"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/profgen/profgen/gen/seccomp"
	"github.com/profgen/profgen/internal/abi"
	"github.com/profgen/profgen/profiles"
)

// here is this machine as a host.
func here(capabilities ...string) seccomp.Host {
	return seccomp.Host{Native: native(), Capabilities: capabilities, Kernel: [2]uint64{100, 0}} // between the versions of dialectRule
}

func asSpec(capabilities []string) *specs.Spec {
	return &specs.Spec{Process: &specs.Process{Capabilities: &specs.LinuxCapabilities{Bounding: capabilities}}}
}

// Docker's own code is the oracle of what Docker makes of a file.
func TestReadAsDockerDoes(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 7))
	for i := range 300 {
		text := dialectText(t, rnd, i)
		caps := someOf(rnd, profiles.DockerCapabilities())
		want, wantErr := moby.LoadProfile(string(text), asSpec(caps))
		file, err := seccomp.ParseFile(text)
		if err != nil {
			if wantErr == nil && want != nil {
				t.Fatalf("refused what Docker takes: %v\n%s", err, text)
			}
			continue
		}
		got, err := file.Read(seccomp.Docker, here(caps...))
		if err != nil || wantErr != nil {
			t.Fatalf("%v, Docker: %v\n%s", err, wantErr, text)
		}
		if !reflect.DeepEqual(flat(got), flat(want)) {
			t.Fatalf("got %+v\nDocker %+v\n%s", got, want, text)
		}
	}
}

// What containerd does is to decode the file into the type of the OCI
// specification: contrib/seccomp/seccomp.go of github.com/containerd/containerd.
func TestReadAsContainerdDoes(t *testing.T) {
	rnd := rand.New(rand.NewPCG(8, 8))
	for i := range 300 {
		text := dialectText(t, rnd, i)
		file, err := seccomp.ParseFile(text)
		if err != nil {
			continue
		}
		var want specs.LinuxSeccomp
		if err := json.Unmarshal(text, &want); err != nil {
			t.Fatal(err)
		}
		// A rule without names is one without effect.
		want.Syscalls = slices.DeleteFunc(want.Syscalls, func(r specs.LinuxSyscall) bool { return len(r.Names) == 0 })
		got, err := file.Read(seccomp.Containerd, here())
		if err != nil || !reflect.DeepEqual(flat(got), flat(&want)) {
			t.Fatalf("got %+v, %v\nwant %+v\n%s", got, err, want, text)
		}
	}
}

func native() abi.Arch {
	a, _ := abi.ByGOARCH(runtime.GOARCH)
	return a
}

// flat is s without the difference between nothing and an empty list.
func flat(s *specs.LinuxSeccomp) string {
	out := *s
	out.Syscalls = nil
	for _, r := range s.Syscalls {
		if len(r.Args) == 0 {
			r.Args = nil
		}
		out.Syscalls = append(out.Syscalls, r)
	}
	if len(out.Architectures) == 0 {
		out.Architectures = nil
	}
	if len(out.Flags) == 0 {
		out.Flags = nil
	}
	b, _ := json.Marshal(out)
	return string(b)
}

func someOf(rnd *rand.Rand, all []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(string) bool { return rnd.IntN(2) == 0 })
}

// dialectText is Docker's default profile, and profiles with a bit of
// everything.
func dialectText(t *testing.T, rnd *rand.Rand, i int) []byte {
	t.Helper()
	if i == 0 {
		text, _ := profiles.DockerDefault()
		return text
	}
	f := seccomp.File{DefaultAction: specs.ActErrno}
	switch rnd.IntN(3) {
	case 0:
		f.Architectures = []specs.Arch{specs.ArchX86_64, specs.ArchX32}
	case 1:
		f.ArchMap = []seccomp.ArchMap{
			{Arch: specs.ArchAARCH64, SubArches: []specs.Arch{specs.ArchARM}},
			{Arch: specs.ArchX86_64, SubArches: []specs.Arch{specs.ArchX86}},
		}
	}
	if rnd.IntN(2) == 0 {
		f.DefaultErrno = "ENOSYS"
	}
	for range rnd.IntN(6) {
		f.Syscalls = append(f.Syscalls, dialectRule(rnd))
	}
	text, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func dialectRule(rnd *rand.Rand) seccomp.FileRule {
	r := seccomp.FileRule{Names: []string{"read", "bpf"}, Action: specs.ActAllow}
	if rnd.IntN(4) == 0 {
		r.Name, r.Names = "read", nil
	}
	if rnd.IntN(4) == 0 {
		r.Action, r.Errno = specs.ActErrno, []string{"EPERM", "38", "ENOTSUP"}[rnd.IntN(3)]
	}
	condition := func() *seccomp.Condition {
		c := seccomp.Condition{}
		switch rnd.IntN(4) {
		case 0:
			c.Caps = someOf(rnd, []string{"CAP_CHOWN", "CAP_KILL", "CAP_BPF"})
		case 1:
			c.Arches = someOf(rnd, []string{"amd64", "arm64", "x32"})
		case 2:
			c.MinKernel = []string{"3.1", "200.1"}[rnd.IntN(2)]
		case 3:
			return nil
		}
		return &c
	}
	r.Includes, r.Excludes = condition(), condition()
	return r
}

func TestParseFileRefuses(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{`{}`, "no filter at all"},
		{`[]`, "not a JSON object"},
		{`{"defaultAction":"SCMP_ACT_ALLOW"`, "unexpected EOF"},
		{`{"defaultAction":"SCMP_ACT_ALLOW"} x`, "after the profile"},
		{`{"defaultaction":"SCMP_ACT_ALLOW"}`, `key "defaultaction": want "defaultAction"`},
		{"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\n\"defaultAction\":\"SCMP_ACT_KILL\"}", "line 2: key \"defaultAction\" given twice"},
		{`{"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_X86"],"archMap":[{"architecture":"SCMP_ARCH_X86"}]}`, "both architectures and archMap"},
		{`{"defaultAction":"SCMP_ACT_ALLOW","archMap":[{"architecture":"SCMP_ARCH_VAX"}]}`, `architecture "SCMP_ARCH_VAX"`},
		{`{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"name":"read","names":["write"],"action":"SCMP_ACT_ALLOW"}]}`, "both name and names"},
		{`{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"name":"read","action":"SCMP_ACT_ALLOW","includes":{"minKernel":"4.8.1"}}]}`, `minKernel "4.8.1"`},
		{`{"defaultAction":"SCMP_ACT_ERRNO","defaultErrno":"ENONE"}`, `errno "ENONE"`},
	} {
		f, err := seccomp.ParseFile([]byte(c.text))
		if f != nil || err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", c.text, err, c.want)
		}
	}
	if _, err := seccomp.ParseFile([]byte(`{}`)); !errors.Is(err, seccomp.ErrDisabled) {
		t.Errorf("{}: %v", err)
	}
}

func TestParseFileKnowsWhere(t *testing.T) {
	f, err := seccomp.ParseFile([]byte(`{
	"defaultAction": "SCMP_ACT_ERRNO",
	"x-owner": {"team": "web"},
	"syscalls": [
		{"names": ["read"], "action": "SCMP_ACT_ALLOW"},

		{"names": ["write"], "action": "SCMP_ACT_ALLOW", "reason": "why not"}
	]
}`))
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Syscalls) != 2 || f.Syscalls[0].Line != 5 || f.Syscalls[1].Line != 7 {
		t.Errorf("rules: %+v", f.Syscalls)
	}
	want := []seccomp.UnknownKey{{Key: "x-owner", Line: 3}, {Key: "reason", Line: 7}}
	if !slices.Equal(f.Unknown, want) {
		t.Errorf("unknown: %+v", f.Unknown)
	}
}

func FuzzParseFile(f *testing.F) {
	docker, _ := profiles.DockerDefault()
	f.Add(docker)
	f.Add([]byte(`{"defaultAction":"SCMP_ACT_ERRNO","defaultErrno":"ENOSYS","x":[{"a":1}],"syscalls":[{"name":"read","action":"SCMP_ACT_ALLOW","includes":{"caps":["CAP_BPF"]}}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := seccomp.ParseFile(b)
		if err != nil {
			if file != nil {
				t.Fatalf("a file and an error: %v", err)
			}
			return
		}
		for _, c := range seccomp.Consumers() {
			for _, a := range []abi.Arch{abi.X8664, abi.AArch64} {
				if s, err := file.Read(c, seccomp.Host{Native: a}); err != nil || s == nil {
					t.Fatalf("%s on %s: %v, %v", c, a, s, err)
				}
			}
		}
	})
}
