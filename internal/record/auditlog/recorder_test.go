package auditlog_test

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/abi"
	"github.com/profgen/profgen/internal/record"
	"github.com/profgen/profgen/internal/record/auditlog"
)

// scripted is a log that gives what a test puts in.
type scripted struct {
	text   strings.Builder
	err    error
	closed bool
}

func (s *scripted) Take() ([]byte, error) {
	defer s.text.Reset()
	return []byte(s.text.String()), s.err
}

func (s *scripted) Close() error { s.closed = true; return nil }

func (s *scripted) call(pid, nr int) {
	fmt.Fprintf(&s.text, "type=1326 audit(1.0:1): auid=0 uid=0 gid=0 ses=0 pid=%d comm=\"x\" exe=\"/x\" sig=0 arch=c000003e syscall=%d compat=0 ip=0x1 code=0x7ffc0000\n", pid, nr)
}

const (
	getppid, socket = 110, 41
	noProcess       = 1 << 30 // beyond pid_max
)

func snapshot(t *testing.T, r *auditlog.Recorder) (calls []string, kinds map[evidence.GapKind]bool) {
	t.Helper()
	s, err := r.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	kinds = map[evidence.GapKind]bool{}
	for _, g := range s.Gaps {
		kinds[g.Kind] = true
	}
	for _, f := range s.Facts {
		if f, ok := f.(evidence.Syscall); ok {
			calls = append(calls, fmt.Sprintf("%s %s", f.Phase, f.Name))
		}
	}
	return calls, kinds
}

// Records are the workload's by who started the process; of those of processes
// that are gone nobody can tell, which is a gap once there are strangers.
func TestWhose(t *testing.T) {
	log := &scripted{}
	r := auditlog.NewRecorder(log, abi.X8664)
	if err := r.Follow(os.Getppid(), record.AtFilter); err != nil {
		t.Fatal(err)
	}
	log.call(os.Getpid(), getppid)
	log.call(noProcess, socket)
	calls, kinds := snapshot(t, r)
	if want := "[start socket start getppid]"; fmt.Sprint(calls) != want || kinds[evidence.Lost] || !kinds[evidence.UnseenSockets] {
		t.Errorf("calls %v, gaps %v; want %s, and no loss", calls, kinds, want)
	}
	if err := r.Enter(evidence.Stop); err != nil {
		t.Fatal(err)
	}
	log.call(1, 0)
	log.call(os.Getpid(), 1)
	calls, kinds = snapshot(t, r)
	if len(calls) != 3 || !slices.Contains(calls, "stop write") || !kinds[evidence.Lost] {
		t.Errorf("calls %v, gaps %v; want a third one, stop write, and a loss", calls, kinds)
	}
}

// Records that are missing make the evidence incomplete.
func TestMissingRecords(t *testing.T) {
	log := &scripted{err: errors.New("the kernel lost 3 audit records")}
	r := auditlog.NewRecorder(log, abi.X8664)
	if _, kinds := snapshot(t, r); !kinds[evidence.Lost] {
		t.Errorf("gaps %v, want a loss", kinds)
	}
	if err := r.Close(); err != nil || !log.closed {
		t.Errorf("Close: %v", err)
	}
	if _, err := r.Snapshot(); err == nil {
		t.Error("a closed recorder takes a snapshot")
	}
	if err := r.Follow(1, record.AtFilter); err == nil {
		t.Error("a closed recorder follows a process")
	}
}

// What has no filter of its own cannot be recorded so.
func TestCommand(t *testing.T) {
	r := auditlog.NewRecorder(&scripted{}, abi.X8664)
	if err := r.Follow(1, record.AtExec); err == nil {
		t.Error("follows what is not in a container")
	}
}
