// Package ebpf turns what followed processes do into facts, by eBPF programs at
// the kernel's tracepoints: system calls with their ABI, a few arguments,
// sockets, ports, and capability checks, each in a phase of the workload.
//
// The programs keep sets in maps and send nothing as it happens, so a followed
// process is slowed by a fraction of a system call, and a busy one loses no
// events. What cannot be kept is counted and comes out as a gap.
//
// Tracepoints and BTF are all that it asks of a kernel, from 5.13 on; before
// 6.14 capability checks take a trampoline or a kprobe at security_capable. It sees no
// files, no calls that the vDSO or the legacy vsyscall page answers, and no
// operations that io_uring carries out (its use is a gap); arguments behind pointers are read as the call begins, and a program that
// changes them meanwhile is not caught at it.
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
