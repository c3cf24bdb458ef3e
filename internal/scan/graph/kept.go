package graph

import (
	"encoding/binary"

	"github.com/profgen/profgen/internal/scan/insn"
)

// kept is what leads out of a function: its branches, the slots that it calls
// through, and the addresses that it refers to, in this order and each in the
// order in which they are followed. A program has some millions of them, of which
// each is looked at once, so they are packed: numbers of variable length, each
// site as the distance from the one before.
//
// What they lead to is looked up before, on all processors: who follows them, on
// one, need not search.
type kept []byte

// lead is one thing that leads out of a function.
type lead struct {
	site uint64
	way  way
	to   uint64 // an address, Func.id, or an index of slots or extents
	n    int    // how many of those from there
}

// way is how a lead leads out, and what to is.
type way uint8

const (
	callsCode    way = iota // the address of code of which no function is known to begin there
	callsFunc               // a function
	callsSlot               // what a slot holds; n is 0
	takesAddress            // the address of anything
	takesFunc               // a function
	takesExtents            // n extents
	readsSlots              // n slots
	wayBits      = 3
)

// packer makes a kept.
type packer struct {
	out  kept
	site uint64
}

func (k *packer) add(l lead) {
	k.out = binary.AppendVarint(k.out, int64(l.site-k.site)<<wayBits|int64(l.way))
	k.site = l.site
	if l.way == callsCode || l.way == takesAddress {
		k.out = binary.AppendVarint(k.out, int64(l.to-l.site))
		return
	}
	k.out = binary.AppendUvarint(k.out, l.to)
	if l.way == takesExtents || l.way == readsSlots {
		k.out = binary.AppendUvarint(k.out, uint64(l.n))
	}
}

// lead takes the first lead off, and moves site from that of the one before.
func (k *kept) lead(site *uint64) lead {
	v := k.signed()
	*site += uint64(v >> wayBits)
	l := lead{site: *site, way: way(v & (1<<wayBits - 1))}
	if l.way == callsCode || l.way == takesAddress {
		l.to = l.site + uint64(k.signed())
		return l
	}
	l.to = k.number()
	if l.way == takesExtents || l.way == readsSlots {
		l.n = int(k.number())
	}
	return l
}

func (k *kept) number() uint64 {
	v, n := binary.Uvarint(*k)
	*k = (*k)[n:]
	return v
}

func (k *kept) signed() int64 {
	v, n := binary.Varint(*k)
	*k = (*k)[n:]
	return v
}

// pack packs what leads out of a function that begins at start: the number of
// branches, these, and the rest.
func (c *Code) pack(start uint64, s *insn.Sweep) kept {
	n := len(s.Branches) + len(s.Slots) + len(s.Refs)
	if n == 0 {
		return nil
	}
	k := packer{make([]byte, 0, 3+5*n), start}
	branches := uint64(0)
	for _, v := range s.Branches {
		if l, ok := c.leadTo(v.Site, v.Target); ok {
			branches++
			k.add(l)
		}
	}
	for _, v := range s.Slots {
		if l, ok := c.leadThrough(v.Site, v.Slot); ok {
			k.add(l)
		}
	}
	for _, v := range s.Refs {
		if l, ok := c.refer(v); ok {
			k.add(l)
		}
	}
	if len(k.out) == 0 {
		return nil
	}
	return append(binary.AppendUvarint(make(kept, 0, len(k.out)+binary.MaxVarintLen32), branches), k.out...)
}

// leadTo is a call or jump from site to an address; false if it leads nowhere.
func (c *Code) leadTo(site, to uint64) (lead, bool) {
	if slot, ok := c.pltSlot(to); ok {
		return c.leadThrough(site, slot)
	}
	if i, ok := c.search(to); ok {
		return lead{site: site, way: callsFunc, to: uint64(c.funcs[i].id)}, true
	}
	return lead{site: site, way: callsCode, to: to}, true
}

// leadThrough is a call or jump through the slot at an address.
func (c *Code) leadThrough(site, addr uint64) (lead, bool) {
	i := c.slotFrom(addr)
	return lead{site: site, way: callsSlot, to: uint64(i)}, i < len(c.slots) && c.slots[i].Offset == addr
}

// refer is the lead that a reference is; false if it is to nothing that holds
// addresses.
func (c *Code) refer(r insn.Ref) (lead, bool) {
	if r.Access != insn.Address {
		i, j := c.slotsIn(r.Addr, uint64(r.Size))
		return lead{r.Site, readsSlots, uint64(i), j - i}, i < j
	}
	sec := c.File.Section(r.Addr)
	switch {
	case sec == nil:
		return lead{}, false
	case sec.Exec && !isPLT(sec):
		if i, ok := c.search(r.Addr); ok {
			return lead{site: r.Site, way: takesFunc, to: uint64(c.funcs[i].id)}, true
		}
	case !sec.Exec && !isGOT(sec):
		from, to := c.extentsAt(r.Addr)
		return lead{r.Site, takesExtents, uint64(from), to - from}, from < to
	}
	return lead{site: r.Site, way: takesAddress, to: r.Addr}, true
}

// slotsIn returns the range of c.slots of which bytes are in size bytes at addr.
func (c *Code) slotsIn(addr, size uint64) (from, to int) {
	from = c.slotFrom(addr - min(addr, 7))
	for to = from; to < len(c.slots) && c.slots[to].Offset < addr+size; to++ {
	}
	return from, to
}
