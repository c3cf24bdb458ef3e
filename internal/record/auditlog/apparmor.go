package auditlog

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/abi"
)

// root is the profile that one was loaded as: in complain mode the kernel makes
// others below it, "PROFILE//null-/usr/bin/true", for what is exec'd.
func root(profile string) string {
	name, _, _ := strings.Cut(profile, "//")
	return name
}

// program is what runs under a profile that the kernel made: the last name in it.
func program(profile string) evidence.Path {
	if i := strings.LastIndex(profile, "//null-/"); i >= 0 {
		return cleanPath(profile[i+len("//null-"):])
	}
	return ""
}

// apparmorRecord takes a record of AppArmor: security/apparmor in the kernel, and
// apparmor(7).
func (r *auditReader) apparmorRecord(f fields) {
	verdict, profile := f["apparmor"], f["profile"]
	if verdict == "STATUS" || verdict == "ERROR" || verdict == "HINT" {
		return // about the profile itself
	}
	if profile == "" || f["operation"] == "" {
		r.gap(evidence.Lost, "AppArmor records", "records that could not be read", 1)
		return
	}
	denied := verdict == "DENIED" || verdict == "KILLED"
	if r.opt.Profile != "" && root(profile) != r.opt.Profile || r.opt.Denied && !denied {
		r.others++
		return
	}
	if r.profiles == nil {
		r.profiles = map[string]bool{}
	}
	if len(r.profiles) < maxTasks {
		r.profiles[root(profile)] = true
	}
	r.learning = r.learning || strings.Contains(profile, "//null-")
	r.first(f["operation"] == "exec")
	a := access{f, r.collector, denied}
	if !a.take() {
		r.gap(evidence.Lost, "AppArmor records", fmt.Sprintf("records of an operation that is not understood: %.40q", f["operation"]), 1)
	}
	_, socket := f["family"]
	r.networks = r.networks || socket
}

// access is a record of AppArmor.
type access struct {
	fields
	into   *collector
	denied bool
}

// take adds the facts of a record and reports whether it was understood.
func (a access) take() bool {
	switch op := a.fields["operation"]; {
	case op == "capable":
		return a.capability()
	case op == "signal":
		return a.signal()
	case op == "ptrace":
		return a.ptrace()
	case op == "mount" || op == "umount" || op == "pivotroot" || op == "remount":
		return a.mount(op)
	case a.fields["family"] != "":
		return a.socket()
	case a.fields["name"] != "" && a.fields["requested_mask"] != "":
		return a.file(op)
	case op == "change_onexec" || op == "change_profile" || op == "change_hat" || op == "setprocattr" || op == "getprocattr":
		return true // how AppArmor itself is used: by the runtime
	}
	return false
}

func (a access) capability() bool {
	name := "CAP_" + strings.ToUpper(a.fields["capname"])
	if _, ok := abi.CapabilityNumber(name); !ok {
		return false
	}
	basis, errno := a.into.outcome(a.denied, "EPERM")
	// What the kernel only wants to know, without refusing anything for it.
	probe := strings.HasPrefix(a.fields["info"], "optional")
	a.into.add(evidence.Capability{
		Cap: name, Arch: a.into.opt.Native, Granted: errno == "" && !probe, Phase: a.phase(), Basis: basis,
	})
	return true
}

func (a access) phase() evidence.Phase { return phaseOf(a.fields["comm"]) }

func (a access) socket() bool {
	family, ok := families["AF_"+strings.ToUpper(a.fields["family"])]
	kind, ok2 := socketTypes["SOCK_"+strings.ToUpper(a.fields["sock_type"])]
	protocol, err := strconv.ParseUint(a.fields["protocol"], 10, 32)
	if !ok || !ok2 || err != nil {
		return false
	}
	basis, errno := a.into.outcome(a.denied, "EACCES")
	if errno != "" {
		a.into.gap(evidence.Refused, a.fields["family"]+" "+a.fields["sock_type"], "a socket was refused by the AppArmor profile in force", 0)
		return true
	}
	a.into.add(evidence.Socket{Family: uint32(family), Type: uint32(kind), Protocol: uint32(protocol), Phase: a.phase(), Basis: basis})
	return true
}

func (a access) signal() bool {
	name := a.fields["signal"]
	number, ok := signals["SIG"+strings.ToUpper(name)]
	if rt, isRT := strings.CutPrefix(name, "rtmin+"); isRT {
		n, err := strconv.ParseUint(rt, 10, 8)
		number, ok = 32+n, err == nil && n <= 32
	}
	if name == "exists" {
		number, ok = 0, true
	}
	if !ok {
		return false
	}
	if !strings.Contains(a.fields["requested_mask"], "send") {
		return true // the other side of it
	}
	basis, errno := a.into.outcome(a.denied, "EACCES")
	if errno != "" {
		a.into.gap(evidence.Refused, "signal "+name, "a signal was refused by the AppArmor profile in force", 0)
		return true
	}
	a.into.add(evidence.Signal{Number: uint32(number), Peer: peerOf(a.fields["profile"], a.fields["peer"]), Phase: a.phase(), Basis: basis})
	return true
}

func (a access) ptrace() bool {
	mask := a.fields["requested_mask"]
	if mask == "tracedby" || mask == "readby" {
		return true // the other side of it
	}
	if mask != "trace" && mask != "read" {
		return false
	}
	basis, errno := a.into.outcome(a.denied, "EACCES")
	if errno != "" {
		a.into.gap(evidence.Refused, "ptrace "+mask, "a ptrace access was refused by the AppArmor profile in force", 0)
		return true
	}
	a.into.add(evidence.Ptrace{Access: mask, Peer: peerOf(a.fields["profile"], a.fields["peer"]), Phase: a.phase(), Basis: basis})
	return true
}

func (a access) mount(op string) bool {
	basis, errno := a.into.outcome(a.denied, "EACCES")
	if errno != "" {
		a.into.gap(evidence.Refused, op+" "+a.fields["name"], "a change of mounts was refused by the AppArmor profile in force", 0)
		return true
	}
	calls := map[string]string{"mount": "mount", "remount": "mount", "umount": "umount", "pivotroot": "pivot_root"}
	m := evidence.Mount{
		Op: calls[op], FSType: a.fields["fstype"], Source: cleanPath(a.fields["srcname"]), Target: cleanPath(a.fields["name"]),
		Phase: a.phase(), Basis: basis,
	}
	for flag := range strings.SplitSeq(a.fields["flags"], ",") {
		if flag = strings.TrimSpace(flag); flag != "" && wordOnly(flag) {
			m.Flags = append(m.Flags, flag)
		}
	}
	slices.Sort(m.Flags)
	if m.FSType != "" && !wordOnly(m.FSType) {
		return false
	}
	a.into.add(m)
	return true
}

// file takes a record of a file: what was asked for is in requested_mask, of
// which c and d, to create and to delete, are parts of w.
func (a access) file(op string) bool {
	name := cleanPath(a.fields["name"])
	if name == "" {
		a.into.gap(evidence.Lost, "AppArmor records", "files whose name the kernel could not tell: they were reached from outside the container's file systems", 1)
		return true
	}
	if op == "mknod" && a.denied && a.into.opt.Exists != nil && a.into.opt.Exists(name) {
		return true
	}
	mask := strings.NewReplacer("c", "w", "d", "w").Replace(a.fields["requested_mask"])
	perms := permissions(mask)
	if perms == "" || strings.Trim(mask, evidence.Permissions) != "" {
		return false
	}
	basis, errno := a.into.outcome(a.denied, "EACCES")
	fact := evidence.FileAccess{
		Path: name, Perms: perms, Owner: a.fields["fsuid"] != "" && a.fields["fsuid"] == a.fields["ouid"],
		Errno: errno, Phase: a.phase(), Basis: basis,
	}
	if strings.HasSuffix(a.fields["name"], "/") {
		fact.Kind = evidence.Directory
	}
	if strings.Contains(perms, "l") {
		fact.Target = cleanPath(a.fields["target"])
	}
	a.into.add(fact)
	if op == "exec" && errno == "" {
		a.into.add(evidence.Executed{Path: name, By: program(a.fields["profile"]), Phase: a.phase(), Basis: basis})
	}
	return true
}

// cleanPath returns a name as evidence has paths; "" if it is not absolute.
func cleanPath(name string) evidence.Path {
	if !strings.HasPrefix(name, "/") || strings.ContainsRune(name, 0) || len(name) > 4096 {
		return ""
	}
	return evidence.Path(path.Clean(name))
}

// wordOnly reports whether s is such a word as evidence has for file systems and
// mount flags.
func wordOnly(s string) bool {
	ok := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '_' || r == '.' || r == '-'
	}
	return s != "" && len(s) <= 40 && strings.IndexFunc(s, func(r rune) bool { return !ok(r) }) < 0
}
