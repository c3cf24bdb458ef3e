// Package access asks a profile what the kernel would ask it: whether a process
// under it may use a file.
//
// In go a file of policy as package syntax reads it, out come answers. The
// invariant, held by comparison with what apparmor_parser compiles: the answer
// is the kernel's. It does not answer for capabilities, sockets, signals and the
// like, nor for child profiles.
package access

import (
	"fmt"
	"slices"
	"strings"

	"github.com/profgen/profgen/gen/apparmor/aare"
	"github.com/profgen/profgen/gen/apparmor/syntax"
)

// Perms is a set of permissions of files.
type Perms uint8

// The permissions: apparmor.d(5), "Access Modes".
const (
	Read Perms = 1 << iota
	Write
	Append
	Exec
	Link
	Lock
	Map
)

// all is what a bare file rule allows.
const all = Read | Write | Append | Exec | Link | Lock | Map

// letters gives each permission its letter.
const letters = "rwaxlkm"

// ParsePerms reads permission letters; what says how to exec counts as x. To
// write is to append as well, and to run something under the same profile (ix)
// is to map it.
func ParsePerms(s string) Perms {
	var out Perms
	for _, c := range s {
		switch i := strings.IndexRune(letters, c); {
		case i >= 0:
			out |= 1 << i
		case strings.ContainsRune("pPcCuUi", c):
			out |= Exec
		}
	}
	if out&Write != 0 {
		out |= Append
	}
	if strings.Contains(s, "ix") {
		out |= Map
	}
	return out
}

// String writes the letters.
func (p Perms) String() string {
	var b strings.Builder
	for i, c := range letters {
		if p&(1<<i) != 0 {
			b.WriteRune(c)
		}
	}
	return b.String()
}

// Profile answers for one profile.
type Profile struct {
	rules []rule
}

// rule is a file rule, compiled.
type rule struct {
	pattern aare.Pattern
	every   bool // all files, whatever they are called
	target  *aare.Pattern
	perms   Perms
	deny    bool
	owner   bool
	leaves  Perms // for comparisons: whether exec leads out of the profile
}

// Includes finds the file that an include names: <abstractions/base>, or a
// quoted or absolute path. found is false if there is none.
type Includes func(path string) (f syntax.File, found bool, err error)

// maxRules bounds a profile with all that it includes, and its variables.
const maxRules = 100_000

// Compile prepares the profile called name; "" is the only one of the file.
// includes may be nil: then an include that must exist is an error.
func Compile(f syntax.File, name string, includes Includes) (*Profile, error) {
	c := &compiler{includes: includes, variables: map[string][]string{}, out: &Profile{}}
	profiles, err := c.preamble(f.Body, 0)
	if err != nil {
		return nil, err
	}
	var found []syntax.Profile
	for _, p := range profiles {
		if name == "" || aare.Unquote(p.Name) == name {
			found = append(found, p)
		}
	}
	if len(found) != 1 {
		return nil, fmt.Errorf("profile %q: %d of that name in the file, want one", name, len(found))
	}
	if err := c.body(found[0].Body, syntax.Qualifiers{}, 0); err != nil {
		return nil, fmt.Errorf("profile %s: %w", found[0].Name, err)
	}
	return c.out, nil
}

// Allows reports whether a process may use the file called path, which is not
// a link's name, with all of perms. owner says that the file is the process's
// own.
func (p *Profile) Allows(path string, perms Perms, owner bool) bool {
	return p.permissions(path, owner, nil)&perms == perms
}

// AllowsLink reports whether a process may make a hard link called name to
// target.
func (p *Profile) AllowsLink(name, target string, owner bool) bool {
	return p.permissions(name, owner, &target)&Link != 0
}

func (p *Profile) permissions(path string, owner bool, target *string) Perms {
	var allow, deny Perms
	for _, r := range p.rules {
		if r.owner && !owner || !r.every && !r.pattern.Match(path) {
			continue
		}
		perms := r.perms
		if r.target != nil && (target == nil || !r.target.Match(*target)) {
			perms &^= Link
		}
		if r.deny {
			deny |= perms
		} else {
			allow |= perms
		}
	}
	return allow &^ deny
}

// compiler collects the rules of a profile.
type compiler struct {
	includes  Includes
	variables map[string][]string
	out       *Profile
}

// maxIncludes bounds how deep includes nest.
const maxIncludes = 32

// preamble reads variables, and finds the profiles.
func (c *compiler) preamble(b syntax.Body, depth int) ([]syntax.Profile, error) {
	var out []syntax.Profile
	for _, n := range b.Nodes {
		switch i := n.Item.(type) {
		case syntax.Assign:
			c.assign(i)
		case syntax.Profile:
			out = append(out, i)
		case syntax.Include:
			inner, err := c.include(i, depth)
			if err != nil {
				return nil, err
			}
			more, err := c.preamble(inner, depth+1)
			if err != nil {
				return nil, err
			}
			out = append(out, more...)
		case syntax.Alias:
			return nil, fmt.Errorf("alias %s: not understood here", i.From)
		}
	}
	return out, nil
}

func (c *compiler) assign(a syntax.Assign) {
	values := a.Values
	if a.Add {
		values = slices.Concat(c.variables[a.Name], values)
	}
	c.variables[a.Name] = values
}

func (c *compiler) include(i syntax.Include, depth int) (syntax.Body, error) {
	if depth > maxIncludes {
		return syntax.Body{}, fmt.Errorf("include %s: includes nest too deep", i.Path)
	}
	if c.includes == nil {
		if i.IfExists {
			return syntax.Body{}, nil
		}
		return syntax.Body{}, fmt.Errorf("include %s: not there", i.Path)
	}
	f, found, err := c.includes(i.Path)
	switch {
	case err != nil:
		return syntax.Body{}, fmt.Errorf("include %s: %w", i.Path, err)
	case !found && !i.IfExists:
		return syntax.Body{}, fmt.Errorf("include %s: not there", i.Path)
	}
	return f.Body, nil
}

// body takes in the rules of a profile, or of what it includes.
func (c *compiler) body(b syntax.Body, outer syntax.Qualifiers, depth int) error {
	for _, n := range b.Nodes {
		var err error
		switch i := n.Item.(type) {
		case syntax.FileRule:
			err = c.file(i, outer)
		case syntax.Link:
			err = c.link(i, outer)
		case syntax.Block:
			err = c.body(i.Body, with(outer, i.Qualifiers), depth)
		case syntax.Include:
			var inner syntax.Body
			if inner, err = c.include(i, depth); err == nil {
				err = c.body(inner, outer, depth+1)
			}
		case syntax.If:
			err = fmt.Errorf("if %s: not understood here", i.Condition)
		case syntax.All:
			c.out.rules = append(c.out.rules, rule{every: true, perms: all, deny: i.Access == "deny"})
		}
		if err != nil {
			return err
		}
		if len(c.out.rules) > maxRules {
			return fmt.Errorf("more than %d rules", maxRules)
		}
	}
	return nil
}

// with are the qualifiers of a rule in a block of others.
func with(outer, q syntax.Qualifiers) syntax.Qualifiers {
	if q.Access == "" {
		q.Access = outer.Access
	}
	if q.Who == "" {
		q.Who = outer.Who
	}
	return q
}

func (c *compiler) file(f syntax.FileRule, outer syntax.Qualifiers) error {
	q := with(outer, f.Qualifiers)
	r := rule{perms: ParsePerms(f.Perms), deny: q.Access == "deny", owner: q.Who == "owner", leaves: leaves(f.Perms)}
	if f.Path == "" {
		r.every, r.perms = true, all
		c.out.rules = append(c.out.rules, r)
		return nil
	}
	return c.add(r, f.Path, "")
}

func (c *compiler) link(l syntax.Link, outer syntax.Qualifiers) error {
	q := with(outer, l.Qualifiers)
	return c.add(rule{perms: Link, deny: q.Access == "deny", owner: q.Who == "owner"}, l.Name, l.Target)
}

// add adds a rule for each text that its path stands for.
func (c *compiler) add(r rule, path, target string) error {
	paths, err := c.expand(path)
	if err != nil {
		return err
	}
	targets := []string{""}
	if target != "" {
		if targets, err = c.expand(target); err != nil {
			return err
		}
	}
	for _, p := range paths {
		if r.pattern, err = aare.Compile(p); err != nil {
			return err
		}
		for _, t := range targets {
			if target != "" {
				compiled, err := aare.Compile(t)
				if err != nil {
					return err
				}
				r.target = &compiled
			}
			c.out.rules = append(c.out.rules, r)
		}
	}
	return nil
}

// maxExpanded bounds how many paths one path with variables stands for.
const maxExpanded = 4096

// expand replaces variables, each by each of its values.
func (c *compiler) expand(word string) ([]string, error) {
	todo, out := []string{aare.Unquote(word)}, []string(nil)
	for len(todo) > 0 {
		text := todo[0]
		todo = todo[1:]
		start, end := variable(text)
		if start < 0 {
			out = append(out, text)
			continue
		}
		values, ok := c.variables[text[start:end]]
		if !ok {
			return nil, fmt.Errorf("%s: variable %s is not declared", word, text[start:end])
		}
		for _, v := range values {
			todo = append(todo, text[:start]+aare.Unquote(v)+text[end:])
		}
		if len(todo)+len(out) > maxExpanded || len(text) > 4*maxExpanded {
			return nil, fmt.Errorf("%s: stands for too many paths", word)
		}
	}
	return out, nil
}

// variable finds @{NAME}; start is -1 if there is none.
func variable(text string) (start, end int) {
	for i := 0; i+1 < len(text); i++ {
		switch {
		case text[i] == '\\':
			i++
		case text[i] == '@' && text[i+1] == '{':
			if n := strings.IndexByte(text[i:], '}'); n > 0 {
				return i, i + n + 1
			}
		}
	}
	return -1, -1
}
