package sandbox

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/image"
)

// What is exec'd into a container sees it, with its user and environment, and
// says how it ended.
func TestExec(t *testing.T) {
	for _, name := range []string{"runc", "crun"} {
		t.Run(name, func(t *testing.T) {
			c, _ := inBusybox(t, "trap 'exit 0' TERM; touch /tmp/up; while :; do sleep 0.1; done")
			rt, err := FindRuntime(t.Context(), name)
			if err != nil {
				t.Fatal(err)
			}
			c.Runtime = rt
			if err := c.Start(t.Context(), func(int) error { return nil }); err != nil {
				t.Fatal(err)
			}
			followed := 0
			out, err := c.Exec(t.Context(), []string{"sh", "-c", "until [ -e /tmp/up ]; do sleep 0.1; done; hostname; id -u; exit 7"}, func(pid int) error {
				followed = pid
				return nil
			})
			if err == nil || !strings.Contains(err.Error(), "exit status 7") || string(out) != "profgen\n0\n" || followed == 0 || followed == os.Getpid() {
				t.Errorf("%q, %v, followed %d; want its output, exit status 7, and the process to follow", out, err, followed)
			}
			c.Stop()
			if code, err := c.Wait(); code != 0 || err != nil {
				t.Errorf("the container ended with %d, %v", code, err)
			}
			if out, err := c.Exec(t.Context(), []string{"true"}, nil); err == nil {
				t.Errorf("exec'd into a container that has ended: %q", out)
			}
		})
	}
}

func TestHealthOf(t *testing.T) {
	second := time.Second
	tests := []struct {
		name string
		in   *image.Healthcheck
		want Health
		ok   bool
	}{
		{"none", nil, Health{}, false},
		{"disabled", &image.Healthcheck{Test: []string{"NONE"}}, Health{}, false},
		{"inherited", &image.Healthcheck{}, Health{}, false},
		{"defaults", &image.Healthcheck{Test: []string{"CMD", "a", "b"}}, Health{[]string{"a", "b"}, 30 * second, 30 * second, 0, 3}, true},
		{"its own", &image.Healthcheck{Test: []string{"CMD-SHELL", "a b"}, Interval: second, Timeout: 2 * second, StartPeriod: 3 * second, Retries: 4}, Health{[]string{"/bin/sh", "-c", "a b"}, second, 2 * second, 3 * second, 4}, true},
		{"nobody knows", &image.Healthcheck{Test: []string{"HTTP", "/"}}, Health{}, false},
	}
	for _, tt := range tests {
		got, ok := HealthOf(image.Config{Healthcheck: tt.in})
		if ok != tt.ok || cmp.Diff(tt.want, got) != "" {
			t.Errorf("%s: %+v, %t; want %+v, %t", tt.name, got, ok, tt.want, tt.ok)
		}
	}
}

// A container has as long to become healthy as an engine gives it, and is asked
// more often than that.
func TestHealthWait(t *testing.T) {
	down := errors.New("connection refused")
	for _, tt := range []struct {
		name    string
		healthy time.Duration // after which it is
		ended   bool
		least   time.Duration
		ok      bool
		took    time.Duration
	}{
		{"at once", 0, false, 0, true, 0},
		{"soon", 2500 * time.Millisecond, false, 0, true, 3 * time.Second},
		{"too late", time.Hour, false, 0, false, 100 * time.Second},
		{"too late, with more patience", time.Hour, false, 3 * time.Minute, false, 3 * time.Minute},
		{"over", time.Hour, true, 0, false, 10 * time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begun := time.Now()
				exec := func(context.Context, []string) ([]byte, error) {
					switch {
					case tt.ended:
						return nil, errEnded
					case time.Since(begun) < tt.healthy:
						return []byte("curl: (7)"), down
					}
					return nil, nil
				}
				h := Health{Argv: []string{"probe"}, Interval: 30 * time.Second, Timeout: time.Second, StartPeriod: 10 * time.Second, Retries: 3}
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
				defer cancel()
				err := h.Wait(ctx, exec, tt.least)
				if (err == nil) != tt.ok || time.Since(begun) != tt.took {
					t.Errorf("%v after %s, want success %t after %s", err, time.Since(begun), tt.ok, tt.took)
				}
				if err != nil && !tt.ended && !strings.Contains(err.Error(), "curl: (7)") {
					t.Errorf("%v does not say what was printed", err)
				}
			})
		})
	}
}

// What a container was seen to use is what it used.
func TestUsage(t *testing.T) {
	c, _ := inBusybox(t, `exec 9</dev/null; head -c 3000000 /dev/zero >/dev/shm/x
		for i in 1 2 3 4 5 6; do sleep 100 & done; touch /tmp/up; trap 'kill $(jobs -p); exit 0' TERM; wait`)
	if err := c.Start(t.Context(), func(int) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if out, err := c.Exec(t.Context(), []string{"sh", "-c", "until [ -e /tmp/up ]; do sleep 0.1; done"}, nil); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	got := c.Usage()
	c.Stop()
	if _, err := c.Wait(); err != nil {
		t.Error(err)
	}
	for kind, least := range map[evidence.ResourceKind]uint64{evidence.Pids: 7, evidence.Memory: 3_000_000, evidence.Files: 10, evidence.Shm: 3_000_000} {
		if got[kind] < least || got[kind] > 100*least {
			t.Errorf("%s: %d, want at least %d, and not far more", kind, got[kind], least)
		}
	}
	if late := c.Usage(); len(late) != 0 {
		t.Errorf("a container that has ended uses %v", late)
	}
}
