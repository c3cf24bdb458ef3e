// Package auditlog turns logs of what a workload did into evidence: the
// kernel's audit records, as auditd, the journal or dmesg have them, of seccomp
// (SCMP_ACT_LOG, and what a filter refused) and of AppArmor (complain mode, and
// what a profile denied); and what strace -f wrote.
//
// What becomes a fact was in the log. All facts are of phase start, but for what
// an OCI runtime does under its own name: a log does not tell phases. Of strace,
// paths are as the program gave them, symbolic links unresolved, unless -y was
// used; a call by relative path is understood once the folder is known; that a
// program is of a 32-bit ABI shows by its calls.
//
// What a log cannot tell is a gap: records that were suppressed or lost, lines
// that were cut, a beginning or an end that is missing, and all that filter or
// profile let pass without a word.
//
// Logs are hostile input: lines, processes and facts are bounded, and nothing in
// them panics.
package auditlog

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/abi"
)

// Methods name the ways of recording, for [evidence.Source].
const (
	AuditMethod  = "audit log"
	StraceMethod = "strace"
)

// Options say which records of a log are about the workload, and how to take
// them.
type Options struct {
	// Native is the ABI of the machine that made the log, which strace and AppArmor
	// do not name.
	Native abi.Arch
	// Profile selects the AppArmor records of this profile and of those that the
	// kernel made for what ran under it (PROFILE//…); "" takes all, of which there
	// must be one only.
	Profile string
	// Comms selects the seccomp records of tasks with these names: comm in the
	// record, at most 15 bytes; none takes all.
	Comms []string
	// Denied takes only what was refused, and takes it for needed: facts of basis
	// declared. It adds to evidence, so it is no gap what such a log does not tell.
	// It is for audit records.
	Denied bool
	// Exists, if not nil, tells whether a file was there before the workload began.
	// Whether one could be made, the kernel asks before it looks whether one has to
	// be (fs/namei.c, lookup_open), and a no does no harm then.
	Exists func(evidence.Path) bool
}

// Report is what was found in a log.
type Report struct {
	Method string
	Set    evidence.Set
	// Records is how many records or calls the facts rest on, Others how many there
	// were of other workloads.
	Records, Others int
}

// ErrFormat says that a file is none of the logs that this package reads.
var ErrFormat = errors.New("neither audit records nor strace output")

// Bounds on what a log may ask for.
const (
	maxLine  = 256 << 10 // bytes of one line
	maxFacts = 200_000
	maxTasks = 100_000 // processes and threads of one strace output
	maxFiles = 10_000  // open in one process
)

// Read reads one log to its end. The report has a gap for whatever it could not
// take in; its error is one of reading, or [ErrFormat].
func Read(r io.Reader, opt Options) (Report, error) {
	if _, ok := opt.Native.Row(); !ok {
		return Report{}, fmt.Errorf("architecture %q: unknown", opt.Native)
	}
	log := &collector{opt: opt, facts: map[string]evidence.Fact{}}
	in := bufio.NewReaderSize(r, 64<<10)
	var reader lineReader
	for {
		line, state, err := readLine(in)
		if len(line) > 0 || state == tooLong {
			if reader == nil {
				reader = log.detect(line)
			}
			log.take(reader, line, state)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return Report{}, err
		}
	}
	if reader == nil {
		return Report{}, ErrFormat
	}
	reader.end()
	return log.report(reader), nil
}

// lineReader understands the lines of one kind of log.
type lineReader interface {
	line(text []byte)
	end() // the log has no more
	method() string
}

type lineState int

const (
	whole lineState = iota
	tooLong
	cut // the last of a file that does not end with a newline
)

// readLine returns the next line without its newline.
func readLine(in *bufio.Reader) ([]byte, lineState, error) {
	var line []byte
	long := false
	for {
		part, err := in.ReadSlice('\n')
		if len(line)+len(part) > maxLine {
			long = true
		} else {
			line = append(line, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case long:
			return nil, tooLong, err
		case err == nil:
			return bytes.TrimRight(line, "\r\n"), whole, nil
		}
		return line, cut, err
	}
}

// detect returns the reader for a log by the first line that is of one.
func (c *collector) detect(line []byte) lineReader {
	if isAudit(line) || isNotice(line) {
		return &auditReader{collector: c}
	}
	if e, ok := parseStrace(string(line)); ok && e.kind != straceOther {
		return newStraceReader(c)
	}
	return nil
}

// take gives the reader a line, and notes what is wrong with it.
func (c *collector) take(reader lineReader, line []byte, state lineState) {
	switch {
	case reader == nil && state == tooLong:
		c.gap(evidence.Lost, "a line", "lines too long to be read", 1)
	case reader == nil:
	case state == tooLong:
		c.gap(evidence.Lost, reader.method(), "lines too long to be read", 1)
	case state == cut:
		c.gap(evidence.Unfinished, reader.method(), "the log is cut off within a line: what came after is missing", 0)
	default:
		reader.line(line)
	}
}

// collector gathers facts and gaps.
type collector struct {
	opt     Options
	facts   map[string]evidence.Fact
	gaps    []evidence.Gap
	argv    []string // of the first program
	records int
	others  int
	begun   bool // the first record is of an exec
}

// add adds a fact, once.
func (c *collector) add(f evidence.Fact) {
	key := fmt.Sprintf("%#v", f)
	if _, ok := c.facts[key]; ok {
		return
	}
	if len(c.facts) >= maxFacts {
		c.gap(evidence.Lost, "facts", fmt.Sprintf("facts beyond the first %d", maxFacts), 1)
		return
	}
	c.facts[key] = f
}

// gap adds to a gap, count times; 0 is for what is not counted.
func (c *collector) gap(kind evidence.GapKind, where, detail string, count uint64) {
	i := slices.IndexFunc(c.gaps, func(g evidence.Gap) bool {
		return g.Kind == kind && g.Where == where && g.Detail == detail
	})
	const most = 10_000 // different gaps
	switch {
	case i >= 0:
		c.gaps[i].Count += count
	case len(c.gaps) < most:
		c.gaps = append(c.gaps, evidence.Gap{Kind: kind, Where: where, Detail: detail, Count: count})
	}
}

// first notes whether the workload's beginning was seen, by its first record.
func (c *collector) first(isExec bool) {
	if c.records == 0 {
		c.begun = isExec
	}
	c.records++
}

// outcome is how a fact that was refused is to be taken: the basis, and the errno
// of one that failed.
func (c *collector) outcome(denied bool, errno string) (evidence.Basis, string) {
	switch {
	case !denied:
		return evidence.Observed, ""
	case c.opt.Denied:
		return evidence.Declared, ""
	}
	return evidence.Observed, errno
}

func (c *collector) report(reader lineReader) Report {
	if !c.begun && !c.opt.Denied {
		c.gap(evidence.UnseenStart, reader.method(), "the log does not begin with the start of a program: what came before is missing", 0)
	}
	set := evidence.Set{Gaps: c.gaps}
	for _, f := range c.facts {
		set.Facts = append(set.Facts, f)
	}
	if len(c.argv) > 0 {
		set.Subjects = []evidence.Subject{{Argv: c.argv}}
	}
	return Report{Method: reader.method(), Set: set.Normalize(), Records: c.records, Others: c.others}
}

// call returns the fact of a system call, or notes that no table has it.
func (c *collector) call(arch abi.Arch, nr uint32, phase evidence.Phase, basis evidence.Basis) {
	name, ok := arch.Name(nr)
	if !ok {
		c.gap(evidence.UnknownSyscall, fmt.Sprintf("%s %d", arch, nr), "a system call that no table knows", 1)
		return
	}
	c.add(evidence.Syscall{Arch: arch, Nr: nr, Name: name, Phase: phase, Basis: basis})
}

// permissions puts the letters of file permissions into their order, without
// append where there is write.
func permissions(letters string) string {
	var out []byte
	for _, p := range []byte(evidence.Permissions) {
		if bytes.IndexByte([]byte(letters), p) < 0 || p == 'a' && bytes.IndexByte([]byte(letters), 'w') >= 0 {
			continue
		}
		out = append(out, p)
	}
	return string(out)
}

// peerOf is who a signal or ptrace between two AppArmor profiles meets.
func peerOf(profile, peer string) evidence.Peer {
	if cmp.Compare(root(profile), root(peer)) == 0 {
		return evidence.Within
	}
	return evidence.Outside
}
