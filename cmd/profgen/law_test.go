package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/abi"
	"github.com/profgen/profgen/internal/image"
	"github.com/profgen/profgen/internal/profiledir"
)

// workload is an image, and the work that it is seen at.
type workload struct {
	image string
	check string // drives it, if it does not end by itself
	sees  string // what must be among what it does, so that the work is known to be work
}

// pages asks for pages of a server in the container's own network.
func pages(port int, more string) string {
	return fmt.Sprintf(`u=http://127.0.0.1:%d; curl -fsS $u/ >/dev/null && curl -sS $u/missing >/dev/null && curl -sS -X POST -d a=b $u/ >/dev/null && { %s; }`, port, more)
}

const postgresWork = `export PGHOST=127.0.0.1 PGUSER=postgres PGDATABASE=app; psql -qAt -v ON_ERROR_STOP=1 >/dev/null <<'SQL'
CREATE TABLE t(k serial PRIMARY KEY, v text, d date DEFAULT now());
INSERT INTO t(v) SELECT md5(i::text) FROM generate_series(1, 50000) i;
CREATE INDEX ON t(v);
SET work_mem = '64kB'; SELECT count(*) FROM (SELECT v FROM t ORDER BY v DESC) s;
SET max_parallel_workers_per_gather = 2; SET parallel_setup_cost = 0; SET min_parallel_table_scan_size = 0; SELECT sum(length(v)) FROM t;
SET jit = on; SET jit_above_cost = 0; SELECT avg(k) FROM t WHERE v > 'a';
CREATE EXTENSION pg_trgm; CREATE INDEX ON t USING gin (v gin_trgm_ops); CREATE EXTENSION pgcrypto; SELECT digest('a', 'sha256');
DO $$ BEGIN PERFORM pg_sleep(0.01); END $$; LISTEN l; NOTIFY l;
COPY t TO '/tmp/t.csv'; COPY t(k, v, d) FROM PROGRAM 'true'; VACUUM FULL t; ANALYZE; CHECKPOINT;
SELECT pg_stat_file('PG_VERSION'), pg_reload_conf(), pg_switch_wal(), inet_server_addr(), now() AT TIME ZONE 'Europe/Paris';
CREATE DATABASE more; DROP DATABASE more;
SQL
`

var workloads = []workload{
	{"nginx", pages(80, "true"), "accept4 epoll_wait"},
	{"redis", `r="redis-cli -h 127.0.0.1"; $r set k v | grep -q OK && $r get k && $r bgsave && $r info && $r bgrewriteaof && $r eval 'return redis.call("get","k")' 0 >/dev/null && while $r info persistence | grep -E '^(rdb_bgsave|aof_rewrite)_(in_progress|scheduled):1'; do sleep 0.1; done`, "fdatasync setsockopt"},
	{"memcached", servers[2].checkAt("127.0.0.1", 11211), "accept4 epoll_wait"},
	{"postgres", postgresWork, "shmget epoll_wait"},
	{"sqlite", "", "pwrite64 fcntl"},
	{"python", pages(8000, "true"), "accept4 getdents64"},
	{"node", pages(3000, "true"), "epoll_wait pkey_alloc"},
	{"static", pages(8080, "true"), "accept4 epoll_pwait"},
	{"rust", pages(8080, "true"), "accept4 clone3"},
	{"bash", "", "execve pipe2"},
	{"musl", "", "execve wait4"},
	{"lighttpd", pages(80, "curl -fsS $u/files/ && curl -fsS --compressed $u/files/numbers.txt >/dev/null && curl -sS $u/old"), "accept4 writev"},
	{"apache", pages(80, "for i in 1 2 3; do curl -fsS -H 'Accept-Encoding: gzip' $u/ >/dev/null & done; wait"), "accept4 epoll_wait"},
}

// The law: what a workload does is within what its code can reach, without a
// gap as the excuse. Who says what it does is the recorder, and strace at the
// same time, with every argument.
func TestObservedIsReachable(t *testing.T) {
	layout := testImages(t)
	for _, w := range workloads {
		t.Run(w.image, func(t *testing.T) {
			static := derived(t, layout+":"+w.image)
			calls := w.observe(t, layout)
			for _, name := range strings.Fields(w.sees) {
				if !calls.has(name) {
					t.Errorf("%s was not seen: the workload did not do the work that it is here for", name)
				}
			}
			can := newReach(static)
			const sites = 3 // at most, whose number is not known
			for _, c := range calls {
				can.hold(t, c)
			}
			expectGaps(t, w.image, static, sites)
			t.Logf("%d calls with different arguments made; %d names reachable", len(calls), len(can.facts))
		})
	}
}

// Modules of a server, which only its configuration names, and what V8 asks
// dlsym for are reached, and by no other way.
func TestModulesAreReachable(t *testing.T) {
	layout := testImages(t)
	for _, tc := range []struct{ image, call, object string }{
		{"lighttpd", "pwrite64", "usr/lib/lighttpd/mod_dirlisting.so"},
		{"node", "pkey_alloc", ""},
	} {
		set := derived(t, layout+":"+tc.image)
		i := slices.IndexFunc(set.Witnesses, func(w evidence.Witness) bool { return w.Syscall == tc.call })
		if i < 0 {
			t.Errorf("%s: no witness of %s", tc.image, tc.call)
			continue
		}
		w := set.Witnesses[i]
		through := func(s evidence.Step) bool { return tc.object == "" || s.Object == tc.object }
		if w.Tier != evidence.Plugin || !slices.ContainsFunc(w.Path, through) {
			t.Errorf("%s: %s is reached as %s, %+v; want a plugin, and through %s", tc.image, tc.call, w.Tier, w.Path, tc.object)
		}
	}
	calls := newReach(derived(t, layout+":apache")).facts
	for _, name := range []string{"accept", "accept4", "epoll_wait", "listen", "umask"} {
		if len(calls[name]) == 0 {
			t.Errorf("apache: %s is not reachable; its MPM, a module, makes it", name)
		}
	}
}

// What a scan alone writes is a profile to run under: nothing was recorded, and
// nothing that the workload does is refused. redis has two calls of libcap whose
// number is not known, so that the profile has to be asked for.
func TestScanAlone(t *testing.T) {
	layout := testImages(t)
	for _, tc := range []struct {
		image, runs, check string
	}{
		{"nginx", "20", servers[0].checkAt("127.0.0.1", 80)},
		{"redis", "20", servers[1].checkAt("127.0.0.1", 6379)},
		{"memcached", "20", servers[2].checkAt("127.0.0.1", 11211)},
		{"postgres", "3", `PGHOST=127.0.0.1 PGUSER=postgres PGDATABASE=app psql -qAt -c 'select 40+2' | grep -q 42`}, // makes a cluster each time
	} {
		t.Run(tc.image, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "profile")
			profgen(t, "scan", "--no-cache", "-o", dir, layout+":"+tc.image)
			out := profgen(t, "verify", dir, "--runs", tc.runs, "--image", layout+":"+tc.image, "--check", tc.check)
			if !strings.Contains(out, "passed "+tc.runs+" of "+tc.runs+" runs, denials 0\n") {
				t.Errorf("verify: %s", out)
			}
		})
	}
}

// derived is the evidence of scanning an image.
func derived(t *testing.T, ref string) evidence.Set {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "scan")
	profgen(t, "scan", "--no-cache", "--allow-incomplete", "-o", dir, ref)
	set, err := profiledir.Evidence(dir)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// made is a system call as it was made: its arguments as far as they are known.
type made struct {
	name string
	args string   // by index, in hexadecimal; "" if it is not known
	arch abi.Arch // of a recorder, which keeps of arguments only what abi.Arch.Arguments says; "" of strace, which keeps all
}

type madeCalls []made

func (m madeCalls) has(name string) bool {
	return slices.ContainsFunc(m, func(c made) bool { return c.name == name })
}

// observe records the workload while strace looks on, and returns what either
// of them saw. Each sees all that the other sees.
func (w workload) observe(t *testing.T, layout string) madeCalls {
	t.Helper()
	dir, log := filepath.Join(t.TempDir(), "record"), filepath.Join(t.TempDir(), "strace")
	args := []string{"record", "-o", dir, "--runtime", tracingRuntime(t, log), "--image", layout + ":" + w.image}
	if w.check != "" {
		args = append(args, "--check", w.check)
	}
	profgen(t, args...)
	set, err := profiledir.Evidence(dir)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	img, err := image.Open(t.Context(), layout+":"+w.image, image.Platform{})
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	calls := rawCalls(string(raw), img.Config().Command()[0])
	for _, f := range set.Facts {
		f, ok := f.(evidence.Syscall)
		if !ok || f.Phase == evidence.Runtime {
			continue
		}
		if f.Arch != set.Facts[0].(evidence.Syscall).Arch {
			t.Errorf("a call of another ABI: %+v", f)
		}
		if !calls.has(f.Name) {
			t.Errorf("recorded, and not seen by strace: %s", f.Name)
		}
		calls = append(calls, made{f.Name, fmtArgs(f.Args), f.Arch})
	}
	return calls
}

func fmtArgs(args []evidence.Arg) string {
	var list [6]string
	for _, a := range args {
		list[a.Index] = fmt.Sprintf("%#x", a.Value)
	}
	return strings.Join(list[:], ",")
}

// tracingRuntime is runc, with strace around what it runs. Arguments are written
// as they are in registers.
func tracingRuntime(t *testing.T, log string) string {
	t.Helper()
	script := fmt.Sprintf(`#!/bin/sh
case "$*" in *' run '*) exec strace -f -qq --pidns-translation -e 'raw=!execve,clone,clone3,fork,vfork' -o %s runc "$@";; esac
exec runc "$@"
`, log)
	path := filepath.Join(t.TempDir(), "runc-under-strace")
	if err := os.WriteFile(path, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

var rawArgs = regexp.MustCompile(`^\d+ +\w+\(((?:0x[0-9a-f]+|\d+)(?:, (?:0x[0-9a-f]+|\d+))*)`)

// rawCalls picks from strace's log the calls of the process that execs program,
// from then on, and of all that descends from it; each once. A child may be
// seen before the call that made it returns.
func rawCalls(log, program string) madeCalls {
	exec := regexp.MustCompile(`^(\d+) +execve\("(?:[^"]*/)?` + regexp.QuoteMeta(filepath.Base(program)) + `".*`)
	lines := strings.Split(log, "\n")
	from := slices.IndexFunc(lines, exec.MatchString)
	if from < 0 {
		return nil
	}
	root, lines := exec.FindStringSubmatch(lines[from])[1], lines[from+1:]
	parents := map[string]string{}
	for _, line := range lines {
		if m := straceChild.FindStringSubmatch(line); m != nil {
			parents[m[2]] = m[1]
		}
	}
	seen := map[made]bool{}
	var out madeCalls
	for _, line := range lines {
		m := straceCall.FindStringSubmatch(line)
		if m == nil || !descends(parents, m[1], root) {
			continue
		}
		c := made{name: m[2]}
		if a := rawArgs.FindStringSubmatch(line); a != nil {
			c.args = strings.ReplaceAll(a[1], ", ", ",")
		}
		if !seen[c] {
			seen[c] = true
			out = append(out, c)
		}
	}
	return out
}

func descends(parents map[string]string, pid, root string) bool {
	for pid != root {
		parent, ok := parents[pid]
		if !ok {
			return false
		}
		pid = parent
	}
	return true
}

// reach is what static analysis found reachable.
type reach struct {
	facts map[string][]evidence.Syscall
	told  map[string]bool
}

func newReach(set evidence.Set) reach {
	r := reach{map[string][]evidence.Syscall{}, map[string]bool{}}
	for _, f := range set.Facts {
		if f, ok := f.(evidence.Syscall); ok && f.Basis == evidence.Reachable {
			r.facts[f.Name] = append(r.facts[f.Name], f)
		}
	}
	return r
}

// kernelMakes are calls that no code of the image makes: a restart that the
// kernel asks for.
var kernelMakes = []string{"restart_syscall"}

// hold says so if a call is not among those that are reachable, with arguments
// that are.
func (r reach) hold(t *testing.T, c made) {
	t.Helper()
	facts := r.facts[c.name]
	if len(facts) == 0 && !slices.Contains(kernelMakes, c.name) && !r.told[c.name] {
		r.told[c.name] = true
		t.Errorf("%s was made, and was not found reachable", c.name)
	}
	if len(facts) == 0 || slices.ContainsFunc(facts, func(f evidence.Syscall) bool { return includes(f, c) }) {
		return
	}
	if what := c.name + "(" + c.args + ")"; !r.told[c.name+facts[0].Name] {
		r.told[c.name+facts[0].Name] = true
		t.Errorf("%s was made, and was found reachable only with %v", what, argsOf(facts))
	}
}

func argsOf(facts []evidence.Syscall) []string {
	var out []string
	for _, f := range facts {
		out = append(out, fmtArgs(f.Args))
	}
	return out
}

// includes reports whether the call may be one that the fact stands for. What
// is not known of it may be anything.
func includes(f evidence.Syscall, c made) bool {
	args := strings.Split(c.args, ",")
	for _, a := range f.Args {
		if int(a.Index) >= len(args) || args[a.Index] == "" {
			continue
		}
		v, err := strconv.ParseUint(args[a.Index], 0, 64)
		if err != nil {
			continue
		}
		mask := uint64(0xffffffff)
		for _, kept := range c.arch.Arguments(c.name) {
			if kept.Index == a.Index {
				mask &= kept.Mask
			}
		}
		if strings.HasPrefix(c.name, "socket") && a.Index == 1 {
			mask &^= 0o2004000 // SOCK_CLOEXEC, SOCK_NONBLOCK
		}
		if v&mask != a.Value&mask {
			return false
		}
	}
	return true
}

// gapsFile lists the gaps of each image, arguments apart: what static analysis
// may not use as an excuse, and what it says of itself.
const gapsFile = "testdata/gaps.txtar"

var updateGaps = flag.Bool("update", false, "rewrite "+gapsFile)

// expectGaps holds the gaps of an image against the list. Offsets and versions
// change with every update of a package, and are not in it.
func expectGaps(t *testing.T, image string, set evidence.Set, most int) {
	t.Helper()
	var lines []string
	sites := 0
	for _, g := range set.Gaps {
		if g.Kind == evidence.UnresolvedSyscall {
			sites++
			t.Logf("unresolved: %s", g)
			if !strings.Contains(g.Where, "+0x") {
				t.Errorf("a system call without a number has no place: %s", g)
			}
		}
		if g.Kind != evidence.UnresolvedArgument {
			lines = append(lines, gapLine(g))
		}
	}
	if sites > most {
		t.Errorf("%d system call sites without a number, want at most %d", sites, most)
	}
	slices.Sort(lines)
	got := strings.Join(slices.Compact(lines), "")
	doc, err := txtar.ParseFile(gapsFile)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(doc.Files, func(f txtar.File) bool { return f.Name == image })
	if i < 0 {
		doc.Files = append(doc.Files, txtar.File{Name: image})
		i = len(doc.Files) - 1
	}
	if string(doc.Files[i].Data) == got {
		return
	}
	if !*updateGaps {
		t.Errorf("gaps:\n%swant, in %s (-update rewrites it):\n%s", got, gapsFile, doc.Files[i].Data)
		return
	}
	doc.Files[i].Data = []byte(got)
	if err := os.WriteFile(gapsFile, txtar.Format(doc), 0o644); err != nil {
		t.Fatal(err)
	}
}

var (
	offset       = regexp.MustCompile(`\+0x[0-9a-f]+.*`)
	objectSuffix = regexp.MustCompile(`(\.so)[.0-9]*$`)
)

// gapLine is the kind of a gap, where it is, and whether it is covered.
func gapLine(g evidence.Gap) string {
	at := objectSuffix.ReplaceAllString(offset.ReplaceAllString(g.Where, ""), "$1")
	if g.Covered {
		at += "  covered"
	}
	return string(g.Kind) + "  " + at + "\n"
}
