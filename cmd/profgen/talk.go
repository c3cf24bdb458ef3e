package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode"

	"golang.org/x/term"

	"github.com/profgen/profgen/gen/policy"
	"github.com/profgen/profgen/internal/record"
)

// talk is what profgen says while it works: one line that renews itself on a
// terminal, nothing in a pipe.
type talk struct {
	w        io.Writer
	terminal bool
}

func newTalk(w io.Writer) talk {
	f, ok := w.(*os.File)
	return talk{w: w, terminal: ok && term.IsTerminal(int(f.Fd()))}
}

func (t talk) progress(p record.Progress) {
	if !t.terminal {
		return
	}
	// What is needed so far: checks that policy takes for needs. Before the
	// workload has begun there is nothing to decide.
	needed, _ := policy.Decide(p.Evidence, policy.Options{})
	t.say("%s  %d system calls  %d capabilities  last new one %s ago",
		p.Elapsed.Truncate(time.Second), p.Syscalls, len(needed.Capabilities), p.Quiet.Truncate(time.Second))
}

// unpacking says what is done before a container starts: it can take a while,
// all the more if the image is pulled first.
func (t talk) unpacking(image string) {
	if image != "" {
		t.say("unpacking %s", image)
	}
}

// step says how far a scan is and what it is about: a name out of an image, of
// which nothing is printed that would move the cursor.
func (t talk) step(done, total int, what string) {
	const room = 60
	name := []rune(strings.Map(func(r rune) rune {
		if !unicode.IsGraphic(r) {
			return unicode.ReplacementChar
		}
		return r
	}, what))
	t.say("%d of %d  %s", done, total, string(name[:min(len(name), room)]))
}

func (t talk) say(format string, args ...any) {
	if t.terminal {
		fmt.Fprintf(t.w, "\r\x1b[K"+format, args...)
	}
}

func (t talk) clear() { t.say("") }
