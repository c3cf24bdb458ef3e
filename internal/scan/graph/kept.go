package graph

import (
	"encoding/binary"

	"github.com/profgen/profgen/internal/scan/insn"
)

// kept is what leads out of a function: its branches, the slots that it calls
// through, and the addresses that it refers to, in this order and each in the
// order in which they are followed. A program has some millions of them, of which
// each is looked at once, so they are packed: numbers of variable length, each
// the distance from the one before.
type kept []byte

// pack packs what leads out of a function that begins at start.
func pack(start uint64, branches []insn.Branch, slots []insn.SlotUse, refs []insn.Ref) kept {
	if len(branches)+len(slots)+len(refs) == 0 {
		return nil
	}
	b := make([]byte, 0, 3+5*len(branches)+5*len(slots)+7*len(refs))
	b = binary.AppendUvarint(b, uint64(len(branches)))
	site := start
	for _, v := range branches {
		b = binary.AppendVarint(b, int64(v.Site-site))
		b = binary.AppendVarint(b, int64(v.Target-v.Site))
		site = v.Site
	}
	b, site = binary.AppendUvarint(b, uint64(len(slots))), start
	for _, v := range slots {
		b = binary.AppendVarint(b, int64(v.Site-site))
		b = binary.AppendVarint(b, int64(v.Slot-v.Site))
		site = v.Site
	}
	b = binary.AppendUvarint(b, uint64(len(refs)))
	for _, v := range refs {
		b = binary.AppendUvarint(b, v.Site-start)
		b = binary.AppendVarint(b, int64(v.Addr-v.Site))
		b = binary.AppendUvarint(b, uint64(v.Size)<<2|uint64(v.Access))
	}
	if cap(b)-len(b) > len(b)/8 {
		b = append(make(kept, 0, len(b)), b...)
	}
	return b
}

// unpack calls the functions with what was packed; end is called behind the
// branches.
func (k kept) unpack(start uint64, branch func(site, to uint64), end func(), slot func(site, to uint64), ref func(insn.Ref)) {
	if len(k) == 0 {
		end()
		return
	}
	k.pairs(start, branch)
	end()
	k.pairs(start, slot)
	for range k.number() {
		r := insn.Ref{Site: start + k.number()}
		r.Addr = r.Site + k.signed()
		v := k.number()
		r.Access, r.Size = insn.Access(v&3), uint16(v>>2)
		ref(r)
	}
}

func (k *kept) pairs(site uint64, f func(site, to uint64)) {
	for range k.number() {
		site += k.signed()
		f(site, site+k.signed())
	}
}

func (k *kept) number() uint64 {
	v, n := binary.Uvarint(*k)
	*k = (*k)[n:]
	return v
}

func (k *kept) signed() uint64 {
	v, n := binary.Varint(*k)
	*k = (*k)[n:]
	return uint64(v)
}
