package scan

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/profgen/profgen/internal/image"
	"github.com/profgen/profgen/internal/scan/graph"
	"github.com/profgen/profgen/internal/scan/link"
	"github.com/profgen/profgen/internal/scan/program"
)

// anchor is a program of Debian 12 of which other analyses of the same file are
// known: how many system calls an early experiment with profgen's method found
// (with what starts the program, without plugins), and how many callander does
// (without what starts it, with libnss_systemd and all of gconv).
type anchor struct {
	program               string // a path; or the source of a Go program
	pkg                   string // of Debian; "" if the tests need it anyway
	experiment, callander int    // callander: 0 if it gives up
}

var anchors = []anchor{
	{"/usr/bin/ls", "", 76, 87},
	{"/usr/sbin/nginx", "nginx", 116, 126},
	{"/usr/bin/redis-server", "redis-server", 111, 133},
	{"/usr/bin/memcached", "memcached", 109, 122},
	{"/usr/sbin/lighttpd", "lighttpd", 102, 108},
	{"/usr/sbin/haproxy", "haproxy", 123, 133},
	{"/usr/bin/sqlite3", "sqlite3", 101, 118},
	{"/usr/sbin/apache2", "apache2-bin", 117, 115},
	{"/usr/lib/postgresql/15/bin/postgres", "postgresql-15", 138, 152},
	{"/usr/sbin/mariadbd", "mariadb-server-core", 142, 156},
	{"/usr/bin/node", "nodejs", 149, 152},
	{"/usr/bin/python3.11", "python3.11-minimal", 181, 210},
	{"/usr/bin/bash", "", 95, 111},
	{"/usr/bin/dash", "", 87, 97},
	{"hello", "", 42, 0},
	{"http", "", 63, 0},
}

// startup are the calls that begin a program and that callander, which looks
// only at what comes after main, does not count.
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
		like := slices.DeleteFunc(plain.names(), func(n string) bool { return slices.Contains(startup, n) })
		verdict := ""
		if len(own) > a.experiment || a.callander > 0 && len(like) > a.callander {
			verdict = "more than others"
			if a.pkg == "" {
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
		image: &objects{files: files}, finder: program.New(files, program.Config{}), scanned: map[string]bool{},
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
	for _, m := range a.gconvModules() {
		a.open(a.link.Exe, m)
	}
	a.settle(t)
}

func (a *analysis) names() []string {
	var out []string
	for _, c := range a.calls {
		_, name := a.callee(c)
		out = append(out, name)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

var _ = fmt.Sprint
var _ = strings.Join
