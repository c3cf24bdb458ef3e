//go:build linux && (amd64 || arm64)

package ebpf

import (
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/record"
)

// capWays returns options for each way of seeing capability checks that this
// kernel has, by the name of its first program. Where there is the tracepoint, it
// must be among them.
func capWays(t *testing.T) map[string]Options {
	t.Helper()
	needBPF(t)
	all := capPrograms()
	out := map[string]Options{}
	for i, way := range all {
		var opts Options
		for j, other := range all {
			if i != j {
				opts.without = append(opts.without, other...)
			}
		}
		r, err := New(opts)
		if err != nil {
			t.Fatal(err)
		}
		if r.capsSeen {
			out[way[0]] = opts
		} else {
			t.Logf("%s: %v", way[0], r.missing[way[0]])
		}
		r.Close()
	}
	var uts unix.Utsname
	if err := unix.Uname(&uts); err != nil {
		t.Fatal(err)
	}
	release := unix.ByteSliceToString(uts.Release[:])
	if _, ok := out[recorderProgOnCap]; !ok && !older(release, 6, 14) {
		t.Errorf("Linux %s has the tracepoint cap_capable, and it is not used", release)
	}
	if len(out) == 0 {
		t.Skip("needs the tracepoint cap_capable, trampolines or kprobes: this is Linux ", release)
	}
	return out
}

// inEachWay runs a test with each way of seeing capability checks.
func inEachWay(t *testing.T, test func(*testing.T, Options)) {
	for name, opts := range capWays(t) {
		t.Run(name, func(t *testing.T) { test(t, opts) })
	}
}

func TestCapabilities(t *testing.T) {
	inEachWay(t, func(t *testing.T, opts Options) {
		for act, granted := range map[string]bool{"chown": true, "nochown": false} {
			s := recordRun(t, opts, record.AtExec, acts(t), act, t.TempDir())
			noGaps(t, s)
			if !slices.ContainsFunc(s.Facts, func(f evidence.Fact) bool {
				c, ok := f.(evidence.Capability)
				return ok && c.Cap == "CAP_CHOWN" && slices.Contains([]string{"chown", "fchownat"}, c.Syscall) &&
					c.Granted == granted && !c.Overridden && !c.Unaudited && c.Arch == native() && c.Phase == evidence.Start
			}) {
				t.Errorf("no check of CAP_CHOWN that was granted=%t in %v", granted, s.Facts)
			}
		}
	})
}

// TestUnaudited: only the tracepoint does not tell which checks are not audited.
func TestUnaudited(t *testing.T) {
	inEachWay(t, func(t *testing.T, opts Options) {
		s := recordRun(t, opts, record.AtExec, depth(t), "filter")
		tells := slices.Contains(opts.without, recorderProgOnCap)
		for _, f := range s.Facts {
			if c, ok := f.(evidence.Capability); ok && c.Cap == "CAP_SYS_ADMIN" && c.Syscall == "prctl" && c.Granted && c.Unaudited == tells {
				return
			}
		}
		t.Errorf("no check of CAP_SYS_ADMIN in prctl that says unaudited=%t in %v", tells, s.Facts)
	})
}

// TestOverriddenCredentials: overlayfs acts for the task with credentials of the
// one who mounted it, after it asked for the task's own.
func TestOverriddenCredentials(t *testing.T) {
	inEachWay(t, func(t *testing.T, opts Options) {
		script := `cd "$1" && mkdir top lower && mount -t tmpfs none top && cd top && mkdir upper work top &&
			mount -t overlay none -o lowerdir=../lower,upperdir=upper,workdir=work top && >top/file && "$0" chown top/file`
		s := recordRun(t, opts, record.AtExec, "unshare", "-m", "/bin/sh", "-c", script, acts(t), t.TempDir())
		got := map[bool]bool{}
		for _, f := range s.Facts {
			if c, ok := f.(evidence.Capability); ok && c.Cap == "CAP_CHOWN" && c.Granted {
				got[c.Overridden] = true
			}
		}
		if !got[true] || !got[false] {
			t.Errorf("CAP_CHOWN checked with the task's own credentials: %t, with others: %t; want both", got[false], got[true])
		}
	})
}

// TestCapsUnseen is about kernels that have no way.
func TestCapsUnseen(t *testing.T) {
	opts := Options{without: slices.Concat(capPrograms()...)}
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
