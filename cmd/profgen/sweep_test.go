package main

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/profgen/profgen/gen"
	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/gen/seccomp"
	"github.com/profgen/profgen/internal/profiledir"
	"github.com/profgen/profgen/internal/verify"
)

// sweepEnv asks for every entry of every profile, and every set of every
// workload, in the place of a few: an hour.
const sweepEnv = "PROFGEN_SWEEP"

// proven is a workload that is recorded and verified.
type proven struct {
	name, check string
}

func provenWorkloads() []proven {
	return []proven{
		{"nginx", "curl -fsS http://127.0.0.1/ >/dev/null"},
		{"redis", "redis-cli -h 127.0.0.1 set a b && redis-cli -h 127.0.0.1 get a"},
	}
}

// profgenIn runs profgen in this process.
func profgenIn(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, talk bytes.Buffer
	code = run(append([]string{"profgen"}, args...), &out, &talk)
	return code, out.String(), talk.String()
}

// recorded records a workload into a profile directory.
func (p proven) recorded(t *testing.T, image string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), p.name)
	if code, _, talk := profgenIn(t, "record", "-o", dir, "--image", image, "--check", p.check); code != 0 {
		t.Fatalf("record %s: %d\n%s", p.name, code, talk)
	}
	return dir
}

func (p proven) verify(t *testing.T, dir, image string, more ...string) (code int, report proof) {
	t.Helper()
	args := append([]string{"verify", dir, "--image", image, "--check", p.check, "--check-timeout", "6s", "--json"}, more...)
	code, out, talk := profgenIn(t, args...)
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatalf("verify %s: %v\n%s\n%s", dir, err, out, talk)
	}
	return code, report
}

// Each entry of a profile is taken out in turn: then it is reported as denied,
// or the workload passes its check without, because it does not make the call.
func TestEachEntryMatters(t *testing.T) {
	layout, all := testImages(t), os.Getenv(sweepEnv) != ""
	for i, p := range provenWorkloads() {
		if !all && i > 0 {
			continue
		}
		t.Run(p.name, func(t *testing.T) {
			image := layout + ":" + p.name
			dir := p.recorded(t, image)
			if code, r := p.verify(t, dir, image, "--runs", "1"); code != 0 {
				t.Fatalf("the whole profile: %+v", r)
			}
			entries := entriesOf(t, dir)
			reported, idle := 0, []string{}
			for i, entry := range entries {
				if !all && i%30 != 7 {
					continue
				}
				less := without(t, dir, entry)
				code, r := p.verify(t, less, image, "--runs", "1")
				switch {
				case slices.ContainsFunc(r.Denials, func(d verify.Denial) bool { return d.Name == entry || d.Capability == entry }):
					reported++
					t.Logf("without %s: reported", entry)
				case code == 0 && r.Passed == 1:
					idle = append(idle, entry)
					t.Logf("without %s: passes", entry)
				default:
					t.Errorf("without %s: %+v", entry, r)
				}
			}
			t.Logf("%s: %d entries, %d reported as denied, %d that the check passes without: %s", p.name, len(entries), reported, len(idle), strings.Join(idle, " "))
		})
	}
}

// entriesOf are the calls and capabilities that a profile allows.
func entriesOf(t *testing.T, dir string) []string {
	t.Helper()
	enforced, err := profiledir.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, r := range enforced.Seccomp.Syscalls {
		if r.Action == "SCMP_ACT_ALLOW" {
			out = append(out, r.Names...)
		}
	}
	out = append(out, enforced.Capabilities...)
	slices.Sort(out)
	return slices.Compact(out)
}

// without is a copy of a profile directory that lacks an entry.
func without(t *testing.T, dir, entry string) string {
	t.Helper()
	less := t.TempDir()
	if err := os.CopyFS(less, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if strings.HasPrefix(entry, "CAP_") {
		enforced, err := profiledir.Load(less)
		if err != nil {
			t.Fatal(err)
		}
		grant(t, less, slices.DeleteFunc(enforced.Capabilities, func(n string) bool { return n == entry }))
		return less
	}
	rewrite(t, filepath.Join(less, gen.SeccompFile), func(text []byte) []byte {
		file, err := seccomp.ParseFile(text)
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range file.Syscalls {
			file.Syscalls[i].Names = slices.DeleteFunc(slices.Clone(r.Names), func(n string) bool { return n == entry })
		}
		file.Syscalls = slices.DeleteFunc(file.Syscalls, func(r seccomp.FileRule) bool { return len(r.Names) == 0 })
		out, err := json.Marshal(file)
		if err != nil {
			t.Fatal(err)
		}
		return out
	})
	return less
}

// grant makes a profile directory grant these capabilities and no others.
func grant(t *testing.T, dir string, set []string) {
	t.Helper()
	rewrite(t, filepath.Join(dir, gen.CapabilitiesFile), func([]byte) []byte { return []byte(strings.Join(append(slices.Clone(set), ""), "\n")) })
	rewrite(t, filepath.Join(dir, gen.PlanFile), func(text []byte) []byte {
		var plan map[string]any
		if err := json.Unmarshal(text, &plan); err != nil {
			t.Fatal(err)
		}
		plan["capabilities"] = append([]string{}, set...)
		out, err := json.Marshal(plan)
		if err != nil {
			t.Fatal(err)
		}
		return out
	})
}

func rewrite(t *testing.T, name string, change func([]byte) []byte) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err == nil {
		err = os.WriteFile(name, change(text), 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// What is missing from evidence is found by running, and put back.
func TestHealRestores(t *testing.T) {
	layout, all := testImages(t), os.Getenv(sweepEnv) != ""
	rnd := rand.New(rand.NewPCG(11, 22))
	for i, p := range provenWorkloads() {
		if !all && i == 0 {
			continue
		}
		t.Run(p.name, func(t *testing.T) {
			image := layout + ":" + p.name
			dir := p.recorded(t, image)
			removed := forget(t, rnd, dir, 5)
			if code, _, talk := profgenIn(t, "generate", dir); code != 0 {
				t.Fatal(talk)
			}
			code, r := p.verify(t, dir, image, "--heal", "--runs", "2")
			if code != 0 || r.Passed != 2 || len(r.Denials) > 0 {
				t.Fatalf("without %v: %+v", removed, r)
			}
			t.Logf("without %v: healed %q", removed, r.Healed)
		})
	}
}

// forget removes n system calls of the workload from evidence.
func forget(t *testing.T, rnd *rand.Rand, dir string, n int) []string {
	t.Helper()
	set, err := profiledir.Evidence(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range set.Facts {
		if f, ok := f.(evidence.Syscall); ok && f.Phase != evidence.Runtime {
			names = append(names, f.Name)
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	rnd.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	names = names[:n]
	set.Facts = slices.DeleteFunc(set.Facts, func(f evidence.Fact) bool {
		call, ok := f.(evidence.Syscall)
		return ok && slices.Contains(names, call.Name)
	})
	set.Runs = nil
	if err := profiledir.SaveEvidence(dir, set); err != nil {
		t.Fatal(err)
	}
	return names
}

// minimized are workloads that need different capabilities, and how each is
// told to have worked.
func minimized() []struct {
	name, image, check string
	keep, argv         []string
} {
	return []struct {
		name, image, check string
		keep, argv         []string
	}{
		{name: "chown-entrypoint", image: "busybox", keep: []string{"CAP_NET_RAW", "CAP_KILL"},
			argv: []string{"busybox", "sh", "-c", "touch /x && chown 5:5 /x"}},
		{name: "ping", image: "busybox", keep: []string{"CAP_NET_RAW", "CAP_CHOWN", "CAP_KILL"},
			argv: []string{"busybox", "ping", "-c", "1", "127.0.0.1"}},
		{name: "nginx", image: "nginx", check: "curl -fsS http://127.0.0.1/ >/dev/null"},
		{name: "redis", image: "redis", check: "redis-cli -h 127.0.0.1 ping"},
		{name: "postgres", image: "postgres", check: "pg_isready -h 127.0.0.1"},
	}
}

// What is found by taking away one at a time is what a search of all sets finds,
// in at most three runs more than there are candidates.
func TestMinimizeIsExhaustive(t *testing.T) {
	layout, all := testImages(t), os.Getenv(sweepEnv) != ""
	for i, w := range minimized() {
		if !all && i > 0 {
			continue
		}
		t.Run(w.name, func(t *testing.T) {
			dir, image := filepath.Join(t.TempDir(), "dir"), layout+":"+w.image
			drive := []string{"--image", image, "--check-timeout", "8s"}
			if w.check != "" {
				drive = append(drive, "--check", w.check)
			}
			record := append([]string{"record", "-o", dir}, drive...)
			if code, _, talk := profgenIn(t, append(append(record, "--"), w.argv...)...); code != 0 {
				t.Fatal(talk)
			}
			generate := []string{"generate", dir}
			for _, name := range w.keep {
				generate = append(generate, "--keep", name)
			}
			if code, _, talk := profgenIn(t, generate...); code != 0 {
				t.Fatal(talk)
			}
			enforced, err := profiledir.Load(dir)
			if err != nil {
				t.Fatal(err)
			}
			verifyArgs := append([]string{"verify", dir, "--json"}, drive...)
			code, out, talk := profgenIn(t, append(append(verifyArgs, "--minimize", "caps", "--"), w.argv...)...)
			var got minimization
			if err := json.Unmarshal([]byte(out), &got); code != 0 || err != nil {
				t.Fatalf("%d, %v: %s", code, err, talk)
			}
			n := len(enforced.Capabilities)
			if len(got.Attempts) > n+3 {
				t.Errorf("%d runs for %d candidates", len(got.Attempts), n)
			}
			passing := smallestPassing(t, dir, enforced.Capabilities, append(append(drive, "--runs", "1", "--"), w.argv...))
			if len(passing) != 1 || !slices.Equal(passing[0], got.Minimal) {
				t.Errorf("minimal %v, of all sets %v", got.Minimal, passing)
			}
			t.Logf("%d candidates, %d runs: %v", n, len(got.Attempts), got.Minimal)
		})
	}
}

// smallestPassing tries every set of capabilities, the small ones first, and
// returns those that pass and have none in them that does.
func smallestPassing(t *testing.T, dir string, all []string, args []string) [][]string {
	t.Helper()
	var out [][]string
	for size := range len(all) + 1 {
	sets:
		for mask := range 1 << len(all) {
			set := []string{}
			for i, name := range all {
				if mask>>i&1 == 1 {
					set = append(set, name)
				}
			}
			if len(set) != size {
				continue
			}
			for _, smaller := range out {
				if !slices.ContainsFunc(smaller, func(n string) bool { return !slices.Contains(set, n) }) {
					continue sets
				}
			}
			grant(t, dir, set)
			_, report, _ := profgenIn(t, append([]string{"verify", dir, "--json"}, args...)...)
			var r proof
			if err := json.Unmarshal([]byte(report), &r); err != nil {
				t.Fatal(err)
			}
			if r.Passed == 1 {
				slices.Sort(set)
				out = append(out, set)
			}
		}
	}
	return out
}
