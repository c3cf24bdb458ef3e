// Package aare matches names against AppArmor's patterns as the kernel does:
// apparmor.d(5), "Globbing".
//
// In go a pattern as a profile has it, out comes an automaton that is asked with
// bytes. The invariant, held by comparison with what apparmor_parser compiles:
// a name matches if and only if the compiled profile accepts it. Time is
// proportional to the lengths of pattern and name multiplied, whatever either
// holds; nothing backtracks.
package aare

import (
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strings"
)

// Limits on what is compiled: a profile is hostile input.
const (
	maxPattern = 16 << 10
	maxDepth   = 50 // of alternations: MAX_ALT_DEPTH of apparmor_parser
)

// Pattern is a compiled pattern. It may be used by several goroutines.
type Pattern struct {
	insts  []inst
	prefix string // what every name that matches begins with: most do not
}

// inst is an instruction of the automaton: take a byte of a class and go on, or
// go on at several places at once.
type inst struct {
	class *class // nil for none
	next  []int  // where to go on; none is acceptance
}

// class is a set of bytes.
type class [4]uint64

func (c *class) add(b byte)      { c[b>>6] |= 1 << (b & 63) }
func (c *class) remove(b byte)   { c[b>>6] &^= 1 << (b & 63) }
func (c *class) has(b byte) bool { return c[b>>6]>>(b&63)&1 != 0 }

// single returns the only byte of a class.
func (c *class) single() (b byte, ok bool) {
	ones := 0
	for i, word := range c {
		if ones += bits.OnesCount64(word); word != 0 {
			b = byte(i<<6 + bits.TrailingZeros64(word))
		}
	}
	return b, ones == 1
}

func (c *class) invert() {
	for i := range c {
		c[i] = ^c[i]
	}
}

func only(b byte) *class {
	var c class
	c.add(b)
	return &c
}

// but is every byte of a name but these.
func but(bytes ...byte) *class {
	var c class
	c.invert()
	c.remove(0)
	for _, b := range bytes {
		c.remove(b)
	}
	return &c
}

// Unquote takes the quotes off a word of a profile, and reads the escapes that
// do not depend on patterns, such as \012: the byte, escaped if it would mean
// something in a pattern.
func Unquote(word string) string {
	if len(word) >= 2 && word[0] == '"' && word[len(word)-1] == '"' {
		word = word[1 : len(word)-1]
	}
	var out strings.Builder
	for i := 0; i < len(word); i++ {
		if b, n := escape(word[i:]); n > 0 {
			if strings.IndexByte(special, b) >= 0 {
				out.WriteByte('\\')
			}
			out.WriteByte(b)
			i += n - 1
			continue
		}
		out.WriteByte(word[i])
		if word[i] == '\\' && i+1 < len(word) {
			i++
			out.WriteByte(word[i])
		}
	}
	return out.String()
}

// special are the bytes that mean something in a pattern.
const special = `\?*[]{}^,"@`

// escape reads the escape at the beginning of s; n is how long it is, 0 if there
// is none that stands for a byte of its own.
func escape(s string) (b byte, n int) {
	if len(s) < 2 || s[0] != '\\' {
		return 0, 0
	}
	switch c := s[1]; c {
	case 'x':
		b, n = digits(s[2:], 16, 2)
		return b, after(n, 2)
	case 'd':
		b, n = digits(s[2:], 10, 3)
		return b, after(n, 2)
	default:
		if i := strings.IndexByte("aefnrt", c); i >= 0 {
			return "\a\x1b\f\n\r\t"[i], 2
		}
	}
	b, n = digits(s[1:], 8, 3)
	return b, after(n, 1)
}

// after is the length of an escape of n digits behind a prefix; 0 for none.
func after(n, prefix int) int {
	if n == 0 {
		return 0
	}
	return n + prefix
}

// digits reads as many digits as make a byte, at most most.
func digits(s string, base, most int) (b byte, n int) {
	v := 0
	for n < min(most, len(s)) {
		d := strings.IndexByte("0123456789abcdef", s[n]|0x20)
		if s[n] < '0' || d < 0 || d >= base || v*base+d > 255 {
			break
		}
		v = v*base + d
		n++
	}
	return byte(v), n
}

// Compile reads a pattern: text as [Unquote] gives it, with variables replaced.
func Compile(text string) (Pattern, error) {
	if len(text) > maxPattern {
		return Pattern{}, fmt.Errorf("pattern of %d bytes: want at most %d", len(text), maxPattern)
	}
	if strings.IndexByte(text, 0) >= 0 {
		return Pattern{}, fmt.Errorf("pattern %q: a NUL, which no name has", text)
	}
	c := &compiler{text: slashes(text)}
	if err := c.sequence(0); err != nil {
		return Pattern{}, fmt.Errorf("pattern %q: %w", text, err)
	}
	c.emit(inst{})
	return Pattern{c.insts, prefix(c.insts)}, nil
}

// prefix returns the bytes that an automaton takes before it has a choice.
func prefix(insts []inst) string {
	var out []byte
	for at := 0; insts[at].class != nil; at = insts[at].next[0] {
		b, ok := insts[at].class.single()
		if !ok {
			break
		}
		out = append(out, b)
	}
	return string(out)
}

// slashes makes one of several slashes in a row, but for two at the beginning,
// which name a namespace of names: apparmor_parser's filter_slashes.
func slashes(text string) string {
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '/' && i > 0 && text[i-1] == '/' && (i > 1 || len(text) > 2 && text[2] == '/') {
			continue
		}
		out.WriteByte(text[i])
	}
	return out.String()
}

// compiler turns text into instructions. Each instruction goes on at the one
// that follows it, unless it says otherwise.
type compiler struct {
	text  string
	pos   int
	insts []inst
	last  byte // the literal emitted last; 0 if it was none
}

// emit adds an instruction and returns its number.
func (c *compiler) emit(i inst) int {
	c.insts = append(c.insts, i)
	return len(c.insts) - 1
}

// one takes a byte of a class.
func (c *compiler) one(cl *class) { c.emit(inst{class: cl, next: []int{len(c.insts) + 1}}) }

// many takes any number of bytes of a class.
func (c *compiler) many(cl *class) {
	at := c.emit(inst{next: []int{len(c.insts) + 1, len(c.insts) + 2}})
	c.emit(inst{class: cl, next: []int{at}})
}

// sequence compiles up to the end, or within an alternation up to its next
// comma or its brace.
func (c *compiler) sequence(depth int) error {
	if depth > maxDepth {
		return errors.New("alternations nest too deep")
	}
	for c.pos < len(c.text) {
		b := c.text[c.pos]
		switch {
		case depth > 0 && (b == ',' || b == '}'):
			return nil
		case b == '*':
			c.star()
			continue
		case b == '[' || b == '{':
			if err := c.group(b, depth); err != nil {
				return err
			}
			c.last = 0
			continue
		case b == ']' || b == '}':
			return fmt.Errorf("%q without its beginning", b)
		case b == '?':
			c.one(but('/'))
			c.last = 0
			c.pos++
			continue
		case b == '\\':
			if c.pos++; c.pos == len(c.text) {
				return errors.New("a backslash at the end")
			}
			b = c.text[c.pos]
		}
		c.one(only(b))
		c.last = b
		c.pos++
	}
	if depth > 0 {
		return errors.New("an alternation that is not closed")
	}
	return nil
}

// star compiles *, which stops at a slash, or **, which does not. Where it is
// all of a path's part, that has at least one byte: /* does not match /.
func (c *compiler) star() {
	end := c.pos
	for end < len(c.text) && c.text[end] == '*' {
		end++
	}
	if c.last == '/' && (end == len(c.text) || c.text[end] == '/') {
		c.one(but('/'))
	}
	if end-c.pos > 1 {
		c.many(but())
		c.pos += 2
	} else {
		c.many(but('/'))
		c.pos++
	}
	c.last = 0
}

// group compiles what a bracket or a brace begins.
func (c *compiler) group(b byte, depth int) error {
	if b == '[' {
		return c.bracket()
	}
	return c.alternation(depth)
}

// alternation compiles {a,b}.
func (c *compiler) alternation(depth int) error {
	before := c.last
	fork := c.emit(inst{})
	var ends []int
	for {
		c.pos++ // the brace, or a comma
		c.insts[fork].next = append(c.insts[fork].next, len(c.insts))
		c.last = before
		if err := c.sequence(depth + 1); err != nil {
			return err
		}
		ends = append(ends, c.emit(inst{}))
		if c.text[c.pos] == '}' {
			break
		}
	}
	c.pos++
	if len(ends) < 2 {
		return errors.New("an alternation of one")
	}
	for _, e := range ends {
		c.insts[e].next = []int{len(c.insts)}
	}
	return nil
}

// bracket compiles [a-z] and [^a-z].
func (c *compiler) bracket() error {
	end := c.pos + 1
	for end < len(c.text) && c.text[end] != ']' {
		if c.text[end] == '\\' {
			end++
		}
		end++
	}
	if end >= len(c.text) {
		return errors.New("a character class that is not closed")
	}
	body := c.text[c.pos+1 : end]
	c.pos = end + 1
	cl, err := members(body)
	if err != nil {
		return err
	}
	cl.remove(0)
	c.one(&cl)
	return nil
}

// members reads what is between the brackets. A backslash keeps a hyphen or a
// caret from nothing: \- makes a range, and [\^a] is all but a.
func members(body string) (class, error) {
	var bytes []byte
	for i := 0; i < len(body); i++ {
		if body[i] == '\\' && i+1 < len(body) {
			i++
		}
		bytes = append(bytes, body[i])
	}
	inverted := len(bytes) > 0 && bytes[0] == '^'
	if inverted {
		bytes = bytes[1:]
	}
	var out class
	if len(bytes) == 0 {
		return out, errors.New("an empty character class")
	}
	for i := 0; i < len(bytes); i++ {
		lo, hi := bytes[i], bytes[i]
		if i > 0 && lo == '-' {
			return out, errors.New("a hyphen without an end")
		}
		if i+2 < len(bytes) && bytes[i+1] == '-' {
			hi = bytes[i+2]
			i += 2
			if hi == '-' {
				return out, errors.New("a range that ends with a hyphen")
			}
		}
		for b := int(min(lo, hi)); b <= int(max(lo, hi)); b++ {
			out.add(byte(b))
		}
	}
	if inverted {
		out.invert()
	}
	return out, nil
}

// Match reports whether the pattern matches all of name. A name with a NUL
// matches nothing.
func (p Pattern) Match(name string) bool {
	if len(p.insts) == 0 || !strings.HasPrefix(name, p.prefix) {
		return false
	}
	seen := make([]int, len(p.insts)) // the step in which a state was last added, plus one
	now := p.closure(nil, 0, seen, 1)
	for i := range len(name) {
		var next []int
		for _, s := range now {
			if in := &p.insts[s]; in.class != nil && in.class.has(name[i]) {
				next = p.closure(next, in.next[0], seen, i+2)
			}
		}
		if now = next; len(now) == 0 {
			return false
		}
	}
	return slices.ContainsFunc(now, func(s int) bool { return p.insts[s].class == nil && len(p.insts[s].next) == 0 })
}

// closure adds a state, and where it goes on without a byte.
func (p Pattern) closure(states []int, state int, seen []int, step int) []int {
	todo := []int{state}
	for len(todo) > 0 {
		s := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[s] == step {
			continue
		}
		seen[s] = step
		in := &p.insts[s]
		if in.class != nil || len(in.next) == 0 {
			states = append(states, s)
			continue
		}
		todo = append(todo, in.next...)
	}
	return states
}
