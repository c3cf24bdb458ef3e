package lint_test

import (
	"bytes"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/profgen/profgen/gen"
	"github.com/profgen/profgen/gen/apparmor/syntax"
	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/gen/findings"
	"github.com/profgen/profgen/gen/lint"
	"github.com/profgen/profgen/gen/seccomp"
	"github.com/profgen/profgen/profiles"
)

// Each document of testdata/bad is a small bad profile in a file, and in its
// comment the rules that it breaks: all of them, and no others. "for READER"
// says who reads it.
func TestBadProfiles(t *testing.T) {
	ar, err := txtar.ParseFile("testdata/bad.txtar")
	if err != nil {
		t.Fatal(err)
	}
	broken := map[string]bool{}
	for i := 0; i+1 < len(ar.Files); i += 2 {
		profile, want := ar.Files[i], strings.Fields(string(ar.Files[i+1].Data))
		in := lint.Input{Name: profile.Name}
		if len(want) > 1 && want[0] == "for" {
			in.For, want = seccomp.Consumer(want[1]), want[2:]
		}
		got := rulesOf(review(t, in, profile.Name, profile.Data))
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", profile.Name, got, want)
		}
		for _, r := range want {
			broken[r] = true
		}
	}
	if n := len(ar.Files) / 2; n < 25 {
		t.Errorf("%d bad profiles, want 25", n)
	}
	for _, r := range lint.Rules() {
		if !broken[r.ID] && !strings.HasPrefix(r.ID, "capability-") {
			t.Errorf("no bad profile breaks %s", r.ID)
		}
	}
}

func review(t *testing.T, in lint.Input, name string, text []byte) []findings.Finding {
	t.Helper()
	var err error
	if strings.HasSuffix(name, ".json") {
		in.SeccompName = name
		in.Seccomp, err = seccomp.ParseFile(text)
	} else {
		var f syntax.File
		f, err = syntax.Parse(text)
		in.AppArmor, in.AppArmorName = &f, name
	}
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	out, err := lint.Review(in)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return out
}

func rulesOf(all []findings.Finding) []string {
	var out []string
	for _, f := range all {
		out = append(out, f.Rule)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// A finding is where its rule begins, however it is laid out; one about the whole
// is where the profile begins.
func TestAppArmorLines(t *testing.T) {
	const profile = `# A comment.
abi <abi/3.0>,

profile web {
  deny /etc/shadow rw, mount,

  # Anything.
  /usr/bin/*
    Ux,
  deny {
    /x r,
  }
  profile child flags=(attach_disconnected) {
    signal, ptrace,
  }
}
profile app flags=(attach_disconnected) { signal, }
profile a:b flags=(attach_disconnected) { signal, change_profile, }
`
	var got []string
	for _, f := range review(t, lint.Input{}, "x.apparmor", []byte(profile)) {
		got = append(got, fmt.Sprintf("%d %s", f.Location.Line, f.Rule))
	}
	want := []string{"4 apparmor-attach-disconnected", "4 apparmor-signal", "5 apparmor-mount", "8 apparmor-exec-unconfined", "18 apparmor-change-profile", "18 apparmor-name"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestCapabilities(t *testing.T) {
	out, err := lint.Review(lint.Input{Name: "dir", Capabilities: []string{"CAP_CHOWN", "CAP_LEASE", "CAP_SYS_ADMIN"}})
	if want := []string{"capability-powerful", "capability-wider-than-default"}; err != nil || !slices.Equal(rulesOf(out), want) {
		t.Errorf("got %v, %v", out, err)
	}
}

// What engines use by default, and what profgen makes of workloads, is not
// found fault with. Where a workload was seen to need more than engines allow,
// that it is allowed is said, and nothing else.
func TestNothingToSay(t *testing.T) {
	docker, _ := profiles.DockerDefault()
	podman, _ := profiles.PodmanDefault()
	quiet(t, "docker-default.json", docker)
	quiet(t, "podman-default.json", podman)
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
			if f.Name == "evidence.jsonl" {
				quietAbout(t, filepath.Base(doc), f.Data)
			}
		}
	}
}

// quietAbout reviews what is generated from evidence.
func quietAbout(t *testing.T, doc string, text []byte) {
	t.Helper()
	set, err := evidence.Decode(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := gen.Generate(set, gen.Options{Floors: gen.DefaultFloors(), AllowIncomplete: true})
	if err != nil {
		return // a document about what makes no profile
	}
	for _, f := range bundle.Files {
		switch f.Name {
		case gen.SeccompFile:
			quiet(t, doc+".json", f.Bytes, "seccomp-dangerous-call", "seccomp-wider-than-default")
		case gen.AppArmorFile:
			quiet(t, doc+".apparmor", f.Bytes, "apparmor-capability", "apparmor-mount")
		}
	}
}

func quiet(t *testing.T, name string, text []byte, needs ...string) {
	t.Helper()
	for _, f := range review(t, lint.Input{Name: name}, name, text) {
		if slices.Contains(needs, f.Rule) && !slices.Contains([]string{"nginx", "minimal", "nonroot", "i386", "arm64"}, strings.Split(name, ".")[0]) {
			continue
		}
		t.Errorf("%s: %s: %s", name, f.Rule, f.Message)
	}
}

func TestScore(t *testing.T) {
	docker, _ := profiles.DockerDefault()
	file, err := seccomp.ParseFile(docker)
	if err != nil {
		t.Fatal(err)
	}
	s, err := lint.ScoreOf(lint.Input{Seccomp: file, Capabilities: profiles.DockerCapabilities()})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range s.Axes {
		if a.This != a.Docker {
			t.Errorf("%s: %d, as docker-default %d", a.Name, a.This, a.Docker)
		}
	}
	blocked := map[string]bool{}
	for _, h := range s.CVEs {
		blocked[h.ID] = h.Blocked
	}
	// What Docker's documentation says it blocks, and what it cannot.
	for id, want := range map[string]bool{
		"CVE-2016-0728": true, "CVE-2022-0185": true, "CVE-2017-16995": true, "CVE-2013-2094": true, "CVE-2022-2602": true,
		"CVE-2022-0847": false, "CVE-2017-5123": false, "CVE-2016-8655": false,
	} {
		if got, ok := blocked[id]; !ok || got != want {
			t.Errorf("%s: blocked %t, want %t", id, got, want)
		}
	}
	if testing.Verbose() {
		var text strings.Builder
		if err := s.Print(&text); err != nil {
			t.Fatal(err)
		}
		fmt.Println(text.String())
	}
}
