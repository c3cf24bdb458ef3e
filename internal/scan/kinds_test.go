package scan

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/profgen/profgen/internal/abi"
	"github.com/profgen/profgen/internal/image"
	"github.com/profgen/profgen/internal/scan/graph"
)

// The arguments that select what a call does are known for the programs that
// have few of them.
func TestArgumentsOfPrograms(t *testing.T) {
	files, err := image.FolderFiles("/")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		program  string
		complete string            // calls whose argument is known
		values   map[string]string // and which it is
	}{
		{"/usr/bin/ls", "ioctl fcntl madvise setsockopt prlimit64", nil},
		{"/usr/sbin/nginx", "prctl fcntl madvise setsockopt prlimit64 socketpair", map[string]string{"prctl": "4 8"}},
		{"/usr/bin/memcached", "prctl", map[string]string{"prctl": "15"}},
	} {
		if _, err := os.Stat(tt.program); err != nil && tt.program != "/usr/bin/ls" {
			t.Logf("%s is not here", tt.program)
			continue
		}
		a := bare(t, files, tt.program)
		for _, name := range strings.Fields(tt.complete) {
			arg := a.argument(a.called(name), selectors()[name])
			if !arg.complete() {
				t.Errorf("%s: %s: %v, and %d places not known", tt.program, name, arg.values, len(arg.unresolved))
			}
			if want := tt.values[name]; want != "" && want != strings.Join(decimal(arg.values), " ") {
				t.Errorf("%s: %s is called with %v, want %s", tt.program, name, arg.values, want)
			}
		}
	}
}

func decimal(values []uint64) []string {
	var out []string
	for _, v := range values {
		out = append(out, strconv.FormatUint(v, 10))
	}
	return out
}

// musl's calls that are cancellation points go through three functions, the
// first of which is a weak alias; its assembly sets parts of registers.
func TestMusl(t *testing.T) {
	for name, args := range map[string][]string{"dynamic": nil, "static": {"-static"}, "stripped": {"-static", "-s"}} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			out := filepath.Join(dir, "prog")
			compile(t, "musl-gcc", append(args, "-O2", "-o", out, "testdata/musl.c")...)
			made := strings.Fields("accept4 clone connect execve exit fork:clone openat:open pause:ppoll poll read recvfrom sendto socket wait4 write setuid setgroups")
			hold(t, "/", out, made, 3)
		})
	}
}

// The same analysis holds for arm64, compared with what programs do under
// emulation.
func TestARM64(t *testing.T) {
	dir := t.TempDir()
	for name, args := range map[string][]string{"static": {"-static"}, "stripped": {"-static", "-s"}, "pie": {"-static-pie"}} {
		t.Run(name, func(t *testing.T) {
			out := filepath.Join(dir, name)
			compile(t, "aarch64-linux-gnu-gcc", append(args, "-O2", "-w", "-o", out, "testdata/musl.c")...)
			trace, err := exec.Command("qemu-aarch64", "-strace", out, "quick").CombinedOutput()
			if err != nil {
				t.Fatalf("qemu-aarch64: %v\n%s", err, trace)
			}
			hold(t, "/", out, traced(string(trace)), 3)
		})
	}
}

// qemuCall is a line of qemu's -strace. Two threads may begin one at once.
var qemuCall = regexp.MustCompile(`(?m)^(?:\d+ )+(\w+)\(`)

// traced are the names of the calls in what qemu's -strace prints. A handler of
// signals returns through the kernel's own code, which no program has.
func traced(text string) []string {
	var out []string
	for _, m := range qemuCall.FindAllStringSubmatch(text, -1) {
		if m[1] != "rt_sigreturn" {
			out = append(out, m[1])
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func compile(t *testing.T, compiler string, args ...string) {
	t.Helper()
	if b, err := exec.Command(compiler, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", compiler, err, b)
	}
}

// hold checks that a program's calls are found, and that few are unresolved.
// "fork:clone" is either.
func hold(t *testing.T, root, program string, made []string, most int) {
	t.Helper()
	files, err := image.FolderFiles(root)
	if err != nil {
		t.Fatal(err)
	}
	a := bare(t, files, program)
	found := a.names()
	for _, n := range made {
		if !slices.ContainsFunc(strings.Split(n, ":"), func(n string) bool { return slices.Contains(found, n) }) {
			t.Errorf("does not find %s: %v", n, found)
		}
	}
	for _, u := range a.failed {
		t.Logf("unresolved: %s %s", where(u.Node.Func.Code.Object.Path, u.Site), u.Why)
	}
	if len(a.failed) > most || len(made) < 10 {
		t.Errorf("%d calls made; %d sites are unresolved, want at most %d", len(made), len(a.failed), most)
	}
	t.Logf("%d calls found, %d unresolved", len(found), len(a.failed))
}

// A raw socket of one family and a stream of another are no raw stream: what one
// caller of a wrapper gives goes together.
func TestSocketsTogether(t *testing.T) {
	dir := t.TempDir()
	src, out := filepath.Join(dir, "a.c"), filepath.Join(dir, "a")
	code := `static long sys(long n, long a, long b, long c) { long r; __asm__ volatile("syscall" : "=a"(r) : "a"(n), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory"); return r; }
__attribute__((noinline)) static long open_socket(int family, int type, int protocol) { return sys(41, family, type, protocol); }
void _start(void) { open_socket(2, 3 | 02000000, 1); open_socket(1, 1, 0); sys(60, 0, 0, 0); for (;;); }
`
	if err := os.WriteFile(src, []byte(code), 0o600); err != nil {
		t.Fatal(err)
	}
	compile(t, "gcc", "-O2", "-nostdlib", "-static", "-o", out, src)
	files, err := image.FolderFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	a := bare(t, files, "a")
	got := fmt.Sprint(a.sockets(a.called("socket")).ways)
	if raw, stream := "[{0 2} {1 3} {2 1}]", "[{0 1} {1 1} {2 0}]"; got != "["+raw+" "+stream+"]" && got != "["+stream+" "+raw+"]" {
		t.Errorf("%s: want %s and %s, and nothing else", got, raw, stream)
	}
}

// Calls of other ABIs are reported: x32's as such, those of 32-bit code as a
// gap.
func TestForeignCalls(t *testing.T) {
	dir := t.TempDir()
	src, out := filepath.Join(dir, "a.s"), filepath.Join(dir, "a")
	code := ".globl _start\n_start: mov $0x40000027,%eax\nsyscall\nmov $20,%eax\nint $0x80\nmov $60,%eax\nsyscall\nhlt\n"
	if err := os.WriteFile(src, []byte(code), 0o600); err != nil {
		t.Fatal(err)
	}
	compile(t, "gcc", "-nostdlib", "-static", "-o", out, src)
	files, err := image.FolderFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	a := bare(t, files, "a")
	if arch, name := a.callee(a.calls[slices.IndexFunc(a.calls, func(c graph.Syscall) bool { return c.Number > 1000 })]); arch != abi.X32 || name != "getpid" {
		t.Errorf("%v %s", arch, name)
	}
	a.foreign()
	if len(a.found) != 1 || !strings.HasPrefix(a.found[0].Where, "a+0x") {
		t.Errorf("%+v: want int 0x80 with its place", a.found)
	}
}
