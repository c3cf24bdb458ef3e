package policy

import (
	"fmt"
	"math/bits"

	"github.com/profgen/profgen/gen/evidence"
)

// Limits bound what a container takes from the host. 0 is no limit, for want of
// a recorded peak.
type Limits struct {
	Pids   uint64 `json:"pids,omitempty"`   // tasks: pids.max
	Memory uint64 `json:"memory,omitempty"` // bytes: memory.max
	Files  uint64 `json:"files,omitempty"`  // file descriptors of a process: RLIMIT_NOFILE
	Shm    uint64 `json:"shm,omitempty"`    // bytes in /dev/shm
}

// limit is how a limit comes of a peak.
type limit struct {
	kind  evidence.ResourceKind
	what  string // for people
	least uint64 // what every container needs: for the runtime itself, for libc
	of    func(peak uint64) uint64
	how   string // for people
}

// The margins are part of what people rely on: README.md states them.
//
// The least values are what an OCI runtime itself takes in the container's
// control groups before the image's program begins, with a thread for each of
// several processors; the soft limit of files that programs are written for; and
// a page or more of /dev/shm.
var limits = []limit{
	{evidence.Pids, "tasks", 64, func(n uint64) uint64 { return powerOfTwo(2 * n) }, "twice the peak, rounded up to a power of two"},
	{evidence.Memory, "bytes of memory", 64 << 20, func(n uint64) uint64 { return evidence.Round(n + n/2) }, "one and a half times the peak, rounded up"},
	{evidence.Files, "file descriptors", 1024, func(n uint64) uint64 { return powerOfTwo(2 * n) }, "twice the peak, rounded up to a power of two"},
	{evidence.Shm, "bytes of shared memory", 1 << 20, func(n uint64) uint64 { return powerOfTwo(2 * n) }, "twice the peak, rounded up to a power of two"},
}

// mostPeak is the largest peak taken at its word: what is beyond would overflow.
const mostPeak = 1 << 50

// decideLimits sets limits above the recorded peaks.
func (d *decider) decideLimits() {
	l := &d.policy.Run.Limits
	into := map[evidence.ResourceKind]*uint64{
		evidence.Pids: &l.Pids, evidence.Memory: &l.Memory, evidence.Files: &l.Files, evidence.Shm: &l.Shm,
	}
	missing := []string{}
	for _, how := range limits {
		peak := d.peak(how.kind)
		switch {
		case peak == 0 && how.kind == evidence.Shm:
		case peak == 0:
			missing = append(missing, how.what)
		default:
			n := max(how.least, how.of(peak))
			*into[how.kind] = n
			why := how.how
			if n == how.least {
				why = "the least that is set"
			}
			d.decide("limit "+string(how.kind), true, "%d: %s; the peak of %s was %d %s", n, why, d.sample(), peak, how.what)
		}
	}
	if len(missing) > 0 {
		d.advise("no-limit", "nothing bounds %s: no peak was recorded", joinWords(missing))
	}
	d.advise("no-cpu-limit", "how much processor time the workload may take is left to you (--cpus): a recording says nothing of it")
}

// peak is the most of a resource that was in use; 0 if nobody knows.
func (d *decider) peak(kind evidence.ResourceKind) uint64 {
	out := uint64(0)
	for _, f := range d.set.Facts {
		if f, ok := f.(evidence.Resource); ok && f.Kind == kind {
			out = max(out, f.Value)
		}
	}
	return min(out, mostPeak)
}

// sample says how much the peaks are based on.
func (d *decider) sample() string {
	if n := len(d.set.Runs); n > 1 {
		return fmt.Sprintf("%d recordings", n)
	}
	return "one recording"
}

func powerOfTwo(n uint64) uint64 { return 1 << bits.Len64(n-1) }

// joinWords is "a", "a and b" or "a, b and c".
func joinWords(words []string) string {
	out := ""
	for i, w := range words {
		switch {
		case i == 0:
		case i == len(words)-1:
			out += " and "
		default:
			out += ", "
		}
		out += w
	}
	return out
}
