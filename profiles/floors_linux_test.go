package profiles_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/profgen/profgen/profiles"
)

// starts is how often each way to start has to succeed: a set that lacks a
// call of the Go runtime's still works most of the time.
const starts = 40

// TestFloorStarts starts containers through the runtimes that are installed,
// with nothing allowed but the floor and what a small program needs.
func TestFloorStarts(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	for _, name := range []string{"runc", "crun"} {
		t.Run(name, func(t *testing.T) {
			rt := findRuntime(t, name)
			if err := rt.run(t, fmt.Sprintf("floor-%d-none", os.Getpid()), nil); err == nil {
				t.Fatal("starts without any floor: the filter is not in force")
			}
			for _, nnp := range []bool{true, false} {
				rt.noNewPrivileges = nnp
				suffix := map[bool]string{true: "", false: "-without-nnp"}[nnp]
				allowed := floor(t, rt.floor+suffix)
				t.Run("run"+suffix, func(t *testing.T) { repeat(t, func(id string) error { return rt.run(t, id, allowed) }) })
				t.Run("create"+suffix, func(t *testing.T) { repeat(t, func(id string) error { return rt.createStart(t, id, allowed) }) })
				if name == "crun" {
					allowed = append(allowed, floor(t, "crun-exec"+suffix)...)
				}
				t.Run("exec"+suffix, func(t *testing.T) { rt.exec(t, allowed) })
			}
		})
	}
}

func floor(t *testing.T, name string) []string {
	t.Helper()
	f, err := profiles.FloorByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return f.Syscalls
}

func repeat(t *testing.T, start func(id string) error) {
	n := starts
	if testing.Short() {
		n = 3
	}
	failed := 0
	for i := range n {
		if err := start(fmt.Sprintf("floor-%d-%d", os.Getpid(), i)); err != nil {
			failed++
			t.Logf("start %d: %v", i+1, err)
		}
	}
	if failed > 0 {
		t.Errorf("%d of %d starts failed", failed, n)
	}
}

// ociRuntime is an installed OCI runtime and the floor that its version has.
type ociRuntime struct {
	argv            []string
	floor           string
	noNewPrivileges bool
}

func findRuntime(t *testing.T, name string) ociRuntime {
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%v: scripts/install-missing test installs it", err)
	}
	rt := ociRuntime{argv: []string{path, "--root", t.TempDir()}, floor: name}
	if name == "runc" {
		out, err := exec.Command(path, "--version").Output()
		if err != nil {
			t.Fatal(err)
		}
		rt.floor = "runc-1.2"
		if regexp.MustCompile(`version 1\.1\.`).Match(out) {
			rt.floor = "runc-1.1"
		}
		return rt
	}
	// crun refuses a host that has the unified hierarchy beside others.
	const unified = "/sys/fs/cgroup/unified"
	if _, err := os.Stat(unified); err == nil {
		rt.argv = append([]string{"unshare", "-m", "sh", "-c", "umount " + unified + `; exec "$@"`, "--"}, rt.argv...)
	}
	return rt
}

func (rt ociRuntime) command(args ...string) *exec.Cmd {
	argv := append(slices.Clone(rt.argv), args...)
	return exec.Command(argv[0], argv[1:]...)
}

// run has the program write a line and exit, in a container of its own.
func (rt ociRuntime) run(t *testing.T, id string, allowed []string) error {
	return expectLine(rt.command("run", "--bundle", rt.bundle(t, allowed, "/hello"), id))
}

func (rt ociRuntime) createStart(t *testing.T, id string, allowed []string) error {
	defer rt.remove(t, id)
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	create := rt.command("create", "--bundle", rt.bundle(t, allowed, "/hello"), id)
	create.Stdout, create.Stderr = out, out
	if err := create.Run(); err != nil {
		return fmt.Errorf("create: %w: %s", err, contents(t, out))
	}
	if b, err := rt.command("start", id).CombinedOutput(); err != nil {
		return fmt.Errorf("start: %w: %s", err, b)
	}
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if contents(t, out) == "hello\n" {
			return nil
		}
	}
	return fmt.Errorf("no answer: %q", contents(t, out))
}

// exec starts a program that waits, and another beside it again and again.
func (rt ociRuntime) exec(t *testing.T, allowed []string) {
	id := fmt.Sprintf("floor-%d-wait", os.Getpid())
	defer rt.remove(t, id)
	stdin, hold, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer hold.Close()
	defer stdin.Close()
	start := rt.command("run", "--detach", "--bundle", rt.bundle(t, append(slices.Clone(allowed), "read"), "/wait"), id)
	start.Stdin = stdin
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	start.Stdout, start.Stderr = out, out
	if err := start.Run(); err != nil {
		t.Fatalf("run: %v: %s", err, contents(t, out))
	}
	repeat(t, func(string) error { return expectLine(rt.command("exec", id, "/hello")) })
}

func expectLine(cmd *exec.Cmd) error {
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil || string(out) != "hello\n" {
		return fmt.Errorf("%v: %q: %s", err, out, &stderr)
	}
	return nil
}

func (rt ociRuntime) remove(t *testing.T, id string) {
	if out, err := rt.command("delete", "--force", id).CombinedOutput(); err != nil && !strings.Contains(string(out), "not exist") {
		t.Logf("delete %s: %v: %s", id, err, out)
	}
}

func contents(t *testing.T, f *os.File) string {
	t.Helper()
	b, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// bundle writes an OCI bundle whose filter allows the given calls and the
// program's own two, and answers ENOSYS to all others.
func (rt ociRuntime) bundle(t *testing.T, allowed []string, program string) string {
	t.Helper()
	dir := t.TempDir()
	root := filepath.Join(dir, "rootfs")
	for _, d := range []string{"proc", "dev", "sys"} {
		if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, code := range programs(t) {
		if err := os.WriteFile(filepath.Join(root, name), executable(code), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	b, err := json.Marshal(rt.config(allowed, program))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), b, 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func (rt ociRuntime) config(allowed []string, program string) *specs.Spec {
	errno := uint(38)
	caps := []string{"CAP_KILL"}
	return &specs.Spec{
		Version: "1.0.2",
		Process: &specs.Process{
			Args: []string{program}, Cwd: "/", NoNewPrivileges: rt.noNewPrivileges,
			Capabilities: &specs.LinuxCapabilities{Bounding: caps, Effective: caps, Permitted: caps},
		},
		Root: &specs.Root{Path: "rootfs"},
		Mounts: []specs.Mount{
			{Destination: "/proc", Type: "proc", Source: "proc"},
			{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "mode=755"}},
		},
		Linux: &specs.Linux{
			Namespaces: []specs.LinuxNamespace{{Type: specs.PIDNamespace}, {Type: specs.MountNamespace}, {Type: specs.IPCNamespace}, {Type: specs.UTSNamespace}},
			Seccomp: &specs.LinuxSeccomp{
				DefaultAction: specs.ActErrno, DefaultErrnoRet: &errno,
				Syscalls: []specs.LinuxSyscall{{Names: append([]string{"write", "exit_group"}, allowed...), Action: specs.ActAllow}},
			},
		},
	}
}

// programs returns the machine code of two programs: hello writes a line and
// exits, wait reads a byte first. A test that compiled C would need a compiler.
func programs(t *testing.T) map[string][]byte {
	t.Helper()
	var read, write []byte
	switch runtime.GOARCH {
	case "amd64":
		read = []byte("\x31\xc0" + // xor eax, eax (read)
			"\x31\xff" + // xor edi, edi
			"\x48\x89\xe6" + // mov rsi, rsp
			"\xba\x01\x00\x00\x00" + // mov edx, 1
			"\x0f\x05") // syscall
		write = []byte("\xb8\x01\x00\x00\x00" + // mov eax, 1 (write)
			"\xbf\x01\x00\x00\x00" + // mov edi, 1
			"\x48\x8d\x35\x10\x00\x00\x00" + // lea rsi, [rip+16]
			"\xba\x06\x00\x00\x00" + // mov edx, 6
			"\x0f\x05" + // syscall
			"\xb8\xe7\x00\x00\x00" + // mov eax, 231 (exit_group)
			"\x31\xff" + // xor edi, edi
			"\x0f\x05" + // syscall
			"hello\n")
	case "arm64":
		words := func(w ...uint32) (out []byte) {
			for _, v := range w {
				out = binary.LittleEndian.AppendUint32(out, v)
			}
			return out
		}
		read = words(
			0xd2800000, // mov x0, #0
			0x910003e1, // mov x1, sp
			0xd2800022, // mov x2, #1
			0xd28007e8, // mov x8, #63 (read)
			0xd4000001) // svc #0
		write = append(words(
			0xd2800020,  // mov x0, #1
			0x100000e1,  // adr x1, .+28
			0xd28000c2,  // mov x2, #6
			0xd2800808,  // mov x8, #64 (write)
			0xd4000001,  // svc #0
			0xd2800000,  // mov x0, #0
			0xd2800bc8,  // mov x8, #94 (exit_group)
			0xd4000001), // svc #0
			"hello\n"...)
	default:
		t.Skipf("no program for %s", runtime.GOARCH)
	}
	return map[string][]byte{"hello": write, "wait": slices.Concat(read, write)}
}

// executable wraps code in the smallest static ELF file: one header, one
// segment.
func executable(code []byte) []byte {
	const headers, base = 64 + 56, 0x400000
	machine := map[string]uint16{"amd64": 62, "arm64": 183}[runtime.GOARCH]
	size := uint64(headers + len(code))
	var b bytes.Buffer
	b.WriteString("\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 9))
	for _, v := range []any{
		uint16(2), machine, uint32(1), uint64(base + headers), uint64(64), uint64(0), // type, machine, version, entry, phoff, shoff
		uint32(0), uint16(64), uint16(56), uint16(1), uint16(0), uint16(0), uint16(0), // flags, sizes and counts
		uint32(1), uint32(5), uint64(0), uint64(base), uint64(base), size, size, uint64(0x10000), // PT_LOAD, R+X
	} {
		_ = binary.Write(&b, binary.LittleEndian, v) // a bytes.Buffer takes everything
	}
	b.Write(code)
	return b.Bytes()
}
