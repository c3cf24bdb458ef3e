package main

import (
	"errors"
	"strings"
	"testing"
)

func TestKnownName(t *testing.T) {
	for _, tt := range []struct{ in, want, suggest string }{
		{"clone3", "clone3", ""},
		{"CAP_CHOWN", "CAP_CHOWN", ""},
		{"CHOWN", "CAP_CHOWN", ""},
		{"sys_admin", "CAP_SYS_ADMIN", ""},
		{"chown", "chown", ""}, // the system call, and not the capability
		{"socketcall", "socketcall", ""},
		{"opnat2", "", "openat2"},
		{"kexec", "", "kexec_file_load"},
		{"CAP_SYSADMIN", "", "CAP_SYS_ADMIN"},
		{"", "", ""},
		{"/etc/passwd", "", ""},
		{strings.Repeat("read", 1000), "", ""},
	} {
		got, err := knownName(tt.in)
		if got != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("%.20q: %q, %v; want %q", tt.in, got, err, tt.want)
			continue
		}
		if err == nil {
			continue
		}
		var code exitError
		if !errors.As(err, &code) || code.code != 2 {
			t.Errorf("%.20q: %v is no mistake of usage", tt.in, err)
		}
		_, suggestions, _ := strings.Cut(err.Error(), "did you mean ")
		if first, _, _ := strings.Cut(suggestions, ","); strings.TrimSuffix(first, "?") != tt.suggest {
			t.Errorf("%.20q: %v; want %q suggested first", tt.in, err, tt.suggest)
		}
	}
}

func TestEdits(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"read", "read", 0}, {"", "read", 4}, {"read", "", 4}, {"raed", "read", 2}, {"openat", "openat2", 1}, {"kitten", "sitting", 3},
	} {
		if got := edits(tt.a, tt.b); got != tt.want {
			t.Errorf("%q to %q: %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}
