package syntax

import (
	"bytes"
	"fmt"
	"strings"
)

// Limits on what is read: a profile is hostile input.
const (
	maxFile  = 8 << 20
	maxDepth = 32
)

// token is one word of a statement: a name, a pattern, or a list in
// parentheses. "peer=(label=x)" is one token with the key peer.
type token struct {
	key, op string  // of key=text, and key in (…)
	text    string  // as written, quotes included
	list    []token // of (…)
	parens  bool
	offset  int
}

// scanner walks over a file.
type scanner struct {
	src []byte
	pos int
}

// fail is an error at the scanner's place.
func (s *scanner) fail(format string, args ...any) error {
	return s.failAt(s.pos, format, args...)
}

func (s *scanner) failAt(offset int, format string, args ...any) error {
	line := 1 + bytes.Count(s.src[:min(offset, len(s.src))], []byte("\n"))
	return fmt.Errorf("line %d: %s", line, fmt.Sprintf(format, args...))
}

func (s *scanner) peek() byte {
	if s.pos < len(s.src) {
		return s.src[s.pos]
	}
	return 0
}

func (s *scanner) done() bool { return s.pos >= len(s.src) }

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// blanks skips spaces, and newlines if lines is set.
func (s *scanner) blanks(lines bool) {
	for !s.done() && isSpace(s.peek()) && (lines || s.peek() != '\n') {
		s.pos++
	}
}

// line takes the rest of the line.
func (s *scanner) line() string {
	rest := s.src[s.pos:]
	if i := bytes.IndexByte(rest, '\n'); i >= 0 {
		rest = rest[:i]
	}
	s.pos += len(rest)
	return strings.TrimRight(string(rest), " \t\r")
}

// atComment reports whether a comment begins here: #include is none.
func (s *scanner) atComment() bool { return s.peek() == '#' && !s.atInclude() }

func (s *scanner) atInclude() bool {
	rest, ok := bytes.CutPrefix(s.src[s.pos:], []byte("#include"))
	return ok && (len(rest) == 0 || isSpace(rest[0]) || rest[0] == '<' || rest[0] == '"')
}

// ended reports whether a word ends before the byte at pos: a comma does not
// end one if the next byte goes on with it, as in /{usr/,}bin.
func (s *scanner) ended(list bool) bool {
	c := s.peek()
	switch {
	case isSpace(c), c == '"' && !list:
		return true
	case c == ',' && s.pos+1 < len(s.src):
		next := s.src[s.pos+1]
		return list || isSpace(next) || next == ',' || next == '"' || next == '!'
	case c == ',':
		return true
	}
	return list && c == ')'
}

// word takes a word: quoted, or up to where it ends. Inside {} and [] of a
// list's word, commas belong to it.
func (s *scanner) word(list bool) (string, error) {
	start, depth := s.pos, 0
	if s.peek() == '"' {
		return s.quoted()
	}
	for !s.done() && (depth > 0 && !isSpace(s.peek()) || !s.ended(list)) {
		switch s.peek() {
		case '\\':
			s.pos++
		case '{':
			depth++
		case '}':
			depth--
		case '"': // key="value", @{X}"…"
			if _, err := s.quoted(); err != nil {
				return "", err
			}
			continue
		case '=':
			if key := s.src[start:s.pos]; isKey(string(key)) && depth == 0 {
				return string(key), nil
			}
		}
		s.pos++
	}
	s.pos = min(s.pos, len(s.src))
	return string(s.src[start:s.pos]), nil
}

func (s *scanner) quoted() (string, error) {
	start := s.pos
	for s.pos++; !s.done() && s.peek() != '"'; s.pos++ {
		switch s.peek() {
		case '\\':
			s.pos++
		case '\n':
			return "", s.failAt(start, "a quote that is not closed")
		}
	}
	if s.done() {
		s.pos = len(s.src)
		return "", s.failAt(start, "a quote that is not closed")
	}
	s.pos++
	return string(s.src[start:s.pos]), nil
}

// isKey reports whether a word before = is the key of a condition, and not part
// of a path.
func isKey(w string) bool {
	if w == "" || w[0] < 'a' || w[0] > 'z' {
		return false
	}
	return strings.Trim(w, "abcdefghijklmnopqrstuvwxyz_") == ""
}

// token takes the next token of a statement.
func (s *scanner) token(list bool, depth int) (token, error) {
	t := token{offset: s.pos}
	var err error
	if s.peek() == '(' {
		t.parens = true
		t.list, err = s.list(depth)
		return t, err
	}
	if t.text, err = s.word(list); err != nil {
		return t, err
	}
	if t.text == "" && s.peek() != '=' {
		return t, s.fail("unexpected %q", s.peek())
	}
	return t, s.value(&t, list, depth)
}

// value takes what follows the key of a condition: =value, with spaces around
// the sign, or in (…).
func (s *scanner) value(t *token, list bool, depth int) error {
	if !isKey(t.text) {
		return nil
	}
	back := s.pos
	s.blanks(false)
	switch rest := s.src[s.pos:]; {
	case len(rest) > 0 && rest[0] == '=':
		t.op = "="
		s.pos++
	case bytes.HasPrefix(rest, []byte("in (")) || bytes.HasPrefix(rest, []byte("in(")):
		t.op = "in"
		s.pos += 2
	default:
		s.pos = back
		return nil
	}
	t.key, t.text = t.text, ""
	s.blanks(false)
	var err error
	if s.peek() == '(' {
		t.parens = true
		t.list, err = s.list(depth)
		return err
	}
	if t.text, err = s.plain(list); err != nil {
		return err
	}
	if t.text == "" {
		return s.fail("%s= without a value", t.key)
	}
	return nil
}

// plain takes a word in which = means nothing.
func (s *scanner) plain(list bool) (string, error) {
	start := s.pos
	for {
		w, err := s.word(list)
		if err != nil || s.peek() != '=' || w == "" && s.pos == start {
			return string(s.src[start:s.pos]), err
		}
		s.pos++
	}
}

// list takes (a, b c). Elements are parted by commas or spaces.
func (s *scanner) list(depth int) ([]token, error) {
	start := s.pos
	if depth > maxDepth {
		return nil, s.fail("parentheses nest too deep")
	}
	s.pos++
	var out []token
	for {
		for !s.done() && (isSpace(s.peek()) || s.peek() == ',') {
			s.pos++
		}
		switch {
		case s.done():
			return nil, s.failAt(start, "a parenthesis that is not closed")
		case s.peek() == ')':
			s.pos++
			return out, nil
		case s.atComment():
			s.line()
			continue
		}
		t, err := s.token(true, depth+1)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
}
