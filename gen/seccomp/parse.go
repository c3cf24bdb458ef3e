package seccomp

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Limits on what Parse accepts. Docker's default profile has 14 KB and names
// of up to 23 bytes.
const (
	maxProfile = 1 << 20
	maxErrno   = 4095      // MAX_ERRNO, include/linux/err.h: the kernel cuts down what is above
	maxTrace   = 1<<16 - 1 // SECCOMP_RET_DATA, include/uapi/linux/seccomp.h
)

var syscallName = regexp.MustCompile(`^[a-z0-9_]{1,64}$`)

// Parse reads a seccomp profile in the plain form of the OCI runtime
// specification, with or without comments on its rules: what [Render] writes,
// which it returns as [Spec] made it.
//
// It is strict, because consumers are not and differ in what they overlook: it
// refuses unknown, repeated or misspelt keys, unknown actions, operators,
// architectures and flags, errno values with actions that take none or out of
// range, and anything but one JSON object of at most 1 MiB. Names of system
// calls may be unknown: runtimes skip them. Files in Docker's or Podman's
// dialect are refused with [ErrDialect].
func Parse(b []byte) (*specs.LinuxSeccomp, error) {
	if len(b) > maxProfile {
		return nil, fmt.Errorf("seccomp profile: %d bytes, more than %d", len(b), maxProfile)
	}
	if err := checkKeys(b); err != nil {
		return nil, fmt.Errorf("seccomp profile: %w", err)
	}
	var doc document
	if err := json.Unmarshal(b, &doc); err != nil {
		return nil, fmt.Errorf("seccomp profile: %w", err)
	}
	out := doc.LinuxSeccomp
	for _, r := range doc.Syscalls {
		out.Syscalls = append(out.Syscalls, r.LinuxSyscall)
	}
	if err := validate(&out); err != nil {
		return nil, fmt.Errorf("seccomp profile: %w", err)
	}
	return &out, nil
}

func validate(s *specs.LinuxSeccomp) error {
	if s.DefaultAction == specs.ActNotify {
		return errors.New("default action SCMP_ACT_NOTIFY: runtimes refuse it")
	}
	if err := validateAction(s.DefaultAction, s.DefaultErrnoRet); err != nil {
		return fmt.Errorf("default %w", err)
	}
	for _, a := range s.Architectures {
		if !slices.Contains(architectures(), a) {
			return fmt.Errorf("architecture %q: unknown; want a name such as SCMP_ARCH_X86_64", a)
		}
	}
	for _, f := range s.Flags {
		if !slices.Contains(flags(), f) {
			return fmt.Errorf("flag %q: unknown; want one of %q", f, flags())
		}
	}
	if s.ListenerMetadata != "" && s.ListenerPath == "" {
		return errors.New("listenerMetadata without listenerPath")
	}
	for i, r := range s.Syscalls {
		if err := validateRule(r); err != nil {
			return fmt.Errorf("rule %d: %w", i+1, err)
		}
	}
	return nil
}

func validateRule(r specs.LinuxSyscall) error {
	if len(r.Names) == 0 {
		return errors.New("no names")
	}
	for _, n := range r.Names {
		if !syscallName.MatchString(n) {
			return fmt.Errorf("name %q: want the name of a system call, such as openat", n)
		}
	}
	if err := validateAction(r.Action, r.ErrnoRet); err != nil {
		return err
	}
	for _, a := range r.Args {
		if a.Index > maxArg {
			return fmt.Errorf("argument %d: there are arguments 0 to %d", a.Index, maxArg)
		}
		if !slices.Contains(operators(), a.Op) {
			return fmt.Errorf("operator %q: unknown; want one of %q", a.Op, operators())
		}
	}
	return nil
}

func validateAction(a specs.LinuxSeccompAction, errnoRet *uint) error {
	if !slices.Contains(actions(), a) {
		return fmt.Errorf("action %q: unknown; want one of %q", a, actions())
	}
	if errnoRet == nil {
		return nil
	}
	limit := uint(maxErrno)
	switch a {
	case specs.ActErrno:
	case specs.ActTrace:
		limit = maxTrace
	default:
		return fmt.Errorf("action %s takes no errno, %d is given", a, *errnoRet)
	}
	if *errnoRet > limit {
		return fmt.Errorf("action %s with errno %d: want at most %d", a, *errnoRet, limit)
	}
	return nil
}

func actions() []specs.LinuxSeccompAction {
	return []specs.LinuxSeccompAction{
		specs.ActAllow, specs.ActErrno, specs.ActKill, specs.ActKillProcess, specs.ActKillThread,
		specs.ActLog, specs.ActNotify, specs.ActTrace, specs.ActTrap,
	}
}

func operators() []specs.LinuxSeccompOperator {
	return []specs.LinuxSeccompOperator{
		specs.OpEqualTo, specs.OpGreaterEqual, specs.OpGreaterThan, specs.OpLessEqual,
		specs.OpLessThan, specs.OpMaskedEqual, specs.OpNotEqual,
	}
}

func flags() []specs.LinuxSeccompFlag {
	return []specs.LinuxSeccompFlag{
		"SECCOMP_FILTER_FLAG_TSYNC", specs.LinuxSeccompFlagLog,
		specs.LinuxSeccompFlagSpecAllow, specs.LinuxSeccompFlagWaitKillableRecv,
	}
}

// architectures lists all that the specification has, those that profgen has
// no tables for among them.
func architectures() []specs.Arch {
	return []specs.Arch{
		specs.ArchX86, specs.ArchX86_64, specs.ArchX32, specs.ArchARM, specs.ArchAARCH64,
		specs.ArchMIPS, specs.ArchMIPS64, specs.ArchMIPS64N32, specs.ArchMIPSEL, specs.ArchMIPSEL64, specs.ArchMIPSEL64N32,
		specs.ArchPPC, specs.ArchPPC64, specs.ArchPPC64LE, specs.ArchS390, specs.ArchS390X,
		specs.ArchPARISC, specs.ArchPARISC64, specs.ArchRISCV64, specs.ArchLOONGARCH64,
		specs.ArchM68K, specs.ArchSH, specs.ArchSHEB,
	}
}
