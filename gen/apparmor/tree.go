package apparmor

import (
	"slices"
	"strings"

	"github.com/profgen/profgen/gen/apparmor/syntax"
)

// Profile is the AppArmor profile of a policy. Rules come in groups, which keep
// their order; rules within a group are a set.
type Profile struct {
	Tool      string    // who wrote it, for the header
	Subjects  []Subject // what it is for, for the header; a set
	Name      string
	ABI       ABI
	Flags     []string // as written: attach_disconnected
	Variables []Variable
	Groups    []Group
	Confined  bool // files are, for the header
	Partial   bool // not all that are used are known, likewise
}

// Variable defines a variable in a profile's preamble.
type Variable struct {
	Name  string // without its sign: PROC for @{PROC}
	Value string
}

// Group is rules that belong together, under a comment.
//
// Strings in rules are AppArmor text and written as they are: whoever makes a
// rule from foreign text escapes it first, as [QuotePath] does.
type Group struct {
	Comment string // one line; "" for none
	Rules   []syntax.Item
}

// denied refuses, silently, whatever other rules allow and even in complain mode.
var denied = syntax.Qualifiers{Access: "deny"}

// capability allows one, as AppArmor spells it: net_admin.
func capability(name string) syntax.Item { return syntax.Capability{Names: []string{name}} }

// network allows sockets of a family and type; "" for all.
func network(q syntax.Qualifiers, family, kind string) syntax.Item {
	return syntax.Rule{Qualifiers: q, Kind: "network", Words: strings.Fields(family + " " + kind)}
}

// with allows signals or tracing, to or from processes under another profile: peer
// is a pattern for its name.
func with(kind, access, peer string, conds ...syntax.Condition) syntax.Item {
	return syntax.Rule{
		Kind: kind, Access: strings.Fields(access),
		Conds: append(conds, syntax.Condition{Key: "peer", Values: []string{peer}}),
	}
}

// mount allows mounting source at target, both patterns, with all of the options
// and no others; what is "" or none is any.
func mount(fstype string, options []string, source, target string) syntax.Item {
	r := syntax.Rule{Kind: "mount", Object: source, Target: target}
	if slices.Contains(options, "remount") {
		// Neither source nor type, whatever the call gave.
		r, fstype = syntax.Rule{Kind: "remount", Object: target}, ""
	}
	if fstype != "" {
		r.Conds = append(r.Conds, syntax.Condition{Key: "fstype", Values: []string{fstype}})
	}
	if rest := slices.DeleteFunc(slices.Clone(options), func(o string) bool { return o == "remount" }); len(rest) > 0 {
		r.Conds = append(r.Conds, syntax.Condition{Key: "options", Values: rest})
	}
	return r
}

// umount allows unmounting what is at a pattern; "" for anything.
func umount(target string) syntax.Item { return syntax.Rule{Kind: "umount", Object: target} }

// pivotRoot allows to make newRoot the root and to put the old one at oldRoot; patterns.
func pivotRoot(oldRoot, newRoot string) syntax.Item {
	r := syntax.Rule{Kind: "pivot_root", Object: newRoot}
	if oldRoot != "" {
		r.Conds = []syntax.Condition{{Key: "oldroot", Values: []string{oldRoot}}}
	}
	return r
}

// file allows access to files of a pattern.
func file(q syntax.Qualifiers, path, perms string) syntax.Item {
	return syntax.FileRule{Qualifiers: q, Path: path, Perms: perms}
}
