//go:build linux && (amd64 || arm64)

package ebpf

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/abi"
	"github.com/profgen/profgen/internal/record"
)

// newRecorder returns a recorder that ends with the test. Where there are root
// and BTF, failing to load is a failure and no reason to skip.
func newRecorder(t testing.TB, opts Options) *Recorder {
	t.Helper()
	needBPF(t)
	r, err := New(opts)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return r
}

func needBPF(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root and BPF: not root")
	}
	if _, err := os.Stat("/sys/kernel/btf/vmlinux"); err != nil {
		t.Skip("needs root and BPF: ", err)
	}
}

// compile returns the path of testdata/src, compiled.
func compile(t testing.TB, src string, flags ...string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), strings.TrimSuffix(filepath.Base(src), ".c"))
	args := append([]string{"-O1", "-Wall", "-Wextra", "-Werror", "-static", "-o", out, filepath.Join("testdata", src)}, flags...)
	if msg, err := exec.Command("gcc", args...).CombinedOutput(); err != nil {
		t.Fatalf("compile %s: %v\n%s", src, err, msg)
	}
	return out
}

// launcher is a process that waits, to be followed, and then starts a command.
type launcher struct {
	cmd *exec.Cmd
	in  io.WriteCloser
}

// launch starts a launcher of argv.
func launch(t testing.TB, argv ...string) *launcher {
	t.Helper()
	cmd := exec.Command("/bin/sh", append([]string{"-c", `read go; "$@"; exit $?`, "sh"}, argv...)...)
	cmd.Stdout, cmd.Stderr = new(strings.Builder), os.Stderr // a pipe: its end tells that all are gone
	in, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	return &launcher{cmd, in}
}

// run lets the command start and waits until it, and whatever else holds its
// standard output, has ended.
func (l *launcher) run(t testing.TB) {
	t.Helper()
	if err := l.wait(); err != nil {
		t.Fatal(err)
	}
}

func (l *launcher) wait() error {
	_, err := io.WriteString(l.in, "go\n")
	if err = errors.Join(err, l.in.Close(), l.cmd.Wait()); err != nil {
		return fmt.Errorf("%v: %w", l.cmd.Args, err)
	}
	return nil
}

// waitForChild waits until process pid has a child called comm, and returns its
// number.
func waitForChild(t testing.TB, pid int, comm string) int {
	t.Helper()
	for range 1000 {
		var list []byte
		threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
		for _, file := range threads {
			text, _ := os.ReadFile(file)
			list = append(list, text...)
		}
		for _, f := range strings.Fields(string(list)) {
			name, _ := os.ReadFile("/proc/" + f + "/comm")
			if n, err := strconv.Atoi(f); err == nil && strings.TrimSpace(string(name)) == comm {
				return n
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("process %d has no child called %s", pid, comm)
	return 0
}

// recordRun returns what a new recorder sees of argv.
func recordRun(t *testing.T, opts Options, start record.StartPoint, argv ...string) record.Snapshot {
	t.Helper()
	r := newRecorder(t, opts)
	l := launch(t, argv...)
	if err := r.Follow(l.cmd.Process.Pid, start); err != nil {
		t.Fatal(err)
	}
	l.run(t)
	return snapshot(t, r)
}

// snapshot takes a snapshot, which must make valid evidence in canonical order.
func snapshot(t testing.TB, r *Recorder) record.Snapshot {
	t.Helper()
	s, err := r.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	set := evidence.Set{Facts: s.Facts, Gaps: s.Gaps}
	var buf bytes.Buffer
	if err := evidence.Encode(&buf, set); err != nil {
		t.Fatal(err)
	}
	read, err := evidence.Decode(&buf)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(set, read); diff != "" {
		t.Fatalf("snapshot (-) and what is read back from it (+) differ:\n%s", diff)
	}
	return s
}

// noGaps fails the test if s has gaps of other kinds than those given, and than
// that of a recorder that was not asked for files.
func noGaps(t testing.TB, s record.Snapshot, but ...evidence.GapKind) {
	t.Helper()
	for _, g := range s.Gaps {
		if g.Kind != evidence.UnseenFiles && !slices.Contains(but, g.Kind) {
			t.Errorf("gap %+v", g)
		}
	}
}

func gaps(s record.Snapshot, kind evidence.GapKind) []evidence.Gap {
	return slices.DeleteFunc(slices.Clone(s.Gaps), func(g evidence.Gap) bool { return g.Kind != kind })
}

// names returns the system calls of an ABI and a phase, sorted.
func names(s record.Snapshot, arch abi.Arch, phase evidence.Phase) []string {
	out := []string{}
	for _, f := range s.Facts {
		if f, ok := f.(evidence.Syscall); ok && f.Arch == arch && f.Phase == phase {
			out = append(out, f.Name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// native is the ABI of this machine's own programs.
func native() abi.Arch { return arches()[0] }

// marked reports whether s has the call that acts.c calls the mark.
func marked(s record.Snapshot, phase evidence.Phase) bool {
	return slices.Contains(names(s, native(), phase), "sched_getscheduler")
}

// args returns the values of the arguments that a call was recorded with, one
// slice a fact; an empty one stands for any.
func args(s record.Snapshot, name string) [][]uint64 {
	var out [][]uint64
	for _, f := range s.Facts {
		if f, ok := f.(evidence.Syscall); ok && f.Name == name {
			vals := []uint64{}
			for _, a := range f.Args {
				vals = append(vals, a.Value)
			}
			out = append(out, vals)
		}
	}
	return out
}
