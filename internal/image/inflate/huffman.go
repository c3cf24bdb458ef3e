package inflate

import "math/bits"

// What the first step's bits do not find, a second table does. Complete codes of
// the format's alphabets never need more room: a second table of 2^n entries has
// n+1 codes or more in it.
const (
	literalBits = 11
	literalRoom = 1 << 12
	offsetBits  = 8
	offsetRoom  = 1 << 10
	lengthBits  = 7
	longestCode = 15
)

// An entry says what the next bits mean. Its lowest byte is how many bits to
// drop: those of the code, and the extra ones behind it. Bits 8 to 12 are how
// many of those the code itself has. Bits 16 and up are the literal, the base of
// a length or an offset, or where the second table lies.
const (
	isLiteral = 1 << 31
	isOther   = 1 << 15 // than literal, length and offset: one of the next, or nothing that may be
	isEnd     = 1 << 14 // of the block
	isSecond  = 1 << 13 // a second table, by as many bits as bits 8 to 12 say
)

// endOfBlock is the symbol that ends a block: RFC 1951, 3.2.5.
const endOfBlock = 256

// alphabet is what the symbols of a code stand for: an entry each, but for the
// code's length.
type alphabet []uint32

func literals() alphabet {
	out := make(alphabet, 288)
	for sym := range out {
		switch {
		case sym < endOfBlock:
			out[sym] = isLiteral | uint32(sym)<<16
		case sym == endOfBlock:
			out[sym] = isOther | isEnd
		case sym < 265:
			out[sym] = uint32(sym-254) << 16
		case sym < 285:
			extra := uint32(sym-261) / 4
			out[sym] = (3+(4+uint32(sym-261)%4)<<extra)<<16 | extra
		case sym == 285:
			out[sym] = 258 << 16
		default:
			out[sym] = isOther
		}
	}
	return out
}

func offsets() alphabet {
	out := make(alphabet, 32)
	for sym := range out {
		switch {
		case sym < 4:
			out[sym] = uint32(sym+1) << 16
		case sym < 30:
			extra := uint32(sym-2) / 2
			out[sym] = (1+(2+uint32(sym)%2)<<extra)<<16 | extra
		default:
			out[sym] = isOther
		}
	}
	return out
}

func lengths() alphabet {
	out := make(alphabet, 19)
	for sym := range out {
		out[sym] = uint32(sym) << 16
	}
	return out
}

// fill builds the table of a code from the lengths of its symbols: RFC 1951,
// 3.2.2. It reports whether they are those of a complete code, of a single
// symbol of one bit, or of no symbol.
func (a alphabet) fill(table []uint32, width int, length []uint8) bool {
	var count, next [longestCode + 1]int
	for _, n := range length {
		count[n]++
	}
	count[0] = 0
	left, longest := 1, 0
	for n := 1; n <= longestCode; n++ {
		next[n] = (next[n-1] + count[n-1]) << 1
		left = left<<1 - count[n]
		if left < 0 {
			return false
		}
		if count[n] > 0 {
			longest = n
		}
	}
	if left > 0 {
		if longest > 1 || count[1] > 1 {
			return false
		}
		for i := range table[:1<<width] {
			table[i] = isOther | 1
		}
	}
	if longest > width {
		return a.fillLong(table, width, length, next)
	}
	for sym, n := range length {
		if n == 0 {
			continue
		}
		e := a[sym] + uint32(n)<<8 + uint32(n)
		for i := reverse(next[n], int(n)); i < 1<<width; i += 1 << n {
			table[i] = e
		}
		next[n]++
	}
	return true
}

// fillLong is fill for a code with second tables. next is the first code of each
// length.
func (a alphabet) fillLong(table []uint32, width int, length []uint8, next [longestCode + 1]int) bool {
	var widths [1 << literalBits]uint8 // of second tables, by the first bits
	for i, codes := 0, next; i < len(length); i++ {
		n := int(length[i])
		if n > width {
			low := reverse(codes[n], n) & (1<<width - 1)
			widths[low] = max(widths[low], uint8(n-width))
		}
		codes[n]++
	}
	used := 1 << width
	for low, w := range widths[:1<<width] {
		if w == 0 {
			continue
		}
		table[low] = isOther | isSecond | uint32(used)<<16 | uint32(w)<<8 | uint32(width)
		if used += 1 << w; used > len(table) {
			return false
		}
	}
	for sym, n := range length {
		if n == 0 {
			continue
		}
		at, part, size := reverse(next[n], int(n)), table[:1<<width], uint32(n)
		next[n]++
		if int(n) > width {
			second := table[at&(1<<width-1)]
			part = table[second>>16:][:1<<(second>>8&0xf)]
			at, size = at>>width, size-uint32(width)
		}
		e := a[sym] + size<<8 + size
		for i := at; i < len(part); i += 1 << size {
			part[i] = e
		}
	}
	return true
}

func reverse(code, n int) int { return int(bits.Reverse16(uint16(code)) >> (16 - n)) }
