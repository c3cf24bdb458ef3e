package abi

import (
	"encoding/binary"
	"fmt"
)

// FileCapabilities are the capabilities that execve(2) gives a program because
// of its file: the extended attribute security.capability, see capabilities(7).
// Sets have bit n for capability n.
type FileCapabilities struct {
	Revision    uint8 // 1 to 3: VFS_CAP_REVISION_1 …
	Permitted   uint64
	Inheritable uint64
	Effective   bool   // what becomes permitted is effective too: getcap's "e"
	RootID      uint32 // the user that is root where they count; 0 before revision 3
}

// Bits of the first word, and the size that each revision has:
// include/uapi/linux/capability.h.
const (
	vfsCapEffective     = 0x000001
	vfsCapRevisionShift = 24
)

var vfsCapSizes = map[uint8]int{1: 12, 2: 20, 3: 24}

// ParseFileCapabilities decodes an attribute as the kernel stores it and
// archives carry it: little-endian on every machine. It takes what
// get_vfs_caps_from_disk in security/commoncap.c takes: a known revision with
// its exact size; unknown flags beside it mean nothing. Bits that no capability
// has yet are kept, for a newer kernel may know them.
func ParseFileCapabilities(attr []byte) (FileCapabilities, error) {
	if len(attr) < 4 {
		return FileCapabilities{}, fmt.Errorf("security.capability: %d bytes, too short for its first word", len(attr))
	}
	magic := binary.LittleEndian.Uint32(attr)
	revision := uint8(magic >> vfsCapRevisionShift)
	size, ok := vfsCapSizes[revision]
	if !ok {
		return FileCapabilities{}, fmt.Errorf("security.capability: revision %d, which is none of 1, 2 and 3", revision)
	}
	if len(attr) != size {
		return FileCapabilities{}, fmt.Errorf("security.capability: %d bytes, where revision %d has %d", len(attr), revision, size)
	}
	c := FileCapabilities{Revision: revision, Effective: magic&vfsCapEffective != 0}
	word := func(i int) uint64 { return uint64(binary.LittleEndian.Uint32(attr[4*i:])) }
	c.Permitted, c.Inheritable = word(1), word(2)
	if revision > 1 {
		c.Permitted |= word(3) << 32
		c.Inheritable |= word(4) << 32
	}
	if revision == 3 {
		c.RootID = binary.LittleEndian.Uint32(attr[20:])
	}
	return c, nil
}

// CapabilityNames returns the names of a set that has bit n for capability n,
// by number, and the bits that the table has no name for.
func CapabilityNames(set uint64) (names []string, unknown uint64) {
	for nr, name := range capabilities {
		if set&(1<<nr) != 0 {
			names = append(names, name)
			set &^= 1 << nr
		}
	}
	return names, set
}
