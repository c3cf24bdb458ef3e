//go:build linux && (amd64 || arm64)

package ebpf

import (
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/record"
)

func TestCapabilities(t *testing.T) {
	for _, tt := range []struct {
		act     string
		granted bool
	}{{"chown", true}, {"nochown", false}} {
		t.Run(tt.act, func(t *testing.T) {
			needCaps(t)
			s := recordRun(t, Options{}, record.AtExec, acts(t), tt.act, t.TempDir())
			noGaps(t, s)
			for _, f := range s.Facts {
				c, ok := f.(evidence.Capability)
				if ok && c.Cap == "CAP_CHOWN" && slices.Contains([]string{"chown", "fchownat"}, c.Syscall) &&
					c.Granted == tt.granted && !c.Overridden && c.Arch == native() && c.Phase == evidence.Start {
					return
				}
			}
			t.Errorf("no check of CAP_CHOWN that was granted=%t in %v", tt.granted, s.Facts)
		})
	}
}

// TestOverriddenCredentials: overlayfs acts for the task with credentials of the
// one who mounted it, after it asked for the task's own.
func TestOverriddenCredentials(t *testing.T) {
	needCaps(t)
	script := `cd "$1" && mkdir lower upper work top &&
		mount -t overlay none -o lowerdir=lower,upperdir=upper,workdir=work top && >top/file && "$0" chown top/file`
	s := recordRun(t, Options{}, record.AtExec, "unshare", "-m", "/bin/sh", "-c", script, acts(t), t.TempDir())
	got := map[bool]bool{}
	for _, f := range s.Facts {
		if c, ok := f.(evidence.Capability); ok && c.Cap == "CAP_CHOWN" && c.Granted {
			got[c.Overridden] = true
		}
	}
	if !got[true] || !got[false] {
		t.Errorf("CAP_CHOWN checked with the task's own credentials: %t, with others: %t; want both", got[false], got[true])
	}
}

// needCaps skips where the kernel has no tracepoint for capability checks.
func needCaps(t *testing.T) {
	t.Helper()
	var uts unix.Utsname
	if err := unix.Uname(&uts); err != nil {
		t.Fatal(err)
	}
	if r := unix.ByteSliceToString(uts.Release[:]); older(r, 6, 14) {
		t.Skip("needs the tracepoint cap_capable of Linux 6.14, this is ", r)
	}
}

// TestNoCapTracepoint is about kernels older than that.
func TestNoCapTracepoint(t *testing.T) {
	opts := Options{without: []string{recorderProgOnCap}}
	s := recordRun(t, opts, record.AtExec, acts(t), "chown", t.TempDir())
	noGaps(t, s, evidence.UnseenCaps)
	if n := len(gaps(s, evidence.UnseenCaps)); n != 1 {
		t.Errorf("%d gaps for capability checks that cannot be seen, want 1", n)
	}
}

// TestUnknownCapability: one that no table knows is a gap and no fact.
func TestUnknownCapability(t *testing.T) {
	s := seen{checks: []recorderCheck{{Cap: unix.CAP_LAST_CAP + 1}}}
	if g := s.gaps(); len(s.facts()) != 0 || len(g) != 1 || g[0].Where != "unknown capability 41" {
		t.Errorf("a capability without a name: facts %v, gaps %v", s.facts(), g)
	}
}
