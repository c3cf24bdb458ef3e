package report_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/profgen/profgen/gen"
	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/gen/policy"
	"github.com/profgen/profgen/gen/report"
	"github.com/profgen/profgen/internal/abi"
)

// page is the report of evidence, made twice to see that it is the same.
func page(t *testing.T, set evidence.Set) string {
	t.Helper()
	bundle, err := gen.Generate(set, gen.Options{Floors: gen.DefaultFloors(), AllowIncomplete: true})
	if err != nil {
		t.Fatal(err)
	}
	first, err := report.HTML(set, bundle, report.Beside{})
	if err != nil {
		t.Fatal(err)
	}
	second, err := report.HTML(set, bundle, report.Beside{})
	if err != nil || !bytes.Equal(first, second) {
		t.Errorf("not the same bytes twice: %v", err)
	}
	return string(first)
}

// What a minimization and the image told besides is where the privilege and the
// pattern are, escaped.
func TestBeside(t *testing.T) {
	set := evidence.Set{Facts: []evidence.Fact{
		evidence.Syscall{Arch: abi.X8664, Nr: 92, Name: "chown", Phase: evidence.Start, Basis: evidence.Observed},
		evidence.FileAccess{Path: "/tmp/job-1", Perms: "w", Kind: evidence.Regular, Origin: evidence.FromItself, Phase: evidence.Start, Basis: evidence.Observed},
		evidence.Capability{Cap: "CAP_CHOWN", Arch: abi.X8664, Syscall: "chown", Granted: true, Phase: evidence.Start, Basis: evidence.Observed},
	}}
	bundle, err := gen.Generate(set, gen.Options{AllowIncomplete: true})
	if err != nil {
		t.Fatal(err)
	}
	beside := report.Beside{
		Prices: []policy.Price{{Rule: "/tmp/job-<digits> rw", Files: []string{"/tmp/job-7<b>"}}, {Rule: "/free"}},
		Proved: map[string]string{"CAP_CHOWN": "run 3 failed without it"},
	}
	html, err := report.HTML(set, bundle, beside)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"run 3 failed without it", "<code>/tmp/job-&lt;digits&gt; rw</code> admits 1 of", "/tmp/job-7&lt;b&gt;"} {
		if !strings.Contains(string(html), want) {
			t.Errorf("the report has no %q", want)
		}
	}
	if strings.Contains(string(html), "/free") {
		t.Error("a pattern that admits nothing has a price")
	}
}

// Every golden document has a report, with everything in it that is granted.
func TestGolden(t *testing.T) {
	docs, err := filepath.Glob("../../testdata/golden/*.txtar")
	if err != nil || len(docs) == 0 {
		t.Fatalf("no golden documents: %v", err)
	}
	for _, doc := range docs {
		ar, err := txtar.ParseFile(doc)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range ar.Files {
			if f.Name != "evidence.jsonl" {
				continue
			}
			set, err := evidence.Decode(bytes.NewReader(f.Data))
			if err != nil {
				t.Fatal(err)
			}
			bundle, err := gen.Generate(set, gen.Options{AllowIncomplete: true})
			if err != nil {
				continue // the document is about the error
			}
			html, err := report.HTML(set, bundle, report.Beside{})
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range bundle.Policy.Syscalls {
				if !strings.Contains(string(html), "<code>"+r.Name+"</code>") {
					t.Errorf("%s: %s is granted, and not in the report", doc, r.Name)
				}
			}
			for _, f := range set.Facts {
				if p, ok := f.(evidence.Privileged); ok && !strings.Contains(string(html), "<code>"+p.Path.String()+"</code></th><td>it is ") {
					t.Errorf("%s: what becomes of %s is not in the report", doc, p.Path)
				}
			}
			for _, c := range bundle.Policy.Capabilities {
				if !strings.Contains(string(html), "<code>"+c+"</code>") {
					t.Errorf("%s: %s is granted, and not in the report", doc, c)
				}
			}
		}
	}
}

// Names in evidence are hostile: none becomes markup, or a reference to
// elsewhere.
func TestHostileNames(t *testing.T) {
	const evil = `"><script>alert(1)</script><img src=https://evil.example/x>`
	nr, _ := abi.X8664.Number("ptrace")
	html := page(t, evidence.Set{
		Subjects: []evidence.Subject{{Image: evil, Argv: []string{evil}, ConfigDigest: "sha256:" + strings.Repeat("c", 64)}},
		Sources:  []evidence.Source{{Tool: evil}},
		Facts: []evidence.Fact{
			evidence.Syscall{Arch: abi.X8664, Nr: nr, Name: "ptrace", Phase: evidence.Start, Basis: evidence.Observed},
			evidence.FileAccess{Path: "/" + evil, Perms: "r", Phase: evidence.Start, Basis: evidence.Observed},
		},
		Witnesses: []evidence.Witness{{Syscall: "ptrace", Arch: abi.X8664, Basis: evidence.Reachable, Program: evil, Path: []evidence.Step{{Object: evil, Function: evil}}}},
		Gaps:      []evidence.Gap{{Kind: evidence.Refused, Where: evil, Detail: evil}},
	})
	if strings.Count(html, "<script>") != 1 || strings.Contains(html, "<img") {
		t.Error("a name became markup")
	}
	if n := strings.Count(html, "evil.example"); n < 6 {
		t.Errorf("the names are there %d times", n)
	}
}

// What is shown of the evidence of several recordings, and of gaps.
func TestParts(t *testing.T) {
	read, _ := abi.X8664.Number("read")
	write, _ := abi.X8664.Number("write")
	one := evidence.Set{Facts: []evidence.Fact{evidence.Syscall{Arch: abi.X8664, Nr: read, Name: "read", Phase: evidence.Start, Basis: evidence.Observed}}}.AsRun()
	two := evidence.Set{Facts: []evidence.Fact{evidence.Syscall{Arch: abi.X8664, Nr: write, Name: "write", Phase: evidence.Serve, Basis: evidence.Observed}}}.AsRun(one)
	set := evidence.Merge(one, two, evidence.Set{Gaps: []evidence.Gap{
		{Kind: evidence.Lost, Detail: "events were lost", Count: 3}, {Kind: evidence.UnresolvedSyscall, Detail: "taken", Covered: true},
	}})
	html := page(t, set)
	for _, want := range []string{
		"2 recordings", "events were lost", `class="note is-bad"`, "What is covered", "Refused, and allowed by docker-default", "<code class=\"bad\">chroot</code>",
		"Pod Security Standard",
	} {
		if !strings.Contains(html, want) {
			t.Errorf("no %q", want)
		}
	}
	if strings.Contains(html, "http://") || strings.Contains(html, "https://") || strings.Contains(html, "src=") {
		t.Error("it refers to something outside")
	}
}

// A badge is well-formed, and says when the evidence lacks something.
func TestBadge(t *testing.T) {
	set := evidence.Set{Facts: []evidence.Fact{evidence.Syscall{Arch: abi.X8664, Nr: 0, Name: "read", Phase: evidence.Start, Basis: evidence.Observed}}}
	bundle, err := gen.Generate(set, gen.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for complete, want := range map[bool]string{true: "syscalls, 0 capabilities<", false: "syscalls, 0 capabilities, gaps<"} {
		svg, err := report.Badge(bundle, complete)
		if err != nil || !strings.Contains(string(svg), want) {
			t.Errorf("%v\n%s", err, svg)
		}
		dec := xml.NewDecoder(bytes.NewReader(svg))
		for {
			if _, err := dec.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%v\n%s", err, svg)
			}
		}
	}
}
