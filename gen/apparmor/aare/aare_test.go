package aare_test

import (
	"strings"
	"testing"

	"github.com/profgen/profgen/gen/apparmor/aare"
)

// The comparison with apparmor_parser is in package apparmor's tests; these are
// for reading.
func TestMatch(t *testing.T) {
	for _, tc := range []struct {
		pattern, name string
		want          bool
	}{
		{"/etc/passwd", "/etc/passwd", true},
		{"/etc/passwd", "/etc/passwd-", false},
		{"/var/log/*", "/var/log/x.log", true},
		{"/var/log/*", "/var/log/", false},
		{"/var/log/*", "/var/log/nginx/x.log", false},
		{"/var/log/**", "/var/log/nginx/x.log", true},
		{"/{usr/,}lib/*.so", "/lib/a.so", true},
		{"/{usr/,}lib/*.so", "/usr/lib/a.so", true},
		{"/dev/pts/[0-9]*", "/dev/pts/12", true},
		{"/dev/pts/[^0-9]*", "/dev/pts/12", false},
		{`"/a b\*\012"`, "/a b*\n", true},
		{"//a///b", "//a/b", true},
	} {
		p, err := aare.Compile(aare.Unquote(tc.pattern))
		if err != nil {
			t.Errorf("%s: %v", tc.pattern, err)
		} else if got := p.Match(tc.name); got != tc.want {
			t.Errorf("%s matches %q: got %t", tc.pattern, tc.name, got)
		}
	}
}

func TestCompileRefuses(t *testing.T) {
	for _, pattern := range []string{"/{a}", "/{a,b", "/a}", "/[a", "/a]", "/[]", `/a\`, "/a\x00", strings.Repeat("{a,", 51) + strings.Repeat("}", 51), strings.Repeat("a", 20_000)} {
		if _, err := aare.Compile(pattern); err == nil {
			t.Errorf("%.40s: compiled", pattern)
		}
	}
}

// FuzzMatch compiles anything and matches anything, in bounded time.
func FuzzMatch(f *testing.F) {
	f.Add("/{a,b}*/**[^c-d]", "/a/b/c")
	f.Add(`/\052\x2a\d42\n`, "/***\n")
	f.Add("/{,{,{,}}}*****", "/")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		p, err := aare.Compile(aare.Unquote(pattern))
		if err == nil && p.Match(name) && strings.ContainsRune(name, 0) {
			t.Error("a name with a NUL matches")
		}
	})
}
