package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/abi"
)

// A scan takes the place of an earlier one of the same image; what was recorded,
// and what may be about something else, stays.
func TestWhatAScanReplaces(t *testing.T) {
	web := evidence.Subject{Image: "web:1", ConfigDigest: "sha256:aa", Platform: "linux/amd64"}
	other := evidence.Subject{Image: "web:2", ConfigDigest: "sha256:bb", Platform: "linux/amd64"}
	renamed := evidence.Subject{Image: "localhost/web", ConfigDigest: "sha256:aa", Platform: "linux/amd64", Argv: []string{"/web"}}
	fact := func(b evidence.Basis) evidence.Fact {
		return evidence.Syscall{Arch: abi.X8664, Nr: 0, Name: "read", Phase: evidence.Start, Basis: b}
	}
	recorder, scanner := evidence.Source{Tool: "profgen record"}, evidence.Source{Tool: scanTool}
	both := evidence.Set{
		Subjects: []evidence.Subject{web}, Sources: []evidence.Source{recorder, scanner},
		Facts:     []evidence.Fact{fact(evidence.Observed), fact(evidence.Reachable)},
		Witnesses: []evidence.Witness{{Syscall: "read", Arch: abi.X8664, Basis: evidence.Reachable}},
		Gaps:      []evidence.Gap{{Kind: evidence.Refused}, {Kind: evidence.Interpreter}},
	}
	recorded := evidence.Set{
		Subjects: []evidence.Subject{web}, Sources: []evidence.Source{recorder},
		Facts: []evidence.Fact{fact(evidence.Observed)}, Gaps: []evidence.Gap{{Kind: evidence.Refused}},
	}
	for _, tc := range []struct {
		subjects []evidence.Subject
		want     evidence.Set
	}{
		{[]evidence.Subject{web}, recorded},
		{[]evidence.Subject{renamed}, recorded},
		{[]evidence.Subject{other, web}, recorded},
		{[]evidence.Subject{other}, both},
	} {
		if diff := cmp.Diff(tc.want, withoutEarlierScan(both, tc.subjects)); diff != "" {
			t.Errorf("scan of %v (-want +got):\n%s", tc.subjects, diff)
		}
	}
}

// Programs are told from images by how they begin, and their platform is that
// of their code.
func TestFileSubjects(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
		return name
	}
	header := "\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x03\x00"
	amd64, arm64 := file("amd64", header+"\x3e\x00\x01"), file("arm64", header+"\xb7\x00\x01")
	got, err := fileSubjects([]string{amd64, arm64})
	want := []evidence.Subject{{Platform: "linux/amd64", Argv: []string{amd64}}, {Platform: "linux/arm64", Argv: []string{arm64}}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	script, short := file("script", "#!/bin/sh\n"), file("short", "\x7fELF")
	if _, err := fileSubjects([]string{script, short}); err != nil {
		t.Errorf("a script, and no more than the magic: %v", err)
	}
	for _, name := range []string{file("empty", ""), file("tar", "x"), dir, filepath.Join(dir, "missing")} {
		if _, ok := programHead(name); ok {
			t.Errorf("%s is taken for a program", name)
		}
	}
}
