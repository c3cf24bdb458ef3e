//go:build linux && (amd64 || arm64)

package main

import (
	"fmt"
	"io"
)

// maxRepeat is what it may cost to find that an argument was recorded before, in
// ns of processor time.
const maxRepeat = 10

// repeats prints what it costs to record the arguments of a call that has the
// same again, in each comparison but the first: what its recorded way costs
// beyond what that of the first, which has no argument recorded, does. False if
// one of them is over the bar. The second way of each is the recorded one.
func repeats(out io.Writer, calls []comparison) bool {
	kept := true
	_, plain, _ := quartiles(calls[0].extra[1])
	for _, c := range calls[1:] {
		_, cost, _ := quartiles(c.extra[1])
		verdict := "ok"
		if cost-plain > maxRepeat {
			verdict, kept = "over", false
		}
		fmt.Fprintf(out, "recording %s again costs %+.0f ns more than %s does (%.0f and %.0f): <= %+d %s\n",
			c.work, cost-plain, calls[0].work, cost, plain, maxRepeat, verdict)
	}
	return kept
}
