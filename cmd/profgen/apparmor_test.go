package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/profgen/profgen/internal/armor"
	"github.com/profgen/profgen/internal/host"
	"github.com/profgen/profgen/internal/profiledir"
	"github.com/profgen/profgen/internal/record"
)

// needAppArmor skips a test where the kernel does not enforce AppArmor.
func needAppArmor(t *testing.T) {
	t.Helper()
	facts, err := host.Read()
	switch {
	case err != nil:
		t.Fatal(err)
	case facts.AppArmor:
	case os.Getenv("PROFGEN_VM") != "":
		t.Fatal("the kernel of the virtual machine has no AppArmor")
	default:
		t.Skip("no AppArmor in this kernel: make test-vm runs this under kernels that have it")
	}
}

// patience is for an emulated processor, which takes a minute to make a cluster.
const patience = "--check-timeout=5m"

// A server, recorded on a stock kernel, serves every time under all that was made
// for it, and AppArmor by itself refuses what it never needed.
func TestUnderAppArmor(t *testing.T) {
	needAppArmor(t)
	layout := testImages(t)
	for _, s := range servers[:2] {
		t.Run(s.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "profile")
			drive := []string{"--image", layout + ":" + s.name, "--check", s.checkAt("127.0.0.1", s.port), patience}
			// What redis does as a client goes is a matter of time on an emulated processor.
			profgen(t, slices.Concat([]string{"record", "--runs", "3", "-o", dir}, drive)...)
			passes20(t, dir, append(drive, "--runtime", "runc"))
			refusesAlone(t, dir)
		})
	}
	t.Run(postgres.name, func(t *testing.T) {
		dir, data := filepath.Join(t.TempDir(), "profile"), filepath.Join(t.TempDir(), "data")
		drive := append(postgresBundle(t, data), patience)
		record := slices.Concat([]string{"record", "-o", dir}, drive, clusterCapabilities())
		empty(t, data)
		profgen(t, record...)
		profgen(t, record...)
		empty(t, data) // the first run under the profile makes a cluster, the others serve it
		passes20(t, dir, append(drive, "--runtime", "runc"))
		refusesAlone(t, dir)
	})
}

// empty makes dir an empty folder.
func empty(t *testing.T, dir string) {
	t.Helper()
	if err := errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o755)); err != nil {
		t.Fatal(err)
	}
}

// attempts is what an attacker would like to do. Each is an access by itself, made
// by a thread that is root, under no filter; pid is a process outside.
var attempts = []struct {
	name string
	try  func(pid int) error
}{
	{"read /etc/shadow", func(int) error { return open("/etc/shadow", unix.O_RDONLY) }},
	{"write below /usr/bin", func(int) error { return open("/usr/bin/profgen-was-here", unix.O_WRONLY|unix.O_CREAT) }},
	{"mount", func(int) error { return unix.Mount("tmpfs", "/mnt", "tmpfs", 0, "") }},
	{"a raw socket", func(int) error { return socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP) }},
	{"a socket of AF_ALG", func(int) error { return socket(unix.AF_ALG, unix.SOCK_SEQPACKET, 0) }},
	{"trace another process", unix.PtraceAttach},
	{"write to /proc/sys", func(int) error { return open("/proc/sys/kernel/domainname", unix.O_WRONLY) }},
}

func open(name string, flags int) error {
	fd, err := unix.Open(name, flags|unix.O_CLOEXEC, 0o600)
	if err == nil {
		unix.Close(fd)
	}
	return err
}

func socket(family, kind, protocol int) error {
	fd, err := unix.Socket(family, kind, protocol)
	if err == nil {
		unix.Close(fd)
	}
	return err
}

// attemptsName makes this program try [attempts] instead of its tests: as itself,
// or under the AppArmor profile that is named.
const attemptsName = "profgen-attempts"

// attemptAll prints what came of each attempt, one a line.
func attemptAll(args []string) int {
	pid, err := strconv.Atoi(args[0])
	if err = cmp.Or(err, confineThread(args[1:])); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	for _, a := range attempts {
		err := a.try(pid)
		if err == nil && a.name == "trace another process" {
			unix.PtraceDetach(pid)
		}
		fmt.Println(errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM), err)
	}
	return 0
}

// confineThread puts this thread, which the goroutine keeps, under a profile, if
// one is named.
func confineThread(profile []string) error {
	runtime.LockOSThread()
	if len(profile) == 0 {
		return nil
	}
	return os.WriteFile(fmt.Sprintf("/proc/self/task/%d/attr/current", unix.Gettid()), []byte("changeprofile "+profile[0]), 0)
}

// usernsName makes this program make a user namespace, as attemptsName does.
const usernsName = "profgen-userns"

func makeUserns(args []string) int {
	err := confineThread(args)
	if err == nil {
		cmd := exec.Command("/bin/true")
		cmd.SysProcAttr = &unix.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER}
		err = cmd.Run()
	}
	fmt.Println(err)
	return 0
}

// refusesAlone checks that the AppArmor profile of a profile directory refuses each
// attempt with no seccomp filter and every capability, and that nothing else does.
func refusesAlone(t *testing.T, dir string) {
	t.Helper()
	name := putInForce(t, dir)
	free, bound := outcomes(t), outcomes(t, name)
	for i, a := range attempts {
		if free[i] || !bound[i] {
			t.Errorf("%s: refused without the profile %t, with it %t", a.name, free[i], bound[i])
		}
	}
}

// putInForce puts the AppArmor profile of a profile directory into force until the
// test ends, and returns its name.
func putInForce(t *testing.T, dir string) string {
	t.Helper()
	enforced, err := profiledir.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	name, err := armorName(enforced.AppArmor)
	if err != nil {
		t.Fatal(err)
	}
	p, err := armor.Load(t.Context(), name, enforced.AppArmor)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return name
}

// outcomes tells of each attempt whether it was refused.
func outcomes(t *testing.T, profile ...string) []bool {
	t.Helper()
	other := exec.CommandContext(t.Context(), "sleep", "60")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer other.Wait()
	defer other.Process.Kill()
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
	cmd.Args = slices.Concat([]string{attemptsName, strconv.Itoa(other.Process.Pid)}, profile)
	cmd.SysProcAttr = &unix.SysProcAttr{Cloneflags: unix.CLONE_NEWNS}
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("attempts: %v", err)
	}
	t.Logf("under %q:\n%s", profile, out)
	var refused []bool
	for line := range strings.Lines(string(out)) {
		refused = append(refused, strings.HasPrefix(line, "true"))
	}
	if len(refused) != len(attempts) {
		t.Fatalf("attempts printed %q", out)
	}
	return refused
}

// Against the ABI of 4.0 a kernel that asks about user namespaces refuses them to who
// was never seen to make one.
func TestUserNamespaceUnderAppArmor(t *testing.T) {
	needAppArmor(t)
	if _, err := os.Stat("/sys/kernel/security/apparmor/features/namespaces/mask"); err != nil {
		t.Skipf("AppArmor of this kernel does not ask about user namespaces: %v", err)
	}
	parser, err := filepath.Abs("../../.cache/apparmor-parser/parser")
	if err == nil {
		_, err = os.Stat(parser)
	}
	if err != nil {
		t.Fatalf("%v: scripts/apparmor-parser fetches it", err)
	}
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "apparmor_parser"), []byte("#!/bin/sh\nexec "+parser+` "$@"`+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	for _, abi := range []string{"3.0", "4.0"} {
		dir := filepath.Join(t.TempDir(), "profile")
		profgen(t, "record", "-o", dir, "--apparmor-abi", abi, "--", "/bin/true")
		cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
		cmd.Args = []string{usernsName, putInForce(t, dir)}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatal(err)
		}
		if refused := strings.Contains(string(out), "permission denied"); refused != (abi == "4.0") {
			t.Errorf("abi %s: making a user namespace: %s", abi, out)
		}
	}
}

// Under docker, with the flags that profgen prints, the image serves, can be
// exec'd into as it was when it was recorded, and stops when it is asked to.
func TestDockerUnderAppArmor(t *testing.T) {
	needAppArmor(t)
	layout := testImages(t)
	s := servers[0]
	dir := filepath.Join(t.TempDir(), "profile")
	profgen(t, "record", "-o", dir, "--image", layout+":"+s.name, "--check", s.checkAt("127.0.0.1", s.port), "--exec-check", `["/usr/sbin/nginx", "-t"]`)
	name := putInForce(t, dir)
	e := startDocker(t)
	e.must(t, "load", "-i", filepath.Join(filepath.Dir(layout), s.name+".docker.tar"))
	flags := strings.Fields(profgen(t, "flags", dir))
	e.must(t, slices.Concat([]string{"run", "-d", "--name", s.name}, flags, []string{"localhost/" + s.name})...)
	if got := e.must(t, "inspect", "--format", "{{.AppArmorProfile}}", s.name); strings.TrimSpace(got) != name {
		t.Errorf("docker runs it under %q, want %s", got, name)
	}
	address := strings.TrimSpace(e.must(t, "inspect", "--format", "{{.NetworkSettings.IPAddress}}", s.name))
	check := record.Until(func(ctx context.Context) ([]byte, error) {
		return exec.CommandContext(ctx, "sh", "-c", s.checkAt(address, s.port)).CombinedOutput()
	}, time.Minute)
	if err := check(t.Context()); err != nil {
		t.Errorf("it does not serve: %v", err)
	}
	e.must(t, "exec", s.name, "/usr/sbin/nginx", "-t")
	if out, err := e.command(t.Context(), "exec", s.name, "/bin/cat", "/etc/shadow").CombinedOutput(); err == nil {
		t.Errorf("cat could be exec'd, and read /etc/shadow: %s", out)
	}
	e.must(t, "stop", "--time", "60", s.name)
	if code := strings.TrimSpace(e.must(t, "inspect", "--format", "{{.State.ExitCode}}", s.name)); code != "0" {
		t.Errorf("docker stop ended it with exit code %s: SIGTERM did not arrive", code)
	}
	e.must(t, "rm", s.name)
}
