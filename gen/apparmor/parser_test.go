package apparmor_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// kernels are the feature sets in testdata/features.
func kernels() []string { return []string{"linux-6.1", "linux-6.12"} }

// parser is the real apparmor_parser, which needs no AppArmor in the kernel to
// compile.
type parser string

func findParser(t testing.TB) parser {
	t.Helper()
	for _, name := range []string{"apparmor_parser", "/sbin/apparmor_parser", "/usr/sbin/apparmor_parser"} {
		if path, err := exec.LookPath(name); err == nil {
			return parser(path)
		}
	}
	if os.Geteuid() == 0 {
		t.Fatal("apparmor_parser is not installed: scripts/install-missing test installs it")
	}
	t.Skip("needs apparmor_parser: scripts/install-missing test installs it, as root")
	return ""
}

// newer is where make test puts the parser of a newer Debian release.
const newer = "../../.cache/apparmor-parser"

// findNewerParser returns an apparmor_parser of 4.0 or later.
func findNewerParser(t testing.TB) parser {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(newer, "parser"))
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		t.Fatalf("%v: make test fetches it", err)
	}
	return parser(path)
}

// compile returns the profile as it would be loaded into the kernel.
func (p parser) compile(t testing.TB, kernel string, profile []byte) []byte {
	t.Helper()
	out, msg, err := p.try(kernel, profile)
	if err != nil {
		t.Fatalf("%s: %v: %s\n%s", kernel, err, msg, profile[:min(len(profile), 2000)])
	}
	return out
}

// try is compile for profiles that may be refused. It returns the parser's
// complaint as well.
func (p parser) try(kernel string, profile []byte) (out, msg []byte, err error) {
	features := kernel
	if !filepath.IsAbs(kernel) {
		features = filepath.Join("testdata", "features", kernel)
	}
	if _, err := os.Stat(features); err != nil {
		return nil, nil, err
	}
	cmd := exec.Command(string(p), "--skip-kernel-load", "--skip-cache", "--quiet", "--stdout", "--features-file", features)
	cmd.Stdin = bytes.NewReader(profile)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	return stdout.Bytes(), stderr.Bytes(), err
}
