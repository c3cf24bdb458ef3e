//go:build linux && (amd64 || arm64)

package ebpf

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/record"
)

// uses returns what was recorded of a file.
func uses(s record.Snapshot, path evidence.Path) []evidence.FileAccess {
	var out []evidence.FileAccess
	for _, f := range s.Facts {
		if f, ok := f.(evidence.FileAccess); ok && f.Path == path {
			out = append(out, f)
		}
	}
	return out
}

// Of a file that two users fail to open the same way, both uses are recorded: that
// of its owner, and the one that "owner" in a rule would not allow. The terminal
// of who has none is refused by its driver, long after AppArmor was asked.
func TestOwners(t *testing.T) {
	const open = `: <>/dev/tty`
	s := recordRun(t, Options{Files: true}, record.AtExec, "setsid", "--wait", "sh", "-c",
		"("+open+") 2>/dev/null; setpriv --reuid=65534 --clear-groups sh -c '"+open+"' 2>/dev/null; true")
	got := uses(s, "/dev/tty")
	owned := func(want bool) bool {
		return slices.ContainsFunc(got, func(f evidence.FileAccess) bool {
			return f.Owner == want && f.Perms == "rw" && f.Errno == "ENXIO"
		})
	}
	if !owned(true) || !owned(false) {
		t.Errorf("of root and another user who opened /dev/tty in vain: %+v; gaps %+v", got, s.Gaps)
	}
}

// The same goes for a script that two users run.
func TestScriptOwners(t *testing.T) {
	dir := t.TempDir()
	script := filepath.Join(dir, "script")
	if err := errors.Join(os.Chmod(filepath.Dir(dir), 0o755), os.WriteFile(script, []byte("#!/bin/sh\n"), 0o755)); err != nil {
		t.Fatal(err)
	}
	s := recordRun(t, Options{Files: true}, record.AtExec, "sh", "-c",
		"setpriv --reuid=0 "+script+"; setpriv --reuid=65534 --clear-groups "+script)
	got := uses(s, evidence.Path(script))
	for _, owned := range []bool{true, false} {
		if !slices.ContainsFunc(got, func(f evidence.FileAccess) bool { return f.Owner == owned && f.Perms == "rx" }) {
			t.Errorf("no use by its owner %t: %+v", owned, got)
		}
	}
}

// That there are no huge pages is found out after AppArmor was asked for them.
func TestHugePages(t *testing.T) {
	program := compile(t, "hugepages.c")
	for _, how := range []string{"mmap", "memfd"} {
		t.Run(how, func(t *testing.T) {
			s := recordRun(t, Options{Files: true}, record.AtExec, program, how)
			if got := uses(s, "/anon_hugepage"); len(got) != 1 || got[0].Perms != "rw" || got[0].Errno != "" {
				t.Errorf("uses of huge pages: %+v; gaps %+v", got, s.Gaps)
			}
		})
	}
}
