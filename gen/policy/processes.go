package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/profgen/profgen/gen/evidence"
)

// Processes says what the workload may do to processes.
type Processes struct {
	// Trace says that it may trace its own, if files are confined: read and write
	// their memory. It may look at them in any case: readlink(2) in /proc asks for that, which is no use
	// of a file, and so none that a recording shows.
	Trace bool
	// TraceOutside is the same of processes outside the workload: "", "read" or
	// "trace".
	TraceOutside string
	// Signals are those that it may send to processes outside: sorted. 0 asks
	// whether one is there.
	Signals []uint32
}

// decideProcesses goes by what was seen, if all was: who sees files sees the rest.
func (d *decider) decideProcesses() {
	p := &d.policy.Processes
	signals := map[uint32]bool{}
	for _, f := range d.set.Facts {
		switch f := f.(type) {
		case evidence.Ptrace:
			if f.Phase == evidence.Runtime || f.Peer == evidence.Itself {
				continue
			}
			if f.Peer == evidence.Within {
				p.Trace = p.Trace || f.Access == "trace"
			} else {
				p.TraceOutside = max(p.TraceOutside, f.Access) // "read" < "trace"
			}
		case evidence.Signal:
			if f.Phase != evidence.Runtime && f.Peer == evidence.Outside {
				signals[f.Number] = true
			}
		}
	}
	p.Signals = slices.Sorted(maps.Keys(signals))
}

// Mount allows one change of the tree of mounts.
type Mount struct {
	Op     string // "mount", "umount", "pivot_root"; all else is any change at Target
	FSType string
	Source string   // of what names a file; of pivot_root where the old root goes
	Target string   // "" for any
	Flags  []string // as apparmor.d(5) spells them, sorted: all of them, and no others
}

// String is the change for people.
func (m Mount) String() string {
	words := []string{m.Op, m.FSType, strings.Join(m.Flags, ",")}
	for _, p := range []struct{ word, path string }{{"of", m.Source}, {"at", m.Target}} {
		if p.path != "" {
			words = append(words, p.word, evidence.Path(p.path).String())
		}
	}
	return strings.Join(slices.DeleteFunc(words, func(s string) bool { return s == "" }), " ")
}

// decideMounts allows the changes that were seen. While not all were, whoever has
// the capability may unmount, as under docker-default.
func (d *decider) decideMounts() {
	seen := map[string]Mount{}
	for _, f := range d.set.Facts {
		f, ok := f.(evidence.Mount)
		if !ok || f.Phase == evidence.Runtime {
			continue
		}
		m := Mount{Op: f.Op, FSType: f.FSType, Source: string(f.Source), Target: string(f.Target), Flags: f.Flags}
		if m.Op == "umount2" {
			m.Op = "umount"
		}
		if m.Op == "fsopen" {
			continue // it mounts nothing yet
		}
		seen[fmt.Sprintf("%q", m)] = m
	}
	for _, key := range slices.Sorted(maps.Keys(seen)) {
		d.policy.Mounts = append(d.policy.Mounts, seen[key])
		d.decide("mounts", true, "the workload was seen to do it: %s", seen[key])
	}
	if len(seen) > 0 {
		d.warn("mounts", "the workload may change its mounts, which it was seen to do in %d ways: who can, may put other files in the place of any", len(seen))
	}
}
