package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/armor"
	"github.com/profgen/profgen/internal/host"
	"github.com/profgen/profgen/internal/record"
	"github.com/profgen/profgen/internal/record/auditlog"
	"github.com/profgen/profgen/internal/record/ebpf"
	"github.com/profgen/profgen/internal/record/usernotif"
	"github.com/profgen/profgen/internal/sandbox"
)

// The recorders, best first, and the word for the best that can be used.
const (
	recorderAuto      = "auto"
	recorderEBPF      = "ebpf"
	recorderUserNotif = "usernotif"
	recorderAuditLog  = "auditlog"
)

// noAuditLog says why the kernel's log is chosen by nobody but the user.
const noAuditLog = "the kernel logs neither arguments nor files nor capabilities, and slowly"

func recorderFlag() cli.Flag {
	return &cli.StringFlag{
		Name: "recorder", Value: recorderAuto,
		Usage: "record with `NAME`: ebpf (root; sees capabilities, costs little), usernotif (any user), auditlog (root; system calls of containers and no more), or the best that can be used: auto",
	}
}

// recorder is a recorder, and what its kind asks of who runs the workload.
type recorder struct {
	record.Recorder
	method   string
	listener string         // of sandbox.Command
	logged   bool           // the workload's calls are to be logged
	ebpf     *ebpf.Recorder // the same one, if it is that: it can record what runs already too
	why      string         // it was chosen; "" if it was asked for
}

// source is what evidence says of who recorded.
func (r recorder) source(facts host.Facts, runtime string) evidence.Source {
	s := source(facts, runtime)
	s.Method = r.method
	return s
}

func source(facts host.Facts, runtime string) evidence.Source {
	return evidence.Source{
		Tool: "profgen record", Version: version(), Method: ebpf.Method,
		Kernel: facts.Kernel, Runtime: runtime,
	}
}

// newRecorder returns the recorder that the flags ask for.
func newRecorder(c *cli.Context, facts host.Facts) (recorder, error) {
	switch name := c.String("recorder"); name {
	case recorderEBPF:
		return newEBPF(c, facts)
	case recorderUserNotif:
		return newUserNotif(c)
	case recorderAuto:
		return bestRecorder(c, facts)
	case recorderAuditLog:
		return newAuditLog(c, facts)
	default:
		return recorder{}, usage("--recorder %s: want auto, ebpf, usernotif or auditlog", name)
	}
}

// tell says why this recorder, and no other.
func (r recorder) tell(c *cli.Context) {
	if r.why != "" {
		fmt.Fprintln(c.App.ErrWriter, r.why)
	}
}

// bestRecorder returns the best recorder that can be used, and why no other.
func bestRecorder(c *cli.Context, facts host.Facts) (recorder, error) {
	best, ebpfErr := newEBPF(c, facts)
	if ebpfErr == nil {
		best.why = "recorder ebpf; not usernotif: it sees no capability checks and slows the workload down; not auditlog: " + noAuditLog
		return best, nil
	}
	second, err := newUserNotif(c)
	if err != nil {
		return recorder{}, fmt.Errorf("no recorder can be used: ebpf: %w; usernotif: %w", ebpfErr, err)
	}
	why := strings.TrimPrefix(ebpfErr.Error(), ebpf.ErrUnavailable.Error()+": ")
	second.why = fmt.Sprintf("recorder usernotif; not ebpf: %s; not auditlog: %s", why, noAuditLog)
	return second, nil
}

func newEBPF(c *cli.Context, facts host.Facts) (recorder, error) {
	if sandbox.OwnUserNS() {
		return recorder{}, fmt.Errorf("%w: in a user namespace: run as root of the host", ebpf.ErrUnavailable)
	}
	rec, err := ebpf.New(ebpf.Options{SeeRefused: facts.Filtered || c.IsSet("pid") || c.IsSet("container"), Files: !c.Bool("no-files")})
	if err != nil {
		return recorder{}, err
	}
	return recorder{Recorder: rec, method: ebpf.Method, ebpf: rec}, nil
}

// startsItself refuses the flags about workloads that profgen does not start.
func startsItself(c *cli.Context, unavailable error) error {
	for _, flag := range []string{"pid", "container", "engine"} {
		if c.IsSet(flag) {
			return fmt.Errorf("%w: only what profgen starts itself can be recorded so, and --%s is about what another does", unavailable, flag)
		}
	}
	return nil
}

func newUserNotif(c *cli.Context) (recorder, error) {
	if err := startsItself(c, usernotif.ErrUnavailable); err != nil {
		return recorder{}, err
	}
	if c.Bool("no-files") {
		return recorder{}, fmt.Errorf("%w: it looks at files in any case, which costs it little: leave out --no-files", usernotif.ErrUnavailable)
	}
	rec, err := usernotif.New()
	if err != nil {
		return recorder{}, err
	}
	return recorder{Recorder: rec, method: usernotif.Method, listener: rec.Listener()}, nil
}

// newAuditLog returns the recorder that reads the kernel's audit records.
func newAuditLog(c *cli.Context, facts host.Facts) (recorder, error) {
	unavailable := errors.New("cannot record with the audit log")
	if err := startsItself(c, unavailable); err != nil {
		return recorder{}, err
	}
	if !contained(c) {
		return recorder{}, fmt.Errorf("%w: only a container is given the filter that logs: use --image or --bundle", unavailable)
	}
	log, err := armor.Listen()
	if err != nil {
		return recorder{}, fmt.Errorf("%w: %w", unavailable, err)
	}
	return recorder{Recorder: auditlog.NewRecorder(log, facts.Arch), method: auditlog.AuditMethod, logged: true}, nil
}
