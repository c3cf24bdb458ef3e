package seccomp

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/profgen/profgen/internal/abi"
)

// Verdict says how what is allowed differs between two sides.
type Verdict string

const (
	Same     Verdict = "same"
	Widened  Verdict = "widened"  // more is allowed, and nothing less
	Narrowed Verdict = "narrowed" // less is allowed, and nothing more
	Mixed    Verdict = "mixed"    // some more, some less
	Changed  Verdict = "changed"  // the same is allowed, but what is refused, or logged, is answered otherwise
)

// Widens reports whether anything is allowed that was not.
func (v Verdict) Widens() bool { return v == Widened || v == Mixed }

// Join is the verdict about two things, one of them v, together.
func (v Verdict) Join(o Verdict) Verdict {
	switch {
	case v == o || o == Same:
		return v
	case v == Same:
		return o
	case v == Changed:
		return o
	case o == Changed:
		return v
	}
	return Mixed
}

// VerdictOf is the verdict where there is more, or less, than before.
func VerdictOf(more, less bool) Verdict {
	switch {
	case more && less:
		return Mixed
	case more:
		return Widened
	case less:
		return Narrowed
	}
	return Same
}

// Change is a system call that two profiles do not answer alike.
type Change struct {
	Arch    abi.Arch // the ABI
	Name    string   // "" for all calls that neither profile names
	Verdict Verdict
	From    string // what the first profile says, in words
	To      string // what the second one says
	// More is an argument list that the second profile allows and the first does
	// not, Less the reverse; nil if there is none.
	More, Less *[6]uint64
	// Sampled says that the rules were too many to compare exactly, and that values
	// around those of every condition were compared.
	Sampled bool
}

// Comparison is how two profiles differ on a kernel.
type Comparison struct {
	Widened  []abi.Arch // ABIs that only the second profile lets in
	Narrowed []abi.Arch // those that only the first does
	Calls    []Change   // of ABIs that both let in, sorted by ABI and name
}

// Verdict is the verdict about everything.
func (c Comparison) Verdict() Verdict {
	out := VerdictOf(len(c.Widened) > 0, len(c.Narrowed) > 0)
	for _, call := range c.Calls {
		out = out.Join(call.Verdict)
	}
	return out
}

// Compare says how b differs from a on a kernel with that native ABI. It
// compares what they mean and not how they are spelled: both answer as
// [Evaluate] says, and rules that are reordered, split, merged or redundant make
// no difference. A call that is logged, traced or asked a supervisor about
// counts as allowed. So does one that is allowed with something in the high half
// of an argument that has 32 bits to the kernel: it gets what it wants.
func Compare(a, b *specs.LinuxSeccomp, native abi.Arch) Comparison {
	var out Comparison
	for _, arch := range abi.Arches() {
		row, _ := arch.Row()
		if row.Native != native {
			continue
		}
		before := !row.Compat || slices.Contains(a.Architectures, row.SCMP)
		after := !row.Compat || slices.Contains(b.Architectures, row.SCMP)
		switch {
		case before && after:
			out.Calls = append(out.Calls, compareCalls(a, b, arch)...)
		case before:
			out.Narrowed = append(out.Narrowed, arch)
		case after:
			out.Widened = append(out.Widened, arch)
		}
	}
	return out
}

func compareCalls(a, b *specs.LinuxSeccomp, arch abi.Arch) []Change {
	names := map[string]bool{"": true} // all that neither names
	for _, s := range []*specs.LinuxSeccomp{a, b} {
		for _, r := range s.Syscalls {
			for _, n := range r.Names {
				names[n] = true
				if mux, _ := abi.Multiplexed(n); mux != "" && arch == abi.X86 {
					names[mux] = true
				}
			}
		}
	}
	sideA, sideB := newSide(a, arch), newSide(b, arch)
	var out []Change
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if _, ok := arch.Number(name); !ok && name != "" {
			continue
		}
		if c := compareCall(sideA, sideB, name); c.Verdict != Same {
			out = append(out, c)
		}
	}
	return out
}

// side is a profile on an ABI.
type side struct {
	spec  *specs.LinuxSeccomp
	arch  abi.Arch
	width uint64
	rules map[string][]rule1 // by name, in order
}

// rule1 is what a rule says of one name.
type rule1 struct {
	conds  []specs.LinuxSeccompArg // all must hold; none is always
	answer answer
}

func newSide(s *specs.LinuxSeccomp, arch abi.Arch) *side {
	row, _ := arch.Row()
	out := &side{spec: s, arch: arch, width: ^uint64(0), rules: map[string][]rule1{}}
	if row.Compat {
		out.width = 0xffffffff
	}
	def := answerOf(s.DefaultAction, s.DefaultErrnoRet)
	for _, r := range s.Syscalls {
		a := answerOf(r.Action, r.ErrnoRet)
		if a == def {
			continue
		}
		for _, conds := range alternatives(r.Args) {
			conds = out.meaningful(conds)
			for _, n := range r.Names {
				out.rules[n] = append(out.rules[n], rule1{conds, a})
				if mux, nr := abi.Multiplexed(n); mux != "" && arch == abi.X86 {
					out.rules[mux] = append(out.rules[mux], rule1{viaMux(conds, nr), a})
				}
			}
		}
	}
	return out
}

// meaningful leaves out conditions that look at no bit of this ABI.
func (s *side) meaningful(conds []specs.LinuxSeccompArg) []specs.LinuxSeccompArg {
	return slices.DeleteFunc(slices.Clone(conds), func(a specs.LinuxSeccompArg) bool {
		return a.Op == specs.OpMaskedEqual && a.Value&s.width == 0
	})
}

// answer is what the profile answers the call with these arguments: as
// [Evaluate], which takes names and not rules by name.
func (s *side) answer(name string, args [maxArg + 1]uint64) answer {
	c := call{args: args, narrow: s.width != ^uint64(0)}
	out, conditional := answerOf(s.spec.DefaultAction, s.spec.DefaultErrnoRet), false
	for _, r := range s.rules[name] {
		switch c.matchAll(r.conds) {
		case always:
			return r.answer
		case holds:
			if !conditional {
				out, conditional = r.answer, true
			}
		}
	}
	return out
}

// permits reports whether the call goes on, or may.
func (a answer) permits() bool {
	switch a.action {
	case specs.ActAllow, specs.ActLog, specs.ActTrace, specs.ActNotify:
		return true
	}
	return false
}

func compareCall(a, b *side, name string) Change {
	out := Change{Arch: a.arch, Name: name}
	rules := slices.Concat(a.rules[name], b.rules[name])
	all, exact := lists(name, rules, a.width)
	out.Sampled = !exact
	differ := false
	for _, args := range all {
		differ = differ || a.answer(name, args) != b.answer(name, args)
		// What the kernel takes for this call is allowed if any spelling of it is.
		before, after := false, false
		for _, v := range variants(name, rules, a.width, args) {
			before = before || a.answer(name, v).permits()
			after = after || b.answer(name, v).permits()
		}
		if after && !before && out.More == nil {
			out.More = &args
		}
		if before && !after && out.Less == nil {
			out.Less = &args
		}
	}
	out.Verdict = VerdictOf(out.More != nil, out.Less != nil)
	if out.Verdict == Same && differ { // by who is asked, or what is answered
		out.Verdict = Changed
	}
	out.From, out.To = a.words(name), b.words(name)
	return out
}

// words says what a profile answers a call.
func (s *side) words(name string) string {
	def := answerOf(s.spec.DefaultAction, s.spec.DefaultErrnoRet)
	var out []string
	for _, r := range s.rules[name] {
		if len(r.conds) == 0 {
			return r.answer.String()
		}
		conds := make([]string, len(r.conds))
		for i, c := range r.conds {
			conds[i] = conditionWords(c, s.width)
		}
		out = append(out, r.answer.String()+" if "+strings.Join(conds, " and "))
	}
	slices.Sort(out)
	if out = slices.Compact(out); len(out) == 0 {
		return def.String()
	}
	const most = 3
	if more := len(out) - most; more > 0 {
		out = append(out[:most], fmt.Sprintf("%d more", more))
	}
	return strings.Join(out, ", ") + ", else " + def.String()
}

// String is the answer in words.
func (a answer) String() string {
	switch a.action {
	case specs.ActAllow:
		return "allowed"
	case specs.ActLog:
		return "allowed and logged"
	case specs.ActErrno:
		if name, ok := ErrnoName(a.errno); ok {
			return name
		}
		return fmt.Sprintf("errno %d", a.errno)
	case specs.ActKill, specs.ActKillProcess:
		return "killed"
	case specs.ActTrap:
		return "SIGSYS"
	case specs.ActTrace:
		return "a tracer is asked"
	case specs.ActNotify:
		return "a supervisor is asked"
	}
	return string(a.action)
}

func conditionWords(c specs.LinuxSeccompArg, width uint64) string {
	if c.Op == specs.OpMaskedEqual {
		if c.Value == 0xffffffff || c.Value&width == width {
			return fmt.Sprintf("arg%d is %#x", c.Index, c.ValueTwo&c.Value)
		}
		return fmt.Sprintf("arg%d & %#x is %#x", c.Index, c.Value, c.ValueTwo&c.Value)
	}
	signs := map[specs.LinuxSeccompOperator]string{
		specs.OpEqualTo: "==", specs.OpNotEqual: "!=", specs.OpLessThan: "<", specs.OpLessEqual: "<=",
		specs.OpGreaterThan: ">", specs.OpGreaterEqual: ">=",
	}
	return fmt.Sprintf("arg%d %s %#x", c.Index, cmp.Or(signs[c.Op], string(c.Op)), c.Value)
}

// Given is what is known of an argument: its bits under the mask.
type Given struct {
	Index uint   `json:"index"`
	Mask  uint64 `json:"mask"`
	Value uint64 `json:"value"`
}

// Reach says what a profile lets a program do with a call.
type Reach struct {
	Permits bool      // some call with the given arguments goes through
	Args    [6]uint64 // such a one
	// HighBits says that none goes through but with something in the high half of
	// an argument of which the kernel sees the low half alone: the filter looks at
	// 64 bits and can be got around.
	HighBits bool
}

// Permits says whether a profile lets through any call of arch by that name
// whose arguments are as given. Which others there are is up to the caller of
// the call.
func Permits(s *specs.LinuxSeccomp, arch abi.Arch, name string, given ...Given) Reach {
	row, ok := arch.Row()
	if _, has := arch.Number(name); !ok || !has || row.Compat && !slices.Contains(s.Architectures, row.SCMP) {
		return Reach{}
	}
	p := newSide(s, arch)
	rules := p.rules[name]
	wanted := rule1{}
	for _, g := range given {
		wanted.conds = append(wanted.conds, specs.LinuxSeccompArg{Index: g.Index, Value: g.Mask, ValueTwo: g.Value, Op: specs.OpMaskedEqual})
	}
	all, _ := lists(name, append(slices.Clone(rules), wanted), p.width)
	out := Reach{}
	for _, args := range all {
		if slices.ContainsFunc(given, func(g Given) bool { return args[min(g.Index, maxArg)]&g.Mask&p.width != g.Value&g.Mask&p.width }) {
			continue
		}
		for i, v := range variants(name, rules, p.width, args) {
			switch {
			case !p.answer(name, v).permits():
			case i == 0:
				return Reach{Permits: true, Args: v}
			case !out.Permits:
				out = Reach{Permits: true, Args: v, HighBits: true}
			}
		}
	}
	return out
}

// AnswerTo is what a profile answers the call with all arguments 0, in words:
// "allowed", "EPERM".
func AnswerTo(s *specs.LinuxSeccomp, arch abi.Arch, name string) string {
	return newSide(s, arch).answer(name, [6]uint64{}).String()
}
