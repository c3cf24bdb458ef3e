//go:build linux && (amd64 || arm64)

package usernotif

import (
	"golang.org/x/sys/unix"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/record"
)

// phase is a phase as an index. The order is that of a workload's life: what has
// got to started never goes back.
type phase uint8

const (
	waiting phase = iota // does not count yet
	inRuntime
	started
	serving
	execd
	stopping
	phases
)

func (p phase) evidence() evidence.Phase {
	return [phases]evidence.Phase{"", evidence.Runtime, evidence.Start, evidence.Serve, evidence.Exec, evidence.Stop}[p]
}

// task is a thread of the workload. It is forgotten when it exits, or is found
// gone: its number may then be another's.
type task struct {
	branch  *branch
	process int
	inside  int  // number of the process in its own pid namespace
	nested  bool // that is another one than this process'
	parent  int
	phase   phase
	init    int    // the process that became the runtime in this branch
	changed uint32 // as branch.changed was when the phase was found out
	creds   *creds // nil: to be read again
}

// taskOf returns the task that asks, in its present phase; nil if it is gone.
// r.mu is held.
func (r *Recorder) taskOf(b *branch, tid uint32) *task {
	t := r.tasks[tid]
	if t != nil && t.branch == b && (t.phase >= started || t.changed == b.changed && len(b.inflight) == 0) {
		return t
	}
	if b.inflight[tid] { // what it asked for has happened, or not
		delete(b.inflight, tid)
		b.changed++
	}
	s, err := readStatus(int(tid))
	if err != nil {
		return nil
	}
	if !b.placed {
		b.placed, b.base, b.mnt = true, s.filters, namespace(int(tid), "mnt")
	}
	if t == nil || t.branch != b || t.process != s.process {
		t = &task{branch: b, process: s.process, inside: s.inside, nested: s.nested, parent: s.parent}
		r.tasks[tid] = t
		r.begin(t, int(tid), s)
	} else {
		r.advance(t, int(tid), s)
	}
	t.changed = b.changed
	return t
}

// begin finds out the phase of a task that is new to the recorder: what it has
// from another thread of its process, or from its parent, unless that has
// changed since.
func (r *Recorder) begin(t *task, tid int, s status) {
	b := t.branch
	if sibling := r.relative(t, t.process); sibling != nil {
		t.phase, t.init = sibling.phase, sibling.init
		r.advance(t, tid, s)
		return
	}
	parent := r.relative(t, t.parent)
	if parent != nil {
		t.init = parent.init
	}
	switch exe, ok := exeID(t.process); {
	case b.start == record.AtExec || s.filters <= b.base:
		r.advance(t, tid, s)
	case ok && b.runtimes[exe]:
		t.phase = inRuntime
	case parent != nil && parent.phase >= started:
		t.phase = parent.phase
	default:
		t.phase = r.enter(t, namespace(tid, "mnt"))
	}
}

// relative returns the first thread of a process in the same branch; nil if it is
// not known.
func (r *Recorder) relative(t *task, process int) *task {
	if p := r.tasks[uint32(process)]; p != nil && p != t && p.branch == t.branch {
		return p
	}
	return nil
}

// advance finds out in which phase a task is that did not count, or was the
// runtime, when last seen.
func (r *Recorder) advance(t *task, tid int, s status) {
	b := t.branch
	switch {
	case t.phase >= started:
	case b.start == record.AtExec:
		if b.exec {
			t.phase = started
		}
	case s.filters > b.base:
		r.bound(t, tid)
	}
}

// bound finds out the phase of a task that a further filter binds. Whoever loads
// one, and did not count before, is the runtime: it makes calls under the filter
// before its exec, at the very least that one.
func (r *Recorder) bound(t *task, tid int) {
	b := t.branch
	exe, ok := exeID(t.process)
	switch {
	case !ok:
		t.phase = started // what cannot be looked at is no runtime
	case t.phase == waiting:
		t.phase, t.init = inRuntime, t.process
		b.runtimes[exe] = true
	case !b.runtimes[exe]:
		t.phase = r.enter(t, namespace(tid, "mnt"))
	}
}

// enter returns the phase of a runtime's task from its exec on. The runtime may
// come again, to exec into a container that it made before.
func (r *Recorder) enter(t *task, mnt uint64) phase {
	if mnt == 0 || mnt == t.branch.mnt {
		return started
	}
	init, ok := r.containers[mnt]
	if !ok {
		r.containers[mnt] = t.init
		return started
	}
	if init == t.init {
		return started
	}
	return execd
}

// reconsider notes that a thread is about to load a filter, or to exec: who waits
// to count, or is the runtime, is looked at again, and at each call until the thread
// is back with another one. When the kernel does what was asked cannot be seen.
func (b *branch) reconsider(tid uint32) {
	b.changed++
	b.inflight[tid] = true
}

// forget drops what has ended without asking, by a signal.
func (r *Recorder) forget() {
	for tid, t := range r.tasks {
		if unix.Tgkill(t.process, int(tid), 0) == unix.ESRCH {
			delete(r.tasks, tid)
			delete(t.branch.inflight, tid)
		}
	}
}
