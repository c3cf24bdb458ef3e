package apparmor

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"text/template"

	"github.com/profgen/profgen/gen/apparmor/syntax"
	"github.com/profgen/profgen/templates"
)

// page is what the template is filled with: only strings that are fit to print.
type page struct {
	Name      string
	Tool      string
	Subjects  [][]string // lines of the header
	Complain  bool
	Confined  bool
	Partial   bool
	ABI       string // "" for no rule
	Newer     bool   // than what every parser reads
	Variables []string
	Flags     string
	Groups    []block
}

// block is a group, printed.
type block struct {
	Comment []string // none or one
	Lines   []string
}

var profileTemplate = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("apparmor").Parse(templates.AppArmor()))
})

// MarshalText returns the profile in AppArmor's language, with a header that
// says what it is for and how to load it.
func (p Profile) MarshalText() ([]byte, error) {
	out := page{
		Name:     p.Name,
		Tool:     comment(p.Tool),
		Subjects: header(p.Subjects),
		Complain: slices.Contains(p.Flags, "complain"),
		Confined: p.Confined,
		Partial:  p.Partial,
		Flags:    strings.Join(p.Flags, ","),
	}
	out.Newer = p.ABI == ABI40
	if p.ABI != NoABI {
		out.ABI = string(p.ABI)
	}
	for _, v := range p.Variables {
		out.Variables = append(out.Variables, "@{"+v.Name+"}="+v.Value)
	}
	for _, g := range p.Groups {
		out.Groups = append(out.Groups, g.block())
	}
	var buf bytes.Buffer
	if err := profileTemplate().Execute(&buf, out); err != nil {
		return nil, fmt.Errorf("fill apparmor template: %w", err)
	}
	return buf.Bytes(), nil
}

func (g Group) block() block {
	out := block{Lines: syntax.Lines(g.Rules)}
	if g.Comment != "" {
		out.Comment = []string{comment(g.Comment)}
	}
	return out
}

// header returns the subjects as lines of a comment, sorted, each once.
func header(subjects []Subject) [][]string {
	subjects = slices.SortedFunc(slices.Values(subjects), func(a, b Subject) int {
		return cmp.Or(cmp.Compare(a.Image, b.Image), cmp.Compare(a.Digest, b.Digest), cmp.Compare(a.ConfigDigest, b.ConfigDigest))
	})
	var out [][]string
	for _, s := range slices.Compact(subjects) {
		var lines []string
		for _, l := range []struct{ label, text string }{{"image ", s.Image}, {"digest", s.Digest}, {"config", s.ConfigDigest}} {
			if l.text != "" {
				lines = append(lines, l.label+" "+comment(l.text))
			}
		}
		if lines != nil {
			out = append(out, lines)
		}
	}
	return out
}

// maxComment is how many characters of a foreign string are printed.
const maxComment = 300

// comment returns s, which may be anything, as text that stays within the line
// of a comment: printable ASCII, all else escaped as in a Go string, and cut
// off if it is very long. The template puts text of its own before it, so that
// it never follows a # at once: #include is no comment.
func comment(s string) string {
	q := strconv.QuoteToASCII(s)
	q = strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`)
	if len(q) > maxComment {
		q = q[:maxComment] + "..."
	}
	return q
}
