package report

import (
	"bytes"
	"fmt"
	"html/template"

	"github.com/profgen/profgen/gen"
	"github.com/profgen/profgen/templates"
)

// Badge is a picture in SVG for a README: how many system calls and
// capabilities a profile grants. It is green if its evidence lacks nothing that
// is known of.
func Badge(b gen.Bundle, complete bool) ([]byte, error) {
	calls := map[string]bool{}
	for _, r := range b.Policy.Syscalls {
		calls[r.Name] = true
	}
	text := fmt.Sprintf("%d syscalls, %d capabilities", len(calls), len(b.Policy.Capabilities))
	color := "#16794c"
	if !complete {
		text, color = text+", gaps", "#8a5a00"
	}
	const letter, margin, label = 7, 10, "profgen"
	left, right := letter*len(label)+2*margin, letter*len(text)+2*margin
	t, err := template.New("badge").Parse(templates.Badge())
	if err != nil {
		return nil, err
	}
	var buf bytes.Buffer
	err = t.Execute(&buf, map[string]any{
		"Label": label, "Text": text, "Color": color, "Left": left, "Right": right, "Width": left + right, "Seam": left - 3,
		"LeftMiddle": left / 2, "RightMiddle": left + right/2,
	})
	return buf.Bytes(), err
}
