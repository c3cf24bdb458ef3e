//go:build linux && (amd64 || arm64)

package usernotif

import (
	"fmt"
	"runtime"
	"syscall"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/abi"
)

const (
	// maxTuples is how many different arguments of one call are listed in a phase;
	// a call that has more is taken to have any. As package ebpf has it.
	maxTuples = 64
	// maxUnknown is how many calls are kept that no table knows: a workload can
	// make up four thousand million.
	maxUnknown = 256
	// maxFacts is how many facts are kept about files, and of how many files where
	// they come from.
	maxFacts = 250_000
	// numbers are those of calls that are looked up by index.
	numbers = 512
)

// callID is a system call in a phase.
type callID struct {
	phase phase
	arch  abi.Arch
	nr    uint32
}

// call is what is kept of a system call in a phase.
type call struct {
	id     callID
	name   string // "" if no table knows it
	args   []abi.Argument
	watch  watcher // nil: the call alone is of interest
	any    bool    // with arguments that tuples does not list
	tuples map[[4]uint64]bool
}

// seen is what was seen of the workload.
type seen struct {
	quick   [phases][3][numbers]*call // those of calls, by ABI as of abis
	calls   map[callID]*call
	unknown int
	facts   map[evidence.Fact]bool // of files, programs, signals
	mounts  map[string]evidence.Mount
	origins map[string]evidence.Origin // of files, by path
	gaps    map[evidence.Gap]bool
	// norestart: a signal has a handler that does not restart calls.
	norestart   bool
	interrupted bool // a call was given up for a signal since then
}

func newSeen() seen {
	return seen{
		calls: map[callID]*call{}, facts: map[evidence.Fact]bool{}, mounts: map[string]evidence.Mount{},
		origins: map[string]evidence.Origin{}, gaps: map[evidence.Gap]bool{},
	}
}

// loss counts what could not be seen.
type loss struct {
	listeners  uint64        // that did not arrive
	receive    syscall.Errno // that ended a supervision
	tasks      uint64        // that asked and could not be looked at
	unknown    uint64        // calls that no table knows, beyond maxUnknown
	facts      uint64        // beyond maxFacts
	unreadable uint64        // arguments behind pointers, for want of permission
	unresolved uint64        // paths that could not be followed, for other reasons than the workload could not
}

// abis are the ABIs of this machine.
func abis() [3]abi.Arch {
	if runtime.GOARCH == "arm64" {
		return [3]abi.Arch{abi.AArch64, abi.ARM}
	}
	return [3]abi.Arch{abi.X8664, abi.X86, abi.X32}
}

// arch returns the ABI that a call came in through, as an index of abis, and its
// number in there; false for one that this machine does not have.
func (n *notification) arch() (int, uint32, bool) {
	switch n.audit {
	case auditNative:
		if auditNative == auditX8664 && n.nr >= 0 && n.nr&abi.X32Bit != 0 {
			return 2, uint32(n.nr &^ abi.X32Bit), true
		}
		return 0, uint32(n.nr), true
	case auditCompat:
		return 1, uint32(n.nr), true
	}
	return 0, 0, false
}

// callOf returns what is kept of a call, for more to be added; nil if there is no
// room.
func (s *seen) callOf(p phase, arch int, nr uint32, l *loss) *call {
	if nr < numbers {
		if c := s.quick[p][arch][nr]; c != nil {
			return c
		}
	}
	id := callID{p, abis()[arch], nr}
	c, ok := s.calls[id]
	if ok {
		return c
	}
	name, known := id.arch.Name(nr)
	if !known {
		if s.unknown >= maxUnknown {
			l.unknown++
			return nil
		}
		s.unknown++
	}
	c = &call{id: id, name: name, watch: watcherOf(id.arch, name)}
	if id.arch != abi.X32 { // whose calls stand for any arguments
		c.args = id.arch.Arguments(name)
	}
	s.calls[id] = c
	if nr < numbers {
		s.quick[p][arch][nr] = c
	}
	return c
}

// plain notes the arguments that n has for c.
func (c *call) plain(n *notification) {
	var v [4]uint64
	for i, a := range c.args {
		v[i] = n.args[a.Index] & a.Mask
	}
	c.tuple(v)
}

// tuple notes arguments, or that there are too many to list.
func (c *call) tuple(v [4]uint64) {
	switch {
	case c.any || c.tuples[v]:
	case len(c.tuples) >= maxTuples:
		c.any = true
	default:
		if c.tuples == nil {
			c.tuples = map[[4]uint64]bool{}
		}
		c.tuples[v] = true
	}
}

// where names a call for people: "x86_64 mkdir", or "x86_64 1000" if it has no
// name.
func (id callID) where() string {
	if name, ok := id.arch.Name(id.nr); ok {
		return fmt.Sprintf("%s %s", id.arch, name)
	}
	return fmt.Sprintf("%s %d", id.arch, int32(id.nr))
}

// fact keeps a fact.
func (r *Recorder) fact(f evidence.Fact) {
	if r.seen.facts[f] {
		return
	}
	if len(r.seen.facts) >= maxFacts {
		r.loss.facts++
		return
	}
	r.seen.facts[f] = true
}

func (r *Recorder) gap(kind evidence.GapKind, where, detail string) {
	const most = 1000 // of what a workload can make up
	if len(r.seen.gaps) < most {
		r.seen.gaps[evidence.Gap{Kind: kind, Where: where, Detail: detail}] = true
	}
}
