package apparmor_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/profgen/profgen/gen/apparmor/aare"
)

// randomPattern makes patterns of few letters, so that names match by chance.
func randomPattern(r *rand.Rand, depth int) string {
	var b strings.Builder
	for range 1 + r.IntN(5) {
		switch r.IntN(12) {
		case 0:
			b.WriteString("*")
		case 1:
			b.WriteString("**")
		case 2:
			b.WriteString("?")
		case 3:
			b.WriteString([]string{"[ab]", "[^a]", "[a-c]", "[^a-b/]", "[b/]", "[\\]a]"}[r.IntN(6)])
		case 4, 5:
			b.WriteString("/")
		case 6:
			b.WriteString([]string{`\*`, `\{`, `\[`, `\\`, `\052`, `\012`, `\?`, `\,`}[r.IntN(8)])
		case 7:
			if depth < 2 {
				fmt.Fprintf(&b, "{%s,%s}", randomPattern(r, depth+1), []string{"", "a", randomPattern(r, depth+1)}[r.IntN(3)])
			}
		default:
			b.WriteByte("abc"[r.IntN(3)])
		}
	}
	return b.String()
}

func randomName(r *rand.Rand) string {
	var b strings.Builder
	b.WriteByte('/')
	for range r.IntN(7) {
		b.WriteByte("aaabbc///*{[\\\n?],"[r.IntN(17)])
	}
	return b.String()
}

// The matcher and the compiled profile agree on every name.
func TestMatcherAgreesWithParser(t *testing.T) {
	t.Run("parser", func(t *testing.T) { matcherAgrees(t, findParser(t)) })
	t.Run("newer", func(t *testing.T) { matcherAgrees(t, findNewerParser(t)) })
}

func matcherAgrees(t *testing.T, p parser) {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	asked, matched, refused := 0, 0, 0
	for range 400 {
		text := `"/` + randomPattern(r, 0) + `"`
		pattern, err := aare.Compile(aare.Unquote(text))
		out, msg, perr := p.try("linux-6.1", []byte("profile p {\n  "+text+" r,\n}\n"))
		if err != nil && strings.Contains(err.Error(), "a NUL") {
			continue // no name has one: the parser lets it pass, and a rule that can match nothing is no rule that was meant
		}
		if (err != nil) != (perr != nil) {
			t.Errorf("%s: we say %v, the parser %v: %s", text, err, perr, msg)
		}
		if err != nil || perr != nil {
			refused++
			continue
		}
		c := readCompiled(t, out)
		for range 60 {
			name := randomName(r)
			want := c.may(name, mayRead)
			asked++
			if want {
				matched++
			}
			if got := pattern.Match(name); got != want {
				t.Errorf("%s matches %q: we say %t, the parser %t", text, name, got, want)
			}
		}
	}
	t.Logf("%d names asked, %d match; %d patterns refused by both", asked, matched, refused)
	if asked < 10_000 || matched < 500 {
		t.Errorf("too few: %d asked, %d match", asked, matched)
	}
}

// corners are patterns in which something easily goes wrong, one a line.
const corners = `
/\a
/\b
/\c
/\e
/\f
/\g
/\h
/\r
/\v
/\d
/\x
/\xg
/\x4g
/\d6
/\d999
/\d256
/\8
/\18
/\xAB
/[a-b-c]
/[a--]
/[--a]
/[ab-]
/[\]a-b]
/\052\133
/[\135]
/\x7b
/\0
/\x00
/\d0
/[\^a]
/[a^]
/\x2f\x2fa
/a\057\057b
/{a,/}/b
/{a/,}/b
/{a}
/a}
/a]
/[
/{
/[]a]
/[^]
/[b-a]
/{a,{b}}
/a\
/a//b
//a
///a
/a/**/b
/***
/a***b
/\x41
/\d65
/\n
/\t
/[a
/{,}
/{a,b}}
/a^b
/a@b
/[[]
/[a\-c]
/[-a]
/[a-]
/[\052]
/\101
/{a,b
/a,b
/{a\,b,c}
/[a,b]
/{[a,b],c}
/{[},],c}
/\777
/\1
/a\"b
`

// The parser and we agree about corners, asked with every name of up to three
// bytes that could tell them apart.
func TestPatternCorners(t *testing.T) {
	p := findParser(t)
	var names []string
	const letters = "abf/AnC,-*[]^\n\t}\"\\@x4605dz\a\x1b\f\r\b\x06g8\x01 "
	for _, x := range []byte(letters) {
		for _, y := range []byte(letters) {
			names = append(names, "/"+string(x), "/"+string(x)+string(y))
			for _, z := range []byte("ab/4") {
				names = append(names, "/"+string(x)+string(y)+string(z))
			}
		}
	}
	for text := range strings.SplitSeq(strings.Trim(corners, "\n"), "\n") {
		text = `"` + text + `"`
		pattern, err := aare.Compile(aare.Unquote(text))
		out, msg, perr := p.try("linux-6.1", []byte("profile p {\n  "+text+" r,\n}\n"))
		if err != nil && strings.Contains(err.Error(), "a NUL") {
			continue // no name has one: the parser lets it pass, and a rule that can match nothing is no rule that was meant
		}
		if (err != nil) != (perr != nil) {
			t.Errorf("%s: we say %v, the parser %v: %s", text, err, perr, msg)
		}
		if err != nil || perr != nil {
			continue
		}
		c := readCompiled(t, out)
		for _, name := range append(names, "/", "/\xab", "/\xff") {
			if got, want := pattern.Match(name), c.may(name, mayRead); got != want {
				t.Errorf("%s matches %q: we say %t, the parser %t", text, name, got, want)
				break
			}
		}
	}
}
