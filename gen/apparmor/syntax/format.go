package syntax

import (
	"bytes"
	"fmt"
	"strings"
)

// Format writes a file as it is ordered: two spaces a level, one rule a line,
// the parts of neighbouring rules aligned.
func Format(f File) []byte {
	w := &writer{}
	w.body(f.Body, 0)
	return w.buf.Bytes()
}

// Lines returns rules as the lines of a body that has nothing else: in canonical
// order, each once, aligned, with an empty line where a section ends.
func Lines(rules []Item) []string {
	if len(rules) == 0 {
		return nil
	}
	var b Body
	for _, r := range rules {
		b.Nodes = append(b.Nodes, Node{Item: r})
	}
	w := &writer{}
	w.body(b.canonical(true), 0)
	return strings.Split(strings.TrimSuffix(w.buf.String(), "\n"), "\n")
}

// writer collects lines.
type writer struct{ buf bytes.Buffer }

func (w *writer) line(depth int, text string) {
	if text != "" {
		w.buf.WriteString(strings.Repeat("  ", depth))
		w.buf.WriteString(text)
	}
	w.buf.WriteByte('\n')
}

func (w *writer) comments(depth int, lead []string) {
	for _, c := range lead {
		if c == emptyLine {
			w.line(0, "")
			continue
		}
		w.line(depth, strings.TrimRight("#"+c, " \t\r"))
	}
}

// body writes nodes. Rules without anything between them share columns.
func (w *writer) body(b Body, depth int) {
	var run []Node
	for i, n := range b.Nodes {
		apart := i > 0 && n.Blank
		if apart || len(n.Lead) > 0 || !plain(n.Item) || len(run) > 0 && class(run[0].Item) != class(n.Item) {
			w.rules(run, depth)
			run = nil
		}
		if apart {
			w.line(0, "")
		}
		w.comments(depth, n.Lead)
		if plain(n.Item) {
			run = append(run, n)
			continue
		}
		w.braces(n, depth)
	}
	w.rules(run, depth)
	w.comments(depth, b.Tail)
}

// plain reports whether an item fits on a line.
func plain(i Item) bool {
	switch i.(type) {
	case Profile, If, Block:
		return false
	}
	return true
}

// maxColumn is the width beyond which a part no longer moves those of other
// lines to the right.
const maxColumn = 60

func (w *writer) rules(run []Node, depth int) {
	var widths []int
	for _, n := range run {
		for i, f := range fields(n.Item) {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			if len(f) <= maxColumn {
				widths[i] = max(widths[i], len(f))
			}
		}
	}
	for _, n := range run {
		f := fields(n.Item)
		var line strings.Builder
		for i, part := range f {
			if i < len(f)-1 {
				fmt.Fprintf(&line, "%-*s ", widths[i], part)
			} else {
				line.WriteString(part)
			}
		}
		line.WriteString(end(n.Item))
		w.line(depth, trailed(line.String(), n.Trail))
	}
}

func trailed(line, comment string) string {
	if comment != "" {
		line += " #" + comment
	}
	return strings.TrimRight(line, " \t\r")
}

// end is what ends an item's line.
func end(i Item) string {
	switch i.(type) {
	case Include, Assign:
		return ""
	}
	return ","
}

func (w *writer) braces(n Node, depth int) {
	switch i := n.Item.(type) {
	case Profile:
		w.line(depth, i.header()+" {")
		w.body(i.Body, depth+1)
	case If:
		w.line(depth, "if "+i.Condition+" {")
		w.body(i.Then, depth+1)
		if i.Else != nil {
			w.line(depth, "} else {")
			w.body(*i.Else, depth+1)
		}
	case Block:
		w.line(depth, strings.Join(append(i.words(), "{"), " "))
		w.body(i.Body, depth+1)
	}
	w.line(depth, trailed("}", n.Trail))
}

func (p Profile) header() string {
	out := nonEmpty(p.Keyword, p.Name, p.Attachment)
	if len(p.XAttrs) > 0 {
		out = append(out, "xattrs=("+strings.Join(p.XAttrs, ", ")+")")
	}
	if len(p.Flags) > 0 {
		out = append(out, "flags=("+strings.Join(p.Flags, ",")+")")
	}
	return strings.Join(out, " ")
}

func nonEmpty(words ...string) []string {
	var out []string
	for _, w := range words {
		if w != "" {
			out = append(out, w)
		}
	}
	return out
}

func (q Qualifiers) words() []string {
	var out []string
	if q.Priority != "" {
		out = append(out, "priority="+q.Priority)
	}
	if q.Audit {
		out = append(out, "audit")
	}
	if q.Quiet {
		out = append(out, "quiet")
	}
	return append(out, nonEmpty(q.Access, q.Who)...)
}

// fields are the parts of a plain item, without what ends it. They are what gets
// aligned.
func fields(i Item) []string {
	switch i := i.(type) {
	case ABI:
		return []string{"abi " + i.Path}
	case Include:
		if i.IfExists {
			return []string{"include if exists " + i.Path}
		}
		return []string{"include " + i.Path}
	case Alias:
		return []string{"alias", i.From, "->", i.To}
	case Assign:
		return []string{i.Name + map[bool]string{false: "=", true: "+="}[i.Add] + strings.Join(i.Values, " ")}
	case Capability:
		return append(i.words(), strings.Join(append([]string{"capability"}, i.Names...), " "))
	case Rule:
		return i.fields()
	case ChangeProfile:
		return append(append(i.words(), "change_profile"), withTarget(nonEmpty(i.Mode, i.Exec), i.Target)...)
	case RLimit:
		return []string{"set rlimit", i.Name, "<= " + i.Value}
	case Link:
		out := append(i.words(), "link")
		if i.Subset {
			out = append(out, "subset")
		}
		return append(out, i.Name, "->", i.Target)
	case FileRule:
		if i.Path == "" {
			return append(i.words(), nonEmpty(i.Mode, "file")...)
		}
		path := strings.Join(append(i.words(), nonEmpty(i.Mode, i.Path)...), " ")
		return withTarget([]string{path, i.Perms}, i.Target)
	case All:
		return append(i.words(), "all")
	}
	return nil
}

func withTarget(words []string, target string) []string {
	if target == "" {
		return words
	}
	return append(words, "->", target)
}

func (r Rule) fields() []string {
	out := append(r.words(), r.Kind)
	switch {
	case len(r.Access) == 1 && r.Kind != "network":
		out = append(out, r.Access[0])
	case len(r.Access) > 0:
		out = append(out, "("+strings.Join(r.Access, ", ")+")")
	}
	out = append(out, r.Words...)
	for _, c := range r.Conds {
		out = append(out, c.String())
	}
	return withTarget(append(out, nonEmpty(r.Object)...), r.Target)
}

// String writes a condition.
func (c Condition) String() string {
	if len(c.Values) == 1 && len(c.Conds) == 0 && !c.In {
		return c.Key + "=" + c.Values[0]
	}
	list := append([]string{}, c.Values...)
	for _, inner := range c.Conds {
		list = append(list, inner.String())
	}
	sign := "="
	if c.In {
		sign = " in "
	}
	return c.Key + sign + "(" + strings.Join(list, ", ") + ")"
}
