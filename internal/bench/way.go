//go:build linux && (amd64 || arm64)

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/record"
	"github.com/profgen/profgen/internal/record/ebpf"
	"github.com/profgen/profgen/internal/record/usernotif"
	"github.com/profgen/profgen/internal/sandbox"
)

// way is a way of running a command. All are run by the same code, as profgen
// record runs a command: they differ in who looks on.
type way struct {
	name     string
	recorder *ebpf.Options // nil: no recorder is loaded
	aside    bool          // the recorder is loaded but follows nothing
	floor    bool          // no recorder, but a program that does nothing where it attaches
	strace   bool
	filtered bool // with strace: it has seccomp stop only calls about files and processes
	notified bool // recorded by seccomp user notification
	rounds   int  // 0: all
	bar      bar
}

// nothing is what no recorder on the tracepoint can go below.
var nothing = way{name: "a program that does nothing", floor: true}

// maxRun is how long one run may take.
const maxRun = 2 * time.Minute

// run runs argv this way, driven by check if that is not nil, and returns what
// it printed. A recorder that follows it must see it make the system call.
func (w way) run(ctx context.Context, argv []string, call string, check func(context.Context) error) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, maxRun)
	defer cancel()
	rec, listener, err := w.onlooker()
	if err != nil {
		return "", err
	}
	defer rec.Close()
	argv = append(w.tracer(), argv...)
	res, out, err := do(ctx, rec, listener, argv, check)
	switch {
	case err != nil:
	case ctx.Err() != nil:
		err = ctx.Err()
	case res.Code != 0 && !res.Stopped:
		err = fmt.Errorf("exit code %d", res.Code)
	case w.notified || w.recorder != nil && !w.aside:
		err = complete(res.Evidence, call)
	}
	if err != nil {
		return "", fmt.Errorf("%v: %w: %.300s", argv, err, out)
	}
	return out, nil
}

// onlooker is who looks on, and the listener it wants for what it records.
func (w way) onlooker() (record.Recorder, string, error) {
	switch {
	case w.recorder != nil:
		r, err := ebpf.New(*w.recorder)
		if w.aside {
			return blind{r}, "", err
		}
		return r, "", err
	case w.floor:
		f, err := ebpf.Floor()
		return blind{f}, "", err
	case w.notified:
		r, err := usernotif.New()
		if err != nil {
			return nil, "", err
		}
		return r, r.Listener(), nil
	}
	return blind{}, "", nil
}

// tracer is what the command is run by.
func (w way) tracer() []string {
	switch {
	case w.filtered:
		return []string{"strace", "-f", "--seccomp-bpf", "-e", "trace=%file,%process", "-o", "/dev/null"}
	case w.strace:
		return []string{"strace", "-f", "-o", "/dev/null"}
	}
	return nil
}

// do is one recording of argv; it also returns what argv printed.
func do(ctx context.Context, rec record.Recorder, listener string, argv []string, check func(context.Context) error) (record.Result, string, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return record.Result{}, "", err
	}
	defer r.Close()
	res, err := record.Run{
		Recorder: rec, Start: record.AtExec,
		Target: &sandbox.Command{Argv: argv, Stdio: sandbox.Stdio{Out: w, Err: w}, Listener: listener},
		Check:  check,
		Save:   func(evidence.Set) error { return nil },
	}.Do(ctx)
	w.Close()
	out, readErr := io.ReadAll(r) // a pipe holds what these commands print
	return res, string(out), errors.Join(err, readErr)
}

// complete returns an error if a recording lost something or has not seen call:
// then it was fast for the wrong reason.
func complete(set evidence.Set, call string) error {
	for _, g := range set.Gaps {
		if g.Kind == evidence.Lost {
			return fmt.Errorf("the recording lost something: %+v", g)
		}
	}
	if !slices.ContainsFunc(set.Facts, isCall(call)) {
		return fmt.Errorf("%s was not recorded", call)
	}
	return nil
}

func isCall(name string) func(evidence.Fact) bool {
	return func(f evidence.Fact) bool {
		s, ok := f.(evidence.Syscall)
		return ok && s.Name == name
	}
}

// blind is a recorder that looks at nothing and says that it saw something. What
// is beside it, if anything, is closed with it.
type blind struct{ beside io.Closer }

func (blind) Follow(int, record.StartPoint) error { return nil }

func (b blind) Close() error {
	if b.beside == nil {
		return nil
	}
	return b.beside.Close()
}

func (blind) Snapshot() (record.Snapshot, error) {
	return record.Snapshot{Facts: []evidence.Fact{evidence.Syscall{Phase: evidence.Start}}}, nil
}
