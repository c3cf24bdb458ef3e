package diff

import (
	"fmt"
	"io"
	"strings"

	"github.com/profgen/profgen/gen/findings"
	"github.com/profgen/profgen/gen/seccomp"
)

// sign is how a verdict looks at the beginning of a line.
func sign(v seccomp.Verdict) string {
	switch v {
	case seccomp.Widened:
		return "+"
	case seccomp.Narrowed:
		return "-"
	case seccomp.Mixed:
		return "±"
	}
	return "~"
}

// Print writes the report for people:
//
//	docker-default -> profiles/nginx: narrowed
//	  system calls    narrowed
//	    - keyctl      allowed -> EPERM
func (r Report) Print(w io.Writer) error {
	var out strings.Builder
	fmt.Fprintf(&out, "%s -> %s: %s\n", r.From, r.To, r.Verdict)
	for _, a := range r.Axes {
		fmt.Fprintf(&out, "  %-15s %s\n", a.Name, a.Verdict)
		for _, c := range a.Changes {
			fmt.Fprintf(&out, "    %s %-26s %s\n", sign(c.Verdict), c.Subject, c.words())
		}
	}
	for _, n := range r.Notes {
		fmt.Fprintf(&out, "  note: %s\n", n)
	}
	_, err := io.WriteString(w, out.String())
	return err
}

func (c Change) words() string {
	out := c.From + " -> " + c.To
	if c.Example != "" {
		out += ", such as " + c.Example
	}
	if c.Where != "" {
		out += " (" + c.Where + ")"
	}
	return out
}

// Markdown writes the report as a comment on a pull request: a table of the
// axes, and what is wider before what is narrower.
func (r Report) Markdown(w io.Writer) error {
	var out strings.Builder
	fmt.Fprintf(&out, "### %s → %s: %s\n\n| axis | verdict | + | - | ~ |\n|---|---|---|---|---|\n", cell(r.From), cell(r.To), r.Verdict)
	for _, a := range r.Axes {
		count := map[string]int{}
		for _, c := range a.Changes {
			count[sign(c.Verdict)]++
		}
		fmt.Fprintf(&out, "| %s | %s | %d | %d | %d |\n", a.Name, a.Verdict, count["+"]+count["±"], count["-"]+count["±"], count["~"])
	}
	for _, part := range []struct {
		title string
		signs string
	}{{"Allowed now", "+±"}, {"No longer allowed", "-"}, {"Refused otherwise", "~"}} {
		r.section(&out, part.title, part.signs)
	}
	for _, n := range r.Notes {
		fmt.Fprintf(&out, "\n> %s\n", cell(n))
	}
	_, err := io.WriteString(w, out.String())
	return err
}

func (r Report) section(out *strings.Builder, title, signs string) {
	first := true
	for _, a := range r.Axes {
		for _, c := range a.Changes {
			if !strings.Contains(signs, sign(c.Verdict)) {
				continue
			}
			if first {
				fmt.Fprintf(out, "\n<details><summary>%s</summary>\n\n", title)
				first = false
			}
			fmt.Fprintf(out, "- `%s` (%s): %s\n", cell(c.Subject), a.Name, cell(c.words()))
		}
	}
	if !first {
		fmt.Fprint(out, "\n</details>\n")
	}
}

// cell keeps text out of hostile files from being Markdown.
func cell(s string) string {
	return strings.NewReplacer("|", `\|`, "`", "'", "<", "&lt;", "\n", " ").Replace(s)
}

// Rules are the findings that reports are made of, one an axis and verdict.
func Rules() []findings.Rule {
	var out []findings.Rule
	for _, axis := range []string{SystemCalls, ABIs, Capabilities, Files, ArmorRules, Mode} {
		for _, v := range []seccomp.Verdict{seccomp.Widened, seccomp.Narrowed, seccomp.Mixed, seccomp.Changed} {
			out = append(out, rule(axis, v))
		}
	}
	return out
}

func rule(axis string, v seccomp.Verdict) findings.Rule {
	id := "diff-" + strings.ReplaceAll(strings.ToLower(axis), " ", "-") + "-" + string(v)
	out := findings.Rule{ID: id, Severity: findings.Note, Summary: fmt.Sprintf("%s: %s", axis, v), Remedy: "see that it is meant"}
	if v.Widens() {
		out.Severity = findings.Warning
		out.Remedy = "see what needs it: profgen why DIR NAME"
	}
	return out
}

// Findings are the changes of the report as findings about its second side.
func (r Report) Findings() []findings.Finding {
	var out []findings.Finding
	for _, a := range r.Axes {
		for _, c := range a.Changes {
			at := findings.Location{File: r.To, In: c.Subject}
			out = append(out, rule(a.Name, c.Verdict).Of(at, "%s %s: %s", a.Name, c.Verdict, c.Subject+" "+c.words()))
		}
	}
	return findings.Sort(out)
}
