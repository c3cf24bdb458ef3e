package diff_test

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/profgen/profgen/gen/apparmor/syntax"
	"github.com/profgen/profgen/gen/diff"
	"github.com/profgen/profgen/gen/findings"
	"github.com/profgen/profgen/gen/seccomp"
	"github.com/profgen/profgen/profiles"
)

var update = flag.Bool("update", false, "rewrite what the pairs give")

const pairs = "testdata/pairs.txtar"

// Each pair of the document says first what verdict it must have, then what is
// reported. -update rewrites the report, and never the verdict.
func TestPairs(t *testing.T) {
	ar, err := txtar.ParseFile(pairs)
	if err != nil {
		t.Fatal(err)
	}
	sides, count := map[string]diff.Side{}, 0
	for i, f := range ar.Files {
		pair, part, _ := strings.Cut(f.Name, "/")
		switch part {
		case "verdict":
			sides["a"], sides["b"] = diff.Side{Name: "a", Assumed: profiles.DockerCapabilities()}, diff.Side{Name: "b", Assumed: profiles.DockerCapabilities()}
		case "report":
			count++
			r, err := diff.Compare(sides["a"], sides["b"])
			if err != nil {
				t.Errorf("%s: %v", pair, err)
				continue
			}
			if want := verdictOf(ar, pair); string(r.Verdict) != want {
				t.Errorf("%s: %s, want %s", pair, r.Verdict, want)
			}
			var text bytes.Buffer
			if err := r.Print(&text); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(f.Data), text.String()); d != "" && !*update {
				t.Errorf("%s (-want +got; -update accepts it):\n%s", pair, d)
			}
			ar.Files[i].Data = text.Bytes()
		default:
			name := part[:1]
			sides[name] = read(t, sides[name], part, f.Data)
		}
	}
	if count < 30 {
		t.Errorf("%d pairs, want 30", count)
	}
	if *update {
		if err := os.WriteFile(pairs, txtar.Format(ar), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

func verdictOf(ar *txtar.Archive, pair string) string {
	for _, f := range ar.Files {
		if f.Name == pair+"/verdict" {
			return strings.TrimSpace(string(f.Data))
		}
	}
	return ""
}

// read adds a part of a side to it.
func read(t *testing.T, s diff.Side, part string, text []byte) diff.Side {
	t.Helper()
	var err error
	switch part[1:] {
	case ".json":
		s.Seccomp, err = seccomp.ParseFile(text)
	case ".apparmor":
		var f syntax.File
		f, err = syntax.Parse(text)
		s.AppArmor = &f
	case ".capabilities":
		s.Capabilities = append([]string{}, strings.Fields(string(text))...)
	default:
		t.Fatalf("%s: unknown", part)
	}
	if err != nil {
		t.Fatalf("%s: %v", part, err)
	}
	return s
}

// What is compared the other way round has the reverse verdict.
func TestReverse(t *testing.T) {
	ar, err := txtar.ParseFile(pairs)
	if err != nil {
		t.Fatal(err)
	}
	reverse := map[string]string{"widened": "narrowed", "narrowed": "widened"}
	sides := map[string]diff.Side{}
	for _, f := range ar.Files {
		pair, part, _ := strings.Cut(f.Name, "/")
		switch part {
		case "verdict":
			sides["a"], sides["b"] = diff.Side{Name: "a"}, diff.Side{Name: "b"}
		case "report":
			r, err := diff.Compare(sides["b"], sides["a"])
			want := verdictOf(ar, pair)
			if w, ok := reverse[want]; ok {
				want = w
			}
			if err != nil || string(r.Verdict) != want {
				t.Errorf("%s: %s, %v, want %s", pair, r.Verdict, err, want)
			}
		default:
			sides[part[:1]] = read(t, sides[part[:1]], part, f.Data)
		}
	}
}

// Docker's default allows whatever a generated profile allows, and more; what it
// does not is the errno of what is refused.
func TestDockerDefault(t *testing.T) {
	text, _ := profiles.DockerDefault()
	docker, err := seccomp.ParseFile(text)
	if err != nil {
		t.Fatal(err)
	}
	ar, err := txtar.ParseFile("../../testdata/golden/nginx.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range ar.Files {
		if f.Name != "seccomp.json" {
			continue
		}
		file, err := seccomp.ParseFile(f.Data)
		if err != nil {
			t.Fatal(err)
		}
		r, err := diff.Compare(
			diff.Side{Name: "docker-default", Seccomp: docker, Capabilities: profiles.DockerCapabilities()},
			diff.Side{Name: "nginx", Seccomp: file, Capabilities: []string{"CAP_CHOWN"}},
		)
		if err != nil || r.Verdict != seccomp.Narrowed {
			t.Fatalf("%s, %v; want narrowed", r.Verdict, err)
		}
		var sarif, markdown bytes.Buffer
		if err := findings.WriteSARIF(&sarif, findings.Tool{Name: "profgen diff", Rules: diff.Rules()}, r.Findings()); err != nil {
			t.Error(err)
		}
		if err := r.Markdown(&markdown); err != nil || !strings.Contains(markdown.String(), "| capabilities | narrowed | 0 | 13 | 0 |") {
			t.Errorf("%v:\n%s", err, markdown.String()[:400])
		}
	}
}

func TestNothingToCompare(t *testing.T) {
	a := diff.Side{Name: "a", Capabilities: []string{}}
	b := read(t, diff.Side{Name: "b"}, "b.json", []byte(`{"defaultAction":"SCMP_ACT_KILL"}`))
	if r, err := diff.Compare(a, b); err == nil {
		t.Errorf("got %+v, want an error", r)
	}
}
