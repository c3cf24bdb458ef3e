package auditlog

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/abi"
	"github.com/profgen/profgen/internal/record"
)

// Log gives the kernel's audit records while they are made. Package armor has it.
type Log interface {
	// Take returns the records, one a line, that were made since it was last called;
	// an error says that some are missing.
	Take() ([]byte, error)
	Close() error
}

// Recorder is a [record.Recorder] that knows what the kernel logs of containers
// which run under a filter that has every call logged (SCMP_ACT_LOG). It takes no
// BPF and no listener, and sees the numbers of calls and no more.
type Recorder struct {
	log Log

	mu       sync.Mutex
	reader   *auditReader
	followed map[int]bool
	placed   map[int]place // processes by number
	unplaced uint64        // records of processes that were gone
	phase    evidence.Phase
	atAccept bool
	failed   error // records are missing
	closed   bool
}

// place is whose a process is.
type place int

const (
	foreign place = iota
	own
	gone // before it could be looked at
)

var (
	_ record.Recorder = (*Recorder)(nil)
	_ record.Phased   = (*Recorder)(nil)
)

// NewRecorder returns a recorder that reads log, which it closes at the end.
func NewRecorder(log Log, native abi.Arch) *Recorder {
	r := &Recorder{log: log, followed: map[int]bool{}, placed: map[int]place{}, phase: evidence.Start}
	r.reader = &auditReader{collector: &collector{opt: Options{Native: native}, facts: map[string]evidence.Fact{}}, live: r}
	return r
}

var errClosed = errors.New("the recorder is closed")

// Follow implements [record.Recorder]. Only what is below a filter of its own can
// be recorded: [record.AtFilter].
func (r *Recorder) Follow(pid int, start record.StartPoint) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return fmt.Errorf("follow process %d: %w", pid, errClosed)
	}
	if start != record.AtFilter {
		return fmt.Errorf("follow process %d: only a container, which is given a filter, can have its calls logged", pid)
	}
	r.followed[pid] = true
	return nil
}

// Enter implements [record.Phased].
func (r *Recorder) Enter(p evidence.Phase) error { return r.enter(p, false) }

// EnterAtAccept implements [record.Phased].
func (r *Recorder) EnterAtAccept() error { return r.enter(evidence.Start, true) }

func (r *Recorder) enter(p evidence.Phase, atAccept bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return fmt.Errorf("enter phase %s: %w", p, errClosed)
	}
	r.drain() // what was made until now is in the phase before
	r.phase, r.atAccept = p, atAccept
	return nil
}

// now is the phase of the next call.
func (r *Recorder) now() evidence.Phase { return r.phase }

// drain takes in the records that were made until now.
func (r *Recorder) drain() {
	text, err := r.log.Take()
	if err != nil && r.failed == nil {
		r.failed = err
	}
	for line := range bytes.Lines(text) {
		if !bytes.HasPrefix(line, []byte("type=1326 ")) { // AUDIT_SECCOMP
			continue
		}
		f := parseRecord(bytes.TrimSuffix(line, []byte("\n")))
		if !r.takes(f) {
			r.reader.others++
			continue
		}
		r.reader.seccompRecord(f)
	}
}

// takes reports whether a record is of a followed workload. One whose process is
// gone is, unless others log too: what that may have added is a gap.
func (r *Recorder) takes(f fields) bool {
	pid, err := strconv.Atoi(f["pid"])
	if err != nil {
		return true // for seccompRecord to complain of
	}
	at, ok := r.placed[pid]
	if !ok {
		at = r.place(pid)
		if len(r.placed) < maxTasks {
			r.placed[pid] = at
		}
	}
	if at == gone {
		r.unplaced++
	}
	return at != foreign
}

// place finds out whose a process is by who started it.
func (r *Recorder) place(pid int) place {
	const deep = 1000 // in a table that changes meanwhile
	for range deep {
		switch {
		case r.followed[pid]:
			return own
		case pid <= 1:
			return foreign
		}
		if at, ok := r.placed[pid]; ok && at != gone {
			return at
		}
		parent, err := parentOf(pid)
		if err != nil {
			return gone
		}
		pid = parent
	}
	return gone
}

// parentOf reads the parent of a process: proc_pid_stat(5).
func parentOf(pid int) (int, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	rest := string(stat[bytes.LastIndexByte(stat, ')')+1:]) // the name may have any
	fields := strings.Fields(rest)
	if len(fields) < 2 {
		return 0, fmt.Errorf("process %d: its stat is too short", pid)
	}
	return strconv.Atoi(fields[1])
}

// made notes a call, which may be what the next phase begins at.
func (r *Recorder) made(name string, phase evidence.Phase) {
	if r.atAccept && phase != evidence.Runtime && (name == "accept" || name == "accept4") {
		r.phase, r.atAccept = evidence.Serve, false
	}
}

// Snapshot implements [record.Recorder].
func (r *Recorder) Snapshot() (record.Snapshot, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return record.Snapshot{}, fmt.Errorf("take a snapshot: %w", errClosed)
	}
	r.drain()
	set := evidence.Set{Gaps: slices.Concat(r.reader.gaps, r.gaps())}
	for _, f := range r.reader.facts {
		set.Facts = append(set.Facts, f)
	}
	set = set.Normalize()
	return record.Snapshot{Facts: set.Facts, Gaps: set.Gaps}, nil
}

// gaps are what this way of recording cannot tell, and what went wrong.
func (r *Recorder) gaps() []evidence.Gap {
	out := []evidence.Gap{
		{Kind: evidence.UnseenCaps, Where: AuditMethod, Detail: "seccomp records say nothing of capabilities"},
		{Kind: evidence.UnseenFiles, Where: AuditMethod, Detail: "seccomp records say nothing of files"},
	}
	if r.reader.sockets {
		out = append(out, evidence.Gap{Kind: evidence.UnseenSockets, Where: AuditMethod, Detail: unseenSockets})
	}
	if r.failed != nil {
		out = append(out, evidence.Gap{Kind: evidence.Lost, Where: AuditMethod, Detail: r.failed.Error()})
	}
	if r.unplaced > 0 && r.reader.others > 0 {
		out = append(out, evidence.Gap{
			Kind: evidence.Lost, Where: AuditMethod, Count: r.unplaced,
			Detail: "another workload on this machine logs its calls, and records whose process was gone may be of either",
		})
	}
	return out
}

// Close implements [record.Recorder].
func (r *Recorder) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil
	}
	r.closed = true
	return r.log.Close()
}
