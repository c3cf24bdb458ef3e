package evidence

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"regexp"
	"slices"
)

// Run is one recording among several, and what it saw the workload do. Runs are there to
// tell how sure evidence is: a fact that one run of ten has may have company that
// none had.
//
// The identity of a run is what it saw, which keeps [Merge] what it is: a run
// that comes in on two ways is one run. So two recordings that saw the same
// would be one too, if they had no number: the n-th of those that saw the same, among
// recordings known to be different. Of recordings that nobody told apart when
// they were made, as many are counted as can be sure to be different.
type Run struct {
	ID string `json:"id"` // sha256:…, of the facts
	// Nth is 1 for the first of the runs that saw the same.
	Nth int `json:"nth"`
	// Facts are what the run observed, of all phases but runtime. They are all in
	// the [Set] too, which has others: of a scan, of recordings that are no runs.
	Facts []Fact `json:"-"`
}

// maxRuns is how many runs evidence may be of.
const maxRuns = 1000

var runID = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

func (r Run) validate() error {
	if !runID.MatchString(r.ID) || r.Nth < 1 || r.Nth > maxRuns {
		return errors.New("run: want an id sha256:… and a number from 1 on")
	}
	return nil
}

func (r Run) key() string { return fmt.Sprintf("%q %06d", r.ID, r.Nth) }

// AsRun returns s as the evidence of one run more, beside those of before: what s
// observed is the run's. A set that observed nothing, or has runs, is returned as
// it is.
func (s Set) AsRun(before ...Set) Set {
	observed := observed(s.Facts)
	if len(observed) == 0 || len(s.Runs) > 0 {
		return s
	}
	var line bytes.Buffer
	_ = Encode(&line, Set{Facts: observed}) // a buffer takes everything
	r := Run{ID: fmt.Sprintf("sha256:%x", sha256.Sum256(line.Bytes())), Nth: 1, Facts: observed}
	for _, b := range before {
		for _, o := range b.Runs {
			if o.ID == r.ID && o.Nth >= r.Nth {
				r.Nth = o.Nth + 1
			}
		}
	}
	s.Runs = []Run{r}
	return s
}

func observed(facts []Fact) []Fact {
	return slices.DeleteFunc(slices.Clone(facts), func(f Fact) bool { return !ofWorkload(f) })
}

// ofWorkload reports whether a fact is of what a run can have seen: what the
// workload did, not what the container runtime did, which differs from time to time.
func ofWorkload(f Fact) bool {
	basis, phase := f.known()
	return basis == Observed && phase != Runtime
}

// normalRuns returns the runs in canonical order, each once.
func normalRuns(in []Run) []Run {
	sorted := slices.SortedStableFunc(slices.Values(in), func(a, b Run) int { return cmp.Compare(a.key(), b.key()) })
	var out []Run
	for _, r := range sorted {
		if last := len(out) - 1; last >= 0 && out[last].key() == r.key() {
			out[last].Facts = append(slices.Clip(out[last].Facts), r.Facts...)
		} else {
			out = append(out, r)
		}
	}
	for i := range out {
		out[i].Facts = unique(observed(out[i].Facts), canonicalFact, Fact.key)
	}
	return out
}

// sightings returns for each fact, by its key, in which of the runs it was.
func (s Set) sightings() map[string][]int {
	out := map[string][]int{}
	for i, r := range s.Runs {
		for _, f := range r.Facts {
			out[f.key()] = append(out[f.key()], i)
		}
	}
	return out
}

// Sighting is an observed fact, and in which runs it was seen.
type Sighting struct {
	Fact Fact
	In   []int // indexes of Set.Runs, rising; none if it is of recordings that are no runs
}

// Sightings returns what was observed of the workload, in order, each with the
// runs that saw it: len(In) of len(s.Runs). s has to be normalized.
func (s Set) Sightings() []Sighting {
	seen := s.sightings()
	var out []Sighting
	for _, f := range observed(s.Facts) {
		out = append(out, Sighting{f, seen[f.key()]})
	}
	return out
}

// Stability is how much several runs agree.
type Stability struct {
	Runs int `json:"runs"`
	// New is, for each run in the order in which they were made, how many facts it
	// had that none before it had.
	New []int `json:"new"`
	// LastNew is the number of the last run, from 1 on, that had a new fact.
	LastNew int `json:"lastNew"`
	Always  int `json:"always"` // facts that all runs have
	// Sometimes are the facts that not all have, rarest first.
	Sometimes []Sighting `json:"-"`
}

// Compare tells how much runs agree, given in the order in which they were made,
// about what the workload did.
func Compare(runs []Set) Stability {
	s := Stability{Runs: len(runs)}
	in := map[string]*Sighting{}
	var order []*Sighting
	for i, run := range runs {
		fresh := 0
		for _, f := range run.Normalize().Facts {
			if !ofWorkload(f) {
				continue
			}
			seen := in[f.key()]
			if seen == nil {
				seen = &Sighting{Fact: f}
				in[f.key()], order, fresh = seen, append(order, seen), fresh+1
			}
			seen.In = append(seen.In, i)
		}
		s.New = append(s.New, fresh)
		if fresh > 0 {
			s.LastNew = i + 1
		}
	}
	for _, seen := range order {
		if len(seen.In) == len(runs) {
			s.Always++
		} else {
			s.Sometimes = append(s.Sometimes, *seen)
		}
	}
	slices.SortStableFunc(s.Sometimes, func(a, b Sighting) int {
		return cmp.Or(cmp.Compare(len(a.In), len(b.In)), cmp.Compare(a.Fact.key(), b.Fact.key()))
	})
	return s
}
