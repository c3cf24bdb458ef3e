// Command profgen finds the least privilege that a container image needs and
// writes it down as files to commit and run with.
//
// Each subcommand has a file of its own here that turns flags into options,
// calls a library, and prints. What is data goes to stdout, what is talk to
// stderr. Exit codes: 0 ok, 1 error, 2 usage, 3 denials found by verify, and
// the workload's own where profgen ran one and nothing else went wrong.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/profgen/profgen/internal/sandbox"
)

func main() {
	if os.Args[0] == sandbox.GuardName {
		os.Exit(sandbox.RunGuard())
	}
	sandbox.HoldLifeline()
	os.Exit(run(os.Args, os.Stdout, os.Stderr))
}

// oneInterrupt is how long an interrupt and its echo are one.
const oneInterrupt = 200 * time.Millisecond

// run is profgen as a function; it returns the exit code.
func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), sandbox.Interrupts()...)
	// A second interrupt ends profgen at once; the guard ends the workload. One
	// that a terminal sends comes twice to a profgen in a user namespace.
	context.AfterFunc(ctx, func() { time.AfterFunc(oneInterrupt, stop) })
	app := newApp(stdout, stderr)
	err := app.RunContext(ctx, flagsFirst(app, args))
	var coded exitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &coded):
		if coded.err != nil {
			fmt.Fprintf(stderr, "profgen: %v\n", coded.err)
		}
		return coded.code
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		err = errors.New("interrupted") // whatever it was doing, nothing came of it
	}
	fmt.Fprintf(stderr, "profgen: %v\n", err)
	return 1
}

// exitError ends profgen with a code; without err it has nothing to add to
// what was printed.
type exitError struct {
	code int
	err  error
}

func (e exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e exitError) Unwrap() error { return e.err }

func usage(format string, args ...any) error {
	return exitError{2, fmt.Errorf(format, args...)}
}

func newApp(stdout, stderr io.Writer) *cli.App {
	return &cli.App{
		Name:      "profgen",
		Usage:     "the least privilege a container image needs, as files to run it with",
		Version:   version(),
		Writer:    stdout,
		ErrWriter: stderr,
		Commands: []*cli.Command{
			recordCommand(), scanCommand(), importCommand(), hookCommand(), mergeCommand(),
			generateCommand(), verifyCommand(), runCommand(), whyCommand(), coverageCommand(), diffCommand(), lintCommand(), convertCommand(),
			flagsCommand(), reportCommand(), attestCommand(), fmtCommand(), doctorCommand(), completionCommand(),
		},
		// Errors are printed in one place, and nothing but main exits.
		ExitErrHandler: func(*cli.Context, error) {},
		OnUsageError:   onUsageError,
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return usage("no command %q; see profgen --help", c.Args().First())
			}
			return cli.ShowAppHelp(c)
		},
	}
}

func onUsageError(_ *cli.Context, err error, _ bool) error {
	return usage("%s", strings.TrimPrefix(err.Error(), "flag provided but "))
}

// version is the module version, or "devel" for a build from a work tree.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return "devel"
	}
	return info.Main.Version
}
