// Package seccomp turns a policy into an OCI seccomp profile and back into
// answers: it renders the JSON file that people commit, reads such files, and
// says what the kernel would answer a system call under one.
//
// What it writes is the plain form of the OCI runtime specification, which
// every consumer reads alike. Docker's extensions (archMap, includes, excludes,
// minKernel) are never written: containerd ignores them, which turns a
// conditional rule into an unconditional one.
//
// It does not see whether a libseccomp knows a name, nor what a runtime does
// before it loads the filter: internal/scmp and the runtime floors in profiles
// are for that.
package seccomp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/profgen/profgen/gen/policy"
)

// Errno values of the asm-generic ABI, the same on every architecture in
// internal/abi.
const (
	eperm  = 1
	enosys = 38
)

// ErrEmpty says that a policy allows nothing, so that no profile can be made
// of it.
var ErrEmpty = errors.New("nothing is allowed: no process could start; is there evidence behind this policy?")

// Spec returns the profile that enforces p:
//
//   - the default answer is ENOSYS, which tells libc to fall back as it does on
//     an older kernel; it also answers arguments that no rule allows
//   - the names in p.NotPermitted, and only they, answer EPERM; those in
//     p.Unavailable ENOSYS by a rule of their own
//   - the architectures are those of p, in its order
//   - rules of different blocks are different objects, in the order of
//     [policy.Blocks]; the unconditional names of a block are one object,
//     sorted, before its conditional rules
//   - every condition is SCMP_CMP_MASKED_EQ, and no rule has two of one index:
//     runc would take those for alternatives
//
// A name that is allowed unconditionally in any block has no other rule: its
// conditional rules are redundant, and the first block that has it keeps it.
// The same goes for one name with the same conditions in two blocks.
//
// It refuses a policy that allows nothing ([ErrEmpty]), one that names calls
// no architecture of it has, and one that both allows and refuses a name:
// libseccomp would let the refusal win over every conditional rule.
func Spec(p policy.Policy) (*specs.LinuxSeccomp, error) {
	rules, err := rulesOf(p)
	if err != nil {
		return nil, fmt.Errorf("seccomp profile of %q: %w", p.Name, err)
	}
	out := envelope(p)
	for _, r := range rules {
		out.Syscalls = append(out.Syscalls, r.LinuxSyscall)
	}
	return out, nil
}

// Render returns the profile that [Spec] returns as the JSON file to commit:
// indented, one name a line so that a diff shows each, and with a comment on
// every rule that says whose need it is. The same policy gives the same bytes.
//
// Docker and Podman know the comments, containerd ignores them.
func Render(p policy.Policy) ([]byte, error) {
	rules, err := rulesOf(p)
	if err != nil {
		return nil, fmt.Errorf("seccomp profile of %q: %w", p.Name, err)
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "\t")
	if err := enc.Encode(document{*envelope(p), rules}); err != nil {
		return nil, fmt.Errorf("seccomp profile of %q: %w", p.Name, err)
	}
	return buf.Bytes(), nil
}

// document is a profile whose rules carry comments: the OCI form, and the one
// addition to it that all consumers accept.
type document struct {
	specs.LinuxSeccomp
	Syscalls []rule `json:"syscalls"`
}

type rule struct {
	Comment string `json:"comment,omitempty"`
	specs.LinuxSyscall
}

// envelope returns the profile of p without its rules. Its architectures have
// been checked.
func envelope(p policy.Policy) *specs.LinuxSeccomp {
	errno := uint(enosys)
	out := &specs.LinuxSeccomp{DefaultAction: specs.ActErrno, DefaultErrnoRet: &errno}
	for _, a := range p.Arches {
		row, _ := a.Row()
		out.Architectures = append(out.Architectures, row.SCMP)
	}
	return out
}
