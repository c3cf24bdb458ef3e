//go:build linux && (amd64 || arm64)

// Command bench measures what profgen costs and compares it with the bars that it
// must keep. It exits with 1 if one is not kept, and with 2 if it could not
// measure. Its arguments are the parts to do: images, decoder, many (what a scan
// costs) and record (what recording costs); all if there are none.
//
// What a scan costs has bars in seconds of two cores: see images. What recording
// costs are ratios of runs of the same work, bare and recorded. Machines are noisy,
// so each round runs every way of doing the work, one right
// after the other, and the next round in the opposite order; what counts is the
// median of the rounds' ratios. It does not say how fast anything is: that
// differs from one machine to the next, and from one minute to the next.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"

	"github.com/profgen/profgen/internal/sandbox"
)

func main() {
	switch {
	case os.Args[0] == sandbox.GuardName:
		os.Exit(sandbox.RunGuard())
	case len(os.Args) > 1 && os.Args[1] == loopName:
		os.Exit(loop(os.Args[2:]))
	case len(os.Args) > 2 && os.Args[1] == catName:
		os.Exit(cat(os.Args[2:]))
	}
	ctx, stop := signal.NotifyContext(context.Background(), sandbox.Interrupts()...)
	defer stop()
	kept, err := run(ctx, os.Args[1:])
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	case !kept:
		os.Exit(1)
	}
}

// run does all comparisons, or those asked for, and prints their tables; false if a
// bar was not kept.
func run(ctx context.Context, asked []string) (bool, error) {
	kept := true
	for _, part := range []struct {
		name string
		run  func(context.Context, io.Writer) (bool, error)
	}{
		{"images", images}, // first: a process that is started counts the memory of the one that starts it
		{"decoder", func(_ context.Context, out io.Writer) (bool, error) { return decoder(out) }},
		{"many", func(ctx context.Context, out io.Writer) (bool, error) { return true, many(ctx, out) }},
		{"record", recording},
		{"files", func(ctx context.Context, out io.Writer) (bool, error) { return compared(ctx, out, files()) }}, // one part of record
	} {
		if len(asked) > 0 && !slices.Contains(asked, part.name) || len(asked) == 0 && part.name == "files" {
			continue
		}
		ok, err := part.run(ctx, os.Stdout)
		if err != nil {
			return false, fmt.Errorf("%s: %w", part.name, err)
		}
		kept = kept && ok
		fmt.Println()
	}
	return kept, nil
}

// recording measures what recording costs who is recorded.
func recording(ctx context.Context, out io.Writer) (bool, error) {
	if os.Geteuid() != 0 {
		return false, errors.New("recording takes root")
	}
	calls := shortCalls()
	all := slices.Concat(calls, waits(), files(), redis())
	kept, err := compared(ctx, out, all)
	if err != nil {
		return false, err
	}
	return repeats(out, all[:len(calls)]) && kept, nil
}

// compared makes the comparisons and prints their table.
func compared(ctx context.Context, out io.Writer, all []comparison) (bool, error) {
	for i := range all {
		if err := all[i].measure(ctx); err != nil {
			return false, fmt.Errorf("%s: %w", all[i].work, err)
		}
	}
	return table(out, all)
}
