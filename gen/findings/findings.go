// Package findings is what reviews of profiles and of run configurations find:
// one model for every rule that says something, and its forms as text and as
// SARIF.
//
// A finding is a fact about a file, what is bad about it, and what to do. The
// package knows no rule: who has rules lists them as [Rule] and makes findings
// of them. It does not see files; locations are what its callers say.
package findings

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Severity is how bad a finding is. SARIF has the same three words for levels.
type Severity string

const (
	Error   Severity = "error"   // the file does not do what it is there for: it opens a hole, or breaks the workload
	Warning Severity = "warning" // looser, or less certain, than its author may think
	Note    Severity = "note"    // worth knowing
)

// Severities lists all severities, the worst first.
func Severities() []Severity { return []Severity{Error, Warning, Note} }

// Rule is one thing that a review looks for. Its ID is stable: users put it
// into lists of what to ignore.
type Rule struct {
	ID       string   `json:"id"` // "seccomp-socket-any": lower case, words with "-"
	Severity Severity `json:"severity"`
	Summary  string   `json:"summary"`          // what is wrong, as a short phrase without a full stop
	Remedy   string   `json:"remedy"`           // what to do about it, for any finding of the rule
	Source   string   `json:"source,omitempty"` // where the fact behind the rule is written down: a URL, or a file of the kernel
}

// Finding is one place where a rule has something to say.
type Finding struct {
	Rule     string   `json:"rule"`
	Severity Severity `json:"severity"`
	Message  string   `json:"message"` // what is wrong here, naming it; without a full stop
	Remedy   string   `json:"remedy"`  // what to do about it here
	Location Location `json:"location"`
}

// Location is where something is.
type Location struct {
	File string `json:"file"`           // as the user named it
	Line int    `json:"line,omitempty"` // from 1; 0 is unknown, or the file as a whole
	In   string `json:"in,omitempty"`   // the part of the file: "rule 3, socket", "services.web"
}

// String is the location as compilers write it: FILE:LINE.
func (l Location) String() string {
	out := l.File
	if l.Line > 0 {
		out += fmt.Sprintf(":%d", l.Line)
	}
	return out
}

// Of returns a finding of the rule, with the rule's own remedy.
func (r Rule) Of(at Location, format string, args ...any) Finding {
	return Finding{Rule: r.ID, Severity: r.Severity, Message: fmt.Sprintf(format, args...), Remedy: r.Remedy, Location: at}
}

// Sort returns findings by file, line, part, rule and message, each once.
func Sort(all []Finding) []Finding {
	out := slices.Clone(all)
	slices.SortStableFunc(out, func(a, b Finding) int {
		return cmp.Or(
			cmp.Compare(a.Location.File, b.Location.File),
			cmp.Compare(a.Location.Line, b.Location.Line),
			cmp.Compare(a.Location.In, b.Location.In),
			cmp.Compare(a.Rule, b.Rule),
			cmp.Compare(a.Message, b.Message),
		)
	})
	return slices.Compact(out)
}

// Worst returns the worst severity among findings; "" if there are none.
func Worst(all []Finding) Severity {
	for _, s := range Severities() {
		if slices.ContainsFunc(all, func(f Finding) bool { return f.Severity == s }) {
			return s
		}
	}
	return ""
}

// Print writes findings for people, one to a paragraph:
//
//	seccomp.json:12: error: rule 3 allows socket with any family [seccomp-socket-any]
//	    allow the families that are needed
//
// What cannot be printed, in names that came out of hostile files, is escaped.
func Print(w io.Writer, all []Finding) error {
	for _, f := range all {
		part := ""
		if f.Location.In != "" {
			part = f.Location.In + ": "
		}
		_, err := fmt.Fprintf(w, "%s: %s: %s%s [%s]\n    %s\n",
			plain(f.Location.String()), f.Severity, plain(part), plain(f.Message), f.Rule, plain(f.Remedy))
		if err != nil {
			return err
		}
	}
	return nil
}

// plain is s on one line, without what would move a cursor.
func plain(s string) string {
	quoted := fmt.Sprintf("%q", s)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}
