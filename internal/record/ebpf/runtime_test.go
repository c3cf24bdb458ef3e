//go:build linux && (amd64 || arm64)

package ebpf

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/record"
)

// container is a bundle whose root file system is acts.c and nothing else.
type container struct {
	bundle, state, id string
}

// newContainer makes a bundle that runs acts with args, under a filter that
// allows everything.
func newContainer(t *testing.T, args ...string) container {
	t.Helper()
	needBPF(t)
	if _, err := exec.LookPath("runc"); err != nil {
		t.Fatalf("%v: scripts/install-missing test installs it", err)
	}
	c := container{t.TempDir(), t.TempDir(), "profgen-test-" + strings.ToLower(filepath.Base(t.TempDir())) + "-" + filepath.Base(t.Name())}
	root := filepath.Join(c.bundle, "rootfs")
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(acts(t), filepath.Join(root, "acts")); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("runc", "spec", "--bundle", c.bundle).CombinedOutput(); err != nil {
		t.Fatalf("runc spec: %v\n%s", err, out)
	}
	c.configure(t, append([]string{"/acts"}, args...))
	return c
}

func (c container) configure(t *testing.T, argv []string) {
	t.Helper()
	config := filepath.Join(c.bundle, "config.json")
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	var spec specs.Spec
	if err := json.Unmarshal(text, &spec); err != nil {
		t.Fatal(err)
	}
	spec.Process.Args, spec.Process.Terminal = argv, false
	spec.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActAllow}
	if text, err = json.Marshal(spec); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(config, text, 0o644); err != nil {
		t.Fatal(err)
	}
}

// runc returns a command line of runc about the container.
func (c container) runc(args ...string) []string {
	return append([]string{"runc", "--root", c.state}, args...)
}

// serve starts cmd, which must come to run acts serve, and waits until it is
// ready; before that, it follows it with r, unless that is nil. cmd must end
// with its standard input.
func serve(t *testing.T, r *Recorder, cmd *exec.Cmd) io.Writer {
	t.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		_ = cmd.Wait()
	})
	if r != nil {
		if err := r.Follow(cmd.Process.Pid, record.AtFilter); err != nil {
			t.Fatal(err)
		}
		say(t, in, "go\n")
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatalf("%v says %q, %v", cmd.Args, line, err)
	}
	return in
}

func say(t *testing.T, to io.Writer, what string) {
	t.Helper()
	if _, err := io.WriteString(to, what); err != nil {
		t.Fatal(err)
	}
}

func (c container) exec(t *testing.T, args ...string) {
	t.Helper()
	argv := c.runc(append([]string{"exec", c.id, "/acts"}, args...)...)
	if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", argv, err, out)
	}
}

// TestRunc: the runtime's own calls under the filter, the program's, and those
// of what is exec'd into the container by a process that is not followed.
func TestRunc(t *testing.T) {
	c := newContainer(t, "serve")
	r := newRecorder(t, Options{})
	argv := c.runc("run", "--bundle", c.bundle, c.id)
	in := serve(t, r, exec.Command("/bin/sh", append([]string{"-c", `read go; "$@"; exit $?`, "sh"}, argv...)...))
	c.exec(t, "sockets")
	say(t, in, "f")
	eventually(t, r, func(s record.Snapshot) bool { return slices.Contains(names(s, native(), evidence.Start), "getpgid") })

	s := snapshot(t, r)
	noGaps(t, s, evidence.UnseenCaps)
	runtime, start, execd := names(s, native(), evidence.Runtime), names(s, native(), evidence.Start), names(s, native(), evidence.Exec)
	t.Logf("runtime: %v", runtime)
	wantHas(t, "runtime", runtime, "execve", "fstatfs")
	wantLacks(t, "runtime", runtime, "mount", "pivot_root", "sched_getscheduler", "getsid")
	wantHas(t, "start", start, "sched_getscheduler", "getsid", "getpgid")
	wantLacks(t, "start", start, "mount", "socketpair", "fstatfs", "setns")
	wantHas(t, "exec", execd, "socket", "socketpair")
	wantLacks(t, "exec", execd, "setns", "seccomp", "sched_getscheduler")
}

// TestRuncExecFollowed: exec'd into the container by the followed process.
func TestRuncExecFollowed(t *testing.T) {
	c := newContainer(t, "serve")
	r := newRecorder(t, Options{})
	script := `read go; exec 3<&0; "$@" run --bundle "$BUNDLE" "$ID" <&3 &
		until "$@" exec "$ID" /acts sockets 2>/dev/null; do sleep 0.1; done; wait`
	sh := exec.Command("/bin/sh", append([]string{"-c", script, "sh"}, c.runc()...)...)
	sh.Env = append(os.Environ(), "BUNDLE="+c.bundle, "ID="+c.id)
	serve(t, r, sh)
	eventually(t, r, func(s record.Snapshot) bool {
		return slices.Contains(names(s, native(), evidence.Exec), "socketpair")
	})
	wantLacks(t, "start", names(snapshot(t, r), native(), evidence.Start), "socketpair")
}

// TestFollowedEnters: the followed process needs no filter to exec into a
// container, nor does what it execs then.
func TestFollowedEnters(t *testing.T) {
	script := `unshare -m "$0" filter /bin/sleep 60 & pid=$!
		while kill -0 $pid && ! grep -q sleep /proc/$pid/comm; do sleep 0.01; done
		nsenter -t $pid -m "$0" sockets; kill $pid; wait; true`
	s := recordRun(t, Options{}, record.AtFilter, "/bin/sh", "-c", script, acts(t))
	noGaps(t, s, evidence.UnseenCaps)
	wantHas(t, "exec", names(s, native(), evidence.Exec), "socketpair")
	wantLacks(t, "start", names(s, native(), evidence.Start), "socketpair")
	wantLacks(t, "exec", names(s, native(), evidence.Exec), "setns", "nanosleep", "clock_nanosleep")
}

func wantHas(t *testing.T, what string, got []string, names ...string) {
	t.Helper()
	for _, n := range names {
		if !slices.Contains(got, n) {
			t.Errorf("%s lacks %s: %v", what, n, got)
		}
	}
}

func wantLacks(t *testing.T, what string, got []string, names ...string) {
	t.Helper()
	for _, n := range names {
		if slices.Contains(got, n) {
			t.Errorf("%s has %s: %v", what, n, got)
		}
	}
}

// eventually waits until ok holds for what r has seen.
func eventually(t *testing.T, r *Recorder, ok func(record.Snapshot) bool) {
	t.Helper()
	for range 1000 {
		if ok(snapshot(t, r)) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("not seen within 10 s; seen is %v", snapshot(t, r).Facts)
}
