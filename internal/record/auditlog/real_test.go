package auditlog_test

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/abi"
	"github.com/profgen/profgen/internal/record/auditlog"
)

func TestMain(m *testing.M) {
	if os.Getenv("AUDITLOG_TEST_EXEC") != "" {
		logged(os.Getenv("AUDITLOG_TEST_EXEC"))
	}
	os.Exit(m.Run())
}

// logged becomes a program all of whose calls the kernel logs.
func logged(program string) {
	runtime.LockOSThread()
	filter := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: 0x7ffc0000}}
	prog := unix.SockFprog{Len: 1, Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		panic(err)
	}
	if _, _, errno := unix.Syscall(unix.SYS_SECCOMP, 1, 0, uintptr(unsafe.Pointer(&prog))); errno != 0 {
		panic(errno)
	}
	panic(syscall.Exec(program, []string{"true"}, nil))
}

func nativeABI(t *testing.T) abi.Arch {
	t.Helper()
	a, err := abi.ByGOARCH(runtime.GOARCH)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// This kernel's own log of a program under SCMP_ACT_LOG. It limits how much it
// logs at a time, and says so: what is there must be the program's calls.
func TestKernelLog(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: to read the kernel's log")
	}
	program := filepath.Join(t.TempDir(), "logged")
	raw, err := os.ReadFile("/bin/true")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(program, raw, 0o755); err != nil {
		t.Fatal(err)
	}
	want := straceNames(t, straced(t, program))
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Second) {
		cmd := exec.Command("/proc/self/exe")
		cmd.Env = append(os.Environ(), "AUDITLOG_TEST_EXEC="+program)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		log, err := exec.Command("dmesg").Output()
		if err != nil {
			t.Fatalf("dmesg: %v", err)
		}
		report, err := auditlog.Read(strings.NewReader(string(log)), auditlog.Options{Native: nativeABI(t), Comms: []string{"logged"}})
		if err == nil && report.Records > 0 {
			checkLogged(t, report, want)
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the kernel's log has no record of the program: %v; is something else reading audit records, such as auditd?", err)
		}
	}
}

func checkLogged(t *testing.T, report auditlog.Report, want []string) {
	t.Helper()
	t.Logf("%d records; %v", report.Records, report.Set.Gaps)
	for _, f := range report.Set.Facts {
		if f, ok := f.(evidence.Syscall); !ok || !slices.Contains(want, f.Name) {
			t.Errorf("%+v: not a call that strace sees of it: %v", f, want)
		}
	}
	if len(report.Set.Facts) < 3 {
		t.Errorf("%d facts", len(report.Set.Facts))
	}
}

// straced is strace's own output of a program of this host.
func straced(t *testing.T, argv ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "strace.log")
	cmd := exec.Command("strace", append([]string{"-f", "-o", file}, argv...)...)
	cmd.Dir = "/"
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("strace: %v: %s", err, out)
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

var callLine = regexp.MustCompile(`(?m)^\d+ +(?:<\.\.\. )?([a-z0-9_]+)(?:\(| resumed>)`)

// straceNames are the calls in strace's output, by a look at its lines alone.
func straceNames(t *testing.T, log string) []string {
	t.Helper()
	var out []string
	for _, m := range callLine.FindAllStringSubmatch(log, -1) {
		out = append(out, m[1])
	}
	slices.Sort(out)
	return slices.Compact(out)
}

const script = `cd /tmp && cd "$0" && echo x >new && mkdir dir && mv new dir/old && ln dir/old hard && ln -s hard soft
chmod 600 hard; cat hard soft >/dev/null; rm hard soft dir/old; rmdir dir
(sleep 0.05 & sleep 0.05 & wait) | cat
exec perl -MSocket -e 'socket(A,PF_INET,SOCK_STREAM,6); bind(A,sockaddr_in(0,INADDR_LOOPBACK)); listen(A,1);
 socketpair(B,C,PF_UNIX,SOCK_DGRAM,0); kill 0,$$; if (!fork) { exit 3 } wait; open(F,">>log"); flock(F,2); unlink "log"'`

// strace of a shell and what it starts: every call that is there, and what they
// did to files, sockets and processes.
func TestStrace(t *testing.T) {
	dir := t.TempDir()
	log := straced(t, "/bin/sh", "-c", script, dir)
	report := read(t, log, auditlog.Options{Native: nativeABI(t)})
	encode(t, report.Set)
	var names []string
	facts := map[evidence.Fact]bool{}
	for _, f := range report.Set.Facts {
		if call, ok := f.(evidence.Syscall); ok {
			names = append(names, call.Name)
			continue
		}
		facts[comparable(f)] = true
	}
	slices.Sort(names)
	if got := slices.Compact(names); !slices.Equal(got, straceNames(t, log)) {
		t.Errorf("calls %v, want those of strace: %v", got, straceNames(t, log))
	}
	for _, g := range report.Set.Gaps {
		if g.Kind != evidence.UnseenCaps {
			t.Errorf("gap: %v", g)
		}
	}
	p := func(name string) evidence.Path { return evidence.Path(filepath.Join(dir, name)) }
	for _, want := range []evidence.Fact{
		evidence.FileAccess{Path: p("new"), Perms: "w"},
		evidence.FileAccess{Path: p("dir"), Perms: "w", Kind: evidence.Directory},
		evidence.FileAccess{Path: p("new"), Perms: "rw"},
		evidence.FileAccess{Path: p("dir/old"), Perms: "w"},
		evidence.FileAccess{Path: p("hard"), Perms: "l", Target: p("dir/old")},
		evidence.FileAccess{Path: p("soft"), Perms: "w", Kind: evidence.Symlink},
		evidence.FileAccess{Path: p("hard"), Perms: "r"},
		evidence.FileAccess{Path: p("log"), Perms: "k"},
		evidence.FileAccess{Path: "/usr/bin/perl", Perms: "x", Kind: evidence.Regular},
		evidence.Executed{Path: "/usr/bin/perl", By: "/bin/sh"},
		evidence.Executed{Path: "/bin/sh"},
		evidence.Socket{Family: 2, Type: 1, Protocol: 6},
		evidence.Socket{Family: 1, Type: 2},
		evidence.Signal{Peer: evidence.Itself},
	} {
		if !facts[want] {
			t.Errorf("no fact %+v", want)
		}
	}
	if got := report.Set.Subjects[0].Argv; len(got) < 3 || got[0] != "/bin/sh" {
		t.Errorf("argv %q", got)
	}
}

// comparable is a fact without what all of them have.
func comparable(f evidence.Fact) evidence.Fact {
	switch f := f.(type) {
	case evidence.FileAccess:
		f.Phase, f.Basis = "", ""
		return f
	case evidence.Executed:
		f.Phase, f.Basis = "", ""
		return f
	case evidence.Socket:
		f.Phase, f.Basis = "", ""
		return f
	case evidence.Signal:
		f.Phase, f.Basis = "", ""
		return f
	}
	return nil
}

// strace has many ways to write the same.
func TestStraceOptions(t *testing.T) {
	want := straceNames(t, straced(t, "/bin/true"))
	for _, option := range []string{"-t", "-tt", "-ttt", "-r", "-T", "-i", "-n", "-y", "-yy", "-v"} {
		report := read(t, straced(t, option, "/bin/true"), auditlog.Options{Native: nativeABI(t)})
		var got []string
		for _, f := range report.Set.Facts {
			if f, ok := f.(evidence.Syscall); ok {
				got = append(got, f.Name)
			}
		}
		slices.Sort(got)
		if !slices.Equal(slices.Compact(got), want) {
			t.Errorf("with %s: %v, want %v", option, got, want)
		}
	}
}

const manyArguments = `use Socket; socket(S,AF_INET,SOCK_STREAM,0); socket(U,AF_INET6,SOCK_DGRAM,0); socketpair(A,B,AF_UNIX,SOCK_STREAM,0);
 setsockopt(S,SOL_SOCKET,SO_REUSEADDR,1); setsockopt(S,6,1,1); setsockopt(U,41,26,1); setsockopt(S,0,1,8);
 my $b = "\0" x 256; ioctl(STDIN,0x5401,$b); ioctl(S,0x8913,$b); ioctl(S,0x541b,$b); ioctl(S,0x40049409,0); ioctl(S,0xc0184242,$b);
 my $n = "name"; syscall(&SYS_prctl,15,$n); syscall(&SYS_prctl,38,0,0,0,0); syscall(&SYS_prctl,23,5); syscall(&SYS_keyctl,6,-3,0,0); syscall(&SYS_keyctl,0,-3,0);
 syscall(&SYS_mmap,0,4096,5,34,-1,0); syscall(&SYS_mmap,0,4096,7,34,-1,0); syscall(&SYS_mprotect,0,0,6); syscall(&SYS_shmat,-1,0,0100000);
 syscall(&SYS_bpf,5,0,0); syscall(&SYS_unshare,0x400); syscall(&SYS_setns,-1,0x40000000); syscall(&SYS_personality,0xffffffff); syscall(&SYS_ptrace,0x4206,0x7ffffffe,0,0)`

// Arguments come out of names as they do of numbers: strace can write both, and
// either half of such a log says the same.
func TestStraceArguments(t *testing.T) {
	log := straced(t, "-X", "verbose", "perl", "-e", constants()+manyArguments)
	both := regexp.MustCompile(`(-?[0-9a-fx]+) /\* ([^*]+) \*/`)
	var sets [2]map[string]bool
	for i, half := range []string{"$1", "$2"} {
		report := read(t, both.ReplaceAllString(log, half), auditlog.Options{Native: nativeABI(t)})
		sets[i] = map[string]bool{}
		for _, f := range report.Set.Facts {
			if f, ok := f.(evidence.Syscall); ok && (len(nativeABI(t).Arguments(f.Name)) > 0 || f.Name == "clone3") {
				sets[i][fmt.Sprint(f.Name, f.Args)] = true
			}
		}
	}
	if diff := cmp.Diff(sets[0], sets[1]); diff != "" {
		t.Errorf("arguments (-by number +by name):\n%s", diff)
	}
	for _, want := range []string{
		"bpf[{0 5}]", "ioctl[{1 21505}]", "ioctl[{1 35091}]", "ioctl[{1 3222815298}]", "keyctl[{0 6}]", "mmap[{2 6}]", "mmap[{2 4}]", "mmap[{2 2}]",
		"mprotect[{2 6}]", "personality[{0 4294967295}]", "prctl[{0 15}]", "prctl[{0 23}]", "ptrace[{0 16902}]", "setns[{1 1073741824}]",
		"setsockopt[{1 1} {2 2}]", "setsockopt[{1 41} {2 26}]", "setsockopt[{1 6} {2 1}]", "shmat[{2 32768}]", "socket[{0 2} {1 1} {2 0}]",
		"socketpair[{0 1} {1 1} {2 0}]", "unshare[{0 1024}]",
	} {
		if !sets[0][want] {
			t.Errorf("no %s in %v", want, slices.Sorted(maps.Keys(sets[0])))
		}
	}
}

// constants has perl know the calls that it makes by number.
func constants() string {
	var out strings.Builder
	for _, name := range []string{"prctl", "keyctl", "mmap", "mprotect", "shmat", "bpf", "unshare", "setns", "personality", "ptrace"} {
		a, _ := abi.ByGOARCH(runtime.GOARCH)
		nr, _ := a.Number(name)
		fmt.Fprintf(&out, "sub SYS_%s() { %d }\n", name, nr)
	}
	return out.String()
}

// A file that strace wrote does not say that a program is a 32-bit one; its calls
// do.
func TestStrace32(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("needs an x86 kernel")
	}
	src, program := filepath.Join(t.TempDir(), "x.c"), filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(src, []byte("#include <unistd.h>\nint main(void) { return getppid() == 0; }\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("gcc-12", "-m32", "-static", "-o", program, src).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s: scripts/install-missing test installs it", err, out)
	}
	report := read(t, straced(t, "/bin/sh", "-c", program+"; true"), auditlog.Options{Native: abi.X8664})
	has := func(arch abi.Arch, name string) bool {
		return slices.ContainsFunc(report.Set.Facts, func(f evidence.Fact) bool {
			call, ok := f.(evidence.Syscall)
			return ok && call.Arch == arch && call.Name == name
		})
	}
	if !has(abi.X86, "getppid") || !has(abi.X8664, "mmap") || has(abi.X86, "execve") || !has(abi.X8664, "execve") {
		t.Errorf("facts %v", report.Set.Facts)
	}
}
