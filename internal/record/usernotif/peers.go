//go:build linux && (amd64 || arm64)

package usernotif

import (
	"fmt"
	"os"
	"regexp"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/profgen/profgen/gen/evidence"
)

// watchSignal notes which signal is sent to whom.
func watchSignal(e *event) {
	if e.phase < started {
		return
	}
	number, pid := e.n.args[1], int64(int32(e.n.args[0]))
	switch e.name {
	case "tgkill", "rt_tgsigqueueinfo":
		number = e.n.args[2]
	case "tkill":
		pid = e.processOf(pid)
	case "pidfd_send_signal":
		pid = e.pidfd(int32(e.n.args[0]))
	}
	number &= 0xffffffff
	if number > 64 { // EINVAL
		return
	}
	if peer := e.peer(pid); peer != "" {
		e.r.fact(evidence.Signal{Number: uint32(number), Peer: peer, Phase: e.phase.evidence(), Basis: evidence.Observed})
	}
}

// watchPtrace notes whom the program looks into, or takes control of.
func watchPtrace(e *event) {
	if e.phase < started {
		return
	}
	pid, access := int64(int32(e.n.args[0])), "trace"
	switch e.name {
	case "ptrace":
		switch e.n.args[0] {
		case unix.PTRACE_ATTACH, unix.PTRACE_SEIZE:
			pid = e.processOf(int64(int32(e.n.args[1])))
		case unix.PTRACE_TRACEME:
			pid = -1 // the parent
		default:
			return // of one that is traced already
		}
	case "pidfd_getfd":
		pid = e.pidfd(int32(e.n.args[0]))
	case "kcmp":
		e.traced(int64(int32(e.n.args[1])), "read")
		access = "read"
	case "get_robust_list", "move_pages", "migrate_pages", "perf_event_open":
		if e.name == "perf_event_open" {
			pid = int64(int32(e.n.args[1]))
		}
		if pid <= 0 { // the caller, or nobody
			return
		}
		access = "read"
	}
	e.traced(pid, access)
}

// traced notes an access to a process that the kernel checks as it does ptrace(2).
func (e *event) traced(pid int64, access string) {
	if peer := e.peer(pid); peer != "" {
		e.r.fact(evidence.Ptrace{Access: access, Peer: peer, Phase: e.phase.evidence(), Basis: evidence.Observed})
	}
}

// procFiles are the files of a process that the kernel opens only for those who
// may trace it, with the access that it asks for: fs/proc/base.c, task_mmu.c.
var procFiles = map[string]string{
	"auxv": "read", "environ": "read", "maps": "read", "smaps": "read", "smaps_rollup": "read", "numa_maps": "read",
	"pagemap": "read", "map_files": "read", "mem": "trace",
}

var procFile = regexp.MustCompile(`^/proc/(\d+)/(?:task/\d+/)?(\w+)$`)

// traces notes that a file of another process was opened that is for those who may
// trace it.
func (v view) traces(name string) {
	m := procFile.FindStringSubmatch(name)
	if m == nil || procFiles[m[2]] == "" || v.e.phase < started {
		return
	}
	if pid, err := strconv.ParseInt(m[1], 10, 32); err == nil && pid != int64(v.e.t.inside) {
		v.e.traced(pid, procFiles[m[2]])
	}
}

// peer returns who a process is, by its number in the pid namespace of the task
// that asks; "" for nobody. Groups, and whoever can be reached, are the workload.
func (e *event) peer(pid int64) evidence.Peer {
	switch {
	case pid == int64(e.t.inside):
		return evidence.Itself
	case pid <= 0:
		return evidence.Within
	case e.t.nested:
		if !e.there(pid) {
			return ""
		}
		return evidence.Within
	case e.r.has(int(pid)):
		return evidence.Within
	case !e.there(pid):
		return ""
	}
	return evidence.Outside
}

// there reports whether the task sees such a process.
func (e *event) there(pid int64) bool {
	var st unix.Stat_t
	name := fmt.Sprintf("/proc/%d/root/proc/%d", e.n.pid, pid)
	err := unix.Stat(name, &st)
	return err == nil || err != unix.ENOENT
}

// has reports whether a process is of the workload: itself, or an ancestor, has
// made a call.
func (r *Recorder) has(pid int) bool {
	const generations = 40
	for range generations {
		if r.tasks[uint32(pid)] != nil {
			return true
		}
		s, err := readStatus(pid)
		if err != nil || s.parent <= 1 {
			break
		}
		pid = s.parent
	}
	for _, t := range r.tasks { // its first thread may have ended
		if t.process == pid {
			return true
		}
	}
	return false
}

// processOf returns the process that a thread belongs to, both as the task
// numbers them.
func (e *event) processOf(tid int64) int64 {
	if !e.t.nested {
		if s, err := readStatus(int(tid)); err == nil {
			return int64(s.process)
		}
		return tid
	}
	if _, err := os.Stat(fmt.Sprintf("/proc/%d/root/proc/%d/task/%d", e.n.pid, e.t.inside, tid)); err == nil {
		return int64(e.t.inside)
	}
	return tid
}

var pidLine = regexp.MustCompile(`(?m)^NSpid:(?:\t\d+)*\t(\d+)$`)

// pidfd returns the process that a descriptor of the task stands for, as the task
// numbers it; 0 if it stands for none.
func (e *event) pidfd(fd int32) int64 {
	info, err := os.ReadFile(fmt.Sprintf("/proc/%d/fdinfo/%d", e.n.pid, fd))
	if err != nil {
		return 0
	}
	m := pidLine.FindSubmatch(info)
	if m == nil {
		return 0
	}
	pid, _ := strconv.ParseInt(string(m[1]), 10, 64)
	return pid
}
