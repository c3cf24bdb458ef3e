package evidence

import (
	"slices"
	"strings"
	"unicode"
)

// Text comes from images, kernels and people. It is kept printable, so that no
// evidence can paint on a terminal, and bounded, so that Decode takes whatever
// Encode writes.
const (
	maxText = 1000    // bytes of one string
	maxArgv = 8 << 10 // bytes of an argument vector
)

const ellipsis = "…"

func text(s string) string { return bounded(s, maxText) }

func bounded(s string, most int) string {
	if len(s) <= most && plain(s) { // as all but a few are
		return s
	}
	s = strings.Map(func(r rune) rune {
		if !unicode.IsGraphic(r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most-len(ellipsis)], "") + ellipsis
	}
	return s
}

// plain reports whether a text is printable ASCII.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

func (s Subject) canonical() Subject {
	for _, field := range []*string{&s.Image, &s.Digest, &s.ConfigDigest, &s.Platform, &s.User} {
		*field = text(*field)
	}
	var argv []string // nil for none, as it is decoded
	room := maxArgv
	for _, arg := range s.Argv {
		arg = text(arg)
		if room -= len(arg) + 1; room < 0 {
			argv = append(argv, ellipsis)
			break
		}
		argv = append(argv, arg)
	}
	s.Argv = argv
	return s
}

func (s Source) canonical() Source {
	for _, field := range []*string{&s.Tool, &s.Version, &s.Method, &s.Kernel, &s.Runtime} {
		*field = text(*field)
	}
	return s
}

func (g Gap) canonical() Gap {
	g.Where, g.Detail, g.Syscall = text(g.Where), text(g.Detail), text(g.Syscall)
	return g
}

// canonicalFact returns f with what has no order in order, so that facts of one
// key are equal.
func canonicalFact(f Fact) Fact {
	switch f := f.(type) {
	case Syscall:
		f.Args = sortedArgs(f.Args)
		return f
	case Mount:
		f.Flags = slices.Compact(slices.Sorted(slices.Values(f.Flags))) // nil for none
		return f
	case Privileged:
		return f.canonical()
	}
	return f
}
