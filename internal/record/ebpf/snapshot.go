//go:build linux && (amd64 || arm64)

package ebpf

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/abi"
	"github.com/profgen/profgen/internal/record"
)

// Snapshot implements [record.Recorder]. Facts and gaps are in canonical order,
// each once. A call that turns out to be made with too many arguments to list
// is from then on one fact without arguments, in place of those listed before.
func (r *Recorder) Snapshot() (record.Snapshot, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return record.Snapshot{}, fmt.Errorf("take a snapshot: %w", errClosed)
	}
	s, err := r.read()
	if err != nil {
		return record.Snapshot{}, fmt.Errorf("take a snapshot: %w", err)
	}
	set := evidence.Set{Facts: append(s.facts(), s.used.facts()...), Gaps: append(s.gaps(), r.gaps()...)}.Normalize()
	refused := s.refusals()
	if r.denials != nil {
		sent, err := r.denials.drain()
		if err != nil {
			return record.Snapshot{}, fmt.Errorf("take a snapshot: %w", err)
		}
		refused = withDetails(refused, sent)
	}
	return record.Snapshot{Facts: set.Facts, Gaps: set.Gaps, Refused: refused}, nil
}

// seen is what the programs have kept.
type seen struct {
	sets    map[recorderPhase]recorderSet
	tuples  map[recorderCall][]recorderTuple
	calls   []recorderCall // beyond the sets' numbers
	refused []recorderCall // likewise
	checks  []recorderCheck
	met     []recorderMeeting
	used    *usage // of files; nil if they are not looked at
	missed  uint64 // events for which there was no room
	tally   recorderTally
	misses  map[string]uint64 // events that a program was skipped for, by program
}

// read reads the maps. The sets come first: a call that they have, and tuples
// not yet, is left to the next snapshot.
func (r *Recorder) read() (seen, error) {
	s := seen{sets: map[recorderPhase]recorderSet{}, tuples: map[recorderCall][]recorderTuple{}, misses: map[string]uint64{}}
	for p := recorderPhasePHASE_RUNTIME; p < recorderPhasePHASE_MAX; p++ {
		var set recorderSet
		if err := r.maps[recorderMapSets].Lookup(uint32(p), &set); err != nil {
			return seen{}, fmt.Errorf("read the calls of phase %s: %w", phases(p), err)
		}
		s.sets[p] = set
	}
	tuples, err := keys[recorderTuple](r.maps[recorderMapTuples])
	if err != nil {
		return seen{}, err
	}
	for _, t := range tuples {
		s.tuples[t.Call] = append(s.tuples[t.Call], t)
	}
	if s.calls, err = keys[recorderCall](r.maps[recorderMapCalls]); err != nil {
		return seen{}, err
	}
	if s.refused, err = keys[recorderCall](r.maps[recorderMapRefusals]); err != nil {
		return seen{}, err
	}
	if s.checks, err = keys[recorderCheck](r.maps[recorderMapChecks]); err != nil {
		return seen{}, err
	}
	if r.stream != nil {
		if s.met, err = keys[recorderMeeting](r.maps[recorderMapMeetings]); err != nil {
			return seen{}, err
		}
		if s.used, err = r.stream.drain(); err != nil {
			return seen{}, err
		}
		if s.missed, err = r.missed(); err != nil {
			return seen{}, err
		}
	}
	if s.tally, err = r.tally(); err != nil {
		return seen{}, err
	}
	for name, p := range r.progs {
		stats, err := p.Stats()
		if err != nil {
			return seen{}, fmt.Errorf("read how often %s was skipped: %w", name, err)
		}
		s.misses[name] = stats.RecursionMisses
	}
	return s, nil
}

// tally returns the programs' counters.
func (r *Recorder) tally() (t recorderTally, err error) {
	if err := r.maps[recorderMapCounters].Lookup(uint32(0), &t); err != nil {
		return t, fmt.Errorf("read the counters: %w", err)
	}
	return t, nil
}

// missed returns how many events there was no room for. Programs remove from that
// map too, which can make who iterates begin anew until told to stop.
func (r *Recorder) missed() (uint64, error) {
	all := map[uint64]bool{}
	var key uint64
	var val uint8
	it := r.maps[recorderMapMissed].Iterate()
	for it.Next(&key, &val) {
		all[key] = true
	}
	if err := it.Err(); err != nil && !errors.Is(err, ebpf.ErrIterationAborted) {
		return 0, fmt.Errorf("read missed events: %w", err)
	}
	return uint64(len(all)), nil
}

// keys returns the keys of a map that programs only ever add to.
func keys[K any](m *ebpf.Map) ([]K, error) {
	var (
		out []K
		key K
		val uint8
	)
	it := m.Iterate()
	for it.Next(&key, &val) {
		out = append(out, key)
	}
	if err := it.Err(); err != nil {
		return nil, fmt.Errorf("read %s: %w", m, err)
	}
	return out, nil
}

func (s seen) facts() []evidence.Fact {
	var out []evidence.Fact
	for _, c := range s.allCalls() {
		out = append(out, s.callFacts(c)...)
	}
	for _, c := range s.checks {
		if f, ok := capability(c); ok {
			out = append(out, f)
		}
	}
	for _, m := range s.met {
		out = append(out, m.fact())
	}
	return out
}

// allCalls returns every call that was seen, known to a table or not.
func (s seen) allCalls() []recorderCall {
	out := s.marked(func(set recorderSet) [3][512]uint8 { return set.Seen })
	return append(out, s.calls...)
}

// marked returns the calls whose byte is not 0 in the table that of returns, in
// order of phase, ABI and number.
func (s seen) marked(of func(recorderSet) [3][512]uint8) []recorderCall {
	var out []recorderCall
	for p := range recorderPhasePHASE_MAX {
		for i, nrs := range of(s.sets[p]) {
			for nr, b := range nrs {
				if b != 0 {
					out = append(out, recorderCall{Phase: p, Abi: recorderAbi(i), Nr: uint32(nr)})
				}
			}
		}
	}
	return out
}

// arch returns the ABI of c.
func (c recorderCall) arch() abi.Arch {
	if all := arches(); int(c.Abi) < len(all) {
		return all[c.Abi]
	}
	return ""
}

// callFacts returns what there is to say of c: nothing if no table knows it.
func (s seen) callFacts(c recorderCall) []evidence.Fact {
	name, ok := c.arch().Name(c.Nr)
	if !ok {
		return nil
	}
	fact := evidence.Syscall{Arch: c.arch(), Nr: c.Nr, Name: name, Phase: phases(c.Phase), Basis: evidence.Observed}
	spec := argspec(c.arch(), name)
	out := append(s.sockets(c, name), s.ports(c, spec)...)
	if !spec.filtered() || s.anyArgs(c) {
		return append(out, fact)
	}
	for _, t := range s.tuples[c] {
		fact.Args = t.args(spec)
		out = append(out, fact)
	}
	return out
}

// anyArgs reports whether c was made with arguments that are not listed, or
// cannot have a list.
func (s seen) anyArgs(c recorderCall) bool {
	set := s.sets[c.Phase]
	return c.Abi > 1 || c.Nr >= uint32(len(set.Anyarg[0])) ||
		set.Anyarg[c.Abi][c.Nr] != 0 || len(s.tuples[c]) > tuplesMax
}

func (s seen) sockets(c recorderCall, name string) []evidence.Fact {
	var out []evidence.Fact
	for _, t := range s.tuples[c] {
		if f, ok := t.socket(name); ok {
			out = append(out, f)
		}
	}
	return out
}

func capability(c recorderCheck) (evidence.Capability, bool) {
	name, ok := abi.CapabilityName(uint32(c.Cap))
	if !ok {
		return evidence.Capability{}, false
	}
	call, _ := c.Call.arch().Name(c.Call.Nr)
	return evidence.Capability{
		Cap: name, Arch: c.Call.arch(), Syscall: call,
		Granted: c.Granted != 0, Overridden: c.Overridden != 0, Nested: c.Nested != 0, Unaudited: c.Unaudited != 0,
		Phase: phases(c.Call.Phase), Basis: evidence.Observed,
	}, true
}
