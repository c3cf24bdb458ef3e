package sandbox

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// doomedCommand is a profgen that has started things and waits to be killed.
func doomedCommand() {
	g, err := startGuard(Talk(), 0)
	if err == nil {
		err = startDoomed(g)
	}
	if err != nil {
		panic(err)
	}
	select {}
}

// startDoomed starts a workload with a daemon, a private folder and a command
// that cleans up. What is to be gone in the end is said in folder $WITNESS.
func startDoomed(g *guard) error {
	witness := os.Getenv("WITNESS")
	dir, err := g.privateDir()
	if err != nil {
		return err
	}
	if err := os.Symlink(dir, filepath.Join(witness, "private")); err != nil {
		return err
	}
	if err := g.order(order{Cleanup: []string{"touch", filepath.Join(witness, "cleaned-up")}}); err != nil {
		return err
	}
	script := "setsid sh -c 'sleep 1000 & echo $! $$ >$WITNESS/pids; exec sleep 1000' & wait"
	return g.start(context.Background(), order{Start: []string{"sh", "-c", script}})
}

// checkDoomed waits until all that startDoomed started is gone.
func checkDoomed(t *testing.T, witness string, pids []int) {
	t.Helper()
	for _, pid := range pids {
		processGone(t, pid)
	}
	private, err := os.Readlink(filepath.Join(witness, "private"))
	if err != nil {
		t.Fatal(err)
	}
	fileGone(t, private)
	if _, err := os.Stat(filepath.Join(witness, "cleaned-up")); err != nil {
		t.Errorf("the clean-up command did not run: %v", err)
	}
}

// However profgen dies, its workload dies with it, a daemon of it too, what
// was to be run at the end is run, and the private folder goes: also if its
// whole process group is killed, as timeout(1) does and those who run jobs.
func TestNothingOutlivesProfgen(t *testing.T) {
	for _, group := range []bool{false, true} {
		t.Run(fmt.Sprintf("group %t", group), func(t *testing.T) {
			witness := t.TempDir()
			cmd := helper(t, "doomed command", "WITNESS="+witness)
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			pids := numbers(t, filepath.Join(witness, "pids"), 2)
			victim := cmd.Process.Pid
			if group {
				victim = -victim
			}
			unix.Kill(victim, unix.SIGKILL)
			cmd.Wait()
			checkDoomed(t, witness, pids)
		})
	}
}

// The workload itself is in profgen's process group, so that it can read from
// the terminal and that what is typed there, such as an interrupt, reaches it.
func TestWorkloadSharesTheTerminal(t *testing.T) {
	out, read := output(t)
	c := &Command{Argv: []string{"sh", "-c", "cut -d' ' -f5 /proc/self/stat"}, Stdio: Stdio{nil, out, os.Stderr}}
	if err := c.Start(t.Context(), ignore); err != nil {
		t.Fatal(err)
	}
	if code, err := waited(t, c); code != 0 || err != nil || read() != fmt.Sprintln(unix.Getpgrp()) {
		t.Errorf("code %d, %v; process group %q, want %d", code, err, read(), unix.Getpgrp())
	}
}

// Nor does anything outlive the guard: profgen does its work, and leaves other
// guards and what is older alone.
func TestNothingOutlivesTheGuard(t *testing.T) {
	witness := t.TempDir()
	t.Setenv("WITNESS", witness)
	older := &Command{Argv: []string{"sleep", "1000"}, Stdio: Talk()}
	if err := older.Start(t.Context(), ignore); err != nil {
		t.Fatal(err)
	}
	g, err := startGuard(Talk(), 0)
	if err != nil {
		t.Fatal(err)
	}
	younger := &Command{Argv: []string{"sleep", "1000"}, Stdio: Talk()}
	if err := younger.Start(t.Context(), ignore); err != nil {
		t.Fatal(err)
	}
	if err := startDoomed(g); err != nil {
		t.Fatal(err)
	}
	pids := numbers(t, filepath.Join(witness, "pids"), 2)
	unix.Kill(g.pid(), unix.SIGKILL)
	if _, err := g.wait(); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("guard process %d was killed", g.pid())) {
		t.Errorf("wait after the guard was killed: %v", err)
	}
	checkDoomed(t, witness, pids)
	for _, other := range []*Command{older, younger} {
		if n := len(descendants(other.guard.pid(), skipNone)); n != 1 {
			t.Errorf("another guard has %d processes left, want 1", n)
		}
		other.Stop()
		if code, err := waited(t, other); code != 128+15 || err != nil {
			t.Errorf("another guard's workload: code %d, %v", code, err)
		}
	}
}

// A guard that is killed before it has anything to do is an error as well.
func TestGuardKilledBeforeTheStart(t *testing.T) {
	c := &Command{Argv: []string{"sleep", "1000"}, Stdio: Talk()}
	err := c.Start(t.Context(), func(pid int) error { return unix.Kill(pid, unix.SIGKILL) })
	if err == nil || !strings.Contains(err.Error(), "was killed") {
		t.Errorf("Start: %v", err)
	}
}

// leaderless is a program whose first thread ends while another works on: a
// zombie to look at.
func leaderless() {
	end := func() {
		runtime.LockOSThread()
		if unix.Gettid() == os.Getpid() {
			unix.Syscall(unix.SYS_EXIT, 0, 0, 0)
		}
		select {}
	}
	for range 50 { // one of them is on the first thread
		go end()
	}
	for p, _ := readProc(os.Getpid()); p.state != "Z"; p, _ = readProc(os.Getpid()) {
		time.Sleep(time.Millisecond)
	}
	fmt.Println(os.Getpid())
	time.Sleep(20 * time.Second)
	os.Exit(0)
}

func TestStopEndsAProcessWithoutItsFirstThread(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, script := range map[string]string{
		"workload":          "exec \"$0\"",
		"child":             "\"$0\" & wait",
		"parent of nothing": "\"$0\" & exit 3",
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("HELPER", "leaderless")
			out, _ := output(t)
			c := &Command{Argv: []string{"sh", "-c", script, self}, Stdio: Stdio{nil, out, os.Stderr}}
			if err := c.Start(t.Context(), ignore); err != nil {
				t.Fatal(err)
			}
			pid := numbers(t, out.Name(), 1)[0]
			if p, ok := readProc(pid); !ok || p.state != "Z" || p.gone() {
				t.Fatalf("the helper is no zombie with a living thread: %+v", p)
			}
			c.Stop()
			c.Stop()
			if _, err := waited(t, c); err != nil {
				t.Error(err)
			}
			processGone(t, pid)
		})
	}
}

// A workload that forks as fast as it can is killed all the same, also one that
// is never the same process for long.
func TestStopEndsWhatKeepsForking(t *testing.T) {
	chain := filepath.Join(t.TempDir(), "chain")
	if err := os.WriteFile(chain, []byte("#!/bin/sh\n\"$0\" &\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	out, _ := output(t)
	script := chain + `; for i in 1 2; do sh -c 'while :; do sleep 1000 & sleep 0.001; done' & done; echo 1; wait`
	c := &Command{Argv: []string{"sh", "-c", script}, Stdio: Stdio{nil, out, os.Stderr}}
	if err := c.Start(t.Context(), ignore); err != nil {
		t.Fatal(err)
	}
	numbers(t, out.Name(), 1)
	time.Sleep(100 * time.Millisecond)
	c.Stop()
	c.Stop()
	if _, err := waited(t, c); err != nil {
		t.Error(err)
	}
}

// When the first process has ended, what it left behind is asked to end.
func TestStopReachesWhatTheFirstProcessLeft(t *testing.T) {
	out, read := output(t)
	script := `sh -c 'trap "echo asked; exit" TERM; echo 1; while :; do sleep 0.05; done' & exit 3`
	c := &Command{Argv: []string{"sh", "-c", script}, Stdio: Stdio{nil, out, os.Stderr}}
	if err := c.Start(t.Context(), ignore); err != nil {
		t.Fatal(err)
	}
	numbers(t, out.Name(), 1)
	time.Sleep(50 * time.Millisecond) // for the first process to end
	c.Stop()
	if code, err := waited(t, c); code != 3 || err != nil || !strings.Contains(read(), "asked") {
		t.Errorf("Wait: %d, %v, output %q", code, err, read())
	}
}

// Under nohup the workload ignores that the terminal was closed, as profgen
// does; otherwise it does not.
func TestWorkloadIgnoresWhatProfgenWasToldToIgnore(t *testing.T) {
	for _, nohup := range []bool{false, true} {
		if nohup {
			signal.Ignore(syscall.SIGHUP)
			defer signal.Reset(syscall.SIGHUP)
		}
		out, read := output(t)
		c := &Command{Argv: []string{"sh", "-c", "kill -HUP $$; echo alive"}, Stdio: Stdio{nil, out, os.Stderr}}
		if err := c.Start(t.Context(), ignore); err != nil {
			t.Fatal(err)
		}
		code, err := waited(t, c)
		if err != nil || (read() == "alive\n") != nohup {
			t.Errorf("nohup %t: code %d, %v, output %q", nohup, code, err, read())
		}
		if n := len(Interrupts()); (n == 2) != nohup {
			t.Errorf("nohup %t: %d signals interrupt", nohup, n)
		}
	}
}
