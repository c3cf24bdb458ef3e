package apparmor_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/profgen/profgen/gen/apparmor"
	"github.com/profgen/profgen/gen/policy"
)

// FuzzSubject puts anything at all into the header. The rules must be those of
// a profile without a header, and compile to the same bytes.
func FuzzSubject(f *testing.F) {
	p := findParser(f)
	for _, seed := range []string{"", "nginx:1.27", "a\n}", "\"", "#include <tunables/global>", "\\", "\\\n", "é\u2028\u2029", "\x00", "\xff", "a,\r\ncapability,"} {
		f.Add(seed, seed, seed)
	}
	pol := policy.Policy{Name: "p", Capabilities: []string{"CAP_CHOWN"}, Network: []policy.Network{{Family: "inet", Type: "stream"}}}
	plain := render(f, pol, apparmor.Options{})
	want := p.compile(f, kernels()[0], plain)
	f.Fuzz(func(t *testing.T, image, digest, tool string) {
		out := render(t, pol, apparmor.Options{Tool: tool, Subjects: []apparmor.Subject{{Image: image, Digest: digest, ConfigDigest: image + digest}}})
		for _, c := range out {
			if c != '\n' && (c < ' ' || c > '~') {
				t.Fatalf("%#x in\n%q", c, out)
			}
		}
		if !slices.Equal(rules(out), rules(plain)) {
			t.Fatalf("rules became\n%s", strings.Join(rules(out), "\n"))
		}
		if !bytes.Equal(p.compile(t, kernels()[0], out), want) {
			t.Fatalf("compiles to something else:\n%s", out)
		}
	})
}

// FuzzName gives a profile any name. It is refused, or it is the name of the
// one profile that comes out.
func FuzzName(f *testing.F) {
	p := findParser(f)
	for _, seed := range []string{"p", "profgen-nginx-0123456789ab", "a.b_c-d", "a b", "a\n", "a}", "a\"", "é", "a//b", "a//&b", ":a:b", "a@{x}", "unconfined", "a..b", "a{b,c}", "complain", "profile", "flags", "hat", "include"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		out, err := apparmor.Render(policy.Policy{Name: name}, apparmor.Options{})
		if err != nil {
			if out != nil {
				t.Fatalf("an error and %q", out)
			}
			return
		}
		blob := p.compile(t, kernels()[0], out)
		tag := []byte("\x04\x08\x00profile\x00\x07\x05")
		if bytes.Count(blob, tag) != 1 || !bytes.Contains(blob, append([]byte(name), 0)) {
			t.Fatalf("the compiled profile is not one called %q", name)
		}
	})
}
