// Package policy decides: it turns evidence and options into what a profile
// allows, with a reason for every decision and a warning for every weakness.
//
// It knows what the parts of a profile are for, and nothing of how any file
// spells them: that is left to gen/seccomp, gen/apparmor and gen/caps.
//
// It is monotone: more evidence never takes an allowed thing away. There is an
// exception for what no recording looks at, such as the command of a fcntl: until
// static analysis says which there can be, any is allowed. And there is one for
// files: until a recording has looked at them, any may be used.
package policy

import (
	"github.com/profgen/profgen/internal/abi"
)

// Policy is what the workload may do, decided. Everything in it is sorted.
type Policy struct {
	Name         string     // of the profile: [a-z0-9._-], starts with a letter
	Arches       []abi.Arch // system call ABIs allowed, the native one first
	Syscalls     []Rule     // allowed; what none of them allows is refused, unknown calls with ENOSYS
	NotPermitted []string   // known calls that answer EPERM, as when the kernel forbids them
	Unavailable  []string   // known calls that answer ENOSYS, as on a kernel without them, so that callers fall back
	Capabilities []string   // the bounding set, CAP_* names
	Network      []Network  // sockets allowed, for AppArmor
	Files        Files      // files allowed, for AppArmor
	Processes    Processes  // what it may do to other processes, for AppArmor
	Newer        Newer      // what AppArmor asks about since 4.0
	Mounts       []Mount    // changes of its mounts allowed, for AppArmor
	Run          Run        // how to start the container

	Decisions []Decision
	Warnings  []Warning
}

// Block says what an allow rule is there for. Rules of different blocks are
// kept apart in what is emitted, so that a reviewer sees whose need each is.
type Block string

const (
	Workload Block = "workload" // what the image itself was seen or found to need
	Kernel   Block = "kernel"   // what any process needs without asking: signal return, restart, exit, what the vDSO falls back to
	Fallback Block = "fallback" // an older call of the same power that libc turns to where the one seen is missing
	Execd    Block = "exec"     // what commands exec'd into the container need, and the image itself does not
	Floor    Block = "runtime"  // what the OCI runtime does under the filter
	Kept     Block = "kept"     // asked for by the user
)

// Blocks lists all blocks in the order in which they are emitted.
func Blocks() []Block { return []Block{Workload, Execd, Fallback, Kernel, Floor, Kept} }

// Rule allows one system call, if all Conditions hold. Several rules for one
// name are alternatives. No two conditions of a rule have the same Index.
type Rule struct {
	Name       string
	Block      Block
	Conditions []Condition // sorted by Index
}

// Condition holds if argument Index, masked, is Value. The mask of a 32-bit
// parameter is at most 0xffffffff: libseccomp compares 64 bits, the kernel
// looks at 32.
type Condition struct {
	Index uint
	Mask  uint64
	Value uint64
}

// Network is a socket family and type, as AppArmor's network rules name them
// ("inet", "stream"). Without a type it is every type of the family, without a
// family every socket.
type Network struct {
	Family string `json:"family,omitempty"`
	Type   string `json:"type,omitempty"`
}

// Decision is why something is allowed or refused.
type Decision struct {
	Subject string `json:"subject"` // "clone3", "CAP_CHOWN", "socket AF_INET", "/etc/passwd", "--read-only"
	Allowed bool   `json:"allowed"`
	Reason  string `json:"reason"`
}

// Warning says that the profile is looser, or less certain, than one may
// think.
type Warning struct {
	Code     string `json:"code"` // short and stable: "clone3-enosys"
	Sentence string `json:"sentence"`
}
