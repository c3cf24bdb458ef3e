package formats_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/profgen/profgen/gen/formats"
	"github.com/profgen/profgen/gen/seccomp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// Each document of testdata/golden holds a plan and a seccomp profile, and what
// comes of them in every format, warnings last.
func TestGolden(t *testing.T) {
	for name, ar := range documents(t) {
		t.Run(name, func(t *testing.T) {
			got := &txtar.Archive{Comment: ar.Comment, Files: ar.Files[:2]}
			for _, format := range formats.All() {
				doc, err := formats.Render(format, inputOf(t, ar), formats.Options{})
				if err != nil {
					doc.Text = []byte("error: " + err.Error() + "\n")
				}
				var warnings strings.Builder
				for _, w := range doc.Warnings {
					fmt.Fprintf(&warnings, "%s: %s\n", w.Code, w.Sentence)
				}
				got.Files = append(got.Files, txtar.File{Name: format, Data: doc.Text}, txtar.File{Name: format + " warns", Data: []byte(warnings.String())})
			}
			if *update {
				if err := os.WriteFile(filepath.Join("testdata/golden", name), txtar.Format(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(txtar.Format(ar)), string(txtar.Format(got))); diff != "" {
				t.Errorf("-want +got; -update accepts it:\n%s", diff)
			}
		})
	}
}

// documents are the golden documents by name.
func documents(t *testing.T) map[string]*txtar.Archive {
	t.Helper()
	names, err := filepath.Glob("testdata/golden/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatalf("no golden documents: %v", err)
	}
	out := map[string]*txtar.Archive{}
	for _, name := range names {
		ar, err := txtar.ParseFile(name)
		if err != nil || len(ar.Files) < 2 || ar.Files[0].Name != "run.json" || ar.Files[1].Name != "seccomp.json" {
			t.Fatalf("%s: want run.json and seccomp.json first: %v", name, err)
		}
		out[filepath.Base(name)] = ar
	}
	return out
}

func inputOf(t *testing.T, ar *txtar.Archive) formats.Input {
	t.Helper()
	plan, err := formats.DecodePlan(ar.Files[0].Data)
	if err != nil {
		t.Fatal(err)
	}
	spec, err := seccomp.Parse(ar.Files[1].Data)
	if err != nil {
		t.Fatal(err)
	}
	return formats.Input{Plan: plan, Seccomp: spec}
}

// render is the document of a format, which there has to be.
func render(t *testing.T, format string, in formats.Input, o formats.Options) formats.Document {
	t.Helper()
	doc, err := formats.Render(format, in, o)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}
