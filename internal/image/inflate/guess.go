package inflate

import "encoding/binary"

// piece is what was made of a chunk without knowing what comes before.
type piece struct {
	r    *Reader
	done chan struct{}

	d      *decoder // after the last byte made; nil if nothing was
	start  int      // bit
	marks  *[]uint16
	marked []uint16 // contents; see isMark
	made   []*buffer
}

// isMark is set in values that stand for a byte before the beginning: the rest
// is its place in the 32 KiB there.
const isMark = 1 << 15

// maxMarked and maxMade bound what is made of a chunk before its turn comes.
const (
	maxMarked = 4 << 20
	maxMade   = 48
)

// guessable reports whether a block begins here that find would find: one with
// codes of its own that is not the last one.
func (d *decoder) guessable() bool {
	d.refill()
	return d.bits&7 == 4
}

// find returns the first bit of [from, to) at which a guessable block may begin;
// -1 if there is none.
func (d *decoder) find(from, to int) int {
	for bit := from; bit < to; bit++ {
		at := bit / 8
		head := binary.LittleEndian.Uint64(d.in[at:]) >> (bit % 8)
		if head&7 != 4 || head>>3&31 > 29 || head>>8&31 > 29 {
			continue
		}
		n := int(head>>13&15) + 4
		at = (bit + 17) / 8
		codes := binary.LittleEndian.Uint64(d.in[at:]) >> ((bit + 17) % 8)
		sum := 0 // of a complete code it is 1
		for ; n > 0; n-- {
			sum += 1 << 7 >> (codes & 7) &^ (1 << 7)
			codes >>= 3
		}
		if sum != 1<<7 {
			continue
		}
		d.seek(bit)
		d.refill()
		d.drop(3)
		if d.dynamic() && d.ends && !d.overrun() {
			return bit
		}
	}
	return -1
}

// maxGuesses bounds how often another beginning is tried.
const maxGuesses = 8

// make makes what it can of chunk k.
func (p *piece) make(meanings *alphabets, k int) {
	d := &decoder{alphabets: meanings, in: p.r.in, size: p.r.size}
	p.marks = p.r.marks.Get().(*[]uint16)
	for i := range window {
		(*p.marks)[i] = isMark | uint16(i)
	}
	from, stop := k*p.r.chunk*8, min((k+1)*p.r.chunk, p.r.size)*8
	for range maxGuesses {
		if p.start = d.find(from, stop); p.start < 0 {
			return
		}
		if p.from(d, (k+1)*p.r.chunk*8) {
			p.d = d
			return
		}
		from = p.start + 1
	}
}

// from makes the contents of blocks from the one at p.start on; false if it is
// none.
func (p *piece) from(d *decoder, stop int) bool {
	d.seek(p.start)
	out, o, clean := *p.marks, window, window
	for o-clean < window {
		if len(out)-o <= slack {
			if len(out) > maxMarked {
				break
			}
			out = append(out, make([]uint16, len(out))...)
			*p.marks = out
		}
		if d.kind == none {
			if d.final || d.at() >= stop && d.guessable() {
				break
			}
			if d.head() != nil {
				return false
			}
		}
		var err error
		if o, clean, err = d.marked(out, o, clean); err != nil {
			return false
		}
	}
	p.marked = out[window:o]
	return o-clean < window || p.plain(d, stop)
}

// plain goes on where no mark is in reach any more.
func (p *piece) plain(d *decoder, stop int) bool {
	b := p.r.free.get()
	b.low, b.end = 0, window
	for i, v := range p.marked[len(p.marked)-window:] {
		b.data[i] = byte(v)
	}
	for {
		if d.kind == none {
			if d.final || d.at() >= stop && d.guessable() {
				p.made = append(p.made, b)
				return true
			}
			if d.head() != nil {
				return p.nothing(b)
			}
		}
		var err error
		if b.end, err = d.block(b.data, b.low, b.end); err != nil {
			return p.nothing(b)
		}
		if b.end <= len(b.data)-slack-1 {
			continue
		}
		p.made = append(p.made, b)
		if len(p.made) == maxMade {
			return true
		}
		next := p.r.free.get()
		copy(next.data[:window], b.data[b.end-window:b.end])
		next.low, next.end = 0, window
		b = next
	}
}

// nothing forgets what was made.
func (p *piece) nothing(b *buffer) bool {
	for _, b := range append(p.made, b) {
		p.r.free.put(b)
	}
	p.made = nil
	return false
}

// marked is decoder.block for contents of which some are marks. clean is behind
// the last mark; it stops where no mark is in reach any more.
func (d *decoder) marked(out []uint16, o, clean int) (int, int, error) {
	if d.kind == stored {
		n := min(d.left, len(out)-slack-o, d.size-d.pos)
		if n <= 0 && d.left > 0 {
			return o, clean, errShort
		}
		for i, b := range d.in[d.pos : d.pos+n] {
			out[o+i] = uint16(b)
		}
		d.pos += n
		if d.left -= n; d.left == 0 {
			d.kind = none
		}
		return o + n, clean, nil
	}
	in, pos, bits, have := d.in, d.pos, d.bits, d.have
	literal, offset := &d.literal, &d.offset
	limit, last := len(out)-slack, d.size+8
	err := error(nil)
	for o <= limit && o-clean < window {
		if pos > last {
			err = errShort
			break
		}
		bits |= binary.LittleEndian.Uint64(in[pos:]) << (have & 63)
		pos += int((63 - have) >> 3)
		have |= 56
		e := literal[bits&(1<<literalBits-1)]
		if e&isLiteral != 0 {
			out[o] = uint16(e >> 16 & 0xff)
			o++
			bits >>= e & 63
			have -= uint(e & 0xff)
			e = literal[bits&(1<<literalBits-1)]
		}
		if e&isOther != 0 && e&isSecond != 0 {
			bits >>= literalBits
			have -= literalBits
			e = literal[(e>>16+uint32(bits)&(1<<(e>>8&0xf)-1))&(literalRoom-1)]
		}
		if e&isLiteral != 0 {
			out[o] = uint16(e >> 16 & 0xff)
			o++
			bits >>= e & 63
			have -= uint(e & 0xff)
			continue
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
		length := int(e>>16) + int(bits&(1<<(e&63)-1)>>(e>>8&0xf))
		bits >>= e & 63
		have -= uint(e & 0xff)
		bits |= binary.LittleEndian.Uint64(in[pos:]) << (have & 63)
		pos += int((63 - have) >> 3)
		have |= 56
		e = offset[bits&(1<<offsetBits-1)]
		if e&isOther != 0 && e&isSecond != 0 {
			bits >>= offsetBits
			have -= offsetBits
			e = offset[(e>>16+uint32(bits)&(1<<(e>>8&0xf)-1))&(offsetRoom-1)]
		}
		back := int(e>>16) + int(bits&(1<<(e&63)-1)>>(e>>8&0xf))
		bits >>= e & 63
		have -= uint(e & 0xff)
		if e&isOther != 0 || back > o {
			err = errCorrupt
			break
		}
		seen := uint16(0)
		from, to := out[o-back:o-back+length], out[o:o+length]
		for i := range from { // they may overlap
			v := from[i]
			to[i] = v
			seen |= v
		}
		o += length
		if seen&isMark != 0 {
			clean = o
		}
	}
	d.pos, d.bits, d.have = pos, bits, have
	if err == nil && d.overrun() {
		err = errShort
	}
	return o, clean, err
}

// take puts in order what others made.
func (o *out) take(p *piece) error {
	before := o.b.data[o.b.end-window : o.b.end]
	low := max(0, o.b.low-(o.b.end-window))
	var known [window]byte // o.b moves on
	copy(known[:], before)
	for marked := p.marked; len(marked) > 0; {
		n := min(len(marked), len(o.b.data)-slack-o.b.end)
		to := o.b.data[o.b.end : o.b.end+n]
		for i, v := range marked[:n] {
			if v&isMark != 0 {
				if v &^= isMark; int(v) < low {
					return errCorrupt
				}
				v = uint16(known[v])
			}
			to[i] = byte(v)
		}
		marked = marked[n:]
		if o.b.end += n; len(marked) > 0 && !o.grow() {
			return errClosed
		}
	}
	for len(p.made) > 0 {
		b := p.made[0]
		p.made = p.made[1:]
		if o.b.end > window && !o.grow() {
			return errClosed
		}
		o.r.free.put(o.b)
		o.b = b
	}
	return nil
}

// release gives back what was not taken.
func (p *piece) release() {
	for _, b := range p.made {
		p.r.free.put(b)
	}
	if p.marks != nil {
		p.r.marks.Put(p.marks)
	}
	p.made, p.marks, p.marked = nil, nil, nil
}
