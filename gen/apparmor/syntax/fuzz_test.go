package syntax_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/profgen/profgen/gen/apparmor/syntax"
)

// FuzzParse reads anything. What is accepted is read as the same once it was
// formatted.
func FuzzParse(f *testing.F) {
	names, _ := filepath.Glob("testdata/golden/*.txtar")
	for _, name := range names {
		a, err := txtar.ParseFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(a.Files[0].Data)
	}
	for _, seed := range []string{
		"", "#", "profile p {", "profile p { /a r, }", "@{A}=a\n@{A}+=b", "$x = true", "/a r,/b w,", "alias /a -> /b,", "set rlimit nofile <= 10,",
		"if defined $X { } else if not $Y { } else { }", "owner { /a r, }", "peer=(label=x),", "mount options in (ro,bind) /a -> /b,", "\"", "(", "deny", "include",
	} {
		f.Add([]byte(seed))
	}
	if text, err := os.ReadFile("../testdata/golden/everything.txtar"); err == nil {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		file, err := syntax.Parse(text)
		if err != nil {
			return
		}
		roundTrip(t, "fuzz", file)
	})
}
