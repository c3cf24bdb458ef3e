package findings_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/profgen/profgen/gen/findings"
)

var update = flag.Bool("update", false, "write the golden files")

var (
	open = findings.Rule{
		ID: "seccomp-socket-any", Severity: findings.Error, Summary: "socket with any family",
		Remedy: "allow the families that are needed", Source: "https://man7.org/linux/man-pages/man2/socket.2.html",
	}
	unused = findings.Rule{ID: "seccomp-rule-default", Severity: findings.Note, Summary: "a rule that equals the default", Remedy: "remove it"}
)

func found() []findings.Finding {
	at := findings.Location{File: "my profiles/seccomp.json", Line: 12, In: "rule 3"}
	return []findings.Finding{
		unused.Of(findings.Location{File: "/tmp/b.json"}, "it answers what the default does"),
		open.Of(at, "socket\x1b[2J is allowed with any family"),
		open.Of(at, "socket\x1b[2J is allowed with any family"),
		unused.Of(findings.Location{File: "my profiles/seccomp.json", Line: 3}, "it answers what the default does"),
	}
}

func TestSort(t *testing.T) {
	got := findings.Sort(found())
	var lines []string
	for _, f := range got {
		lines = append(lines, f.Location.String()+" "+f.Rule)
	}
	want := []string{
		"/tmp/b.json seccomp-rule-default",
		"my profiles/seccomp.json:3 seccomp-rule-default",
		"my profiles/seccomp.json:12 seccomp-socket-any",
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
	if w := findings.Worst(got); w != findings.Error {
		t.Errorf("worst: %q", w)
	}
	if w := findings.Worst(nil); w != "" {
		t.Errorf("worst of none: %q", w)
	}
}

func TestForms(t *testing.T) {
	tool := findings.Tool{Name: "profgen lint", Version: "devel", Rules: []findings.Rule{open, unused}}
	var text, sarif bytes.Buffer
	if err := findings.Print(&text, findings.Sort(found())); err != nil {
		t.Fatal(err)
	}
	if err := findings.WriteSARIF(&sarif, tool, found()); err != nil {
		t.Fatal(err)
	}
	golden(t, "findings.txt", text.Bytes())
	golden(t, "findings.sarif", sarif.Bytes())
}

// Nothing found is a log with an empty list, not one without a list: it says
// that somebody looked.
func TestNothingFound(t *testing.T) {
	var out bytes.Buffer
	if err := findings.WriteSARIF(&out, findings.Tool{Name: "profgen lint"}, nil); err != nil {
		t.Fatal(err)
	}
	var log struct {
		Runs []map[string]json.RawMessage
	}
	if err := json.Unmarshal(out.Bytes(), &log); err != nil {
		t.Fatal(err)
	}
	if len(log.Runs) != 1 || string(log.Runs[0]["results"]) != "[]" {
		t.Errorf("got %s", out.Bytes())
	}
}

func TestUnlistedRule(t *testing.T) {
	err := findings.WriteSARIF(&bytes.Buffer{}, findings.Tool{Name: "x"}, found())
	if err == nil || !strings.Contains(err.Error(), "does not list") {
		t.Errorf("got %v", err)
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, got, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}
