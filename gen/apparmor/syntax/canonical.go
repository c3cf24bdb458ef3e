package syntax

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
)

// Canonical returns the file in canonical order: within a section, which empty
// lines and comments bound, rules are sorted by kind and then by what they are
// about, each once; permissions are in one order. Nothing crosses a section,
// a variable, an alias or, outside of profiles, an include: there order may
// mean something.
func (f File) Canonical() File { return File{f.Body.canonical(false)} }

func (b Body) canonical(within bool) Body {
	out := Body{Tail: b.Tail}
	var section []Node
	flush := func() {
		out.Nodes = append(out.Nodes, sorted(section)...)
		section = nil
	}
	for _, n := range b.Nodes {
		n.Item, n.Line = canonicalItem(n.Item), 0
		movable := movable(n.Item, within)
		if n.Blank || len(n.Lead) > 0 || !movable {
			flush()
		}
		if _, ok := n.Item.(Profile); ok {
			n.Blank = true
		}
		section = append(section, n)
		if !movable {
			flush()
		}
	}
	flush()
	return out
}

// movable reports whether the order of an item means nothing.
func movable(i Item, within bool) bool {
	switch i.(type) {
	case Include:
		return within
	case ABI, Alias, Assign, Profile, If, Block:
		return false
	}
	return true
}

// sorted is a section in order. Its first node's comments stay first.
func sorted(section []Node) []Node {
	if len(section) < 2 {
		return section
	}
	head := Node{Blank: section[0].Blank, Lead: section[0].Lead}
	section[0].Blank, section[0].Lead = false, nil
	slices.SortStableFunc(section, func(a, b Node) int {
		if transition(a.Item) && transition(b.Item) {
			return 0
		}
		return cmp.Or(cmp.Compare(order(a.Item), order(b.Item)), slices.Compare(sortKey(a.Item), sortKey(b.Item)), cmp.Compare(a.Trail, b.Trail))
	})
	section = slices.CompactFunc(section, func(a, b Node) bool { return reflect.DeepEqual(a, b) })
	section[0].Blank, section[0].Lead = head.Blank, head.Lead
	for i := range section[1:] {
		section[i+1].Blank = class(section[i].Item) != class(section[i+1].Item)
	}
	return section
}

// class parts what an empty line parts in the end.
func class(i Item) int { return min(order(i), order(FileRule{})) }

// transition reports whether an item lets a program run under another profile.
// The parser numbers such rules' targets as they come, and the kernel sees the
// numbers: their order is kept.
func transition(i Item) bool {
	f, ok := i.(FileRule)
	return ok && strings.ContainsAny(f.Perms, "pPcC")
}

// order is the place of a kind of rule in a section.
func order(i Item) int {
	switch i := i.(type) {
	case Include:
		return 0
	case RLimit:
		return 1
	case All:
		return 2
	case Capability:
		return 3
	case Rule:
		return 4 + slices.Index(kinds(), i.Kind)
	case ChangeProfile:
		return 30
	case Link:
		return 31
	case FileRule:
		if transition(i) {
			return 60
		}
		return 32 + fileGroup(i.Path)
	}
	return 99
}

// fileGroup parts file rules by what they are about: the file rule without a
// path, then the file system's parts as hier(7) has them.
func fileGroup(p string) int {
	p = strings.Trim(p, `"`)
	if p == "" {
		return 0
	}
	for i, group := range groups() {
		for _, prefix := range group {
			if strings.HasPrefix(p, prefix) {
				return i + 1
			}
		}
	}
	return 1
}

func groups() [][]string {
	return [][]string{
		{},
		{"/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin", "/{usr/,}bin", "/{,usr/}bin", "/{usr/,}sbin", "/{,usr/}sbin"},
		{"/lib", "/usr/lib", "/usr/local/lib", "/{usr/,}lib", "/{,usr/}lib", "/usr/libexec"},
		{"/usr"},
		{"/etc"},
		{"/opt", "/srv", "/var", "/{,var/}run", "/{var/,}run"},
		{"/home", "/root", "@{HOME", "@{home"},
		{"/tmp", "/run", "@{run}"},
		{"/sys", "@{sys}"},
		{"/proc", "@{PROC}"},
		{"/dev"},
	}
}

// sortKey orders rules of a kind: by what they are about before who may.
func sortKey(i Item) []string {
	f := fields(i)
	if r, ok := i.(FileRule); ok {
		return append([]string{strings.Trim(r.Path, `"`), strings.Join(r.Qualifiers.words(), " ")}, f...)
	}
	if q, n := qualified(i); n > 0 {
		return append(slices.Clone(f[n:]), q...)
	}
	return f
}

// qualified are the words of an item's qualifiers, which its fields begin with.
func qualified(i Item) ([]string, int) {
	var q Qualifiers
	switch i := i.(type) {
	case Capability:
		q = i.Qualifiers
	case Rule:
		q = i.Qualifiers
	case ChangeProfile:
		q = i.Qualifiers
	case Link:
		q = i.Qualifiers
	case All:
		q = i.Qualifiers
	}
	w := q.words()
	return w, len(w)
}

func canonicalItem(i Item) Item {
	switch i := i.(type) {
	case Profile:
		i.Flags = set(i.Flags)
		i.Body = i.Body.canonical(true)
		return i
	case If:
		i.Then = i.Then.canonical(true)
		if i.Else != nil {
			e := i.Else.canonical(true)
			i.Else = &e
		}
		return i
	case Block:
		i.Body = i.Body.canonical(true)
		return i
	case Capability:
		i.Names = set(i.Names)
		return i
	case Rule:
		i.Access = set(i.Access)
		return i
	case FileRule:
		i.Perms = permissions(i.Perms)
		return i
	}
	return i
}

// set is words without order, sorted, each once; nil for none.
func set(words []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(words)))
}

// permissions puts permission letters in the order that people write them in:
// m, r, w, a, l, k and what is left, then how to exec.
func permissions(p string) string {
	var out, exec strings.Builder
	for _, r := range "mrwalkdD" {
		if strings.ContainsRune(p, r) {
			out.WriteRune(r)
		}
	}
	for _, r := range p {
		if strings.ContainsRune("pPcCuUiIx", r) {
			exec.WriteRune(r)
		}
	}
	return out.String() + exec.String()
}
