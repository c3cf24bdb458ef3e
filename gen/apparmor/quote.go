package apparmor

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// special are the characters that mean something in a pattern, or to the
// parser before it gets there: an @ begins a variable. The backslash is not
// among them, because the parser takes the \\" at the end of "/a\\" for an
// escaped quote if there is another quote anywhere below (apparmor_parser
// 3.0.8): it is written in octal.
const special = `?*[]{}^"@!`

// plain is what needs no quotes around it.
var plain = regexp.MustCompile(`^(?:[A-Za-z0-9/._+-]|@\{[A-Za-z0-9]+\})+$`)

// QuotePath returns raw, the name of a file as the kernel has it, as text that
// stands in a file rule for that file and no other.
//
// raw is an absolute path of any bytes but NUL, in shortest form but for the
// slash at the end that marks a directory; anything else is an error, because
// the parser would silently make another path of it. Bytes that are no
// printable UTF-8 come out as octal, which also keeps invisible characters
// from misleading whoever reads the profile.
func QuotePath(raw string) (string, error) {
	if err := checkPath(raw); err != nil {
		return "", fmt.Errorf("path %q: %w", raw, err)
	}
	var b strings.Builder
	quoteText(&b, raw)
	return quoted(b.String()), nil
}

// quoteText writes text that stands for itself within a pattern.
func quoteText(b *strings.Builder, raw string) {
	for len(raw) > 0 {
		r, n := utf8.DecodeRuneInString(raw)
		quoteRune(b, r, raw[:n])
		raw = raw[n:]
	}
}

// quoted puts a pattern in quotes if it needs any.
func quoted(out string) string {
	if !plain.MatchString(out) {
		return `"` + out + `"`
	}
	return out
}

// quoteRune writes a character that is spelled raw, which is a single byte if
// it is no UTF-8.
func quoteRune(b *strings.Builder, r rune, raw string) {
	invalid := r == utf8.RuneError && len(raw) == 1
	switch {
	case invalid, r == '\\', !unicode.IsPrint(r):
		for _, c := range []byte(raw) {
			fmt.Fprintf(b, `\%03o`, c)
		}
	case strings.ContainsRune(special, r):
		b.WriteByte('\\')
		b.WriteRune(r)
	default:
		b.WriteRune(r)
	}
}

func checkPath(raw string) error {
	switch {
	case !strings.HasPrefix(raw, "/"):
		return errors.New("not absolute; a profile names files from the container's root")
	case strings.ContainsRune(raw, 0):
		return errors.New("contains NUL; no file has such a name")
	case raw != "/" && path.Clean(raw) != strings.TrimSuffix(raw, "/"):
		return errors.New("not in shortest form; clean it first")
	}
	return nil
}
