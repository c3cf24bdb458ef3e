//go:build linux && (amd64 || arm64)

package usernotif

import (
	"bufio"
	"context"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/record"
	"github.com/profgen/profgen/internal/sandbox"
)

// onlyGap returns the one gap there is, but for capabilities.
func onlyGap(t *testing.T, s evidence.Set) evidence.Gap {
	t.Helper()
	g := gapsBut(s)
	if len(g) != 1 {
		t.Fatalf("gaps %v, want one", g)
	}
	return g[0]
}

// A filter of the program's own that refuses comes first, one that has a tracer
// asked second, and a listener it does not get: each is said.
func TestOwnFilter(t *testing.T) {
	for act, want := range map[string]string{
		"refused": "loaded a seccomp filter that refuses calls",
		"traced":  "asks a tracer",
		"listens": "did not get it (EBUSY)",
	} {
		s := recordRun(t, record.AtExec, program("does"), act)
		g := onlyGap(t, s)
		if g.Kind != evidence.Refused || !strings.Contains(g.Detail, want) {
			t.Errorf("%s: %+v", act, g)
		}
		if called(s, evidence.Start, "sched_getscheduler") != (act == "traced") {
			t.Errorf("%s: calls %v; want the one that was made, and not one that was refused", act, calls(s, evidence.Start))
		}
	}
}

// A call that fails because it had to wait for the recorder is not lost quietly.
func TestInterrupted(t *testing.T) {
	s := recordRun(t, record.AtExec, program("does"), "interrupted")
	interrupted := func(g evidence.Gap) bool {
		return g.Kind == evidence.Interrupted && strings.Contains(g.Detail, "EINTR")
	}
	if !slices.ContainsFunc(s.Gaps, interrupted) {
		t.Errorf("gaps %v", s.Gaps)
	}
}

// A program is not made to crash by a signal that comes while it returns from the
// handler of another.
func TestSignalReturn(t *testing.T) {
	recordRun(t, record.AtExec, program("does"), "returns")
}

// A process that is closed to its user has calls that are seen, and paths that
// are not, which is counted; root looks all the same.
func TestNotDumpable(t *testing.T) {
	dir := newFolder(t)
	s := recordRun(t, record.AtExec, program("does"), "hidden", dir)
	if !called(s, evidence.Start, "open") && !called(s, evidence.Start, "openat") {
		t.Errorf("calls %v", calls(s, evidence.Start))
	}
	if os.Geteuid() == 0 {
		if got := uses(t, s, dir); len(got) != 1 || len(gapsBut(s)) > 0 {
			t.Errorf("files %v, gaps %v", got, gapsBut(s))
		}
		return
	}
	if g := onlyGap(t, s); g.Kind != evidence.Lost || g.Where != "memory" || g.Count == 0 {
		t.Errorf("%+v", g)
	}
}

// A set-user-ID program runs without its privileges, which is said.
func TestSetUserID(t *testing.T) {
	if os.Geteuid() == 0 {
		// For the tests that run as a user: to this one it is nothing.
		if err := os.Chmod(program("setuid"), 0o4755); err != nil {
			t.Fatal(err)
		}
	}
	s := recordRun(t, record.AtExec, program("setuid"), "mark")
	if os.Geteuid() == 0 {
		if g := gapsBut(s); len(g) > 0 {
			t.Errorf("gaps %v, where no_new_privs is not set", g)
		}
		return
	}
	if st, err := os.Stat(program("setuid")); err != nil || st.Mode()&os.ModeSetuid == 0 {
		t.Skip("needs a set-user-ID program, which root makes when these tests are run by root")
	}
	if g := onlyGap(t, s); g.Kind != evidence.Refused || g.Where != program("setuid") {
		t.Errorf("%+v", g)
	}
}

// When the recorder goes, the workload does not wait for it.
func TestClose(t *testing.T) {
	r, err := New()
	if err != nil {
		t.Fatal(err)
	}
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	target := &sandbox.Command{Argv: []string{program("does"), "forever"}, Stdio: sandbox.Stdio{Out: in, Err: os.Stderr}, Listener: r.Listener()}
	follow := func(pid int) error { return r.Follow(pid, record.AtExec) }
	if err := target.Start(context.Background(), follow); err != nil {
		t.Fatal(err)
	}
	in.Close()
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("it says %q, %v", line, err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { _, err := target.Wait(); ended <- err }()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		target.Stop()
		target.Stop()
		t.Fatal("the workload still waits for an answer")
	}
	if _, err := r.Snapshot(); err == nil {
		t.Error("a closed recorder has a snapshot")
	}
}

// Only a followed workload's listener is taken.
func TestStranger(t *testing.T) {
	r, err := New()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	conn, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: r.Listener(), Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	file, err := os.Open(filepath.Join(t.TempDir(), "."))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, _, err := conn.WriteMsgUnix([]byte{'p'}, unix.UnixRights(int(file.Fd())), nil); err == nil {
		conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		if n, err := conn.Read(make([]byte, 1)); n != 0 || os.IsTimeout(err) {
			t.Errorf("a stranger is kept: %d bytes, %v", n, err)
		}
	} // else it was turned away before
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.branches) != 0 {
		t.Error("a stranger's descriptor is taken for a listener")
	}
}

func TestFollowRefuses(t *testing.T) {
	r, err := New()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Follow(os.Getpid(), record.StartPoint(7)); err == nil {
		t.Error("an unknown start point is taken")
	}
	r.Close()
	if err := r.Follow(os.Getpid(), record.AtExec); err == nil {
		t.Error("a closed recorder follows")
	}
}
