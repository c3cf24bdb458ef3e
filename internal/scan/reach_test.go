package scan_test

import (
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/elfx"
	"github.com/profgen/profgen/internal/image"
	"github.com/profgen/profgen/internal/scan"
	"github.com/profgen/profgen/internal/scan/program"
)

// Each document of testdata/reach is a way in which code comes to run that an
// analysis can overlook. It is built into a root file system of its own (build,
// a shell script in that folder, beside the other files of the document), and
// scanned as an image that starts with run, under the variables of env; and it
// is run there under strace.
//
// All that it does must be reachable, and what the document says it reaches
// must be among what it does. gaps are patterns, one for each gap of static
// analysis, arguments apart, that there has to be. missing are calls that are
// not found yet, behind one of these gaps.
func TestReach(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: to run programs in a root file system of their own")
	}
	docs, err := filepath.Glob("testdata/reach/*.txtar")
	if err != nil || len(docs) < 10 {
		t.Fatalf("%d documents in testdata/reach: %v", len(docs), err)
	}
	for _, name := range docs {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			t.Parallel()
			doc, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			newReachCase(t, doc).check(t)
		})
	}
}

// reachCase is one document, built.
type reachCase struct {
	root string
	file map[string]string // of the document
}

func newReachCase(t *testing.T, doc *txtar.Archive) reachCase {
	t.Helper()
	c := reachCase{t.TempDir(), map[string]string{}}
	for _, f := range doc.Files {
		c.file[f.Name] = string(f.Data)
		path := filepath.Join(c.root, f.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f.Data, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(c.root, "lib"), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-e", "build")
	cmd.Dir = c.root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	c.libraries(t)
	return c
}

var needed = regexp.MustCompile(`(?m)^\s*(?:\S+ => )?(/\S+) \(0x`)

// libraries brings in what the built files need of this machine.
func (c reachCase) libraries(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir(c.root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(p)
		if f, parseErr := elfx.Parse(data); err != nil || parseErr != nil || len(f.Dynamic.Needed) == 0 {
			return err
		}
		out, _ := exec.Command("ldd", p).Output() // a library that only the root has is not found
		for _, m := range needed.FindAllStringSubmatch(string(out), -1) {
			if !strings.HasPrefix(m[1], c.root) {
				c.install(t, m[1])
			}
			if filepath.Base(m[1]) == "libc.so.6" { // it needs its linker by name
				linkers, _ := filepath.Glob(filepath.Join(filepath.Dir(m[1]), "ld-linux-*"))
				for _, l := range linkers {
					c.install(t, l)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// install copies a file of this machine, unless the root has it.
func (c reachCase) install(t *testing.T, file string) {
	to := filepath.Join(c.root, file)
	if _, err := os.Stat(to); err == nil {
		return
	}
	if out, err := exec.Command("install", "-D", file, to).CombinedOutput(); err != nil {
		t.Errorf("%s", out)
	}
}

func (c reachCase) check(t *testing.T) {
	t.Helper()
	argv, env := strings.Fields(c.file["run"]), strings.Fields(c.file["env"])
	files, err := image.FolderFiles(c.root)
	if err != nil {
		t.Fatal(err)
	}
	elfs, err := files.ELFs()
	if err != nil {
		t.Fatal(err)
	}
	set, err := scan.Run(context.Background(), scan.Options{Files: files, Config: program.Config{Entrypoint: argv, Env: env}, Objects: elfs})
	if err != nil {
		t.Fatal(err)
	}
	did, can := c.trace(t, argv, env), reachedNames(set)
	missing := strings.Fields(c.file["missing"])
	for _, name := range did {
		switch found := slices.Contains(can, name); {
		case found && slices.Contains(missing, name):
			t.Errorf("%s is found reachable: the document no longer needs it as missing", name)
		case !found && !slices.Contains(missing, name):
			t.Errorf("%s was made, and was not found reachable", name)
		}
	}
	for _, name := range strings.Fields(c.file["reaches"]) {
		if !slices.Contains(did, name) {
			t.Errorf("%s was not made: the document does not show what it says", name)
		}
	}
	c.checkGaps(t, set)
}

func reachedNames(set evidence.Set) []string {
	var out []string
	for _, f := range set.Facts {
		if f, ok := f.(evidence.Syscall); ok {
			out = append(out, f.Name)
		}
	}
	return out
}

// trace runs the program in its root under strace and returns the names of the
// calls it made.
func (c reachCase) trace(t *testing.T, argv, env []string) []string {
	t.Helper()
	log := filepath.Join(t.TempDir(), "log")
	args := []string{"-f", "-o", log, "chroot", c.root}
	if len(env) > 0 {
		for _, e := range env { // not for strace and chroot themselves
			args = append([]string{"-E", e}, args...)
		}
	}
	cmd := exec.Command("strace", append(args, argv...)...)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("run %v: %v\n%s", argv, err, out)
	}
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	begun := regexp.MustCompile(`(?m)^\d+ +execve\("` + regexp.QuoteMeta(argv[0]) + `".* = 0$`).FindIndex(text)
	if begun == nil {
		t.Fatalf("no exec of %s in\n%s", argv[0], text)
	}
	var out []string
	for _, m := range call.FindAllSubmatch(text[begun[1]:], -1) {
		out = append(out, string(m[1]))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// checkGaps compares the gaps with the patterns that say which there are.
func (c reachCase) checkGaps(t *testing.T, set evidence.Set) {
	t.Helper()
	var want []*regexp.Regexp
	for line := range strings.Lines(c.file["gaps"]) {
		want = append(want, regexp.MustCompile(strings.TrimSpace(line)))
	}
	met := make([]bool, len(want))
	for _, g := range set.Gaps {
		if g.Kind == evidence.UnresolvedArgument || g.Kind == evidence.UnresolvedSyscall && g.Covered { // setxid: every program with libc has it
			continue
		}
		text := string(g.Kind) + " " + g.Where + ": " + g.Detail
		i := slices.IndexFunc(want, func(r *regexp.Regexp) bool { return r.MatchString(text) })
		if i < 0 {
			t.Errorf("a gap that the document does not have: %s", text)
			continue
		}
		met[i] = true
	}
	for i, ok := range met {
		if !ok {
			t.Errorf("no gap like %s", want[i])
		}
	}
}
