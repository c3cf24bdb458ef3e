//go:build linux && (amd64 || arm64)

package usernotif

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/abi"
	"github.com/profgen/profgen/internal/record"
	"github.com/profgen/profgen/internal/sandbox"
)

const (
	nobody = 65534
	// programs is the variable that holds the folder of the compiled testdata.
	programs = "PROFGEN_TEST_PROGRAMS"
)

// Everything is tested as an ordinary user, and as root too if these tests are
// run by root.
func TestMain(m *testing.M) {
	if os.Args[0] == sandbox.GuardName {
		os.Exit(sandbox.RunGuard())
	}
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	if os.Getenv(programs) != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "usernotif-test-")
	if err == nil {
		defer os.RemoveAll(dir)
		err = compileAll(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	os.Setenv(programs, dir)
	code := m.Run()
	fuzzing := slices.ContainsFunc(os.Args, func(a string) bool { return strings.HasPrefix(a, "-test.fuzz=") })
	if os.Geteuid() == 0 && !fuzzing {
		code = max(code, asUser(dir))
	}
	return code
}

// compileAll compiles what the tests run, into a folder that anybody may enter.
func compileAll(dir string) error {
	for _, src := range [][]string{
		{"testdata/does.c", "-pthread"}, {"../ebpf/testdata/acts.c", "-pthread"},
		{"../ebpf/testdata/i386.c", "-nostdlib", "-m32"}, {"../ebpf/testdata/entries.c", "-nostdlib"},
		{"../ebpf/testdata/socketcall.c", "-nostdlib", "-m32"},
	} {
		name := strings.TrimSuffix(filepath.Base(src[0]), ".c")
		if abis()[0] != abi.X8664 && slices.Contains(src, "-nostdlib") {
			continue
		}
		args := append([]string{"-O1", "-static", "-o", filepath.Join(dir, name), src[0]}, src[1:]...)
		if out, err := exec.Command("gcc", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("compile %s: %w\n%s", src[0], err, out)
		}
	}
	for _, name := range []string{"setuid", "image"} {
		if err := copyFile(filepath.Join(dir, "acts"), filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return os.Chmod(dir, 0o755)
}

// asUser runs all tests once more as a user without privileges, and returns their
// exit code. The program of the tests lies where only root may go.
func asUser(dir string) int {
	self := filepath.Join(dir, "tests")
	private := filepath.Join(dir, "private")
	err := copyFile("/proc/self/exe", self)
	if err == nil {
		err = os.Mkdir(private, 0o700)
	}
	if err == nil {
		err = os.Chown(private, nobody, nobody)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	args := slices.DeleteFunc(slices.Clone(os.Args[1:]), func(a string) bool {
		return strings.HasPrefix(a, "-test.testlogfile") || strings.HasPrefix(a, "-test.coverprofile") || strings.HasPrefix(a, "-test.gocoverdir")
	})
	cmd := exec.Command(self, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), "TMPDIR="+private)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	fmt.Println("as a user:")
	if err := cmd.Run(); err != nil {
		fmt.Println("as a user:", err)
		return 1
	}
	return 0
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// program returns the path of one that compileAll compiled.
func program(name string) string { return filepath.Join(os.Getenv(programs), name) }

// recordRun returns what a new recorder sees of argv, which must end well.
func recordRun(t *testing.T, start record.StartPoint, argv ...string) evidence.Set {
	t.Helper()
	return recordWith(t, func(*Recorder) error { return nil }, start, argv...)
}

// recordWith does the same with a recorder that begin is called with first.
func recordWith(t *testing.T, begin func(*Recorder) error, start record.StartPoint, argv ...string) evidence.Set {
	t.Helper()
	r, err := New()
	if err == nil {
		err = begin(r)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var set evidence.Set
	res, err := record.Run{
		Recorder: struct{ record.Recorder }{r}, Start: start, // whose phases are begin's to say
		Target: &sandbox.Command{Argv: argv, Stdio: sandbox.Talk(), Listener: r.Listener()},
		Save:   func(s evidence.Set) error { set = s; return nil },
	}.Do(context.Background())
	if err != nil || res.Code != 0 {
		t.Fatalf("%v: exit code %d, %v", argv, res.Code, err)
	}
	var buf bytes.Buffer
	if err := evidence.Encode(&buf, set); err != nil {
		t.Fatal(err)
	}
	read, err := evidence.Decode(&buf)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(set, read); diff != "" {
		t.Fatalf("evidence (-) and what is read back from it (+) differ:\n%s", diff)
	}
	return set
}

// calls returns the system calls of a phase by ABI, sorted.
func calls(s evidence.Set, phase evidence.Phase) map[abi.Arch][]string {
	out := map[abi.Arch][]string{}
	for _, f := range s.Facts {
		if f, ok := f.(evidence.Syscall); ok && f.Phase == phase && !slices.Contains(out[f.Arch], f.Name) {
			out[f.Arch] = append(out[f.Arch], f.Name)
		}
	}
	for _, names := range out {
		slices.Sort(names)
	}
	return out
}

func called(s evidence.Set, phase evidence.Phase, name string) bool {
	return slices.Contains(calls(s, phase)[abis()[0]], name)
}

// gapsBut returns the gaps but that capabilities are unseen, which is always one,
// and that a call may have been interrupted, which is as signals fall.
func gapsBut(s evidence.Set) []evidence.Gap {
	var out []evidence.Gap
	for _, g := range s.Gaps {
		if g.Kind != evidence.UnseenCaps && g.Kind != evidence.Interrupted {
			out = append(out, g)
		}
	}
	return out
}

func of[F evidence.Fact](s evidence.Set) []F {
	var out []F
	for _, f := range s.Facts {
		if f, ok := f.(F); ok {
			out = append(out, f)
		}
	}
	return out
}
