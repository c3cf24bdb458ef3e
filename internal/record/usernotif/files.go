//go:build linux && (amd64 || arm64)

package usernotif

import (
	"cmp"
	"encoding/binary"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/profgen/profgen/gen/evidence"
)

// use is one use of a path, before anything came of it.
type use struct {
	perms  string // of evidence.FileAccess
	want   uint16 // of the file's mode
	make   bool   // it may be made
	only   bool   // it must be made: is an error if it is there
	remove bool   // it goes
	kind   evidence.FileKind
	target string // of a hard link
	folder bool   // a folder makes it fail with EISDIR
	owner  bool   // it is for the file's owner
}

// noFD is in the place of the argument that is a descriptor, of calls without.
const noFD = -1

// pathArg says which arguments name a file.
type pathArg struct{ dir, path int }

// dirfd returns the descriptor that a path is relative to.
func (e *event) dirfd(i int) int32 {
	if i == noFD {
		return unix.AT_FDCWD
	}
	return int32(e.n.args[i])
}

// named reads a path and calls do with it, absolute. An empty one names the
// descriptor itself, where flags has AT_EMPTY_PATH.
func (e *event) named(a pathArg, flags uint64, do func(v view, name string)) {
	name, ok := e.text(e.n.args[a.path], pathMax)
	if !ok || name == "" && flags&unix.AT_EMPTY_PATH == 0 {
		return
	}
	v, ok := e.view()
	if !ok {
		return
	}
	defer v.close()
	if abs, ok := v.at(e.dirfd(a.dir), name); ok {
		do(v, abs)
	}
}

// touch notes a use of a path.
func (e *event) touch(a pathArg, flags uint64, follow bool, u use) {
	e.named(a, flags, func(v view, name string) { v.use(name, follow, u) })
}

// use follows a path and notes what comes of its use.
func (v view) use(name string, follow bool, u use) {
	s, ok := v.resolve(name, follow)
	if !ok {
		return
	}
	v.note(s, u, v.outcome(s, u))
}

// outcome tells what the kernel will say.
func (v view) outcome(s spot, u use) unix.Errno {
	c := v.e.creds()
	switch {
	case s.errno == unix.ENOENT && u.make, s.errno == 0 && u.remove:
		parent, ok := v.resolve(path.Dir(s.path), true)
		if !ok || parent.errno != 0 {
			return parent.errno
		}
		return c.permits(parent, mayWrite|mayExec)
	case s.errno != 0:
		return s.errno
	case u.only:
		return unix.EEXIST
	case u.folder && s.kind() == evidence.Directory:
		return unix.EISDIR
	case u.owner && s.st.Uid != c.uid && c.effective&(1<<unix.CAP_FOWNER|1<<unix.CAP_CHOWN) == 0:
		return unix.EPERM
	}
	return c.permits(s, u.want)
}

// silent are errors that come before anybody is asked for permission: it is as if
// the call had not been made.
func silent(errno unix.Errno) bool {
	switch errno {
	case unix.ENOENT, unix.EEXIST, unix.ENOTDIR, unix.EISDIR, unix.EINVAL, unix.ELOOP, unix.ENAMETOOLONG:
		return true
	}
	return false
}

// note keeps a use as a fact, if the task is still there. What a runtime does under
// its filter is not done under the profile.
func (v view) note(s spot, u use, errno unix.Errno) {
	if v.e.phase < started || silent(errno) || !valid(v.e.fd, v.e.n) {
		return
	}
	f := evidence.FileAccess{
		Path: evidence.Path(v.self(s.path)), Perms: u.perms, Kind: u.kind, Target: evidence.Path(u.target),
		Phase: v.e.phase.evidence(), Basis: evidence.Observed,
	}
	if errno != 0 {
		f.Errno = unix.ErrnoName(errno)
	}
	there := s.errno == 0
	switch {
	case there:
		f.Kind, f.Owner = s.kind(), s.st.Uid == v.e.creds().uid
	case errno == 0:
		f.Owner, f.Kind = true, cmp.Or(u.kind, evidence.Regular)
	}
	f.Origin = v.e.r.origin(s, there, errno)
	f.Mounted = f.Origin == evidence.FromItself && s.other
	v.e.r.fact(f)
}

// origin returns where a file comes from, which its first use decides: one of that
// name that the workload makes later is no news.
func (r *Recorder) origin(s spot, there bool, errno unix.Errno) evidence.Origin {
	if from, ok := r.seen.origins[s.path]; ok {
		return from
	}
	var from evidence.Origin
	switch {
	case there && s.other:
		from = evidence.FromMount
	case there:
		from = evidence.FromImage
	case errno == 0:
		from = evidence.FromItself
	default:
		return "" // of what is not there
	}
	if len(r.seen.origins) >= maxFacts {
		r.loss.facts++
		return from
	}
	r.seen.origins[s.path] = from
	return from
}

// self is a path below /proc/N, where N is who asks, with self in its place: the
// number is another one the next time.
func (v view) self(name string) string {
	rest, ok := strings.CutPrefix(name, "/proc/"+strconv.Itoa(v.e.t.inside))
	if !ok || rest != "" && rest[0] != '/' {
		return name
	}
	return "/proc/self" + rest
}

// creds returns the credentials of the task that asks.
func (e *event) creds() creds {
	if e.t.creds == nil {
		s, _ := readStatus(int(e.n.pid))
		e.t.creds = &s.creds
	}
	return *e.t.creds
}

// descriptor notes a use of the file that a descriptor stands for.
func (e *event) descriptor(fd int32, u use) {
	v, ok := e.view()
	if !ok {
		return
	}
	defer v.close()
	if name, ok := v.link("fd/" + itoa(fd)); ok {
		v.use(name, false, u)
	}
}

// opened notes what open(2) with these flags does.
func (e *event) opened(a pathArg, flags uint64) {
	if flags&unix.O_PATH != 0 { // which nobody is asked about
		return
	}
	u := use{make: flags&unix.O_CREAT != 0, only: flags&(unix.O_CREAT|unix.O_EXCL) == unix.O_CREAT|unix.O_EXCL}
	write := "w"
	if flags&unix.O_APPEND != 0 && flags&unix.O_TRUNC == 0 {
		write = "a"
	}
	switch flags & unix.O_ACCMODE {
	case unix.O_RDONLY:
		u.perms, u.want = "r", mayRead
		if flags&(unix.O_TRUNC) != 0 {
			u.perms, u.want = "rw", mayRead|mayWrite
		}
	case unix.O_WRONLY:
		u.perms, u.want, u.folder = write, mayWrite, true
	default:
		u.perms, u.want, u.folder = "r"+write, mayRead|mayWrite, true
	}
	e.named(a, 0, func(v view, name string) {
		s, ok := v.resolve(name, flags&unix.O_NOFOLLOW == 0 && !u.only)
		switch {
		case !ok:
			return
		case flags&(unix.O_TMPFILE&^unix.O_DIRECTORY) != 0:
			v.temporary(s, u)
			return
		}
		if s.errno == unix.ENOENT && u.make && !strings.Contains(u.perms, "w") { // to make a file is to write
			u.perms = strings.TrimSuffix(u.perms, "a") + "w"
		}
		errno := v.outcome(s, u)
		switch kind := s.kind(); {
		case errno != 0:
		case s.errno == 0 && kind == evidence.Symlink:
			errno = unix.ELOOP
		case s.errno == 0 && kind == evidence.UnixNode:
			errno = unix.ENXIO
		case s.errno == 0 && kind != evidence.Directory && flags&unix.O_DIRECTORY != 0:
			errno = unix.ENOTDIR
		}
		v.note(s, u, errno)
		if errno == 0 {
			v.traces(s.path)
		}
	})
}

// temporary notes a file without a name in a folder. The kernel calls it #N, after
// its inode, which is another one the next time: 0 stands for any.
func (v view) temporary(s spot, u use) {
	if s.errno == 0 && s.kind() == evidence.Directory {
		name := spot{path: strings.TrimSuffix(s.path, "/") + "/#0", errno: unix.ENOENT}
		v.note(name, use{perms: u.perms, kind: evidence.Regular}, v.e.creds().permits(s, mayWrite|mayExec))
	}
}

// openedHow does the same for openat2(2), whose flags are behind a pointer.
func (e *event) openedHow() {
	var flags [8]byte
	if e.read(e.n.args[2], flags[:]) {
		e.opened(pathArg{0, 1}, binary.NativeEndian.Uint64(flags[:]))
	}
}

// renamed notes both names of a file, of which the second is where it is from
// now on.
func (e *event) renamed(from, to pathArg) {
	e.named(from, 0, func(v view, name string) {
		old, ok := v.resolve(name, false)
		if !ok {
			return
		}
		errno := v.outcome(old, use{remove: true})
		v.note(old, use{perms: "rw"}, errno)
		if errno != 0 {
			return
		}
		e.named(to, 0, func(v view, name string) {
			s, ok := v.resolve(name, false)
			if !ok {
				return
			}
			errno := v.outcome(s, use{make: true, remove: true})
			v.note(spot{path: s.path, errno: unix.ENOENT}, use{perms: "w", kind: old.kind()}, errno)
		})
	})
}

// linked notes the new name of a file.
func (e *event) linked(from, to pathArg, flags uint64) {
	e.named(from, flags, func(v view, name string) {
		old, ok := v.resolve(name, flags&unix.AT_SYMLINK_FOLLOW != 0)
		if !ok {
			return
		}
		if old.errno != 0 {
			v.note(old, use{perms: "l"}, old.errno)
			return
		}
		e.touch(to, 0, false, use{perms: "l", make: true, only: true, kind: old.kind(), target: old.path})
	})
}

// locked notes a lock on a file: of struct flock it wants the type, a short at
// its beginning.
func (e *event) locked() {
	const unlock = 2 // F_UNLCK
	switch e.n.args[1] {
	case unix.F_SETLK, unix.F_SETLKW, unix.F_OFD_SETLK, unix.F_OFD_SETLKW, 13, 14: // F_SETLK64, F_SETLKW64 of 32-bit
	default:
		return
	}
	var kind [2]byte
	if e.read(e.n.args[2], kind[:]) && binary.NativeEndian.Uint16(kind[:]) != unlock {
		e.descriptor(int32(e.n.args[0]), use{perms: "k"})
	}
}

// watchMap notes that a file is mapped to be executed, and that huge pages are
// mapped, which the kernel has a file for.
func watchMap(e *event) {
	const huge = unix.MAP_ANONYMOUS | unix.MAP_HUGETLB
	if e.phase >= started && e.n.args[3]&huge == huge && (e.name == "mmap2" || e.arch == abis()[0]) {
		e.hugepages(e.n.args[2], e.n.args[3])
		return
	}
	if fd := int32(e.n.args[4]); e.n.args[2]&unix.PROT_EXEC != 0 && e.n.args[3]&unix.MAP_ANONYMOUS == 0 && fd >= 0 {
		if e.name == "mmap" && e.arch != abis()[0] { // takes a pointer to all of them
			return
		}
		e.descriptor(fd, use{perms: "m"})
	}
}

func (e *event) hugepages(prot, flags uint64) {
	perms := ""
	if prot&unix.PROT_READ != 0 {
		perms += "r"
	}
	if prot&unix.PROT_WRITE != 0 && flags&unix.MAP_SHARED != 0 {
		perms += "w"
	}
	if prot&unix.PROT_EXEC != 0 {
		perms += "m"
	}
	if perms != "" {
		e.r.fact(evidence.FileAccess{
			Path: "/anon_hugepage", Perms: perms, Kind: evidence.Regular, Owner: true, Origin: evidence.FromMount,
			Phase: e.phase.evidence(), Basis: evidence.Observed,
		})
	}
}
