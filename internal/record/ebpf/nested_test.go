//go:build linux && (amd64 || arm64)

package ebpf

import (
	"bufio"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/record"
)

// nested returns whether checks of a capability in a system call that were
// granted were about a namespace of the workload's own making: none, false,
// true, or both.
func nested(s record.Snapshot, name, call string) []bool {
	var out []bool
	for _, f := range s.Facts {
		if c, ok := f.(evidence.Capability); ok && c.Cap == name && c.Syscall == call && c.Granted && !c.Overridden {
			out = append(out, c.Nested)
		}
	}
	return out
}

// inUserns mounts something, which takes CAP_SYS_ADMIN, in user and mount
// namespaces of its own.
const inUserns = `unshare -Urm mount -t tmpfs none "$1"`

// TestNestedUserns: what a workload may do in a user namespace that it made
// itself is apart from what it may do in the one where it began to count.
func TestNestedUserns(t *testing.T) {
	ways := capWays(t)
	filter := func(argv ...string) []string {
		prog := acts(t)
		return append([]string{"unshare", "-Urm", prog, "filter"}, argv...)
	}
	for _, tt := range []struct {
		name  string
		start record.StartPoint
		argv  []string
		want  []bool
	}{
		{"made by the workload", record.AtExec, []string{"/bin/sh", "-c", inUserns, "sh"}, []bool{true}},
		{"made by itself", record.AtExec, []string{"unshare", "-Urm", "mount", "-t", "tmpfs", "none"}, []bool{true}},
		{"two of them", record.AtExec, []string{"unshare", "-Ur", "/bin/sh", "-c", inUserns, "sh"}, []bool{true}},
		{"none", record.AtExec, []string{"unshare", "-m", "mount", "-t", "tmpfs", "none"}, []bool{false}},
		{"made by the runtime", record.AtFilter, filter("/bin/mount", "-t", "tmpfs", "none"), []bool{false}},
		{"one in the runtime's", record.AtFilter, filter("/bin/sh", "-c", inUserns, "sh"), []bool{true}},
	} {
		for way, opts := range ways {
			t.Run(tt.name+" "+way, func(t *testing.T) {
				s := recordRun(t, opts, tt.start, append(slices.Clone(tt.argv), t.TempDir())...)
				noGaps(t, s)
				if diff := cmp.Diff(tt.want, nested(s, "CAP_SYS_ADMIN", "mount")); diff != "" {
					t.Errorf("nested checks (-want +got):\n%s", diff)
				}
			})
		}
	}
}

// TestNestedCloned: a namespace made by clone, not by unshare.
func TestNestedCloned(t *testing.T) {
	inEachWay(t, func(t *testing.T, opts Options) {
		s := recordRun(t, opts, record.AtExec, acts(t), "userns")
		if diff := cmp.Diff([]bool{true}, nested(s, "CAP_SYS_ADMIN", "sethostname")); diff != "" {
			t.Errorf("nested checks (-want +got):\n%s", diff)
		}
	})
}

// TestNotNested: a capability reaches down from the workload's own namespace
// into one that another user made, and there is no doing without it.
func TestNotNested(t *testing.T) {
	script := `setpriv --reuid 1000 --clear-groups unshare -U sleep 60 & pid=$!
		while [ "$(readlink /proc/$pid/ns/user)" = "$(readlink /proc/$$/ns/user)" ]; do sleep 0.01; done
		kill $pid; wait; true`
	inEachWay(t, func(t *testing.T, opts Options) {
		s := recordRun(t, opts, record.AtExec, "/bin/sh", "-c", script)
		if diff := cmp.Diff([]bool{false}, nested(s, "CAP_KILL", "kill")); diff != "" {
			t.Errorf("nested checks (-want +got):\n%s", diff)
		}
	})
}

// TestAttachNested: a namespace that was there when the workload was attached to
// is as much of its own making as later ones.
func TestAttachNested(t *testing.T) {
	capWays(t)
	r := newRecorder(t, Options{})
	cmd := exec.Command("/bin/sh", "-c", `unshare -Urm /bin/sh -c 'echo ready; read go; mount -t tmpfs none "$0"' "$0"; true`, t.TempDir())
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); strings.TrimSpace(line) != "ready" {
		t.Fatalf("%v says %q, %v", cmd.Args, line, err)
	}
	if err := r.Attach(cmd.Process.Pid); err != nil {
		t.Fatal(err)
	}
	say(t, in, "go\n")
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]bool{true}, nested(snapshot(t, r), "CAP_SYS_ADMIN", "mount")); diff != "" {
		t.Errorf("nested checks (-want +got):\n%s", diff)
	}
}
