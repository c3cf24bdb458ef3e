package elfx

import "slices"

// Pointer encodings of .eh_frame: LSB 5.0 Core, 10.5.
const (
	encAbsolute = 0x00
	encULEB     = 0x01
	encU16      = 0x02
	encU32      = 0x03
	encU64      = 0x04
	encSLEB     = 0x09
	encS16      = 0x0a
	encS32      = 0x0b
	encS64      = 0x0c
	encFormat   = 0x0f
	encRelative = 0x70
	encPC       = 0x10
	encOmit     = 0xff
)

// cie is what FDEs need of their Common Information Entry.
type cie struct {
	enc    byte
	signal bool // augmentation 'S'
	ok     bool
}

// unwound returns the functions that .eh_frame describes.
func (p *parser) unwound() []Function {
	data, base := p.frames()
	var out []Function
	cies := map[int]cie{}
	for at := 0; at+4 <= len(data); {
		length, head := uint64(le.Uint32(data[at:])), 4
		if length == 0xffffffff { // the 64-bit form
			if at+12 > len(data) {
				break
			}
			length, head = le.Uint64(data[at+4:]), 12
		}
		if length == 0 {
			// A terminator. crtend.o puts one at the end, and so does every
			// object that a careless linker script left one in.
			at += 4
			continue
		}
		body := at + head
		if length < 4 || length > uint64(len(data)-body) {
			break
		}
		entry := data[body : body+int(length)]
		id := int(le.Uint32(entry))
		if id == 0 {
			cies[at] = parseCIE(entry[4:])
		} else if c, ok := cies[body-id]; ok && c.ok {
			if f, ok := parseFDE(entry[4:], base+uint64(body)+4, c); ok {
				out = append(out, f)
			}
		}
		at = body + int(length)
	}
	return out
}

// frames is .eh_frame and its address: the section, or what .eh_frame_hdr
// points to, up to the end of its segment.
func (p *parser) frames() ([]byte, uint64) {
	i := slices.IndexFunc(p.f.Sections, func(s Section) bool { return s.Name == ".eh_frame" })
	if i >= 0 {
		return p.f.Sections[i].Data, p.f.Sections[i].Addr
	}
	h := p.memory(p.ehHeader.Addr)
	if p.ehHeader.Addr == 0 || len(h) < 8 || h[0] != 1 {
		return nil, 0
	}
	r := &reader{b: h, at: 4}
	addr, ok := r.pointer(h[1], p.ehHeader.Addr)
	if !ok {
		return nil, 0
	}
	return p.memory(addr), addr
}

// pointer reads an encoded pointer; base is the address of r.b[0].
func (r *reader) pointer(enc byte, base uint64) (uint64, bool) {
	if enc == encOmit {
		return 0, false
	}
	pc := base + uint64(r.at)
	var v uint64
	switch enc & encFormat {
	case encAbsolute, encU64, encS64:
		v = r.u64()
	case encULEB, encSLEB:
		v = r.uleb()
	case encU16:
		v = uint64(r.u16())
	case encS16:
		v = uint64(int64(int16(r.u16())))
	case encU32:
		v = uint64(r.u32())
	case encS32:
		v = uint64(int64(int32(r.u32())))
	default:
		return 0, false
	}
	switch enc & encRelative {
	case 0:
	case encPC:
		v += pc
	default:
		return 0, false // relative to sections that only the unwinder knows
	}
	return v, !r.bad
}

func parseCIE(b []byte) cie {
	r := &reader{b: b}
	version := r.u8()
	augmentation := r.cstring()
	if version == 4 {
		r.take(2) // address and segment size
	}
	r.uleb() // code alignment
	r.uleb() // data alignment
	if version == 1 {
		r.u8() // return address column
	} else {
		r.uleb()
	}
	c := cie{ok: true}
	if augmentation == "" || augmentation[0] != 'z' {
		c.ok = augmentation == "" && !r.bad
		return c
	}
	r.uleb() // length of what follows
	for _, a := range augmentation[1:] {
		switch a {
		case 'R':
			c.enc = r.u8()
		case 'S':
			c.signal = true
		case 'L':
			r.u8()
		case 'P':
			r.pointer(r.u8(), 0)
		case 'B', 'G': // arm64: pointer authentication, memory tagging
		default:
			c.ok = false
		}
	}
	c.ok = c.ok && !r.bad
	return c
}

func parseFDE(b []byte, base uint64, c cie) (Function, bool) {
	r := &reader{b: b}
	start, ok := r.pointer(c.enc, base)
	size, okSize := r.pointer(c.enc&encFormat, 0)
	if !ok || !okSize || start == 0 || size == 0 || start+size < start {
		return Function{}, false
	}
	f := Function{start, start + size, FDE}
	if c.signal {
		// A signal trampoline's FDE begins a byte early, so that unwinders, who
		// look up the return address less one, find it.
		f.Start++
	}
	return f, f.Start < f.End
}
