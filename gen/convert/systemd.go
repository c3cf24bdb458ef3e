package convert

import (
	"fmt"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/profgen/profgen/gen/seccomp"
)

// systemd's settings are those of systemd.exec(5): SystemCallFilter=,
// SystemCallErrorNumber= and SystemCallArchitectures=. Without an error number
// what is refused kills the process. Groups (@system-service) are read where it is
// given what they have.

func systemdArches() map[string]specs.Arch {
	return map[string]specs.Arch{
		"x86": specs.ArchX86, "x86-64": specs.ArchX86_64, "x32": specs.ArchX32, "arm": specs.ArchARM, "arm64": specs.ArchAARCH64,
	}
}

func readSystemd(text string, groups Groups) (*seccomp.File, error) {
	u := unit{errno: -1, groups: groups}
	for i, line := range strings.Split(text, "\n") {
		key, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if !ok || strings.HasPrefix(key, "#") || strings.HasPrefix(key, ";") {
			continue
		}
		if err := u.set(strings.TrimSpace(key), strings.TrimSpace(value)); err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	return u.file()
}

// unit is what a unit says of system calls.
type unit struct {
	given  bool
	allow  bool // the first filter allows; else it refuses
	listed []string
	errno  int
	arches []specs.Arch
	groups Groups
}

func (u *unit) set(key, value string) error {
	switch key {
	case "SystemCallFilter":
		return u.filter(value)
	case "SystemCallErrorNumber":
		n, ok := seccomp.ErrnoByName(value)
		if !ok && value != "kill" {
			return fmt.Errorf("SystemCallErrorNumber=%s: want the name of an error", value)
		}
		if ok {
			u.errno = int(n)
		}
	case "SystemCallArchitectures":
		for _, name := range strings.Fields(value) {
			arch, ok := systemdArches()[name]
			if !ok {
				return fmt.Errorf("SystemCallArchitectures=%s: want names of architectures, and not native: that depends on the host", name)
			}
			u.arches = append(u.arches, arch)
		}
	}
	return nil
}

func (u *unit) filter(value string) error {
	if value == "" {
		u.given, u.listed = false, nil
		return nil
	}
	names, inverted := strings.CutPrefix(value, "~")
	if !u.given {
		u.given, u.allow = true, !inverted
	}
	for _, name := range strings.Fields(names) {
		calls := []string{name}
		var err error
		switch {
		case strings.Contains(name, ":"):
			return fmt.Errorf("SystemCallFilter=%s: an error of its own is not read", name)
		case strings.HasPrefix(name, "@"):
			if calls, err = u.groups.calls(name); err != nil {
				return fmt.Errorf("SystemCallFilter=%w", err)
			}
		}
		u.listed = slices.DeleteFunc(u.listed, func(n string) bool { return slices.Contains(calls, n) })
		if inverted == !u.allow { // more
			u.listed = append(u.listed, calls...)
		}
		if len(u.listed) > maxGroupCalls {
			return fmt.Errorf("SystemCallFilter=%s: more than %d system calls", name, maxGroupCalls)
		}
	}
	return nil
}

func (u *unit) file() (*seccomp.File, error) {
	if !u.given {
		return nil, fmt.Errorf("no SystemCallFilter=")
	}
	refuse, errno := specs.ActKillProcess, (*uint)(nil)
	if u.errno >= 0 {
		n := uint(u.errno)
		refuse, errno = specs.ActErrno, &n
	}
	out := &seccomp.File{Architectures: u.arches, DefaultAction: refuse, DefaultErrnoRet: errno}
	rule := seccomp.FileRule{Names: u.listed, Action: specs.ActAllow}
	if !u.allow {
		out.DefaultAction, out.DefaultErrnoRet = specs.ActAllow, nil
		rule.Action, rule.ErrnoRet = refuse, errno
	}
	if len(u.listed) > 0 {
		out.Syscalls = []seccomp.FileRule{rule}
	}
	return out, nil
}

func writeSystemd(s *specs.LinuxSeccomp) ([]byte, error) {
	l := &lossless{format: Systemd}
	l.common(s)
	var names []string
	for i, r := range s.Syscalls {
		same := r.Action == s.DefaultAction && errnoOf(r.ErrnoRet) == errnoOf(s.DefaultErrnoRet)
		switch {
		case same:
		case len(r.Args) > 0:
			l.no("rule %d is about arguments (%s): SystemCallFilter= has names alone", i+1, strings.Join(r.Names, " "))
		case r.Action != specs.ActAllow:
			l.no("rule %d answers otherwise than the default (%s): an allow-list of SystemCallFilter= has one answer for all else", i+1, r.Action)
		default:
			names = append(names, r.Names...)
		}
	}
	var out strings.Builder
	out.WriteString("[Service]\n")
	var arches []string
	for _, a := range s.Architectures {
		name := ""
		for n, arch := range systemdArches() {
			if arch == a {
				name = n
			}
		}
		if name == "" {
			l.no("architecture %s", a)
		}
		arches = append(arches, name)
	}
	if len(arches) == 0 {
		l.no("no architectures: only the native one is let in, and the file does not say which that is")
	}
	fmt.Fprintf(&out, "SystemCallArchitectures=%s\n", strings.Join(arches, " "))
	switch s.DefaultAction {
	case specs.ActErrno:
		name, ok := seccomp.ErrnoName(errnoOf(s.DefaultErrnoRet))
		if !ok {
			l.no("default errno %d has no name", errnoOf(s.DefaultErrnoRet))
		}
		fmt.Fprintf(&out, "SystemCallErrorNumber=%s\n", name)
	case specs.ActKillProcess:
	default:
		l.no("default action %s", s.DefaultAction)
	}
	slices.Sort(names)
	for chunk := range slices.Chunk(slices.Compact(names), 12) {
		fmt.Fprintf(&out, "SystemCallFilter=%s\n", strings.Join(chunk, " "))
	}
	if len(names) == 0 {
		l.no("nothing is allowed")
	}
	return []byte(out.String()), l.err()
}
