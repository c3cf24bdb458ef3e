package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/profgen/profgen/gen/apparmor/access"
	"github.com/profgen/profgen/gen/apparmor/syntax"
	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/profiledir"
)

// server is an image that serves, and a client that asks it what it is for.
type server struct {
	name         string
	port         int
	check        string // of $HOST and $PORT
	exec, health string // shell lines for inside of the container; "" if there is nothing to ask with
	data         string // a folder to be kept from one run to the next: making it takes long
}

var servers = []server{
	{
		name: "nginx", port: 80, check: `curl -fsS http://$HOST:$PORT/ | grep -q 'Welcome to nginx'`,
		exec: "nginx -t", health: `exec bash -c 'exec 3<>/dev/tcp/127.0.0.1/80; printf "HEAD / HTTP/1.0\r\n\r\n" >&3; grep -q nginx <&3'`,
	},
	{
		name: "redis", port: 6379, check: `redis-cli -h $HOST -p $PORT set k value | grep -q OK && redis-cli -h $HOST -p $PORT get k | grep -q value`,
		exec: "redis-cli info | grep redis_version", health: "redis-cli ping | grep PONG",
	},
	{
		name: "memcached", port: 11211,
		check: `bash -c 'exec 3<>/dev/tcp/$HOST/$PORT; printf "set k 0 0 5\r\nvalue\r\nget k\r\nquit\r\n" >&3; grep -q ^value <&3'`,
	},
}

// postgres makes a cluster when it is first run, and then serves it.
var postgres = server{
	name: "postgres", port: 5432, check: `PGHOST=$HOST psql -U postgres -d app -qAt -c 'select 40+2' | grep -q 42`,
	exec: "psql -U postgres -h 127.0.0.1 -d app -c 'select 40+2'", health: "pg_isready -U postgres -h 127.0.0.1 -d app",
	data: "/var/lib/postgresql/data",
}

// execChecks are the flags that have profgen exec into the server's container.
func (s server) execChecks() []string {
	if s.exec == "" {
		return nil
	}
	return []string{"--exec-check", s.exec, "--exec-check", s.health}
}

func (s server) checkAt(host string, port int) string {
	return fmt.Sprintf("HOST=%s PORT=%d; export HOST PORT; %s", host, port, s.check)
}

// The bar of the whole project: under the profile made from its recording a real
// server serves every time, with every runtime.
func TestServers(t *testing.T) {
	layout := testImages(t)
	for _, s := range servers {
		t.Run(s.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "profile")
			drive := []string{"--image", layout + ":" + s.name, "--check", s.checkAt("127.0.0.1", s.port)}
			driven := slices.Concat(drive, s.execChecks())
			profgen(t, slices.Concat([]string{"record", "-o", dir}, driven)...)
			t.Run("confines files", func(t *testing.T) { s.checkFileRules(t, dir) })
			t.Run("without root", func(t *testing.T) { s.rootless(t, dir, driven) })
			t.Run("nothing of the runtime's", func(t *testing.T) { refusesRuntimesCalls(t, dir) })
			t.Run("20 of 20 with runc", func(t *testing.T) { passes20(t, dir, driven) })
			// crun's exec makes calls that its start and runc do not: it takes --floor crun-exec.
			t.Run("20 of 20 with crun", func(t *testing.T) { passes20(t, dir, append(drive, "--runtime", "crun")) })
		})
	}
}

func passes20(t *testing.T, dir string, drive []string) {
	t.Helper()
	out := profgen(t, append([]string{"verify", dir, "--runs", "20"}, drive...)...)
	if !strings.Contains(out, "passed 20 of 20 runs, denials 0\n") {
		t.Errorf("verify: %s", out)
	}
}

// A bundle keeps what it mounts, so that postgres makes its cluster once.
func TestPostgresInABundle(t *testing.T) {
	dir, data := filepath.Join(t.TempDir(), "profile"), t.TempDir()
	drive := append(postgresBundle(t, data), postgres.execChecks()...)
	record := append([]string{"record", "-o", dir}, drive...)
	record = append(record, clusterCapabilities()...)
	profgen(t, record...)
	profgen(t, record...) // a cluster that is there already is another way to start
	passes20(t, dir, drive)
}

// clusterCapabilities are the flags for what it takes to make a cluster beside what
// a bundle of umoci has.
func clusterCapabilities() []string {
	var out []string
	for _, name := range []string{"chown", "dac_override", "fowner", "fsetid", "setuid", "setgid"} {
		out = append(out, "--cap-add", name)
	}
	return out
}

// postgresBundle returns the flags that run postgres with its cluster in the folder
// data, which is mounted into a bundle, and ask it something.
func postgresBundle(t *testing.T, data string) []string {
	t.Helper()
	bundle := filepath.Join(t.TempDir(), "bundle")
	if out, err := exec.Command("umoci", "unpack", "--image", testImages(t)+":"+postgres.name, bundle).CombinedOutput(); err != nil {
		t.Fatalf("umoci: %v: %s", err, out)
	}
	config := filepath.Join(bundle, "config.json")
	raw, err := os.ReadFile(config)
	var spec specs.Spec
	if err == nil {
		err = json.Unmarshal(raw, &spec)
	}
	if err != nil {
		t.Fatal(err)
	}
	spec.Mounts = append(spec.Mounts, specs.Mount{Destination: postgres.data, Type: "bind", Source: data, Options: []string{"rbind", "rw"}})
	if raw, err = json.Marshal(spec); err == nil {
		err = os.WriteFile(config, raw, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	return []string{"--bundle", bundle, "--check", postgres.checkAt("127.0.0.1", postgres.port)}
}

// startBystander has a process of this host make a call that nothing in the
// images makes, sched_getscheduler, again and again.
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
	const mostRules = 80
	rules := strings.Count(string(text), ",\n")
	t.Logf("%s: %d rules", s.name, rules)
	if rules > mostRules || strings.Contains(string(text), "**") {
		t.Errorf("%d rules, want at most %d, and no **:\n%s", rules, mostRules, text)
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
