//go:build linux && (amd64 || arm64)

package usernotif

import (
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/abi"
	"github.com/profgen/profgen/internal/record"
	"github.com/profgen/profgen/internal/record/ebpf"
	"github.com/profgen/profgen/internal/sandbox"
)

// The mark is seen of whoever descends from the command, however it came about.
func TestFollow(t *testing.T) {
	for _, act := range []string{"mark", "clone3", "vfork", "orphan", "threadexec", "thread"} {
		s := recordRun(t, record.AtExec, program("acts"), act)
		if !called(s, evidence.Start, "sched_getscheduler") {
			t.Errorf("%s: the mark was not seen", act)
		}
		if g := gapsBut(s); len(g) > 0 {
			t.Errorf("%s: %v", act, g)
		}
	}
}

// The call that starts a command is not the command's own.
func TestStart(t *testing.T) {
	s := recordRun(t, record.AtExec, program("acts"), "mark")
	if called(s, evidence.Start, "execve") || !called(s, evidence.Start, "exit_group") {
		t.Errorf("calls %v; want the end, and not the exec before the beginning", calls(s, evidence.Start))
	}
	want := []evidence.Executed{{Path: evidence.Path(program("acts")), Phase: evidence.Start, Basis: evidence.Observed}}
	if diff := cmp.Diff(want, of[evidence.Executed](s)); diff != "" {
		t.Errorf("programs (-want +got):\n%s", diff)
	}
}

// A runtime counts from its filter on, and is another phase until it execs; what
// it does before, and what its filter does not bind, never counts.
func TestRuntime(t *testing.T) {
	script := `"$0" filter "$1" thread; exec "$0" mark`
	s := recordRun(t, record.AtFilter, "/bin/sh", "-c", script, program("acts"), program("image"))
	runtime, start := calls(s, evidence.Runtime)[abis()[0]], calls(s, evidence.Start)[abis()[0]]
	for name, in := range map[string][2]bool{
		"sched_getparam": {false, false}, "getsid": {true, false}, "getpgid": {true, false}, "execve": {true, false},
		"sched_getscheduler": {false, true}, "wait4": {false, false},
	} {
		if called(s, evidence.Runtime, name) != in[0] || called(s, evidence.Start, name) != in[1] {
			t.Errorf("%s: in phases runtime %v and start %v", name, runtime, start)
		}
	}
	if got := of[evidence.Executed](s); len(got) != 1 || got[0].Phase != evidence.Start || got[0].By != "" {
		t.Errorf("programs %+v; want the one that the runtime ran, run by nobody", got)
	}
}

// What the workload does is in the phase that it has come to; it may be said, or
// begin with the first connection that is asked for.
func TestPhases(t *testing.T) {
	enter := func(r *Recorder) error { return r.Enter(evidence.Serve) }
	for want, begin := range map[evidence.Phase]func(*Recorder) error{
		evidence.Start: (*Recorder).EnterAtAccept, evidence.Serve: enter,
	} {
		s := recordWith(t, begin, record.AtExec, program("acts"), "mark")
		if !called(s, want, "sched_getscheduler") {
			t.Errorf("want the mark in phase %s: start %v, serve %v", want, calls(s, evidence.Start), calls(s, evidence.Serve))
		}
	}
	s := recordWith(t, (*Recorder).EnterAtAccept, record.AtExec, program("does"), "accepts", t.TempDir())
	if !called(s, evidence.Start, "accept") || called(s, evidence.Start, "sched_yield") || !called(s, evidence.Serve, "sched_yield") {
		t.Errorf("start %v, serve %v; want what follows accept in serve", calls(s, evidence.Start), calls(s, evidence.Serve))
	}
	if err := new(Recorder).Enter(evidence.Runtime); err == nil {
		t.Error("the workload can come to phase runtime")
	}
}

// Every ABI's calls are numbered by its own table.
func TestABIs(t *testing.T) {
	if abis()[0] != abi.X8664 {
		t.Skip("needs an x86-64 kernel")
	}
	for name, want := range map[string]map[abi.Arch][]string{
		"i386": {abi.X86: {"exit", "getppid", "sync"}},
		"entries": {
			abi.X8664: {"exit_group"}, abi.X86: {"getppid", "personality"}, abi.X32: {"getpid", "personality", "writev"},
		},
	} {
		if diff := cmp.Diff(want, calls(recordRun(t, record.AtExec, program(name)), evidence.Start)); diff != "" {
			t.Errorf("%s: calls (-want +got):\n%s", name, diff)
		}
	}
}

// Both engines say the same of calls, arguments and sockets, and have the same
// gaps, but for capabilities.
func TestSameAsEBPF(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root and BPF: not root")
	}
	all := `"$0" sockets; "$0" args; "$0" clone3; "$0" personalities 63; "$0" unknown 500 1000 -1 425 426; "$0" vfork; "$0" mark | cat`
	if abis()[0] == abi.X8664 {
		all += `; cd $(dirname "$0"); ./entries; ./i386; ./socketcall; true`
	}
	for _, script := range []string{all, `"$0" personalities 64; "$0" unknown 426`} {
		argv := []string{"/bin/sh", "-c", script, program("acts")}
		r, err := ebpf.New(ebpf.Options{Files: true})
		if err != nil {
			t.Fatal(err)
		}
		var want evidence.Set
		_, err = record.Run{
			Recorder: r, Start: record.AtExec, Target: &sandbox.Command{Argv: argv, Stdio: sandbox.Talk()},
			Save: func(s evidence.Set) error { want = s; return nil },
		}.Do(t.Context())
		r.Close()
		if err != nil {
			t.Fatal(err)
		}
		got := recordRun(t, record.AtExec, argv...)
		want.Facts = slices.DeleteFunc(want.Facts, func(f evidence.Fact) bool { // not asked about, and in every profile
			call, ok := f.(evidence.Syscall)
			return ok && (call.Name == "rt_sigreturn" || call.Name == "sigreturn")
		})
		if diff := cmp.Diff(of[evidence.Syscall](want), of[evidence.Syscall](got)); diff != "" {
			t.Errorf("%s: calls (-ebpf +usernotif):\n%s", script, diff)
		}
		if diff := cmp.Diff(of[evidence.Socket](want), of[evidence.Socket](got)); diff != "" {
			t.Errorf("%s: sockets (-ebpf +usernotif):\n%s", script, diff)
		}
		if diff := cmp.Diff(gapsBut(want), gapsBut(got)); diff != "" {
			t.Errorf("%s: gaps (-ebpf +usernotif):\n%s", script, diff)
		}
	}
}
