package main

import (
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/gen/policy"
)

// fileAnswer is all there is to say of one file.
type fileAnswer struct {
	Path      string            `json:"path"`
	Allowed   string            `json:"allowed"` // permissions, as apparmor.d(5) has them
	Confined  bool              `json:"confined"`
	Rules     []string          `json:"rules"` // of which it is one of the names
	Decisions []policy.Decision `json:"decisions"`
	Observed  []fileUse         `json:"observed"` // each use once, with all its phases
	Sources   []evidence.Source `json:"sources"`
	Gaps      []evidence.Gap    `json:"gaps"` // because of which more may have been used
}

// fileUse is a use of a file without its phase.
type fileUse struct {
	Perms  string            `json:"perms"`
	Kind   evidence.FileKind `json:"kind,omitempty"`
	Owner  bool              `json:"owner,omitempty"`
	Origin evidence.Origin   `json:"origin,omitempty"`
	Errno  string            `json:"errno,omitempty"`
	Basis  evidence.Basis    `json:"basis"`
	Phases []evidence.Phase  `json:"phases"`
}

// explainFile gathers what set and p say of a file. Its name is the one that the
// kernel has, in which nothing is a symbolic link: no image is looked at.
func explainFile(name string, set evidence.Set, p policy.Policy) fileAnswer {
	name = path.Clean(name)
	a := fileAnswer{
		Path: name, Confined: p.Files.Confined, Sources: set.Sources, Rules: []string{}, Decisions: []policy.Decision{},
		Observed: []fileUse{}, Gaps: []evidence.Gap{}, // none is [] in JSON
	}
	for _, r := range p.Files.Rules {
		if r.Name.Matches(name) || r.Name.Matches(name+"/") {
			a.Allowed = policy.Union(a.Allowed, r.Perms)
			a.Rules = append(a.Rules, r.String())
		}
	}
	subject, decided := evidence.Path(name).String(), false
	for _, d := range p.Decisions {
		if d.Subject == subject || d.Subject == "privileges of "+subject {
			decided = decided || d.Subject == subject
			a.Decisions = append(a.Decisions, d)
		}
	}
	for _, f := range set.Facts {
		if f, ok := f.(evidence.FileAccess); ok && string(f.Path) == name {
			a.add(f)
		}
	}
	for _, g := range set.Gaps {
		if g.Kind == evidence.UnseenFiles || g.Kind == evidence.Hidden || g.Incomplete() {
			a.Gaps = append(a.Gaps, g)
		}
	}
	if !decided {
		a.Decisions = append(a.Decisions, a.undecided())
	}
	return a
}

// undecided is what there is to say of a file that the evidence has not.
func (a fileAnswer) undecided() policy.Decision {
	d := policy.Decision{Subject: evidence.Path(a.Path).String(), Allowed: !a.Confined || a.Allowed != ""}
	switch {
	case !a.Confined:
		d.Reason = "files are not confined: not all that the workload uses are known"
	case a.Allowed != "":
		d.Reason = "a name of the same form was used"
	default:
		d.Reason = "the workload was not seen to use it, by this name: symbolic links in it are resolved first"
	}
	return d
}

func (a *fileAnswer) add(f evidence.FileAccess) {
	u := fileUse{Perms: f.Perms, Kind: f.Kind, Owner: f.Owner, Origin: f.Origin, Errno: f.Errno, Basis: f.Basis}
	same := func(o fileUse) bool {
		o.Phases = nil
		return fmt.Sprint(o) == fmt.Sprint(u)
	}
	i := slices.IndexFunc(a.Observed, same)
	if i < 0 {
		i, a.Observed = len(a.Observed), append(a.Observed, u)
	}
	a.Observed[i].Phases = append(a.Observed[i].Phases, f.Phase)
}

// print writes the answer for people.
func (a fileAnswer) print(w io.Writer) {
	verdict := "not allowed: AppArmor answers EACCES"
	switch {
	case !a.Confined:
		verdict = "allowed, as far as docker-default allows it"
	case a.Allowed != "":
		verdict = "allowed " + a.Allowed
	}
	fmt.Fprintf(w, "%s: %s\n", evidence.Path(a.Path), verdict)
	for _, d := range a.Decisions {
		verb := "refused"
		if d.Allowed {
			verb = "allowed"
		}
		fmt.Fprintf(w, "  %s  %s\n", verb, d.Reason)
	}
	for _, r := range a.Rules {
		fmt.Fprintf(w, "  rule     %s\n", r)
	}
	if len(a.Observed) > 0 {
		fmt.Fprintln(w, "observed")
		for _, u := range a.Observed {
			fmt.Fprintf(w, "  %s\n", u)
		}
		answer{Sources: a.Sources}.printSources(w, func(s evidence.Source) bool { return s.Tool != scanTool })
	}
	for i, g := range a.Gaps {
		if i == 0 {
			fmt.Fprintln(w, "what could not be seen")
		}
		fmt.Fprintf(w, "  %s: %s\n", g.Kind, g)
	}
}

// String is a use in words.
func (u fileUse) String() string {
	words := []string{u.Perms, joined(u.Phases), string(u.Kind)}
	origin := map[evidence.Origin]string{
		evidence.FromImage: "of the image", evidence.FromMount: "on a mount", evidence.FromItself: "made by the workload",
	}[u.Origin]
	for _, word := range []struct {
		holds bool
		text  string
	}{{origin != "", origin}, {u.Owner, "by its owner"}, {u.Errno != "", "came to nothing: " + u.Errno}} {
		if word.holds {
			words = append(words, word.text)
		}
	}
	return strings.Join(slices.DeleteFunc(words, func(s string) bool { return s == "" }), "  ")
}
