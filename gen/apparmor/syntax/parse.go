package syntax

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// Parse reads a file of policy. Errors name the line.
func Parse(src []byte) (File, error) {
	if len(src) > maxFile {
		return File{}, fmt.Errorf("larger than %d bytes", maxFile)
	}
	if i := bytes.IndexByte(src, 0); i >= 0 {
		return File{}, (&scanner{src: src}).failAt(i, "a NUL byte: this is no text")
	}
	p := &parser{scanner: scanner{src: src}}
	body, err := p.body(0, false)
	if err != nil {
		return File{}, err
	}
	return File{body}, nil
}

type parser struct {
	scanner
	counted, lines int // newlines in src[:counted]
}

// lineNumber is the line that the scanner is on. It is asked for on the way, so
// that each line is counted once.
func (p *parser) lineNumber() int {
	p.lines += bytes.Count(p.src[p.counted:p.pos], []byte("\n"))
	p.counted = p.pos
	return p.lines + 1
}

// body reads nodes up to the end of the file, or to the brace that closes a
// profile.
func (p *parser) body(depth int, braced bool) (Body, error) {
	if depth > maxDepth {
		return Body{}, p.fail("profiles nest too deep")
	}
	var b Body
	for {
		n := p.comments()
		n.Blank = n.Blank || len(b.Nodes) == 0
		switch {
		case p.done() && braced:
			return Body{}, p.fail("the file ends within braces")
		case p.done(), braced && p.peek() == '}':
			b.Tail = tail(n, len(b.Nodes) > 0)
			return b, nil
		}
		var err error
		n.Line = p.lineNumber()
		if n.Item, err = p.item(depth); err != nil {
			return Body{}, err
		}
		n.Trail = p.trail()
		b.Nodes = append(b.Nodes, n)
	}
}

// tail are the comments of a node that has no item, at the end of a body.
func tail(n Node, after bool) []string {
	out := n.Lead
	if len(out) > 0 && out[len(out)-1] == emptyLine {
		out = out[:len(out)-1]
	}
	if len(out) > 0 && n.Blank && after {
		out = append([]string{emptyLine}, out...)
	}
	return out
}

// comments reads what stands before an item. The scanner is at the beginning of
// the body, or behind an item on its line.
func (p *parser) comments() Node {
	var n Node
	for {
		start := p.pos
		p.blanks(true)
		if bytes.Count(p.src[start:p.pos], []byte("\n")) > 1 {
			if len(n.Lead) == 0 {
				n.Blank = true
			} else {
				n.Lead = append(n.Lead, emptyLine)
			}
		}
		if p.done() || !p.atComment() {
			return n
		}
		p.pos++
		n.Lead = append(n.Lead, p.line())
	}
}

// emptyLine stands among comments for a line that is empty.
const emptyLine = "\n"

// trail reads the comment behind an item on its line.
func (p *parser) trail() string {
	p.blanks(false)
	if !p.done() && p.atComment() {
		p.pos++
		return p.line()
	}
	return ""
}

// item reads one statement.
func (p *parser) item(depth int) (Item, error) {
	start := p.pos
	switch {
	case p.atInclude():
		p.pos++
		return p.include()
	case p.peek() == '@' || p.peek() == '$':
		if a, ok, err := p.assign(); ok || err != nil {
			return a, err
		}
		p.pos = start
	}
	if w := p.keyword(); w == "include" {
		return p.include()
	}
	tokens, opened, err := p.statement()
	if err != nil {
		return nil, err
	}
	if opened {
		return p.braces(tokens, start, depth)
	}
	if len(tokens) == 0 {
		return nil, p.failAt(start, "a comma with nothing before it")
	}
	item, err := statement(tokens)
	if err != nil {
		return nil, p.failAt(start, "%v", err)
	}
	return item, nil
}

// keyword is the word of letters at the scanner's place, which stays there.
func (p *parser) keyword() string {
	end := p.pos
	for end < len(p.src) && (p.src[end] >= 'a' && p.src[end] <= 'z' || p.src[end] == '_') {
		end++
	}
	if end < len(p.src) && !isSpace(p.src[end]) && p.src[end] != '<' {
		return ""
	}
	return string(p.src[p.pos:end])
}

// include reads an include, from its keyword on.
func (p *parser) include() (Item, error) {
	start := p.pos
	p.pos += len("include")
	var out Include
	p.blanks(false)
	if rest, ok := bytes.CutPrefix(p.src[p.pos:], []byte("if")); ok && len(rest) > 0 && isSpace(rest[0]) {
		p.pos += 2
		p.blanks(false)
		if !bytes.HasPrefix(p.src[p.pos:], []byte("exists")) {
			return nil, p.failAt(start, "include if: want include if exists")
		}
		p.pos += len("exists")
		p.blanks(false)
		out.IfExists = true
	}
	from := p.pos
	if p.peek() == '<' {
		end := bytes.IndexAny(p.src[p.pos:], ">\n")
		if end < 0 || p.src[p.pos+end] != '>' {
			return nil, p.failAt(start, "include: a < that is not closed")
		}
		p.pos += end + 1
	} else if _, err := p.word(false); err != nil {
		return nil, err
	}
	out.Path = string(p.src[from:p.pos])
	if p.peek() == ',' {
		p.pos++
	}
	if strings.Trim(out.Path, `<>"`) == "" {
		return nil, p.failAt(start, "include: want a path")
	}
	return out, nil
}

// assign reads @{VAR} = values or $flag = value, up to the end of the line;
// false if it is none: a rule or a profile may begin with a variable too.
func (p *parser) assign() (Item, bool, error) {
	start := p.pos
	end := p.pos + 1
	if p.peek() == '@' {
		i := bytes.IndexAny(p.src[p.pos:], "}\n ")
		if i < 0 || p.src[p.pos+i] != '}' {
			return nil, false, nil
		}
		end = p.pos + i + 1
	} else {
		for end < len(p.src) && (isAlnum(p.src[end]) || p.src[end] == '_' || p.src[end] == '{' || p.src[end] == '}') {
			end++
		}
	}
	a := Assign{Name: string(p.src[start:end])}
	p.pos = end
	p.blanks(false)
	if p.peek() == '+' {
		a.Add = true
		p.pos++
	}
	if p.peek() != '=' {
		return nil, false, nil
	}
	p.pos++
	for p.blanks(false); !p.done() && p.peek() != '\n' && !p.atComment(); p.blanks(false) {
		from := p.pos
		if p.peek() == '"' {
			if _, err := p.quoted(); err != nil {
				return nil, false, err
			}
		} else {
			for !p.done() && !isSpace(p.peek()) {
				p.pos++
			}
		}
		a.Values = append(a.Values, string(p.src[from:p.pos]))
	}
	if a.Name[0] == '$' {
		return p.flag(a, start)
	}
	if len(a.Values) == 0 {
		return nil, false, p.failAt(start, "%s without a value", a.Name)
	}
	return a, true, nil
}

// flag checks an assignment to a flag. It may end with a comma, as rules do.
func (p *parser) flag(a Assign, start int) (Item, bool, error) {
	if len(a.Values) == 1 {
		a.Values[0] = strings.TrimSuffix(a.Values[0], ",")
	}
	if a.Add || strings.Trim(a.Name, "${}") == "" || len(a.Values) != 1 || a.Values[0] != "true" && a.Values[0] != "false" {
		return nil, false, p.failAt(start, "%s: want = true or = false", a.Name)
	}
	return a, true, nil
}

func isAlnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// statement reads tokens up to the comma or to the brace that ends them.
func (p *parser) statement() (tokens []token, opened bool, err error) {
	start := p.pos
	for {
		p.blanks(true)
		switch {
		case p.done():
			return nil, false, p.failAt(start, "a rule without a comma at its end")
		case p.peek() == ',':
			p.pos++
			return tokens, false, nil
		case p.peek() == '{' && p.bodyBrace():
			p.pos++
			return tokens, true, nil
		case p.peek() == '}' && len(tokens) > 0:
			return nil, false, p.failAt(start, "a rule without a comma at its end")
		case p.atComment():
			p.line()
			continue
		case p.atInclude():
			return nil, false, p.failAt(start, "a rule without a comma at its end")
		}
		t, err := p.token(false, 0)
		if err != nil {
			return nil, false, err
		}
		tokens = append(tokens, t)
	}
}

// bodyBrace reports whether the brace here opens a body: a pattern's is followed
// by what it matches.
func (p *parser) bodyBrace() bool {
	next := p.pos + 1
	return next >= len(p.src) || isSpace(p.src[next]) || p.src[next] == '#' || p.src[next] == '}'
}

// braces reads what has a body.
func (p *parser) braces(tokens []token, start, depth int) (Item, error) {
	body := func() (Body, error) {
		b, err := p.body(depth+1, true)
		if err == nil {
			p.pos++ // the closing brace
		}
		return b, err
	}
	if len(tokens) > 0 && tokens[0].text == "if" {
		return p.conditional(tokens, body)
	}
	if q, rest, err := qualifiers(tokens); err == nil && len(rest) == 0 {
		b, err := body()
		return Block{q, b}, err
	}
	out, err := header(tokens)
	if err != nil {
		return nil, p.failAt(start, "%v", err)
	}
	out.Body, err = body()
	return out, err
}

func (p *parser) conditional(tokens []token, body func() (Body, error)) (Item, error) {
	var words []string
	for _, t := range tokens[1:] {
		words = append(words, t.String())
	}
	out := If{Condition: strings.Join(words, " ")}
	var err error
	if out.Then, err = body(); err != nil {
		return nil, err
	}
	back := p.pos
	p.blanks(true)
	if p.keyword() != "else" {
		p.pos = back
		return out, nil
	}
	p.pos += len("else")
	p.blanks(true)
	if p.keyword() == "if" { // else if: an else with one item
		start := p.pos
		rest, opened, err := p.statement()
		if err != nil || !opened {
			return nil, p.failAt(start, "else if: want a condition and braces")
		}
		nested, err := p.conditional(rest, body)
		out.Else = &Body{Nodes: []Node{{Blank: true, Item: nested}}}
		return out, err
	}
	if p.peek() != '{' {
		return nil, p.fail("else: want braces")
	}
	p.pos++
	b, err := body()
	out.Else = &b
	return out, err
}

// header reads what stands before the brace of a profile.
func header(tokens []token) (Profile, error) {
	var out Profile
	if len(tokens) > 0 && slices.Contains([]string{"profile", "hat"}, tokens[0].text) {
		out.Keyword = tokens[0].text
		tokens = tokens[1:]
	}
	if len(tokens) == 0 || tokens[0].text == "" || tokens[0].key != "" {
		return out, fmt.Errorf("braces without the name of a profile")
	}
	out.Name = tokens[0].text
	for _, t := range tokens[1:] {
		switch {
		case t.key == "flags" && t.parens, t.key == "" && t.parens:
			out.Flags = append(out.Flags, t.words()...)
		case t.key == "xattrs" && t.parens:
			out.XAttrs = append(out.XAttrs, t.words()...)
		case t.key == "" && out.Attachment == "":
			out.Attachment = t.text
		default:
			return out, fmt.Errorf("profile %s: unexpected %s", out.Name, t.String())
		}
	}
	return out, nil
}
