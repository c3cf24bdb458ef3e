package sandbox

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFindRuntime(t *testing.T) {
	_, err := FindRuntime(t.Context(), "no-such-runtime")
	if err == nil || err.Error() != "OCI runtime no-such-runtime: not found; install runc or crun, or name another with --runtime" {
		t.Errorf("FindRuntime: %v", err)
	}
}

// What a program says of itself tells an OCI runtime from a container engine.
func TestFindRuntimeAsksWhatItIs(t *testing.T) {
	features := `case "$1" in features) echo '{"ociVersionMin":"1.0.0"}';; --version) echo 'youki version: 0.5.0';; esac`
	for name, tc := range map[string]struct{ script, version, err string }{
		"runc":         {"printf 'runc version 1.1.5+ds1\\ncommit: 1.1.5\\nspec: 1.0.2-dev\\n'", "1.1.5+ds1", ""},
		"runsc":        {"printf 'runsc version release-20240101.0\\nspec: 1.1.0-rc.1\\n'", "release-20240101.0", ""},
		"kata-runtime": {"printf 'kata-runtime  : 3.2.0\\n   commit   : 1\\n   OCI specs: 1.0.2-dev\\n'", "3.2.0", ""},
		"youki":        {features, "0.5.0", ""},
		"docker":       {`[ "$1" = --version ] && echo 'Docker version 28.2.2, build e6534b4'`, "", "it is no OCI runtime"},
		"podman":       {"echo podman version 4.3.1", "", "it is no OCI runtime"},
		"true":         {"", "", "does not answer as an OCI runtime does"},
		"false":        {"echo runc version 1; exit 1", "", "does not answer as an OCI runtime does"},
	} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+tc.script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		rt, err := FindRuntime(t.Context(), path)
		if tc.err != "" {
			if err == nil || !strings.Contains(err.Error(), tc.err) {
				t.Errorf("%s: %v, want %s", name, err, tc.err)
			}
		} else if err != nil || rt != (Runtime{path, name, tc.version}) {
			t.Errorf("%s: %+v, %v", name, rt, err)
		}
	}
}
