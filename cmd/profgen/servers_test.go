package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/profgen/profgen/gen/apparmor/access"
	"github.com/profgen/profgen/gen/apparmor/syntax"
	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/host"
	"github.com/profgen/profgen/internal/image"
	"github.com/profgen/profgen/internal/profiledir"
	"github.com/profgen/profgen/internal/record"
	"github.com/profgen/profgen/internal/sandbox"
)

// server is an image that serves, and a client that asks it what it is for.
type server struct {
	name  string
	port  int
	check string // of $HOST and $PORT
}

var servers = []server{
	{"nginx", 80, `curl -fsS http://$HOST:$PORT/ | grep -q 'Welcome to nginx'`},
	{"redis", 6379, `redis-cli -h $HOST -p $PORT set k value | grep -q OK && redis-cli -h $HOST -p $PORT get k | grep -q value`},
	{"memcached", 11211, `bash -c 'exec 3<>/dev/tcp/$HOST/$PORT; printf "set k 0 0 5\r\nvalue\r\nget k\r\nquit\r\n" >&3; grep -q ^value <&3'`},
}

func (s server) checkAt(host string, port int) string {
	return fmt.Sprintf("HOST=%s PORT=%d; export HOST PORT; %s", host, port, s.check)
}

// The bar of the whole project: what is recorded of a real server is all that
// strace sees of it, and under the profile made from it the server serves
// every time, under every engine.
func TestServers(t *testing.T) {
	layout := testImages(t)
	for _, s := range servers {
		t.Run(s.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "profile")
			endBystander := startBystander(t)
			profgen(t, "record", "-o", dir, "--image", layout+":"+s.name, "--check", s.checkAt("127.0.0.1", s.port))
			endBystander()
			t.Run("confines files", func(t *testing.T) { s.checkFileRules(t, dir) })
			t.Run("superset of strace", func(t *testing.T) { s.compareWithStrace(t, layout, dir) })
			t.Run("nothing of the runtime's", func(t *testing.T) { refusesRuntimesCalls(t, dir) })
			for _, runtime := range []string{"runc", "crun"} {
				t.Run("20 of 20 with "+runtime, func(t *testing.T) {
					out := profgen(t, "verify", dir, "--runs", "20", "--runtime", runtime,
						"--image", layout+":"+s.name, "--check", s.checkAt("127.0.0.1", s.port))
					if !strings.Contains(out, "passed 20 of 20 runs, denials 0\n") {
						t.Errorf("verify: %s", out)
					}
				})
			}
		})
	}
}

// bystanding is a call that nothing in the images makes, and that chrt does.
const bystanding = "sched_getscheduler"

// startBystander has a process of this host make the bystanding call again and
// again.
func startBystander(t *testing.T) (end func()) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-c", "while chrt -p $$ >/dev/null; do sleep 0.01; done")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return func() {
		cmd.Process.Kill()
		if err := cmd.Wait(); cmd.ProcessState.Exited() {
			t.Fatalf("the bystander ended by itself: %v", err)
		}
	}
}

// refusesRuntimesCalls checks that what the runtime does to make a container
// has not come into the profile.
func refusesRuntimesCalls(t *testing.T, dir string) {
	enforced, err := profiledir.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range enforced.Seccomp.Syscalls {
		for _, name := range []string{"mount", "umount2", "pivot_root", "setns", "unshare", "keyctl", "sethostname", "seccomp"} {
			if rule.Action == specs.ActAllow && slices.Contains(rule.Names, name) {
				t.Errorf("%s is allowed", name)
			}
		}
	}
}

// checkFileRules wants an AppArmor profile that runs the server's own program, may
// not read what it has no business with, and has no rule for all files.
func (s server) checkFileRules(t *testing.T, dir string) {
	set, err := profiledir.Evidence(dir)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "apparmor"))
	if err != nil {
		t.Fatal(err)
	}
	tree, err := syntax.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	profile, err := access.Compile(tree, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	programs := 0
	for _, f := range set.Facts {
		if f, ok := f.(evidence.Executed); ok {
			programs++
			if !profile.Allows(string(f.Path), access.ParsePerms("rx"), true) {
				t.Errorf("the profile does not run %s", f.Path)
			}
		}
	}
	if programs == 0 {
		t.Error("no program was seen to be exec'd")
	}
	for _, path := range []string{"/etc/shadow", "/root/.ssh/id_rsa", "/proc/sysrq-trigger", "/run/docker.sock", "/usr/bin/gcc"} {
		if profile.Allows(path, access.ParsePerms("r"), true) {
			t.Errorf("the profile lets %s be read", path)
		}
	}
}

// profgen runs profgen and returns its stdout.
func profgen(t *testing.T, args ...string) string {
	t.Helper()
	cmd := command(t, args...)
	var out, talk bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &talk
	if err := cmd.Run(); err != nil {
		t.Fatalf("profgen %s: %v\n%s%s", strings.Join(args, " "), err, out.String(), talk.String())
	}
	return out.String()
}

// compareWithStrace runs the server once more, under strace in place of the
// recorder, and compares what either saw of the workload itself.
func (s server) compareWithStrace(t *testing.T, layout, dir string) {
	set, err := profiledir.Evidence(dir)
	if err != nil {
		t.Fatal(err)
	}
	recorded := map[string]bool{}
	for _, f := range set.Facts {
		if f, ok := f.(evidence.Syscall); ok && f.Phase == evidence.Start {
			recorded[f.Name] = true
		}
	}
	if recorded[bystanding] {
		t.Errorf("%s was recorded, which a process outside the container makes", bystanding)
	}
	traced := s.strace(t, layout)
	if len(traced) < 20 {
		t.Fatalf("strace saw only %d calls: %v", len(traced), traced)
	}
	for _, name := range traced {
		// Restarts happen or not as signals fall; every profile allows them.
		if !recorded[name] && name != "restart_syscall" {
			t.Errorf("strace saw %s, the recording has it not", name)
		}
		delete(recorded, name)
	}
	for name := range recorded {
		t.Logf("recorded and not traced this time: %s", name)
	}
	if len(recorded) > 5 {
		t.Errorf("%d calls were recorded that strace did not see; are they of other processes?", len(recorded))
	}
}

// strace returns the names of the calls that the workload made, from the
// image's own exec on.
func (s server) strace(t *testing.T, layout string) []string {
	t.Helper()
	facts, err := host.Read()
	if err != nil {
		t.Fatal(err)
	}
	img, err := image.Open(t.Context(), layout+":"+s.name, image.Platform{})
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	rt, err := sandbox.FindRuntime(t.Context(), "runc")
	if err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(t.TempDir(), "strace")
	ct := &sandbox.Container{Image: img, Runtime: underStrace(t, rt, log), Confinement: openConfinement(facts.Arch, false, nil), Stdio: sandbox.Talk()}
	if err := ct.Start(t.Context(), func(int) error { return nil }); err != nil {
		t.Fatal(err)
	}
	check := record.Until(func(ctx context.Context) ([]byte, error) {
		return ct.Shell(ctx, s.checkAt("127.0.0.1", s.port))
	}, time.Minute)
	checkErr := check(t.Context())
	ct.Stop()
	if _, err := ct.Wait(); err != nil || checkErr != nil {
		t.Fatalf("under strace: %v", errors.Join(checkErr, err))
	}
	raw, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	return callsAfterExec(string(raw), img.Config().Command()[0])
}

// underStrace returns a runtime that is rt run under strace -f, except for
// commands other than run.
func underStrace(t *testing.T, rt sandbox.Runtime, log string) sandbox.Runtime {
	t.Helper()
	script := fmt.Sprintf("#!/bin/sh\ncase \"$*\" in *' run '*) exec strace -f -qq --pidns-translation -o %s %s \"$@\";; esac\nexec %s \"$@\"\n", log, rt.Path, rt.Path)
	rt.Path = filepath.Join(t.TempDir(), "runc")
	if err := os.WriteFile(rt.Path, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return rt
}

var (
	straceCall  = regexp.MustCompile(`^(\d+) +(\w+)\(`)
	straceChild = regexp.MustCompile(`^(\d+) .*\b(?:clone|clone3|fork|vfork)(?:\(| resumed).*= \d+ /\* (\d+) in strace's PID NS \*/$`)
	straceDone  = regexp.MustCompile(`^(\d+) .*\bexecve(?:\(| resumed).*= 0$`)
)

// callsAfterExec picks from strace's log the calls of the process that execs
// program, from then on, and of all that descends from it.
func callsAfterExec(log, program string) []string {
	exec := regexp.MustCompile(`^\d+ +execve\("(?:[^"]*/)?` + regexp.QuoteMeta(filepath.Base(program)) + `"`)
	counted := map[string]bool{}
	var names []string
	execs := false // the exec has begun; it may end on a line of its own
	for line := range strings.SplitSeq(log, "\n") {
		if m := straceCall.FindStringSubmatch(line); m != nil && counted[m[1]] && !slices.Contains(names, m[2]) {
			names = append(names, m[2])
		}
		if m := straceChild.FindStringSubmatch(line); m != nil && counted[m[1]] {
			counted[m[2]] = true
		}
		execs = execs || exec.MatchString(line)
		if m := straceDone.FindStringSubmatch(line); m != nil && execs && len(counted) == 0 {
			counted[m[1]] = true
		}
	}
	slices.Sort(names)
	return names
}
