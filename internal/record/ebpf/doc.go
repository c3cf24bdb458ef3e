// Package ebpf turns what followed processes do into facts, by eBPF programs at
// the kernel's tracepoints: system calls with their ABI, a few arguments,
// sockets, ports, and capability checks, each in a phase of the workload; and, if
// asked ([Options].Files), uses of files, programs, signals, traced processes and
// mounts.
//
// All but files and the like the programs keep as sets in maps, and send nothing
// as it happens, so a followed process is slowed by a fraction of a system call,
// and a busy one loses no events. Each different use of a file is sent once, and
// read as it comes. What cannot be kept is counted and comes out as a gap.
//
// Files are looked at as a call ends. One that the call has in hand is named by the
// kernel's own directory entries, up to the root of its mount namespace, as AppArmor
// does. Names that are only in a call's arguments (of what is removed, renamed,
// made, or was refused) are resolved right after it in the root directory of the
// process's mount namespace, which is held open from the first that is heard of
// it: a link that is changed in between leads elsewhere, and a namespace that ends
// before that makes a gap.
//
// Not seen of files: what mprotect makes executable of a file already mapped,
// what the kernel writes by itself (core dumps), calls of the x32 ABI (their use is
// a gap), what sendmmsg sends to, the owner and kind of a file that
// is removed without having been opened, and, before Linux 5.17, the interpreter of
// a program (a gap).
//
// Tracepoints and BTF are all that it asks of a kernel, from 5.13 on; before
// 6.14 capability checks take a trampoline or a kprobe at security_capable. It sees no
// calls that the vDSO or the legacy vsyscall page answers, and no operations that
// io_uring carries out (its use is a gap); arguments behind pointers are read as the
// call begins, names as it ends, and a program that changes them meanwhile is not
// caught at it.
//
// Before Linux 6.2, bpf_task_storage_get finds no task's state while something
// else on the same CPU holds the kernel's lock of task storages, for whatever
// task. The programs and whoever holds it exclude each other, unless the holder
// can be preempted: on a kernel with full preemption, during a moment of Follow,
// Attach or Close, or of the end of a followed task, or when other eBPF programs
// on the host use task storage. An event that comes then is lost, and so are a
// child and all its doings if it was a fork; it is counted, and a gap, be it of a
// followed task or not. From 6.2 on states are found at any time; only making one
// can fail so, in a fork, and that is counted as a lost task.
package ebpf
