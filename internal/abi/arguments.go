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
	word64     = ^uint64(0)             // one that is 64 bits wide
	protWX     = 0x6                    // PROT_WRITE and PROT_EXEC: include/uapi/asm-generic/mman-common.h
	shmExec    = 0x8000                 // SHM_EXEC: include/uapi/linux/shm.h
	cloneFlags = word32 &^ uint64(0xff) // clone's flags without the signal at exit: include/uapi/linux/sched.h
	sockKind   = uint64(sockTypeMask)   // a socket's type without SOCK_CLOEXEC and SOCK_NONBLOCK
)

// arguments are the arguments that recorders look at. A call is here because
// one or few of its arguments, out of a small set, decide whether it is a
// privilege or a widely open door: the rest of the kernel's interface has its
// arguments behind pointers, or none that a filter of it would gain by.
//
// Left out on purpose: fcntl (what runtimes do under the filter opens it, and
// locks and leases are matters of the file), madvise, seccomp and arch_prctl (no
// privilege), kill and tgkill (a matter of whom, which is a fact of its own), the
// struct of openat2 (out of a filter's reach).
var arguments = map[string][]Argument{
	"bpf":           {{0, word32}},                             // command
	"clone":         {{0, cloneFlags}},                         // namespaces
	"ioctl":         {{1, word32}},                             // request
	"keyctl":        {{0, word32}},                             // operation
	"mmap":          {{2, protWX}},                             // protection
	"mmap2":         {{2, protWX}},                             //
	"mprotect":      {{2, protWX}},                             //
	"personality":   {{0, word32}},                             // persona
	"pkey_mprotect": {{2, protWX}},                             // protection
	"prctl":         {{0, word32}},                             // option
	"ptrace":        {{0, word64}},                             // request
	"setns":         {{1, word32}},                             // type of namespace
	"setsockopt":    {{1, word32}, {2, word32}},                // level, option
	"shmat":         {{2, shmExec}},                            // flags
	"socket":        {{0, word32}, {1, sockKind}, {2, word32}}, // family, type, protocol
	"socketpair":    {{0, word32}, {1, sockKind}, {2, word32}}, //
	"unshare":       {{0, word32}},                             // namespaces
}

// Arguments returns the arguments of a system call that recorders record, none
// if they record the call alone. Recorders also follow the pointer of clone3, to
// its flags, and of socketcall, to what is asked for.
func (a Arch) Arguments(name string) []Argument {
	if a == X86 && name == "mmap" { // takes a pointer to all of them: arch/x86/kernel/sys_ia32.c
		return nil
	}
	return slices.Clone(arguments[name])
}
