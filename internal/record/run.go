package record

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/abi"
)

// Target is a workload that can be started under a recorder.
// internal/sandbox has them.
type Target interface {
	// Start starts the workload. Before any process of it exists it calls follow
	// with the id of the process that will fork it.
	Start(ctx context.Context, follow func(pid int) error) error
	// Wait waits until the workload has ended and returns its exit code, as a
	// shell has it: 128+N if signal N killed it. It is called once, after Start.
	Wait() (code int, err error)
	// Stop makes the workload end; called again, by force. It does not wait.
	Stop()
}

// Run is one recording.
type Run struct {
	Recorder Recorder
	Target   Target
	Start    StartPoint

	Subject evidence.Subject
	Source  evidence.Source
	// Describe, if not nil, tells the subject instead, whenever evidence is saved:
	// what an engine makes is known only once it has made it.
	Describe func() evidence.Subject

	// Check, if not nil, makes the workload do its work and reports whether it
	// did. The workload has to pass it before it ends: a recording of one that did
	// not work is worth nothing.
	Check func(context.Context) error
	// Ready, if not nil, returns once the workload can serve, which begins phase
	// serve if the recorder tells phases apart. Without it, that is when the workload
	// first asks for a connection to accept.
	Ready func(context.Context) error
	// Probe, if not nil, runs commands in the workload until each has succeeded, as
	// engines do for a health check. A recording with a check waits for that too.
	Probe func(context.Context) error
	// Measure, if not nil, returns the most of each resource that was in use since
	// the start, or is now. It is asked every second, and before the workload is
	// stopped.
	Measure func() map[evidence.ResourceKind]uint64
	// Identities, if not nil, returns whom the workload's processes act as. It is
	// asked before the workload is stopped: what they began as is no matter.
	Identities func() []evidence.Identity
	// For is how long the workload runs, after its check if it has one, before it
	// is stopped. 0 without a check waits until it ends by itself.
	For time.Duration
	// Save keeps the evidence of the run so far. It is called at least every
	// second in which something new was seen, and once at the end.
	Save func(evidence.Set) error
	// Progress, if not nil, is told every second how it goes.
	Progress func(Progress)
}

// Progress is how far a recording is.
type Progress struct {
	Elapsed  time.Duration
	Quiet    time.Duration // since something new was last seen
	Syscalls int           // of the workload: distinct pairs of ABI and number
	Evidence evidence.Set  // so far; not to be changed
}

// Result is what came of a recording.
type Result struct {
	Code     int  // the workload's exit code
	Stopped  bool // the workload was stopped; the code is how it took that
	Evidence evidence.Set
	Progress Progress
}

// ErrNothing says that the workload itself was never seen.
var ErrNothing = errors.New("nothing of the workload was recorded")

// ErrUnchecked says that a workload ended before it passed its check.
var ErrUnchecked = errors.New("the workload ended before its check succeeded")

// Do records until the workload has ended, its check and time are over or ctx
// is done; the last two stop the workload first. What was seen up to then is
// saved in any of these cases. It is marked by a gap if it is not worth a
// profile: [evidence.Unchecked] if there is a check that the workload did not
// pass, [evidence.Unfinished] if the end of the workload was not seen. The
// latter is also what Save last got if Do itself never ends.
func (r Run) Do(ctx context.Context) (Result, error) {
	begun := time.Now()
	w := watch{run: r, begun: begun, lastNew: begun, peaks: map[evidence.ResourceKind]uint64{}}
	w.begin()
	follow := func(pid int) error { return r.Recorder.Follow(pid, r.Start) }
	if err := r.Target.Start(ctx, follow); err != nil {
		return Result{}, err
	}
	code, err := w.untilEnd(ctx)
	snap, snapErr := r.Recorder.Snapshot()
	if snapErr != nil {
		return Result{}, errors.Join(err, fmt.Errorf("read what was recorded: %w", snapErr))
	}
	set := w.evidence(snap)
	w.look(set)
	if !sawWorkload(set) {
		return Result{Code: code, Stopped: w.stopped}, cmp.Or(err, ErrNothing)
	}
	set.Gaps = append(append(set.Gaps, w.marks()...), w.death(code)...)
	if saveErr := r.Save(set); err == nil {
		err = saveErr
	}
	if err == nil && w.unchecked() {
		err = ErrUnchecked
	}
	return Result{Code: code, Stopped: w.stopped, Evidence: set, Progress: w.progress}, err
}

func (w *watch) evidence(s Snapshot) evidence.Set {
	subject := w.run.Subject
	if w.run.Describe != nil {
		subject = w.run.Describe()
	}
	set := evidence.Set{
		Subjects: []evidence.Subject{subject},
		Sources:  []evidence.Source{w.run.Source},
		Facts:    s.Facts,
		Gaps:     slices.Clone(s.Gaps),
	}
	for _, refusal := range s.Refused {
		set.Gaps = append(set.Gaps, refusal.gap())
	}
	set.Facts = slices.Concat(set.Facts, w.resources(), w.identities)
	return set.Normalize()
}

// gap is what a refusal means for evidence: what the workload would have done
// next, had it been let through, was not seen.
func (r Refusal) gap() evidence.Gap {
	return evidence.Gap{
		Kind: evidence.Refused, Where: fmt.Sprintf("%s %d", r.Arch, r.Nr),
		Detail: fmt.Sprintf("%s was refused by a seccomp filter already in force", cmp.Or(r.Name, "a call without a name")),
	}
}

// sawWorkload reports whether any call of the workload itself was seen, not
// only of what started it.
func sawWorkload(s evidence.Set) bool {
	for _, f := range s.Facts {
		if f, ok := f.(evidence.Syscall); ok && f.Phase != evidence.Runtime {
			return true
		}
	}
	return false
}

// watch looks at a recording while it goes on.
type watch struct {
	run     Run
	begun   time.Time
	lastNew time.Time
	lines   int // facts and gaps at the last look
	stopped bool
	checked bool                             // the check and the probes succeeded
	failed  error                            // of what was done beside the recording
	lost    bool                             // the end of the workload was not seen
	peaks   map[evidence.ResourceKind]uint64 // as measured

	identities []evidence.Fact // before it was stopped
	progress   Progress
}

type ending struct {
	code int
	err  error
}

// untilEnd waits for the end of the workload, saving what is seen meanwhile.
func (w *watch) untilEnd(ctx context.Context) (int, error) {
	ended := make(chan ending, 1)
	go func() {
		code, err := w.run.Target.Wait()
		ended <- ending{code, err}
	}()
	besideCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	ready, checks, enough := beside(besideCtx, w.run.Ready), beside(besideCtx, w.checks()), w.enough(w.run.Check == nil)
	stop := ctx.Done()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case e := <-ended:
			w.lost = e.err != nil
			return e.code, cmp.Or(w.failed, e.err)
		case err := <-ready:
			if ready = nil; !w.fails(err) {
				w.enter(evidence.Serve)
			}
		case err := <-checks:
			checks = nil
			if w.checked = !w.fails(err); w.checked && w.run.Check != nil {
				if enough = w.enough(true); enough == nil {
					w.stop()
				}
			}
		case <-enough:
			w.stop()
		case <-stop:
			stop = nil
			w.stop()
		case <-tick.C:
			if err := w.checkpoint(); err != nil {
				w.stop()
				return (<-ended).code, err
			}
		}
	}
}

// fails stops the workload if err says that it is not what it should be.
func (w *watch) fails(err error) bool {
	if err == nil {
		return false
	}
	w.failed = cmp.Or(w.failed, err)
	w.stop()
	return true
}

// stop ends the workload; what it does from now on is in phase stop.
func (w *watch) stop() {
	w.measure()
	w.identify()
	w.enter(evidence.Stop)
	w.stopped = true
	w.run.Target.Stop()
}

// enough speaks once the workload has run for as long as it was asked to, from
// now on if it is time to count; it is nil if that is not asked.
func (w *watch) enough(count bool) <-chan time.Time {
	if !count || w.run.For == 0 {
		return nil
	}
	return time.After(w.run.For)
}

// marks are the gaps of a recording that is not worth a profile.
func (w *watch) marks() []evidence.Gap {
	var out []evidence.Gap
	if w.unchecked() {
		out = append(out, evidence.Gap{
			Kind: evidence.Unchecked, Where: w.run.where(), Detail: "the workload was not seen to work: its check did not succeed",
		})
	}
	if w.lost {
		out = append(out, w.run.unfinished())
	}
	return out
}

// crashes are the signals of which a program dies by its own fault.
var crashes = []syscall.Signal{
	syscall.SIGILL, syscall.SIGTRAP, syscall.SIGABRT, syscall.SIGBUS, syscall.SIGFPE, syscall.SIGSEGV, syscall.SIGSYS,
}

// death is the gap of a workload that was stopped and did not end in good order, as
// its exit code says.
func (w *watch) death(code int) []evidence.Gap {
	by := syscall.Signal(code - 128)
	g := evidence.Gap{Where: w.run.where()}
	switch {
	case !w.stopped || w.lost:
		return nil
	case by == syscall.SIGKILL:
		g.Kind, g.Detail = evidence.Killed, "the workload did not end when it was asked to and was killed: what it would do at its end was not seen"
	case slices.Contains(crashes, by):
		g.Kind, g.Detail = evidence.Unfinished, fmt.Sprintf("the workload crashed when it was asked to end (%v): what it does at its end was not seen", by)
	default:
		return nil
	}
	return []evidence.Gap{g}
}

func (r Run) unfinished() evidence.Gap {
	return evidence.Gap{
		Kind: evidence.Unfinished, Where: r.where(), Detail: "the recording was cut off; what came after its last checkpoint is missing",
	}
}

// where names the workload in marks.
func (r Run) where() string {
	return strings.TrimSpace(fmt.Sprintf("%s %.200q", r.Subject.Image, strings.Join(r.Subject.Argv, " ")))
}

// MakesUpFor reports whether a gap of an earlier recording is one no more once
// this one is done: it marks a recording of the same workload that was cut off or
// killed, or whose check failed, if this one has a check. If it comes to that again, this
// one makes marks of its own.
func (r Run) MakesUpFor(g evidence.Gap) bool {
	again := g.Kind == evidence.Unfinished || g.Kind == evidence.Killed || g.Kind == evidence.Unchecked && r.Check != nil
	return again && g.Where == r.where()
}

// checkpoint saves what has been seen so far, marked as unfinished, if there
// is anything new.
func (w *watch) checkpoint() error {
	w.measure()
	snap, err := w.run.Recorder.Snapshot()
	if err != nil {
		return fmt.Errorf("read what was recorded: %w", err)
	}
	set := w.evidence(snap)
	if !w.look(set) || !sawWorkload(set) {
		return nil
	}
	set.Gaps = append(set.Gaps, w.run.unfinished())
	return w.run.Save(set)
}

// look updates the progress and reports whether set has anything new.
func (w *watch) look(set evidence.Set) bool {
	now := time.Now()
	lines := len(set.Facts) + len(set.Gaps)
	fresh := lines != w.lines
	if fresh {
		w.lines, w.lastNew = lines, now
	}
	w.progress = Progress{
		Elapsed: now.Sub(w.begun), Quiet: now.Sub(w.lastNew), Syscalls: syscalls(set), Evidence: set,
	}
	if w.run.Progress != nil {
		w.run.Progress(w.progress)
	}
	return fresh
}

func syscalls(set evidence.Set) int {
	type call struct {
		arch abi.Arch
		nr   uint32
	}
	calls := map[call]bool{}
	for _, f := range set.Facts {
		if f, ok := f.(evidence.Syscall); ok && f.Phase != evidence.Runtime {
			calls[call{f.Arch, f.Nr}] = true
		}
	}
	return len(calls)
}
