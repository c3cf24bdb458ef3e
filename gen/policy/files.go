package policy

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/profgen/profgen/gen/evidence"
)

// FileRule allows the use of files of one name.
type FileRule struct {
	Name  Name
	Perms string // letters of [evidence.Permissions]
	// Owner says that only the file's owner needs to use it so.
	Owner  bool `json:",omitempty"`
	Origin evidence.Origin
	Target string `json:",omitempty"` // of a hard link: what it may be another name of
}

// String is the rule for people.
func (r FileRule) String() string {
	out := r.Name.String() + " " + r.Perms
	if r.Owner {
		out = "owner " + out
	}
	if r.Target != "" {
		out += " -> " + evidence.Path(r.Target).String()
	}
	return out
}

// Files says which files the workload may use.
type Files struct {
	// Confined says that Rules are all that it may use. If not, it may use any.
	Confined bool
	Rules    []FileRule
	// Found is what static analysis found where nothing was recorded: what programs
	// are made of, and the files that they name. It is part of what the workload
	// uses, too little to confine it to, and says what need not be logged.
	Found []FileRule `json:",omitempty"`
}

// maxFileRules is how many there can be. Nobody reviews more, and it takes
// apparmor_parser a second to compile this many.
const maxFileRules = 4096

// declared are the files that runtimes and libc use in every container, whether
// a recording came upon them or not: the standard streams (on a terminal with
// docker run -t), what ld.so reads, and what glibc reads when it sizes its heaps
// and counts processors (sysdeps/unix/sysv/linux).
var declared = map[string]string{
	"/dev/null": "rw", "/dev/console": "rw", "/dev/pts/0": "rw",
	"/etc/ld.so.cache": "r", "/etc/ld.so.preload": "r",
	"/proc/sys/vm/overcommit_memory": "r", "/sys/devices/system/cpu/online": "r", "/sys/devices/system/cpu/possible": "r",
}

// sensitive are files by which one gets out of a container, or all of the host's
// secrets into it.
var sensitive = append([]string{
	"/proc/sysrq-trigger", "/proc/kcore", "/proc/kallsyms", "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe",
	"/sys/kernel/uevent_helper", "/sys/kernel/security/", "/sys/firmware/", "/etc/shadow", "/root/.ssh/",
}, engineSockets...)

// needsNoRule are the errors that the kernel gives for what it refuses anyway.
var needsNoRule = []string{"EACCES", "EPERM", "EROFS"}

// NeedsNoRule reports whether a use came to nothing because of what the kernel
// refuses without a profile too.
func NeedsNoRule(f evidence.FileAccess) bool { return slices.Contains(needsNoRule, f.Errno) }

// FailsAnyway reports whether a use that a profile refused is known to come to
// nothing by itself. AppArmor is often asked first, and the reason found later: by
// the driver of a device, or by the file in /proc that may not be opened. No rule is
// made for such a use, and it makes no difference to the workload who refuses it.
func FailsAnyway(known evidence.Set, refused evidence.FileAccess) bool {
	left := refused.Perms
	for _, f := range known.Facts {
		f, ok := f.(evidence.FileAccess)
		if !ok || f.Path != refused.Path || f.Owner != refused.Owner || f.Phase == evidence.Runtime {
			continue
		}
		if !NeedsNoRule(f) && strings.ContainsAny(f.Perms, refused.Perms) {
			return false
		}
		for _, r := range f.Perms {
			left = strings.ReplaceAll(left, string(r), "")
		}
		if strings.Contains(f.Perms, "w") {
			left = strings.ReplaceAll(left, "a", "")
		}
	}
	return left == "" && refused.Perms != ""
}

// Names reports whether a rule with a pattern stands for a path because of
// another one: a workload that reads the memory of its own processes has asked
// for /proc/1/mem.
func (f Files) Names(path string) bool {
	return slices.ContainsFunc(f.Rules, func(r FileRule) bool { return r.Name.Pattern() && r.Name.Matches(path) })
}

// decideFiles confines the workload to the files that it was seen to use, if all
// of them were seen.
func (d *decider) decideFiles(uses []evidence.FileAccess) {
	if hides := d.hidesFiles(); len(uses) == 0 || hides != "" {
		d.unconfined(hides)
		if len(uses) == 0 && hides == "" {
			d.findFiles()
		}
		return
	}
	rules, decided := map[string]FileRule{}, len(d.policy.Decisions)
	names := newNamer(uses)
	names.relax = d.opt.Relax
	for _, u := range uses {
		d.addFileRule(rules, names, u)
	}
	if len(rules) > maxFileRules {
		d.policy.Decisions = d.policy.Decisions[:decided]
		d.unconfined(fmt.Sprintf("it used %d of them by name, and a profile can have %d", len(rules), maxFileRules))
		return
	}
	d.policy.Files.Confined = true
	for p, perms := range declared {
		d.addFileRule(rules, names, evidence.FileAccess{Path: evidence.Path(p), Perms: perms, Origin: evidence.FromMount, Basis: evidence.Declared})
	}
	relaxed := 0
	for _, key := range slices.Sorted(maps.Keys(rules)) {
		r := rules[key]
		d.policy.Files.Rules = append(d.policy.Files.Rules, r)
		d.warnFile(r, names.seen[key])
		if r.Origin == evidence.FromImage && slices.ContainsFunc(r.Name, func(p Piece) bool { return p.Class != "" && p.Class != PID }) {
			relaxed++
		}
	}
	if relaxed > 0 {
		d.warn("relaxed", "as asked, %d rules for files of the image stand for others too; profgen record --image tells for which of them", relaxed)
	}
}

// findFiles lists the files that static analysis found. What only names a file by
// which one gets out of a container is not taken for a use of it.
func (d *decider) findFiles() {
	rules := map[string]FileRule{}
	names := newNamer(nil)
	for _, f := range d.set.Facts {
		f, ok := f.(evidence.FileAccess)
		if ok && f.Basis == evidence.Reachable && !isSensitive(string(f.Path)) {
			addRule(rules, names, f)
		}
	}
	if len(rules) == 0 || len(rules) > maxFileRules {
		return
	}
	for p, perms := range declared {
		addRule(rules, names, evidence.FileAccess{Path: evidence.Path(p), Perms: perms, Origin: evidence.FromMount, Basis: evidence.Declared})
	}
	for _, key := range slices.Sorted(maps.Keys(rules)) {
		d.policy.Files.Found = append(d.policy.Files.Found, rules[key])
	}
	d.warn("files-partial", "static analysis found %d files that the programs are made of or name, which is not all that they use: the AppArmor profile confines none; one made with --complain lets the kernel log what is used beside them", len(rules)-len(declared))
}

func isSensitive(name string) bool {
	return slices.ContainsFunc(sensitive, func(s string) bool { return name == s || strings.HasSuffix(s, "/") && strings.HasPrefix(name, s) })
}

// unconfined says why files are not confined.
func (d *decider) unconfined(why string) {
	if why != "" {
		d.warn("files-unconfined", "the AppArmor profile allows all files that docker-default allows: %s", why)
	}
}

// fileUses are the facts that need a rule.
func (d *decider) fileUses() []evidence.FileAccess {
	var out []evidence.FileAccess
	for _, f := range d.set.Facts {
		f, ok := f.(evidence.FileAccess)
		switch {
		case !ok, f.Phase == evidence.Runtime, f.Basis == evidence.Reachable: // see findFiles
		case NeedsNoRule(f):
			d.decide(f.Path.String(), false, "%s came to nothing by itself: %s", f.Perms, f.Errno)
		default:
			out = append(out, f)
		}
	}
	return out
}

// hidesFiles says why there may be uses of files that the evidence has not; "" if
// there are none.
func (d *decider) hidesFiles() string {
	for _, g := range d.set.Gaps {
		switch {
		case g.Kind.Static():
		case g.Kind == evidence.UnseenFiles, g.Kind == evidence.Hidden, g.Kind == evidence.Refused, g.Incomplete():
			return g.String()
		}
	}
	return ""
}

// addRule takes a use into the rule for its name, whose key it returns.
func addRule(rules map[string]FileRule, names *namer, u evidence.FileAccess) (key string) {
	name := names.of(u)
	key = fmt.Sprintf("%q %q", name, u.Target)
	r, old := rules[key]
	perms := u.Perms
	if u.Kind == evidence.UnixNode && strings.Contains(perms, "w") {
		perms += "r" // later kernels ask for both of whoever listens or connects
	}
	if readsBack(u) {
		perms += "r"
	}
	r.Owner = u.Owner && u.Basis != evidence.Declared && (r.Owner || !old)
	r.Name, r.Perms, r.Target = name, Union(r.Perms, perms), string(u.Target)
	r.Origin = cmp.Or(r.Origin, u.Origin)
	rules[key] = r
	return key
}

// addFileRule takes a use into the rule for its name, and tells why.
func (d *decider) addFileRule(rules map[string]FileRule, names *namer, u evidence.FileAccess) {
	key := addRule(rules, names, u)
	names.seen[key] = append(names.seen[key], string(u.Path))
	why := "the workload used it"
	if u.Basis == evidence.Declared {
		why = "libc and container runtimes use it"
	}
	if told := u.Path.String() + " " + why + u.Perms; !names.told[told] {
		names.told[told] = true
		d.decide(u.Path.String(), true, "%s: %s", why, u.Perms)
		if readsBack(u) && !strings.Contains(u.Perms, "r") {
			d.decide(u.Path.String(), true, "what the workload writes it reads, at its next start if not before: r")
		}
	}
	if u.Path == hugePages {
		d.addFileRule(rules, names, evidence.FileAccess{Path: "/", Perms: "rw", Kind: evidence.Directory, Origin: evidence.FromMount, Basis: evidence.Declared})
	}
}

// readsBack reports whether a use made a file that holds what the workload wrote:
// a recording with a folder that is empty at its start does not show what the next
// start reads there. It learns nothing that it has not written itself.
func readsBack(u evidence.FileAccess) bool {
	return u.Kind == evidence.Regular && u.Origin == evidence.FromItself && u.Errno == "" && strings.Contains(u.Perms, "w")
}

// hugePages is the kernel's own file for memory in huge pages. AppArmor's name for
// it, once it is deleted, is that of the root directory.
const hugePages = "/anon_hugepage"

// Union returns the letters of both, in their order; who may write may append.
func Union(a, b string) string {
	var out []rune
	for _, r := range evidence.Permissions {
		has := func(r rune) bool { return strings.ContainsRune(a+b, r) }
		if has(r) && (r != 'a' || !has('w')) {
			out = append(out, r)
		}
	}
	return string(out)
}

func (d *decider) warnFile(r FileRule, seen []string) {
	if name := r.Name.String(); isSensitive(name) {
		d.warn("sensitive-file", "the workload may use %s (%s), which it was seen to use: who can, may get out of the container or at what is the host's", name, r.Perms)
	}
	for _, p := range r.Name {
		if p.Class != "" && p.Class != PID && r.Origin != evidence.FromImage {
			slices.Sort(seen)
			d.warn("file-pattern", "%s (%s) stands for %d recorded names such as %s, and allows any other of that form", r.Name, r.Perms, len(slices.Compact(seen)), evidence.Path(seen[0]))
			return
		}
	}
}

// namer finds the name of the rule for a path.
type namer struct {
	created  map[string]bool // paths that the workload made
	volatile map[string]bool // of these, those of which there are several that differ in digits only
	seen     map[string][]string
	relax    []string
	told     map[string]bool // decisions: a use is one, in whatever phases it was
}

func newNamer(uses []evidence.FileAccess) *namer {
	n := &namer{created: map[string]bool{}, volatile: map[string]bool{}, seen: map[string][]string{}, told: map[string]bool{}}
	alike := map[string][]string{}
	for _, u := range uses {
		p := string(u.Path)
		if u.Origin != evidence.FromItself || n.created[p] {
			continue
		}
		n.created[p] = true
		if shape := path.Dir(p) + "/" + anyDigits.ReplaceAllString(path.Base(p), "0"); anyDigits.MatchString(path.Base(p)) {
			alike[shape] = append(alike[shape], p)
		}
	}
	for _, paths := range alike {
		for _, p := range paths {
			n.volatile[p] = len(paths) > 1
		}
	}
	return n
}

// of returns the name of the rule for a use: of what the workload made, whatever
// looks made up in it may be anything like it; of all else, each byte counts but
// the numbers of processes and terminals, and what was asked to be relaxed.
func (n *namer) of(u evidence.FileAccess) Name {
	p := string(u.Path)
	if p == "/" {
		return Name{{Text: "/"}}
	}
	ofImage := u.Origin == evidence.FromImage && u.Kind == evidence.Regular
	versions := u.Origin == evidence.FromImage && slices.Contains(n.relax, RelaxVersions)
	var out Name
	components := strings.Split(p[1:], "/")
	for i, c := range components {
		out = out.text("/")
		prefix := "/" + strings.Join(components[:i+1], "/")
		switch {
		case numbered(components, i):
			out = out.class(PID, "1")
		case n.created[prefix]:
			for _, piece := range classify(c, n.volatile[prefix]) {
				out = out.piece(piece)
			}
		case ofImage && i == len(components)-1 && objectName.MatchString(c) && slices.Contains(n.relax, RelaxLibs):
			out = out.class(Object, "x.so")
		case versions && !fixedDigits.MatchString(c):
			for _, piece := range split(c, anyDigits, digits) {
				out = out.piece(piece)
			}
		default:
			out = out.text(c)
		}
	}
	if u.Kind == evidence.Directory {
		out = out.text("/")
	}
	return out
}

func (n Name) piece(p Piece) Name {
	switch p.Class {
	case "":
		return n.text(p.Text)
	case Digits:
		return n.class(Digits, "1")
	}
	return n.class(p.Class, strings.Repeat("0", len(p.Text)))
}

// numbered reports whether component i of a path is the number of a process,
// thread or terminal.
func numbered(components []string, i int) bool {
	if c := components[i]; c == "self" && i == 1 && components[0] == "proc" {
		return true
	} else if anyDigits.FindString(c) != c {
		return false
	}
	switch {
	case i == 1 && components[0] == "proc":
		return true
	case i == 2 && components[0] == "dev" && components[1] == "pts":
		return true
	}
	return i == 3 && components[0] == "proc" && components[2] == "task"
}
