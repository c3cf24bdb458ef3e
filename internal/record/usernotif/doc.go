// Package usernotif turns what a workload does into facts without root and
// without BPF: the workload runs under a seccomp filter that has the kernel
// ask this process about every system call, and this process notes the call and
// lets it happen (SECCOMP_USER_NOTIF_FLAG_CONTINUE).
//
// package sandbox loads the filter, as the last thing before the workload is
// exec'd, and sends its listener to [Recorder.Listener]. Whatever the workload
// forks is under the filter too, whichever namespaces and names it takes.
//
// What it sees differs from what package ebpf sees in this:
//
//   - It is asked before a call happens and not told how it ended. Whether a file
//     is there and may be used is found out by looking, at that moment.
//   - Paths, and whatever else is behind a pointer, are read before the kernel
//     reads them. A program that changes them in between deceives it.
//   - Capability checks are not seen: a gap, always.
//   - A filter of the workload's own that refuses a call comes first: refused
//     calls are not seen. One that has a tracer asked comes second: it is not
//     asked. A listener of the workload's own is refused (EBUSY). Each is a gap.
//   - A signal whose handler does not restart calls (SA_RESTART) interrupts any
//     call that waits for an answer, also one that never waits otherwise: the
//     program sees EINTR. That it happened is a gap. Returns from handlers, which
//     know no error, are not asked about.
//   - Without CAP_SYS_ADMIN the filter takes no_new_privs: set-user-ID programs run
//     without their privileges. That one did is a gap.
//   - Memory of processes that are closed to their own user (not dumpable) is out
//     of reach: the calls are seen, not what their pointers point at. That is
//     counted.
//
// If this process ends, for any reason, the kernel answers all calls of the
// workload with ENOSYS: nothing waits for ever.
package usernotif
