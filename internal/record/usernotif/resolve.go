//go:build linux && (amd64 || arm64)

package usernotif

import (
	"cmp"
	"fmt"
	"os"
	"path"
	"regexp"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/profgen/profgen/gen/evidence"
)

// spot is where a path leads, as it was when it was looked at.
type spot struct {
	path   string // as the workload sees it, with symbolic links resolved
	errno  unix.Errno
	st     unix.Statx_t // if errno is 0
	frozen bool         // on a file system that is mounted read-only
	other  bool         // on another mount than the root, or to be made on one
}

// view is the file system as the task that asks sees it.
type view struct {
	e    *event
	root int    // descriptor
	name string // of the root, as this process sees it: "/", but after chroot(2)
	mnt  uint64 // mount of the root
}

// view opens the file system of the task that asks; false if it is out of reach,
// which is counted. It is to be closed.
func (e *event) view() (view, bool) {
	link := fmt.Sprintf("/proc/%d/root", e.n.pid)
	fd, err := unix.Open(link, unix.O_PATH|unix.O_CLOEXEC|unix.O_DIRECTORY, 0)
	if err != nil {
		e.failed(err)
		return view{}, false
	}
	name, err := os.Readlink(link)
	var st unix.Statx_t
	if err == nil {
		err = unix.Statx(fd, "", unix.AT_EMPTY_PATH, unix.STATX_MNT_ID, &st)
	}
	if err != nil {
		unix.Close(fd)
		e.failed(err)
		return view{}, false
	}
	return view{e, fd, name, st.Mnt_id}, true
}

func (v view) close() { unix.Close(v.root) }

// failed counts what could not be looked at, unless the task is gone.
func (e *event) failed(err error) {
	switch {
	case !valid(e.fd, e.n):
	case os.IsPermission(err):
		e.unreadable()
	default:
		e.r.loss.unresolved++
	}
}

// inside returns a name that this process has for a file as the workload has it;
// false for what has none: a pipe, a deleted file, what lies outside its root.
func (v view) inside(name string) (string, bool) {
	if v.name != "/" {
		rest, ok := strings.CutPrefix(name, v.name)
		if !ok || rest != "" && rest[0] != '/' {
			return "", false
		}
		name = "/" + strings.TrimPrefix(rest, "/")
	}
	if strings.HasSuffix(name, " (deleted)") || strings.HasPrefix(name, "/memfd:") || !strings.HasPrefix(name, "/") {
		return "", false
	}
	return name, true
}

// link reads one of the links in /proc of the task that asks: "cwd", "exe",
// "fd/3".
func (v view) link(name string) (string, bool) {
	target, err := os.Readlink(fmt.Sprintf("/proc/%d/%s", v.e.n.pid, name))
	if err != nil {
		if os.IsPermission(err) {
			v.e.failed(err)
		}
		return "", false
	}
	return v.inside(target)
}

// at makes a path absolute that is relative to a descriptor of the task, or to its
// working directory.
func (v view) at(dirfd int32, name string) (string, bool) {
	if strings.HasPrefix(name, "/") {
		return name, true
	}
	from := "cwd"
	if dirfd != unix.AT_FDCWD {
		from = fmt.Sprintf("fd/%d", dirfd)
	}
	dir, ok := v.link(from)
	if !ok || name == "" {
		return dir, ok
	}
	return strings.TrimSuffix(dir, "/") + "/" + name, true
}

// maxLinks is how many symbolic links the kernel follows in a path.
const maxLinks = 40

// resolve follows an absolute path; its last element only if follow says so. It
// is false for what has no name, and for what could not be followed.
func (v view) resolve(name string, follow bool) (spot, bool) {
	for range maxLinks {
		name = v.own(name)
		s, magic := v.open(name, follow)
		switch {
		case magic:
			target, ok := v.magic(name)
			if !ok {
				return spot{}, false
			}
			name = target
		case s.errno == unix.ENOENT && v.ownLink(name) != name:
			name = v.ownLink(name)
		case s.errno == unix.ENOENT && follow:
			// It may be a link into /proc/self, which is nobody here.
			target, ok := v.target(name)
			if !ok {
				return s, s.path != ""
			}
			name = target
		default:
			return s, s.path != ""
		}
	}
	return spot{path: path.Clean(name), errno: unix.ELOOP}, true
}

// target returns where the symbolic link leads that a path names.
func (v view) target(name string) (string, bool) {
	fd, err := unix.Openat2(v.root, name, &unix.OpenHow{Flags: unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT})
	if err != nil {
		return "", false
	}
	defer unix.Close(fd)
	buf := make([]byte, pathMax)
	n, err := unix.Readlinkat(fd, "", buf) // of what is no link, ENOENT
	if err != nil {
		return "", false
	}
	target := string(buf[:n])
	if !path.IsAbs(target) {
		target = path.Dir(v.missing(name).path) + "/" + target
	}
	return target, true
}

// open opens a path without reading anything of it, in a way that leads nowhere
// out of the workload's root; magic if there is one of the links of /proc in it
// that lead to a file without naming it.
func (v view) open(name string, follow bool) (s spot, magic bool) {
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT}
	if !follow {
		how.Flags |= unix.O_NOFOLLOW
	}
	fd, err := unix.Openat2(v.root, name, &how)
	for err == unix.EAGAIN { // something was renamed meanwhile
		fd, err = unix.Openat2(v.root, name, &how)
	}
	if err == unix.ELOOP || err == unix.EXDEV {
		return spot{}, true
	}
	if err != nil {
		errno, _ := err.(unix.Errno)
		s = v.missing(name)
		s.errno = errno
		return s, false
	}
	defer unix.Close(fd)
	seen, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
	if err == nil {
		err = unix.Statx(fd, "", unix.AT_EMPTY_PATH|unix.AT_SYMLINK_NOFOLLOW, unix.STATX_BASIC_STATS|unix.STATX_MNT_ID, &s.st)
	}
	if err != nil {
		v.e.failed(err)
		return spot{}, false
	}
	s.path, _ = v.inside(v.rename(name, seen))
	s.other = s.st.Mnt_id != v.mnt
	var fs unix.Statfs_t
	s.frozen = unix.Fstatfs(fd, &fs) == nil && fs.Flags&unix.ST_RDONLY != 0
	return s, false
}

// missing names what is not there: in the folder that would hold it, if that is
// there.
func (v view) missing(name string) spot {
	clean := path.Clean(name)
	dir, base := path.Split(clean)
	if base == "" {
		return spot{path: clean}
	}
	if parent, magic := v.open(dir, true); !magic && parent.errno == 0 && parent.path != "" {
		return spot{path: strings.TrimSuffix(parent.path, "/") + "/" + base, other: parent.other}
	}
	return spot{path: clean}
}

// own puts the number of the process that asks in the place of self: what that
// is, is a matter of who looks.
func (v view) own(name string) string {
	for _, self := range []string{"/proc/self", "/proc/thread-self"} {
		if rest, ok := strings.CutPrefix(name, self); ok && (rest == "" || rest[0] == '/') {
			return fmt.Sprintf("/proc/%d%s", v.e.t.inside, rest)
		}
	}
	return name
}

// ownLink does the same for the links that every system has into there.
func (v view) ownLink(name string) string {
	for link, target := range map[string]string{
		"/dev/fd": "fd", "/dev/stdin": "fd/0", "/dev/stdout": "fd/1", "/dev/stderr": "fd/2", "/etc/mtab": "mounts",
	} {
		if rest, ok := strings.CutPrefix(name, link); ok && (rest == "" || rest[0] == '/') {
			return fmt.Sprintf("/proc/%d/%s%s", v.e.t.inside, target, rest)
		}
	}
	return name
}

// rename undoes a link that led into this process' own folder in /proc.
func (v view) rename(asked, seen string) string {
	self := fmt.Sprintf("/proc/%d", os.Getpid())
	rest, ok := strings.CutPrefix(seen, self)
	if !ok || rest != "" && rest[0] != '/' || strings.HasPrefix(asked, self) {
		return seen
	}
	return fmt.Sprintf("/proc/%d%s", v.e.t.inside, rest)
}

var magicLink = regexp.MustCompile(`^/proc/\d+(?:/task/\d+)?/(?:fd/\d+|exe|cwd|root)`)

// magic follows such a link at the beginning of a path.
func (v view) magic(name string) (string, bool) {
	name = v.own(v.ownLink(name))
	link := magicLink.FindString(name)
	if link == "" {
		return "", false
	}
	fd, err := unix.Openat2(v.root, link, &unix.OpenHow{Flags: unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT})
	if err != nil {
		return "", false
	}
	defer unix.Close(fd)
	buf := make([]byte, pathMax)
	n, err := unix.Readlinkat(fd, "", buf)
	if err != nil {
		return "", false
	}
	target, ok := v.inside(string(buf[:n]))
	return target + strings.TrimPrefix(name, link), ok
}

// kind is the kind of file that s is. One of no kind, an anonymous inode, is used
// as a regular one is.
func (s spot) kind() evidence.FileKind { return cmp.Or(evidence.KindOf(s.st.Mode), evidence.Regular) }

// What is asked of a file's mode.
const (
	mayRead  = 4
	mayWrite = 2
	mayExec  = 1
)

// permits returns what comes of a use of s by a thread with these credentials,
// by the file's mode: 0 or an error. Access control lists are not looked at, nor
// security modules.
func (c creds) permits(s spot, want uint16) unix.Errno {
	const override, search = 1 << unix.CAP_DAC_OVERRIDE, 1 << unix.CAP_DAC_READ_SEARCH
	if want&mayWrite != 0 && s.frozen && s.st.Mode&unix.S_IFMT != unix.S_IFCHR && s.st.Mode&unix.S_IFMT != unix.S_IFIFO {
		return unix.EROFS
	}
	folder := s.st.Mode&unix.S_IFMT == unix.S_IFDIR
	switch {
	case c.allowed(s.st)&want == want:
	case c.effective&override != 0 && (folder || want&mayExec == 0 || s.st.Mode&0o111 != 0):
	case c.effective&search != 0 && (want == mayRead || folder && want&mayWrite == 0):
	default:
		return unix.EACCES
	}
	return 0
}

// allowed returns the bits of a file's mode that are for the thread.
func (c creds) allowed(st unix.Statx_t) uint16 {
	if st.Uid == c.uid {
		return st.Mode >> 6 & 7
	}
	for _, g := range append(c.groups, c.gid) {
		if g == st.Gid {
			return st.Mode >> 3 & 7
		}
	}
	return st.Mode & 7
}
