package sandbox

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"
)

func TestShell(t *testing.T) {
	for _, tc := range []struct{ line, out, err string }{
		{"echo said; echo warned >&2", "said\nwarned\n", ""},
		{"echo no; exit 7", "no\n", "exit status 7"},
		{"kill -KILL $$", "", "exit status 137"},
	} {
		out, err := Shell(t.Context(), tc.line)
		message := ""
		if err != nil {
			message = err.Error()
		}
		if string(out) != tc.out || message != tc.err {
			t.Errorf("Shell(%q): %q, %v", tc.line, out, err)
		}
	}
}

// A check ends with its time, and with its first process, and takes all that it
// started with it.
func TestNothingOutlivesACheck(t *testing.T) {
	for name, tc := range map[string]struct {
		script string
		time   time.Duration
		err    error
	}{
		"time is up":     {"sleep 1000; true", 500 * time.Millisecond, context.DeadlineExceeded},
		"left behind":    {"true", time.Minute, nil},
		"another reader": {"sleep 1000 | cat; true", 500 * time.Millisecond, context.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			pids := filepath.Join(t.TempDir(), "pids")
			ctx, cancel := context.WithTimeout(t.Context(), tc.time)
			defer cancel()
			begun := time.Now()
			_, err := Shell(ctx, "setsid sleep 1000 & echo $! $$ >"+pids+"; "+tc.script)
			if !errors.Is(err, tc.err) {
				t.Errorf("Shell: %v, want %v", err, tc.err)
			}
			if took := time.Since(begun); took > 3*time.Second {
				t.Errorf("Shell took %s", took)
			}
			for _, pid := range numbers(t, pids, 2) {
				if p, ok := readProc(pid); ok && !p.gone() {
					t.Errorf("process %d of the check is still there", pid)
				}
			}
		})
	}
}

func TestNoCheckOutlivesProfgen(t *testing.T) {
	pids := filepath.Join(t.TempDir(), "pids")
	cmd := helper(t, "doomed check", "CHECK=setsid sleep 1000 & echo $! $$ >"+pids+"; sleep 1000; true")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	found := numbers(t, pids, 2)
	cmd.Process.Kill()
	cmd.Wait()
	for _, pid := range found {
		processGone(t, pid)
	}
}

// What a check costs is small beside the pause of 200 ms between two.
func BenchmarkShell(b *testing.B) {
	for b.Loop() {
		if _, err := Shell(b.Context(), "true"); err != nil {
			b.Fatal(err)
		}
	}
}
