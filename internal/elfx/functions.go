package elfx

import (
	"cmp"
	"debug/elf"
	"slices"
	"strings"
)

// functions gathers the functions of all sources. Of two that begin at the same
// address the one with the better known extent stays: unwind information
// before pclntab before symbols.
func (p *parser) functions() {
	all := p.unwound()
	p.f.pcln = p.findPCLNTab()
	if p.f.pcln != nil {
		all = append(all, p.f.pcln.functions()...)
	}
	for _, list := range [][]Symbol{p.f.Locals, p.f.Symbols} {
		for i := range list {
			s := &list[i]
			if !s.Defined || s.Value == 0 || s.Type != elf.STT_FUNC && s.Type != elf.STT_GNU_IFUNC {
				continue
			}
			p.f.names[s.Value] = s.Name
			end := s.Value + s.Size
			if end < s.Value {
				end = s.Value
			}
			all = append(all, Function{s.Value, end, Sym})
		}
	}
	all = slices.DeleteFunc(all, func(f Function) bool { return !p.code(f.Start) })
	slices.SortFunc(all, func(a, b Function) int {
		if a.Start != b.Start {
			return cmp.Compare(a.Start, b.Start)
		}
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(b.End, a.End))
	})
	p.f.Functions = slices.CompactFunc(all, func(a, b Function) bool { return a.Start == b.Start })
	p.close()
	p.cover()
}

// rank orders sources by how well they know the end of a function.
func rank(f Function) int {
	switch {
	case f.Source == Go:
		return 0 // its calling convention matters more than its end
	case f.Source == FDE:
		return 1
	}
	return 2
}

// code reports whether an address is in code that is not a linkage table.
func (p *parser) code(addr uint64) bool {
	s := p.f.Section(addr)
	return s != nil && s.Exec && !strings.HasPrefix(s.Name, ".plt") && addr-s.Addr < uint64(len(s.Data))
}

// close ends every function where the next one begins, or its section ends.
func (p *parser) close() {
	for i := range p.f.Functions {
		f := &p.f.Functions[i]
		s := p.f.Section(f.Start)
		next := s.Addr + uint64(len(s.Data))
		if i+1 < len(p.f.Functions) {
			next = min(next, p.f.Functions[i+1].Start)
		}
		if f.End <= f.Start || f.End > next {
			if f.End <= f.Start && f.Source == Sym {
				// Assembly without a size: known to begin, not to reach so far.
				f.Source = Sym
			}
			f.End = next
		}
	}
}

// cover computes how much of each section is known.
func (p *parser) cover() {
	for i := range p.f.Sections {
		s := &p.f.Sections[i]
		if !s.Exec || s.Size == 0 {
			continue
		}
		at, _ := slices.BinarySearchFunc(p.f.Functions, s.Addr, func(f Function, a uint64) int { return cmp.Compare(f.Start, a) })
		var n uint64
		for ; at < len(p.f.Functions) && p.f.Functions[at].Start < s.Addr+s.Size; at++ {
			if f := p.f.Functions[at]; f.Source != Sym {
				n += f.End - f.Start
			}
		}
		s.Coverage = float64(n) / float64(s.Size)
	}
}

// reader reads a little-endian structure. Past the end it gives zeros and is
// not ok any more.
type reader struct {
	b   []byte
	at  int
	bad bool
}

func (r *reader) take(n int) []byte {
	if n < 0 || n > len(r.b)-r.at {
		r.bad = true
		r.at = len(r.b)
		return make([]byte, min(max(n, 0), 16))
	}
	out := r.b[r.at : r.at+n]
	r.at += n
	return out
}

func (r *reader) u8() byte    { return r.take(1)[0] }
func (r *reader) u16() uint16 { return le.Uint16(r.take(2)) }
func (r *reader) u32() uint32 { return le.Uint32(r.take(4)) }
func (r *reader) u64() uint64 { return le.Uint64(r.take(8)) }

func (r *reader) uleb() uint64 {
	var v uint64
	for shift := uint(0); ; shift += 7 {
		b := r.u8()
		if shift < 64 {
			v |= uint64(b&0x7f) << shift
		}
		if b&0x80 == 0 || r.bad {
			return v
		}
	}
}

func (r *reader) cstring() string {
	s := str(r.b, uint64(r.at))
	r.take(len(s) + 1)
	return s
}
