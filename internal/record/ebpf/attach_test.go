//go:build linux && (amd64 || arm64)

package ebpf

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/record"
)

// TestAttach: threads and children that were there, and those to come.
func TestAttach(t *testing.T) {
	r := newRecorder(t, Options{SeeRefused: true})
	cmd := exec.Command(acts(t), "serve")
	in := serve(t, nil, cmd)
	if err := r.Attach(cmd.Process.Pid); err != nil {
		t.Fatal(err)
	}
	say(t, in, "f")
	for _, name := range []string{"sched_getscheduler", "getsid", "getpgid"} { // thread, child, new child
		eventually(t, r, func(s record.Snapshot) bool { return has(s, evidence.Serve, name) })
	}
	s := snapshot(t, r)
	noGaps(t, s, evidence.UnseenCaps, evidence.UnseenStart)
	if g := gaps(s, evidence.UnseenStart); len(g) != 1 {
		t.Errorf("gaps for the start that was not seen: %v, want one", g)
	}
	for _, phase := range []evidence.Phase{evidence.Runtime, evidence.Start, evidence.Exec} {
		if got := names(s, native(), phase); len(got) != 0 {
			t.Errorf("in phase %s: %v", phase, got)
		}
	}
}

func has(s record.Snapshot, phase evidence.Phase, name string) bool {
	for _, n := range names(s, native(), phase) {
		if n == name {
			return true
		}
	}
	return false
}

// TestAttachContainer: by any process of a container, one gets all of it, and
// what is exec'd into it later.
func TestAttachContainer(t *testing.T) {
	c := newContainer(t, "serve")
	argv := c.runc("run", "--bundle", c.bundle, c.id)
	runc := exec.Command(argv[0], argv[1:]...)
	in := serve(t, nil, runc)
	init := waitForChild(t, runc.Process.Pid, "acts")
	child := waitForChild(t, init, "acts")

	r := newRecorder(t, Options{})
	if err := r.Attach(child); err != nil {
		t.Fatal(err)
	}
	say(t, in, "f")
	for _, name := range []string{"sched_getscheduler", "getsid", "getpgid"} {
		eventually(t, r, func(s record.Snapshot) bool { return has(s, evidence.Serve, name) })
	}
	c.exec(t, "sockets")
	s := snapshot(t, r)
	noGaps(t, s, evidence.UnseenCaps, evidence.UnseenStart)
	wantHas(t, "exec", names(s, native(), evidence.Exec), "socket", "socketpair")
	wantLacks(t, "serve", names(s, native(), evidence.Serve), "socketpair", "execve")
}

// TestAttachAncestor: a recorder that descends from what it attaches to is not
// in the recording, nor is what it starts.
func TestAttachAncestor(t *testing.T) {
	if os.Getenv("PROFGEN_TEST_DESCENDANT") != "" {
		beDescendant(t)
		return
	}
	needBPF(t)
	script := `exec 3<&0; "$0" bystander <&3 >/dev/null 2>&1 &
		"$1" -test.v -test.run='^TestAttachAncestor$'; status=$?; kill $!; exit $status`
	prog := acts(t)
	cmd := exec.Command("/bin/sh", "-c", script, prog, os.Args[0])
	cmd.Env = append(os.Environ(), "PROFGEN_TEST_DESCENDANT="+prog)
	if in, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	} else {
		defer in.Close()
	}
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: TestAttachAncestor") {
		t.Errorf("%v: %v\n%s", cmd.Args, err, out)
	}
}

// beDescendant attaches to its parent, which has another child that marks.
func beDescendant(t *testing.T) {
	r := newRecorder(t, Options{SeeRefused: true})
	if err := r.Attach(os.Getppid()); err != nil {
		t.Fatal(err)
	}
	eventually(t, r, func(s record.Snapshot) bool { return marked(s, evidence.Serve) })
	if out, err := exec.Command(os.Getenv("PROFGEN_TEST_DESCENDANT"), "sockets").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s := snapshot(t, r)
	for _, phase := range []evidence.Phase{evidence.Serve, evidence.Exec} {
		wantLacks(t, "the recording", names(s, native(), phase), "bpf", "pidfd_open", "socketpair")
	}
	if err := r.Attach(os.Getpid()); err != nil {
		t.Fatal(err)
	}
	eventually(t, r, func(s record.Snapshot) bool { return has(s, evidence.Serve, "bpf") })
}

// TestContainerIsGone: the kernel gives the inode number of a mount namespace
// to the next one, whose processes are none of ours.
func TestContainerIsGone(t *testing.T) {
	prog := acts(t)
	r := newRecorder(t, Options{})
	l := launch(t, "unshare", "-m", prog, "filter", prog, "sockets")
	if err := r.Follow(l.cmd.Process.Pid, record.AtFilter); err != nil {
		t.Fatal(err)
	}
	l.run(t)
	if !has(snapshot(t, r), evidence.Start, "socketpair") {
		t.Error("the container itself is not seen")
	}
	for range 20 {
		if out, err := exec.Command("unshare", "-m", prog, "mark").CombinedOutput(); err != nil {
			t.Fatalf("unshare: %v\n%s", err, out)
		}
	}
	if got := names(snapshot(t, r), native(), evidence.Exec); len(got) != 0 {
		t.Errorf("of another mount namespace: %v", got)
	}
}

func TestNoSuchProcess(t *testing.T) {
	r := newRecorder(t, Options{})
	gone := exec.Command("/bin/true")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	pid := gone.Process.Pid
	for what, err := range map[string]error{
		"follow": r.Follow(pid, record.AtExec), "attach": r.Attach(pid),
	} {
		if err == nil || !strings.Contains(err.Error(), strconv.Itoa(pid)) {
			t.Errorf("%s process %d, which has ended: %v", what, pid, err)
		}
	}
	if err := r.Follow(unix.Getpid(), 7); err == nil {
		t.Error("follow with an unknown start point: no error")
	}
	if g := snapshot(t, r).Gaps; len(gaps(record.Snapshot{Gaps: g}, evidence.UnseenStart)) != 0 {
		t.Errorf("gaps of a process that was not attached to: %v", g)
	}
}

// TestNoIterator: where all tasks cannot be gone over, attaching says so, and
// following works.
func TestNoIterator(t *testing.T) {
	opts := Options{without: []string{recorderProgOnTask}}
	r := newRecorder(t, opts)
	if err := r.Attach(os.Getpid()); err == nil {
		t.Error("attach without an iterator: no error")
	}
	if s := recordRun(t, opts, record.AtExec, acts(t), "mark"); !marked(s, evidence.Start) {
		t.Error("the mark is not seen")
	}
}
