package seccomp_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/profgen/profgen/gen/seccomp"
	"github.com/profgen/profgen/internal/abi"
)

// Whatever Compare says holds for what Evaluate answers: the examples are
// examples, and where it finds nothing no argument list around any condition
// differs.
func TestCompareAgreesWithEvaluate(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 5))
	seen := map[seccomp.Verdict]int{}
	for range 500 {
		a, b := anyProfile(rnd), anyProfile(rnd)
		if rnd.IntN(3) == 0 {
			b = respelled(rnd, a)
		}
		for _, native := range []abi.Arch{abi.X8664, abi.AArch64} {
			for _, arch := range abi.Arches() {
				row, _ := arch.Row()
				if row.Native != native || row.Compat && !(slices.Contains(a.Architectures, row.SCMP) && slices.Contains(b.Architectures, row.SCMP)) {
					continue
				}
				calls := seccomp.Compare(a, b, native).Calls
				for _, name := range []string{"sendto", "clone", "socketcall"} {
					checkChange(t, a, b, arch, name, calls, seen)
				}
			}
		}
	}
	for _, v := range []seccomp.Verdict{seccomp.Same, seccomp.Widened, seccomp.Narrowed, seccomp.Mixed, seccomp.Changed} {
		if seen[v] < 10 {
			t.Errorf("verdicts %v: want some of each", seen)
		}
	}
}

func checkChange(t *testing.T, a, b *specs.LinuxSeccomp, arch abi.Arch, name string, calls []seccomp.Change, seen map[seccomp.Verdict]int) {
	t.Helper()
	nr, ok := arch.Number(name)
	if !ok {
		return
	}
	c := seccomp.Change{Verdict: seccomp.Same}
	about := name
	if !names(a, arch, name) && !names(b, arch, name) {
		about = "" // one of those that neither names
	}
	if i := slices.IndexFunc(calls, func(c seccomp.Change) bool { return c.Arch == arch && c.Name == about }); i >= 0 {
		c = calls[i]
	}
	seen[c.Verdict]++
	permits := func(s *specs.LinuxSeccomp, args [6]uint64) (bool, specs.LinuxSeccompAction, uint) {
		action, errno := seccomp.Evaluate(s, arch, nr, args)
		return action == specs.ActAllow || action == specs.ActLog, action, errno
	}
	for _, x := range []struct {
		args        *[6]uint64
		allow, deny *specs.LinuxSeccomp
	}{{c.More, b, a}, {c.Less, a, b}} {
		if x.args == nil {
			continue
		}
		in, _, _ := permits(x.allow, *x.args)
		out, _, _ := permits(x.deny, *x.args)
		if !in || out {
			t.Fatalf("%s %s: %#x is no example\n%+v\n%+v", arch, name, *x.args, a, b)
		}
	}
	for _, args := range corners(a, b) {
		before, actionA, errnoA := permits(a, args)
		after, actionB, errnoB := permits(b, args)
		switch {
		case before && !after && c.Less == nil, after && !before && c.More == nil,
			c.Verdict == seccomp.Same && (actionA != actionB || errnoA != errnoB):
			t.Fatalf("%s %s(%#x): %s %d then %s %d, but Compare says %s\n%+v\n%+v", arch, name, args, actionA, errnoA, actionB, errnoB, c.Verdict, a, b)
		}
	}
}

// names reports whether a profile has a rule about the call on arch.
func names(s *specs.LinuxSeccomp, arch abi.Arch, name string) bool {
	return slices.ContainsFunc(s.Syscalls, func(r specs.LinuxSyscall) bool {
		return slices.ContainsFunc(r.Names, func(n string) bool {
			mux, _ := abi.Multiplexed(n)
			return n == name || arch == abi.X86 && mux == name
		})
	})
}

// corners are argument lists around the conditions of both.
func corners(a, b *specs.LinuxSeccomp) [][6]uint64 {
	values := []uint64{0, 1 << 32, ^uint64(0)}
	for _, s := range []*specs.LinuxSeccomp{a, b} {
		for _, r := range s.Syscalls {
			for _, c := range r.Args {
				values = append(values, c.Value, c.Value-1, c.Value+1, c.ValueTwo, c.ValueTwo^c.Value)
			}
		}
	}
	slices.Sort(values)
	values = slices.Compact(values)
	var out [][6]uint64
	for _, x := range values {
		for _, y := range values {
			out = append(out, [6]uint64{x, y})
		}
	}
	return out
}

// anyProfile has rules about two calls, in two arguments.
func anyProfile(rnd *rand.Rand) *specs.LinuxSeccomp {
	ops := []specs.LinuxSeccompOperator{
		specs.OpEqualTo, specs.OpNotEqual, specs.OpLessThan, specs.OpLessEqual, specs.OpGreaterEqual, specs.OpGreaterThan, specs.OpMaskedEqual,
	}
	errno := uint(38)
	s := &specs.LinuxSeccomp{DefaultAction: []specs.LinuxSeccompAction{specs.ActErrno, specs.ActErrno, specs.ActAllow}[rnd.IntN(3)]}
	for _, a := range []specs.Arch{specs.ArchX86, specs.ArchX32, specs.ArchARM} {
		if rnd.IntN(2) == 0 {
			s.Architectures = append(s.Architectures, a)
		}
	}
	for range rnd.IntN(4) {
		r := specs.LinuxSyscall{Names: []string{[]string{"sendto", "clone"}[rnd.IntN(2)]}, Action: specs.ActAllow}
		if rnd.IntN(4) == 0 {
			r.Action, r.ErrnoRet = specs.ActErrno, &errno
		}
		for i := range uint(2) {
			if rnd.IntN(2) == 0 {
				value := []uint64{0, 1, 2, 0xff, 1 << 33}[rnd.IntN(5)]
				r.Args = append(r.Args, specs.LinuxSeccompArg{Index: i, Value: value, ValueTwo: value & rnd.Uint64N(4), Op: ops[rnd.IntN(len(ops))]})
			}
		}
		s.Syscalls = append(s.Syscalls, r)
	}
	return s
}

// respelled says the same as s in other words, where no two rules differ in
// their action.
func respelled(rnd *rand.Rand, s *specs.LinuxSeccomp) *specs.LinuxSeccomp {
	out := *s
	out.Syscalls = slices.Clone(s.Syscalls)
	for _, r := range s.Syscalls {
		if len(r.Args) > 0 {
			r.Args = slices.Clone(r.Args)
			slices.Reverse(r.Args)
			out.Syscalls = append(out.Syscalls, r)
		}
	}
	out.Architectures = slices.Clone(s.Architectures)
	slices.Reverse(out.Architectures)
	return &out
}
