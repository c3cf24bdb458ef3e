//go:build linux && (amd64 || arm64)

package usernotif

import (
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/profgen/profgen/gen/evidence"
)

func itoa(n int32) string { return strconv.Itoa(int(n)) }

// What is done to names.
var (
	folder  = use{perms: "w", make: true, only: true, kind: evidence.Directory}
	symlink = use{perms: "w", make: true, only: true, kind: evidence.Symlink}
	gone    = use{perms: "w", remove: true}
	changed = use{perms: "w", owner: true} // its mode, owner, times, attributes
	cut     = use{perms: "w", want: mayWrite, folder: true}
)

// node is what mknod(2) makes of a mode.
func node(mode uint64) use {
	made := spot{st: unix.Statx_t{Mode: uint16(mode)}}
	return use{perms: "w", make: true, only: true, kind: made.kind()}
}

// pathWatcher returns what looks at a call that names files in a way AppArmor
// asks about; nil for others. It does not ask when a file is looked at and not
// into (stat, access, readlink, chdir). Of times and extended attributes it does
// not ask either, but they are written: whoever makes the root read-only has to
// know.
func pathWatcher(name string) watcher {
	first, at := pathArg{noFD, 0}, pathArg{0, 1}
	does := func(a pathArg, follow bool, u use) watcher {
		return func(e *event) { e.touch(a, 0, follow, u) }
	}
	doesAt := func(a pathArg, flags int, u use) watcher { // with AT_* flags
		return func(e *event) {
			e.touch(a, e.n.args[flags], e.n.args[flags]&unix.AT_SYMLINK_NOFOLLOW == 0, u)
		}
	}
	fd := func(u use) watcher { return func(e *event) { e.descriptor(int32(e.n.args[0]), u) } }
	switch name {
	case "open":
		return func(e *event) { e.opened(first, e.n.args[1]) }
	case "creat":
		return func(e *event) { e.opened(first, unix.O_CREAT|unix.O_WRONLY|unix.O_TRUNC) }
	case "openat":
		return func(e *event) { e.opened(at, e.n.args[2]) }
	case "openat2":
		return (*event).openedHow
	case "mkdir":
		return does(first, false, folder)
	case "mkdirat":
		return does(at, false, folder)
	case "mknod":
		return func(e *event) { e.touch(first, 0, false, node(e.n.args[1])) }
	case "mknodat":
		return func(e *event) { e.touch(at, 0, false, node(e.n.args[2])) }
	case "symlink":
		return does(pathArg{noFD, 1}, false, symlink)
	case "symlinkat":
		return does(pathArg{1, 2}, false, symlink)
	case "unlink", "rmdir":
		return does(first, false, gone)
	case "unlinkat":
		return does(at, false, gone)
	case "rename":
		return func(e *event) { e.renamed(first, pathArg{noFD, 1}) }
	case "renameat", "renameat2":
		return func(e *event) { e.renamed(at, pathArg{2, 3}) }
	case "link":
		return func(e *event) { e.linked(first, pathArg{noFD, 1}, 0) }
	case "linkat":
		return func(e *event) { e.linked(at, pathArg{2, 3}, e.n.args[4]) }
	case "chmod", "chown", "chown32", "utime", "utimes", "setxattr", "removexattr":
		return does(first, true, changed)
	case "lchown", "lchown32", "lsetxattr", "lremovexattr":
		return does(first, false, changed)
	case "fchmodat", "futimesat":
		return does(at, true, changed)
	case "setxattrat", "removexattrat":
		return doesAt(at, 2, changed)
	case "fchmodat2", "utimensat", "utimensat_time64":
		return doesAt(at, 3, changed)
	case "fchownat":
		return doesAt(at, 4, changed)
	case "fchmod", "fchown", "fchown32", "fsetxattr", "fremovexattr":
		return fd(changed)
	case "truncate", "truncate64":
		return does(first, true, cut)
	case "ftruncate", "ftruncate64", "fallocate":
		return fd(use{perms: "w"})
	case "flock":
		return func(e *event) {
			if e.n.args[1]&unix.LOCK_UN == 0 {
				e.descriptor(int32(e.n.args[0]), use{perms: "k"})
			}
		}
	case "fcntl", "fcntl64":
		return (*event).locked
	case "swapon", "acct":
		return does(first, true, use{perms: "w", want: mayWrite})
	}
	return nil
}
