//go:build linux && (amd64 || arm64)

package usernotif

import (
	"encoding/binary"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/abi"
)

// mountFlags are the flags of mount(2) as apparmor.d(5) spells them.
var mountFlags = []struct {
	flag uint64
	name string
}{
	{unix.MS_RDONLY, "ro"}, {unix.MS_NOSUID, "nosuid"}, {unix.MS_NODEV, "nodev"}, {unix.MS_NOEXEC, "noexec"},
	{unix.MS_SYNCHRONOUS, "sync"}, {unix.MS_REMOUNT, "remount"}, {unix.MS_MANDLOCK, "mand"}, {unix.MS_DIRSYNC, "dirsync"},
	{unix.MS_NOSYMFOLLOW, "nosymfollow"}, {unix.MS_NOATIME, "noatime"}, {unix.MS_NODIRATIME, "nodiratime"}, {unix.MS_BIND, "bind"}, {unix.MS_MOVE, "move"},
	{unix.MS_SILENT, "silent"}, {unix.MS_UNBINDABLE, "unbindable"}, {unix.MS_PRIVATE, "private"}, {unix.MS_SLAVE, "slave"},
	{unix.MS_SHARED, "shared"}, {unix.MS_RELATIME, "relatime"}, {unix.MS_I_VERSION, "iversion"}, {unix.MS_STRICTATIME, "strictatime"},
	{unix.MS_POSIXACL, "acl"}, {unix.MS_LAZYTIME, "lazytime"},
}

// watchMount notes a change of the tree of mounts.
func watchMount(e *event) {
	if e.phase < started {
		return
	}
	m := evidence.Mount{Op: e.name, Phase: e.phase.evidence(), Basis: evidence.Observed}
	switch e.name {
	case "mount":
		e.mountOf(&m)
	case "umount", "umount2":
		e.target(&m.Target, pathArg{noFD, 0})
	case "pivot_root":
		e.target(&m.Target, pathArg{noFD, 0})
		e.target(&m.Source, pathArg{noFD, 1})
	case "move_mount":
		e.target(&m.Source, pathArg{0, 1})
		e.target(&m.Target, pathArg{2, 3})
	case "mount_setattr":
		e.target(&m.Target, pathArg{0, 1})
	case "fsopen":
		m.FSType, _ = e.text(e.n.args[0], 40)
	}
	if !valid(e.fd, e.n) {
		return
	}
	if len(e.r.seen.mounts) >= maxFacts {
		e.r.loss.facts++
		return
	}
	e.r.seen.mounts[fmt.Sprintf("%q", m)] = m
}

// mountOf fills in what mount(2) is given.
func (e *event) mountOf(m *evidence.Mount) {
	flags := e.n.args[3]
	if flags&0xffff0000 == 0xc0ed0000 { // MS_MGC_VAL: from before Linux 2.4
		flags &^= 0xffff0000
	}
	for _, f := range mountFlags {
		if flags&f.flag != 0 {
			m.Flags = append(m.Flags, f.name)
		}
	}
	if flags&unix.MS_REC != 0 { // is a letter before another
		for i, name := range m.Flags {
			if slices.Contains([]string{"bind", "unbindable", "private", "slave", "shared"}, name) {
				m.Flags[i] = "r" + name
			}
		}
	}
	slices.Sort(m.Flags)
	e.target(&m.Target, pathArg{noFD, 1})
	const propagation = unix.MS_UNBINDABLE | unix.MS_PRIVATE | unix.MS_SLAVE | unix.MS_SHARED
	if flags&(unix.MS_BIND|unix.MS_MOVE) != 0 && flags&unix.MS_REMOUNT == 0 {
		e.target(&m.Source, pathArg{noFD, 0})
		return
	}
	if flags&(propagation|unix.MS_REMOUNT) != 0 || e.n.args[2] == 0 {
		return
	}
	m.FSType, _ = e.text(e.n.args[2], 40)
	if source, ok := e.text(e.n.args[0], pathMax); ok && len(source) > 0 && source[0] == '/' {
		e.target(&m.Source, pathArg{noFD, 0})
	}
}

// target resolves a path into p.
func (e *event) target(p *evidence.Path, a pathArg) {
	e.named(a, 0, func(v view, name string) {
		if s, ok := v.resolve(name, true); ok {
			*p = evidence.Path(s.path)
		}
	})
}

// watchAddress notes a use of a unix socket that has a name in the file system:
// connect(2) and bind(2) have its address in arguments 1 and 2, sendto(2) in 4 and
// 5, sendmsg(2) behind argument 1.
func watchAddress(e *event) {
	addr, size := e.n.args[1], e.n.args[2]
	switch e.name {
	case "sendto":
		addr, size = e.n.args[4], e.n.args[5]
	case "sendmsg": // struct msghdr begins with them
		var head [16]byte
		word := e.word()
		if !e.read(addr, head[:2*word]) {
			return
		}
		addr, size = binary.NativeEndian.Uint64(head[:]), binary.NativeEndian.Uint64(head[8:])
		if word == 4 {
			addr, size = uint64(binary.NativeEndian.Uint32(head[:])), uint64(binary.NativeEndian.Uint32(head[4:]))
		}
	}
	if addr != 0 {
		e.address(e.name == "bind", addr, size)
	}
}

// address notes the use of the address at addr.
func (e *event) address(bound bool, addr, size uint64) {
	const family = 2 // bytes, before the path
	raw := make([]byte, min(int(uint32(size)), family+108))
	if len(raw) <= family || !e.read(addr, raw) || binary.NativeEndian.Uint16(raw) != unix.AF_UNIX || raw[family] == 0 {
		return
	}
	v, ok := e.view()
	if !ok {
		return
	}
	defer v.close()
	name, ok := v.at(unix.AT_FDCWD, unix.ByteSliceToString(raw[family:]))
	if !ok {
		return
	}
	u := use{perms: "rw", want: mayWrite}
	if bound {
		u = use{perms: "w", make: true, only: true, kind: evidence.UnixNode}
	}
	v.use(name, true, u)
}

// word reads an unsigned long of the ABI that the call came in through.
func (e *event) word() int {
	if e.arch == abi.X86 || e.arch == abi.ARM {
		return 4
	}
	return 8
}
