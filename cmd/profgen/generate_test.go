package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/profgen/profgen/gen"
	"github.com/profgen/profgen/gen/policy"
)

// However much there is to warn of, what a recording ends with fits the eye: at
// most 12 lines, the last of which say what to do next.
func TestSummaryIsShort(t *testing.T) {
	for _, warnings := range []int{0, 4, 5, 100} {
		bundle := gen.Bundle{Name: "profgen-app"}
		for i := range warnings {
			bundle.Policy.Warnings = append(bundle.Policy.Warnings, policy.Warning{Sentence: fmt.Sprintf("warning %d", i)})
		}
		var talk bytes.Buffer
		fmt.Fprintln(&talk, "recorded 59 system calls in 2.1s")
		summarize(&talk, "dir", bundle)
		nextSteps(&talk, "dir")
		lines := strings.Split(strings.TrimSuffix(talk.String(), "\n"), "\n")
		if len(lines) > 12 || !strings.HasPrefix(lines[len(lines)-2], "next: docker run $(profgen flags dir) IMAGE") {
			t.Errorf("of %d warnings: %d lines:\n%s", warnings, len(lines), talk.String())
		}
		if more := strings.Contains(talk.String(), fmt.Sprintf("and %d more warnings", warnings-4)); more != (warnings > 4) {
			t.Errorf("of %d warnings, that there are more is said: %t", warnings, more)
		}
	}
}
