package gen_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/profgen/profgen/gen"
	"github.com/profgen/profgen/gen/evidence"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// Each document of testdata/golden says what it shows, gives options and
// evidence, and then every file that comes of them, with the decisions and
// warnings. -update rewrites what comes of them.
func TestGolden(t *testing.T) {
	docs, err := filepath.Glob("../testdata/golden/*.txtar")
	if err != nil || len(docs) == 0 {
		t.Fatalf("no golden documents: %v", err)
	}
	for _, doc := range docs {
		t.Run(strings.TrimSuffix(filepath.Base(doc), ".txtar"), func(t *testing.T) {
			ar, err := txtar.ParseFile(doc)
			if err != nil {
				t.Fatal(err)
			}
			got := regenerate(t, ar)
			if *update {
				if err := os.WriteFile(doc, txtar.Format(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(txtar.Format(ar)), string(txtar.Format(got))); diff != "" {
				t.Errorf("%s (-want +got; -update accepts it):\n%s", doc, diff)
			}
		})
	}
}

// regenerate returns the document with everything after its evidence made
// anew.
func regenerate(t *testing.T, ar *txtar.Archive) *txtar.Archive {
	t.Helper()
	out := &txtar.Archive{Comment: ar.Comment}
	var opt gen.Options
	var set evidence.Set
	for _, f := range ar.Files {
		var err error
		switch f.Name {
		case "options":
			err = json.Unmarshal(f.Data, &opt)
		case "evidence.jsonl":
			set, err = evidence.Decode(bytes.NewReader(f.Data))
		default:
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", f.Name, err)
		}
		out.Files = append(out.Files, f)
	}
	bundle, err := gen.Generate(set, opt)
	if err != nil {
		return add(out, "error", err.Error()+"\n")
	}
	for _, f := range bundle.Files {
		out = add(out, f.Name, string(f.Bytes))
	}
	out = add(out, "decisions", decisions(bundle))
	return add(out, "warnings", warnings(bundle))
}

func add(ar *txtar.Archive, name, text string) *txtar.Archive {
	ar.Files = append(ar.Files, txtar.File{Name: name, Data: []byte(text)})
	return ar
}

// decisions are one a line, less those that only repeat the runtime floor.
func decisions(b gen.Bundle) string {
	var out strings.Builder
	for _, d := range b.Policy.Decisions {
		verb := "refuse"
		if d.Allowed {
			verb = "allow"
		}
		fmt.Fprintf(&out, "%-6s %s: %s\n", verb, d.Subject, d.Reason)
	}
	return out.String()
}

func warnings(b gen.Bundle) string {
	var out strings.Builder
	for _, w := range b.Policy.Warnings {
		fmt.Fprintf(&out, "%s: %s\n", w.Code, w.Sentence)
	}
	return out.String()
}

// The same evidence in any order, repeated or merged with itself gives the
// same bytes.
func TestBytesDoNotDependOnOrder(t *testing.T) {
	f, err := os.ReadFile("../testdata/golden/nginx.txtar")
	if err != nil {
		t.Fatal(err)
	}
	ar := txtar.Parse(f)
	i := slices.IndexFunc(ar.Files, func(f txtar.File) bool { return f.Name == "evidence.jsonl" })
	set, err := evidence.Decode(bytes.NewReader(ar.Files[i].Data))
	if err != nil {
		t.Fatal(err)
	}
	opt := gen.Options{Floors: gen.DefaultFloors()}
	want, err := gen.Generate(set, opt)
	if err != nil {
		t.Fatal(err)
	}
	reversed := evidence.Set{
		Subjects: set.Subjects, Sources: set.Sources, Facts: slices.Clone(set.Facts), Witnesses: set.Witnesses, Gaps: set.Gaps,
	}
	slices.Reverse(reversed.Facts)
	reversed.Facts = append(reversed.Facts, set.Facts[:len(set.Facts)/2]...)
	got, err := gen.Generate(reversed, opt)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("reversed and repeated evidence (-want +got):\n%s", diff)
	}
}
