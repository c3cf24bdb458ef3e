// Package record records a running workload: it starts a target under a
// recorder, follows it to its end, and writes down what was seen as evidence.
//
// It knows neither how a recorder sees (internal/record/ebpf does) nor how a
// target is started (internal/sandbox does); cmd/profgen brings them together.
// It sees only what its recorder reports. What that could not see comes out as
// gaps.
package record

import (
	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/abi"
)

// Recorder sees what followed processes do. Its methods may be called from any
// goroutine.
type Recorder interface {
	// Follow records the children that process pid forks from now on, and all
	// their descendants, whatever they rename themselves to, whichever
	// namespaces they enter and whoever they are reparented to. pid itself is
	// never recorded. start says from which moment on a child counts.
	Follow(pid int, start StartPoint) error

	// Snapshot returns everything seen so far. It takes nothing away: a later
	// snapshot has all that an earlier one had, except that a call's many facts
	// with arguments may have given way to one that stands for any.
	Snapshot() (Snapshot, error)

	// Close ends the recording and releases everything held in the kernel.
	Close() error
}

// Phased is a recorder that tells the phases of a workload apart. What was
// exec'd into a container is in phase exec whatever it is told.
type Phased interface {
	// Enter says that the workload has come to phase start, serve or stop: what its
	// tasks do from now on is in that one.
	Enter(phase evidence.Phase) error
	// EnterAtAccept enters phase start, and serve as soon as a task of the workload
	// asks for a connection to accept.
	EnterAtAccept() error
}

// StartPoint is the moment from which on a followed process counts.
type StartPoint int

const (
	// AtExec counts a child from its first successful exec on: a command
	// started on this host.
	AtExec StartPoint = iota
	// AtFilter counts a child from the moment one more seccomp filter than its
	// followed ancestor had is in force for it, which is where a profile will
	// start to bind. Until its next exec it is the OCI runtime (phase runtime);
	// then it is the image's own program (phase start), and its mount namespace,
	// if other than the ancestor's, becomes the container's: whatever execs in
	// there later without being a descendant of the program, be it started by the
	// followed process or by a stranger, was exec'd into the container (phase
	// exec).
	AtFilter
)

// Snapshot is what a recorder has seen up to some moment.
type Snapshot struct {
	Facts []evidence.Fact
	Gaps  []evidence.Gap
	// Refused are calls that a seccomp filter refused: they never happened, so
	// they are no facts. Only recorders asked to look for them see any.
	Refused []Refusal
}

// Refusal is a system call that a seccomp filter refused.
type Refusal struct {
	Arch  abi.Arch
	Nr    uint32
	Name  string // "" if no table knows the number
	Phase evidence.Phase

	// How it was made, if the recorder saw that: once for each combination of
	// those arguments that recorders look at.
	Args     [6]uint64
	Filtered []evidence.Arg // the arguments that recorders look at; nil for none
	Result   int64          // what it returned: an errno, negative
	Comm     string         // the name of the task; "" if how it was made was not seen
	Process  string         // the program it ran; "" if it was gone
	Site     string         // where it goes on: object and offset; "" if it was gone
}
