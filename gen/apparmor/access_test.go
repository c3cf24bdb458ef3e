package apparmor_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/profgen/profgen/gen/apparmor/access"
	"github.com/profgen/profgen/gen/apparmor/syntax"
)

// bits are a permission as the compiled profile has it.
func bits(p access.Perms) uint32 {
	var out uint32
	for _, b := range []struct {
		perm access.Perms
		bit  uint32
	}{
		{access.Read, mayRead}, {access.Write, mayWrite}, {access.Append, mayAppend}, {access.Exec, mayExec},
		{access.Lock, mayLock}, {access.Map, mayMap},
	} {
		if p&b.perm != 0 {
			out |= b.bit
		}
	}
	return out
}

// randomProfile makes a few file rules of all kinds.
func randomProfile(r *rand.Rand) string {
	var b strings.Builder
	b.WriteString("@{V}=/a /b/{a,c}\n@{V}+=/c/*\nprofile p {\n  /something r,\n")
	for range 1 + r.IntN(6) {
		path := "/" + randomPattern(r, 1)
		if strings.HasSuffix(path, `\\`) {
			path += "z" // apparmor_parser takes \\" for a quote that goes on: see QuotePath
		}
		if r.IntN(4) == 0 {
			path = "@{V}" + path
		}
		allow := []string{"r", "w", "a", "k", "m", "rw", "ix", "rk", "mr", "rix", "rwk"}
		perms := []string{"r", "w", "a", "k", "m", "x", "rwklx", "mrwkl"}
		switch r.IntN(6) {
		case 0:
			fmt.Fprintf(&b, "  deny \"%s\" %s,\n", path, perms[r.IntN(len(perms))])
		case 1:
			fmt.Fprintf(&b, "  owner \"%s\" %s,\n", path, allow[r.IntN(len(allow))])
		case 2:
			fmt.Fprintf(&b, "  deny owner \"%s\" %s,\n", path, perms[r.IntN(len(perms))])
		case 3:
			if r.IntN(4) == 0 {
				b.WriteString("  file,\n")
			}
		default:
			fmt.Fprintf(&b, "  \"%s\" %s,\n", path, allow[r.IntN(len(allow))])
		}
	}
	b.WriteString("}\n")
	return b.String()
}

// Whatever the rules, we answer as the compiled profile does.
func TestAccessAgreesWithParser(t *testing.T) {
	t.Run("parser", func(t *testing.T) { accessAgrees(t, findParser(t)) })
	t.Run("newer", func(t *testing.T) { accessAgrees(t, findNewerParser(t)) })
}

func accessAgrees(t *testing.T, p parser) {
	t.Helper()
	r := rand.New(rand.NewPCG(3, 4))
	asked, granted := 0, 0
	for range 300 {
		text := randomProfile(r)
		f, err := syntax.Parse([]byte(text))
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		profile, err := access.Compile(f, "p", nil)
		out, msg, perr := p.try("linux-6.1", []byte(text))
		if (err != nil) != (perr != nil) {
			t.Errorf("we say %v, the parser %v: %s\n%s", err, perr, msg, text)
		}
		if err != nil || perr != nil {
			continue
		}
		c := readCompiled(t, out)
		for range 100 {
			name, owner := randomName(r), r.IntN(2) == 0
			perm := access.Perms(1) << []int{0, 1, 2, 3, 5, 6}[r.IntN(6)]
			compiled := c.files.match(name)
			if !owner {
				compiled >>= forOthers
			}
			want := compiled&bits(perm) == bits(perm)
			asked++
			if want {
				granted++
			}
			if got := profile.Allows(name, perm, owner); got != want {
				t.Fatalf("%q %s owner %t: we say %t, the parser %t\n%s", name, perm, owner, got, want, text)
			}
		}
	}
	t.Logf("%d asked, %d granted", asked, granted)
	if asked < 10_000 || granted < 1000 {
		t.Errorf("too few: %d asked, %d granted", asked, granted)
	}
}
