package insn

import (
	"cmp"
	"encoding/binary"
	"slices"
)

// Bounds of the search for the uses of a page.
const (
	maxPasses   = 16      // over the function; then any page given to a register may be there anywhere
	maxStarts   = 1 << 16 // targets of branches where a page is held; likewise
	maxCombined = 64      // pages that one use is combined with; then all pages are named whole
	maxRefs     = 1 << 16 // of combinations in a function; likewise
)

// armPages pairs ADRP with the instructions that add the rest of the address.
//
// It follows what registers hold through the function: along direct branches,
// from an indirect jump to any instruction (it may be through a table), from a
// call to any code that nothing else leads to (it may catch an exception). A
// page of which the use is not seen is named whole.
type armPages struct {
	addrs []uint64       // the pages
	sites []uint64       // of the first ADRP of each
	index map[uint64]int // in addrs
	given [32]pageSet    // pages that ADRP and moves ever put there
	moves [32]RegSet     // by register, where moves to it come from

	code   []byte
	addr   uint64
	out    *Sweep
	seen   []bool // the page met the rest of an address
	kept   []bool // the page goes where its use cannot be seen
	all    bool   // every page does
	coarse bool   // too many passes or targets: any page may be held there

	combined int // pages tried where any might be held

	now     holdings
	targets bitset               // of branches, by word
	starts  map[uint64]*holdings // what is held there, by offset
	jumps   holdings             // at indirect jumps
	calls   holdings             // after calls
	changed bool
}

// holdings is what registers may hold: nothing of interest, the page with that
// index plus one, or any page given to the register.
type holdings [32]int32

const (
	noPage  int32 = 0
	anyPage int32 = -1
)

// join adds what o holds and reports whether that is new.
func (h *holdings) join(o *holdings) (changed bool) {
	for r := range h {
		if v := joined(h[r], o[r]); v != h[r] {
			h[r], changed = v, true
		}
	}
	return changed
}

func joined(a, b int32) int32 {
	switch {
	case a == b || b == noPage:
		return a
	case a == noPage:
		return b
	}
	return anyPage
}

// pageSet is a set of indexes of pages, sorted; of more than maxCombined only
// that many.
type pageSet []int

func (s *pageSet) add(n int) bool {
	i, found := slices.BinarySearch(*s, n)
	if found || len(*s) > maxCombined {
		return false
	}
	*s = slices.Insert(*s, i, n)
	return true
}

// define notes an ADRP.
func (p *armPages) define(r Reg, page, site uint64) {
	if p.index == nil {
		p.index = map[uint64]int{}
	}
	n, ok := p.index[page]
	if !ok {
		n = len(p.addrs)
		p.index[page] = n
		p.addrs, p.sites = append(p.addrs, page), append(p.sites, site)
	}
	p.given[r].add(n)
}

// resolve appends the Refs of the function's pages to out.
func (p *armPages) resolve(code []byte, addr uint64, out *Sweep) {
	p.code, p.addr = code, addr
	p.seen, p.kept = make([]bool, len(p.addrs)), make([]bool, len(p.addrs))
	p.prepare()
	p.out = out
	for n := 0; ; n++ {
		before := len(out.Refs)
		p.changed, p.combined = false, 0
		if p.coarse = n == maxPasses || len(p.starts) >= maxStarts; p.coarse {
			p.anything(&p.jumps)
			p.anything(&p.calls)
		}
		p.pass()
		if !p.changed || p.coarse {
			break
		}
		out.Refs = out.Refs[:before] // what is held at the targets of branches has changed: again
		clear(p.seen)
		clear(p.kept)
		p.all = false
	}
	for n, page := range p.addrs {
		if !p.seen[n] || p.kept[n] || p.all {
			out.Refs = append(out.Refs, Ref{Site: p.sites[n], Addr: page, Size: 4096})
		}
	}
	slices.SortFunc(out.Refs, func(a, b Ref) int {
		return cmp.Or(cmp.Compare(a.Site, b.Site), cmp.Compare(a.Addr, b.Addr), cmp.Compare(a.Access, b.Access), cmp.Compare(a.Size, b.Size))
	})
	out.Refs = slices.Compact(out.Refs)
}

// prepare finds the targets of branches, and where moves take pages.
func (p *armPages) prepare() {
	p.starts = map[uint64]*holdings{}
	p.targets = newBitset(len(p.code)/4 + 1)
	for off := uint64(0); off+4 <= uint64(len(p.code)); off += 4 {
		w := word(binary.LittleEndian.Uint32(p.code[off:]))
		if target, ok := w.target(p.addr + off); ok && target-p.addr < uint64(len(p.code)) && !armBL.matches(w) {
			p.targets.add((target - p.addr) / 4)
		}
		switch {
		case armMOV.matches(w):
			p.moves[w.rd()] |= Regs(w.rm())
		case armCSEL.matches(w):
			p.moves[w.rd()] |= Regs(w.rm(), w.rn())
		}
	}
	for again := true; again; {
		again = false
		for to := range p.moves {
			again = p.takeGiven(to) || again
		}
	}
}

// takeGiven adds what moves bring to the pages given to a register.
func (p *armPages) takeGiven(to int) (changed bool) {
	for from := range p.given {
		if p.moves[to].Has(Reg(from)) {
			for _, n := range p.given[from] {
				changed = p.given[to].add(n) || changed
			}
		}
	}
	return changed
}

// pass goes through the function once.
func (p *armPages) pass() {
	p.now = holdings{}
	reached := true // by the instruction before
	for off := uint64(0); off+4 <= uint64(len(p.code)); off += 4 {
		w := word(binary.LittleEndian.Uint32(p.code[off:]))
		if !reached {
			p.now = p.calls
		}
		if p.targets.has(off / 4) {
			p.enter(off)
		}
		p.use(p.addr+off, w)
		p.assign(p.addr+off, w)
		reached = p.follow(p.addr+off, w)
	}
}

// enter joins what is held at the target of branches.
func (p *armPages) enter(off uint64) {
	if start := p.starts[off]; start != nil {
		p.now.join(start)
	}
	if p.coarse {
		p.anything(&p.now)
	}
}

// leave notes what is held when control goes to the target of a branch.
func (p *armPages) leave(off uint64) {
	if p.now == (holdings{}) || off >= uint64(len(p.code)) {
		return
	}
	start := p.starts[off]
	if start == nil {
		if len(p.starts) >= maxStarts {
			p.changed = true
			return
		}
		start = &holdings{}
		p.starts[off] = start
	}
	p.changed = start.join(&p.now) || p.changed
}

// anything makes every register hold any page that it ever got.
func (p *armPages) anything(h *holdings) {
	for r := range h {
		if len(p.given[r]) > 0 {
			h[r] = anyPage
		}
	}
}

// follow takes what registers hold to where control goes, and reports whether
// it goes on to the next instruction.
func (p *armPages) follow(site uint64, w word) bool {
	target, direct := w.target(site)
	switch {
	case armBL.matches(w), armBLR.matches(w):
		scratch := 19 // AAPCS64
		if !direct {
			scratch = 1 // it may be a TLS descriptor's, which keeps the others
		}
		clear(p.now[:scratch])
		p.now[lr] = noPage
		p.changed = p.calls.join(&p.now) || p.changed
		p.now.join(&p.calls) // if it does not return, what follows may catch an exception
		return true
	case direct:
		p.leave(target - p.addr)
		return !armB.matches(w)
	case armBR.matches(w):
		p.changed = p.jumps.join(&p.now) || p.changed
		return false
	}
	return !armRET.matches(w) && !armERET.matches(w) && !armBRK.matches(w) && !armUDF.matches(w)
}

// assign notes what an instruction puts into registers. A register whose
// writing is not noticed seems to keep its page: that gives a Ref too many.
func (p *armPages) assign(site uint64, w word) {
	switch {
	case armADRP.matches(w):
		p.now[w.rd()] = int32(p.index[w.address(site)]) + 1
	case armMOV.matches(w):
		p.now[w.rd()] = p.held(w.rm())
	case armCSEL.matches(w):
		p.now[w.rd()] = joined(p.held(w.rn()), p.held(w.rm()))
	case w.setsRd():
		p.now[w.rd()] = noPage
	default:
		a, ok := w.memory()
		if !ok {
			break
		}
		for _, r := range a.regs {
			if a.access == Read && r != NoReg {
				p.now[r] = noPage
			}
		}
		if a.writeback != 0 {
			p.now[a.base] = noPage
		}
	}
	p.now[zr] = noPage // or SP
}

// held is what a register may hold here, be it by an indirect jump.
func (p *armPages) held(r Reg) int32 { return joined(p.now[r], p.jumps[r]) }

// setsRd reports that the instruction gives Rd a value that has nothing of the
// old one: data processing, and LDR (literal) of a general register.
func (w word) setsRd() bool {
	switch w >> 24 & 0x1f {
	case 0x0a, 0x0b, 0x10, 0x11, 0x1b:
		return true
	case 0x12: // not MOVK
		return !armMOVW.matches(w) || w.field(29, 2) != 3
	case 0x13: // not BFM
		return w.field(23, 1) == 1 || w.field(29, 2) != 1
	case 0x1a: // not the conditional comparisons
		return w.field(29, 1) == 0
	case 0x18: // not a prefetch
		return armLit.matches(w) && w.field(30, 2) != 3
	}
	return false
}

// use notes the Refs of an instruction that uses a page.
func (p *armPages) use(site uint64, w word) {
	a, isAccess := w.memory()
	switch {
	case armADDI.matches(w):
		p.ref(w.rn(), Ref{Site: site, Addr: uint64(w.immediate())})
	case isAccess:
		p.ref(a.base, Ref{site, uint64(a.offset), a.access, uint16(a.size)})
		if a.access == Write {
			p.keep(a.regs[:]...)
		}
		if a.writeback != 0 {
			p.keep(a.base)
		}
	case armExcl.matches(w), armLSE.matches(w), armVec.matches(w):
		p.ref(w.rn(), Ref{site, 0, ReadWrite, 64})
		p.keep(w.rd(), w.rm(), w.ra())
	case armMOV.matches(w), armCSEL.matches(w), armADR.matches(w), armADRP.matches(w), armLit.matches(w):
	default:
		p.escape(w)
	}
}

// escape notes the pages that an instruction reads for another use.
func (p *armPages) escape(w word) {
	switch group := w >> 25 & 15; {
	case group>>1 == 4: // data processing, immediate
		p.keep(w.rn())
	case group&7 == 5: // data processing, register
		p.keep(w.rn(), w.rm(), w.ra())
	case group&5 == 4: // loads and stores
		p.keep(w.rd(), w.rn(), w.rm(), w.ra())
	case armBR.matches(w), armBLR.matches(w):
		p.keep(w.rn())
	case group == 2: // SVE
		p.keep(w.rn(), w.rm())
	}
}

// each calls yield with the pages that a register may hold.
func (p *armPages) each(r Reg, yield func(n int)) {
	switch v := p.held(r); {
	case v > 0:
		yield(int(v - 1))
	case v == anyPage && (len(p.given[r]) > maxCombined || p.combined > maxRefs):
		p.all = true
	case v == anyPage:
		p.combined += len(p.given[r])
		for _, n := range p.given[r] {
			yield(n)
		}
	}
}

// ref appends the Ref, of which Addr is relative to the page in the register.
func (p *armPages) ref(base Reg, ref Ref) {
	p.each(base, func(n int) {
		p.seen[n] = true
		r := ref
		r.Addr += p.addrs[n]
		p.out.Refs = append(p.out.Refs, r)
	})
}

// keep marks the pages in registers as kept.
func (p *armPages) keep(regs ...Reg) {
	for _, r := range regs {
		if r < zr {
			p.each(r, func(n int) { p.kept[n] = true })
		}
	}
}
