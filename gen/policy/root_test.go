package policy_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/gen/policy"
)

func TestReadOnlyRoot(t *testing.T) {
	scratch := func(all ...string) (out []policy.Tmpfs) {
		for _, s := range all {
			name, exec := strings.CutSuffix(s, " exec")
			out = append(out, policy.Tmpfs{Path: name, Mode: 0o1777, Exec: exec})
		}
		return out
	}
	for _, tt := range []struct {
		name    string
		uses    []evidence.Fact
		scratch []policy.Tmpfs
		why     string // not
	}{
		{"reads only", []evidence.Fact{used("/etc/passwd", "r")}, nil, ""},
		{"on a mount", []evidence.Fact{used("/data/x", "w", mounted)}, nil, ""},
		{"made on a mount", []evidence.Fact{used("/srv/x", "w", made, func(f *evidence.FileAccess) { f.Mounted = true })}, nil, ""},
		{"made", []evidence.Fact{used("/run/web.pid", "w", made), used("/run/web.pid", "r", made)}, scratch("/run"), ""},
		{"folders made", []evidence.Fact{used("/var/lib/web/a", "w", made, directory), used("/var/lib/web/a/b/c", "w", made), used("/var/lib/web/a/b", "w", made, directory)}, scratch("/var/lib/web"), ""},
		{"folder of a folder", []evidence.Fact{used("/var/log/x", "a", made), used("/var/log/web/y", "w", made)}, scratch("/var/log", "/var/log/web"), ""},
		{"run there", []evidence.Fact{used("/tmp/x", "w", made), used("/tmp/x", "rmx", made), used("/run/y", "w", made)}, scratch("/run", "/tmp exec"), ""},
		{"volume within", []evidence.Fact{used("/srv/x", "w", made), used("/srv/data/y", "rm", mounted)}, scratch("/srv exec"), ""},
		{"the image's", []evidence.Fact{used("/etc/hostile", "w")}, nil, "the workload writes to /etc/hostile, which is the image's"},
		{"beside the image's", []evidence.Fact{used("/opt/a", "r"), used("/opt/b", "w", made)}, nil, "uses /opt/a, which is the image's"},
		{"came to nothing", []evidence.Fact{used("/opt/a", "r"), used("/etc/b", "w", func(f *evidence.FileAccess) { f.Errno = "EROFS" })}, nil, ""},
		{"the root", []evidence.Fact{used("/a", "w", made)}, nil, "no empty folder can be mounted"},
		{"system folder", []evidence.Fact{used("/etc/a", "w", made)}, nil, "no empty folder can be mounted"},
		{"no word", []evidence.Fact{used("/my folder/a", "w", made)}, nil, "no empty folder can be mounted"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := decide(t, tt.uses...)
			if diff := cmp.Diff(tt.scratch, p.Run.Tmpfs); diff != "" || p.Run.ReadOnly != (tt.why == "") {
				t.Errorf("read-only %t, scratch (-want +got):\n%s", p.Run.ReadOnly, diff)
			}
			var why string
			for _, w := range p.Warnings {
				if w.Code == "root-writable" {
					why = w.Sentence
				}
			}
			if !strings.Contains(why, tt.why) || tt.why == "" && why != "" {
				t.Errorf("warned %q, want %q", why, tt.why)
			}
		})
	}
	set := evidence.Set{Facts: []evidence.Fact{call("read"), used("/a/b", "r")}}
	p, err := policy.Decide(set, policy.Options{WritableRoot: true})
	if err != nil || p.Run.ReadOnly {
		t.Errorf("asked for a writable root: %+v, %v", p.Run, err)
	}
	set.Gaps = []evidence.Gap{{Kind: evidence.Hidden, Detail: "why"}}
	if p, err := policy.Decide(set, policy.Options{}); err != nil || p.Run.ReadOnly {
		t.Errorf("not all seen: %+v, %v", p.Run, err)
	}
}
