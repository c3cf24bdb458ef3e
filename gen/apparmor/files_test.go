package apparmor_test

import (
	"testing"

	"github.com/profgen/profgen/gen/apparmor"
	"github.com/profgen/profgen/gen/policy"
)

// What the compiled profile allows must be what the rules say, to the byte.
func TestFileRulesAreExact(t *testing.T) {
	_, in := readGolden(t, "testdata/golden/files.txtar")
	tests := []struct {
		path           string
		perms          uint32
		owner, another bool
	}{
		{"/usr/bin/app", mayRead | mayMap | mayExec, true, true},
		{"/usr/bin/app", mayWrite, false, false},
		{"/usr/bin/app2", mayRead, false, false},
		{"/etc/a b [c]/", mayRead, true, false},
		{"/etc/a b c/", mayRead, false, false},
		{"/etc/a b [c]", mayRead, false, false},
		{"/proc/1/stat", mayRead, true, true},
		{"/proc/4194304/stat", mayRead, true, true},
		{"/proc/1x/stat", mayRead, false, false},
		{"/proc/self/stat", mayRead, false, false},
		{"/proc/12345678/stat", mayRead, false, false},
		{"/proc/stat", mayRead, false, false},
		{"/tmp/x-Ab3xYz", mayRead | mayWrite | mayAppend, true, false},
		{"/tmp/x-Ab3xY", mayRead, false, false},
		{"/tmp/x-Ab3x/z", mayRead, false, false},
		{"/tmp/beef.log", mayAppend | mayLock, true, true},
		{"/tmp/beef.log", mayWrite, false, false},
		{"/tmp/bee.log", mayAppend, false, false},
		{"/tmp/n17/", mayWrite, true, true},
		{"/tmp/n17", mayWrite, false, false},
		{"/tmp/new", mayWrite, true, true},
		{"/etc/shadow", mayRead, false, false},
		{"/root/.ssh/id_rsa", mayRead, false, false},
		{"/run/docker.sock", mayWrite, false, false},
		{"/proc/sysrq-trigger", mayWrite, false, false},
	}
	for _, kernel := range kernels() {
		c := readCompiled(t, findParser(t).compile(t, kernel, render(t, in.Policy, in.Options)))
		for _, tt := range tests {
			got := c.files.match(tt.path)
			if owner := got&tt.perms == tt.perms; owner != tt.owner {
				t.Errorf("%s: %s %#x to its owner: %t", kernel, tt.path, tt.perms, owner)
			}
			if another := got>>forOthers&tt.perms == tt.perms; another != tt.another {
				t.Errorf("%s: %s %#x to another: %t", kernel, tt.path, tt.perms, another)
			}
		}
		if !c.mayLink("/tmp/new", "/tmp/old") || c.mayLink("/tmp/new", "/etc/shadow") || c.mayLink("/tmp/other", "/tmp/old") {
			t.Errorf("%s: hard links are not as the rule says", kernel)
		}
	}
}

// A name that is no path is refused, in whatever piece.
func TestNamesThatAreNoPaths(t *testing.T) {
	for _, name := range []policy.Name{
		{{Text: "relative"}}, {{Text: "/a/../b"}}, {{Text: "/a\x00"}}, {{Text: "/a/"}, {Text: "/b", Class: policy.Hex}},
		{{Text: "/a"}, {Text: "1", Class: "other"}}, {},
	} {
		p := policy.Policy{Name: "p", Files: policy.Files{Confined: true, Rules: []policy.FileRule{{Name: name, Perms: "r"}}}}
		if out, err := apparmor.Render(p, apparmor.Options{}); err == nil || out != nil {
			t.Errorf("%q: got %s, want an error", name, out)
		}
	}
}
