package policy

import (
	"regexp"
	"strings"
)

// Class is a set of texts within one component of a path.
type Class string

// The classes of names that are others each time.
const (
	PID    Class = "pid"    // the number of a process, thread or terminal
	Digits Class = "digits" // a number
	Hex    Class = "hex"    // as many hexadecimal digits as were seen
	Random Class = "random" // as many letters and digits as were seen
)

// Piece is a stretch of a name: Text itself, or, if it has a class, any text of
// that class and, for [Hex] and [Random], of the length of Text.
type Piece struct {
	Text  string
	Class Class `json:",omitempty"`
}

// Name says which paths a rule is for. A directory's ends with a slash, as
// AppArmor has it.
type Name []Piece

// Pattern reports whether the name stands for more than one path.
func (n Name) Pattern() bool {
	for _, p := range n {
		if p.Class != "" {
			return true
		}
	}
	return false
}

// String is the name for people, with what may be anything in angle brackets.
func (n Name) String() string {
	var b strings.Builder
	for _, p := range n {
		if p.Class == "" {
			b.WriteString(p.Text)
		} else {
			b.WriteString("<" + string(p.Class) + ">")
		}
	}
	return b.String()
}

// text appends a literal stretch.
func (n Name) text(s string) Name {
	if s == "" {
		return n
	}
	if last := len(n) - 1; last >= 0 && n[last].Class == "" {
		n[last].Text += s
		return n
	}
	return append(n, Piece{Text: s})
}

// class appends a stretch of a class.
func (n Name) class(c Class, s string) Name { return append(n, Piece{Text: s, Class: c}) }

// What looks made up in the name of a file that the workload made: a UUID, a
// digest or another long number in hexadecimal (a segment of PostgreSQL's log), a number that stands apart (temp-17.rdb, #1234 of an unnamed file) or is
// long, and what mkstemp(3) makes of XXXXXX.
var (
	longHex    = regexp.MustCompile(`[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}|[0-9A-Fa-f]{21,}`)
	manyDigits = regexp.MustCompile(`[0-9]{6,}`)
	anyDigits  = regexp.MustCompile(`[0-9]+`)
	apart      = regexp.MustCompile(`(?:^|[#._-])[0-9]+(?:$|[._-])`)
	tail       = regexp.MustCompile(`[A-Za-z0-9]{6,12}$`)
)

// classify splits one component of the name of a file that the workload made. If
// volatile, any digits in it are taken to be others the next time.
func classify(component string, volatile bool) Name {
	switch {
	case longHex.MatchString(component):
		return split(component, longHex, hexPieces)
	case apart.MatchString(component), volatile && anyDigits.MatchString(component):
		return split(component, anyDigits, digits)
	case manyDigits.MatchString(component):
		return split(component, manyDigits, digits)
	}
	if at := randomTail(component); at >= 0 {
		return Name(nil).text(component[:at]).class(Random, component[at:])
	}
	return Name(nil).text(component)
}

func digits(n Name, s string) Name { return n.class(Digits, s) }

// hexPieces keeps the dashes of a UUID.
func hexPieces(n Name, s string) Name {
	for i, part := range strings.Split(s, "-") {
		if i > 0 {
			n = n.text("-")
		}
		n = n.class(Hex, part)
	}
	return n
}

// split makes a name of s, with what re finds in it given to found.
func split(s string, re *regexp.Regexp, found func(Name, string) Name) Name {
	var out Name
	end := 0
	for _, m := range re.FindAllStringIndex(s, -1) {
		out = found(out.text(s[end:m[0]]), s[m[0]:m[1]])
		end = m[1]
	}
	return out.text(s[end:])
}

// randomTail returns where what mkstemp made of the X at the end of a template
// begins; -1 if there is none. It has six to twelve letters and digits, and no
// word does: some of it is upper case or a digit within the word.
func randomTail(s string) int {
	m := tail.FindStringIndex(s)
	if m == nil {
		return -1
	}
	at := max(m[0], 0)
	kinds := 0
	for _, set := range []string{"abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789"} {
		if strings.ContainsAny(s[at:], set) {
			kinds++
		}
	}
	startsApart := at == 0 || strings.ContainsAny(s[at-1:at], "._-#~")
	if kinds < 3 && !(kinds == 2 && startsApart && strings.ContainsAny(s[at+1:], "ABCDEFGHIJKLMNOPQRSTUVWXYZ")) || !startsApart {
		return -1
	}
	return at
}
