//go:build linux && (amd64 || arm64)

package ebpf

import (
	"fmt"
	"os"
	"path"
	"regexp"
	"strings"

	"golang.org/x/sys/unix"
)

// roots are the root directories of mount namespaces, held open from the first
// event of one on, to resolve names in as the workload would: by then the
// process that gave a name may be gone.
type roots struct {
	held map[uint64]*root // by mount namespace
	home *root            // of the namespace that recording began in
}

type root struct {
	fd    int
	name  string // as its own mount namespace has it: "/" but after a chroot
	mount uint64 // its mount's id
}

// maxRoots bounds how many are held.
const maxRoots = 512

func newRoots() *roots { return &roots{held: map[uint64]*root{}} }

// of returns the root for the process of an event; nil if it cannot be had, or is
// not asked for.
func (r *roots) of(e *event) *root {
	if e.Mnt == 0 {
		return nil
	}
	if e.Flags&recorderFileHome != 0 && r.home != nil {
		return r.home
	}
	if known, ok := r.held[e.Mnt]; ok {
		return known
	}
	if len(r.held) >= maxRoots {
		return nil
	}
	known := openRoot(int(e.Pid))
	if known != nil { // else the next process may live longer
		r.held[e.Mnt] = known
	}
	return known
}

// openRoot returns the root of process pid; nil if it has ended.
func openRoot(pid int) *root {
	fd, err := unix.Open(fmt.Sprintf("/proc/%d/root", pid), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	name, err := nameOf(fd)
	if err != nil {
		unix.Close(fd)
		return nil
	}
	return &root{fd: fd, name: name, mount: mountOf(fd, "", unix.AT_EMPTY_PATH)}
}

func (r *roots) close() {
	for _, known := range r.held {
		unix.Close(known.fd)
	}
	if r.home != nil {
		unix.Close(r.home.fd)
	}
	r.held, r.home = nil, nil
}

// found is a file that a name led to.
type found struct {
	path, target     string
	mode             uint16
	uid              uint32
	hasUID           bool
	mounted, created bool
	none             bool // it is no file that has a name: a pipe, a socket
}

var (
	ownName   = regexp.MustCompile(`^/proc/(?:self|thread-self)(/.*)?$`)
	fdName    = regexp.MustCompile(`^/dev/fd(/.*)?$`)
	stdName   = regexp.MustCompile(`^/dev/std(in|out|err)$`)
	magicName = regexp.MustCompile(`^/proc/([0-9]+)/(?:task/[0-9]+/)?(fd/[0-9]+|exe|cwd|root)$`)
)

// resolve finds out which file a name of an event means, as the kernel did. If
// the last component is a symbolic link, it is followed or not. What is no longer
// there, or cannot be looked at, is taken by its name; ok is false if there is
// not even a root to begin at and the name goes through a link of /proc.
func (r *root) resolve(e *event, name, base int, follow bool) (f found, ok bool) {
	full := e.parts[name]
	if !strings.HasPrefix(full, "/") {
		full = unwind(e.parts[base]) + "/" + full
	} else if b := unwind(e.parts[base]); b != "/" {
		full = b + full
	}
	full = e.spellOut(full)
	if m := magicName.FindStringSubmatch(full); m != nil && follow {
		return e.resolveMagic(m[1], m[2], full)
	}
	if r == nil {
		return found{path: e.own(path.Clean(full))}, false
	}
	return r.lookup(e, full, follow), true
}

// spellOut replaces what leads every process to its own /proc by the number of
// the event's.
func (e *event) spellOut(full string) string {
	self := "/proc/" + number(e.Tgid)
	if m := ownName.FindStringSubmatch(full); m != nil {
		return self + m[1]
	}
	if m := fdName.FindStringSubmatch(full); m != nil {
		return self + "/fd" + m[1]
	}
	if m := stdName.FindStringSubmatch(full); m != nil {
		return self + "/fd/" + map[string]string{"in": "0", "out": "1", "err": "2"}[m[1]]
	}
	return full
}

// own undoes spellOut.
func (e *event) own(p string) string { return ownProc(p, e.Tgid) }

// resolveMagic follows a link of /proc to an open file, whose text is no name.
func (e *event) resolveMagic(tgid, what, full string) (found, bool) {
	if tgid != number(e.Tgid) {
		return found{path: full}, true
	}
	link := fmt.Sprintf("/proc/%d/%s", e.Pid, what)
	target, err := os.Readlink(link)
	if err != nil {
		return found{path: e.own(full)}, false
	}
	var st unix.Stat_t
	if err := unix.Stat(link, &st); err != nil || !strings.HasPrefix(target, "/") || strings.HasPrefix(target, "/memfd:") {
		return found{none: true}, true
	}
	return found{path: strings.TrimSuffix(target, " (deleted)"), mode: uint16(st.Mode & unix.S_IFMT), uid: st.Uid, hasUID: true}, true
}

// lookup resolves full, which is absolute, below the root.
func (r *root) lookup(e *event, full string, follow bool) found {
	trimmed := strings.TrimRight(full, "/")
	dir, last := path.Split(trimmed)
	if last == "." || last == ".." || last == "" {
		dir, last = full, ""
	}
	if follow && last != "" {
		if fd, err := r.open(trimmed); err == nil {
			defer unix.Close(fd)
			return r.describe(e, fd, "", full)
		}
	}
	fd, rest := r.openPrefix(dir)
	if fd < 0 {
		return found{path: e.own(path.Clean(full))}
	}
	defer unix.Close(fd)
	if rest != "" {
		name, err := nameOf(fd)
		if err != nil {
			name = "/"
		}
		return found{path: e.own(path.Join(name, rest, last))}
	}
	return r.describe(e, fd, last, full)
}

// describe returns the file called last in the directory fd, or fd itself.
func (r *root) describe(e *event, fd int, last, full string) found {
	name, err := nameOf(fd)
	if err != nil {
		name, last = path.Clean(full), ""
	}
	f := found{path: e.own(path.Join(name, last))}
	var st unix.Statx_t
	if err := unix.Statx(fd, last, unix.AT_EMPTY_PATH|unix.AT_SYMLINK_NOFOLLOW, unix.STATX_MODE|unix.STATX_UID|unix.STATX_MNT_ID, &st); err != nil {
		f.mounted = mountOf(fd, "", unix.AT_EMPTY_PATH) != r.mount
		return f
	}
	f.mode, f.uid, f.hasUID, f.mounted = st.Mode&unix.S_IFMT, st.Uid, true, st.Mnt_id != r.mount
	return f
}

// open opens full below the root, following links.
func (r *root) open(full string) (int, error) {
	if r.name != "/" {
		below, ok := strings.CutPrefix(full, r.name)
		if !ok {
			return -1, unix.EXDEV
		}
		full = below
	}
	how := &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS}
	return unix.Openat2(r.fd, "/"+full, how)
}

// openPrefix opens the longest part of dir that is there, and returns the rest.
func (r *root) openPrefix(dir string) (fd int, rest string) {
	for {
		fd, err := r.open(dir)
		if err == nil {
			return fd, rest
		}
		up, last := path.Split(strings.TrimRight(dir, "/"))
		if last == "" {
			return -1, rest
		}
		dir, rest = up, path.Join(last, rest)
	}
}

// nameOf returns the path of an open file in its own mount namespace.
func nameOf(fd int) (string, error) {
	name, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
	if err == nil && !strings.HasPrefix(name, "/") {
		err = fmt.Errorf("%s is no path", name)
	}
	return strings.TrimSuffix(name, " (deleted)"), err
}

// mountOf returns the id of the mount that a file is on; 0 if that is not to be
// known.
func mountOf(fd int, name string, flags int) uint64 {
	var st unix.Statx_t
	if err := unix.Statx(fd, name, flags, unix.STATX_MNT_ID, &st); err != nil {
		return 0
	}
	return st.Mnt_id
}
