package evidence_test

import (
	"strings"
	"testing"

	"github.com/profgen/profgen/gen/evidence"
)

// A path has one text, whatever its bytes.
func TestPathText(t *testing.T) {
	for path, text := range map[evidence.Path]string{
		"/usr/bin/nginx": "/usr/bin/nginx",
		"/a b/ü":         "/a b/ü",
		"/\\x41":         `/\x5cx41`,
		"/\xff\n\x7f":    `/\xff\x0a\x7f`,
		"/\u2028\ufffd":  `/\xe2\x80\xa8\xef\xbf\xbd`,
	} {
		if got := path.String(); got != text {
			t.Errorf("%q is %s, want %s", string(path), got, text)
		}
		var back evidence.Path
		if err := back.UnmarshalText([]byte(text)); err != nil || back != path {
			t.Errorf("%s is read as %q, %v", text, string(back), err)
		}
	}
	for _, bad := range []string{`/\x4`, `/\xzz`, `/\x41`, `/\xFF`, "/\xff", "/\n", `/\`} {
		var p evidence.Path
		if err := p.UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q is taken for %q", bad, string(p))
		}
	}
}

func TestDecodeRefusesAccess(t *testing.T) {
	file := string(encode(t, every()))
	for _, c := range []struct{ old, new, want string }{
		{`"perms":"rl"`, `"perms":"lr"`, "in that order"},
		{`"perms":"rl"`, `"perms":"rr"`, "in that order"},
		{`"perms":"rl"`, `"perms":"ru"`, "in that order"},
		{`"perms":"rl"`, `"perms":""`, "want permissions"},
		{`"perms":"rl"`, `"perms":"r"`, "only a link"},
		{`"/srv/b"`, `"srv/b"`, "absolute"},
		{`"/srv/a\\xff"`, `"/srv/../a"`, "absolute"},
		{`"kind":"file"`, `"kind":"hole"`, `kind of file "hole"`},
		{`"created"`, `"found"`, `origin "found"`},
		{`"EXDEV"`, `"exdev"`, `errno "exdev"`},
		{`"number":15`, `"number":65`, "signal 65"},
		{`"peer":"outside"`, `"peer":"above"`, `peer "above"`},
		{`"access":"read"`, `"access":"look"`, `ptrace "look"`},
		{`["nosuid","ro"]`, `["ro","nosuid"]`, "sorted"},
		{`"fstype":"tmpfs"`, `"fstype":"TMP FS"`, "lower case"},
		{`"kind":"pids"`, `"kind":"hope"`, `resource "hope"`},
	} {
		bad := strings.Replace(file, c.old, c.new, 1)
		if bad == file {
			t.Errorf("%s: not in the file", c.old)
			continue
		}
		if _, err := evidence.Decode(strings.NewReader(bad)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.new, err, c.want)
		}
	}
}

func TestRound(t *testing.T) {
	for n, want := range map[uint64]uint64{0: 1, 1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 7: 8, 9: 12, 13: 16, 1000: 1024, 1100: 1536} {
		if got := evidence.Round(n); got != want {
			t.Errorf("Round(%d) = %d, want %d", n, got, want)
		}
		if evidence.Round(want) != want {
			t.Errorf("Round(%d) is not itself", want)
		}
	}
}
