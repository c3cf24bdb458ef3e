// Package syntax reads and writes AppArmor policy: whatever profiles,
// abstractions and tunables people already have, as a typed tree and back.
//
// In go the bytes of a file in the language of apparmor.d(5), AppArmor 2.x to
// 4.x, out comes a [File]; [Format] writes it in one canonical form: rules of a
// section in a fixed order, aligned, each once. What a rule says does not
// change: apparmor_parser makes the same policy of both.
//
// The invariant: Parse(Format(f)) = f for every f that Parse returns after
// [File.Canonical]. Patterns and names stay text, as written: they are for
// package aare to read. Includes are not followed.
package syntax

// File is a file of policy.
type File struct {
	Body Body
}

// Body is what stands in a file, or between the braces of a profile.
type Body struct {
	Nodes []Node
	Tail  []string // comment lines after the last node, as [Node.Lead]
}

// Node is a rule, a profile or another item, with the comments that belong to
// it.
type Node struct {
	// Lead are the comment lines before the item, without their #; "\n" stands
	// for an empty line after a comment. Blank says that an empty line, or the
	// beginning of the body, comes before all of them: a section begins here.
	Blank bool
	Lead  []string
	Item  Item
	Trail string // the comment on the item's last line, without its #
	Line  int    // on which the item begins, from 1; 0 where that means nothing
}

// Item is one kind of statement. The set of kinds is closed.
type Item interface{ item() }

// ABI pins the feature set that the file is written against.
type ABI struct{ Path string } // with its brackets or quotes

// Include reads another file in its place.
type Include struct {
	Path     string // with its brackets or quotes: <abstractions/base>
	IfExists bool
}

// Alias makes rules for From hold for To as well.
type Alias struct{ From, To string }

// Assign gives a variable values, or adds some.
type Assign struct {
	Name   string // @{PROC}, or $flag
	Add    bool   // +=
	Values []string
}

// Profile is a profile, a child profile or a hat.
type Profile struct {
	Keyword    string // "profile", "hat", or "" where the name says it: /usr/bin/x, ^hat
	Name       string
	Attachment string
	XAttrs     []string
	Flags      []string
	Body       Body
}

// If is a conditional. Its condition stays as written.
type If struct {
	Condition string
	Then      Body
	Else      *Body
}

// Block gives all rules between its braces the same qualifiers.
type Block struct {
	Qualifiers
	Body Body
}

// Qualifiers come before a rule.
type Qualifiers struct {
	Priority string // "" for none
	Audit    bool
	Access   string // "", "allow", "deny" or "prompt"
	Quiet    bool
	Who      string // "", "owner" or "other"
}

// Condition is key=value or key=(value, …), and in mount rules key in (…).
type Condition struct {
	Key    string
	In     bool // "in" in the place of "="
	Values []string
	Conds  []Condition // of peer=(label=…)
}

// Capability allows capabilities; without names all.
type Capability struct {
	Qualifiers
	Names []string
}

// Rule is a rule whose subject is a kernel interface: network, mount, remount,
// umount, pivot_root, ptrace, signal, unix, dbus, mqueue, io_uring, userns.
type Rule struct {
	Qualifiers
	Kind   string      // the keyword
	Access []string    // send, receive
	Words  []string    // of network: the domain, the type, the protocol
	Conds  []Condition // in the order in which they stand
	Object string      // of mount its source, of umount, pivot_root and mqueue its path
	Target string      // after ->
}

// ChangeProfile allows a process to change its profile.
type ChangeProfile struct {
	Qualifiers
	Mode   string // "", "safe" or "unsafe"
	Exec   string // on exec of these programs
	Target string
}

// RLimit sets a resource limit.
type RLimit struct{ Name, Value string }

// Link allows hard links called Name to Target.
type Link struct {
	Qualifiers
	Subset bool
	Name   string
	Target string
}

// FileRule allows access to files.
type FileRule struct {
	Qualifiers
	Mode   string // "", "safe" or "unsafe"
	Path   string // "" for every file, then Perms is ""
	Perms  string // as written, in canonical order after [File.Canonical]
	Target string // of an exec transition, or of a link
}

// All allows everything: AppArmor 4.
type All struct{ Qualifiers }

func (ABI) item()           {}
func (Include) item()       {}
func (Alias) item()         {}
func (Assign) item()        {}
func (Profile) item()       {}
func (If) item()            {}
func (Block) item()         {}
func (Capability) item()    {}
func (Rule) item()          {}
func (ChangeProfile) item() {}
func (RLimit) item()        {}
func (Link) item()          {}
func (FileRule) item()      {}
func (All) item()           {}
