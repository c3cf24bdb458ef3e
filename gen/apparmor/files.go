package apparmor

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/profgen/profgen/gen/apparmor/syntax"
	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/gen/policy"
)

// variable returns the variable that stands for a stretch of a name that is of a
// class. Unlike [0-9]*, which lets anything follow the first digit, optional
// digits let in numbers only.
func variable(p policy.Piece) (Variable, error) {
	number := func(digits int) string { return "[0-9]" + strings.Repeat("{[0-9],}", digits-1) }
	switch p.Class {
	case policy.PID:
		return Variable{"pid", number(policy.PIDDigits)}, nil
	case policy.Digits:
		return Variable{"int", number(policy.IntDigits)}, nil
	case policy.Hex:
		return Variable{fmt.Sprintf("hex%d", len(p.Text)), strings.Repeat("[0-9A-Fa-f]", len(p.Text))}, nil
	case policy.Object:
		return Variable{"object", "*.so{,.[0-9]*}"}, nil
	case policy.Random:
		return Variable{fmt.Sprintf("rand%d", len(p.Text)), strings.Repeat("[0-9A-Za-z]", len(p.Text))}, nil
	}
	return Variable{}, fmt.Errorf("class of names %q: unknown", p.Class)
}

// variables returns those that the profile's rules use.
func variables(p policy.Policy) ([]Variable, error) {
	used := map[Variable]bool{{"PROC", "/proc"}: true}
	for _, r := range p.Files.Rules {
		for _, piece := range r.Name {
			if piece.Class == "" {
				continue
			}
			v, err := variable(piece)
			if err != nil {
				return nil, err
			}
			used[v] = true
		}
	}
	return slices.SortedFunc(maps.Keys(used), func(a, b Variable) int { return cmp.Compare(a.Name, b.Name) }), nil
}

// files allows the policy's files, in groups by what they are for; or, if they
// are not confined, every file, to be read, written, mapped and run under this
// same profile: what a bare file rule means (apparmor.d(5), FILE RULES). Programs
// run under this same profile too: a change of profile fails with no-new-privileges.
func files(p policy.Policy, m Mode) ([]Group, error) {
	if !p.Files.Confined {
		g := Group{"Files: all, except for what is denied below.", []syntax.Item{syntax.FileRule{}}}
		if m == Complain {
			g.Comment = "Files: all."
		}
		return []Group{g}, nil
	}
	groups := []Group{
		{Comment: "Programs: run under this same profile."},
		{Comment: "Files of the image."},
		{Comment: "Files that the workload makes."},
		{Comment: "Files on mounts: /proc, /sys, /dev, what the container runtime or the user mounts."},
		{Comment: "Hard links."},
	}
	for _, r := range p.Files.Rules {
		rules, err := fileRules(r)
		if err != nil {
			return nil, err
		}
		i := groupOf(r)
		groups[i].Rules = append(groups[i].Rules, rules...)
	}
	return slices.DeleteFunc(groups, func(g Group) bool { return len(g.Rules) == 0 }), nil
}

func groupOf(r policy.FileRule) int {
	switch {
	case strings.Contains(r.Perms, "l"):
		return 4
	case strings.Contains(r.Perms, "x"):
		return 0
	case r.Origin == evidence.FromItself:
		return 2
	case r.Origin == evidence.FromMount:
		return 3
	}
	return 1
}

// fileRules returns the rules that say r: a hard link has one of its own.
func fileRules(r policy.FileRule) ([]syntax.Item, error) {
	name, err := pattern(r.Name)
	if err != nil {
		return nil, err
	}
	var out []syntax.Item
	perms := strings.ReplaceAll(r.Perms, "x", "ix")
	if strings.Contains(perms, "l") {
		target, err := QuotePath(r.Target)
		if err != nil {
			return nil, err
		}
		out = append(out, syntax.Link{Name: name, Target: target})
		perms = strings.ReplaceAll(perms, "l", "")
	}
	if perms != "" {
		var q syntax.Qualifiers
		if r.Owner {
			q.Who = "owner"
		}
		out = append(out, file(q, name, perms))
	}
	return out, nil
}

// pattern returns a name as a pattern that stands for just the paths that the
// name does.
func pattern(n policy.Name) (string, error) {
	var b strings.Builder
	var raw strings.Builder // to be checked as a path
	for i, p := range n {
		raw.WriteString(p.Text)
		if p.Class != "" {
			v, err := variable(p)
			if err != nil {
				return "", err
			}
			b.WriteString("@{" + v.Name + "}")
			continue
		}
		text := p.Text
		if rest, ok := strings.CutPrefix(text, "/proc/"); ok && i == 0 {
			b.WriteString("@{PROC}/")
			text = rest
		}
		quoteText(&b, text)
	}
	if err := checkPath(raw.String()); err != nil {
		return "", fmt.Errorf("path %q: %w", n.String(), err)
	}
	return quoted(b.String()), nil
}
