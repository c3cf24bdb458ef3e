package syntax_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/profgen/profgen/gen/apparmor/syntax"
)

var update = flag.Bool("update", false, "rewrite the golden documents")

// Each document has a profile as somebody wrote it, and as fmt writes it.
func TestGolden(t *testing.T) {
	names, err := filepath.Glob("testdata/golden/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatalf("no documents: %v", err)
	}
	for _, name := range names {
		a, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		f, err := syntax.Parse(a.Files[0].Data)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got := syntax.Format(f.Canonical())
		if *update {
			a.Files = append(a.Files[:1], txtar.File{Name: "formatted", Data: got})
			if err := os.WriteFile(name, txtar.Format(a), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if diff := cmp.Diff(string(a.Files[1].Data), string(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		roundTrip(t, name, f)
	}
}

// roundTrip holds the invariant: what was formatted is read as what it was.
func roundTrip(t *testing.T, name string, f syntax.File) {
	t.Helper()
	f = f.Canonical()
	text := syntax.Format(f)
	back, err := syntax.Parse(text)
	if err != nil {
		t.Fatalf("%s: its own formatted text is refused: %v\n%s", name, err, text)
	}
	if diff := cmp.Diff(f, back, cmpopts.IgnoreFields(syntax.Node{}, "Line")); diff != "" {
		t.Errorf("%s is read differently once formatted (-was +is):\n%s\n%s", name, diff, text)
	}
	if again := syntax.Format(back.Canonical()); !bytes.Equal(text, again) {
		t.Errorf("%s: formatting twice differs:\n%s", name, cmp.Diff(string(text), string(again)))
	}
}
