package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// RunGuard is the main function of the guard process. It starts the workload
// on order, reports how it ended, and when the pipe from profgen breaks, for
// whatever reason, kills what is left of it and cleans up. It returns an exit
// code.
func RunGuard() int {
	if len(os.Args) > 1 { // run again by itself, for a part that needs a process
		return runPart(os.Args[1], os.Args[2:])
	}
	// Caught, not ignored: an ignored signal would stay ignored in the workload.
	// Profgen decides what an interrupt means.
	for _, s := range []os.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT, unix.SIGPIPE} {
		if !signal.Ignored(s) { // but what nohup ignores is the workload's to ignore
			signal.Notify(make(chan os.Signal, 1), s)
		}
	}
	unix.CloseOnExec(3)
	unix.CloseOnExec(4)
	// Orphans of the workload become children of the guard, so none escapes it.
	if err := adopt(); err != nil {
		fmt.Fprintln(os.Stderr, "profgen: guard:", err)
		return 1
	}
	g := guardian{reports: json.NewEncoder(os.NewFile(4, "reports"))}
	g.obey(json.NewDecoder(os.NewFile(3, "orders")))
	g.end()
	g.clean()
	return 0
}

// isGuard reports whether a process is a guard.
func isGuard(pid int) bool {
	cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return err == nil && string(cmdline) == GuardName+"\x00"
}

type guardian struct {
	cleaner
	reports *json.Encoder
	failed  error // the first of what had to be done before the start

	mu   sync.Mutex // held while main is reaped or sent a signal
	main int        // pid of the workload's first process; 0 before and after
}

// obey follows orders until profgen has no more, or is no more.
func (g *guardian) obey(orders *json.Decoder) {
	for {
		var o order
		if err := orders.Decode(&o); err != nil {
			if !errors.Is(err, io.EOF) {
				fmt.Fprintln(os.Stderr, "profgen: guard:", err)
			}
			return
		}
		g.learn(o)
		switch {
		case o.Unmount != "":
			g.note(hide(o.Unmount), "unmount "+o.Unmount)
		case o.Overlay != nil:
			g.note(o.Overlay.mount(), "mount an overlay over the unpacked image (does TMPDIR lie on an overlay itself?)")
		case o.Start != nil:
			g.start(o)
		case o.Signal == "KILL":
			g.end()
		case o.Signal != "":
			g.signal(unix.SignalNum("SIG" + o.Signal))
		}
	}
}

// note keeps the first error, for start to report.
func (g *guardian) note(err error, doing string) {
	if err != nil && g.failed == nil {
		g.failed = fmt.Errorf("%s: %w", doing, err)
	}
}

// mount mounts it. Its options cannot hold every name a folder may have, so
// they hold the numbers of descriptors instead.
func (o overlay) mount() error {
	var fds [3]int
	for i, dir := range []string{o.Lower, o.Upper, o.Work} {
		fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		fds[i] = fd
	}
	options := fmt.Sprintf("lowerdir=/proc/self/fd/%d,upperdir=/proc/self/fd/%d,workdir=/proc/self/fd/%d", fds[0], fds[1], fds[2])
	return unix.Mount("overlay", o.Target, "overlay", 0, options)
}

func (g *guardian) start(o order) {
	if g.failed != nil {
		g.reports.Encode(report{Error: g.failed.Error()})
		return
	}
	var p *os.Process
	path, err := exec.LookPath(o.Start[0])
	attr := os.ProcAttr{
		Files: []*os.File{os.Stdin, os.Stdout, os.Stderr},
		Sys:   &syscall.SysProcAttr{Setpgid: o.Group != 0, Pgid: o.Group},
	}
	switch {
	case err != nil:
	case o.Listener != "":
		p, err = startListenedTo(o.Listener, path, o.Start, attr)
	default:
		p, err = os.StartProcess(path, o.Start, &attr)
	}
	if err != nil {
		g.reports.Encode(report{Error: fmt.Sprintf("start %s: %v", o.Start[0], innermost(err))})
		return
	}
	g.main = p.Pid
	g.reports.Encode(report{Started: true})
	go g.reap(o.Brief)
}

// innermost returns what an error comes down to: the name is said already.
func innermost(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}

// reap collects the workload's first process and every orphan, and reports
// once none is left. What is brief ends with its first process.
func (g *guardian) reap(brief bool) {
	code := 0
	for {
		// First see that there is one, then take it: the id of the first process
		// must not be free before main says that it is.
		err := unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WNOWAIT, nil)
		switch {
		case err == unix.EINTR:
		case err != nil: // ECHILD: none left
			g.reports.Encode(report{Exited: true, Code: code})
			return
		default:
			if status, isMain := g.collect(); isMain {
				code = exitCode(status)
				if brief {
					go g.end()
				}
			}
		}
	}
}

// collect takes a child that has ended, and reports whether it was the first
// process.
func (g *guardian) collect() (unix.WaitStatus, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	var status unix.WaitStatus
	pid, err := unix.Wait4(-1, &status, unix.WNOHANG, nil)
	if err != nil || pid <= 0 || pid != g.main {
		return 0, false
	}
	g.main = 0
	return status, true
}

// exitCode is a status as a shell has it.
func exitCode(status unix.WaitStatus) int {
	if status.Signaled() {
		return 128 + int(status.Signal())
	}
	return status.ExitStatus()
}

// signal asks the first process to end; if that has ended already, all that it
// has left behind.
func (g *guardian) signal(s unix.Signal) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.main > 0 {
		unix.Kill(g.main, s)
		return
	}
	for _, pid := range descendants(os.Getpid(), skipNone) {
		unix.Kill(pid, s)
	}
}

// end kills all descendants. What forks meanwhile does not escape: orphans come
// to the guard.
func (g *guardian) end() {
	if childless() {
		return
	}
	_, left := killAll(func() []int { return descendants(os.Getpid(), skipNone) }, childless)
	complain(left)
}

// childless reports whether this process has no child, not even a zombie, and
// so, being the reaper of all that descends from it, no descendant.
func childless() bool {
	err := unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT|unix.WALL, nil)
	return err == unix.ECHILD
}
