package diff

import (
	"fmt"
	"slices"
	"strings"

	"github.com/profgen/profgen/gen/apparmor/aare"
	"github.com/profgen/profgen/gen/apparmor/access"
	"github.com/profgen/profgen/gen/apparmor/syntax"
	"github.com/profgen/profgen/gen/seccomp"
	"github.com/profgen/profgen/internal/abi"
)

func (r *reporter) appArmor(a, b Side) error {
	if r.oneSided("AppArmor", a.AppArmor != nil, b.AppArmor != nil, a, b) {
		return nil
	}
	before, err := r.armorOf(a)
	if err != nil {
		return err
	}
	after, err := r.armorOf(b)
	if err != nil {
		return err
	}
	r.files(before, after)
	r.axis(ArmorRules, slices.Concat(
		sets(before.capabilities(), after.capabilities()),
		allowed(before.allow, after.allow), refused(before, after),
		includes(before.unread, after.unread)))
	r.axis(Mode, modes(before, after))
	return nil
}

// armor is an AppArmor profile, taken apart.
type armor struct {
	files    *access.Profile
	allow    []statement
	deny     []statement
	caps     []string // allowed
	allCaps  bool
	denied   []string // capabilities
	denyCaps bool     // all
	unread   []string // includes that were not there to be read
	flags    []string
	name     string
}

// statement is a rule on something else than files and capabilities.
type statement struct {
	kind   string
	access []string
	words  []string // of network: domain, type, protocol
	conds  []string // all must hold
	object string
	target string
}

// armorOf takes the profile of a side apart. Includes that are not there are
// noted, and compared by their names.
func (r *reporter) armorOf(s Side) (*armor, error) {
	out := &armor{}
	lookup := func(path string) (syntax.File, bool, error) {
		if s.Includes != nil {
			if f, found, err := s.Includes(path); err != nil || found {
				return f, found, err
			}
		}
		if !slices.Contains(out.unread, path) {
			out.unread = append(out.unread, path)
		}
		return syntax.File{}, true, nil
	}
	var err error
	if out.files, err = access.Compile(*s.AppArmor, "", lookup); err != nil {
		return nil, fmt.Errorf("%s: AppArmor: %w", s.Name, err)
	}
	for _, n := range s.AppArmor.Body.Nodes {
		if p, ok := n.Item.(syntax.Profile); ok {
			out.flags, out.name = p.Flags, aare.Unquote(p.Name)
			if err := out.collect(p.Body, "", lookup, 0); err != nil {
				return nil, fmt.Errorf("%s: AppArmor: %w", s.Name, err)
			}
		}
	}
	// A local addition that does not exist is nobody's.
	out.unread = slices.DeleteFunc(out.unread, func(path string) bool { return strings.HasPrefix(path, "<local/") })
	for _, path := range out.unread {
		r.note("AppArmor: %s includes %s, which was not read", s.Name, path)
	}
	slices.Sort(out.unread)
	return out, nil
}

const maxNested = 32

// collect takes in the statements of a body.
func (a *armor) collect(b syntax.Body, outer string, lookup access.Includes, depth int) error {
	if depth > maxNested {
		return fmt.Errorf("nested too deep")
	}
	for _, n := range b.Nodes {
		var err error
		switch i := n.Item.(type) {
		case syntax.Block:
			err = a.collect(i.Body, either(i.Access, outer), lookup, depth+1)
		case syntax.Include:
			f, _, lookupErr := lookup(i.Path)
			if err = lookupErr; err == nil {
				err = a.collect(f.Body, outer, lookup, depth+1)
			}
		case syntax.Capability:
			a.capability(i, either(i.Access, outer))
		case syntax.Rule:
			s := statementOf(i)
			for c, cond := range s.conds {
				if cond == "peer="+a.name {
					s.conds[c] = ownPeer
				}
			}
			a.add(either(i.Qualifiers.Access, outer), s)
		case syntax.ChangeProfile:
			a.add(either(i.Access, outer), statement{kind: "change_profile", object: i.Exec, target: i.Target})
		case syntax.All:
			a.add(either(i.Access, outer), statement{kind: "all"})
			a.capability(syntax.Capability{}, either(i.Access, outer))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func either(inner, outer string) string {
	if inner == "" {
		return outer
	}
	return inner
}

func (a *armor) capability(c syntax.Capability, access string) {
	names, every := &a.caps, &a.allCaps
	if access == "deny" {
		names, every = &a.denied, &a.denyCaps
	}
	*every = *every || len(c.Names) == 0
	for _, n := range c.Names {
		*names = append(*names, "CAP_"+strings.ToUpper(n))
	}
}

// capabilities are those that are allowed in the end.
func (a *armor) capabilities() []string {
	var out []string
	for _, name := range abi.Capabilities() {
		allowed := a.allCaps || slices.Contains(a.caps, name)
		if allowed && !a.denyCaps && !slices.Contains(a.denied, name) {
			out = append(out, name)
		}
	}
	return out
}

// ownPeer is the condition that the other side is confined alike. Each profile
// spells it with its own name.
const ownPeer = "peer=the profile's own"

func (a *armor) add(access string, s statement) {
	if access == "deny" {
		a.deny = append(a.deny, s)
	} else {
		a.allow = append(a.allow, s)
	}
}

func statementOf(r syntax.Rule) statement {
	out := statement{kind: r.Kind, access: slices.Clone(r.Access), words: r.Words, object: r.Object, target: r.Target}
	for i, word := range out.access {
		out.access[i] = strings.Trim(word, ",")
	}
	slices.Sort(out.access)
	for _, c := range r.Conds {
		out.conds = append(out.conds, condition(c))
	}
	slices.Sort(out.conds)
	return out
}

func condition(c syntax.Condition) string {
	words := slices.Sorted(slices.Values(c.Values))
	for _, inner := range c.Conds {
		words = append(words, condition(inner))
	}
	sep := "="
	if c.In {
		sep = " in "
	}
	return c.Key + sep + strings.Join(words, ",")
}

// String is the statement for people.
func (s statement) String() string {
	parts := []string{s.kind}
	if len(s.access) > 0 {
		parts = append(parts, "("+strings.Join(s.access, ", ")+")")
	}
	parts = append(parts, s.words...)
	parts = append(parts, s.conds...)
	if s.object != "" {
		parts = append(parts, s.object)
	}
	if s.target != "" {
		parts = append(parts, "-> "+s.target)
	}
	return strings.Join(parts, " ")
}

// covers reports whether s is about everything that o is about.
func (s statement) covers(o statement) bool {
	within := func(all, of []string) bool { // none is every one
		if len(all) == 0 {
			return true
		}
		return len(of) > 0 && !slices.ContainsFunc(of, func(x string) bool { return !slices.Contains(all, x) })
	}
	conds := !slices.ContainsFunc(s.conds, func(c string) bool { return !slices.Contains(o.conds, c) })
	words := len(s.words) <= len(o.words) && slices.Equal(s.words, o.words[:len(s.words)])
	return s.kind == "all" || s.kind == o.kind && within(s.access, o.access) && words && conds &&
		(s.object == "" || s.object == o.object) && (s.target == "" || s.target == o.target)
}

// left returns what of all no statement of others covers, alone or, for lists of
// accesses, one access at a time.
func left(all, others []statement) []statement {
	covered := func(s statement) bool {
		return slices.ContainsFunc(others, func(o statement) bool { return o.covers(s) })
	}
	var out []statement
	for _, s := range all {
		if covered(s) {
			continue
		}
		if len(s.access) < 2 {
			out = append(out, s)
			continue
		}
		for _, one := range s.access {
			single := s
			single.access = []string{one}
			if !covered(single) {
				out = append(out, single)
			}
		}
	}
	return out
}

// suffered are accesses of others to who is confined: they give that nothing, and
// the others take rules of their own.
var suffered = map[string][]string{"signal": {"receive"}, "ptrace": {"readby", "tracedby"}}

// isSuffered reports whether a statement is about nothing but such accesses.
func (s statement) isSuffered() bool {
	return len(s.access) > 0 && !slices.ContainsFunc(s.access, func(a string) bool { return !slices.Contains(suffered[s.kind], a) })
}

func allowed(a, b []statement) []Change {
	var out []Change
	change := func(s statement, verdict seccomp.Verdict, from, to string) {
		if s.isSuffered() {
			verdict = seccomp.Changed
		}
		out = append(out, Change{Subject: s.String(), Verdict: verdict, From: from, To: to})
	}
	for _, s := range left(b, a) {
		change(s, seccomp.Widened, "refused", "allowed")
	}
	for _, s := range left(a, b) {
		change(s, seccomp.Narrowed, "allowed", "refused")
	}
	return out
}

// refused compares what is denied. It makes a difference only where something of
// the kind is allowed: before, of what is newly denied; after, of what no longer is.
func refused(before, after *armor) []Change {
	var out []Change
	for _, s := range left(before.deny, after.deny) {
		if after.allowsKind(s.kind) {
			out = append(out, Change{Subject: "deny " + s.String(), Verdict: seccomp.Widened, From: "denied", To: "no longer denied"})
		}
	}
	for _, s := range left(after.deny, before.deny) {
		if before.allowsKind(s.kind) {
			out = append(out, Change{Subject: "deny " + s.String(), Verdict: seccomp.Narrowed, From: "not denied", To: "denied"})
		}
	}
	return out
}

func (a *armor) allowsKind(kind string) bool {
	return slices.ContainsFunc(a.allow, func(s statement) bool { return s.kind == kind || s.kind == "all" || kind == "all" })
}

// includes compares what was not there to be read, which can only allow more.
func includes(a, b []string) []Change {
	var out []Change
	for _, c := range sets(a, b) {
		c.Subject = "include " + c.Subject
		c.From, c.To = "not included", "included"
		if c.Verdict == seccomp.Narrowed {
			c.From, c.To = c.To, c.From
		}
		out = append(out, c)
	}
	return out
}

// files compares what is allowed of files.
func (r *reporter) files(a, b *armor) {
	c := access.Compare(a.files, b.files)
	if !c.Exact {
		r.note("files: there is too much to compare all; the %d shortest ways through both sets of patterns were", c.States)
	}
	var out []Change
	for _, side := range []struct {
		differences []access.Difference
		change      Change
	}{
		{c.More, Change{Verdict: seccomp.Widened, From: "refused", To: "allowed"}},
		{c.Less, Change{Verdict: seccomp.Narrowed, From: "allowed", To: "refused"}},
	} {
		for _, d := range side.differences {
			change := side.change
			change.Subject = d.Perms
			if d.Owner {
				change.Subject += ", of own files"
			}
			change.Example = fmt.Sprintf("%q", d.Path)
			if d.Path == "" {
				change.Example = "any file"
			}
			out = append(out, change)
		}
	}
	r.axis(Files, out)
}

// modes compares whether the profiles refuse anything at all.
func modes(a, b *armor) []Change {
	mode := func(x *armor) (int, string) {
		for rank, flag := range []string{"unconfined", "default_allow", "complain"} {
			if slices.Contains(x.flags, flag) {
				return 3 - rank, flag
			}
		}
		return 0, "enforce"
	}
	rankA, wordA := mode(a)
	rankB, wordB := mode(b)
	if rankA == rankB {
		return nil
	}
	return []Change{{Subject: "mode", Verdict: seccomp.VerdictOf(rankB > rankA, rankB < rankA), From: wordA, To: wordB}}
}
