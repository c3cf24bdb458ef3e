package apparmor

import (
	"slices"
	"strings"
)

// Profile is an AppArmor profile as a tree. Rules come in groups, which keep
// their order; rules within a group are a set, printed sorted.
type Profile struct {
	Tool      string    // who wrote it, for the header
	Subjects  []Subject // what it is for, for the header; a set
	Name      string
	ABI       ABI
	Flags     []string // as written: attach_disconnected
	Variables []Variable
	Groups    []Group
	Confined  bool // files are, for the header
}

// Variable defines a variable in a profile's preamble.
type Variable struct {
	Name  string // without its sign: PROC for @{PROC}
	Value string
}

// Group is rules that belong together, under a comment.
type Group struct {
	Comment string // one line; "" for none
	Rules   []Rule
}

// Rule is one rule of a profile. The set of kinds is closed.
//
// Strings in rules are AppArmor text and written as they are: whoever makes a
// rule from foreign text escapes it first, as [QuotePath] does.
type Rule interface {
	// fields returns the rule's parts in order, without the comma at its end.
	// They are what gets aligned.
	fields() []string
}

// Capability allows one capability.
type Capability struct {
	Name string // as AppArmor spells it: net_admin
}

// Network allows sockets of a family and type.
type Network struct {
	Family string // inet
	Type   string // stream; "" for all
}

// Signal allows signals to or from processes under another profile.
type Signal struct {
	Access string   // send, receive, or both with a comma and a space between
	Set    []string // names of signals; none for all
	Peer   string   // a pattern for profile names
}

// Ptrace allows tracing, or being traced by, processes under another profile.
type Ptrace struct {
	Access string // trace, read, tracedby, readby
	Peer   string // a pattern for profile names
}

// Mount allows mounting: anything anywhere, but for what is said. Paths are
// patterns, quoted where that is needed.
type Mount struct {
	FSType         string
	Options        []string // all of them, and no others; none for any
	Source, Target string   // "" for any
}

// Umount allows unmounting what is at Target, a pattern; "" for anything.
type Umount struct {
	Target string
}

// PivotRoot allows to make New the root and to put the old one at Old; patterns.
type PivotRoot struct {
	Old, New string
}

// File allows access to files.
type File struct {
	Path   string // a pattern, quoted where that is needed; "" for every file and all access
	Access string // permission letters: rw
	Owner  bool   // only to who owns the file
}

// Link allows to make a hard link.
type Link struct {
	Path, Target string // patterns, quoted where that is needed
}

// Deny refuses what Rule would allow, silently, whatever other rules allow and
// even in complain mode.
type Deny struct {
	Rule Rule
}

// Include reads further rules from a file of the host, if there is one.
type Include struct {
	Path string // below /etc/apparmor.d
}

func (r Capability) fields() []string { return []string{"capability", r.Name} }

func (r Network) fields() []string { return nonEmpty("network", r.Family, r.Type) }

func (r Signal) fields() []string {
	access := "(" + r.Access + ")"
	if len(r.Set) > 0 {
		access += " set=(" + strings.Join(r.Set, ", ") + ")"
	}
	return []string{"signal", access, "peer=" + r.Peer}
}

func (r Ptrace) fields() []string { return []string{"ptrace", "(" + r.Access + ")", "peer=" + r.Peer} }

func (r Mount) fields() []string {
	verb, arrow := "mount", "->"
	if slices.Contains(r.Options, "remount") {
		verb, arrow = "remount", "" // neither source nor type, whatever the call gave
		r.FSType, r.Source = "", ""
	}
	out := []string{verb}
	if r.FSType != "" {
		out = append(out, "fstype="+r.FSType)
	}
	if options := slices.DeleteFunc(slices.Clone(r.Options), func(o string) bool { return o == "remount" }); len(options) > 0 {
		out = append(out, "options=("+strings.Join(options, ", ")+")")
	}
	if r.Target == "" {
		return append(out, nonEmpty(r.Source)...)
	}
	return append(out, nonEmpty(r.Source, arrow, r.Target)...)
}

func (r Umount) fields() []string { return nonEmpty("umount", r.Target) }

func (r PivotRoot) fields() []string {
	if r.Old == "" {
		return nonEmpty("pivot_root", r.New)
	}
	return nonEmpty("pivot_root", "oldroot="+r.Old, r.New)
}

func (r File) fields() []string {
	if r.Path == "" {
		return []string{"file"}
	}
	if r.Owner {
		return []string{"owner " + r.Path, r.Access}
	}
	return []string{r.Path, r.Access}
}

func (r Link) fields() []string { return []string{"link " + r.Path, "->", r.Target} }

func (r Deny) fields() []string { return append([]string{"deny"}, r.Rule.fields()...) }

func (r Include) fields() []string { return []string{"include if exists <" + r.Path + ">"} }

func nonEmpty(fields ...string) []string {
	var out []string
	for _, f := range fields {
		if f != "" {
			out = append(out, f)
		}
	}
	return out
}
