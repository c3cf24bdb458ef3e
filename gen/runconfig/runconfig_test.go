package runconfig_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/profgen/profgen/gen/findings"
	"github.com/profgen/profgen/gen/formats"
	"github.com/profgen/profgen/gen/policy"
	"github.com/profgen/profgen/gen/runconfig"
)

var update = flag.Bool("update", false, "rewrite what is found in the bad ones")

func corpus(t *testing.T, name string) *txtar.Archive {
	t.Helper()
	ar, err := txtar.ParseFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return ar
}

func review(t *testing.T, f txtar.File) []findings.Finding {
	t.Helper()
	all, err := runconfig.Review(f.Name, f.Data)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// Of good configurations there is nothing to say.
func TestGood(t *testing.T) {
	for _, f := range corpus(t, "good.txtar").Files {
		if all := review(t, f); len(all) > 0 {
			t.Errorf("%s: %v", f.Name, all)
		}
	}
}

// Of bad ones is found what is written after each, no more and no less.
func TestBad(t *testing.T) {
	ar := corpus(t, "bad.txtar")
	got := &txtar.Archive{Comment: ar.Comment}
	found := map[string]bool{}
	for i := 0; i+1 < len(ar.Files); i += 2 {
		var out strings.Builder
		for _, f := range review(t, ar.Files[i]) {
			fmt.Fprintf(&out, "%d %s: %s [%s]\n", f.Location.Line, f.Location.In, f.Message, f.Rule)
			found[f.Rule] = true
		}
		got.Files = append(got.Files, ar.Files[i], txtar.File{Name: ar.Files[i].Name + " finds", Data: []byte(out.String())})
	}
	if *update {
		if err := os.WriteFile("testdata/bad.txtar", txtar.Format(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(string(txtar.Format(ar)), string(txtar.Format(got))); diff != "" && !*update {
		t.Errorf("-want +got; -update accepts it:\n%s", diff)
	}
	found[runconfig.EngineUsed("run.json", "the workload was seen to use it").Rule] = true
	for _, r := range runconfig.Rules() {
		if !found[r.ID] {
			t.Errorf("nothing in the corpus is found by %s", r.ID)
		}
	}
}

// What profgen writes itself is good: nothing is found in it but what the plan has
// not got.
func TestWhatProfgenWrites(t *testing.T) {
	plan := formats.Plan{
		Version: 1, Profile: "app", Capabilities: []string{"CAP_CHOWN"}, Sockets: []policy.Network{},
		Run: policy.Run{
			Network: policy.NoNetwork, IPC: policy.NoIPC, User: policy.User{Root: true}, Limits: policy.Limits{Pids: 64, Memory: 64 << 20, Files: 1024},
			Image: policy.Image{Reference: "app:1", Digest: "sha256:" + strings.Repeat("a", 64)}, ReadOnly: true,
			Tmpfs: []policy.Tmpfs{{Path: "/run"}}, Volumes: []string{"/data"}, Devices: []policy.Device{{Path: "/dev/fuse", Access: "rw"}},
		},
	}
	in := formats.Input{Plan: plan, Seccomp: &specs.LinuxSeccomp{DefaultAction: specs.ActErrno}}
	bare := in
	bare.Plan.Image, bare.Plan.Limits = policy.Image{Reference: "app:1"}, policy.Limits{}
	for _, format := range []string{"docker-run", "compose", "kubernetes", "quadlet"} {
		doc, err := formats.Render(format, in, formats.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if all := review(t, txtar.File{Name: format, Data: manifest(format, doc.Text)}); len(all) > 0 {
			t.Errorf("%s: %v", format, all)
		}
		doc, err = formats.Render(format, bare, formats.Options{})
		if err != nil {
			t.Fatal(err)
		}
		all := review(t, txtar.File{Name: format, Data: manifest(format, doc.Text)})
		if !slices.ContainsFunc(all, func(f findings.Finding) bool { return f.Rule == "run-no-memory-limit" }) {
			t.Errorf("%s without limits: %v", format, all)
		}
	}
}

// manifest makes a manifest of a patch for one.
func manifest(format string, text []byte) []byte {
	if format == "kubernetes" {
		return append([]byte("apiVersion: apps/v1\nkind: Deployment\n"), text...)
	}
	return text
}

// The corpus is what it is said to be.
func TestCorpusIsLarge(t *testing.T) {
	if n := len(corpus(t, "good.txtar").Files) + len(corpus(t, "bad.txtar").Files)/2; n < 40 {
		t.Errorf("%d configurations", n)
	}
}

func TestRules(t *testing.T) {
	all := runconfig.Rules()
	if !slices.IsSortedFunc(all, func(a, b findings.Rule) int { return strings.Compare(a.ID, b.ID) }) {
		t.Error("not sorted")
	}
	for _, r := range all {
		if !strings.HasPrefix(r.ID, "run-") || r.Summary == "" || r.Remedy == "" || r.Source == "" {
			t.Errorf("%+v", r)
		}
	}
}

// What is none of the formats is no clean bill.
func TestUnknown(t *testing.T) {
	for _, text := range []string{"", "hello", "[]", "{}", "a: b", "- 1", `{"defaultAction":"SCMP_ACT_ERRNO"}`, "profile x {}", `[{"Name":"x"}]`, "docker run 'a"} {
		all, err := runconfig.Review("f", []byte(text))
		if err == nil || all != nil {
			t.Errorf("%q: %v, %v", text, all, err)
		}
		if text != "docker run 'a" && !errors.Is(err, runconfig.ErrUnknown) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// Whatever a file holds, findings are by rules that are listed, and the same
// twice.
func FuzzReview(f *testing.F) {
	for _, name := range []string{"good.txtar", "bad.txtar"} {
		ar, err := txtar.ParseFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range ar.Files {
			f.Add(file.Data)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		all, err := runconfig.Review("f", text)
		if err != nil && all != nil {
			t.Fatal("findings and an error")
		}
		again, _ := runconfig.Review("f", text)
		if diff := cmp.Diff(all, again); diff != "" {
			t.Fatalf("not the same twice:\n%s", diff)
		}
		for _, x := range all {
			if !slices.ContainsFunc(runconfig.Rules(), func(r findings.Rule) bool { return r.ID == x.Rule }) {
				t.Fatalf("rule %q is not listed", x.Rule)
			}
		}
	})
}
