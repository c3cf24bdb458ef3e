package syntax

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// words are the elements of a list as text.
func (t token) words() []string {
	var out []string
	for _, e := range t.list {
		out = append(out, e.String())
	}
	return out
}

// String writes a token.
func (t token) String() string {
	value := t.text
	if t.parens {
		value = "(" + strings.Join(t.words(), ", ") + ")"
	}
	switch t.op {
	case "=":
		return t.key + "=" + value
	case "in":
		return t.key + " in " + value
	}
	return value
}

func (t token) condition() (Condition, error) {
	c := Condition{Key: t.key, In: t.op == "in"}
	if !t.parens {
		c.Values = []string{t.text}
		return c, nil
	}
	for _, e := range t.list {
		if e.key == "" && !e.parens {
			c.Values = append(c.Values, e.text)
			continue
		}
		if e.key == "" {
			return c, fmt.Errorf("%s: parentheses within parentheses", t.key)
		}
		inner, err := e.condition()
		if err != nil {
			return c, err
		}
		c.Conds = append(c.Conds, inner)
	}
	return c, nil
}

// qualifiers takes what qualifies a rule off its front.
func qualifiers(tokens []token) (Qualifiers, []token, error) {
	var q Qualifiers
	for len(tokens) > 0 {
		t := tokens[0]
		switch {
		case t.key == "priority":
			q.Priority = t.text
		case t.text == "audit":
			q.Audit = true
		case t.text == "quiet":
			q.Quiet = true
		case t.text == "allow", t.text == "deny", t.text == "prompt":
			if q.Access != "" && q.Access != t.text {
				return q, tokens, fmt.Errorf("both %s and %s", q.Access, t.text)
			}
			q.Access = t.text
		case t.text == "owner", t.text == "other":
			q.Who = t.text
		default:
			return q, tokens, nil
		}
		tokens = tokens[1:]
	}
	return q, tokens, nil
}

// kinds are the keywords of the rules that a [Rule] stands for.
func kinds() []string {
	return []string{"network", "mount", "remount", "umount", "unmount", "pivot_root", "ptrace", "signal", "unix", "dbus", "mqueue", "io_uring", "userns"}
}

// statement makes a rule of its tokens.
func statement(tokens []token) (Item, error) {
	q, rest, err := qualifiers(tokens)
	if err != nil {
		return nil, err
	}
	if len(rest) == 0 {
		return nil, errors.New("qualifiers without a rule")
	}
	head, args := rest[0], rest[1:]
	if head.key != "" || head.parens {
		return nil, fmt.Errorf("unexpected %s", head.String())
	}
	switch head.text {
	case "abi":
		return one(args, func(s string) Item { return ABI{s} })
	case "alias":
		return alias(args)
	case "set":
		return rlimit(args)
	case "capability":
		names, err := texts(args)
		return Capability{q, names}, err
	case "change_profile":
		return changeProfile(q, args)
	case "link":
		return link(q, args)
	case "all":
		return bare(args, All{q})
	}
	if slices.Contains(kinds(), head.text) {
		return interfaceRule(q, head.text, args)
	}
	return fileRule(q, rest)
}

// texts are tokens that are plain words.
func texts(tokens []token) ([]string, error) {
	var out []string
	for _, t := range tokens {
		if t.key != "" || t.parens {
			return nil, fmt.Errorf("unexpected %s", t.String())
		}
		out = append(out, t.text)
	}
	return out, nil
}

func one(args []token, f func(string) Item) (Item, error) {
	w, err := texts(args)
	if err != nil || len(w) != 1 {
		return nil, errors.Join(errors.New("want one word"), err)
	}
	return f(w[0]), nil
}

func bare(args []token, i Item) (Item, error) {
	if len(args) > 0 {
		return nil, fmt.Errorf("unexpected %s", args[0].String())
	}
	return i, nil
}

func alias(args []token) (Item, error) {
	w, err := texts(args)
	if err != nil || len(w) != 3 || w[1] != "->" {
		return nil, errors.New("want alias /from -> /to")
	}
	return Alias{w[0], w[2]}, nil
}

// rlimit reads set rlimit NAME <= VALUE [UNIT].
func rlimit(args []token) (Item, error) {
	w, err := texts(args)
	if err != nil || len(w) < 4 || w[0] != "rlimit" || w[2] != "<=" {
		return nil, errors.New("want set rlimit NAME <= VALUE")
	}
	return RLimit{w[1], strings.Join(w[3:], " ")}, nil
}

// arrow parts words at ->; the target is "" without one.
func arrow(words []string) (before []string, target string, err error) {
	i := slices.Index(words, "->")
	if i < 0 {
		return words, "", nil
	}
	if i != len(words)-2 {
		return nil, "", errors.New("want one name after ->")
	}
	return words[:i], words[i+1], nil
}

func changeProfile(q Qualifiers, args []token) (Item, error) {
	w, err := texts(args)
	if err != nil {
		return nil, err
	}
	out := ChangeProfile{Qualifiers: q}
	if len(w) > 0 && (w[0] == "safe" || w[0] == "unsafe") {
		out.Mode, w = w[0], w[1:]
	}
	if w, out.Target, err = arrow(w); err != nil || len(w) > 1 {
		return nil, errors.Join(errors.New("want change_profile [EXEC] [-> PROFILE]"), err)
	}
	if len(w) == 1 {
		out.Exec = w[0]
	}
	return out, nil
}

func link(q Qualifiers, args []token) (Item, error) {
	w, err := texts(args)
	if err != nil {
		return nil, err
	}
	out := Link{Qualifiers: q}
	if len(w) > 0 && w[0] == "subset" {
		out.Subset, w = true, w[1:]
	}
	if w, out.Target, err = arrow(w); err != nil || len(w) != 1 || out.Target == "" {
		return nil, errors.Join(errors.New("want link NAME -> TARGET"), err)
	}
	out.Name = w[0]
	return out, nil
}

// interfaceRule reads the rules that have access words, conditions, an object
// and a target, in any order that the parser takes them in.
func interfaceRule(q Qualifiers, kind string, args []token) (Item, error) {
	if kind == "unmount" {
		kind = "umount"
	}
	out := Rule{Qualifiers: q, Kind: kind}
	for i := 0; i < len(args); i++ {
		t := args[i]
		switch {
		case t.key != "":
			c, err := t.condition()
			if err != nil {
				return nil, err
			}
			out.Conds = append(out.Conds, c)
		case t.parens && isObject(kind, ""):
			return nil, fmt.Errorf("%s: unexpected %s", kind, t.String())
		case t.parens:
			out.Access = append(out.Access, t.words()...)
		case t.text == "->":
			if i != len(args)-2 || args[i+1].key != "" || args[i+1].parens {
				return nil, fmt.Errorf("%s: want one name after ->", kind)
			}
			out.Target = args[i+1].text
			i++
		case isObject(kind, t.text):
			if out.Object != "" {
				return nil, fmt.Errorf("%s: both %s and %s", kind, out.Object, t.text)
			}
			out.Object = t.text
		case kind == "network":
			out.Words = append(out.Words, t.text)
		default:
			out.Access = append(out.Access, t.text)
		}
	}
	for _, a := range out.Access {
		if strings.Trim(a, "abcdefghijklmnopqrstuvwxyz_") != "" {
			return nil, fmt.Errorf("%s: %q is no access", kind, a)
		}
	}
	return out, nil
}

// isObject reports whether a word of a rule is what the rule is about, and not
// an access.
func isObject(kind, w string) bool {
	switch kind {
	case "mount", "remount", "umount", "pivot_root":
		return true
	case "mqueue":
		return strings.Trim(w, "abcdefghijklmnopqrstuvwxyz") != ""
	}
	return false
}

// fileRule reads path first, permissions first, and the bare file rule.
func fileRule(q Qualifiers, tokens []token) (Item, error) {
	w, err := texts(tokens)
	if err != nil {
		return nil, err
	}
	out := FileRule{Qualifiers: q}
	word := ""
	if w[0] == "file" {
		word, w = "file", w[1:]
	}
	if len(w) > 0 && (w[0] == "safe" || w[0] == "unsafe") {
		out.Mode, w = w[0], w[1:]
	}
	if w, out.Target, err = arrow(w); err != nil {
		return nil, err
	}
	switch {
	case len(w) == 0 && word != "" && out.Target == "":
		return out, nil
	case len(w) != 2:
		return nil, fmt.Errorf("%q is no rule", strings.Join(slices.Concat([]string{word}, w), " "))
	case isPath(w[0]):
		out.Path, out.Perms = w[0], w[1]
	case isPath(w[1]):
		out.Path, out.Perms = w[1], w[0]
	default:
		return nil, fmt.Errorf("%q is no rule: want a path, which begins with / or @{", strings.Join(w, " "))
	}
	if bad := strings.Trim(out.Perms, "rwaxmlkdDpPcCuUiI"); bad != "" {
		return nil, fmt.Errorf("%s: permission %q", out.Path, bad)
	}
	return out, nil
}

func isPath(w string) bool {
	w = strings.TrimPrefix(w, `"`)
	return strings.HasPrefix(w, "/") || strings.HasPrefix(w, "@{") || strings.HasPrefix(w, "{")
}
