package caps_test

import (
	"flag"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/containers/common/pkg/capabilities"
	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/profgen/profgen/gen/caps"
	"github.com/profgen/profgen/gen/policy"
	"github.com/profgen/profgen/internal/abi"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// dockerDefault is what docker grants if it is told nothing: moby,
// daemon/pkg/oci/caps/defaults.go.
func dockerDefault() []string {
	return []string{
		"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID",
		"CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE",
	}
}

// A golden file holds the capabilities that go in, one a line in no order, and
// the two files that come out.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/golden/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("golden files: %d found, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			golden, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := renderGolden(t, golden)
			if *update {
				if err := os.WriteFile(file, txtar.Format(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if d := cmp.Diff(string(txtar.Format(golden)), string(txtar.Format(got))); d != "" && !*update {
				t.Errorf("-golden +got:\n%s", d)
			}
		})
	}
}

func renderGolden(t *testing.T, golden *txtar.Archive) *txtar.Archive {
	t.Helper()
	in := golden.Files[0]
	p := policy.Policy{Name: "profgen-example", Capabilities: strings.Fields(string(in.Data))}
	flags, err := caps.RenderFlags(p, caps.Options{SeccompPath: "profile/seccomp.json"})
	if err != nil {
		t.Fatal(err)
	}
	set, err := caps.RenderSet(p)
	if err != nil {
		t.Fatal(err)
	}
	return &txtar.Archive{Comment: golden.Comment, Files: []txtar.File{
		in, {Name: "docker.flags", Data: flags}, {Name: "capabilities", Data: set},
	}}
}

// The oracle is what podman does with the flags: whatever the engine's default
// set, the container's must be the policy's exactly.
func TestFlagsMergeToThePolicy(t *testing.T) {
	supported := supportedCapabilities(t)
	rng := rand.New(rand.NewPCG(1, 2))
	for n := range 200 {
		want := sample(rng, supported, n%(len(supported)+1))
		flags, err := caps.Flags(policy.Policy{Name: "p", Capabilities: want}, caps.Options{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := capabilities.MergeCapabilities(dockerDefault(), values(flags, "--cap-add="), values(flags, "--cap-drop="))
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(want)
		if d := cmp.Diff(want, got); d != "" && len(want)+len(got) > 0 {
			t.Fatalf("flags %q: -policy +merged:\n%s", flags, d)
		}
	}
}

// supportedCapabilities returns those that the oracle accepts: it knows only
// the ones of the running kernel.
func supportedCapabilities(t *testing.T) []string {
	t.Helper()
	all := capabilities.AllCapabilities()
	if len(all) == 0 {
		t.Skip("the capabilities of this kernel cannot be listed")
	}
	return slices.DeleteFunc(abi.Capabilities(), func(name string) bool { return !slices.Contains(all, name) })
}

func sample(rng *rand.Rand, from []string, n int) []string {
	out := slices.Clone(from)
	rng.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out[:n]
}

func values(flags []string, prefix string) []string {
	var out []string
	for _, f := range flags {
		if v, ok := strings.CutPrefix(f, prefix); ok {
			out = append(out, v)
		}
	}
	return out
}

func TestFlagsAreTheSameForAnyOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	want, err := caps.Flags(policy.Policy{Name: "p", Capabilities: abi.Capabilities()}, caps.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		in := append(sample(rng, abi.Capabilities(), 41), "CAP_CHOWN")
		before := slices.Clone(in)
		got, err := caps.Flags(policy.Policy{Name: "p", Capabilities: in}, caps.Options{})
		if err != nil || !slices.Equal(want, got) {
			t.Fatalf("got %q, %v; want %q", got, err, want)
		}
		if !slices.Equal(in, before) {
			t.Fatal("the policy was changed")
		}
	}
}

func TestOptions(t *testing.T) {
	p := policy.Policy{Name: "web"}
	for _, tt := range []struct {
		name string
		o    caps.Options
		want string
	}{
		{"none", caps.Options{}, "--cap-drop=ALL --security-opt=no-new-privileges --security-opt=apparmor=web"},
		{"without apparmor", caps.Options{WithoutAppArmor: true}, "--cap-drop=ALL --security-opt=no-new-privileges"},
		{"seccomp", caps.Options{SeccompPath: "größe/s.json", WithoutAppArmor: true},
			"--cap-drop=ALL --security-opt=no-new-privileges --security-opt=seccomp=größe/s.json"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := caps.Flags(p, tt.o)
			if err != nil || strings.Join(got, " ") != tt.want {
				t.Errorf("got %q, %v; want %q", got, err, tt.want)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	ok := caps.Options{}
	for _, tt := range []struct {
		name string
		p    policy.Policy
		o    caps.Options
		want string
	}{
		{"unknown capability", policy.Policy{Name: "p", Capabilities: []string{"CAP_FLY"}}, ok, `"CAP_FLY"`},
		{"short name", policy.Policy{Name: "p", Capabilities: []string{"CHOWN"}}, ok, "CAP_CHOWN"},
		{"all", policy.Policy{Name: "p", Capabilities: []string{"CAP_ALL"}}, ok, `"CAP_ALL"`},
		{"no profile name", policy.Policy{}, ok, "apparmor profile"},
		{"unconfined profile", policy.Policy{Name: "unconfined"}, ok, "keyword"},
		{"unconfined seccomp", policy.Policy{Name: "p"}, caps.Options{SeccompPath: "unconfined"}, "./"},
		{"space", policy.Policy{Name: "p"}, caps.Options{SeccompPath: "my profile.json"}, "rename or move"},
		{"no-break space", policy.Policy{Name: "p"}, caps.Options{SeccompPath: "my\u00a0profile.json"}, "rename or move"},
		{"newline", policy.Policy{Name: "p"}, caps.Options{SeccompPath: "a\n--privileged"}, "one word"},
		{"glob", policy.Policy{Name: "p"}, caps.Options{SeccompPath: "*.json"}, `'*'`},
		{"class", policy.Policy{Name: "p"}, caps.Options{SeccompPath: "[a].json"}, `'['`},
		{"not UTF-8", policy.Policy{Name: "p"}, caps.Options{SeccompPath: "a\xff"}, "one word"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			flags, err := caps.Flags(tt.p, tt.o)
			if err == nil || !strings.Contains(err.Error(), tt.want) || flags != nil {
				t.Errorf("got %q, %v; want an error with %s", flags, err, tt.want)
			}
			if file, err := caps.RenderFlags(tt.p, tt.o); err == nil || file != nil {
				t.Errorf("RenderFlags: got %q, %v; want an error", file, err)
			}
		})
	}
	if set, err := caps.RenderSet(policy.Policy{Capabilities: []string{"CAP_FLY"}}); err == nil || set != nil {
		t.Errorf("RenderSet: got %q, %v; want an error", set, err)
	}
}

// Whatever path is accepted must come out of a real shell's word splitting and
// pathname expansion as it went in.
func FuzzFlagsSurviveTheShell(f *testing.F) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		f.Skip("no sh")
	}
	for _, seed := range []string{"seccomp.json", "/a/b c", "a*", "größe=1:2,3", "~/x", "-x", "a\\b", "'q'", "$HOME", "a\u3000b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		file, err := caps.RenderFlags(policy.Policy{Name: "p"}, caps.Options{SeccompPath: path})
		if err != nil {
			return
		}
		name := filepath.Join(t.TempDir(), "docker.flags")
		if err := os.WriteFile(name, file, 0o644); err != nil {
			t.Fatal(err)
		}
		got, err := exec.Command(sh, "-c", `printf '%s\n' $(cat "$1")`, "sh", name).Output()
		if err != nil || string(got) != string(file) {
			t.Errorf("the shell made %q of %q (%v)", got, file, err)
		}
	})
}
