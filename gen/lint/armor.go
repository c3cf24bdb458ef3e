package lint

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/profgen/profgen/gen/apparmor/aare"
	"github.com/profgen/profgen/gen/apparmor/access"
	"github.com/profgen/profgen/gen/apparmor/syntax"
	"github.com/profgen/profgen/gen/findings"
)

// reviewAppArmor looks at each profile of the file.
func (l *linter) reviewAppArmor() error {
	for _, n := range l.in.AppArmor.Body.Nodes {
		p, ok := n.Item.(syntax.Profile)
		if !ok {
			continue
		}
		a := &armorLinter{linter: l, profile: p, line: n.Line}
		a.collect(p.Body, syntax.Qualifiers{}, 0)
		a.flags()
		a.name()
		a.statements()
		if err := a.files(); err != nil {
			return fmt.Errorf("%s: %w", l.in.AppArmorName, err)
		}
	}
	return nil
}

// armorLinter looks at one AppArmor profile.
type armorLinter struct {
	*linter
	profile syntax.Profile
	line    int      // of the profile
	allowed []placed // rules that allow, blocks opened
	denied  []placed
	follows bool // it includes what is not looked at
}

// placed is a rule, and its line.
type placed struct {
	syntax.Item
	line int
}

// addArmor adds a finding about what begins on that line.
func (a *armorLinter) addArmor(line int, r findings.Rule, format string, args ...any) {
	at := findings.Location{File: a.in.AppArmorName, Line: line, In: "profile " + aare.Unquote(a.profile.Name)}
	a.found = append(a.found, r.Of(at, format, args...))
}

// maxNested bounds blocks within blocks.
const maxNested = 32

// collect opens the blocks of a body.
func (a *armorLinter) collect(b syntax.Body, outer syntax.Qualifiers, depth int) {
	if depth > maxNested {
		return
	}
	for _, n := range b.Nodes {
		add := func(q syntax.Qualifiers, i syntax.Item) {
			into := &a.allowed
			if q.Access == "deny" || q.Access == "" && outer.Access == "deny" {
				into = &a.denied
			}
			*into = append(*into, placed{i, n.Line})
		}
		switch i := n.Item.(type) {
		case syntax.Block:
			a.collect(i.Body, i.Qualifiers, depth+1)
		case syntax.Include:
			a.follows = a.follows || !i.IfExists
		case syntax.Capability:
			add(i.Qualifiers, i)
		case syntax.Rule:
			add(i.Qualifiers, i)
		case syntax.ChangeProfile:
			add(i.Qualifiers, i)
		case syntax.FileRule:
			add(i.Qualifiers, i)
		case syntax.All:
			add(i.Qualifiers, i)
		}
	}
}

func (a *armorLinter) flags() {
	has := func(flag string) bool { return slices.Contains(a.profile.Flags, flag) }
	switch {
	case has("unconfined"), has("default_allow"):
		a.addArmor(a.line, armorUnconfined, "flags %s", strings.Join(a.profile.Flags, ", "))
	case has("complain"):
		a.addArmor(a.line, armorComplain, "flag complain")
		if len(a.denied) > 0 {
			a.addArmor(a.line, complainDeny, "%d deny rules in complain mode", len(a.denied))
		}
	}
	if !has("attach_disconnected") {
		a.addArmor(a.line, armorDisconnect, "flag attach_disconnected is missing")
	}
}

var goodName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9._-]*$`)

func (a *armorLinter) name() {
	if name := aare.Unquote(a.profile.Name); !goodName.MatchString(name) {
		a.addArmor(a.line, armorName, "the name %q", name)
	}
}

// statements looks at what is not about files.
func (a *armorLinter) statements() {
	signals := a.follows
	for _, p := range a.allowed {
		switch i := p.Item.(type) {
		case syntax.All:
			a.addArmor(p.line, armorUnconfined, "the rule all")
			signals = true
		case syntax.Capability:
			for _, name := range i.Names {
				if why, ok := powerful["CAP_"+strings.ToUpper(name)]; ok {
					a.addArmor(p.line, armorCapability, "capability %s: %s", name, why)
				}
			}
		case syntax.ChangeProfile:
			if target := aare.Unquote(i.Target); target == "" || strings.Contains(target, "*") || target == "unconfined" {
				a.addArmor(p.line, armorChange, "change_profile to %s", orAny(target))
			}
		case syntax.Rule:
			signals = signals || a.receives(i)
			a.rule(i, p.line)
		}
	}
	if !signals {
		a.addArmor(a.line, armorSignal, "no rule lets signals of the runtime in")
	}
}

func orAny(s string) string {
	if s == "" {
		return "any"
	}
	return s
}

// receives reports whether the rule lets signals of unconfined processes in.
func (a *armorLinter) receives(r syntax.Rule) bool {
	if r.Kind != "signal" || len(r.Access) > 0 && !slices.ContainsFunc(r.Access, func(w string) bool {
		return strings.Contains(w, "receive") || strings.Trim(w, ",") == "r" || strings.Trim(w, ",") == "rw"
	}) {
		return false
	}
	for _, c := range r.Conds {
		if c.Key == "peer" {
			return slices.ContainsFunc(c.Values, func(v string) bool {
				p, err := aare.Compile(aare.Unquote(v))
				return err == nil && p.Match("unconfined") || strings.Contains(v, "@{")
			})
		}
	}
	return true
}

func (a *armorLinter) rule(r syntax.Rule, line int) {
	denied := func(kind string) bool {
		return slices.ContainsFunc(a.denied, func(i placed) bool {
			d, ok := i.Item.(syntax.Rule)
			return ok && d.Kind == kind && len(d.Conds) == 0 && d.Object == ""
		})
	}
	peer := slices.ContainsFunc(r.Conds, func(c syntax.Condition) bool { return c.Key == "peer" })
	switch {
	case (r.Kind == "mount" || r.Kind == "remount" || r.Kind == "pivot_root") && !denied(r.Kind):
		a.addArmor(line, armorMount, "%s is allowed", r.Kind)
	case r.Kind == "ptrace" && !peer && !denied("ptrace"):
		a.addArmor(line, armorPtrace, "ptrace without a peer")
	}
}

// kernelFiles are paths by which the kernel is changed or read, and the host
// with it, with what docker-default denies of them.
var kernelFiles = []struct{ path, perms string }{
	{"/proc/sysrq-trigger", "w"}, {"/proc/kcore", "r"},
	{"/proc/sys/kernel/core_pattern", "w"}, {"/proc/sys/kernel/modprobe", "w"}, {"/proc/sys/vm/panic_on_oom", "w"},
	{"/proc/sys/fs/binfmt_misc/register", "w"}, {"/sys/kernel/security/apparmor/.load", "w"},
	{"/sys/kernel/uevent_helper", "w"}, {"/sys/firmware/efi/vars/x", "w"},
}

// files looks at what is allowed of files.
func (a *armorLinter) files() error {
	for _, i := range a.allowed {
		f, ok := i.Item.(syntax.FileRule)
		switch {
		case !ok:
		case strings.ContainsAny(f.Perms, "uU"):
			a.addArmor(i.line, armorExec, "%s %s", f.Path, f.Perms)
		case strings.ContainsAny(f.Perms, "pPcC"):
			a.addArmor(i.line, armorTransition, "%s %s", f.Path, f.Perms)
		}
	}
	name := aare.Unquote(a.profile.Name)
	nothing := func(string) (syntax.File, bool, error) { return syntax.File{}, true, nil }
	p, err := access.Compile(*a.in.AppArmor, name, nothing)
	if err != nil {
		return err
	}
	var open []string
	for _, k := range kernelFiles {
		if p.Allows(k.path, access.ParsePerms(k.perms), false) {
			open = append(open, k.path+" "+k.perms)
		}
	}
	if len(open) > 0 {
		a.addArmor(a.line, armorKernel, "%s", strings.Join(open, ", "))
	}
	return nil
}
