package abi

import (
	"cmp"
	"slices"
	"strings"
)

// needs is the capability table, sorted. Read the rows by subject, where they
// are written: several calls with the same arguments share a line there.
var needs = expand(slices.Concat(fileNeeds, pathNeeds, processNeeds, memoryNeeds, adminNeeds, ioctlNeeds, networkNeeds))

// expand gives each system call of a line its own row, and sorts them.
func expand(lines []Need) []Need {
	var out []Need
	for _, l := range lines {
		for name := range strings.FieldsSeq(l.Syscall) {
			n := l
			n.Syscall = name
			out = append(out, n)
		}
	}
	slices.SortFunc(out, compareNeeds)
	return out
}

func compareNeeds(a, b Need) int {
	return cmp.Or(
		cmp.Compare(a.Syscall, b.Syscall),
		cmp.Compare(a.Cap, b.Cap),
		cmp.Compare(a.When, b.When),
		slices.CompareFunc(a.Args, b.Args, compareArgs),
		cmp.Compare(a.If, b.If),
	)
}

func compareArgs(a, b ArgMatch) int {
	return cmp.Or(
		cmp.Compare(a.Index, b.Index),
		cmp.Compare(a.Op, b.Op),
		cmp.Compare(a.Mask, b.Mask),
		slices.Compare(a.Values, b.Values),
	)
}

func rowsOf(syscall string) []Need {
	first, _ := slices.BinarySearchFunc(needs, syscall, func(n Need, name string) int {
		return cmp.Compare(n.Syscall, name)
	})
	last := first
	for last < len(needs) && needs[last].Syscall == syscall {
		last++
	}
	return needs[first:last]
}

// low32 are the bits that the kernel reads of an int or unsigned int, whatever
// the program left in the rest of the register.
const low32 = 1<<32 - 1

// is matches a 32-bit argument that has one of the values.
func is(index uint8, values ...uint64) ArgMatch { return field(index, low32, values...) }

// isNot matches a 32-bit argument that has none of the values.
func isNot(index uint8, values ...uint64) ArgMatch {
	return ArgMatch{Index: index, Op: NoneOf, Mask: low32, Values: values}
}

// has matches an argument with any of the bits set.
func has(index uint8, bits uint64) ArgMatch {
	return ArgMatch{Index: index, Op: AnyBit, Mask: bits}
}

// lacks matches an argument with all of the bits clear.
func lacks(index uint8, bits uint64) ArgMatch { return field(index, bits, 0) }

// field matches an argument with one of the values in the bits of mask.
func field(index uint8, mask uint64, values ...uint64) ArgMatch {
	return ArgMatch{Index: index, Op: OneOf, Mask: mask, Values: values}
}

func when(m ...ArgMatch) []ArgMatch { return m }

// variants are names that only 32-bit ABIs have, for calls that take the same
// arguments in the same places: arch/x86/entry/syscalls/syscall_32.tbl.
var variants = map[string]string{
	"chown32": "chown", "fchown32": "fchown", "lchown32": "lchown",
	"setuid32": "setuid", "setgid32": "setgid", "setreuid32": "setreuid", "setregid32": "setregid",
	"setresuid32": "setresuid", "setresgid32": "setresgid", "setgroups32": "setgroups",
	"setfsuid32": "setfsuid", "setfsgid32": "setfsgid",
	"stat64": "stat", "lstat64": "lstat", "fstatat64": "newfstatat", "oldstat": "stat", "oldlstat": "lstat",
	"statfs64": "statfs", "truncate64": "truncate", "ftruncate64": "ftruncate",
	"utimensat_time64": "utimensat", "mmap2": "mmap", "fcntl64": "fcntl",
	"clock_settime64": "clock_settime", "clock_adjtime64": "clock_adjtime",
	"clock_nanosleep_time64": "clock_nanosleep", "timerfd_settime64": "timerfd_settime",
	"umount": "umount2", "sendfile64": "sendfile", "semtimedop_time64": "semtimedop",
	"send": "sendto",
}

// multiplexed are the 32-bit calls that stand for others: ipc(2), socketcall(2).
var multiplexed = map[string][]string{
	"ipc": {
		"msgctl", "msgget", "msgrcv", "msgsnd", "semctl", "semget", "semop", "semtimedop", "shmat", "shmctl", "shmget",
	},
	"socketcall": {"bind", "connect", "getsockopt", "sendmmsg", "sendmsg", "sendto", "setsockopt", "socket"},
}
