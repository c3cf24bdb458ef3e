package sandbox

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// proc is a line of the process table: proc_pid_stat(5).
type proc struct {
	pid, parent int
	state       string // one letter
	threads     int
	start       uint64 // clock ticks between the boot and its start
}

// readProc returns the process with an id, if there is one.
func readProc(pid int) (proc, bool) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return proc{}, false
	}
	// Fields 3 and on; the second is a name in parentheses that may hold anything.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) < 20 {
		return proc{}, false
	}
	p := proc{pid: pid, state: fields[0]}
	var errs [3]error
	p.parent, errs[0] = strconv.Atoi(fields[1])
	p.threads, errs[1] = strconv.Atoi(fields[17])
	p.start, errs[2] = strconv.ParseUint(fields[19], 10, 64)
	return p, errs == [3]error{}
}

// gone reports whether nothing of the process runs any more. A process whose
// first thread has ended is a zombie too while its other threads live on.
func (p proc) gone() bool { return (p.state == "Z" || p.state == "X") && p.threads <= 1 }

// kinship returns the children of a process.
type kinship func(pid int) []proc

// table reads the process table: all there is, as it was at different times.
func table() kinship {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return func(int) []proc { return nil }
	}
	children := map[int][]proc{}
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			if p, ok := readProc(pid); ok {
				children[p.parent] = append(children[p.parent], p)
			}
		}
	}
	return func(pid int) []proc { return children[pid] }
}

// listed are the children that the kernel lists, if it was built to. To read
// that takes so little time that what forks and ends, over and over, is met.
func listed(pid int) []proc {
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid)) // fails for a bad pattern only
	var out []proc
	for _, list := range lists {
		raw, err := os.ReadFile(list)
		if err != nil {
			continue // a thread that has ended
		}
		for child := range strings.FieldsSeq(string(raw)) {
			if id, err := strconv.Atoi(child); err == nil {
				if p, ok := readProc(id); ok {
					out = append(out, p)
				}
			}
		}
	}
	return out
}

// below returns what descends from a process, itself not included, as far as
// it is not gone; without the children of its own that are to be skipped and
// what descends from those.
func (children kinship) below(pid int, skip func(proc) bool) []int {
	var out []int
	for next := slices.DeleteFunc(slices.Clone(children(pid)), skip); len(next) > 0; next = next[1:] {
		if !next[0].gone() {
			out = append(out, next[0].pid)
		}
		next = append(next, children(next[0].pid)...)
	}
	return out
}

// descendants returns what runs below a process, as kinship.below does, and
// nothing only if it is sure.
func descendants(pid int, skip func(proc) bool) []int {
	if out := kinship(listed).below(pid, skip); len(out) > 0 {
		return out
	}
	return table().below(pid, skip)
}

func skipNone(proc) bool { return false }

// descendsFrom reports whether a process runs below another.
func descendsFrom(pid, ancestor int) bool {
	for range 1000 { // of a table that changes meanwhile
		p, ok := readProc(pid)
		if !ok || p.parent <= 1 {
			return false
		}
		if p.parent == ancestor {
			return true
		}
		pid = p.parent
	}
	return false
}

const (
	// killPatience is how long a killed process may take to go: one that waits
	// for a disk or a file server cannot go before it has its answer.
	killPatience = 20 * time.Second
	killPause    = 2 * time.Millisecond
)

// killAll kills what find finds, again and again: what is killed may have forked
// in the meantime, and a child is not found while its parent ends. It is done
// when nothing is found and sure agrees that there is nothing. It returns the ids
// that it has sent the signal to, and those of the processes that would not go.
func killAll(find func() []int, sure func() bool) (killed map[int]bool, left []int) {
	killed = map[int]bool{}
	for deadline := time.Now().Add(killPatience); ; {
		left = find()
		if len(left) == 0 && sure() || time.Now().After(deadline) {
			return killed, left
		}
		fresh := slices.ContainsFunc(left, func(pid int) bool { return !killed[pid] })
		for _, pid := range left {
			killed[pid] = true
			unix.Kill(pid, unix.SIGKILL)
		}
		if !fresh { // a race against what forks is run without a pause
			time.Sleep(killPause)
		}
	}
}

// complain says on standard error what could not be killed.
func complain(left []int) {
	for _, pid := range left {
		p, _ := readProc(pid)
		fmt.Fprintf(os.Stderr, "profgen: process %d of the workload does not end though it was killed (state %s); "+
			"it goes when what it waits for answers\n", pid, p.state)
	}
}
