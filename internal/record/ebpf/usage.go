//go:build linux && (amd64 || arm64)

package ebpf

import (
	"maps"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/profgen/profgen/gen/evidence"
)

// maxUses bounds what a workload can make the recorder remember.
const maxUses = 1 << 18

// usage is what events have said.
type usage struct {
	uses     map[use]struct{}
	files    map[string]file // by path
	execs    map[evidence.Executed]struct{}
	ptraces  map[evidence.Ptrace]struct{}
	mounts   map[string]evidence.Mount // by what tells them apart
	programs map[uint64]string         // paths by what stands for them

	unresolved, overflow uint64
	roots                *roots
}

// use is one use of a file: a fact in little space.
type use struct {
	path, target string
	perms        uint8
	owned        bool
	phase        uint8
	error        uint16
}

// file is what is known of a path since it was first seen.
type file struct {
	origin uint8  // index of origins
	mode   uint16 // S_IF*; 0 is not known
	uid    uint32
	hasUID bool

	mounted bool // and made by the workload
}

// onMount reports whether a file is known to lie on a mount other than the root.
func (f file) onMount() bool { return f.origin == mounted || f.mounted }

const (
	unknownOrigin = iota
	image
	mounted
	created
)

func newUsage(roots *roots) *usage {
	return &usage{
		uses: map[use]struct{}{}, files: map[string]file{}, execs: map[evidence.Executed]struct{}{},
		ptraces: map[evidence.Ptrace]struct{}{}, mounts: map[string]evidence.Mount{}, programs: map[uint64]string{},
		roots: roots,
	}
}

// clone returns a copy to read; it resolves no names.
func (u *usage) clone() *usage {
	c := *u
	c.uses, c.files, c.execs = maps.Clone(u.uses), maps.Clone(u.files), maps.Clone(u.execs)
	c.ptraces, c.mounts, c.programs, c.roots = maps.Clone(u.ptraces), maps.Clone(u.mounts), nil, nil
	return &c
}

// add takes in what an event says. What is to be resolved is, at once: later the
// process and its files may be gone.
func (u *usage) add(e *event) {
	root := u.roots.of(e)
	switch e.Kind {
	case recorderEventKindEVENT_FILE:
		u.addFile(e, e.file())
	case recorderEventKindEVENT_NAMES:
		u.addNames(e, root)
	case recorderEventKindEVENT_EXEC:
		e.Perms[0] = perms("rmx")
		u.addFile(e, e.file())
		u.addExec(e, e.file())
	case recorderEventKindEVENT_SCRIPT:
		f, ok := root.resolve(e, name0, base0, true)
		if !ok {
			u.unresolved++
			return
		}
		u.addUse(e, f, perms("rx"))
		u.addExec(e, f.path)
	case recorderEventKindEVENT_MOUNT:
		u.addMount(e, root)
	}
}

// file is the path of the file that the kernel had in hand. What a process has
// of its own in /proc is called self, and not by a number that is another one
// the next time.
func (e *event) file() string {
	p := unwind(e.parts[base0])
	if e.Self == 0 {
		return p
	}
	return ownProc(p, e.Self)
}

// unwind turns components, from the last one up, into a path.
func unwind(components string) string {
	if components == "" {
		return "/"
	}
	all := strings.Split(components, "\x00")
	slices.Reverse(all)
	return "/" + strings.Join(all, "/")
}

func (u *usage) addFile(e *event, name string) {
	f := found{path: name, mode: e.Mode, uid: e.Uid, hasUID: true, mounted: e.Flags&recorderFileMounted != 0}
	f.created = e.Flags&recorderFileCreated != 0
	u.addUse(e, f, e.Perms[0])
	u.addProc(e, name)
}

// addUse notes one use of a file, and what there is to know of the file if it is
// seen for the first time.
func (u *usage) addUse(e *event, f found, bits uint8) {
	if bits == 0 {
		return
	}
	if len(u.uses) >= maxUses {
		u.overflow++
		return
	}
	k := u.learn(f)
	owned := k.hasUID && k.uid == e.Fsuid
	u.uses[use{
		path: f.path, target: f.target, perms: bits, owned: owned, phase: uint8(e.Call.Phase), error: e.Error,
	}] = struct{}{}
}

// learn returns what is known of a path. Where it comes from is decided by its
// first use; a file of that name that the workload makes later is no news.
func (u *usage) learn(f found) file {
	k, seen := u.files[f.path]
	// When a container ends its mounts go, before what its last call named is looked at.
	f.mounted = f.mounted || u.files[path.Dir(f.path)].onMount()
	switch {
	case seen && k.origin != unknownOrigin:
	case f.created:
		k.origin, k.mounted = created, f.mounted
	case f.mounted:
		k.origin = mounted
	case f.hasUID || f.mode != 0:
		k.origin = image
	}
	if f.mode != 0 {
		k.mode = f.mode
	}
	if f.hasUID {
		k.uid, k.hasUID = f.uid, true
	}
	u.files[f.path] = k
	return k
}

func (u *usage) addExec(e *event, name string) {
	by := u.programs[e.By]
	u.programs[e.Exe] = name
	u.execs[evidence.Executed{
		Path: evidence.Path(name), By: evidence.Path(by), Phase: phases(e.Call.Phase), Basis: evidence.Observed,
	}] = struct{}{}
}

// facts returns everything as facts, in no order.
func (u *usage) facts() []evidence.Fact {
	if u == nil {
		return nil
	}
	out := make([]evidence.Fact, 0, len(u.uses)+len(u.execs))
	for k := range u.uses {
		out = append(out, k.fact(u.files[k.path]))
	}
	for f := range u.execs {
		out = append(out, f)
	}
	for f := range u.ptraces {
		out = append(out, f)
	}
	for _, f := range u.mounts {
		out = append(out, f)
	}
	return out
}

func (k use) fact(f file) evidence.FileAccess {
	a := evidence.FileAccess{
		Path: evidence.Path(k.path), Perms: letters(k.perms), Kind: evidence.KindOf(f.mode), Owner: k.owned,
		Origin:  [...]evidence.Origin{"", evidence.FromImage, evidence.FromMount, evidence.FromItself}[f.origin],
		Mounted: f.mounted, Target: evidence.Path(k.target), Phase: phases(recorderPhase(k.phase)), Basis: evidence.Observed,
	}
	if k.error != 0 {
		a.Errno = unix.ErrnoName(unix.Errno(k.error))
	}
	return a
}

func letters(bits uint8) string {
	var out []byte
	for i := range len(evidence.Permissions) {
		if bits>>i&1 != 0 {
			out = append(out, evidence.Permissions[i])
		}
	}
	return string(out)
}

// ownProc returns a path below /proc with the process's own number, self,
// spelled out.
func ownProc(p string, tgid uint32) string {
	rest, ok := strings.CutPrefix(p, "/proc/"+number(tgid))
	if !ok || rest != "" && rest[0] != '/' {
		return p
	}
	return "/proc/self" + rest
}

// addProc notes that a file of another process was opened that the kernel shows
// only to those who may trace it.
func (u *usage) addProc(e *event, name string) {
	dir, last := path.Split(name)
	access, ok := procFiles[last]
	if e.Self == 0 || !ok || !otherProc.MatchString(dir) || e.Perms[0]&perms("rwa") == 0 {
		return
	}
	peer := evidence.Outside
	if e.Flags&(recorderFileEnclosed|recorderFileOfOurs) != 0 {
		peer = evidence.Within
	}
	u.ptraces[evidence.Ptrace{Access: access, Peer: peer, Phase: phases(e.Call.Phase), Basis: evidence.Observed}] = struct{}{}
}
