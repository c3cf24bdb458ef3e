package abi_test

import (
	"bytes"
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// setters and removers of extended attributes, with where their path is.
const (
	setters  = "setxattr lsetxattr fsetxattr setxattrat"
	removers = "removexattr lremovexattr fremovexattr removexattrat"
	getters  = "getxattr lgetxattr fgetxattr getxattrat"
	listers  = "listxattr llistxattr flistxattr listxattrat"
)

func attributeExercises() []exercise {
	acl := posixACL()
	caps := words(0x02000001, 1, 0, 0, 0)
	return []exercise{
		{calls: setters, cap: "CAP_FOWNER", run: func(p *probe) error {
			return p.setXattr(p.file("f", other, 0o666), "system.posix_acl_access", acl)
		}},
		{calls: removers, cap: "CAP_FOWNER", run: func(p *probe) error {
			path := p.file("f", other, 0o666)
			must(unix.Setxattr(path, "system.posix_acl_access", acl, 0))
			return p.removeXattr(path, "system.posix_acl_access")
		}},
		{calls: setters, cap: "CAP_SETFCAP", run: func(p *probe) error {
			return p.setXattr(p.file("f", 0, 0o666), "security.capability", caps)
		}},
		{calls: removers, cap: "CAP_SETFCAP", run: func(p *probe) error {
			path := p.file("f", 0, 0o666)
			must(unix.Setxattr(path, "security.capability", caps, 0))
			return p.removeXattr(path, "security.capability")
		}},
		{calls: setters, cap: "CAP_SYS_ADMIN", run: func(p *probe) error {
			return p.setXattr(p.file("f", 0, 0o666), "trusted.probe", []byte("x"))
		}},
		{calls: removers, cap: "CAP_SYS_ADMIN", run: func(p *probe) error { return p.removeXattr(p.trusted(), "trusted.probe") }},
		{calls: getters, cap: "CAP_SYS_ADMIN", deny: []error{unix.ENODATA}, run: func(p *probe) error { return p.getXattr(p.trusted(), "trusted.probe") }},
		{calls: listers, cap: "CAP_SYS_ADMIN", run: func(p *probe) error {
			list, err := p.listXattr(p.trusted())
			if err != nil {
				return err
			}
			return lost(bytes.Contains(list, []byte("trusted.probe")))
		}},
		{calls: setters + " " + removers + " lsm_set_self_attr", cap: "CAP_MAC_ADMIN", none: "no kernel here has the Smack module"},
		{calls: "file_setattr", cap: "CAP_FOWNER", run: func(p *probe) error {
			p.tmpfs()
			return p.call(at, p.file("f", other, 0o666), fileAttributes(0x80), 24, 0)
		}},
		{calls: "file_setattr", cap: "CAP_LINUX_IMMUTABLE", run: func(p *probe) error {
			p.tmpfs()
			return p.call(at, p.file("f", 0, 0o666), fileAttributes(0x8), 24, 0)
		}},
		{calls: setters, cap: "CAP_DAC_OVERRIDE", run: func(p *probe) error {
			return p.setXattr(p.file("f", other, 0o644), "user.probe", []byte("x"))
		}},
		{calls: removers, cap: "CAP_DAC_OVERRIDE", run: func(p *probe) error {
			path := p.file("f", other, 0o644)
			must(unix.Setxattr(path, "user.probe", []byte("x"), 0))
			return p.removeXattr(path, "user.probe")
		}},
		{calls: "setxattr lsetxattr setxattrat", cap: "CAP_DAC_READ_SEARCH", run: func(p *probe) error {
			return p.setXattr(p.hidden(), "user.probe", []byte("x"))
		}},
		{calls: "removexattr lremovexattr removexattrat", cap: "CAP_DAC_READ_SEARCH", run: func(p *probe) error {
			return p.removeXattr(p.hidden(), "user.probe")
		}},
		{calls: "getxattr lgetxattr getxattrat", cap: "CAP_DAC_READ_SEARCH", run: func(p *probe) error {
			return p.getXattr(p.hidden(), "user.probe")
		}},
		{calls: "listxattr llistxattr listxattrat", cap: "CAP_DAC_READ_SEARCH", run: func(p *probe) error {
			_, err := p.listXattr(p.hidden())
			return err
		}},
	}
}

// trusted makes a file with an attribute that only the privileged see.
func (p *probe) trusted() string {
	path := p.file("f", 0, 0o666)
	must(unix.Setxattr(path, "trusted.probe", []byte("x"), 0))
	return path
}

// fileAttributes is a struct file_attr: include/uapi/linux/fs.h.
func fileAttributes(flags uint64) []byte {
	return append(binary.NativeEndian.AppendUint64(nil, flags), make([]byte, 16)...)
}

// xattrArgs is a struct xattr_args: include/uapi/linux/xattr.h.
func (p *probe) xattrArgs(value []byte) []byte {
	p.pinned = append(p.pinned, value)
	b := binary.NativeEndian.AppendUint64(nil, uint64(p.registers([]any{value})[0]))
	b = binary.NativeEndian.AppendUint32(b, uint32(len(value)))
	return binary.NativeEndian.AppendUint32(b, 0)
}

// onFile is the first argument of the calls that take a path or a descriptor.
func (p *probe) onFile(path string) any {
	if p.row.Syscall[0] == 'f' {
		return p.open(path, unix.O_RDONLY)
	}
	return path
}

func (p *probe) setXattr(path, name string, value []byte) error {
	if p.row.Syscall == "setxattrat" {
		return p.call(at, path, 0, name, p.xattrArgs(value), 16)
	}
	return p.call(p.onFile(path), name, value, len(value), 0)
}

func (p *probe) removeXattr(path, name string) error {
	if p.row.Syscall == "removexattrat" {
		return p.call(at, path, 0, name)
	}
	return p.call(p.onFile(path), name)
}

func (p *probe) getXattr(path, name string) error {
	value := make([]byte, 64)
	if p.row.Syscall == "getxattrat" {
		return p.call(at, path, 0, name, p.xattrArgs(value), 16)
	}
	return p.call(p.onFile(path), name, value, len(value))
}

func (p *probe) listXattr(path string) ([]byte, error) {
	list := make([]byte, 1024)
	if p.row.Syscall == "listxattrat" {
		return list, p.call(at, path, 0, list, len(list))
	}
	return list, p.call(p.onFile(path), list, len(list))
}

// posixACL is an access control list that says what mode 0666 says:
// include/uapi/linux/posix_acl_xattr.h.
func posixACL() []byte {
	b := binary.LittleEndian.AppendUint32(nil, 2)
	for _, tag := range []uint16{1, 4, 0x20} { // the owner, the group, others
		b = binary.LittleEndian.AppendUint16(b, tag)
		b = binary.LittleEndian.AppendUint16(b, 6)
		b = binary.LittleEndian.AppendUint32(b, 1<<32-1)
	}
	return b
}
