package graph

import (
	"encoding/binary"
	"slices"

	"github.com/profgen/profgen/internal/elfx"
	"github.com/profgen/profgen/internal/scan/insn"
	"github.com/profgen/profgen/internal/scan/value"
)

// search is the index of the function that begins at addr; or, with false, of the
// first one behind it.
func (c *Code) search(addr uint64) (int, bool) {
	lo, hi := 0, len(c.starts) // asked for millions of times: no function call
	for lo < hi {
		if mid := int(uint(lo+hi) >> 1); c.starts[mid] < addr {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo, lo < len(c.starts) && c.starts[lo] == addr
}

func (c *Code) startsAt(addr uint64) bool {
	_, ok := c.search(addr)
	return ok
}

// At returns the function that an address belongs to. Code between functions
// becomes a function of its own, from addr to the next one; nil if addr is no
// code.
func (c *Code) At(addr uint64) *Func {
	c.mu.Lock()
	defer c.mu.Unlock()
	i, ok := c.search(addr)
	if ok {
		return c.funcs[i]
	}
	if i > 0 && addr < c.funcs[i-1].End {
		return c.funcs[i-1]
	}
	sec := c.File.Section(addr)
	if sec == nil || !sec.Exec {
		return nil
	}
	end := sec.Addr + uint64(len(sec.Data))
	if i < len(c.funcs) {
		end = min(end, c.funcs[i].Start)
	}
	if addr >= end {
		return nil
	}
	f := c.function(addr, c.flowEnd(addr, end))
	c.funcs, c.starts = slices.Insert(c.funcs, i, f), slices.Insert(c.starts, i, addr)
	return f
}

// Name is the symbol of the function; "" if none says.
func (f *Func) Name() string { return f.Code.File.FunctionName(f.Start) }

// String names the function for people.
func (f *Func) bytes() []byte { return f.Code.File.Bytes(f.Start, int(f.End-f.Start)) }

// sweep reads the function's code, once.
func (f *Func) sweep(out *insn.Sweep) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.swept {
		return
	}
	f.swept = true
	c := f.Code
	opt := c.sweepOptions()
	c.read(f.Start, f.End, opt, out)
	for n := 0; out.Cut && !f.exact && n < maxCuts && c.joinNext(f); n++ {
		c.read(f.Start, f.End, opt, out)
	}
	if out.FallsThrough {
		if end := c.gapEnd(f.End); end > f.End {
			f.End = end
			c.read(f.Start, f.End, opt, out)
		} else {
			f.runsOn = c.startsAt(f.End)
		}
	}
	f.keep(out)
}

func (c *Code) sweepOptions() insn.SweepOptions {
	opt := insn.SweepOptions{Absolute: c.fixed}
	if c.fixed {
		opt.Low, opt.High = c.bounds()
	}
	return opt
}

// maxCuts is how many wrong starts of functions may follow one another.
const maxCuts = 8

// joinNext makes the function go on to the end of the next one; false if there
// is none. Where functions are known by guesses alone, one may be said to begin
// in the middle of an instruction; the one before it then has more to it.
func (c *Code) joinNext(f *Func) bool {
	sec := c.File.Section(f.Start)
	i, ok := c.search(f.End)
	if !ok || sec == nil || c.funcs[i].Start >= sec.Addr+uint64(len(sec.Data)) {
		return false
	}
	f.End = c.funcs[i].End
	return true
}

// gapEnd is how far code goes on past the end of a function that does not end
// there: glibc's clone ends its FDE before the system call. It is addr if
// another function begins there.
func (c *Code) gapEnd(addr uint64) uint64 {
	sec := c.File.Section(addr)
	i, ok := c.search(addr)
	if ok || sec == nil || !sec.Exec {
		return addr
	}
	end := sec.Addr + uint64(len(sec.Data))
	if i < len(c.funcs) {
		end = min(end, c.funcs[i].Start)
	}
	return c.flowEnd(addr, end)
}

// flowEnd is the end of what control flow reaches from addr without leaving
// [addr, end). What lies between functions may be data, as libcrypto's tables
// are: it is never read from one end to the other.
func (c *Code) flowEnd(addr, end uint64) uint64 {
	for window := uint64(256); ; window *= 8 {
		stop := min(end, addr+window)
		code := c.lift(addr, c.File.Bytes(addr, int(stop-addr)))
		reached := flow(*code, addr)
		c.lifted.Put(code)
		if stop == end || reached < stop {
			return min(end, max(reached, addr+1))
		}
	}
}

// flow is the end of the last instruction that control reaches from the first.
// Jumps through registers lead nowhere.
func flow(code []insn.Inst, start uint64) uint64 {
	end := start
	seen := make([]bool, len(code))
	todo := []uint64{start}
	for len(todo) > 0 {
		addr := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if addr < start {
			continue
		}
		for i := instAt(code, addr); i < len(code) && !seen[i]; i++ {
			in := &code[i]
			seen[i] = true
			end = max(end, in.Addr+uint64(in.Len))
			if in.Op == insn.Jump || in.Op == insn.CondBranch {
				todo = append(todo, uint64(in.Imm))
			}
			if ends(in.Op) {
				break
			}
		}
	}
	return end
}

// instAt is the first Inst at addr or after it: an instruction without an
// effect that is told, such as nop, gives none.
func instAt(code []insn.Inst, addr uint64) int {
	i, _ := slices.BinarySearchFunc(code, addr, func(in insn.Inst, a uint64) int { return compare(in.Addr, a) })
	return i
}

// ends reports whether control does not go on after an op.
func ends(op insn.Op) bool {
	switch op {
	case insn.Jump, insn.IndirectJump, insn.Return, insn.Stop:
		return true
	}
	return false
}

// keep copies what matters of a sweep, whose lists it changes.
func (f *Func) keep(s *insn.Sweep) {
	f.insts = int32(s.Insts)
	tables := f.keepRefs(s)
	if len(s.Syscalls)+len(s.Legacy)+len(tables) > 0 {
		f.rare = &rare{syscalls: slices.Clone(s.Syscalls), legacy: slices.Clone(s.Legacy)}
	}
	for i, at := range tables {
		next := ^uint64(0)
		if i+1 < len(tables) {
			next = tables[i+1]
		}
		if f.table(at, next, s) {
			f.rare.tabled++
		}
	}
	if f.rare != nil {
		slices.Sort(f.rare.tables)
		f.rare.tables = slices.Clip(slices.Compact(f.rare.tables))
	}
	f.out = f.Code.pack(f.Start, s)
}

// keepRefs leaves of a sweep's refs those that matter, sorted, and returns where
// the function's jump tables may be.
func (f *Func) keepRefs(s *insn.Sweep) (tables []uint64) {
	c := f.Code
	jumps := slices.ContainsFunc(s.Indirect, func(i insn.Indirect) bool { return !i.Call })
	kept := s.Refs[:0]
	for _, r := range s.Refs {
		sec := c.File.Section(r.Addr)
		switch {
		case sec == nil:
			continue
		case sec.Exec:
			if r.Access == insn.Address && (r.Addr <= f.Start || r.Addr >= f.End) && (!c.fixed || c.startsAt(r.Addr) || isPLT(sec)) {
				kept = append(kept, r)
			}
			continue
		case jumps && r.Access == insn.Address && !sec.Write:
			tables = append(tables, r.Addr)
		}
		if c.holdsAddresses(sec) {
			kept = append(kept, r)
		}
	}
	slices.SortFunc(kept, func(a, b insn.Ref) int {
		if a.Addr != b.Addr {
			return compare(a.Addr, b.Addr)
		}
		if a.Access != b.Access {
			return int(a.Access) - int(b.Access)
		}
		return compare(a.Site, b.Site)
	})
	s.Refs = slices.CompactFunc(kept, func(a, b insn.Ref) bool { return a.Addr == b.Addr && a.Access == b.Access && a.Size == b.Size })
	slices.Sort(tables)
	return slices.Compact(tables)
}

// holdsAddresses reports whether a section has slots.
func (c *Code) holdsAddresses(sec *elfx.Section) bool {
	i := c.slotFrom(sec.Addr)
	return i < len(c.slots) && c.slots[i].Offset < sec.Addr+sec.Size
}

// slotFrom is the first slot at or after addr.
func (c *Code) slotFrom(addr uint64) int {
	i, _ := slices.BinarySearchFunc(c.slots, addr, func(r elfx.Reloc, a uint64) int { return compare(r.Offset, a) })
	return i
}

// table reads the data from at to next as a jump table of the function: offsets
// of four bytes from the table itself (PIC), or addresses. Branches that it finds
// are added to the sweep's. False if it is no table.
func (f *Func) table(at, next uint64, s *insn.Sweep) bool {
	sec := f.Code.File.Section(at)
	data := sec.Data[min(uint64(len(sec.Data)), at-sec.Addr):]
	if n := next - at; n < uint64(len(data)) {
		data = data[:n]
	}
	limit := s.TableLimit
	if limit < 0 || limit >= maxTable {
		limit = maxTable
	}
	n := int(limit) + 1
	offsets := f.listed(s, data, n, 4, func(b []byte) uint64 { return at + uint64(int64(int32(binary.LittleEndian.Uint32(b)))) })
	addresses := f.listed(s, data, n, 8, func(b []byte) uint64 { return binary.LittleEndian.Uint64(b) })
	return offsets || addresses
}

// maxTable is the largest jump table that is followed where nothing bounds it.
const maxTable = 1 << 14

// listed notes the targets that a table lists, and reports whether there are any.
// Those within the function are for the analysis of values, however many they
// are; those within others are the function's cold parts, which begin no function
// and have no name, of the first n. Whatever else comes is no longer the table.
func (f *Func) listed(s *insn.Sweep, data []byte, n, width int, target func([]byte) uint64) (any bool) {
	c := f.Code
	for i := 0; i < maxTable && len(data) >= width; i++ {
		t := target(data)
		data = data[width:]
		if t > f.Start && t < f.End {
			f.rare.tables = append(f.rare.tables, t)
			any = true
			continue
		}
		k, ok := c.search(t)
		if i >= n || ok || k == 0 || t >= c.funcs[k-1].End || c.funcs[k-1].named {
			return any
		}
		any = true
		s.Branches = append(s.Branches, insn.Branch{Site: f.Start, Target: t})
	}
	return any
}

// Values is what was found out about the values in the function. It is
// computed when first asked for, and again once more is known of where control
// enters.
func (f *Func) Values() *value.Function {
	f.mu.Lock()
	defer f.mu.Unlock()
	k := f.know()
	if k.values == nil {
		code := f.lift()
		k.values = f.analyze(*code)
		f.Code.lifted.Put(code)
	}
	return k.values
}

// know is what is known so far. It is called with f.mu held.
func (f *Func) know() *knowledge {
	if f.known == nil {
		f.known = &knowledge{}
	}
	return f.known
}

// lift returns the function's instructions, in memory that is to be put back into
// Code.lifted.
func (f *Func) lift() *[]insn.Inst { return f.Code.lift(f.Start, f.bytes()) }

func (c *Code) lift(start uint64, code []byte) *[]insn.Inst {
	out, _ := c.lifted.Get().(*[]insn.Inst)
	if out == nil {
		out = new([]insn.Inst)
	}
	*out = c.Machine.Lift((*out)[:0], code, start)
	return out
}

func (f *Func) analyze(code []insn.Inst) *value.Function {
	return value.Analyze(f.Code.Machine, code, f.scratch(), f, f.known.entries...)
}

// enter notes that control, or a pointer, gets into the function at addr. A
// hot function is entered where its cold part jumps back, and assembly in
// places of all kinds.
func (f *Func) enter(addr uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	k := f.know()
	if i, ok := slices.BinarySearch(k.entries, addr); !ok {
		*k = knowledge{entries: slices.Insert(k.entries, i, addr)}
	}
}

// Tables returns the targets of the function's jump tables within it, and how
// many tables there are.
func (f *Func) Tables() (targets []uint64, n int) {
	if f.rare == nil {
		return nil, 0
	}
	return f.rare.tables, f.rare.tabled
}

// Constant reads memory that nothing writes.
func (f *Func) Constant(addr uint64, width uint8) (uint64, bool) {
	sec := f.Code.File.Section(addr)
	if sec == nil || sec.Write || width > 8 {
		return 0, false
	}
	b := f.Code.File.Bytes(addr, int(width))
	if b == nil {
		return 0, false
	}
	var buf [8]byte
	copy(buf[:], b)
	return binary.LittleEndian.Uint64(buf[:]), true
}
