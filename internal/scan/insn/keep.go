package insn

import "encoding/binary"

// Append appends what the sweep found to b, in a form that Recall reads. addr is
// where the function lies.
func (s *Sweep) Append(b []byte, addr uint64) []byte {
	flags := bit(s.FallsThrough) | bit(s.Cut)<<1
	for _, n := range []uint64{flags, uint64(s.Insts), uint64(s.Bad), uint64(s.TableLimit + 1)} {
		b = binary.AppendUvarint(b, n)
	}
	b = binary.AppendUvarint(b, uint64(len(s.Branches)))
	site := addr
	for _, v := range s.Branches {
		b = delta(binary.AppendUvarint(b, (v.Site-site)<<1|bit(v.Call)), v.Target, v.Site)
		site = v.Site
	}
	b, site = binary.AppendUvarint(b, uint64(len(s.Slots))), addr
	for _, v := range s.Slots {
		b = delta(binary.AppendUvarint(b, (v.Site-site)<<1|bit(v.Call)), v.Slot, v.Site)
		site = v.Site
	}
	b, site = binary.AppendUvarint(b, uint64(len(s.Refs))), addr
	for _, v := range s.Refs {
		b = delta(binary.AppendUvarint(b, (v.Site-site)<<2|uint64(v.Access)), v.Addr, v.Site)
		b = binary.AppendUvarint(b, uint64(v.Size))
		site = v.Site
	}
	b, site = binary.AppendUvarint(b, uint64(len(s.Indirect))), addr
	for _, v := range s.Indirect {
		b = binary.AppendUvarint(b, (v.Site-site)<<1|bit(v.Call))
		site = v.Site
	}
	for _, list := range [][]uint64{s.Syscalls, s.Legacy} {
		b, site = binary.AppendUvarint(b, uint64(len(list))), addr
		for _, v := range list {
			b = binary.AppendUvarint(b, v-site)
			site = v
		}
	}
	return b
}

func bit(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// delta appends an address as its distance from another.
func delta(b []byte, v, from uint64) []byte { return binary.AppendVarint(b, int64(v-from)) }

// Recall refills s with what Append wrote of a function at addr, as Sweep would.
// It reports whether b is such a record, and nothing else.
func (s *Sweep) Recall(b []byte, addr uint64) bool {
	s.reset()
	r := &recalling{b: b}
	flags := r.number()
	s.FallsThrough, s.Cut = flags&1 != 0, flags&2 != 0
	s.Insts, s.Bad, s.TableLimit = int(r.number()), int(r.number()), int64(r.number())-1
	site := addr
	for range r.count() {
		v := r.number()
		site += v >> 1
		s.Branches = append(s.Branches, Branch{site, site + r.signed(), v&1 != 0})
	}
	site = addr
	for range r.count() {
		v := r.number()
		site += v >> 1
		s.Slots = append(s.Slots, SlotUse{site, site + r.signed(), v&1 != 0})
	}
	site = addr
	for range r.count() {
		v := r.number()
		site += v >> 2
		s.Refs = append(s.Refs, Ref{Site: site, Addr: site + r.signed(), Access: Access(v & 3), Size: uint16(r.number())})
	}
	site = addr
	for range r.count() {
		v := r.number()
		site += v >> 1
		s.Indirect = append(s.Indirect, Indirect{site, v&1 != 0})
	}
	for _, list := range []*[]uint64{&s.Syscalls, &s.Legacy} {
		site = addr
		for range r.count() {
			site += r.number()
			*list = append(*list, site)
		}
	}
	return !r.bad && len(r.b) == 0
}

// recalling reads a record. Behind its end there are zeros.
type recalling struct {
	b   []byte
	bad bool
}

func (r *recalling) number() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.b, r.bad = nil, true
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *recalling) signed() uint64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.b, r.bad = nil, true
		return 0
	}
	r.b = r.b[n:]
	return uint64(v)
}

// count is how many of something follow: no more than there are bytes.
func (r *recalling) count() int {
	n := r.number()
	if n > uint64(len(r.b)) {
		r.b, r.bad = nil, true
		return 0
	}
	return int(n)
}
