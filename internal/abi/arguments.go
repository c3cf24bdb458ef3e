package abi

import "slices"

// Argument is one argument of a system call, as far as it decides what the call
// can do.
type Argument struct {
	Index uint8
	Mask  uint64 // the bits that matter; the others are no part of what is recorded or filtered
}

const (
	word32     = 0xffffffff             // a parameter that is 32 bits wide to the kernel
	cloneFlags = word32 &^ uint64(0xff) // clone's flags without the signal at exit: include/uapi/linux/sched.h
	sockKind   = uint64(sockTypeMask)   // a socket's type without SOCK_CLOEXEC and SOCK_NONBLOCK
)

// arguments are the arguments that recorders look at.
var arguments = map[string][]Argument{
	"clone":       {{0, cloneFlags}},                         // namespaces
	"personality": {{0, word32}},                             // persona
	"setns":       {{1, word32}},                             // type of namespace
	"socket":      {{0, word32}, {1, sockKind}, {2, word32}}, // family, type, protocol
	"socketpair":  {{0, word32}, {1, sockKind}, {2, word32}}, //
	"unshare":     {{0, word32}},                             // namespaces
}

// Arguments returns the arguments of a system call that recorders record, none
// if they record the call alone. Recorders also follow the pointer of clone3, to
// its flags, and of socketcall, to what is asked for.
func (a Arch) Arguments(name string) []Argument { return slices.Clone(arguments[name]) }
