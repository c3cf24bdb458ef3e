package record

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"
)

// pause is how long a check that failed waits for the next try.
const pause = 200 * time.Millisecond

// Until returns a check that runs try until it succeeds, at most for the time
// given: servers take a while to start. try returns what it printed, for the
// error if it never succeeds.
func Until(try func(context.Context) ([]byte, error), within time.Duration) func(context.Context) error {
	return func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, within)
		defer cancel()
		failure := errors.New("its first try has not ended")
		for {
			out, err := try(ctx)
			switch {
			case err == nil:
				return nil
			case ctx.Err() == nil: // else it failed for want of time
				failure = failed(err, out)
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("the check did not succeed within %s: %w", within, failure)
			case <-time.After(pause):
			}
		}
	}
}

// failed is how a try failed, with what it printed.
func failed(err error, out []byte) error {
	if out = bytes.TrimSpace(out); len(out) == 0 {
		return err
	}
	return fmt.Errorf("%w: %.300s", err, out)
}
