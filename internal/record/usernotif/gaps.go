//go:build linux && (amd64 || arm64)

package usernotif

import (
	"fmt"
	"slices"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/abi"
)

// gaps returns what could not be seen, kept or named.
func (r *Recorder) gaps() []evidence.Gap {
	out := append(r.loss.gaps(), evidence.Gap{
		Kind: evidence.UnseenCaps, Where: Method,
		Detail: "capability checks are not seen by this recorder",
	})
	for g := range r.seen.gaps {
		out = append(out, g)
	}
	if r.seen.interrupted {
		out = append(out, evidence.Gap{
			Kind: evidence.Interrupted, Where: Method,
			Detail: "a signal came while a call waited for the recorder, and the program has handlers that do not restart calls: one may have failed with EINTR that otherwise would not",
		})
	}
	for _, c := range r.seen.calls {
		if c.id.arch == abi.X32 && !slices.Contains(out, unseenX32) {
			out = append(out, unseenX32)
		}
		out = append(out, c.gaps()...)
		if c.name == "io_uring_enter" && !r.called("io_uring_setup", c.id.arch) { // of a ring that was there before
			out = append(out, c.ring())
		}
	}
	return out
}

// unseenX32 is the gap of an ABI whose calls are seen without their arguments.
var unseenX32 = evidence.Gap{
	Kind: evidence.UnseenFiles, Where: string(abi.X32), Detail: "files that calls of that ABI use are not looked at",
}

func (c *call) gaps() []evidence.Gap {
	var out []evidence.Gap
	switch {
	case c.name == "":
		out = append(out, evidence.Gap{
			Kind: evidence.UnknownSyscall, Where: c.id.where(),
			Detail: "a system call that no table knows: from a newer kernel, or none at all",
		})
	case c.makesSockets() && c.opaque():
		out = append(out, evidence.Gap{
			Kind: evidence.Lost, Where: c.id.where(),
			Detail: "not all sockets could be listed: too many kinds, or arguments out of reach",
		})
	case c.name == "io_uring_setup":
		out = append(out, c.ring())
	case c.name == "open_by_handle_at":
		out = append(out, evidence.Gap{
			Kind: evidence.Hidden, Where: c.id.where(),
			Detail: "a file was opened by a handle, which has no name that could be seen",
		})
	}
	return out
}

// ring is the gap that io_uring makes.
func (c *call) ring() evidence.Gap {
	return evidence.Gap{
		Kind: evidence.Hidden, Where: c.id.where(),
		Detail: "io_uring was used: files, sockets and capability checks that it works on do not show",
	}
}

// called reports whether a call of this name was made.
func (r *Recorder) called(name string, arch abi.Arch) bool {
	for id, c := range r.seen.calls {
		if id.arch == arch && c.name == name {
			return true
		}
	}
	return false
}

// gaps returns a gap for every counter that is not zero.
func (l loss) gaps() []evidence.Gap {
	var out []evidence.Gap
	lost := func(count uint64, where, what string) {
		if count != 0 {
			out = append(out, evidence.Gap{Kind: evidence.Lost, Where: where, Detail: what, Count: count})
		}
	}
	lost(l.listeners, "listeners", "workloads whose seccomp listener did not arrive")
	lost(l.tasks, "tasks", "calls of threads that could not be looked at")
	lost(l.unknown, "calls", "calls that no table knows, beyond those listed")
	lost(l.facts, "facts", "uses of files that did not fit")
	lost(l.unreadable, "memory", "arguments behind pointers, or files, of processes that are closed to their own user; their calls were seen")
	lost(l.unresolved, "paths", "paths that could not be followed")
	if l.receive != 0 {
		lost(1, "listener", fmt.Sprintf("what came after the kernel gave no more notifications: %v", l.receive))
	}
	return out
}
