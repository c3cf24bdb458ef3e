package graph

import (
	"debug/elf"
	"slices"

	"github.com/profgen/profgen/internal/elfx"
)

// extent is a stretch of data that holds addresses. Whoever has an address
// within may reach all of it, and nothing beyond: C and its like let nobody
// step from one object into the next.
type extent struct{ lo, hi uint64 }

// slack is how far before the object that is meant an address may lie, as
// compilers fold the -1 of table[i-1] into the base of the table: eight
// pointers. One past an object's end is meant for the object, too, in loops
// that run downwards.
const slack = 64

// extents cuts data at the symbols of known size: what lies between two of
// them is one extent, as nothing says how many objects it is. Sections that a
// program walks through from end to end, one object after the other, stay
// whole, and so do all of a Go file, whose linker puts types together under one
// name, and of arm64 code.
//
// On arm64 compilers reach several objects from the address of one
// (-fsection-anchors, GlobalMerge), so that the address of one gives away its
// neighbours.
func (c *Code) cutExtents() []extent {
	objects := c.dataObjects()
	var out []extent
	for i := range c.File.Sections {
		sec := &c.File.Sections[i]
		if sec.Exec || isGOT(sec) || !c.holdsAddresses(sec) {
			continue
		}
		end := sec.Addr + sec.Size
		at := sec.Addr
		if isCut(sec.Name) {
			first, _ := slices.BinarySearchFunc(objects, sec.Addr, func(e extent, a uint64) int { return compare(e.lo, a) })
			for _, o := range objects[first:] {
				if o.lo >= end {
					break
				}
				if o.lo > at {
					out = append(out, extent{at, o.lo})
				}
				at = min(o.hi, end)
				out = append(out, extent{o.lo, at})
			}
		}
		if at < end {
			out = append(out, extent{at, end})
		}
	}
	return out
}

// isCut reports whether a section is one that compilers put unrelated objects
// into. Others are collections: of a linker set, which is walked from
// __start_NAME to __stop_NAME, or of constructors.
func isCut(name string) bool {
	switch name {
	case ".data", ".data.rel.ro", ".rodata":
		return true
	}
	return false
}

// dataObjects returns the extents that symbols of data give, sorted, those
// that overlap as one.
func (c *Code) dataObjects() []extent {
	if c.File.Machine == elf.EM_AARCH64 || c.File.IsGo() {
		return nil
	}
	var all []extent
	for _, list := range [][]elfx.Symbol{c.File.Symbols, c.File.Locals} {
		for _, s := range list {
			if s.Type == elf.STT_OBJECT && s.Defined && !s.Absolute && s.Size > 0 && s.Size < 1<<40 {
				all = append(all, extent{s.Value, s.Value + s.Size})
			}
		}
	}
	slices.SortFunc(all, func(a, b extent) int { return compare(a.lo, b.lo) })
	var out []extent
	for _, e := range all {
		if n := len(out); n > 0 && e.lo < out[n-1].hi {
			out[n-1].hi = max(out[n-1].hi, e.hi)
			continue
		}
		out = append(out, e)
	}
	return out
}

// extentsAt returns the range of c.extents that an address may be meant for.
func (c *Code) extentsAt(addr uint64) (from, to int) {
	from, _ = slices.BinarySearchFunc(c.extents, addr, func(e extent, a uint64) int { return compare(e.hi, a) })
	for to = from; to < len(c.extents) && c.extents[to].lo <= addr+slack; to++ {
	}
	return from, to
}
