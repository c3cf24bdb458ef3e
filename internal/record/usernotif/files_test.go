//go:build linux && (amd64 || arm64)

package usernotif

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/record"
)

// folder returns a folder with what does.c uses.
func newFolder(t *testing.T) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		os.WriteFile(filepath.Join(dir, "old"), []byte("text"), 0o600),
		os.WriteFile(filepath.Join(dir, "closed"), nil, 0),
		os.WriteFile(filepath.Join(dir, "script"), []byte("#! "+program("acts")+" mark\n"), 0o700),
		os.Symlink("old", filepath.Join(dir, "link")),
		os.Symlink("dir/new", filepath.Join(dir, "nowhere")),
		os.Mkdir(filepath.Join(dir, "dir"), 0o700),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// uses returns what was done to files in dir, one a line: NAME KIND PERMS, and
// how the file came about if the workload made it, what it was linked from, why it
// failed.
func uses(t *testing.T, s evidence.Set, dir string) []string {
	t.Helper()
	out := []string{}
	for _, f := range of[evidence.FileAccess](s) {
		name, ok := strings.CutPrefix(string(f.Path), dir+"/")
		if !ok {
			continue
		}
		line := fmt.Sprintf("%s %s %s", name, f.Kind, f.Perms)
		if f.Origin == evidence.FromItself {
			line += " created"
		}
		if f.Target != "" {
			line += " from " + strings.TrimPrefix(string(f.Target), dir+"/")
		}
		if f.Errno == "" && !f.Owner {
			t.Errorf("%+v: the one who used it is its owner", f)
		}
		out = append(out, strings.TrimSpace(line+" "+f.Errno))
	}
	slices.Sort(out)
	return out
}

// Every permission alone, exactly: nothing missing, nothing besides.
func TestFiles(t *testing.T) {
	closed := "closed file r EACCES"
	if os.Geteuid() == 0 {
		closed = "closed file r"
	}
	for act, want := range map[string][]string{
		"r":          {"old file r"},
		"w":          {"old file w"},
		"rw":         {"old file rw"},
		"a":          {"old file a"},
		"create":     {"new file w created"},
		"createread": {"new file rw created"},
		"exclusive":  {},
		"opath":      {},
		"looks":      {},
		"list":       {"dir dir r"},
		"through":    {"old file r"},
		"dangling":   {"dir/new file w created"},
		"nofollow":   {},
		"closed":     {closed},
		"missing":    {},
		"at":         {"old file r"},
		"how":        {"old file r"},
		"mkdir":      {"newdir dir w created"},
		"rmdir":      {"dir dir w"},
		"unlink":     {"old file w"},
		"rename":     {"new file w created", "old file rw"},
		"link":       {"new file l created from old"},
		"symlink":    {"new symlink w created"},
		"mkfifo":     {"new fifo w created"},
		"chmod":      {"old file w"},
		"truncate":   {"old file w"},
		"lock":       {"old file k", "old file r"},
		"map":        {"old file m", "old file r"},
		"again":      {"new file r created", "new file w created", "old file r"},
		"unixsocket": {"new socket rw created", "new socket w created"},
		"exec":       {"script file rx"},
	} {
		t.Run(act, func(t *testing.T) {
			dir := newFolder(t)
			s := recordRun(t, record.AtExec, program("does"), act, dir)
			if diff := cmp.Diff(want, uses(t, s, dir)); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
			if g := gapsBut(s); len(g) > 0 {
				t.Errorf("gaps %v", g)
			}
		})
	}
}

// A script is run by its interpreter, which the kernel opens.
func TestScript(t *testing.T) {
	dir := newFolder(t)
	s := recordRun(t, record.AtExec, program("does"), "exec", dir)
	does, acts := evidence.Path(program("does")), evidence.Path(program("acts"))
	want := []evidence.Executed{
		{Path: evidence.Path(dir + "/script"), By: does, Phase: evidence.Start, Basis: evidence.Observed},
		{Path: does, Phase: evidence.Start, Basis: evidence.Observed},
	}
	if diff := cmp.Diff(evidence.Set{Facts: facts(want)}.Normalize().Facts, facts(of[evidence.Executed](s))); diff != "" {
		t.Errorf("programs (-want +got):\n%s", diff)
	}
	if !slices.ContainsFunc(of[evidence.FileAccess](s), func(f evidence.FileAccess) bool { return f.Path == acts && f.Perms == "rmx" }) {
		t.Error("the interpreter of the script is no program that was run")
	}
}

func facts[F evidence.Fact](in []F) []evidence.Fact {
	var out []evidence.Fact
	for _, f := range in {
		out = append(out, f)
	}
	return out
}

// What a process has of its own in /proc has no number in it.
func TestSelf(t *testing.T) {
	s := recordRun(t, record.AtExec, program("does"), "self")
	want := evidence.FileAccess{
		Path: "/proc/self/maps", Perms: "r", Kind: evidence.Regular, Owner: true, Origin: evidence.FromMount,
		Phase: evidence.Start, Basis: evidence.Observed,
	}
	if all := of[evidence.FileAccess](s); !slices.Contains(all, want) {
		t.Errorf("no maps in %v", all)
	}
}

func TestSignals(t *testing.T) {
	s := recordRun(t, record.AtExec, program("does"), "signals")
	sent := func(n uint32, to evidence.Peer) evidence.Signal {
		return evidence.Signal{Number: n, Peer: to, Phase: evidence.Start, Basis: evidence.Observed}
	}
	want := []evidence.Signal{sent(0, evidence.Outside), sent(10, evidence.Itself), sent(15, evidence.Within)}
	if diff := cmp.Diff(want, of[evidence.Signal](s)); diff != "" {
		t.Errorf("signals (-want +got):\n%s", diff)
	}
}

func TestPtrace(t *testing.T) {
	s := recordRun(t, record.AtExec, program("does"), "traces")
	want := []evidence.Ptrace{{Access: "trace", Peer: evidence.Within, Phase: evidence.Start, Basis: evidence.Observed}}
	if diff := cmp.Diff(want, of[evidence.Ptrace](s)); diff != "" {
		t.Errorf("ptrace (-want +got):\n%s", diff)
	}
}
