package apparmor_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/profgen/profgen/gen/apparmor"
	"github.com/profgen/profgen/gen/apparmor/syntax"
	"github.com/profgen/profgen/gen/policy"
	"github.com/profgen/profgen/internal/abi"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// input is what a golden file's first part holds, as JSON.
type input struct {
	Policy  policy.Policy
	Options apparmor.Options
}

// A golden file holds the input and either the profile or the error. The real
// parser must accept every profile, for every kernel.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/golden/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("golden files: %d found, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			golden, in := readGolden(t, file)
			got := txtar.File{Name: "apparmor"}
			if got.Data, err = apparmor.Render(in.Policy, in.Options); err != nil {
				got = txtar.File{Name: "error", Data: []byte(err.Error() + "\n")}
			}
			out := txtar.Format(&txtar.Archive{Comment: golden.Comment, Files: []txtar.File{golden.Files[0], got}})
			if *update {
				if err := os.WriteFile(file, out, 0o644); err != nil {
					t.Fatal(err)
				}
			} else if d := cmp.Diff(string(txtar.Format(golden)), string(out)); d != "" {
				t.Errorf("-golden +got:\n%s", d)
			}
			if err == nil {
				checkCanonical(t, got.Data)
				for _, kernel := range kernels() {
					findNewerParser(t).compile(t, kernel, got.Data)
					if in.Options.ABI != apparmor.ABI40 {
						findParser(t).compile(t, kernel, got.Data)
					}
				}
			}
		})
	}
}

func readGolden(t *testing.T, file string) (*txtar.Archive, input) {
	t.Helper()
	golden, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var in input
	dec := json.NewDecoder(bytes.NewReader(golden.Files[0].Data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&in); err != nil {
		t.Fatal(err)
	}
	return golden, in
}

func TestSameBytesForAnyOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	p := policy.Policy{Name: "p", Capabilities: abi.Capabilities(), Network: []policy.Network{
		{Family: "inet", Type: "stream"}, {Family: "inet", Type: "dgram"}, {Family: "unix", Type: "stream"}, {Family: "netlink", Type: "raw"},
	}}
	o := apparmor.Options{Subjects: []apparmor.Subject{{Image: "a"}, {Image: "b", Digest: "sha256:1"}, {Image: "b", Digest: "sha256:2"}}}
	want := render(t, p, o)
	for range 50 {
		p.Capabilities = shuffled(rng, p.Capabilities)
		p.Network = shuffled(rng, p.Network)
		o.Subjects = shuffled(rng, o.Subjects)
		caps, network, subjects := slices.Clone(p.Capabilities), slices.Clone(p.Network), slices.Clone(o.Subjects)
		got := render(t, p, o)
		if d := cmp.Diff(string(want), string(got)); d != "" {
			t.Fatal(d)
		}
		if !slices.Equal(caps, p.Capabilities) || !slices.Equal(network, p.Network) || !slices.Equal(subjects, o.Subjects) {
			t.Fatal("the input was changed")
		}
	}
}

// shuffled returns in in another order, with one element twice.
func shuffled[T any](rng *rand.Rand, in []T) []T {
	out := append(slices.Clone(in), in[rng.IntN(len(in))])
	rng.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

func render(t testing.TB, p policy.Policy, o apparmor.Options) []byte {
	t.Helper()
	out, err := apparmor.Render(p, o)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// rules returns the lines that are not comments.
func rules(profile []byte) []string {
	var out []string
	for line := range strings.Lines(string(profile)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			out = append(out, line)
		}
	}
	return out
}

func TestComplainDeniesNothing(t *testing.T) {
	p := policy.Policy{Name: "p", Capabilities: []string{"CAP_CHOWN"}}
	profile := render(t, p, apparmor.Options{Mode: apparmor.Complain})
	for _, r := range rules(profile) {
		if strings.HasPrefix(r, "deny") {
			t.Errorf("complain mode has %q", r)
		}
	}
	if !bytes.Contains(profile, []byte("attach_disconnected,complain,")) {
		t.Error("no complain flag")
	}
}

// There must be no rule that allows a whole class but files.
func TestNoBareRules(t *testing.T) {
	for _, caps := range [][]string{nil, abi.Capabilities()} {
		for _, r := range rules(render(t, policy.Policy{Name: "p", Capabilities: caps}, apparmor.Options{})) {
			if slices.Contains([]string{"capability,", "network,", "mount,", "signal,", "ptrace,", "umount,"}, r) && (r != "umount," || caps == nil) {
				t.Errorf("with %d capabilities there is a bare rule %q", len(caps), r)
			}
		}
	}
}

// What is not known of a socket is left out of its rule, and the kernel's
// crypto sockets are refused all the same.
func TestSocketsNotAllKnown(t *testing.T) {
	for _, tt := range []struct {
		network policy.Network
		want    string
	}{
		{policy.Network{Family: "inet"}, "  # Sockets: of these families and types and no others.\n  network inet,\n\n"},
		{policy.Network{}, "  # Sockets: any, since not all that the workload may ask for are known.\n  network,\n\n"},
	} {
		out, err := apparmor.Render(policy.Policy{Name: "a", Network: []policy.Network{tt.network}}, apparmor.Options{})
		if err != nil || !strings.Contains(string(out), tt.want) || !strings.Contains(string(out), "  deny network alg,\n") {
			t.Errorf("%+v: %v: got %s, want %s", tt.network, err, out, tt.want)
		}
	}
}

func TestRefused(t *testing.T) {
	long := strings.Repeat("a", 201)
	for _, tt := range []struct {
		p    policy.Policy
		o    apparmor.Options
		want string
	}{
		{policy.Policy{Name: ""}, apparmor.Options{}, "want a letter"},
		{policy.Policy{Name: "1a"}, apparmor.Options{}, "want a letter"},
		{policy.Policy{Name: "-a"}, apparmor.Options{}, "want a letter"},
		{policy.Policy{Name: "A"}, apparmor.Options{}, "lower case"},
		{policy.Policy{Name: "a b"}, apparmor.Options{}, "want a letter"},
		{policy.Policy{Name: "a\n"}, apparmor.Options{}, "want a letter"},
		{policy.Policy{Name: "a/../b"}, apparmor.Options{}, "want a letter"},
		{policy.Policy{Name: "a{b}"}, apparmor.Options{}, "want a letter"},
		{policy.Policy{Name: "é"}, apparmor.Options{}, "want a letter"},
		{policy.Policy{Name: long}, apparmor.Options{}, "at most 200"},
		{policy.Policy{Name: "unconfined"}, apparmor.Options{}, "no profile at all"},
		{policy.Policy{Name: "docker-default"}, apparmor.Options{}, "replace"},
		{policy.Policy{Name: "a"}, apparmor.Options{Mode: "audit"}, `mode "audit"`},
		{policy.Policy{Name: "a"}, apparmor.Options{ABI: "5.0"}, `abi "5.0"`},
		{policy.Policy{Name: "a", Capabilities: []string{"CAP_FLY"}}, apparmor.Options{}, `"CAP_FLY"`},
		{policy.Policy{Name: "a", Capabilities: []string{"chown,\n file"}}, apparmor.Options{}, "CAP_CHOWN"},
		{policy.Policy{Name: "a", Network: []policy.Network{{Family: "ipv9", Type: "stream"}}}, apparmor.Options{}, `"ipv9"`},
		{policy.Policy{Name: "a", Network: []policy.Network{{Family: "inet", Type: "dccp"}}}, apparmor.Options{}, `"dccp"`},
		{policy.Policy{Name: "a", Network: []policy.Network{{Type: "stream"}}}, apparmor.Options{}, `socket family ""`},
	} {
		out, err := apparmor.Render(tt.p, tt.o)
		if err == nil || !strings.Contains(err.Error(), tt.want) || out != nil {
			t.Errorf("%v, %v: got %q, %v; want an error with %s", tt.p, tt.o, out, err, tt.want)
		}
	}
}

// checkCanonical checks that profgen fmt would change nothing in what is emitted.
func checkCanonical(t *testing.T, text []byte) {
	t.Helper()
	file, err := syntax.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(text), string(syntax.Format(file.Canonical()))); diff != "" {
		t.Errorf("profgen fmt changes it (-emitted +formatted):\n%s", diff)
	}
}
