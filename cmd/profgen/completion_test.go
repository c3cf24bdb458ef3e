package main

import (
	"os/exec"
	"strings"
	"testing"
)

// Each shell takes the script that is written for it, and bash completes with
// it.
func TestCompletion(t *testing.T) {
	for shell, check := range map[string][]string{"bash": {"bash", "-n"}, "zsh": {"zsh", "-n"}, "fish": {"fish", "-n"}} {
		script := profgen(t, "completion", shell)
		for _, want := range []string{"record", "allow-other-image", "dry-run"} {
			if !strings.Contains(script, want) {
				t.Errorf("%s: no %s", shell, want)
			}
		}
		if _, err := exec.LookPath(check[0]); err != nil {
			t.Fatalf("%v: scripts/install-missing test installs it", err)
		}
		cmd := exec.CommandContext(t.Context(), check[0], check[1:]...)
		cmd.Stdin = strings.NewReader(script)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", shell, err, out)
		}
	}
	for line, want := range map[string]string{"profgen ver": "verify", "profgen run --dry": "--dry-run", "profgen flags --fo": "--for"} {
		words := strings.Fields(line)
		cmd := exec.CommandContext(t.Context(), "bash", "-c", profgen(t, "completion", "bash")+
			"COMP_WORDS=("+line+"); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _profgen; echo ${COMPREPLY[@]}")
		out, err := cmd.CombinedOutput()
		if err != nil || strings.TrimSpace(string(out)) != want {
			t.Errorf("%q completes to %q, %v; want %q", words, out, err, want)
		}
	}
}

// The manual page has every command and says what each is for.
func TestManualPage(t *testing.T) {
	page := profgen(t, "completion", "man")
	for _, want := range []string{".TH profgen 1", "\\fB--dry-run\\fP", "record", "completion"} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q", want)
		}
	}
}
