package convert

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/profgen/profgen/gen/seccomp"
)

// LXC's format is that of parse_config_v2 in src/lxc/seccomp.c of
// github.com/lxc/lxc:
//
//	2
//	allowlist errno 38
//	[x86_64]
//	read
//	socket allow [0,2,SCMP_CMP_MASKED_EQ,4294967295]
//
// A rule's condition is index, value, operator and, for masked equality, mask.
// Sections other than [all] are for one ABI alone.

func lxcSections() map[string]specs.Arch {
	return map[string]specs.Arch{
		"x86": specs.ArchX86, "X86": specs.ArchX86, "x86_64": specs.ArchX86_64, "X86_64": specs.ArchX86_64, "x32": specs.ArchX32, "X32": specs.ArchX32,
		"arm": specs.ArchARM, "ARM": specs.ArchARM, "arm64": specs.ArchAARCH64, "ARM64": specs.ArchAARCH64,
	}
}

func readLXC(text string) (*seccomp.File, error) {
	lines := strings.Split(text, "\n")
	if strings.TrimSpace(lines[0]) != "2" || len(lines) < 2 {
		return nil, fmt.Errorf("want version 2, and allowlist or denylist in the second line")
	}
	out := &seccomp.File{}
	kind, action, _ := strings.Cut(strings.TrimSpace(lines[1]), " ")
	perRule := specs.ActAllow
	switch kind {
	case "allowlist", "whitelist":
		out.DefaultAction = specs.ActKill
	case "denylist", "blacklist":
		out.DefaultAction, perRule = specs.ActAllow, specs.ActKill
	default:
		return nil, fmt.Errorf("line 2: %q: want allowlist or denylist", kind)
	}
	if strings.TrimSpace(action) != "" {
		var err error
		if out.DefaultAction, out.DefaultErrnoRet, err = lxcAction(action); err != nil {
			return nil, fmt.Errorf("line 2: %w", err)
		}
	}
	perSection := map[string][]seccomp.FileRule{}
	var order []string
	section := "all"
	for i, line := range lines[2:] {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#':
		case line[0] == '[':
			if section = strings.Trim(line, "[]"); !slices.Contains(order, section) {
				order = append(order, section)
			}
		default:
			r, err := lxcRule(line, perRule)
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", i+3, err)
			}
			if !slices.Contains(order, section) {
				order = append(order, section)
			}
			perSection[section] = append(perSection[section], r)
		}
	}
	if err := lxcMerge(out, order, perSection); err != nil {
		return nil, err
	}
	return out, nil
}

// lxcMerge puts the sections together: the OCI has one list of rules for all
// architectures.
func lxcMerge(out *seccomp.File, order []string, rules map[string][]seccomp.FileRule) error {
	for i, section := range order {
		arch, ok := lxcSections()[section]
		switch {
		case section == "all" && len(order) == 1:
			// Beside the native ABI its compat ones are let in.
			out.ArchMap = []seccomp.ArchMap{
				{Arch: specs.ArchX86_64, SubArches: []specs.Arch{specs.ArchX86, specs.ArchX32}},
				{Arch: specs.ArchAARCH64, SubArches: []specs.Arch{specs.ArchARM}},
			}
			out.Syscalls = rules[section]
			return nil
		case section == "all":
			return fmt.Errorf("rules for [all] beside others: they have no common form")
		case !ok:
			return fmt.Errorf("section [%s]: not one profgen knows", section)
		case i > 0 && fmt.Sprint(withoutLines(rules[section])) != fmt.Sprint(withoutLines(rules[order[0]])):
			return fmt.Errorf("sections [%s] and [%s] differ: the OCI has one list of rules for all ABIs", order[0], section)
		}
		out.Architectures = append(out.Architectures, arch)
		out.Syscalls = rules[order[0]]
	}
	return nil
}

func withoutLines(rules []seccomp.FileRule) []string {
	var out []string
	for _, r := range rules {
		out = append(out, fmt.Sprint(r.Names, r.Action, errnoOf(r.ErrnoRet), r.Args))
	}
	return out
}

func lxcAction(s string) (specs.LinuxSeccompAction, *uint, error) {
	word, rest, _ := strings.Cut(strings.TrimSpace(s), " ")
	switch word {
	case "kill":
		return specs.ActKill, nil, nil
	case "allow":
		return specs.ActAllow, nil, nil
	case "trap":
		return specs.ActTrap, nil, nil
	case "notify":
		return specs.ActNotify, nil, nil
	case "errno":
		number, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
		n, err := strconv.ParseUint(number, 10, 12)
		if err != nil {
			return "", nil, fmt.Errorf("errno %q: want a number", number)
		}
		v := uint(n)
		return specs.ActErrno, &v, nil
	}
	return "", nil, fmt.Errorf("action %q: unknown", word)
}

func lxcRule(line string, action specs.LinuxSeccompAction) (seccomp.FileRule, error) {
	line, _, _ = strings.Cut(line, "#")
	before, conds, _ := strings.Cut(line, "[")
	name, act, _ := strings.Cut(strings.TrimSpace(before), " ")
	if name == "reject_force_umount" {
		v := uint(13) // EACCES
		return seccomp.FileRule{Names: []string{"umount2"}, Action: specs.ActErrno, ErrnoRet: &v,
			Args: []specs.LinuxSeccompArg{{Index: 1, Value: 1, ValueTwo: 1, Op: specs.OpMaskedEqual}}}, nil
	}
	out := seccomp.FileRule{Names: []string{name}, Action: action}
	if strings.TrimSpace(act) != "" {
		var err error
		if out.Action, out.ErrnoRet, err = lxcAction(act); err != nil {
			return out, err
		}
	}
	if conds == "" {
		return out, nil
	}
	for _, c := range strings.Split("["+strings.TrimSpace(conds), "]") {
		if c = strings.Trim(strings.TrimSpace(c), "[,"); c == "" {
			continue
		}
		arg, err := lxcCondition(c)
		if err != nil {
			return out, err
		}
		out.Args = append(out.Args, arg)
	}
	return out, nil
}

func lxcCondition(s string) (specs.LinuxSeccompArg, error) {
	parts := strings.Split(s, ",")
	if len(parts) < 3 || len(parts) > 4 {
		return specs.LinuxSeccompArg{}, fmt.Errorf("condition [%s]: want index, value, operator and perhaps a mask", s)
	}
	index, errIndex := strconv.ParseUint(strings.TrimSpace(parts[0]), 0, 3)
	value, errValue := strconv.ParseUint(strings.TrimSpace(parts[1]), 0, 64)
	signs := map[string]specs.LinuxSeccompOperator{
		"!=": specs.OpNotEqual, "<": specs.OpLessThan, "<=": specs.OpLessEqual, "==": specs.OpEqualTo,
		">=": specs.OpGreaterEqual, ">": specs.OpGreaterThan, "&=": specs.OpMaskedEqual,
	}
	op := specs.LinuxSeccompOperator(strings.TrimSpace(parts[2]))
	if known, ok := signs[string(op)]; ok {
		op = known
	}
	if errIndex != nil || errValue != nil {
		return specs.LinuxSeccompArg{}, fmt.Errorf("condition [%s]: want numbers", s)
	}
	out := specs.LinuxSeccompArg{Index: uint(index), Value: value, Op: op}
	if op == specs.OpMaskedEqual {
		mask := uint64(0)
		if len(parts) == 4 {
			var err error
			if mask, err = strconv.ParseUint(strings.TrimSpace(parts[3]), 0, 64); err != nil {
				return out, fmt.Errorf("condition [%s]: want numbers", s)
			}
		}
		out.Value, out.ValueTwo = mask, value
	}
	return out, nil
}

func writeLXC(s *specs.LinuxSeccomp) ([]byte, error) {
	l := &lossless{format: LXC}
	l.common(s)
	word := func(a specs.LinuxSeccompAction, errno *uint) string {
		switch a {
		case specs.ActAllow:
			return "allow"
		case specs.ActKill, specs.ActKillThread:
			return "kill"
		case specs.ActTrap:
			return "trap"
		case specs.ActErrno:
			return fmt.Sprintf("errno %d", errnoOf(errno))
		}
		l.no("action %s", a)
		return ""
	}
	var out strings.Builder
	fmt.Fprintf(&out, "2\nallowlist %s\n", word(s.DefaultAction, s.DefaultErrnoRet))
	var rules strings.Builder
	for _, r := range s.Syscalls {
		action := word(r.Action, r.ErrnoRet)
		if action == word(s.DefaultAction, s.DefaultErrnoRet) {
			continue // LXC, unlike runc, refuses a rule that says what the default says
		}
		for _, conds := range alternatives(r.Args) {
			for _, name := range r.Names {
				fmt.Fprintf(&rules, "%s %s", name, action)
				for _, c := range conds {
					if c.Op == specs.OpMaskedEqual {
						fmt.Fprintf(&rules, " [%d,%d,%s,%d]", c.Index, c.ValueTwo, c.Op, c.Value)
					} else {
						fmt.Fprintf(&rules, " [%d,%d,%s]", c.Index, c.Value, c.Op)
					}
				}
				rules.WriteString("\n")
			}
		}
	}
	if len(s.Architectures) == 0 {
		l.no("no architectures: in the OCI only the native one is let in, in LXC [all] are")
	}
	for _, a := range s.Architectures {
		section := ""
		for name, arch := range lxcSections() {
			if arch == a && name == strings.ToLower(name) {
				section = name
			}
		}
		if section == "" {
			l.no("architecture %s", a)
		}
		fmt.Fprintf(&out, "[%s]\n%s", section, rules.String())
	}
	return []byte(out.String()), l.err()
}

// alternatives splits conditions of which two have the same index, as runc does:
// each stands alone.
func alternatives(conds []specs.LinuxSeccompArg) [][]specs.LinuxSeccompArg {
	seen := map[uint]bool{}
	for _, c := range conds {
		if seen[c.Index] {
			return slices.Collect(slices.Chunk(conds, 1))
		}
		seen[c.Index] = true
	}
	return [][]specs.LinuxSeccompArg{conds}
}
