package convert

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/profgen/profgen/gen/seccomp"
)

// minijail's policies are those of minijail0(5): a line a call,
//
//	read: 1
//	socket: arg0 == 1 || arg0 == 2 && arg1 == 3
//	ptrace: return 1
//
// where && binds tighter than ||. What is not named kills. Numbers of errors
// stand for their names; constants by name, includes and "in" are not read.

var (
	minijailLine = regexp.MustCompile(`^([a-z0-9_]+)\s*:\s*(.+)$`)
	minijailAtom = regexp.MustCompile(`^arg([0-5])\s*(==|!=|<=|>=|<|>)\s*(0x[0-9a-fA-F]+|[0-9]+)$`)
)

func firstRule(text string) string {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			return line
		}
	}
	return ""
}

func minijailSigns() map[string]specs.LinuxSeccompOperator {
	return map[string]specs.LinuxSeccompOperator{
		"==": specs.OpEqualTo, "!=": specs.OpNotEqual, "<": specs.OpLessThan, "<=": specs.OpLessEqual,
		">": specs.OpGreaterThan, ">=": specs.OpGreaterEqual,
	}
}

func readMinijail(text string) (*seccomp.File, error) {
	out := &seccomp.File{DefaultAction: specs.ActKillProcess}
	for i, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		m := minijailLine.FindStringSubmatch(line)
		if m == nil {
			return nil, fmt.Errorf("line %d: %q: want NAME: EXPRESSION", i+1, line)
		}
		rules, err := minijailRules(m[1], m[2])
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		out.Syscalls = append(out.Syscalls, rules...)
	}
	if len(out.Syscalls) == 0 {
		return nil, errors.New("no rules: nothing could run under it")
	}
	return out, nil
}

func minijailRules(name, expression string) ([]seccomp.FileRule, error) {
	expression, answer, hasAnswer := strings.Cut(expression, ";")
	expression = strings.TrimSpace(expression)
	if hasAnswer {
		return nil, fmt.Errorf("%s: \"; %s\": an answer of its own beside conditions is not read", name, strings.TrimSpace(answer))
	}
	switch rest, isReturn := strings.CutPrefix(expression, "return "); {
	case expression == "1" || expression == "allow":
		return []seccomp.FileRule{{Names: []string{name}, Action: specs.ActAllow}}, nil
	case isReturn:
		rest = strings.TrimSpace(rest)
		n, ok := seccomp.ErrnoByName(rest)
		if v, err := strconv.ParseUint(rest, 0, 12); err == nil {
			n, ok = uint(v), true
		}
		if !ok {
			return nil, fmt.Errorf("%s: return %q: want an error", name, rest)
		}
		return []seccomp.FileRule{{Names: []string{name}, Action: specs.ActErrno, ErrnoRet: &n}}, nil
	}
	var out []seccomp.FileRule
	for _, alternative := range strings.Split(expression, "||") {
		r := seccomp.FileRule{Names: []string{name}, Action: specs.ActAllow}
		seen := map[uint]bool{}
		for _, atom := range strings.Split(alternative, "&&") {
			m := minijailAtom.FindStringSubmatch(strings.TrimSpace(atom))
			if m == nil {
				return nil, fmt.Errorf("%s: %q: want argN, a comparison, and a number", name, strings.TrimSpace(atom))
			}
			index, _ := strconv.ParseUint(m[1], 10, 3) // the pattern has a digit there
			value, err := strconv.ParseUint(m[3], 0, 64)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			if seen[uint(index)] {
				return nil, fmt.Errorf("%s: two conditions on arg%d that must both hold: runtimes would take either", name, index)
			}
			seen[uint(index)] = true
			r.Args = append(r.Args, specs.LinuxSeccompArg{Index: uint(index), Value: value, Op: minijailSigns()[m[2]]})
		}
		out = append(out, r)
	}
	return out, nil
}

func writeMinijail(s *specs.LinuxSeccomp) ([]byte, error) {
	l := &lossless{format: Minijail}
	l.common(s)
	if s.DefaultAction != specs.ActKillProcess {
		l.no("the default is %s: what a policy does not name kills the process", s.DefaultAction)
	}
	if len(s.Architectures) > 0 {
		l.no("architectures: a policy is for the native one")
	}
	lines := map[string][]string{}
	var order []string
	for i, r := range s.Syscalls {
		var expression []string
		switch {
		case r.Action == specs.ActErrno && len(r.Args) == 0:
			expression = []string{fmt.Sprintf("return %d", errnoOf(r.ErrnoRet))}
		case r.Action != specs.ActAllow:
			l.no("rule %d: action %s with conditions, or one that policies do not have", i+1, r.Action)
		case len(r.Args) == 0:
			expression = []string{"1"}
		}
		for _, conds := range alternatives(r.Args) {
			if atom := l.minijail(i, conds); atom != "" {
				expression = append(expression, atom)
			}
		}
		for _, name := range r.Names {
			if _, ok := lines[name]; !ok {
				order = append(order, name)
			}
			lines[name] = append(lines[name], expression...)
		}
	}
	var out strings.Builder
	for _, name := range order {
		all := lines[name]
		plain := func(e string) bool { return e == "1" || strings.HasPrefix(e, "return ") }
		if i := slices.IndexFunc(all, plain); i >= 0 {
			all = all[i : i+1] // it wins over all conditions
		}
		fmt.Fprintf(&out, "%s: %s\n", name, strings.Join(all, " || "))
	}
	return []byte(out.String()), l.err()
}

func (l *lossless) minijail(i int, conds []specs.LinuxSeccompArg) string {
	var atoms []string
	for _, c := range conds {
		sign := ""
		for s, op := range minijailSigns() {
			if op == c.Op {
				sign = s
			}
		}
		if sign == "" {
			l.no("rule %d: %s, which expressions do not have", i+1, c.Op)
		}
		atoms = append(atoms, fmt.Sprintf("arg%d %s %d", c.Index, sign, c.Value))
	}
	return strings.Join(atoms, " && ")
}
