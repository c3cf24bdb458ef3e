package scan

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/profgen/profgen/internal/elfx"
	"github.com/profgen/profgen/internal/image"
	"github.com/profgen/profgen/internal/scan/graph"
	"github.com/profgen/profgen/internal/scan/link"
	"github.com/profgen/profgen/internal/scan/program"
)

// anchor is a program of Debian 12 of which other analyses of the same file are
// known: how many system calls an early experiment with profgen's method found
// (with what starts the program, without plugins), and how many callander does
// (--show-permitted --skip-running --ignore-dlopen --block-exec: without what
// starts the program and what ld.so does, with libnss_systemd and all of gconv).
type anchor struct {
	program               string // a path; or the source of a Go program
	pkg                   string // of Debian; "" if the tests need it anyway
	experiment, callander int    // callander: 0 if it gives up
	missed                string // what the program does and the experiment did not find: see TestMissed
	excess                int    // how many more than callander's are found: to be none
}

var anchors = []anchor{
	{"/usr/bin/ls", "", 76, 87, "", 0},
	{"/usr/sbin/nginx", "nginx", 116, 126, "", 0},
	{"/usr/bin/redis-server", "redis-server", 111, 133, "", 0},
	{"/usr/bin/memcached", "memcached", 109, 122, "", 0},
	{"/usr/sbin/lighttpd", "lighttpd", 102, 108, "", 0},
	{"/usr/sbin/haproxy", "haproxy", 123, 133, "", 0},
	{"/usr/bin/sqlite3", "sqlite3", 101, 118, "", 0},
	{"/usr/sbin/apache2", "apache2-bin", 117, 115, "", 0},
	{"/usr/lib/postgresql/15/bin/postgres", "postgresql-15", 138, 152, "", 0},
	{"/usr/sbin/mariadbd", "mariadb-server-core", 142, 156, "", 0},
	{"/usr/bin/node", "nodejs", 149, 152, "", 0},
	{"/usr/bin/python3.11", "python3.11-minimal", 181, 210, "fdatasync fsync", 0},
	{"/usr/bin/bash", "", 95, 111, "", 0},
	{"/usr/bin/dash", "", 87, 97, "", 1},
	{"hello", "", 42, 0, "", 0},
	{"http", "", 63, 0, "", 0},
}

// startup are the calls that begin a program and that callander, which looks
// only at what comes after main and was told to refuse exec, does not count.
var startup = []string{"arch_prctl", "execve", "rseq", "set_robust_list", "set_tid_address"}

var goSources = map[string]string{
	"hello": "package main\n\nimport \"fmt\"\n\nfunc main() { fmt.Println(\"hello\") }\n",
	"http": "package main\n\nimport \"net/http\"\n\nfunc main() {\n" +
		"\thttp.HandleFunc(\"/\", func(w http.ResponseWriter, r *http.Request) { w.Write([]byte(\"ok\")) })\n" +
		"\tpanic(http.ListenAndServe(\"127.0.0.1:0\", nil))\n}\n",
}

// TestNames prints how many system calls are found reachable beside what others
// find, and holds it to be no more. What was measured elsewhere was measured on
// the packages of one day: programs that only chance has installed are printed
// and not held to anything.
func TestNames(t *testing.T) {
	files, err := image.FolderFiles("/")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%-36s %5s %10s | %5s %9s | %s", "program", "ours", "experiment", "ours", "callander", "sites unresolved")
	for _, a := range anchors {
		binary := a.program
		if source, ok := goSources[binary]; ok {
			binary = buildGo(t, source, "-s -w")
		}
		if _, err := os.Stat(binary); err != nil {
			t.Logf("%-36s not here: install %s", a.program, a.pkg)
			continue
		}
		plain := bare(t, files, binary)
		own, unresolved := plain.names(), len(plain.failed)
		plain.nss(t)
		like := slices.DeleteFunc(plain.afterMain(), func(n string) bool { return slices.Contains(startup, n) })
		verdict := a.missed
		if len(own) > a.experiment+len(strings.Fields(a.missed)) || a.callander > 0 && len(like) > a.callander {
			verdict = "more than others"
			if a.pkg == "" && (len(own) > a.experiment || len(like) > a.callander+a.excess) {
				t.Errorf("%s: %d calls, %d like callander", a.program, len(own), len(like))
			}
		}
		t.Logf("%-36s %5d %10d | %5d %9d | %d %s", a.program, len(own), a.experiment, len(like), a.callander, unresolved, verdict)
	}
}

func buildGo(t *testing.T, source, ldflags string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "build", "-ldflags", ldflags, "-o", "main", "main.go")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return filepath.Join(dir, "main")
}

// bare analyses a program without any plugin but what dlsym asks for by name.
func bare(t *testing.T, files Files, binary string) *analysis {
	t.Helper()
	real, err := files.Resolve(binary)
	if err != nil {
		t.Fatal(err)
	}
	s := &scan{
		opt: Options{Files: files}, linker: link.New(files), codes: &graph.Codes{},
		image: &objects{files: files}, finder: program.New(files, program.Config{}), scanned: map[string]bool{}, said: map[*elfx.File][]string{},
	}
	a := &analysis{
		scan: s, program: program.Program{Path: real},
		opened: map[string]bool{}, symbols: map[string]bool{}, unknown: map[string]bool{}, classed: map[string]bool{},
	}
	if err := a.load(); err != nil {
		t.Fatal(err)
	}
	a.graph.Start()
	a.settle(t)
	return a
}

// settle follows names given to dlsym to a fix-point.
func (a *analysis) settle(t *testing.T) {
	t.Helper()
	for work := -1; work != a.work; {
		work = a.work
		a.askDlsym()
		if err := a.graph.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	a.calls, a.failed = a.graph.Syscalls()
}

// nss adds the plugins that callander adds.
func (a *analysis) nss(t *testing.T) {
	t.Helper()
	if len(a.live("getpwnam")) == 0 && len(a.link.Objects) == 1 {
		return
	}
	a.open(a.link.Exe, "libnss_systemd.so.2")
	for _, o := range slices.Clone(a.link.Objects) {
		if !strings.HasPrefix(filepath.Base(o.Path), "libc.so") {
			continue
		}
		for _, m := range a.gconvModules(o) {
			a.open(a.link.Exe, m)
		}
	}
	a.settle(t)
}

func (a *analysis) names() []string { return a.madeBy(func(*link.Object) bool { return true }) }

// afterMain is what callander means to find: it leaves out ld.so, assuming that
// dlopen is not called.
func (a *analysis) afterMain() []string {
	return a.madeBy(func(o *link.Object) bool { return o != a.link.Interp })
}

// madeBy are the names of the calls that some objects make.
func (a *analysis) madeBy(counts func(*link.Object) bool) []string {
	var out []string
	for _, c := range a.calls {
		if _, name := a.callee(c); counts(c.Maker.Func.Code.Object) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// What the experiment is said to have missed must be there: Python hands fsync
// to a function that calls it.
func TestMissed(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	program := "import os; f = os.open(os.devnull, os.O_RDWR)\nfor sync in os.fsync, os.fdatasync:\n try: sync(f)\n except OSError: pass"
	if out, err := exec.Command("strace", "-o", log, "python3", "-S", "-c", program).CombinedOutput(); err != nil {
		t.Fatalf("strace python3: %v\n%s", err, out)
	}
	made, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range anchors {
		for _, n := range strings.Fields(a.missed) {
			if !strings.Contains(string(made), "\n"+n+"(") {
				t.Errorf("%s does not make %s", a.program, n)
			}
		}
	}
}
