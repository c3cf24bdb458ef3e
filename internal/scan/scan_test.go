package scan_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/image"
	"github.com/profgen/profgen/internal/scan"
)

// reachable scans a program of this machine.
func reachable(t *testing.T, binary string) evidence.Set {
	t.Helper()
	files, err := image.FolderFiles("/")
	if err != nil {
		t.Fatal(err)
	}
	set, err := scan.Run(context.Background(), scan.Options{Files: files, Binaries: []string{binary}})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// names are the system calls that a program can reach by itself.
func names(set evidence.Set, program string) []string {
	var out []string
	for _, w := range set.Witnesses {
		if w.Program == program && w.Syscall != "" {
			out = append(out, w.Syscall)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func encode(t *testing.T, set evidence.Set) string {
	t.Helper()
	var buf bytes.Buffer
	if err := evidence.Encode(&buf, set); err != nil {
		t.Fatal(err)
	}
	return buf.String()
}

var call = regexp.MustCompile(`(?m)^(?:\[pid +\d+\] |\d+ +)?([a-z][a-z0-9_]*)\(`)

// strace runs a program and returns the names of the system calls it makes.
func strace(t *testing.T, argv ...string) []string {
	t.Helper()
	log := filepath.Join(t.TempDir(), "log")
	cmd := exec.Command("strace", append([]string{"-o", log}, argv...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("strace %v: %v\n%s", argv, err, out)
	}
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, m := range call.FindAllSubmatch(text, -1) {
		out = append(out, string(m[1]))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// What a program does must be among what its code can reach: the law.
func TestObservedIsReachable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(file, []byte("b\na\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, argv := range [][]string{
		{"/usr/bin/ls", "-la", "/"},
		{"/usr/bin/bash", "-c", "for i in 1 2; do echo $i; done; exit 0"},
		{"/usr/bin/dash", "-c", "cd /; pwd; umask"},
		{"/usr/bin/sort", file},
		{"/usr/bin/cp", file, file + "2"},
		{"/usr/bin/redis-cli", "--version"},
		{"/usr/bin/jq", ".", "/dev/null"},
		{"/usr/bin/id"},
		{"/usr/bin/date"},
	} {
		if _, err := os.Stat(argv[0]); err != nil {
			t.Errorf("%s: make test installs it: %v", argv[0], err)
			continue
		}
		real, err := filepath.EvalSymlinks(argv[0])
		if err != nil {
			t.Fatal(err)
		}
		set := reachable(t, real)
		can := names(set, strings.TrimPrefix(real, "/"))
		seen := strace(t, argv...)
		for _, n := range seen {
			if !slices.Contains(can, n) {
				t.Errorf("%s makes %s, which was not found reachable", argv[0], n)
			}
		}
		n := unresolved(set)
		t.Logf("%s: %d made, %d reachable, %d sites unresolved", argv[0], len(seen), len(can), n)
		if n > 3 {
			t.Errorf("%s: %d system calls without a number, want at most 3", argv[0], n)
		}
	}
}

// unresolved counts the system calls whose number could not be found out.
func unresolved(set evidence.Set) int {
	n := 0
	for _, g := range set.Gaps {
		if g.Kind == evidence.UnresolvedSyscall {
			n++
		}
	}
	return n
}

// Every fact has a path that begins in some object and ends at the call.
func TestWitnesses(t *testing.T) {
	set := reachable(t, "/usr/bin/dash")
	facts := map[string]bool{}
	for _, f := range set.Facts {
		if f, ok := f.(evidence.Syscall); ok {
			facts[f.Name] = true
		}
	}
	for _, w := range set.Witnesses {
		if len(w.Path) == 0 || w.Path[len(w.Path)-1].Object == "" || w.Tier == "" {
			t.Errorf("%s of %s has no path: %+v", w.Syscall, w.Program, w)
		}
		delete(facts, w.Syscall)
	}
	if len(facts) > 0 {
		t.Errorf("no witness for %v", facts)
	}
}

// The same file gives the same bytes.
func TestDeterminism(t *testing.T) {
	if a, b := encode(t, reachable(t, "/usr/bin/dash")), encode(t, reachable(t, "/usr/bin/dash")); a != b {
		t.Error("two scans of one program differ")
	}
}

// syscalls writes the system calls among facts.
func syscalls(facts []evidence.Fact) []string {
	var out []string
	for _, f := range facts {
		if f, ok := f.(evidence.Syscall); ok {
			out = append(out, fmt.Sprint(f.Name, f.Args))
		}
	}
	return out
}

const goServer = `package main

import "net/http"

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("ok")) })
	panic(http.ListenAndServe("127.0.0.1:0", nil))
}
`

// Symbols are no help that is needed: a stripped Go program gives the same
// facts, position-independent and with C in it, too.
func TestStrippedGo(t *testing.T) {
	const small = "package main\n\nimport \"fmt\"\n\nfunc main() { fmt.Println() }\n" // quick to compile all of
	for _, mode := range []struct {
		name, source, cgo, flag string
		unresolved              int
	}{
		// runtime.runPerThreadSyscall repeats what syscall.AllThreadsSyscall is
		// given on every thread: its number is in memory.
		{"plain", goServer, "0", "-buildmode=exe", 1},
		{"pie", small, "0", "-buildmode=pie", 1},
		// glibc has one of the kind; and libcap two, which libnss_systemd brings.
		{"cgo", goServer, "1", "-buildmode=exe", 4},
	} {
		t.Run(mode.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(mode.source), 0o600); err != nil {
				t.Fatal(err)
			}
			facts := map[string][]evidence.Fact{}
			for _, flags := range []string{"", "-s -w"} {
				cmd := exec.Command("go", "build", mode.flag, "-ldflags", flags, "-o", "prog", "main.go")
				cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED="+mode.cgo)
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("go build: %v\n%s", err, out)
				}
				set := reachable(t, filepath.Join(dir, "prog"))
				facts[flags] = set.Facts
				if n := unresolved(set); n > mode.unresolved {
					t.Errorf("%q: %d system calls without a number, want at most %d", flags, n, mode.unresolved)
				}
			}
			plain, stripped := syscalls(facts[""]), syscalls(facts["-s -w"])
			if !slices.Equal(plain, stripped) || len(plain) < 40 {
				t.Errorf("with symbols %v\nwithout      %v", plain, stripped)
			}
			if mode.source == goServer {
				checkGoServer(t, facts["-s -w"], mode.cgo == "0")
			}
		})
	}
}

func checkGoServer(t *testing.T, facts []evidence.Fact, pure bool) {
	t.Helper()
	has := func(name string) bool {
		return slices.ContainsFunc(facts, func(f evidence.Fact) bool { s, ok := f.(evidence.Syscall); return ok && s.Name == name })
	}
	for _, n := range []string{"socket", "bind", "listen", "accept4", "epoll_pwait", "futex", "clone", "write"} {
		if !has(n) {
			t.Errorf("a Go HTTP server can reach %s", n)
		}
	}
	for _, n := range []string{"mount", "ptrace", "init_module"} {
		if pure && has(n) {
			t.Errorf("a Go HTTP server cannot reach %s", n)
		}
	}
}
