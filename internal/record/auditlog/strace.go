package auditlog

import (
	"regexp"
	"strings"

	"github.com/profgen/profgen/gen/evidence"
)

// What a line of strace's output is about: strace(1).
type straceKind int

const (
	straceOther    straceKind = iota // what strace itself says
	straceCall                       // name(args) = result
	straceUnended                    // name(args <unfinished ...>
	straceResumed                    // <... name resumed>args) = result
	straceExited                     // +++ exited with 0 +++
	straceSignal                     // --- SIGCHLD {…} ---
	straceDetached                   // name(args <detached ...>
)

// straceEvent is one line of strace's output.
type straceEvent struct {
	kind   straceKind
	task   string // the number before the call; "" without -f
	name   string
	args   string // between the parentheses; of an unended call as far as there are any
	result string // after the equals sign
	bits32 bool   // of what strace itself says: the process runs in 32 bit mode
}

var (
	// A number, "[pid N]" where lines go to a terminal, and what -t, -r, -i and -n
	// add before the call.
	stracePrefix = regexp.MustCompile(`^(?:\[pid +(\d+)\] +|(\d+) +)?` +
		`(?:(?:\d{2}:\d{2}:\d{2}(?:\.\d+)?|\d{9,11}\.\d{3,9}) +)?(?:\(?\+? *\d+\.\d+\)? +)?(?:\[[0-9a-f]{8,16}\] +)?(?:\[ *\d+\] +)?`)
	straceName    = regexp.MustCompile(`^([a-z_][a-z0-9_]{0,40})\(`)
	straceResume  = regexp.MustCompile(`^<\.\.\. ([a-z_][a-z0-9_]{0,40}) resumed>`)
	straceBits    = regexp.MustCompile(`\[ Process PID=\d+ runs in (32|64) bit mode\. \]`)
	straceResults = regexp.MustCompile(`^\) {1,60}= (?:\?|-?\d)`)
)

// parseStrace reads a line; false if it is none of strace's.
func parseStrace(line string) (straceEvent, bool) {
	m := stracePrefix.FindStringSubmatch(line)
	e := straceEvent{task: m[1] + m[2]}
	text := line[len(m[0]):]
	switch {
	case strings.HasPrefix(text, "+++ ") && strings.HasSuffix(text, " +++"):
		e.kind = straceExited
		return e, true
	case strings.HasPrefix(text, "--- ") && strings.HasSuffix(text, " ---"):
		e.kind = straceSignal
		return e, true
	case strings.HasPrefix(text, "strace: ") || straceBits.MatchString(text):
		e.bits32 = strings.Contains(text, " 32 bit mode")
		return e, true
	}
	if m := straceResume.FindStringSubmatch(text); m != nil {
		e.kind, e.name = straceResumed, m[1]
		return e, e.split(text[len(m[0]):])
	}
	m = straceName.FindStringSubmatch(text)
	if m == nil {
		return straceEvent{}, false
	}
	e.kind, e.name = straceCall, m[1]
	rest := text[len(m[0]):]
	if args, ok := strings.CutSuffix(rest, " <unfinished ...>"); ok {
		e.kind, e.args = straceUnended, args
		return e, true
	}
	if args, ok := strings.CutSuffix(rest, " <detached ...>"); ok {
		e.kind, e.args = straceDetached, args
		return e, true
	}
	return e, e.split(rest)
}

// split takes apart what follows the opening parenthesis: the first ") = " that
// is in no string ends the arguments.
func (e *straceEvent) split(rest string) bool {
	quoted := false
	for i := 0; i < len(rest); i++ {
		switch {
		case quoted && rest[i] == '\\':
			i++
		case rest[i] == '"':
			quoted = !quoted
		case !quoted && rest[i] == ')' && straceResults.MatchString(rest[i:]):
			e.args = rest[:i]
			e.result = strings.TrimLeft(rest[i+1:], " =")
			return true
		}
	}
	return false
}

// maxArguments bounds how many arguments a call is looked for.
const maxArguments = 16

// splitArgs splits arguments at commas that are in no string, bracket or name of
// a descriptor.
func splitArgs(text string) []string {
	var out []string
	depth, start, in, names := 0, 0, false, true
	for i := 0; i < len(text) && len(out) < maxArguments; i++ {
		switch c := text[i]; {
		case in && c == '\\':
			i++
		case c == '"':
			in = !in
		case in:
		case strings.IndexByte("([{", c) >= 0:
			depth++
		case strings.IndexByte(")]}", c) >= 0:
			depth--
		case c == '<' && names && depth == 0 && i > 0 && (isDigit(text[i-1]) || strings.HasSuffix(text[:i], "AT_FDCWD")):
			// 3</etc/hostname>; strace writes > in a name as \76.
			end := strings.IndexByte(text[i:], '>')
			i, names = i+max(end, 0), end > 0
		case c == ',' && depth == 0:
			out = append(out, strings.TrimSpace(text[start:i]))
			start = i + 1
		}
	}
	if last := strings.TrimSpace(text[start:]); last != "" && len(out) < maxArguments {
		out = append(out, last)
	}
	return out
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// straceReader follows what strace saw, task by task.
type straceReader struct {
	*collector
	tasks   map[string]*task
	gone    map[string]bool // tasks that have ended
	forking map[*task]bool  // tasks that are in the middle of a fork
	primary string          // the first task
	ended   bool            // it was seen to end
}

func newStraceReader(c *collector) *straceReader {
	return &straceReader{collector: c, tasks: map[string]*task{}, gone: map[string]bool{}, forking: map[*task]bool{}}
}

func (r *straceReader) method() string { return StraceMethod }

func (r *straceReader) line(text []byte) {
	if len(text) == 0 {
		return
	}
	e, ok := parseStrace(string(text))
	if !ok {
		r.gap(evidence.Lost, StraceMethod, "lines that are not strace's, or of a call with too much in it", 1)
		return
	}
	t := r.task(e.task)
	if t == nil {
		r.gap(evidence.Lost, StraceMethod, "calls of tasks beyond the first", 1)
		return
	}
	switch e.kind {
	case straceOther:
		t.epoch.compat = t.epoch.compat || e.bits32
	case straceExited:
		r.ended = r.ended || e.task == r.primary
		r.exit(t, e.task)
	case straceUnended, straceDetached:
		r.begin(t, e)
	case straceResumed:
		r.resume(t, e)
	case straceCall:
		r.complete(t, e)
	}
}

// begin keeps a call that another task's line cuts in two. That it was made is
// known, whether or not the rest comes.
func (r *straceReader) begin(t *task, e straceEvent) {
	r.first(isExec(e.name))
	t.epoch.note(e.name)
	t.pending = e
	if isFork(e.name) {
		r.forking[t] = true
	}
}

func isFork(name string) bool {
	return name == "fork" || name == "vfork" || name == "clone" || name == "clone3"
}

func (r *straceReader) resume(t *task, e straceEvent) {
	if t.pending.name != e.name {
		r.first(false)
		t.epoch.note(e.name)
		t.epoch.anyArgs(e.name)
		r.gap(evidence.Lost, StraceMethod, "calls whose beginning, with their arguments, is missing", 1)
		return
	}
	delete(r.forking, t)
	e.args = t.pending.args + e.args
	t.pending = straceEvent{}
	r.made(t, e)
}

func (r *straceReader) complete(t *task, e straceEvent) {
	r.first(isExec(e.name))
	t.epoch.note(e.name)
	r.made(t, e)
}

func isExec(name string) bool { return name == "execve" || name == "execveat" }

// exit forgets a task.
func (r *straceReader) exit(t *task, id string) {
	if t.pending.name != "" {
		t.epoch.anyArgs(t.pending.name) // it never came back
	}
	r.leave(t.epoch)
	delete(r.forking, t)
	delete(r.tasks, id)
	if len(r.gone) < 10*maxTasks {
		r.gone[id] = true
	}
}

// end takes what still runs for ended.
func (r *straceReader) end() {
	for id, t := range r.tasks {
		r.exit(t, id)
	}
	if !r.ended {
		r.gap(evidence.Unfinished, StraceMethod, "the log ends before the first process does", 0)
	}
	r.gap(evidence.UnseenCaps, StraceMethod, "strace does not see capability checks", 0)
}
