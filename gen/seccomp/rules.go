package seccomp

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/profgen/profgen/gen/policy"
	"github.com/profgen/profgen/internal/abi"
)

// maxArg is the highest argument index: struct seccomp_data, in
// include/uapi/linux/seccomp.h, has six.
const maxArg = 5

const (
	notPermitted = "known, and not needed: answers EPERM"
	unavailable  = "known, and not needed: answers ENOSYS so that callers fall back, as does what is listed nowhere"
)

// words says in a comment whose need the rules of a block are.
func words(b policy.Block) string {
	switch b {
	case policy.Workload:
		return "the workload"
	case policy.Execd:
		return "what is exec'd into the container, beside the workload"
	case policy.Fallback:
		return "what libc falls back to where a newer call is missing"
	case policy.Kernel:
		return "any process, without asking for it"
	case policy.Floor:
		return "the OCI runtime, once it has loaded this filter"
	case policy.Kept:
		return "kept, because the user said so"
	}
	return ""
}

// rulesOf returns the rules of p as [Spec] orders them, or why there can be
// none.
func rulesOf(p policy.Policy) ([]rule, error) {
	if err := check(p); err != nil {
		return nil, err
	}
	taken := map[string]bool{} // name, or name and conditions, that has its rule
	free := unconditional(p.Syscalls)
	var out []rule
	for _, b := range policy.Blocks() {
		names := map[string][]string{} // by conditions
		conds := map[string][]policy.Condition{}
		for _, r := range p.Syscalls {
			c := sortedConditions(r.Conditions)
			if free[r.Name] && len(c) > 0 {
				continue
			}
			k := conditionKey(c)
			if id := r.Name + " " + k; r.Block == b && !taken[id] {
				taken[id] = true
				names[k], conds[k] = append(names[k], r.Name), c
			}
		}
		out = append(out, blockRules(b, names, conds)...)
	}
	out = append(out, refusal(p.NotPermitted, eperm, notPermitted)...)
	// The same as the default, for engines that do not know defaultErrnoRet
	// (Docker before 23.0) and answer EPERM by default: there libc would not fall
	// back from clone3. Where it is known, runtimes skip the rule.
	return append(out, refusal(p.Unavailable, enosys, unavailable)...), nil
}

// refusal returns the rule that answers names with errno, if there are any.
func refusal(names []string, errno uint, why string) []rule {
	if len(names) == 0 {
		return nil
	}
	return []rule{{why, specs.LinuxSyscall{Names: sortedNames(names), Action: specs.ActErrno, ErrnoRet: &errno}}}
}

// blockRules returns the rules of one block, one for each set of conditions,
// the unconditional one first.
func blockRules(b policy.Block, names map[string][]string, conds map[string][]policy.Condition) []rule {
	var out []rule
	for k, n := range names {
		out = append(out, rule{comment(b, conds[k]), specs.LinuxSyscall{
			Names: sortedNames(n), Action: specs.ActAllow, Args: argsOf(conds[k]),
		}})
	}
	slices.SortFunc(out, func(x, y rule) int {
		return cmp.Or(
			cmp.Compare(min(len(x.Args), 1), min(len(y.Args), 1)),
			slices.Compare(x.Names, y.Names),
			slices.CompareFunc(x.Args, y.Args, compareArgs),
		)
	})
	return out
}

func compareArgs(a, b specs.LinuxSeccompArg) int {
	return cmp.Or(cmp.Compare(a.Index, b.Index), cmp.Compare(a.Value, b.Value), cmp.Compare(a.ValueTwo, b.ValueTwo))
}

func comment(b policy.Block, conds []policy.Condition) string {
	var out strings.Builder
	out.WriteString(words(b))
	for i, c := range conds {
		sep := ", if "
		if i > 0 {
			sep = " and "
		}
		fmt.Fprintf(&out, "%sargument %d & %#x is %#x", sep, c.Index, c.Mask, c.Value)
	}
	return out.String()
}

// argsOf spells conditions as the OCI does: value is the mask, valueTwo what
// the masked argument has to be.
func argsOf(conds []policy.Condition) []specs.LinuxSeccompArg {
	var out []specs.LinuxSeccompArg
	for _, c := range conds {
		out = append(out, specs.LinuxSeccompArg{Index: c.Index, Value: c.Mask, ValueTwo: c.Value, Op: specs.OpMaskedEqual})
	}
	return out
}

func unconditional(rules []policy.Rule) map[string]bool {
	out := map[string]bool{}
	for _, r := range rules {
		if len(r.Conditions) == 0 {
			out[r.Name] = true
		}
	}
	return out
}

func sortedNames(names []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(names)))
}

func sortedConditions(conds []policy.Condition) []policy.Condition {
	return slices.SortedFunc(slices.Values(conds), func(a, b policy.Condition) int { return cmp.Compare(a.Index, b.Index) })
}

func conditionKey(conds []policy.Condition) string {
	return fmt.Sprint(conds)
}

// check refuses what no correct profile can be made of.
func check(p policy.Policy) error {
	if len(p.Syscalls) == 0 {
		return ErrEmpty
	}
	if len(p.Arches) == 0 {
		return errors.New("no architecture: want at least the native one")
	}
	for i, a := range p.Arches {
		if _, ok := a.Row(); !ok || slices.Contains(p.Arches[:i], a) {
			return fmt.Errorf("architecture %q: unknown, or listed twice", a)
		}
	}
	allowed := map[string]bool{}
	for _, r := range p.Syscalls {
		if err := checkRule(p.Arches, r); err != nil {
			return fmt.Errorf("rule for %q: %w", r.Name, err)
		}
		allowed[r.Name] = true
	}
	for _, n := range slices.Concat(p.NotPermitted, p.Unavailable) {
		if err := checkName(p.Arches, n); err != nil {
			return fmt.Errorf("not permitted %q: %w", n, err)
		}
		if allowed[n] {
			return fmt.Errorf("not permitted %q: a rule allows it; the refusal would win over its conditions", n)
		}
	}
	return nil
}

func checkRule(arches []abi.Arch, r policy.Rule) error {
	if err := checkName(arches, r.Name); err != nil {
		return err
	}
	if !slices.Contains(policy.Blocks(), r.Block) {
		return fmt.Errorf("block %q: unknown", r.Block)
	}
	conds := sortedConditions(r.Conditions)
	for i, c := range conds {
		switch {
		case c.Index > maxArg:
			return fmt.Errorf("condition on argument %d: there are arguments 0 to %d", c.Index, maxArg)
		case i > 0 && c.Index == conds[i-1].Index:
			return fmt.Errorf("two conditions on argument %d: runtimes take them for alternatives; make them two rules", c.Index)
		case c.Mask == 0:
			return fmt.Errorf("condition on argument %d: an empty mask holds always or never; leave the condition out", c.Index)
		case c.Value&^c.Mask != 0:
			return fmt.Errorf("condition on argument %d: value %#x has bits outside of mask %#x, so it never holds", c.Index, c.Value, c.Mask)
		}
	}
	return nil
}

func checkName(arches []abi.Arch, name string) error {
	for _, a := range arches {
		if _, ok := a.Number(name); ok {
			return nil
		}
	}
	return fmt.Errorf("no such system call on %q: misspelt, or newer than profgen's tables?", arches)
}
