//go:build cgo && linux

package scmp_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"syscall"
	"testing"

	"github.com/moby/profiles/seccomp"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/profgen/profgen/gen/policy"
	gen "github.com/profgen/profgen/gen/seccomp"
	"github.com/profgen/profgen/internal/abi"
	"github.com/profgen/profgen/internal/scmp"
	"github.com/profgen/profgen/profiles"
)

const enosys = 38

func TestVersion(t *testing.T) {
	v, err := scmp.Version()
	if err != nil || !regexp.MustCompile(`^2\.\d+\.\d+$`).MatchString(v) {
		t.Errorf("got %q, %v", v, err)
	}
}

// libseccomp's number for a name is ours, wherever it has one at all.
func TestNumbersAgreeWithABI(t *testing.T) {
	all := map[string]bool{}
	for _, a := range abi.Arches() {
		for _, n := range a.Names() {
			all[n] = true
		}
	}
	for _, a := range abi.Arches() {
		agreed := 0
		for name := range all {
			theirs, known, err := scmp.Number(a, name)
			if err != nil {
				t.Fatal(err)
			}
			ours, ok := a.Number(name)
			switch {
			case !known:
			case theirs >= 0 && (!ok || int(ours) != theirs):
				t.Errorf("%s %s: libseccomp has %d, the table %d (%t)", a, name, theirs, ours, ok)
			case theirs < 0 && ok && (a != abi.X86 || theirs < -300):
				t.Errorf("%s %s: libseccomp has none (%d), the table %d", a, name, theirs, ours)
			default:
				agreed++
			}
		}
		if agreed < 300 {
			t.Errorf("%s: only %d names compared", a, agreed)
		}
	}
}

// A runtime skips a name its libseccomp does not know, and a floor would not
// hold.
func TestFloorsAreKnown(t *testing.T) {
	floors, err := profiles.Floors()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range floors {
		for _, n := range f.Syscalls {
			for _, a := range []abi.Arch{abi.X8664, abi.AArch64} {
				nr, known, err := scmp.Number(a, n)
				if name, _ := a.Name(uint32(nr)); err != nil || !known || name != n {
					t.Errorf("%s: %s on %s: got %d %t %v", f.Name, n, a, nr, known, err)
				}
			}
		}
	}
}

func TestNumberUnknown(t *testing.T) {
	if nr, known, err := scmp.Number(abi.X8664, "no_such_call"); known || err != nil {
		t.Errorf("no_such_call: got %d %t %v", nr, known, err)
	}
	if _, _, err := scmp.Number("vax", "read"); err == nil {
		t.Error("vax: want an error")
	}
}

func TestCompileRefuses(t *testing.T) {
	ok := specs.LinuxSeccomp{DefaultAction: specs.ActErrno}
	for what, change := range map[string]func(*specs.LinuxSeccomp){
		"action": func(s *specs.LinuxSeccomp) { s.DefaultAction = "SCMP_ACT_SHRUG" },
		"arch":   func(s *specs.LinuxSeccomp) { s.Architectures = []specs.Arch{"SCMP_ARCH_VAX"} },
		"rule":   func(s *specs.LinuxSeccomp) { s.Syscalls = []specs.LinuxSyscall{{Names: []string{"read"}}} },
		"index": func(s *specs.LinuxSeccomp) {
			s.Syscalls = conditional(specs.LinuxSeccompArg{Index: 6, Op: specs.OpEqualTo})
		},
		"operator": func(s *specs.LinuxSeccomp) { s.Syscalls = conditional(specs.LinuxSeccompArg{Op: "SCMP_CMP_ODD"}) },
	} {
		s := ok
		change(&s)
		if prog, err := scmp.Compile(&s, abi.X8664); err == nil || prog != nil {
			t.Errorf("%s: got %d instructions, %v; want an error", what, len(prog), err)
		}
	}
	if _, err := scmp.Compile(&ok, "vax"); err == nil {
		t.Error("vax: want an error")
	}
}

func conditional(args ...specs.LinuxSeccompArg) []specs.LinuxSyscall {
	return []specs.LinuxSyscall{{Names: []string{"socket"}, Action: specs.ActAllow, Args: args}}
}

// A 32-bit parameter compared as 64 bits lets 0x1_0000_0026 pass for "not
// AF_ALG"; the kernel then takes it for AF_ALG. Rules by gen/seccomp do not.
func TestHighBitsDoNotReopenAFAlg(t *testing.T) {
	s := specOf(t, policy.Policy{
		Arches: []abi.Arch{abi.X8664},
		Syscalls: []policy.Rule{
			{Name: "socket", Block: policy.Workload, Conditions: []policy.Condition{{Index: 0, Mask: 0xffffffff, Value: 2}}},
		},
	})
	f := compile(t, s, abi.X8664)
	nr, _ := abi.X8664.Number("socket")
	for family, want := range map[uint64]specs.LinuxSeccompAction{
		2: specs.ActAllow, 0xffffffff_00000002: specs.ActAllow, // the kernel sees AF_INET
		38: specs.ActErrno, 0x1_0000_0026: specs.ActErrno,
	} {
		if got, errno := f.run(t, abi.X8664, nr, [6]uint64{family}); got != want {
			t.Errorf("socket(%#x): got %s %d, want %s", family, got, errno, want)
		}
	}
}

// gen/seccomp.Evaluate gives the answer of libseccomp's program, for every
// system call of every ABI.
func TestEvaluateAgrees(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	t.Run("docker default", func(t *testing.T) { agreeOnAll(t, dockerDefault(t)) })
	for i := range 25 {
		p := specOf(t, randomPolicy(rnd))
		t.Run(fmt.Sprintf("policy %d", i), func(t *testing.T) { agreeOnAll(t, p) })
	}
	compared := 0
	for i := range 40 {
		p := randomProfile(rnd)
		if _, err := scmp.Compile(p, abi.X8664); errors.Is(err, syscall.EEXIST) {
			continue // two answers to one socketcall: no runtime loads it either
		}
		compared++
		t.Run(fmt.Sprintf("profile %d", i), func(t *testing.T) { agreeOnAll(t, p) })
	}
	if compared < 15 {
		t.Errorf("only %d random profiles compared", compared)
	}
}

func agreeOnAll(t *testing.T, s *specs.LinuxSeccomp) {
	s = knownOnly(t, s)
	for _, native := range []abi.Arch{abi.X8664, abi.AArch64} {
		f := compile(t, s, native)
		for _, a := range abi.Arches() {
			if row, _ := a.Row(); row.Native == native {
				agree(t, s, f, a)
			}
		}
	}
}

func agree(t *testing.T, s *specs.LinuxSeccomp, f filter, a abi.Arch) {
	check := func(nr uint32, args [6]uint64) {
		want, wantErrno := f.run(t, a, nr, args)
		got, errno := gen.Evaluate(s, a, nr, args)
		if got != want || errno != wantErrno {
			name, _ := a.Name(nr)
			rules := slices.DeleteFunc(slices.Clone(s.Syscalls), func(r specs.LinuxSyscall) bool { return !slices.Contains(r.Names, name) })
			t.Fatalf("%s %s(%#x): evaluate says %s %d, libseccomp %s %d\nby %+v", a, name, args, got, errno, want, wantErrno, rules)
		}
	}
	for _, nr := range []uint32{500, 1023, 5000} {
		check(nr, [6]uint64{})
	}
	vectors := interesting(s, a)
	for _, name := range a.Names() {
		nr, _ := a.Number(name)
		check(nr, [6]uint64{})
		check(nr, [6]uint64{1, 2, 3, 4, 5, 6})
		for _, v := range vectors[name] {
			check(nr, v)
		}
	}
}

// interesting returns argument lists around the conditions of each call: every
// condition just met or just missed, with and without high bits.
func interesting(s *specs.LinuxSeccomp, a abi.Arch) map[string][][6]uint64 {
	out := map[string][][6]uint64{}
	for _, r := range s.Syscalls {
		var met [6]uint64
		for _, c := range r.Args {
			met[c.Index] = c.Value
			if c.Op == specs.OpMaskedEqual {
				met[c.Index] = c.ValueTwo
			}
		}
		vectors := [][6]uint64{met}
		for _, c := range r.Args {
			for _, v := range around(c) {
				args := met
				args[c.Index] = v
				vectors = append(vectors, args)
			}
		}
		for _, n := range r.Names {
			out[n] = append(out[n], vectors...)
		}
		if len(r.Args) == 0 {
			continue
		}
		for call := range uint64(26) {
			for _, v := range vectors {
				v[0] = call
				out["socketcall"] = append(out["socketcall"], v)
				out["ipc"] = append(out["ipc"], v)
			}
		}
	}
	return out
}

func around(c specs.LinuxSeccompArg) []uint64 {
	out := []uint64{0, 1, 38, 0x1_0000_0026, 1 << 31, 1 << 63, ^uint64(0), 0xffffffff}
	for _, v := range []uint64{c.Value, c.ValueTwo, c.ValueTwo | ^c.Value, ^c.Value} {
		out = append(out, v, v-1, v+1, v|1<<32, v&0xffffffff, v^1<<63, v|0xffffffff_00000000, v&^0xffffffff)
	}
	return out
}

func randomPolicy(rnd *rand.Rand) policy.Policy {
	p := policy.Policy{Name: "random", Arches: [][]abi.Arch{
		{abi.X8664}, {abi.X8664, abi.X86}, {abi.X8664, abi.X32}, {abi.X8664, abi.X86, abi.X32}, {abi.AArch64}, {abi.AArch64, abi.ARM},
	}[rnd.IntN(6)]}
	for _, n := range favourites() {
		switch rnd.IntN(4) {
		case 0:
			p.NotPermitted = append(p.NotPermitted, n)
		case 1, 2:
			for range 1 + rnd.IntN(3) {
				p.Syscalls = append(p.Syscalls, policy.Rule{Name: n, Block: policy.Blocks()[rnd.IntN(5)], Conditions: randomConditions(rnd)})
			}
		}
	}
	names := p.Arches[0].Names()
	rnd.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	for _, n := range names[:rnd.IntN(60)+1] {
		if !slices.Contains(p.NotPermitted, n) {
			p.Syscalls = append(p.Syscalls, policy.Rule{Name: n, Block: policy.Workload})
		}
	}
	return p
}

// favourites are calls that get conditions: wide and narrow arguments, calls
// that x86 multiplexes, and some of which ABIs differ. Every ABI has them.
func favourites() []string {
	return []string{"socket", "socketpair", "clone", "ioctl", "personality", "prctl", "shmget", "setsockopt", "mprotect", "preadv2"}
}

func randomConditions(rnd *rand.Rand) []policy.Condition {
	var out []policy.Condition
	for i := range uint(6) {
		if rnd.IntN(4) != 0 {
			continue
		}
		mask := []uint64{0xffffffff, ^uint64(0), 0x7e020000, 0xff00000000, rnd.Uint64() | 1}[rnd.IntN(5)]
		out = append(out, policy.Condition{Index: i, Mask: mask, Value: mask & []uint64{0, 2, 38, rnd.Uint64()}[rnd.IntN(4)]})
	}
	return out
}

// randomProfile returns one that Spec would never write: every operator, every
// action, conditions that share an index, refusals of what is conditionally
// allowed. No name has two conditional rules of other operators than equality:
// libseccomp 2.5.4 refuses some such sets ("file exists"), answers wrongly
// under others, and never returns from a few. Masked equality, which is all
// that Spec writes, is not affected.
func randomProfile(rnd *rand.Rand) *specs.LinuxSeccomp {
	actions := []specs.LinuxSeccompAction{
		specs.ActErrno, specs.ActKill, specs.ActKillProcess, specs.ActKillThread, specs.ActTrap, specs.ActLog, specs.ActAllow, specs.ActTrace,
	}
	errno := uint(enosys)
	s := &specs.LinuxSeccomp{DefaultAction: actions[rnd.IntN(len(actions))]}
	for _, a := range []specs.Arch{specs.ArchX86_64, specs.ArchX86, specs.ArchX32, specs.ArchARM} {
		if rnd.IntN(2) == 0 {
			s.Architectures = append(s.Architectures, a)
		}
	}
	for _, n := range favourites() {
		s.Syscalls = append(s.Syscalls, specs.LinuxSyscall{Names: []string{n}, Action: actions[rnd.IntN(len(actions))], Args: randomArgs(rnd)})
		if rnd.IntN(3) == 0 {
			s.Syscalls = append(s.Syscalls, specs.LinuxSyscall{Names: []string{n}, Action: specs.ActErrno, ErrnoRet: &errno})
		}
	}
	rnd.Shuffle(len(s.Syscalls), func(i, j int) { s.Syscalls[i], s.Syscalls[j] = s.Syscalls[j], s.Syscalls[i] })
	return s
}

func randomArgs(rnd *rand.Rand) []specs.LinuxSeccompArg {
	ops := []specs.LinuxSeccompOperator{
		specs.OpEqualTo, specs.OpNotEqual, specs.OpLessThan, specs.OpLessEqual, specs.OpGreaterEqual, specs.OpGreaterThan, specs.OpMaskedEqual,
	}
	var out []specs.LinuxSeccompArg
	for _, i := range rnd.Perm(6)[:rnd.IntN(4)] {
		value := []uint64{0, 1, 38, 1 << 32, rnd.Uint64()}[rnd.IntN(5)]
		out = append(out, specs.LinuxSeccompArg{
			Index: uint(i), Value: value, ValueTwo: []uint64{value & rnd.Uint64(), rnd.Uint64()}[rnd.IntN(2)], Op: ops[rnd.IntN(len(ops))],
		})
	}
	if len(out) == 2 && rnd.IntN(2) == 0 { // alternatives
		out[0].Op, out[1].Op, out[1].Index = specs.OpEqualTo, specs.OpEqualTo, out[0].Index
	}
	return out
}

func dockerDefault(t *testing.T) *specs.LinuxSeccomp {
	t.Helper()
	s, err := seccomp.GetDefaultProfile(&specs.Spec{Process: &specs.Process{Capabilities: &specs.LinuxCapabilities{}}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func specOf(t *testing.T, p policy.Policy) *specs.LinuxSeccomp {
	t.Helper()
	s, err := gen.Spec(p)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// knownOnly returns s without the names that the linked libseccomp, which may
// be older than the tables, would skip.
func knownOnly(t *testing.T, s *specs.LinuxSeccomp) *specs.LinuxSeccomp {
	t.Helper()
	out := *s
	out.Syscalls = nil
	for _, r := range s.Syscalls {
		r.Names = slices.DeleteFunc(slices.Clone(r.Names), func(n string) bool {
			_, known, err := scmp.Number(abi.X8664, n)
			if err != nil {
				t.Fatal(err)
			}
			return !known
		})
		out.Syscalls = append(out.Syscalls, r)
	}
	return &out
}

// filter is a compiled profile that can be asked.
type filter struct{ program *scmp.Program }

func compile(t *testing.T, s *specs.LinuxSeccomp, native abi.Arch) filter {
	t.Helper()
	raw, err := scmp.Compile(s, native)
	if err != nil {
		t.Fatal(err)
	}
	program, err := scmp.NewProgram(raw)
	if err != nil {
		t.Fatal(err)
	}
	return filter{program}
}

// run returns the program's answer.
func (f filter) run(t *testing.T, a abi.Arch, nr uint32, args [6]uint64) (specs.LinuxSeccompAction, uint) {
	t.Helper()
	action, errno, err := f.program.Answer(a, nr, args)
	if err != nil {
		t.Fatal(err)
	}
	return action, errno
}
