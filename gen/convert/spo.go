package convert

import (
	"fmt"
	"math"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"sigs.k8s.io/yaml"

	"github.com/profgen/profgen/gen/seccomp"
)

// The Security Profiles Operator's SeccompProfile, v1:
// https://github.com/kubernetes-sigs/security-profiles-operator. It has no
// defaultErrnoRet, and its numbers are signed.
type spoProfile struct {
	APIVersion string  `json:"apiVersion"`
	Kind       string  `json:"kind"`
	Metadata   spoMeta `json:"metadata"`
	Spec       spoSpec `json:"spec"`
}

type spoMeta struct {
	Name string `json:"name"`
}

type spoSpec struct {
	BaseProfileName  string                   `json:"baseProfileName,omitempty"`
	DefaultAction    specs.LinuxSeccompAction `json:"defaultAction"`
	Architectures    []specs.Arch             `json:"architectures,omitempty"`
	Flags            []specs.LinuxSeccompFlag `json:"flags,omitempty"`
	ListenerPath     string                   `json:"listenerPath,omitempty"`
	ListenerMetadata string                   `json:"listenerMetadata,omitempty"`
	Syscalls         []spoSyscall             `json:"syscalls,omitempty"`
}

type spoSyscall struct {
	Names    []string                 `json:"names"`
	Action   specs.LinuxSeccompAction `json:"action"`
	ErrnoRet int32                    `json:"errnoRet,omitempty"`
	Args     []spoArg                 `json:"args,omitempty"`
}

type spoArg struct {
	Index    uint                       `json:"index"`
	Value    int64                      `json:"value,omitempty"`
	ValueTwo int64                      `json:"valueTwo,omitempty"`
	Op       specs.LinuxSeccompOperator `json:"op"`
}

func readSPO(b []byte) (*seccomp.File, error) {
	var p spoProfile
	if err := yaml.UnmarshalStrict(b, &p); err != nil {
		return nil, err
	}
	switch {
	case p.Kind != "SeccompProfile":
		return nil, fmt.Errorf("kind %q: want SeccompProfile", p.Kind)
	case p.Spec.BaseProfileName != "":
		return nil, fmt.Errorf("baseProfileName %s: what it adds is not in the file", p.Spec.BaseProfileName)
	}
	out := &seccomp.File{
		DefaultAction: p.Spec.DefaultAction, Architectures: p.Spec.Architectures, Flags: p.Spec.Flags,
		ListenerPath: p.Spec.ListenerPath, ListenerMetadata: p.Spec.ListenerMetadata,
	}
	for _, s := range p.Spec.Syscalls {
		r := seccomp.FileRule{Names: s.Names, Action: s.Action}
		if s.ErrnoRet < 0 {
			return nil, fmt.Errorf("errnoRet %d: want a positive number", s.ErrnoRet)
		}
		if s.ErrnoRet > 0 {
			n := uint(s.ErrnoRet)
			r.ErrnoRet = &n
		}
		for _, a := range s.Args {
			r.Args = append(r.Args, specs.LinuxSeccompArg{Index: a.Index, Value: uint64(a.Value), ValueTwo: uint64(a.ValueTwo), Op: a.Op})
		}
		out.Syscalls = append(out.Syscalls, r)
	}
	return out, nil
}

func writeSPO(s *specs.LinuxSeccomp) ([]byte, error) {
	l := &lossless{format: SPO}
	if s.DefaultAction == specs.ActErrno && errnoOf(s.DefaultErrnoRet) != 1 {
		l.no("the default answers errno %d: SeccompProfile has no defaultErrnoRet, and answers EPERM", errnoOf(s.DefaultErrnoRet))
	}
	p := spoProfile{
		APIVersion: "security-profiles-operator.x-k8s.io/v1", Kind: "SeccompProfile", Metadata: spoMeta{"profile"},
		Spec: spoSpec{
			DefaultAction: s.DefaultAction, Architectures: s.Architectures, Flags: s.Flags,
			ListenerPath: s.ListenerPath, ListenerMetadata: s.ListenerMetadata,
		},
	}
	for i, r := range s.Syscalls {
		out := spoSyscall{Names: r.Names, Action: r.Action}
		if r.ErrnoRet != nil {
			out.ErrnoRet = int32(*r.ErrnoRet)
			if *r.ErrnoRet == 0 {
				l.no("rule %d answers errno 0", i+1)
			}
		}
		for _, a := range r.Args {
			if a.Value > math.MaxInt64 || a.ValueTwo > math.MaxInt64 {
				l.no("rule %d compares with more than 63 bits", i+1)
			}
			out.Args = append(out.Args, spoArg{a.Index, int64(a.Value), int64(a.ValueTwo), a.Op})
		}
		p.Spec.Syscalls = append(p.Spec.Syscalls, out)
	}
	if err := l.err(); err != nil {
		return nil, err
	}
	return yaml.Marshal(p)
}
