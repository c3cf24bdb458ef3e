package seccomp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/profgen/profgen/internal/abi"
)

// File is a seccomp profile as a JSON file has it, in the form of the OCI
// specification or in the dialects that Docker and Podman make of it. What it
// asks for depends on who reads it, and where: see [File.Read].
type File struct {
	DefaultAction    specs.LinuxSeccompAction `json:"defaultAction"`
	DefaultErrnoRet  *uint                    `json:"defaultErrnoRet,omitempty"`
	DefaultErrno     string                   `json:"defaultErrno,omitempty"` // Podman's: a name, or a number
	Architectures    []specs.Arch             `json:"architectures,omitempty"`
	ArchMap          []ArchMap                `json:"archMap,omitempty"`
	Flags            []specs.LinuxSeccompFlag `json:"flags,omitempty"`
	ListenerPath     string                   `json:"listenerPath,omitempty"`
	ListenerMetadata string                   `json:"listenerMetadata,omitempty"`
	Syscalls         []FileRule               `json:"syscalls,omitempty"`

	// Unknown are keys that no consumer knows, and that all of them overlook.
	Unknown []UnknownKey `json:"-"`
}

// ArchMap is which ABIs a native one brings with it.
type ArchMap struct {
	Arch      specs.Arch   `json:"architecture"`
	SubArches []specs.Arch `json:"subArchitectures"`
}

// FileRule is a rule of a [File].
type FileRule struct {
	Name     string                   `json:"name,omitempty"` // the older spelling of one name
	Names    []string                 `json:"names,omitempty"`
	Action   specs.LinuxSeccompAction `json:"action"`
	ErrnoRet *uint                    `json:"errnoRet,omitempty"`
	Errno    string                   `json:"errno,omitempty"` // Podman's
	Args     []specs.LinuxSeccompArg  `json:"args,omitempty"`
	Comment  string                   `json:"comment,omitempty"`
	Includes *Condition               `json:"includes,omitempty"` // the rule counts only if all of it holds
	Excludes *Condition               `json:"excludes,omitempty"` // nor if any of it holds

	Line int `json:"-"` // of the file, from 1
}

// Condition is on what a rule depends besides arguments.
type Condition struct {
	Caps      []string `json:"caps,omitempty"`      // CAP_*, of the bounding set
	Arches    []string `json:"arches,omitempty"`    // "amd64", "arm64": the native ABI
	MinKernel string   `json:"minKernel,omitempty"` // "4.8"
}

// Empty reports whether c says nothing.
func (c *Condition) Empty() bool {
	return c == nil || len(c.Caps)+len(c.Arches)+len(c.MinKernel) == 0
}

// UnknownKey is a key of a JSON object that means nothing to anybody.
type UnknownKey struct {
	Key  string
	Line int
}

// AllNames are the names of the rule, however they are given.
func (r FileRule) AllNames() []string {
	if r.Name == "" {
		return r.Names
	}
	return append([]string{r.Name}, r.Names...)
}

// Consumer is a program that reads profile files, and what it makes of them.
type Consumer string

const (
	// Docker is github.com/moby/profiles/seccomp.
	Docker Consumer = "docker"
	// Podman is github.com/containers/common/pkg/seccomp, which CRI-O uses too. It
	// does not know minKernel, and takes a rule with one for a rule without.
	Podman Consumer = "podman"
	// Containerd reads the OCI form alone, as Kubernetes does through it: archMap,
	// includes, excludes and the names of errors do not exist for it.
	Containerd Consumer = "containerd"
)

// Consumers lists all consumers.
func Consumers() []Consumer { return []Consumer{Docker, Podman, Containerd} }

// Host is where a profile is read.
type Host struct {
	Native       abi.Arch  // the native ABI of its kernel
	Capabilities []string  // the container's bounding set
	Kernel       [2]uint64 // 4.8 is {4, 8}; the zero value is newer than any
}

// ErrDisabled says that a consumer takes a file for the wish to have no filter.
var ErrDisabled = errors.New("neither a default action nor rules: Docker and Podman then load no filter at all")

// ParseFile reads a seccomp profile in any dialect, for those who review it: it
// accepts what consumers accept, unknown keys among it. It refuses what they
// refuse or differ in without saying so: keys given twice or in another case,
// unknown actions, operators, architectures and flags, and more than 1 MiB.
// For files to be enforced there is the stricter [Parse].
func ParseFile(b []byte) (*File, error) {
	if len(b) > maxProfile {
		return nil, fmt.Errorf("seccomp profile: %d bytes, more than %d", len(b), maxProfile)
	}
	keys := keyCheck{dec: json.NewDecoder(bytes.NewReader(b)), text: b}
	if err := keys.document(); err != nil {
		return nil, fmt.Errorf("seccomp profile: %w", err)
	}
	out := &File{Unknown: keys.unknown}
	if err := json.Unmarshal(b, out); err != nil {
		return nil, fmt.Errorf("seccomp profile: %w", err)
	}
	if len(keys.rules) == len(out.Syscalls) {
		for i, line := range keys.rules {
			out.Syscalls[i].Line = line
		}
	}
	if err := out.check(); err != nil {
		return nil, fmt.Errorf("seccomp profile: %w", err)
	}
	return out, nil
}

// check refuses what some consumer refuses, or what none can make sense of.
func (f *File) check() error {
	if f.DefaultAction == "" && len(f.Syscalls) == 0 {
		return ErrDisabled
	}
	if len(f.Architectures) > 0 && len(f.ArchMap) > 0 {
		return errors.New("both architectures and archMap: Docker and Podman refuse it; want one")
	}
	for _, m := range f.ArchMap {
		for _, a := range append([]specs.Arch{m.Arch}, m.SubArches...) {
			if !slices.Contains(architectures(), a) {
				return fmt.Errorf("architecture %q: unknown; want a name such as SCMP_ARCH_X86_64", a)
			}
		}
	}
	for i, r := range f.Syscalls {
		if r.Name != "" && len(r.Names) > 0 {
			return fmt.Errorf("rule %d: both name and names: Docker and Podman refuse it; want names", i+1)
		}
		for _, c := range []*Condition{r.Includes, r.Excludes} {
			if c != nil && c.MinKernel != "" {
				if _, err := kernelOf(c.MinKernel); err != nil {
					return fmt.Errorf("rule %d: %w", i+1, err)
				}
			}
		}
	}
	// What is left is what Podman makes of it, whose rules are the most.
	everything, err := f.translate(Podman, func(FileRule) bool { return true })
	if err != nil {
		return err
	}
	return validate(everything)
}

// Read returns the profile that a consumer hands to the OCI runtime of a host.
// Where the consumer refuses the file, Read does. The answers of the result are
// [Evaluate]'s.
func (f *File) Read(c Consumer, h Host) (*specs.LinuxSeccomp, error) {
	out, err := f.translate(c, func(r FileRule) bool { return c == Containerd || r.applies(c, h) })
	if err != nil {
		return nil, err
	}
	if row, ok := h.Native.Row(); ok && c != Containerd {
		for _, m := range f.ArchMap {
			if m.Arch == row.SCMP {
				out.Architectures = append([]specs.Arch{m.Arch}, m.SubArches...)
				break
			}
		}
	}
	return out, nil
}

// translate returns f in the OCI form, with the rules that are wanted.
func (f *File) translate(c Consumer, wanted func(FileRule) bool) (*specs.LinuxSeccomp, error) {
	errno, err := errnoOf(c, f.DefaultErrno, f.DefaultErrnoRet)
	if err != nil {
		return nil, err
	}
	out := &specs.LinuxSeccomp{
		DefaultAction: f.DefaultAction, DefaultErrnoRet: errno, Architectures: slices.Clone(f.Architectures),
		Flags: slices.Clone(f.Flags), ListenerPath: f.ListenerPath, ListenerMetadata: f.ListenerMetadata,
	}
	for i, r := range f.Syscalls {
		names := r.AllNames()
		if c == Containerd {
			names = r.Names
		}
		if len(names) == 0 || !wanted(r) {
			continue
		}
		errno, err := errnoOf(c, r.Errno, r.ErrnoRet)
		if err != nil {
			return nil, fmt.Errorf("rule %d: %w", i+1, err)
		}
		out.Syscalls = append(out.Syscalls, specs.LinuxSyscall{Names: slices.Clone(names), Action: r.Action, ErrnoRet: errno, Args: slices.Clone(r.Args)})
	}
	return out, nil
}

// applies reports whether consumer c takes the rule in on that host.
func (r FileRule) applies(c Consumer, h Host) bool {
	row, _ := h.Native.Row()
	has := func(name string) bool { return slices.Contains(h.Capabilities, name) }
	newEnough := func(min string) bool {
		v, err := kernelOf(min)
		return err == nil && (h.Kernel == [2]uint64{} || slices.Compare(h.Kernel[:], v[:]) >= 0)
	}
	if x := r.Excludes; x != nil {
		switch {
		case slices.Contains(x.Arches, row.GOARCH), slices.ContainsFunc(x.Caps, has),
			c == Docker && x.MinKernel != "" && newEnough(x.MinKernel):
			return false
		}
	}
	if in := r.Includes; in != nil {
		lacks := func(name string) bool { return !has(name) }
		switch {
		case len(in.Arches) > 0 && !slices.Contains(in.Arches, row.GOARCH), slices.ContainsFunc(in.Caps, lacks),
			c == Docker && in.MinKernel != "" && !newEnough(in.MinKernel):
			return false
		}
	}
	return true
}

// kernelOf reads a version as Docker does: two numbers below 256.
func kernelOf(s string) ([2]uint64, error) {
	major, minor, _ := strings.Cut(s, ".")
	a, errA := strconv.ParseUint(major, 10, 8)
	b, errB := strconv.ParseUint(minor, 10, 8)
	if errA != nil || errB != nil || a+b == 0 {
		return [2]uint64{}, fmt.Errorf("minKernel %q: Docker refuses it; want two numbers, such as 4.8", s)
	}
	return [2]uint64{a, b}, nil
}

// errnoOf is the errno of an action: Podman prefers the one with a name.
func errnoOf(c Consumer, name string, number *uint) (*uint, error) {
	if c != Podman || name == "" {
		return number, nil
	}
	n, ok := ErrnoByName(name)
	if v, err := strconv.ParseUint(name, 10, 32); err == nil {
		n, ok = uint(v), true
	}
	if !ok {
		return nil, fmt.Errorf("errno %q: unknown; want a name such as ENOSYS", name)
	}
	return &n, nil
}

// FileOf is a profile in the OCI form as a file.
func FileOf(s *specs.LinuxSeccomp) *File {
	out := &File{
		DefaultAction: s.DefaultAction, DefaultErrnoRet: s.DefaultErrnoRet, Architectures: s.Architectures,
		Flags: s.Flags, ListenerPath: s.ListenerPath, ListenerMetadata: s.ListenerMetadata,
	}
	for _, r := range s.Syscalls {
		out.Syscalls = append(out.Syscalls, FileRule{Names: r.Names, Action: r.Action, ErrnoRet: r.ErrnoRet, Args: r.Args})
	}
	return out
}
