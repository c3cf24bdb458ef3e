package policy_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/gen/policy"
)

// Who starts as root only to become somebody is told as whom to start it, and what
// has to be that user's; not who stays root, or becomes several, or needs its
// capabilities later too.
func TestAdviseUser(t *testing.T) {
	is := func(uid uint32) evidence.Identity {
		return evidence.Identity{UID: uid, GID: 998, Phase: evidence.Serve, Basis: evidence.Observed}
	}
	later := granted("CAP_CHOWN", "chown")
	later.Phase = evidence.Serve
	drops := []evidence.Fact{granted("CAP_SETUID", "setuid"), granted("CAP_CHOWN", "chown"), granted("CAP_NET_BIND_SERVICE", "bind")}
	for _, tt := range []struct {
		name  string
		facts []evidence.Fact
		want  string // part of the advice; "" for none
	}{
		{"one user", append(drops, is(999)), "CAP_CHOWN CAP_SETUID serve only to give files to 999:998 and become it: started with --user=999:998, the workload needs none"},
		{"volumes", append(drops, is(999), used("/data/base/1", "w", mounted), used("/data/x", "w", mounted), used("/proc/self/x", "w", mounted), used("/data/base/2/y", "rw", mounted), used("/anon_hugepage", "rw", mounted)),
			"--user=999:998, with what is mounted at /data owned by 999:998 beforehand, the workload"},
		{"the volume itself", append(drops, is(999), used("/data/new/x", "w", made, func(f *evidence.FileAccess) { f.Mounted = true }), used("/data/new", "w", mounted, directory)),
			"mounted at /data/new owned by"},
		{"nobody looked", drops, "record it with --user UID:GID to see"},
		{"stays root", append(drops, is(0)), "record it with --user UID:GID to see"},
		{"several", append(drops, is(998), is(999)), "record it with --user UID:GID to see"},
		{"later too", append(drops, is(999), later), ""},
		{"more than that", append(drops, is(999), granted("CAP_SYS_ADMIN", "mount")), ""},
		{"nothing needed", []evidence.Fact{is(999)}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			for _, w := range decide(t, tt.facts...).Run.Warnings {
				if w.Code == "become-user" {
					got = w.Sentence
				}
			}
			if !strings.Contains(got, tt.want) || tt.want == "" && got != "" {
				t.Errorf("advice %q, want %q", got, tt.want)
			}
		})
	}
}

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
