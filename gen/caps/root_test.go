package caps_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/profgen/profgen/gen/caps"
	"github.com/profgen/profgen/gen/policy"
)

// What the flags say of the root file system is read back as it was.
func TestRootFlags(t *testing.T) {
	for _, want := range []policy.Root{
		{}, {ReadOnly: true},
		{ReadOnly: true, Scratch: []policy.Scratch{{Path: "/run"}, {Path: "/tmp", Exec: true}}},
	} {
		file, err := caps.RenderFlags(policy.Policy{Name: "p", Root: want}, caps.Options{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := caps.ParseRoot(file)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v, -want +got:\n%s", file, err, diff)
		}
		if strings.Contains(string(file), "--read-only\n") != want.ReadOnly {
			t.Errorf("%+v: %s", want, file)
		}
	}
	for _, bad := range []string{"tmp", "/tmp/", "/a/../b", "/a:exec", "/a b", "/a,b", "/$x"} {
		p := policy.Policy{Name: "p", Root: policy.Root{ReadOnly: true, Scratch: []policy.Scratch{{Path: bad}}}}
		if flags, err := caps.Flags(p, caps.Options{}); err == nil {
			t.Errorf("scratch folder %q: %q", bad, flags)
		}
	}
	for _, bad := range []string{"--tmpfs=tmp", "--tmpfs=/a/..:noexec", "--tmpfs="} {
		if root, err := caps.ParseRoot([]byte("--read-only\n" + bad + "\n")); err == nil {
			t.Errorf("%s: %+v", bad, root)
		}
	}
}

func FuzzParseRoot(f *testing.F) {
	f.Add([]byte("--cap-drop=ALL\n--read-only\n--tmpfs=/run:rw,noexec\n--tmpfs=/tmp:exec\n"))
	f.Add([]byte("--tmpfs=/a/../b"))
	f.Fuzz(func(t *testing.T, file []byte) {
		root, err := caps.ParseRoot(file)
		if err != nil {
			return
		}
		for _, s := range root.Scratch {
			if !strings.HasPrefix(s.Path, "/") || strings.Contains(s.Path, "..") && strings.Contains(s.Path, "/../") {
				t.Errorf("folder %q", s.Path)
			}
		}
	})
}
