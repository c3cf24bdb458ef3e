//go:build linux && (amd64 || arm64)

package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/profgen/profgen/internal/record/ebpf"
)

// loopName makes this program the loop that it measures.
const loopName = "loop"

// loop makes args[0] system calls of number args[1] and prints the processor
// time of one, in ns: that is the caller's own, so that what else runs on the
// machine counts little. If there is a further argument, it is the time that
// passed.
func loop(args []string) int {
	n, _ := strconv.Atoi(args[0])
	nr, _ := strconv.Atoi(args[1])
	runtime.LockOSThread()
	clock := threadTime
	if len(args) > 2 { // elapsed
		begun := time.Now()
		clock = func() time.Duration { return time.Since(begun) }
	}
	start := clock()
	for range n {
		unix.RawSyscall(uintptr(nr), ^uintptr(0), 0, 0)
	}
	fmt.Println(float64(clock()-start) / float64(n))
	return 0
}

func threadTime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		panic(err)
	}
	return time.Duration(t.Nano())
}

// shortCalls are system calls that do next to nothing, the worst that can be
// recorded: getppid and fcntl, and those of which an argument is recorded too.
// Only the caller is looked at: what strace itself needs comes on top of its row.
func shortCalls() []comparison {
	what := "processor time of the caller"
	followed := way{name: "followed", recorder: &ebpf.Options{}, bar: bar{most: 2}}
	return []comparison{
		{
			work: "getppid", what: what, rounds: 11, once: loopOf("getppid", unix.SYS_GETPPID),
			ways: []way{
				{name: "bare"},
				followed,
				nothing,
				{name: "bystander of a recording", recorder: &ebpf.Options{}, aside: true, bar: bar{most: 1.8}},
				{name: "followed, with sys_exit", recorder: &ebpf.Options{SeeRefused: true}},
				{name: "followed, files too", recorder: &full, bar: bar{most: 2.3}},
				{name: "strace -f", strace: true},
			},
		},
		{
			work: "personality", what: what, rounds: 11, once: loopOf("personality", unix.SYS_PERSONALITY),
			ways: []way{{name: "bare"}, followed},
		},
		{
			work: "prctl", what: what, rounds: 11, once: loopOf("prctl", unix.SYS_PRCTL),
			ways: []way{{name: "bare"}, followed},
		},
		{
			work: "fcntl", what: what, rounds: 11, once: loopOf("fcntl", unix.SYS_FCNTL),
			ways: []way{{name: "bare"}, followed},
		},
	}
}

// waits is the same call, by the time that passes: a caller that has to wait for
// somebody's answer uses none of its own meanwhile.
func waits() []comparison {
	return []comparison{{
		work: "getppid", what: "time passed", rounds: 15, once: loopOf("getppid", unix.SYS_GETPPID, "elapsed"),
		ways: []way{
			{name: "bare"},
			{name: "followed", recorder: &ebpf.Options{}},
			{name: "notified, as a user can", notified: true, bar: bar{most: 35}},
			{name: "strace -f", strace: true, rounds: 5},
			{name: "strace --seccomp-bpf, of files and processes", strace: true, filtered: true},
		},
	}}
}

// loopOf returns a function that runs the loop with a system call.
func loopOf(call string, nr int, more ...string) func(context.Context, way) (float64, error) {
	return func(ctx context.Context, w way) (float64, error) {
		self, err := os.Executable() // not /proc/self/exe: under strace that is strace
		if err != nil {
			return 0, err
		}
		n := 500_000
		switch {
		case w.strace && !w.filtered:
			n = 5_000
		case w.notified:
			n = 50_000
		}
		out, err := w.run(ctx, append([]string{self, loopName, strconv.Itoa(n), strconv.Itoa(nr)}, more...), call, nil)
		if err != nil {
			return 0, err
		}
		return strconv.ParseFloat(strings.TrimSpace(out), 64)
	}
}
