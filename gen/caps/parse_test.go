package caps_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/profgen/profgen/gen/caps"
	"github.com/profgen/profgen/gen/policy"
	"github.com/profgen/profgen/internal/abi"
)

// What is rendered is parsed as what it was, with the path as seen from
// elsewhere.
func TestParseWhatIsRendered(t *testing.T) {
	for _, names := range [][]string{nil, {"CAP_CHOWN"}, abi.Capabilities()} {
		p := policy.Policy{Name: "profgen-x", Capabilities: names}
		file, err := caps.RenderFlags(p, caps.Options{SeccompPath: "seccomp.json"})
		if err != nil {
			t.Fatal(err)
		}
		elsewhere := caps.Options{SeccompPath: "a/b/seccomp.json", WithoutAppArmor: true}
		want, err := caps.Flags(p, elsewhere)
		if err != nil {
			t.Fatal(err)
		}
		got, err := caps.ParseFlags(file, elsewhere)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("flags: %v (-want +got):\n%s", err, diff)
		}
		set, err := caps.RenderSet(p)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := caps.ParseSet(set)
		if diff := cmp.Diff(slices.Sorted(slices.Values(names)), slices.Sorted(slices.Values(parsed))); err != nil || diff != "" {
			t.Errorf("set: %v (-want +got):\n%s", err, diff)
		}
	}
}

// Whatever a committed file holds, each flag is one word for the shell, and
// all capabilities are dropped first.
func FuzzParseFlags(f *testing.F) {
	f.Add([]byte("--cap-drop=ALL\n--cap-add=CHOWN\n--security-opt=seccomp=seccomp.json\n"))
	f.Add([]byte("--cap-drop=ALL\n--x=$(reboot)\n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		flags, err := caps.ParseFlags(file, caps.Options{SeccompPath: "dir/seccomp.json"})
		if err != nil {
			return
		}
		if !slices.Contains(flags, "--cap-drop=ALL") {
			t.Errorf("%q: no --cap-drop=ALL", flags)
		}
		for _, flag := range flags {
			if len(strings.Fields(flag)) != 1 || strings.ContainsAny(flag, "$`;|&<>()*?[]'\"\\") {
				t.Errorf("%q is not one word", flag)
			}
		}
	})
}

// Whatever a committed file holds, only capabilities come out of it.
func FuzzParseSet(f *testing.F) {
	f.Add([]byte("CAP_CHOWN\nCAP_SETUID\n"))
	f.Add([]byte("# none\n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		names, err := caps.ParseSet(file)
		if err == nil && names == nil {
			t.Error("the empty set is nil")
		}
		for _, name := range names {
			if _, ok := abi.CapabilityNumber(name); !ok {
				t.Errorf("%q is no capability", name)
			}
		}
	})
}
