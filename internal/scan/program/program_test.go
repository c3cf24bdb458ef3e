package program

import (
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/profgen/profgen/internal/image"
)

var update = flag.Bool("update", false, "rewrite what the tests expect")

// A golden file is a small image and what may run in it:
//
//	config       the configuration as JSON, "Exec" with programs to add
//	NAME         a file; of a name "NAME mode=0644" with these bits, else 0755
//	links        lines NAME -> TARGET
//	elf          lines NAME: files that begin like ELF files, and what text they have
//	want         the result
func TestGolden(t *testing.T) {
	names, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			g := unpack(t, archive)
			got := g.find(t)
			for i := range archive.Files {
				if archive.Files[i].Name != "want" {
					continue
				}
				if *update {
					archive.Files[i].Data = []byte(got)
					if err := os.WriteFile(name, txtar.Format(archive), 0o644); err != nil {
						t.Fatal(err)
					}
				} else if diff := cmp.Diff(string(archive.Files[i].Data), got); diff != "" {
					t.Errorf("-want +got; go test -update rewrites it\n%s", diff)
				}
			}
		})
	}
}

// golden is an image of a golden file.
type golden struct {
	files  Files
	config struct {
		Config
		Exec [][]string
	}
}

func unpack(t *testing.T, archive *txtar.Archive) golden {
	t.Helper()
	var g golden
	dir := t.TempDir()
	for _, f := range archive.Files {
		switch f.Name {
		case "config":
			if err := json.Unmarshal(f.Data, &g.config); err != nil {
				t.Fatalf("config: %v", err)
			}
		case "elf":
			for line := range strings.Lines(string(f.Data)) {
				name, text, _ := strings.Cut(strings.TrimSpace(line), " ")
				put(t, dir, name, elfHeader+strings.ReplaceAll(" "+text+" ", " ", "\x00"), 0o755)
			}
		case "links":
			for line := range strings.Lines(string(f.Data)) {
				name, target, _ := strings.Cut(strings.TrimSpace(line), " -> ")
				link(t, dir, name, target)
			}
		case "want":
		default:
			name, mode, ok := strings.Cut(f.Name, " mode=")
			bits := fs.FileMode(0o755)
			if ok {
				if _, err := fmt.Sscanf(mode, "%o", &bits); err != nil {
					t.Fatal(err)
				}
			}
			put(t, dir, name, string(f.Data), bits)
		}
	}
	files, err := image.FolderFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	g.files = files
	return g
}

// elfHeader is the first 64 bytes of an ELF file for x86-64.
var elfHeader = "\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 9) + "\x03\x00\x3e\x00\x01\x00\x00\x00" + strings.Repeat("\x00", 40)

func put(t *testing.T, dir, name, text string, mode fs.FileMode) {
	t.Helper()
	name = filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(name, mode); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, dir, name, target string) {
	t.Helper()
	name = filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, name); err != nil {
		t.Fatal(err)
	}
}

// find prints the result as a golden file has it.
func (g golden) find(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	f := New(g.files, g.config.Config)
	if err := f.Start(); err != nil {
		fmt.Fprintf(&b, "error %v\n", err)
	}
	for _, argv := range g.config.Exec {
		for _, p := range f.Exec(argv[0], argv, "code") {
			fmt.Fprintf(&b, "new %s\n", p.Path)
		}
	}
	return b.String() + f.Result().text()
}

func (r Result) text() string {
	var b strings.Builder
	for _, p := range r.Programs {
		fmt.Fprintf(&b, "program %s %q\n\t%s\n", p.Path, p.Argv, p.Why)
		if p.Script != "" {
			fmt.Fprintf(&b, "\tin %s\n", p.Script)
		}
		if len(p.Uses) > 1 {
			for _, u := range p.Uses {
				fmt.Fprintf(&b, "\tuse %q open=%t\n", u.Argv, u.Open)
			}
		}
	}
	for _, g := range r.Gaps {
		fmt.Fprintf(&b, "gap %s %s: %s\n", g.Kind, g.Where, g.What)
	}
	for _, i := range r.Interpreters {
		fmt.Fprintf(&b, "text %s (%s): %q\n\t%s\n", i.Path, i.Name, i.Text, i.Why)
	}
	for _, l := range r.Loader {
		fmt.Fprintf(&b, "loader %s\n", l)
	}
	return b.String()
}
