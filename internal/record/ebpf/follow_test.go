//go:build linux && (amd64 || arm64)

package ebpf

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/abi"
	"github.com/profgen/profgen/internal/record"
)

// TestSameAsStrace compares with what ptrace sees of the same commands.
func TestSameAsStrace(t *testing.T) {
	for _, argv := range [][]string{
		{"/bin/ls", "-l", "/etc"},
		{"/bin/sh", "-c", "echo $(ls /usr | sort | head -3) | cat >/dev/null; test -d /etc && true"},
	} {
		t.Run(filepath.Base(argv[0]), func(t *testing.T) {
			s := recordRun(t, Options{}, record.AtExec, argv...)
			noGaps(t, s, evidence.UnseenCaps)
			got := names(s, native(), evidence.Start)
			want := strace(t, argv...)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("strace (-) and the recorder (+) differ:\n%s", diff)
			}
		})
	}
}

// strace returns the names of the calls that argv makes after its exec.
func strace(t *testing.T, argv ...string) []string {
	t.Helper()
	log := filepath.Join(t.TempDir(), "strace")
	cmd := exec.Command("strace", append([]string{"-f", "-qq", "-o", log}, argv...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for i, m := range regexp.MustCompile(`(?m)^\d+ +([a-z_0-9]+)\(`).FindAllSubmatch(text, -1) {
		if i > 0 { // the first is the exec itself
			out = append(out, string(m[1]))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// acts returns the path of testdata/acts.c, compiled.
func acts(t testing.TB) string {
	t.Helper()
	return compile(t, "acts.c", "-pthread")
}

// TestDescendants: a descendant is followed whatever becomes of it.
func TestDescendants(t *testing.T) {
	prog := acts(t)
	for _, act := range []string{"mark", "clone3", "vfork", "orphan", "mntns", "setns", "thread", "threadexec"} {
		t.Run(act, func(t *testing.T) {
			s := recordRun(t, Options{}, record.AtExec, prog, act)
			noGaps(t, s, evidence.UnseenCaps)
			if !marked(s, evidence.Start) {
				t.Errorf("the call is not among %v", names(s, native(), evidence.Start))
			}
		})
	}
}

// TestOlderThread: what a process forks from a thread that it had before it was
// followed is followed too.
func TestOlderThread(t *testing.T) {
	r := newRecorder(t, Options{})
	cmd := exec.Command(acts(t), "threadfork")
	in := serve(t, nil, cmd)
	if err := r.Follow(cmd.Process.Pid, record.AtExec); err != nil {
		t.Fatal(err)
	}
	say(t, in, "f")
	eventually(t, r, func(s record.Snapshot) bool { return marked(s, evidence.Start) })
}

// TestBystander: neither the followed process itself nor strangers are seen.
func TestBystander(t *testing.T) {
	prog := acts(t)
	by := exec.Command(prog, "bystander")
	in, err := by.StdinPipe()
	if err == nil {
		err = by.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	s := recordRun(t, Options{}, record.AtExec, prog, "sockets")
	if err := errors.Join(in.Close(), by.Wait()); err != nil {
		t.Error(err)
	}
	noGaps(t, s, evidence.UnseenCaps)
	got := names(s, native(), evidence.Start)
	if marked(s, evidence.Start) || slices.Contains(got, "wait4") {
		t.Errorf("calls of a stranger, or of the followed shell, among %v", got)
	}
}

// TestAtFilter: what counts begins with the filter, in every thread, and the
// program begins with the exec after it.
func TestAtFilter(t *testing.T) {
	prog := acts(t)
	s := recordRun(t, Options{}, record.AtFilter, prog, "filter", prog, "mark")
	noGaps(t, s, evidence.UnseenCaps)
	checkFilterPhases(t, s)
}

// TestAtFilterOnTop: a filter that is in force for the followed process itself
// starts nothing.
func TestAtFilterOnTop(t *testing.T) {
	prog := acts(t)
	r := newRecorder(t, Options{})
	l := launch(t, prog, "filter", "/bin/sh", "-c", `read go; "$0" vfork; "$0" filter "$0" mark; exit $?`, prog)
	if _, err := io.WriteString(l.in, "go\n"); err != nil {
		t.Fatal(err)
	}
	inner := waitForChild(t, l.cmd.Process.Pid, "sh")
	if err := r.Follow(inner, record.AtFilter); err != nil {
		t.Fatal(err)
	}
	l.run(t)
	s := snapshot(t, r)
	checkFilterPhases(t, s)
	if slices.Contains(names(s, native(), evidence.Start), "vfork") {
		t.Error("a child without a filter of its own was recorded")
	}
}

func checkFilterPhases(t *testing.T, s record.Snapshot) {
	t.Helper()
	runtime := names(s, native(), evidence.Runtime)
	for name, want := range map[string]bool{
		"getsid": true, "getpgid": true, "execve": true, "sched_getparam": false, "prctl": false, "sched_getscheduler": false,
	} {
		if got := slices.Contains(runtime, name); got != want {
			t.Errorf("%s among the runtime's calls is %t, want %t; they are %v", name, got, want, runtime)
		}
	}
	if start := names(s, native(), evidence.Start); !marked(s, evidence.Start) || slices.Contains(start, "getsid") {
		t.Errorf("the program's calls are %v", start)
	}
}

// TestSeeRefused: a filter hides calls from the tracepoint at their entry.
func TestSeeRefused(t *testing.T) {
	prog := acts(t)
	for _, start := range []record.StartPoint{record.AtExec, record.AtFilter} {
		s := recordRun(t, Options{SeeRefused: true}, start, prog, "refused")
		noGaps(t, s, evidence.UnseenCaps)
		if len(s.Refused) != 1 || s.Refused[0].Name != "sched_getscheduler" || s.Refused[0].Arch != native() {
			t.Errorf("start %d: refused %+v", start, s.Refused)
		}
		if marked(s, evidence.Start) {
			t.Errorf("start %d: the refused call is among those made", start)
		}
	}
}

// TestSeeRefusedKilled: a process that its filter kills is seen to leave the call.
func TestSeeRefusedKilled(t *testing.T) {
	s := recordRun(t, Options{SeeRefused: true}, record.AtExec, "/bin/sh", "-c", `"$0" refused kill; true`, acts(t))
	noGaps(t, s, evidence.UnseenCaps)
	if len(s.Refused) != 1 || s.Refused[0].Name != "sched_getscheduler" || marked(s, evidence.Start) {
		t.Errorf("refused %+v", s.Refused)
	}
}

// TestSeeRefusedNumbers: of whatever number, in whatever table.
func TestSeeRefusedNumbers(t *testing.T) {
	want := []record.Refusal{}
	refusal := func(arch abi.Arch, nr uint32, name string) {
		want = append(want, record.Refusal{Arch: arch, Nr: nr, Name: name, Phase: evidence.Start})
	}
	refusal(native(), 500, "")
	refusal(native(), 512, "")
	refusal(native(), 100_000, "")
	refusal(native(), 1<<32-2, "")
	refusal(native(), 1<<32-1, "")
	argv := []string{acts(t), "refusehigh", "-1", "100000", "512", "500", "-2", "512"}
	if native() == abi.X8664 {
		refusal(abi.X32, 516, "writev")
		argv = append(argv, "0x40000204")
	}
	s := recordRun(t, Options{SeeRefused: true}, record.AtExec, argv...)
	noGaps(t, s, evidence.UnseenCaps)
	for i, r := range s.Refused {
		if r.Comm != "acts" || r.Result >= 0 {
			t.Errorf("how it was made: %+v", r)
		}
		s.Refused[i] = record.Refusal{Arch: r.Arch, Nr: r.Nr, Name: r.Name, Phase: r.Phase}
	}
	if diff := cmp.Diff(want, s.Refused); diff != "" {
		t.Errorf("refused (-want +got):\n%s", diff)
	}
}

// TestPIDNamespace follows from within a pid namespace, where processes have
// other numbers than the kernel's own.
func TestPIDNamespace(t *testing.T) {
	needBPF(t)
	cmd := exec.Command("unshare", "--pid", "--fork", "--mount-proc", os.Args[0], "-test.v", "-test.run=^(TestDescendants|TestAttach)$")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestAttach") {
		t.Errorf("%v: %v\n%s", cmd.Args, err, out)
	}
}

// TestSnapshotsGrow: a later snapshot has all that an earlier one had, also
// while the workload runs.
func TestSnapshotsGrow(t *testing.T) {
	r := newRecorder(t, Options{})
	l := launch(t, "/bin/sh", "-c", "for i in 1 2 3; do ls -l /etc | sort | head -1; done")
	if err := r.Follow(l.cmd.Process.Pid, record.AtExec); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- l.wait() }()
	for before, running := []evidence.Fact(nil), true; running; {
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			running = false
		default:
		}
		s := snapshot(t, r)
		if merged := evidence.Merge(evidence.Set{Facts: before}, evidence.Set{Facts: s.Facts}); len(merged.Facts) != len(s.Facts) {
			t.Fatalf("had %v, has %v", before, s.Facts)
		}
		before = s.Facts
	}
}
