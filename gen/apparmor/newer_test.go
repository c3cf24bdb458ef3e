package apparmor_test

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/profgen/profgen/gen/apparmor"
	"github.com/profgen/profgen/gen/policy"
)

// Classes of what AppArmor asks about, and what it asks for of the first: parser.h
// of its parser, and security/apparmor/include.
const (
	classUserns     = 21
	mayCreateUserns = 8
	classPOSIXQueue = 17
)

// newerFeatures returns a file with the features that abi/4.0 names, but for those of
// permissions in a table of their own, which [compiled] does not read.
func newerFeatures(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(newer, "policy", "abi", "4.0"))
	if err != nil {
		t.Fatalf("%v: make test fetches it", err)
	}
	file := filepath.Join(t.TempDir(), "features")
	table := regexp.MustCompile(`permstable32(_version)? *\{[^}]*\}`)
	if err := os.WriteFile(file, table.ReplaceAll(text, nil), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// Against the ABI of 4.0, the compiled profile allows user namespaces and POSIX
// message queues if the policy does, and only then. That of 3.0 asks about neither.
func TestNewerIsExact(t *testing.T) {
	everything := newerFeatures(t)
	for _, tt := range []struct {
		abi    apparmor.ABI
		kernel string
		newer  policy.Newer
		asks   bool
	}{
		{apparmor.ABI40, everything, policy.Newer{UserNamespaces: true, MessageQueues: []string{"posix"}}, true},
		{apparmor.ABI40, everything, policy.Newer{UserNamespaces: true}, true},
		{apparmor.ABI40, everything, policy.Newer{MessageQueues: []string{"posix"}}, true},
		{apparmor.ABI40, everything, policy.Newer{MessageQueues: []string{"sysv"}, IOUring: true}, true},
		{apparmor.ABI30, everything, policy.Newer{}, false},
	} {
		p := policy.Policy{Name: "p", Newer: tt.newer}
		c := readCompiled(t, findNewerParser(t).compile(t, tt.kernel, render(t, p, apparmor.Options{ABI: tt.abi})))
		asks := func(class byte) bool { return c.policy.walk(string(class)) != 0 }
		if asks(classUserns) != tt.asks || asks(classPOSIXQueue) != tt.asks {
			t.Errorf("abi %s: asks about user namespaces %t, about queues %t", tt.abi, asks(classUserns), asks(classPOSIXQueue))
		}
		if got := c.policy.match(string(rune(classUserns)))&mayCreateUserns != 0; got != tt.newer.UserNamespaces {
			t.Errorf("%+v: user namespaces: %t", tt.newer, got)
		}
		want := len(tt.newer.MessageQueues) > 0 && tt.newer.MessageQueues[0] == "posix"
		if got := c.policy.match(string(rune(classPOSIXQueue))+"/queue") != 0; got != want {
			t.Errorf("%+v: POSIX queues: %t", tt.newer, got)
		}
	}
}

// Whatever comes of evidence, both parsers read it.
func TestBothParsersReadGoldens(t *testing.T) {
	files, err := filepath.Glob("../../testdata/golden/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	profiles := 0
	for _, name := range files {
		golden, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range golden.Files {
			if f.Name != "apparmor" {
				continue
			}
			profiles++
			for _, p := range []parser{findParser(t), findNewerParser(t)} {
				for _, kernel := range kernels() {
					p.compile(t, kernel, f.Data)
				}
			}
		}
	}
	if profiles < 20 {
		t.Errorf("%d profiles, want at least 20", profiles)
	}
}
