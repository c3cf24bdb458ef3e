package sandbox

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The test binary is the guard too, and what HELPER says.
func TestMain(m *testing.M) {
	if os.Args[0] == GuardName {
		os.Exit(RunGuard())
	}
	switch os.Getenv("HELPER") {
	case "doomed command":
		doomedCommand()
	case "doomed container":
		doomedContainer()
	case "doomed check":
		Shell(context.Background(), os.Getenv("CHECK"))
	case "fetch":
		fetch()
	case "leaderless":
		leaderless()
	}
	os.Exit(m.Run())
}

// helper returns this test binary as one of the helpers.
func helper(t *testing.T, name string, env ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
	cmd.Env = append(append(os.Environ(), "HELPER="+name), env...)
	cmd.Stderr = os.Stderr
	return cmd
}

func ignore(int) error { return nil }

// eventually waits until ok, for some seconds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(8 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 8s: %s", what)
		}
	}
}

// processGone waits until a process is no more.
func processGone(t *testing.T, pid int) {
	t.Helper()
	eventually(t, fmt.Sprintf("process %d is gone", pid), func() bool {
		p, ok := readProc(pid)
		return !ok || p.gone()
	})
}

func fileGone(t *testing.T, name string) {
	t.Helper()
	eventually(t, name+" is gone", func() bool {
		_, err := os.Lstat(name)
		return errors.Is(err, fs.ErrNotExist)
	})
}

// numbers waits until a file holds n words, and returns them as numbers.
func numbers(t *testing.T, name string, n int) []int {
	t.Helper()
	var out []int
	eventually(t, fmt.Sprintf("%s holds %d numbers", name, n), func() bool {
		raw, _ := os.ReadFile(name)
		out = nil
		for f := range strings.FieldsSeq(string(raw)) {
			if pid, err := strconv.Atoi(f); err == nil {
				out = append(out, pid)
			}
		}
		return len(out) >= n && strings.HasSuffix(string(raw), "\n")
	})
	return out
}

// waiter is a target that can be waited for.
type waiter interface{ Wait() (int, error) }

// waited is what Wait returns, which must be within some seconds.
func waited(t *testing.T, w waiter) (int, error) {
	t.Helper()
	var code int
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		code, err = w.Wait()
	}()
	select {
	case <-done:
	case <-time.After(9 * time.Second):
		t.Fatal("Wait does not return")
	}
	return code, err
}

func follow(t *testing.T, seen *int) func(int) error {
	return func(pid int) error {
		if p, ok := readProc(pid); !ok || p.parent != os.Getpid() {
			t.Errorf("followed process %d is not a child of this one", pid)
		}
		*seen = pid
		return nil
	}
}

// output is a file for a workload to write to, and what was written.
func output(t *testing.T) (*os.File, func() string) {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	return f, func() string {
		b, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
}

func TestCommandKeepsItsStdioAndExitCode(t *testing.T) {
	tests := []struct {
		name, script string
		code         int
		stdout       string
	}{
		{"exit code", "exit 7", 7, ""},
		{"killed", "kill -KILL $$", 128 + 9, ""},
		{"stdin to stdout", "cat", 0, "said on stdin\n"},
		{"default signals", "trap - INT; kill -INT $$", 128 + 2, ""},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			in, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintln(w, "said on stdin")
			w.Close()
			out, read := output(t)
			c := &Command{Argv: []string{"sh", "-c", tc.script}, Stdio: Stdio{in, out, os.Stderr}}
			var followed int
			if err := c.Start(t.Context(), follow(t, &followed)); err != nil {
				t.Fatal(err)
			}
			code, err := c.Wait()
			if err != nil || code != tc.code || read() != tc.stdout || followed == 0 {
				t.Errorf("code %d, stdout %q, followed %d, %v; want %d, %q", code, read(), followed, err, tc.code, tc.stdout)
			}
		})
	}
}

func TestCommandThatCannotStart(t *testing.T) {
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("no program\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for argv0, want := range map[string]string{
		"/nonexistent/program": "start /nonexistent/program: no such file or directory",
		"no-such-program":      "start no-such-program: executable file not found in $PATH",
		"/etc":                 "start /etc: is a directory",
		text:                   "start " + text + ": exec format error",
	} {
		c := &Command{Argv: []string{argv0}, Stdio: Talk()}
		err := c.Start(t.Context(), ignore)
		if err == nil || err.Error() != want {
			t.Errorf("Start %s: %v, want %s", argv0, err, want)
		}
	}
}

// A daemon is waited for, though its parent ended and it has a session of its
// own.
func TestWaitIncludesDaemons(t *testing.T) {
	out, read := output(t)
	script := "setsid sh -c 'sleep 0.3; echo daemon done' & exit 4"
	c := &Command{Argv: []string{"sh", "-c", script}, Stdio: Stdio{nil, out, os.Stderr}}
	if err := c.Start(t.Context(), ignore); err != nil {
		t.Fatal(err)
	}
	if code, err := c.Wait(); err != nil || code != 4 || read() != "daemon done\n" {
		t.Errorf("Wait: code %d, output %q, %v; want 4 after the daemon's output", code, read(), err)
	}
}

func TestStop(t *testing.T) {
	tests := []struct {
		name, script string
		stops, code  int
	}{
		{"ends on SIGTERM", "trap 'exit 5' TERM; echo ready; while :; do sleep 0.05; done", 1, 5},
		{"killed when asked twice", "trap '' TERM; echo ready; while :; do sleep 0.05; done", 2, 128 + 9},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			c := &Command{Argv: []string{"sh", "-c", tc.script}, Stdio: Stdio{nil, w, os.Stderr}}
			if err := c.Start(t.Context(), ignore); err != nil {
				t.Fatal(err)
			}
			bufio.NewReader(r).ReadString('\n')
			for range tc.stops {
				c.Stop()
			}
			if code, err := c.Wait(); err != nil || code != tc.code {
				t.Errorf("Wait: %d, %v; want %d", code, err, tc.code)
			}
		})
	}
}

func TestParsePort(t *testing.T) {
	for s, want := range map[string]Port{"8080:80": {8080, 80}, "0:53": {0, 53}} {
		if p, err := ParsePort(s); err != nil || p != want {
			t.Errorf("ParsePort(%q): %v, %v", s, p, err)
		}
	}
	for _, s := range []string{"", "80", "80:", ":80", "80:0", "70000:80", "8080:80/tcp", "-1:80"} {
		if p, err := ParsePort(s); err == nil {
			t.Errorf("ParsePort(%q): %v, want an error", s, p)
		}
	}
}
