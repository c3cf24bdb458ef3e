package ebpf

import "errors"

// Method names this way of recording, for [evidence.Source].
const Method = "ebpf tracepoints"

// ErrUnavailable says that this kernel, or this user, cannot record with eBPF.
// What is wrapped with it says why, and what to do.
var ErrUnavailable = errors.New("cannot record with eBPF")

// Options says what a [Recorder] looks for. The zero value is what most want.
type Options struct {
	// SeeRefused looks for calls that a seccomp filter already in force refuses.
	// It costs every system call on the host a little more. Whatever else answers
	// a call before it is made looks the same: a supervisor, a tracer. Where a
	// filter kills one thread, and others of the process live on, nothing is seen.
	SeeRefused bool
	// Files looks at files, programs, signals, ptrace and mounts too. It costs
	// every system call on the host as much as SeeRefused does, those that name
	// files a little more, and what is new is sent and read at once. Without it
	// snapshots have a gap that says so.
	Files bool

	// For tests: to make maps overflow, and programs go missing.
	mapSizes map[string]uint32
	without  []string
}
