//go:build linux && (amd64 || arm64)

// Command bench turns runs of the same work, bare and recorded, into one table
// of ratios with the bars that they must keep. It exits with 1 if one does not,
// and with 2 if it could not measure.
//
// Machines are noisy, so each round runs every way of doing the work, one right
// after the other, and the next round in the opposite order; what counts is the
// median of the rounds' ratios. It does not say how fast anything is: that
// differs from one machine to the next, and from one minute to the next.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"

	"github.com/profgen/profgen/internal/sandbox"
)

func main() {
	switch {
	case os.Args[0] == sandbox.GuardName:
		os.Exit(sandbox.RunGuard())
	case len(os.Args) > 1 && os.Args[1] == loopName:
		os.Exit(loop(os.Args[2:]))
	}
	ctx, stop := signal.NotifyContext(context.Background(), sandbox.Interrupts()...)
	defer stop()
	kept, err := run(ctx)
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	case !kept:
		os.Exit(1)
	}
}

// run does all comparisons and prints the table; false if a bar was not kept.
func run(ctx context.Context) (bool, error) {
	if os.Geteuid() != 0 {
		return false, errors.New("recording takes root")
	}
	calls := shortCalls()
	all := append(calls, redis()...)
	for i := range all {
		if err := all[i].measure(ctx); err != nil {
			return false, fmt.Errorf("%s: %w", all[i].work, err)
		}
	}
	kept, err := table(os.Stdout, all)
	return repeats(os.Stdout, all[:len(calls)]) && kept, err
}
