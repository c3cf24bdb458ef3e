package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// GuardName is the name under which the program that imports this package is
// run again as the guard. Its main function calls [RunGuard] if that is its
// argument zero.
const GuardName = "profgen-guard"

// guard is profgen's end of a guard process.
type guard struct {
	cmd     *exec.Cmd
	born    uint64 // as proc.start has it
	orders  *json.Encoder
	pipe    io.Closer // closing it ends the guard and all it guards
	reports *json.Decoder
	grace   time.Duration // between being asked to end and being killed

	mu      sync.Mutex // guards orders and after
	after   cleaner    // what is to be undone if the guard is no more
	stopped atomic.Bool
	ended   chan struct{} // closed when the workload has ended
}

// startGuard starts a guard; with flags such as CLONE_NEWNS, in namespaces of
// its own.
func startGuard(stdio Stdio, flags uintptr) (*guard, error) {
	cmd := &exec.Cmd{Stdout: stdio.Out, Stderr: stdio.Err}
	if stdio.In != nil {
		cmd.Stdin = stdio.In
	}
	if flags != 0 {
		// Mounts made in there are seen nowhere else, and go with the guard.
		cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: flags}
	}
	return launch(cmd)
}

// launch makes a command the guard and starts it.
func launch(cmd *exec.Cmd) (*guard, error) {
	orderR, orderW, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start guard: %w", err)
	}
	defer orderR.Close()
	reportR, reportW, err := os.Pipe()
	if err != nil {
		orderW.Close()
		return nil, fmt.Errorf("start guard: %w", err)
	}
	defer reportW.Close()
	cmd.Path, cmd.Args = "/proc/self/exe", []string{GuardName}
	cmd.ExtraFiles = []*os.File{orderR, reportW}
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	// Who kills profgen's process group must not kill the guard. A group from
	// outside this pid namespace has no number to put the workload back into.
	cmd.SysProcAttr.Setpgid = unix.Getpgrp() != 0
	if err = adopt(); err == nil {
		err = cmd.Start()
	}
	if err != nil {
		orderW.Close()
		reportR.Close()
		return nil, fmt.Errorf("start guard: %w", err)
	}
	self, _ := readProc(cmd.Process.Pid) // there at least as a zombie
	return &guard{
		cmd: cmd, born: self.start, orders: json.NewEncoder(orderW), pipe: orderW,
		reports: json.NewDecoder(reportR), grace: stopGrace, ended: make(chan struct{}),
	}, nil
}

func (g *guard) pid() int { return g.cmd.Process.Pid }

func (g *guard) order(o order) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.after.learn(o)
	if err := g.orders.Encode(o); err != nil {
		return fmt.Errorf("guard: %w", err)
	}
	return nil
}

// privateDir makes a folder that only this user can enter and that the guard
// removes at the end.
func (g *guard) privateDir() (string, error) {
	tmp, err := filepath.Abs(os.TempDir()) // the guard and the runtime may look from elsewhere
	if err != nil {
		return "", fmt.Errorf("make private folder: %w", err)
	}
	dir, err := os.MkdirTemp(tmp, "profgen-")
	if err != nil {
		return "", fmt.Errorf("make private folder: %w", err)
	}
	if err := g.order(order{Remove: dir}); err != nil {
		os.RemoveAll(dir)
		return "", err
	}
	return dir, nil
}

// start has the guard start the workload, as its child. After an error the
// guard is good for nothing but to be closed.
func (g *guard) start(ctx context.Context, o order) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	o.Group = unix.Getpgrp()
	if err := g.order(o); err != nil {
		return err
	}
	var r report
	if err := g.reports.Decode(&r); err != nil {
		return fmt.Errorf("guard: %w", err)
	}
	if r.Error != "" {
		return errors.New(r.Error)
	}
	return nil
}

// wait waits for the workload and all its descendants, then ends the guard.
func (g *guard) wait() (int, error) {
	var r report
	err := g.reports.Decode(&r)
	close(g.ended)
	if killed := g.close(); killed != nil {
		return 0, killed
	}
	if err != nil {
		return 0, fmt.Errorf("guard ended before the workload did: %w", err)
	}
	return r.Code, nil
}

// stop makes the workload end: politely, by the function or else with the
// signal, then, if that does not do it, by force. It does not wait.
func (g *guard) stop(signal string, politely func(context.Context) error) {
	if g.stopped.Swap(true) {
		g.order(order{Signal: "KILL"}) // asked twice: a broken pipe means it has ended
		return
	}
	patience, cancel := context.WithTimeout(context.Background(), g.grace)
	go func() {
		defer cancel()
		select {
		case <-g.ended:
		case <-patience.Done():
			g.order(order{Signal: "KILL"})
		}
	}()
	if politely == nil {
		g.order(order{Signal: signal})
		return
	}
	go func() {
		if politely(patience) != nil && patience.Err() == nil {
			g.order(order{Signal: signal})
		}
	}()
}

// close ends the guard, and with it all it guards. If the guard was killed, it
// does the guard's last work itself, and says so.
func (g *guard) close() error {
	g.pipe.Close()
	err := g.cmd.Wait()
	if g.cmd.ProcessState == nil || g.cmd.ProcessState.Success() {
		return nil
	}
	endOrphans(g.born)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.after.cleanElsewhere()
	g.after = cleaner{}
	return fmt.Errorf("guard process %d was killed (%w), and the workload with it; run it again", g.pid(), err)
}

// giveUp ends the guard after an error, which is the guard's own death if
// that came before.
func (g *guard) giveUp(err error) error {
	if killed := g.close(); killed != nil {
		return killed
	}
	return err
}
