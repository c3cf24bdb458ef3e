// Package convert reads and writes seccomp profiles in the formats that other
// programs have for them.
//
// In go the bytes of a file, out come those of another that means the same. The
// invariant: what is written, read again, answers every system call as what was
// read did, or [Lossy] says why there is no such file. It does not see what the
// program that reads a format adds of its own: systemd and LXC allow and refuse
// some calls for their own purposes.
package convert

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/profgen/profgen/gen/seccomp"
)

// Format is a form that seccomp profiles are written in.
type Format string

const (
	OCI      Format = "oci"      // linux.seccomp of the OCI runtime specification
	Docker   Format = "docker"   // Docker's dialect of it
	Podman   Format = "podman"   // Podman's and CRI-O's dialect
	LXC      Format = "lxc"      // lxc.seccomp.profile, version 2
	Systemd  Format = "systemd"  // SystemCallFilter= and its like, in a unit's [Service]
	SPO      Format = "spo"      // SeccompProfile of the Security Profiles Operator
	Minijail Format = "minijail" // minijail0 -S
)

// Formats lists all formats.
func Formats() []Format { return []Format{OCI, Docker, Podman, LXC, Systemd, SPO, Minijail} }

// Lossy is why a profile cannot be written in a format.
type Lossy struct {
	Format  Format
	Reasons []string
}

func (l *Lossy) Error() string {
	return fmt.Sprintf("there is no %s profile that means the same: %s", l.Format, strings.Join(l.Reasons, "; "))
}

// ErrUnknown says that the format of a file cannot be told.
var ErrUnknown = errors.New("the format cannot be told from the file; say which it is")

// Detect tells the format of a file.
func Detect(b []byte) (Format, error) {
	text := strings.TrimSpace(string(b))
	first, _, _ := strings.Cut(text, "\n")
	switch {
	case strings.HasPrefix(text, "{") && !strings.Contains(text, `"kind"`):
		f, err := seccomp.ParseFile(b)
		if err != nil {
			return "", err
		}
		return dialect(f), nil
	case strings.Contains(text, "kind: SeccompProfile"), strings.HasPrefix(text, "{") && strings.Contains(text, `"SeccompProfile"`):
		return SPO, nil
	case strings.TrimSpace(first) == "2":
		return LXC, nil
	case strings.Contains(text, "SystemCallFilter="):
		return Systemd, nil
	case minijailLine.MatchString(firstRule(text)):
		return Minijail, nil
	}
	return "", ErrUnknown
}

// dialect is the plainest form that says all that the file does.
func dialect(f *seccomp.File) Format {
	out := OCI
	if f.DefaultErrno != "" {
		out = Podman
	}
	if len(f.ArchMap) > 0 && out == OCI {
		out = Docker
	}
	for _, r := range f.Syscalls {
		switch {
		case r.Errno != "":
			out = Podman
		case r.Name != "" || !r.Includes.Empty() || !r.Excludes.Empty():
			if out == OCI {
				out = Docker
			}
		}
	}
	return out
}

// Read reads a profile in a format. groups are what systemd's have, where a unit
// names some; nil if that is not known.
func Read(b []byte, f Format, groups Groups) (*seccomp.File, error) {
	var out *seccomp.File
	var err error
	switch f {
	case OCI, Docker, Podman:
		return seccomp.ParseFile(b)
	case LXC:
		out, err = readLXC(string(b))
	case Systemd:
		out, err = readSystemd(string(b), groups)
	case SPO:
		out, err = readSPO(b)
	case Minijail:
		out, err = readMinijail(string(b))
	default:
		return nil, fmt.Errorf("format %q: unknown", f)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s profile: %w", f, err)
	}
	// One set of rules for what a profile may say, whatever it is written in.
	text, err := json.Marshal(out)
	if err != nil {
		return nil, fmt.Errorf("read %s profile: %w", f, err)
	}
	if _, err := seccomp.ParseFile(text); err != nil {
		return nil, fmt.Errorf("read %s profile: %w", f, err)
	}
	return out, nil
}

// Write writes a profile in a format. The error is a [*Lossy] if that has no
// words for it.
func Write(s *seccomp.File, f Format) ([]byte, error) {
	if f == dialect(s) || f == Docker && dialect(s) == OCI || f == Podman && dialect(s) == OCI {
		return writeJSON(s)
	}
	if reasons := conditional(s); len(reasons) > 0 {
		return nil, &Lossy{f, reasons}
	}
	plain, err := s.Read(seccomp.Podman, seccomp.Host{})
	if err != nil {
		return nil, err
	}
	switch f {
	case OCI, Docker, Podman:
		return writeJSON(seccomp.FileOf(plain))
	case LXC:
		return writeLXC(plain)
	case Systemd:
		return writeSystemd(plain)
	case SPO:
		return writeSPO(plain)
	case Minijail:
		return writeMinijail(plain)
	}
	return nil, fmt.Errorf("format %q: unknown", f)
}

// conditional is why a profile means different things on different hosts.
func conditional(s *seccomp.File) []string {
	var out []string
	if len(s.ArchMap) > 0 {
		out = append(out, "archMap: its architectures depend on the host")
	}
	for i, r := range s.Syscalls {
		if !r.Includes.Empty() || !r.Excludes.Empty() {
			out = append(out, fmt.Sprintf("rule %d depends on capabilities, the ABI or the kernel of the host", i+1))
			break
		}
	}
	return out
}

func writeJSON(s *seccomp.File) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "\t")
	if err := enc.Encode(s); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

// Resolve returns the profile as an engine reads it on a host: without
// conditions.
func Resolve(s *seccomp.File, c seccomp.Consumer, h seccomp.Host) (*seccomp.File, error) {
	plain, err := s.Read(c, h)
	if err != nil {
		return nil, err
	}
	return seccomp.FileOf(plain), nil
}

// errnoOf is the number that an action answers with.
func errnoOf(n *uint) uint {
	if n == nil {
		return 1 // EPERM: what runtimes make of none
	}
	return *n
}

// lossless collects reasons.
type lossless struct {
	format  Format
	reasons []string
}

func (l *lossless) no(format string, args ...any) {
	l.reasons = append(l.reasons, fmt.Sprintf(format, args...))
}

func (l *lossless) err() error {
	if len(l.reasons) == 0 {
		return nil
	}
	return &Lossy{l.format, l.reasons}
}

// common collects what no other format than the OCI's has.
func (l *lossless) common(s *specs.LinuxSeccomp) {
	if len(s.Flags) > 0 {
		l.no("flags %v", s.Flags)
	}
	if s.ListenerPath != "" {
		l.no("listenerPath")
	}
}
