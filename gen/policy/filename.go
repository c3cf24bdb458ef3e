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
	Object Class = "object" // a shared object: what ends in .so, or .so and a version; to the end of the name
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

// Matches reports whether path is one that the name stands for.
func (n Name) Matches(path string) bool {
	if len(n) == 0 {
		return path == ""
	}
	p := n[0]
	if p.Class == "" {
		rest, ok := strings.CutPrefix(path, p.Text)
		return ok && n[1:].Matches(rest)
	}
	if p.Class == Object {
		return len(n) == 1 && objectName.MatchString(path) && !strings.Contains(path, "/")
	}
	least, most := p.lengths()
	for i := range min(most, len(path)) {
		if !strings.ContainsRune(p.Class.letters(), rune(path[i])) {
			return false
		}
		if i+1 >= least && n[1:].Matches(path[i+1:]) {
			return true
		}
	}
	return false
}

// How many digits a number has at most.
const (
	PIDDigits = 7  // of pid_max: 4194304
	IntDigits = 20 // of 2^64
)

// lengths returns how long a stretch of a class is, at least and at most.
func (p Piece) lengths() (least, most int) {
	switch p.Class {
	case PID:
		return 1, PIDDigits
	case Digits:
		return 1, IntDigits
	}
	return len(p.Text), len(p.Text)
}

// letters are what a stretch of the class is made of.
func (c Class) letters() string {
	const digits, lower = "0123456789", "abcdefghijklmnopqrstuvwxyz"
	switch c {
	case Hex:
		return digits + lower[:6] + strings.ToUpper(lower[:6])
	case Random:
		return digits + lower + strings.ToUpper(lower)
	}
	return digits
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
	longHex     = regexp.MustCompile(`[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}|[0-9A-Fa-f]{21,}`)
	manyDigits  = regexp.MustCompile(`[0-9]{6,}`)
	anyDigits   = regexp.MustCompile(`[0-9]+`)
	apart       = regexp.MustCompile(`(?:^|[#._-])[0-9]+(?:$|[._-])`)
	objectName  = regexp.MustCompile(`(?s)\.so(?:\.[0-9].*)?$`)
	fixedDigits = regexp.MustCompile(`^(?:lib(?:32|64|x32)|.*-linux-(?:gnu|musl).*)$`) // and not a version
	tail        = regexp.MustCompile(`[A-Za-z0-9]{6,12}$`)
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
