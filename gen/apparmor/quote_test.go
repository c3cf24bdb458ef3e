package apparmor_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/profgen/profgen/gen/apparmor"
)

func TestQuotePath(t *testing.T) {
	for _, tt := range []struct{ raw, want string }{
		{"/", "/"},
		{"/usr/bin/g++", "/usr/bin/g++"},
		{"/tmp/", "/tmp/"},
		{"/a b", `"/a b"`},
		{"/usr/share/perl/Foo::Bar.pm", `"/usr/share/perl/Foo::Bar.pm"`},
		{"/a[1]", `"/a\[1\]"`},
		{"/@{PROC}/x", `"/\@\{PROC\}/x"`},
		{`/a"b\c`, `"/a\"b\134c"`},
		{"/a\nb", `"/a\012b"`},
		{"/größe", `"/größe"`},
		{"/a\xff\xc3", `"/a\377\303"`},
		{"/a\u202eb", `"/a\342\200\256b"`},
		{"/a\ufffdb", "\"/a\ufffdb\""},
	} {
		if got, err := apparmor.QuotePath(tt.raw); err != nil || got != tt.want {
			t.Errorf("QuotePath(%q) = %s, %v; want %s", tt.raw, got, err, tt.want)
		}
	}
	for _, raw := range []string{"", "a", "./a", "/a\x00b", "//a", "/a//", "/a/../b", "/a/.", "@{PROC}/x"} {
		if got, err := apparmor.QuotePath(raw); err == nil || got != "" {
			t.Errorf("QuotePath(%q) = %s, want an error", raw, got)
		}
	}
}

// Many awkward names at once: the compiled profile must allow each of them and
// nothing that looks like it.
func TestQuotedPathsMeanThemselves(t *testing.T) {
	t.Run("parser", func(t *testing.T) { quotedMeanThemselves(t, findParser(t)) })
	t.Run("newer", func(t *testing.T) { quotedMeanThemselves(t, findNewerParser(t)) })
}

func quotedMeanThemselves(t *testing.T, p parser) {
	t.Helper()
	rng := rand.New(rand.NewPCG(7, 8))
	var names []string
	for c := 1; c < 256; c++ { // each byte: alone, first, last, between, twice, and before a digit
		if b := string([]byte{byte(c)}); b != "/" && b != "." {
			names = append(names, "/"+b, "/"+b+"x", "/x"+b, "/x"+b+"y", "/"+b+b, "/z"+b+"7")
		}
	}
	checkLiteral(t, p, names)
	for done := 0; done < *awkwardNames; done += maxBatch {
		names = names[:0]
		for range min(maxBatch, *awkwardNames-done) {
			names = append(names, "/"+awkward(rng))
		}
		checkLiteral(t, p, names)
	}
}

// awkwardNames is how many names to make up. What the project promises was checked
// with -args -names=100000, which takes minutes.
var awkwardNames = flag.Int("names", 2000, "awkward names of files to make up")

// maxBatch is how many names go into one profile: the parser's time grows faster
// than they do.
const maxBatch = 2000

// awkward returns a name made mostly of what means something to the parser.
func awkward(rng *rand.Rand) string {
	const alphabet = "\\\\\\?*[]{}^\"@!,;:#()<>|&$~`'=+- \t\n\r\x01\x7f\xff\xc3ab01209.nrtx\u00e9\u202e"
	var b []byte
	for range 1 + rng.IntN(12) {
		b = append(b, alphabet[rng.IntN(len(alphabet))])
	}
	if name := string(b); name != "." && name != ".." {
		return name
	}
	return "dots"
}

// checkLiteral compiles a profile that has a read rule for each name, and asks
// it for every name and for every neighbour of one.
func checkLiteral(t testing.TB, p parser, names []string) {
	t.Helper()
	known := map[string]bool{}
	var profile strings.Builder
	profile.WriteString("abi <abi/3.0>,\n@{PROC}=/proc\nprofile p {\n  capability chown,\n  network inet stream,\n")
	for _, name := range names {
		quoted, err := apparmor.QuotePath(name)
		if err != nil {
			t.Fatal(err)
		}
		known[name] = true
		fmt.Fprintf(&profile, "  %s r,\n", quoted)
	}
	profile.WriteString("}\n")
	c := readCompiled(t, p.compile(t, kernels()[0], []byte(profile.String())))
	for name := range known {
		if !c.may(name, mayRead) {
			t.Errorf("%q is refused", name)
		}
		for _, n := range neighbours(name) {
			if !known[n] && c.may(n, mayRead) {
				t.Errorf("%q allows %q", name, n)
			}
		}
	}
}

// neighbours returns names that a pattern character, left standing, would let
// in: with one byte dropped, doubled or replaced, and more at the end.
func neighbours(name string) []string {
	out := []string{name + "x", name + "/x", name + "/"}
	for i := 1; i < len(name); i++ {
		head, tail := name[:i], name[i+1:]
		out = append(out, head+tail, head+name[i:i+1]+name[i:], head+"q"+tail, head+"qq"+tail, head+`\`+tail, head+"/"+tail)
	}
	return out
}

// FuzzQuotePath runs the real parser over one name at a time: the batch above
// says that something is wrong, this finds the shortest name that is.
func FuzzQuotePath(f *testing.F) {
	p := findParser(f)
	for _, seed := range []string{"/", "/a b", "/a[1]", "/@{PROC}", "/\\052", "/a\\", "/\n", "/\xff", "/\"", "/#include <x>", "/{a,b}", "/größe"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		quoted, err := apparmor.QuotePath(raw)
		if err != nil {
			return
		}
		if !utf8.ValidString(quoted) || strings.ContainsAny(quoted, "\n\r\t\x00") {
			t.Fatalf("QuotePath(%q) = %q: not a line of text", raw, quoted)
		}
		if len(raw) < 4096 { // PATH_MAX
			checkLiteral(t, p, []string{raw})
		}
	})
}
