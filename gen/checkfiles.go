package gen

import (
	"fmt"
	"strings"

	"github.com/profgen/profgen/gen/apparmor/access"
	"github.com/profgen/profgen/gen/apparmor/syntax"
	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/gen/policy"
)

// decoys are files that no profile may allow unless the evidence has them.
var decoys = []struct{ path, perms string }{
	{"/etc/shadow", "r"}, {"/root/.ssh/", "r"}, {"/root/.ssh/id_rsa", "r"}, {"/root/.ssh/authorized_keys", "w"},
	{"/proc/sysrq-trigger", "w"}, {"/proc/kcore", "r"}, {"/proc/1/mem", "w"}, {"/proc/sys/kernel/core_pattern", "w"},
	{"/sys/kernel/security/apparmor/.replace", "w"}, {"/var/run/docker.sock", "w"}, {"/run/docker.sock", "w"},
	{"/run/containerd/containerd.sock", "w"}, {"/dev/sda", "r"}, {"/dev/mem", "r"}, {"/usr/bin/nsenter", "x"},
}

// checkFiles asks the emitted AppArmor profile for every use of a file in the
// evidence, which it must allow, and for files that it must not unless the
// evidence has them.
func checkFiles(profile []byte, p policy.Policy, set evidence.Set) error {
	if !p.Files.Confined {
		return nil
	}
	tree, err := syntax.Parse(profile)
	if err != nil {
		return fmt.Errorf("the AppArmor profile does not read: %w: this is a bug in profgen, please report it with the evidence", err)
	}
	compiled, err := access.Compile(tree, p.Name, nil)
	if err != nil {
		return fmt.Errorf("the AppArmor profile does not compile: %w: this is a bug in profgen, please report it with the evidence", err)
	}
	used := map[string]bool{}
	for _, f := range set.Facts {
		f, ok := f.(evidence.FileAccess)
		if !ok || f.Phase == evidence.Runtime || f.Basis == evidence.Reachable {
			continue
		}
		used[string(f.Path)] = true
		if !allowed(compiled, f) && !policy.NeedsNoRule(f) {
			return fmt.Errorf("the profile would refuse %s to %s, which the evidence has: this is a bug in profgen, please report it with the evidence", f.Perms, f.Path)
		}
	}
	for _, d := range decoys {
		if !used[strings.TrimSuffix(d.path, "/")] && compiled.Allows(d.path, access.ParsePerms(d.perms), true) && !p.Files.Names(d.path) {
			return fmt.Errorf("the profile would allow %s of %s, which the evidence has not: this is a bug in profgen, please report it with the evidence", d.perms, d.path)
		}
	}
	return nil
}

// allowed reports whether a profile allows what f is of.
func allowed(p *access.Profile, f evidence.FileAccess) bool {
	path := named(f)
	if strings.Contains(f.Perms, "l") && !p.AllowsLink(path, string(f.Target), f.Owner) {
		return false
	}
	return p.Allows(path, access.ParsePerms(strings.ReplaceAll(f.Perms, "l", "")), f.Owner)
}

// named is the name that AppArmor has for the file of f.
func named(f evidence.FileAccess) string {
	path := string(f.Path)
	if rest, ok := strings.CutPrefix(path, "/proc/self"); ok && (rest == "" || rest[0] == '/') {
		path = "/proc/7" + rest
	}
	if f.Kind == evidence.Directory && path != "/" {
		path += "/"
	}
	return path
}
