package verify_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/gen/policy"
	"github.com/profgen/profgen/gen/seccomp"
	"github.com/profgen/profgen/internal/verify"
)

// policies are those of the golden documents.
func policies(t *testing.T) map[string]policy.Policy {
	t.Helper()
	docs, err := filepath.Glob("../../testdata/golden/*.txtar")
	if err != nil || len(docs) == 0 {
		t.Fatalf("no golden documents: %v", err)
	}
	out := map[string]policy.Policy{}
	for _, doc := range docs {
		ar, err := txtar.ParseFile(doc)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range ar.Files {
			if f.Name != "evidence.jsonl" {
				continue
			}
			set, err := evidence.Decode(bytes.NewReader(f.Data))
			if err != nil {
				t.Fatal(err)
			}
			if p, err := policy.Decide(set, policy.Options{AllowUnreachable: true}); err == nil {
				out[strings.TrimSuffix(filepath.Base(doc), ".txtar")] = p
			}
		}
	}
	return out
}

func render(t *testing.T, p policy.Policy) []byte {
	t.Helper()
	file, err := seccomp.Render(p)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// Every profile that can be committed answers as its policy: 100 000 calls and
// more in a second.
func TestEvaluate(t *testing.T) {
	for name, p := range policies(t) {
		t.Run(name, func(t *testing.T) {
			file := render(t, p)
			start := time.Now()
			got, err := verify.Evaluate(p, file)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%s in %s", got, time.Since(start))
			if got.Points < 100_000 || got.Programs != 2 {
				t.Errorf("%+v: want 100000 points of 2 programs", got)
			}
		})
	}
}

// An emitter that is wrong in any one place is caught.
func TestEvaluateCatchesMutations(t *testing.T) {
	rnd := rand.New(rand.NewPCG(6, 1))
	all := policies(t)
	names := slices.Sorted(maps.Keys(all))
	tried, caught := map[string]int{}, 0
	for i := range 150 {
		p := all[names[i%len(names)]]
		spec, err := seccomp.Spec(p)
		if err != nil {
			t.Fatal(err)
		}
		what := mutations[i%len(mutations)]
		if !what.change(rnd, spec) {
			continue
		}
		tried[what.name]++
		file, err := json.Marshal(spec)
		if err != nil {
			t.Fatal(err)
		}
		_, err = verify.Evaluate(p, file)
		var difference *verify.Difference
		if errors.As(err, &difference) {
			caught++
			continue
		}
		t.Errorf("%s, %s: not caught (%v)", names[i%len(names)], what.name, err)
	}
	t.Logf("%d caught of %v", caught, tried)
	for _, m := range mutations {
		if tried[m.name] == 0 {
			t.Errorf("%s: never tried", m.name)
		}
	}
}

// mutation breaks a profile; false if this one has nothing to break.
type mutation struct {
	name   string
	change func(*rand.Rand, *specs.LinuxSeccomp) bool
}

var mutations = []mutation{
	{"a name is lost", func(r *rand.Rand, s *specs.LinuxSeccomp) bool {
		rule := pick(r, s, func(x specs.LinuxSyscall) bool {
			return x.Action == specs.ActAllow && len(x.Args) == 0 && len(x.Names) > 1
		})
		if rule == nil {
			return false
		}
		i := r.IntN(len(rule.Names))
		rule.Names = slices.Delete(slices.Clone(rule.Names), i, i+1)
		return true
	}},
	{"a name too many", func(r *rand.Rand, s *specs.LinuxSeccomp) bool {
		extra := specs.LinuxSyscall{Names: []string{"kexec_load"}, Action: specs.ActAllow} // the first of two rules wins
		s.Syscalls = append([]specs.LinuxSyscall{extra}, s.Syscalls...)
		return true
	}},
	{"a rule is lost", func(r *rand.Rand, s *specs.LinuxSeccomp) bool {
		i := slices.IndexFunc(s.Syscalls, func(x specs.LinuxSyscall) bool { return !isDefault(x) })
		s.Syscalls = slices.Delete(s.Syscalls, i, i+1)
		return true
	}},
	{"conditions are lost", func(r *rand.Rand, s *specs.LinuxSeccomp) bool {
		rule := pick(r, s, func(x specs.LinuxSyscall) bool { return len(x.Args) > 0 })
		if rule == nil {
			return false
		}
		rule.Args = nil
		return true
	}},
	{"another value", func(r *rand.Rand, s *specs.LinuxSeccomp) bool {
		rule := pick(r, s, func(x specs.LinuxSyscall) bool { return len(x.Args) > 0 })
		if rule == nil {
			return false
		}
		rule.Args = slices.Clone(rule.Args)
		rule.Args[0].ValueTwo ^= rule.Args[0].Value & -rule.Args[0].Value
		return true
	}},
	{"another index", func(r *rand.Rand, s *specs.LinuxSeccomp) bool {
		rule := pick(r, s, func(x specs.LinuxSyscall) bool { return len(x.Args) == 1 && x.Args[0].ValueTwo != 0 })
		if rule == nil {
			return false
		}
		rule.Args = slices.Clone(rule.Args)
		rule.Args[0].Index = (rule.Args[0].Index + 1) % 6
		return true
	}},
	{"64 bits compared", func(r *rand.Rand, s *specs.LinuxSeccomp) bool {
		rule := pick(r, s, func(x specs.LinuxSyscall) bool { return len(x.Args) > 0 && x.Args[0].Value == 0xffffffff })
		if rule == nil {
			return false
		}
		rule.Args = slices.Clone(rule.Args)
		rule.Args[0].Op, rule.Args[0].Value, rule.Args[0].ValueTwo = specs.OpEqualTo, rule.Args[0].ValueTwo, 0
		return true
	}},
	{"another operator", func(r *rand.Rand, s *specs.LinuxSeccomp) bool {
		rule := pick(r, s, func(x specs.LinuxSyscall) bool { return len(x.Args) > 0 })
		if rule == nil {
			return false
		}
		rule.Args = slices.Clone(rule.Args)
		rule.Args[0].Op = specs.OpNotEqual
		return true
	}},
	{"refused otherwise", func(r *rand.Rand, s *specs.LinuxSeccomp) bool {
		rule := pick(r, s, func(x specs.LinuxSyscall) bool { return x.Action == specs.ActErrno && !isDefault(x) })
		if rule == nil {
			return false
		}
		n := uint(13)
		rule.ErrnoRet = &n
		return true
	}},
	{"another default", func(r *rand.Rand, s *specs.LinuxSeccomp) bool {
		n := uint(1)
		s.DefaultErrnoRet = &n
		return true
	}},
	{"an ABI too many", func(r *rand.Rand, s *specs.LinuxSeccomp) bool {
		s.Architectures = append(slices.Clone(s.Architectures), specs.ArchX32)
		return true
	}},
}

// isDefault reports whether a rule says what the default does: ENOSYS.
func isDefault(x specs.LinuxSyscall) bool {
	return x.Action == specs.ActErrno && x.ErrnoRet != nil && *x.ErrnoRet == 38
}

// pick returns one of the rules that are wanted, nil if there is none.
func pick(r *rand.Rand, s *specs.LinuxSeccomp, wanted func(specs.LinuxSyscall) bool) *specs.LinuxSyscall {
	var all []*specs.LinuxSyscall
	for i := range s.Syscalls {
		if wanted(s.Syscalls[i]) {
			all = append(all, &s.Syscalls[i])
		}
	}
	if len(all) == 0 {
		return nil
	}
	return all[r.IntN(len(all))]
}

// What only one consumer understands is evaluated for each.
func TestEvaluateReadsAsEachConsumer(t *testing.T) {
	p := policies(t)["minimal"]
	file := render(t, p)
	for _, c := range []struct {
		what, old, new string
		reader         seccomp.Consumer
	}{
		{"a rule for a kernel", `"action": "SCMP_ACT_ALLOW"`, `"excludes": {"minKernel": "4.8"}, "action": "SCMP_ACT_ALLOW"`, seccomp.Docker},
		{"a rule for a capability", `"action": "SCMP_ACT_ALLOW"`, `"includes": {"caps": ["CAP_BPF"]}, "action": "SCMP_ACT_ALLOW"`, seccomp.Docker},
		{"an errno by name", `"defaultErrnoRet": 38`, `"defaultErrnoRet": 38, "defaultErrno": "EPERM"`, seccomp.Podman},
	} {
		changed := strings.Replace(string(file), c.old, c.new, 1)
		_, err := verify.Evaluate(p, []byte(changed))
		var d *verify.Difference
		if !errors.As(err, &d) || d.Reader != c.reader {
			t.Errorf("%s: got %v, want a difference as %s reads it", c.what, err, c.reader)
		}
	}
}
