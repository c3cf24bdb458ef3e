//go:build linux && (amd64 || arm64)

package ebpf

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/profgen/profgen/gen/evidence"
)

// addNames takes in a call that named one file or two.
func (u *usage) addNames(e *event, r *root) {
	call, _ := e.Call.arch().Name(e.Call.Nr)
	first, ok := r.resolve(e, name0, base0, follows(call, 0, e.Arg))
	second, twoOK := found{}, true
	if e.Len[name1] > 0 {
		second, twoOK = r.resolve(e, name1, base1, follows(call, 1, e.Arg))
	}
	if !ok || !twoOK {
		u.unresolved++
	}
	if e.Error == 0 {
		u.succeeded(call, e.Arg, &first, &second)
	}
	if strings.HasPrefix(call, "link") {
		second.target = first.path
	}
	if !first.none {
		u.addUse(e, first, u.failedOpen(call, e))
	}
	if !second.none {
		u.addUse(e, second, e.Perms[1])
	}
}

// succeeded adds what a call's success says of the files that it named.
func (u *usage) succeeded(call string, flags uint64, first, second *found) {
	switch call {
	case "mkdir", "mkdirat":
		first.mode, first.created = unix.S_IFDIR, true
	case "symlink", "symlinkat":
		first.mode, first.created = unix.S_IFLNK, true
	case "mknod", "mknodat":
		first.created = true
	case "rmdir":
		first.mode = unix.S_IFDIR
	case "unlinkat":
		if flags&unix.AT_REMOVEDIR != 0 {
			first.mode = unix.S_IFDIR
		}
	case "link", "linkat":
		second.created = true
		second.mounted = second.mounted || u.files[first.path].onMount()
	case "rename", "renameat", "renameat2":
		second.created = u.files[second.path].origin == unknownOrigin
		second.mounted = second.mounted || u.files[first.path].onMount()
		if first.mode == 0 { // it has the other name now
			first.mode, first.uid, first.hasUID = second.mode, second.uid, second.hasUID
		}
	}
}

// failedOpen returns the permissions that a call asked for its first file; of an
// open that failed, they are in its flags.
func (u *usage) failedOpen(call string, e *event) uint8 {
	if !strings.HasPrefix(call, "open") && call != "creat" {
		return e.Perms[0]
	}
	bits := perms("r")
	switch e.Arg & unix.O_ACCMODE {
	case unix.O_WRONLY:
		bits = perms("w")
	case unix.O_RDWR:
		bits = perms("rw")
	}
	if e.Arg&(unix.O_CREAT|unix.O_TRUNC) != 0 {
		bits |= perms("w")
	}
	return bits
}

// follows reports whether a call follows a symbolic link that its first (0) or
// second name ends in: path_resolution(7) and the calls' own pages.
func follows(call string, which int, flags uint64) bool {
	switch call {
	case "unlink", "unlinkat", "rmdir", "mkdir", "mkdirat", "mknod", "mknodat", "symlink", "symlinkat", "link",
		"rename", "renameat", "renameat2", "lchown", "lchown32", "lsetxattr", "lremovexattr":
		return false
	case "linkat":
		return which == 0 && flags&unix.AT_SYMLINK_FOLLOW != 0
	case "fchmodat2", "fchownat", "utimensat", "utimensat_time64", "setxattrat", "removexattrat", "execveat":
		return flags&unix.AT_SYMLINK_NOFOLLOW == 0
	case "move_mount":
		return false
	case "umount2":
		return flags&unix.UMOUNT_NOFOLLOW == 0
	}
	return !strings.HasPrefix(call, "open") && call != "creat" || flags&unix.O_NOFOLLOW == 0
}

// addMount takes in a change of the tree of mounts.
func (u *usage) addMount(e *event, r *root) {
	call, _ := e.Call.arch().Name(e.Call.Nr)
	m := evidence.Mount{Op: call, FSType: e.parts[fsType], Phase: phases(e.Call.Phase), Basis: evidence.Observed}
	if call == "mount" {
		m.Flags = mountFlags(e.Arg)
	}
	ok := true
	resolve := func(name, base int) evidence.Path {
		f, found := r.resolve(e, name, base, follows(call, name/2, e.Arg))
		ok = ok && found
		return evidence.Path(f.path)
	}
	if e.parts[name1] != "" {
		m.Target = resolve(name1, base1)
	}
	if source := e.parts[name0]; strings.HasPrefix(source, "/") || source != "" && slices.ContainsFunc(m.Flags, namesSource) {
		m.Source = resolve(name0, base0)
	}
	if !ok {
		u.unresolved++
	}
	u.mounts[fmt.Sprintf("%q", m)] = m
}

// mountFlags returns the flags of mount(2) as apparmor.d(5) spells them.
func mountFlags(bits uint64) []string {
	if bits>>16 == 0xc0ed { // MS_MGC_VAL, of old
		bits &= 0xffff
	}
	words := []struct {
		bit  uint64
		word string
	}{
		{unix.MS_RDONLY, "ro"}, {unix.MS_NOSUID, "nosuid"}, {unix.MS_NODEV, "nodev"}, {unix.MS_NOEXEC, "noexec"},
		{unix.MS_SYNCHRONOUS, "sync"}, {unix.MS_REMOUNT, "remount"}, {unix.MS_MANDLOCK, "mand"}, {unix.MS_DIRSYNC, "dirsync"},
		{unix.MS_NOSYMFOLLOW, "nosymfollow"}, {unix.MS_NOATIME, "noatime"}, {unix.MS_NODIRATIME, "nodiratime"},
		{unix.MS_BIND, "bind"}, {unix.MS_MOVE, "move"}, {unix.MS_SILENT, "silent"}, {unix.MS_POSIXACL, "acl"},
		{unix.MS_UNBINDABLE, "unbindable"}, {unix.MS_PRIVATE, "private"}, {unix.MS_SLAVE, "slave"}, {unix.MS_SHARED, "shared"},
		{unix.MS_RELATIME, "relatime"}, {unix.MS_I_VERSION, "iversion"}, {unix.MS_STRICTATIME, "strictatime"}, {unix.MS_LAZYTIME, "lazytime"},
	}
	recursive := []string{"bind", "unbindable", "private", "slave", "shared"}
	var out []string
	for _, w := range words {
		if bits&w.bit == 0 {
			continue
		}
		if bits&unix.MS_REC != 0 && slices.Contains(recursive, w.word) {
			w.word = "r" + w.word
		}
		out = append(out, w.word)
	}
	slices.SortFunc(out, cmp.Compare[string])
	return out
}

// namesSource reports whether a mount with that flag is of a file.
func namesSource(flag string) bool { return flag == "bind" || flag == "rbind" || flag == "move" }
