package inflate

import (
	"encoding/binary"
	"errors"
)

var (
	errCorrupt = errors.New("corrupt deflate stream")
	errShort   = errors.New("unexpected EOF")
)

const (
	window = 32 << 10 // how far back a match may lie: RFC 1951, 2
	// slack is how much room one round of the loop may need: two literals, a
	// match, and the rest of the last two words.
	slack = 2 + 258 + 16
	// margin is how many bytes behind the input may be looked at.
	margin = 64
)

// order is that of the lengths of the code of lengths: RFC 1951, 3.2.7.
var order = [19]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// kind is what a block is: RFC 1951, 3.2.3. Between blocks it is none.
type kind uint8

const (
	none kind = iota
	stored
	coded
)

// alphabets are the meanings of symbols.
type alphabets struct{ literals, offsets, lengths alphabet }

// decoder reads the blocks of one deflate stream. Its input is followed by
// margin bytes of anything.
type decoder struct {
	*alphabets
	in   []byte // with the margin
	size int    // without
	pos  int    // of the next byte that is not in bits
	bits uint64
	have uint // how many of bits are known; those above are right, or 0

	kind  kind
	final bool // the block is the last one
	left  int  // of a stored block
	ends  bool // the block's code has a symbol for its end

	literal [literalRoom]uint32
	offset  [offsetRoom]uint32
}

// seek moves to a bit of the input.
func (d *decoder) seek(bit int) {
	d.pos, d.bits, d.have, d.kind, d.final = bit/8, 0, 0, none, false
	d.refill()
	d.drop(uint(bit % 8))
}

// at is the bit that comes next.
func (d *decoder) at() int { return d.pos*8 - int(d.have) }

// refill makes at least 56 bits known.
func (d *decoder) refill() {
	if d.pos > d.size+8 {
		return // the end was overrun long ago; whoever looks at it sees so
	}
	d.bits |= binary.LittleEndian.Uint64(d.in[d.pos:]) << (d.have & 63)
	d.pos += int((63 - d.have) >> 3)
	d.have |= 56
}

func (d *decoder) drop(n uint) { d.bits >>= n & 63; d.have -= n }

func (d *decoder) take(n uint) int {
	v := d.bits & (1<<n - 1)
	d.drop(n)
	return int(v)
}

// overrun reports whether bits behind the end of the input were taken.
func (d *decoder) overrun() bool { return d.at() > d.size*8 }

// head reads the beginning of a block.
func (d *decoder) head() error {
	d.refill()
	d.final = d.take(1) == 1
	switch d.take(2) {
	case 0:
		return d.headStored()
	case 1:
		d.kind = coded
		d.fixed()
	case 2:
		d.kind = coded
		if !d.dynamic() {
			return errCorrupt
		}
	default:
		return errCorrupt
	}
	if d.overrun() {
		return errShort
	}
	return nil
}

func (d *decoder) headStored() error {
	at := (d.at() + 7) / 8
	if at+4 > d.size {
		return errShort
	}
	n := binary.LittleEndian.Uint16(d.in[at:])
	if n != ^binary.LittleEndian.Uint16(d.in[at+2:]) {
		return errCorrupt
	}
	d.kind, d.left = stored, int(n)
	d.pos, d.bits, d.have = at+4, 0, 0
	return nil
}

// fixed is the code of RFC 1951, 3.2.6.
func (d *decoder) fixed() {
	var n [288]uint8
	for i := range n {
		switch {
		case i < 144:
			n[i] = 8
		case i < 256:
			n[i] = 9
		case i < 280:
			n[i] = 7
		default:
			n[i] = 8
		}
	}
	d.literals.fill(d.literal[:], literalBits, n[:])
	for i := range 32 {
		n[i] = 5
	}
	d.offsets.fill(d.offset[:], offsetBits, n[:32])
}

// dynamic reads the codes of a block: RFC 1951, 3.2.7. It reports whether they
// can be.
func (d *decoder) dynamic() bool {
	nl, no, nc := d.take(5)+257, d.take(5)+1, d.take(4)+4
	if nl > 286 || no > 30 {
		return false
	}
	var n [286 + 30 + 138]uint8
	d.refill()
	for i := range nc {
		if i == 12 {
			d.refill()
		}
		n[order[i]] = uint8(d.take(3))
	}
	var table [1 << lengthBits]uint32
	if !d.lengths.fill(table[:], lengthBits, n[:19]) {
		return false
	}
	clear(n[:19])
	for i := 0; i < nl+no; {
		d.refill()
		e := table[d.bits&(1<<lengthBits-1)]
		if e&isOther != 0 {
			return false
		}
		d.drop(uint(e & 0xff))
		repeat, value := 1, uint8(e>>16)
		switch value {
		case 16:
			if i == 0 {
				return false
			}
			repeat, value = 3+d.take(2), n[i-1]
		case 17:
			repeat, value = 3+d.take(3), 0
		case 18:
			repeat, value = 11+d.take(7), 0
		}
		for range repeat {
			n[i] = value
			i++
		}
		if i > nl+no {
			return false
		}
	}
	d.ends = n[endOfBlock] > 0
	return d.literals.fill(d.literal[:], literalBits, n[:nl]) &&
		d.offsets.fill(d.offset[:], offsetBits, n[nl:nl+no])
}

// block goes on with a block at out[o:], which may refer to out[from:o]. It
// returns where it stopped: at the end of the block, with kind none, or where
// less than slack of out is left.
func (d *decoder) block(out []byte, from, o int) (int, error) {
	if d.kind == stored {
		n := min(d.left, len(out)-slack-o, d.size-d.pos)
		if n <= 0 && d.left > 0 {
			if d.pos >= d.size {
				return o, errShort
			}
			return o, nil
		}
		copy(out[o:], d.in[d.pos:d.pos+n])
		d.pos += n
		if d.left -= n; d.left == 0 {
			d.kind = none
		}
		return o + n, nil
	}
	return d.coded(out, from, o)
}

func (d *decoder) coded(out []byte, from, o int) (int, error) {
	in, pos, bits, have := d.in, d.pos, d.bits, d.have
	literal, offset := &d.literal, &d.offset
	limit, last := len(out)-slack, d.size+8
	var err error
	for o <= limit {
		if pos > last {
			err = errShort
			break
		}
		bits |= binary.LittleEndian.Uint64(in[pos:]) << (have & 63)
		pos += int((63 - have) >> 3)
		have |= 56
		e := literal[bits&(1<<literalBits-1)]
		if e&isLiteral != 0 {
			out[o] = byte(e >> 16)
			o++
			bits >>= e & 63
			have -= uint(e & 0xff)
			e = literal[bits&(1<<literalBits-1)]
			if e&isLiteral != 0 {
				out[o] = byte(e >> 16)
				o++
				bits >>= e & 63
				have -= uint(e & 0xff)
				continue
			}
		}
		if e&isOther != 0 {
			if e&isSecond != 0 {
				bits >>= literalBits
				have -= literalBits
				e = literal[(e>>16+uint32(bits)&(1<<(e>>8&0xf)-1))&(literalRoom-1)]
				if e&isLiteral != 0 {
					out[o] = byte(e >> 16)
					o++
					bits >>= e & 63
					have -= uint(e & 0xff)
					continue
				}
			}
			if e&isOther != 0 {
				bits >>= e & 63
				have -= uint(e & 0xff)
				d.kind = none
				if e&isEnd == 0 {
					err = errCorrupt
				}
				break
			}
		}
		length := int(e>>16) + int(bits&(1<<(e&63)-1)>>(e>>8&0xf))
		bits >>= e & 63
		have -= uint(e & 0xff)

		bits |= binary.LittleEndian.Uint64(in[pos:]) << (have & 63)
		pos += int((63 - have) >> 3)
		have |= 56
		e = offset[bits&(1<<offsetBits-1)]
		if e&isOther != 0 {
			if e&isSecond == 0 {
				err = errCorrupt
				break
			}
			bits >>= offsetBits
			have -= offsetBits
			e = offset[(e>>16+uint32(bits)&(1<<(e>>8&0xf)-1))&(offsetRoom-1)]
			if e&isOther != 0 {
				err = errCorrupt
				break
			}
		}
		back := int(e>>16) + int(bits&(1<<(e&63)-1)>>(e>>8&0xf))
		bits >>= e & 63
		have -= uint(e & 0xff)
		if back > o-from {
			err = errCorrupt
			break
		}
		if back < 8 || length > 16 {
			match(out, o, back, length)
		} else { // most are, and a call costs as much
			from, to := out[o-back:o-back+16], out[o:o+16]
			binary.LittleEndian.PutUint64(to, binary.LittleEndian.Uint64(from))
			binary.LittleEndian.PutUint64(to[8:], binary.LittleEndian.Uint64(from[8:]))
		}
		o += length
	}
	d.pos, d.bits, d.have = pos, bits, have
	if err == nil && d.overrun() {
		err = errShort
	}
	return o, err
}

// match copies length bytes from back before o to o. It may write up to 16 bytes
// more.
func match(out []byte, o, back, length int) {
	src := o - back
	if back >= 8 {
		for end := o + length; o < end; o, src = o+16, src+16 {
			from, to := out[src:src+16], out[o:o+16]
			binary.LittleEndian.PutUint64(to, binary.LittleEndian.Uint64(from))
			binary.LittleEndian.PutUint64(to[8:], binary.LittleEndian.Uint64(from[8:]))
		}
		return
	}
	if back == 1 {
		v := uint64(out[src]) * 0x0101010101010101
		for end := o + length; o < end; o += 8 {
			binary.LittleEndian.PutUint64(out[o:], v)
		}
		return
	}
	for end := o + length; o < end; o, src = o+1, src+1 {
		out[o] = out[src]
	}
}
