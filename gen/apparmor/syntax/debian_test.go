package syntax_test

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/profgen/profgen/gen/apparmor/syntax"
)

// corpus is policy of Debian packages, fetched by scripts/apparmor-corpus.
const corpus = "../../../.cache/apparmor"

// policies calls f with every file of policy of the corpus.
func policies(t *testing.T, f func(name string, text []byte)) {
	t.Helper()
	base := filepath.Join(corpus, ".base")
	if _, err := os.Stat(base); err != nil {
		t.Fatalf("%v: make test fetches the profiles that the tests read", err)
	}
	err := filepath.WalkDir(corpus, func(name string, d fs.DirEntry, err error) error {
		if name == base || err == nil && d.IsDir() && d.Name() == "abi" {
			return filepath.SkipDir // features of kernels, no policy
		}
		if err != nil || !d.Type().IsRegular() || d.Name() == "README" {
			return err
		}
		text, err := os.ReadFile(name)
		f(name, text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Whatever policy Debian ships is read, and read as the same once formatted.
func TestDebianRoundTrip(t *testing.T) {
	n := 0
	policies(t, func(name string, text []byte) {
		f, err := syntax.Parse(text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		n++
		roundTrip(t, name, f)
	})
	t.Logf("%d files are read, and read as the same once formatted", n)
	if n < 250 {
		t.Errorf("%d files, want at least 250", n)
	}
}

// The kernel would get the same bytes before and after formatting.
func TestDebianRecompiled(t *testing.T) {
	parser, err := exec.LookPath("apparmor_parser")
	if err != nil {
		t.Skip("apparmor_parser is not installed")
	}
	compile := func(dir string, text []byte) ([]byte, string) {
		cmd := exec.Command(parser, "--skip-kernel-load", "--skip-cache", "--quiet", "--stdout", "--features-file", "../testdata/features/linux-6.1",
			"--Include", filepath.Join(corpus, ".base"), "--Include", dir)
		cmd.Stdin = bytes.NewReader(text)
		var msg bytes.Buffer
		cmd.Stderr = &msg
		out, err := cmd.Output()
		if err != nil {
			return nil, msg.String()
		}
		return out, ""
	}
	same, refused := 0, 0
	policies(t, func(name string, text []byte) {
		if strings.Contains(name, "/abstractions/") || strings.Contains(name, "/tunables/") {
			return // no profiles, but parts of some
		}
		dir := filepath.Dir(name)
		want, _ := compile(dir, text)
		if want == nil {
			refused++
			return
		}
		f, err := syntax.Parse(text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		got, msg := compile(dir, syntax.Format(f.Canonical()))
		if !bytes.Equal(got, want) {
			t.Errorf("%s compiles to something else once formatted: %d bytes before, %d after; %s", name, len(want), len(got), msg)
			return
		}
		same++
	})
	t.Logf("%d files compile to the same bytes once formatted; %d do not compile as they are", same, refused)
	if same < 150 {
		t.Errorf("%d files, want at least 150", same)
	}
}
