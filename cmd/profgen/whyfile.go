package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/profgen/profgen/gen"
	"github.com/profgen/profgen/gen/apparmor/access"
	"github.com/profgen/profgen/gen/apparmor/syntax"
	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/gen/policy"
)

// fileAnswer is all there is to say of one file.
type fileAnswer struct {
	Path      string            `json:"path"`
	Allowed   string            `json:"allowed"` // AppArmor's letters, for files of any owner; "" for nothing
	Owned     string            `json:"owned"`   // for files that are the process's own
	Rules     []string          `json:"rules"`   // of the AppArmor profile that match it
	Decisions []policy.Decision `json:"decisions"`
	Used      []fileUse         `json:"used"`
	Sources   []evidence.Source `json:"sources"`
}

// fileUse is a use of the file, with the phases in which it was.
type fileUse struct {
	Perms  string           `json:"perms"`
	Errno  string           `json:"errno,omitempty"` // why it came to nothing
	Basis  evidence.Basis   `json:"basis"`
	Phases []evidence.Phase `json:"phases"`
}

// explainFile gathers what evidence and the profile made of it say of a file.
func explainFile(path string, set evidence.Set, b gen.Bundle) (fileAnswer, error) {
	a := fileAnswer{Path: path, Rules: []string{}, Decisions: []policy.Decision{}, Used: []fileUse{}, Sources: set.Sources}
	i := slices.IndexFunc(b.Files, func(f gen.File) bool { return f.Name == gen.AppArmorFile })
	file, err := syntax.Parse(b.Files[i].Bytes)
	if err != nil {
		return fileAnswer{}, err
	}
	p, err := access.Compile(file, "", nil)
	if err != nil {
		return fileAnswer{}, err
	}
	a.Allowed, a.Owned = p.Permissions(path, false).String(), p.Permissions(path, true).String()
	for _, n := range file.Body.Nodes {
		if prof, ok := n.Item.(syntax.Profile); ok {
			a.Rules = append(a.Rules, matching(file, prof, path)...)
		}
	}
	for _, d := range b.Policy.Decisions {
		if d.Subject == path || strings.HasPrefix(d.Subject, path+" ") || strings.HasSuffix(d.Subject, " "+path) {
			a.Decisions = append(a.Decisions, d)
		}
	}
	for _, f := range set.Facts {
		switch f := f.(type) {
		case evidence.FileAccess:
			if string(f.Path) == path {
				a.use(fileUse{f.Perms, f.Errno, f.Basis, nil}, f.Phase)
			}
		case evidence.Executed:
			if string(f.Path) == path {
				a.use(fileUse{"x", "", f.Basis, nil}, f.Phase)
			}
		}
	}
	return a, nil
}

func (a *fileAnswer) use(u fileUse, p evidence.Phase) {
	i := slices.IndexFunc(a.Used, func(o fileUse) bool { return o.Perms == u.Perms && o.Errno == u.Errno && o.Basis == u.Basis })
	if i < 0 {
		i, a.Used = len(a.Used), append(a.Used, u)
	}
	if !slices.Contains(a.Used[i].Phases, p) {
		a.Used[i].Phases = append(a.Used[i].Phases, p)
	}
}

// matching returns the file rules of a profile that are about the path, as they
// are written: each is asked alone.
func matching(f syntax.File, p syntax.Profile, path string) []string {
	var out []string
	for _, n := range p.Body.Nodes {
		rule, ok := n.Item.(syntax.FileRule)
		if !ok {
			continue
		}
		alone := p
		asked := rule
		asked.Access, asked.Who = "", ""
		alone.Body = syntax.Body{Nodes: []syntax.Node{{Item: asked}}}
		only := syntax.File{}
		for _, n := range f.Body.Nodes {
			if _, isProfile := n.Item.(syntax.Profile); !isProfile {
				only.Body.Nodes = append(only.Body.Nodes, n)
			}
		}
		only.Body.Nodes = append(only.Body.Nodes, syntax.Node{Item: alone})
		c, err := access.Compile(only, "", func(string) (syntax.File, bool, error) { return syntax.File{}, true, nil })
		if err != nil || c.Permissions(path, true) == 0 {
			continue
		}
		out = append(out, ruleText(rule))
	}
	return out
}

// ruleText is a file rule on one line.
func ruleText(r syntax.FileRule) string {
	var words []string
	for _, s := range []string{r.Access, r.Who, r.Mode, r.Path, r.Perms} {
		if s != "" {
			words = append(words, s)
		}
	}
	if r.Path == "" {
		words = append(words, "file")
	}
	return strings.Join(words, " ") + ","
}

func (a fileAnswer) print(w io.Writer) {
	verdict := "not allowed"
	if a.Allowed != "" {
		verdict = "allowed " + a.Allowed
	}
	if a.Owned != a.Allowed {
		verdict += ", and " + a.Owned + " of own files"
	}
	fmt.Fprintf(w, "%s: %s\n", a.Path, verdict)
	for _, r := range a.Rules {
		fmt.Fprintf(w, "  rule  %s\n", r)
	}
	for _, d := range a.Decisions {
		fmt.Fprintf(w, "  %s: %s\n", d.Subject, d.Reason)
	}
	if len(a.Used) == 0 {
		fmt.Fprintln(w, "  nothing shows that it was used by this name")
	}
	for _, u := range a.Used {
		came := ""
		if u.Errno != "" {
			came = ", in vain: " + u.Errno
		}
		fmt.Fprintf(w, "  %s %s  %s%s\n", u.Basis, u.Perms, joined(u.Phases), came)
	}
}
