package evidence

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// FormatVersion is the version of the JSON-lines format that this package
// writes and the only one that it reads. A new kind of line or field does not
// change it: who does not know one refuses it by name. A change in what a known
// one means does.
const FormatVersion = 1

// Limits on what Decode accepts: evidence is hostile input.
const (
	maxLine  = 64 << 10
	maxLines = 1 << 20
	maxSeen  = 1 << 23 // facts times runs
)

// ErrTruncated says that evidence ends before its end line.
var ErrTruncated = errors.New("ends before its end line")

// line is one line of the format: exactly one field is set, besides In.
type line struct {
	Header     *header     `json:"evidence,omitempty"`
	Subject    *Subject    `json:"subject,omitempty"`
	Source     *Source     `json:"source,omitempty"`
	Run        *Run        `json:"run,omitempty"`
	Syscall    *Syscall    `json:"syscall,omitempty"`
	Capability *Capability `json:"capability,omitempty"`
	Socket     *Socket     `json:"socket,omitempty"`
	File       *FileAccess `json:"file,omitempty"`
	Executed   *Executed   `json:"exec,omitempty"`
	Signal     *Signal     `json:"signal,omitempty"`
	Ptrace     *Ptrace     `json:"ptrace,omitempty"`
	Mount      *Mount      `json:"mount,omitempty"`
	Resource   *Resource   `json:"resource,omitempty"`
	Privileged *Privileged `json:"privileged,omitempty"`
	Identity   *Identity   `json:"identity,omitempty"`
	Witness    *Witness    `json:"witness,omitempty"`
	Gap        *Gap        `json:"gap,omitempty"`
	End        *end        `json:"end,omitempty"`
	// In says of a fact of a run in which runs it was: indexes of the lines of
	// runs, from 0 on, rising. Without it, it was in all of them.
	In *[]int `json:"in,omitempty"`
}

type header struct {
	Version int `json:"version"`
}

// end closes a file, so that one cut short is not taken for a short one.
type end struct {
	Lines int `json:"lines"` // before this one
}

// Encode writes s in canonical order as JSON lines: a header, one line a
// subject, source, run, fact, witness or gap, and an end line.
func Encode(w io.Writer, s Set) error {
	s = s.Normalize()
	lines := []line{{Header: &header{FormatVersion}}}
	for _, v := range s.Subjects {
		lines = append(lines, line{Subject: &v})
	}
	for _, v := range s.Sources {
		lines = append(lines, line{Source: &v})
	}
	for _, v := range s.Runs {
		lines = append(lines, line{Run: &v})
	}
	seen := s.sightings()
	for _, v := range s.Facts {
		l := factLine(v)
		if in := seen[v.key()]; len(in) < len(s.Runs) && ofWorkload(v) {
			in = append([]int{}, in...) // none is [], not null
			l.In = &in
		}
		lines = append(lines, l)
	}
	for _, v := range s.Witnesses {
		lines = append(lines, line{Witness: &v})
	}
	for _, v := range s.Gaps {
		lines = append(lines, line{Gap: &v})
	}
	lines = append(lines, line{End: &end{len(lines)}})
	bw := bufio.NewWriter(w)
	enc := json.NewEncoder(bw)
	enc.SetEscapeHTML(false)
	for _, l := range lines {
		if err := enc.Encode(l); err != nil {
			return fmt.Errorf("write evidence: %w", err)
		}
	}
	return bw.Flush()
}

func factLine(f Fact) line {
	switch f := f.(type) {
	case Syscall:
		return line{Syscall: &f}
	case Capability:
		return line{Capability: &f}
	case Socket:
		return line{Socket: &f}
	case FileAccess:
		return line{File: &f}
	case Executed:
		return line{Executed: &f}
	case Signal:
		return line{Signal: &f}
	case Ptrace:
		return line{Ptrace: &f}
	case Mount:
		return line{Mount: &f}
	case Resource:
		return line{Resource: &f}
	case Privileged:
		return line{Privileged: &f}
	case Identity:
		return line{Identity: &f}
	}
	return line{} // the set of facts is closed: the test of every kind fails first
}

// Decode reads what Encode wrote and returns it normalized. It refuses
// evidence of another version, unknown fields or kinds, facts that contradict
// the system call tables, and files that were cut short ([ErrTruncated]).
func Decode(r io.Reader) (Set, error) {
	var s Set
	sc := bufio.NewScanner(r)
	sc.Buffer(make([]byte, 0, 4096), maxLine)
	n, ended := 0, false
	for ; sc.Scan(); n++ {
		l, err := decodeLine(sc.Bytes())
		switch {
		case err != nil:
		case ended:
			err = errors.New("text after the end line")
		case (n == 0) != (l.Header != nil):
			err = errors.New("not profgen evidence: the first line, and only it, is {\"evidence\":…}")
		case n >= maxLines:
			err = fmt.Errorf("more than %d lines", maxLines)
		case l.End != nil && l.End.Lines != n:
			err = fmt.Errorf("end line counts %d lines, there are %d", l.End.Lines, n)
		default:
			ended = l.End != nil
			err = s.add(l)
		}
		if errors.Is(err, io.ErrUnexpectedEOF) && !sc.Scan() {
			err = ErrTruncated // within the last line
		}
		if err != nil {
			return Set{}, fmt.Errorf("line %d: %w", n+1, err)
		}
	}
	if err := sc.Err(); err != nil {
		return Set{}, fmt.Errorf("line %d: %w", n+1, err)
	}
	if !ended {
		return Set{}, ErrTruncated
	}
	return s.Normalize(), nil
}

func decodeLine(b []byte) (line, error) {
	var l line
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&l); err != nil {
		if field, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
			return line{}, fmt.Errorf("unknown field %s: was this written by a newer profgen?", field)
		}
		return line{}, err
	}
	if dec.More() {
		return line{}, errors.New("more than one value on a line")
	}
	return l, nil
}

// add takes in what one line says.
func (s *Set) add(l line) error {
	if n := l.kinds(); n != 1 {
		return fmt.Errorf("%d kinds on one line, want one", n)
	}
	if l.In != nil && !l.isFact() {
		return errors.New("only facts are in runs")
	}
	switch {
	case l.Header != nil:
		return l.Header.validate()
	case l.Subject != nil:
		s.Subjects = append(s.Subjects, *l.Subject)
	case l.Source != nil:
		s.Sources = append(s.Sources, *l.Source)
	case l.Run != nil:
		if len(s.Facts) > 0 || len(s.Runs) >= maxRuns {
			return fmt.Errorf("run: want at most %d, before all facts", maxRuns)
		}
		s.Runs = append(s.Runs, *l.Run)
		return l.Run.validate()
	case l.Witness != nil:
		s.Witnesses = append(s.Witnesses, *l.Witness)
		return l.Witness.validate()
	case l.Gap != nil:
		s.Gaps = append(s.Gaps, *l.Gap)
		return l.Gap.validate()
	case l.End == nil:
		f := l.fact()
		s.Facts = append(s.Facts, f)
		return cmp.Or(f.validate(), s.addSightings(f, l.In))
	}
	return nil
}

// addSightings takes in that a fact was in the runs with these indexes; in all of
// them for nil.
func (s *Set) addSightings(f Fact, in *[]int) error {
	if !ofWorkload(f) {
		if in != nil {
			return errors.New("only what was observed of the workload is in runs")
		}
		return nil
	}
	if len(s.Facts)*len(s.Runs) > maxSeen {
		return fmt.Errorf("more than %d facts of runs", maxSeen)
	}
	if in == nil {
		for i := range s.Runs {
			s.Runs[i].Facts = append(s.Runs[i].Facts, f)
		}
		return nil
	}
	last := -1
	for _, i := range *in {
		if i <= last || i >= len(s.Runs) {
			return fmt.Errorf("in %d: want rising indexes of the %d runs", *in, len(s.Runs))
		}
		s.Runs[i].Facts = append(s.Runs[i].Facts, f)
		last = i
	}
	return nil
}

// isFact reports whether the line is of a fact.
func (l line) isFact() bool {
	return l.Header == nil && l.Subject == nil && l.Source == nil && l.Run == nil && l.Witness == nil && l.Gap == nil && l.End == nil
}

// fact returns the fact that l is of.
func (l line) fact() Fact {
	switch {
	case l.Syscall != nil:
		return *l.Syscall
	case l.Capability != nil:
		return *l.Capability
	case l.Socket != nil:
		return *l.Socket
	case l.File != nil:
		return *l.File
	case l.Executed != nil:
		return *l.Executed
	case l.Signal != nil:
		return *l.Signal
	case l.Ptrace != nil:
		return *l.Ptrace
	case l.Mount != nil:
		return *l.Mount
	case l.Privileged != nil:
		return *l.Privileged
	case l.Identity != nil:
		return *l.Identity
	}
	return *l.Resource
}

// kinds returns how many fields of l are set.
func (l line) kinds() int {
	n := 0
	for _, set := range []bool{
		l.Header != nil, l.Subject != nil, l.Source != nil, l.Run != nil, l.Syscall != nil,
		l.Capability != nil, l.Socket != nil, l.File != nil, l.Executed != nil,
		l.Signal != nil, l.Ptrace != nil, l.Mount != nil, l.Resource != nil, l.Privileged != nil, l.Identity != nil, l.Witness != nil, l.Gap != nil, l.End != nil,
	} {
		if set {
			n++
		}
	}
	return n
}
