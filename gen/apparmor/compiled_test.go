package apparmor_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"
)

// compiled is a profile as the kernel gets it, read far enough to ask it what
// the kernel would ask. The format is that of security/apparmor/policy_unpack.c
// and match.c; what a test learns here is what a kernel would do.
type compiled struct {
	caps   uint64
	policy dfa // network and the like, by class
	files  dfa
}

func readCompiled(t testing.TB, blob []byte) compiled {
	t.Helper()
	var c compiled
	var err error
	if c.caps, err = readCaps(blob); err != nil {
		t.Fatal(err)
	}
	first := bytes.Index(blob, []byte("\x00aadfa\x00"))
	second := bytes.LastIndex(blob, []byte("\x00aadfa\x00"))
	if first < 0 || first == second {
		t.Fatal("compiled profile: want two automata, the policy's and the files'")
	}
	if c.policy, err = readDFA(blob[first:]); err != nil {
		t.Fatal(err)
	}
	if c.files, err = readDFA(blob[second:]); err != nil {
		t.Fatal(err)
	}
	return c
}

// readCaps finds the allowed capabilities: four u32 of low words (allow, audit,
// quiet, set) stand before the tag of the struct that has the high ones. Each
// u32 has one byte of type before it.
func readCaps(blob []byte) (uint64, error) {
	tag := []byte("\x04\x07\x00caps64\x00\x07")
	at := bytes.Index(blob, tag)
	if at < 20 {
		return 0, fmt.Errorf("compiled profile: no capabilities")
	}
	low := binary.LittleEndian.Uint32(blob[at-19:])
	high := binary.LittleEndian.Uint32(blob[at+len(tag)+1:])
	return uint64(high)<<32 | uint64(low), nil
}

// dfa is an automaton in its compressed tables; state 1 is the start.
type dfa struct {
	accept, base, def, next, check, class []uint32
}

// readDFA reads the tables that begin at the first magic number in b.
func readDFA(b []byte) (dfa, error) {
	at := bytes.Index(b, []byte{0x1b, 0x5e, 0x78, 0x3d})
	if at < 0 {
		return dfa{}, fmt.Errorf("automaton: no magic number")
	}
	b = b[at:]
	be := binary.BigEndian
	end := int(be.Uint32(b[8:]))
	tables := map[uint16][]uint32{}
	for off := int(be.Uint32(b[4:])); off < end; {
		id, width, n := be.Uint16(b[off:]), int(be.Uint16(b[off+2:])), int(be.Uint32(b[off+8:]))
		data := off + 12
		for i := range n {
			tables[id] = append(tables[id], number(b[data+i*width:], width))
		}
		off = (data + n*width + 7) / 8 * 8 // tables begin at multiples of eight
	}
	return dfa{accept: tables[1], base: tables[2], check: tables[3], def: tables[4], class: tables[5], next: tables[8]}, nil
}

func number(b []byte, width int) uint32 {
	switch width {
	case 1:
		return uint32(b[0])
	case 2:
		return uint32(binary.BigEndian.Uint16(b))
	}
	return binary.BigEndian.Uint32(b)
}

// match returns the permissions of the state that name leads to.
func (d dfa) match(name string) uint32 { return d.accept[d.walk(name)] }

// walk returns the state that name leads to; from 0 there is no way on.
func (d dfa) walk(name string) uint32 {
	const diffEncode = 1 << 31
	state := uint32(1)
	for i := range len(name) {
		class := uint32(name[i])
		if d.class != nil {
			class = d.class[class]
		}
		for {
			pos := d.base[state]&0xffffff + class
			if int(pos) < len(d.check) && d.check[pos] == state {
				state = d.next[pos]
				break
			}
			again := d.base[state]&diffEncode != 0
			state = d.def[state]
			if !again {
				break
			}
		}
	}
	return state
}

// Permissions of files, for the file's owner; those for others are 14 bits up.
const (
	mayExec = 1 << iota
	mayWrite
	mayRead
	mayAppend
	mayLink
	mayLock
	mayMap
)

const forOthers = 14

// may reports whether a process that does not own the file has all of perms.
func (c compiled) may(path string, perms uint32) bool {
	return c.files.match(path)>>forOthers&perms == perms
}

// mayLink reports whether the profile allows a hard link called name to
// target. The kernel asks for the permission twice: of the name, and of the
// pair.
func (c compiled) mayLink(name, target string) bool {
	return c.may(name, mayLink) && c.may(name+"\x00"+target, mayLink)
}

// maySocket reports whether the profile allows sockets of that family and type
// (AF_*, SOCK_*): class AA_CLASS_NET, then both as big-endian 16 bits.
func (c compiled) maySocket(family, kind uint16) bool {
	const classNet = 14
	return c.policy.match(string([]byte{classNet, byte(family >> 8), byte(family), byte(kind >> 8), byte(kind)})) != 0
}
