package record

import (
	"bytes"
	"context"
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
		failed, said := ctx.Err(), []byte(nil)
		for {
			out, err := try(ctx)
			if err == nil {
				return nil
			}
			if failed == nil || ctx.Err() == nil { // else it was the end that ended it
				failed, said = err, out
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("the check did not succeed within %s: %w: %.300s", within, failed, bytes.TrimSpace(said))
			case <-time.After(pause):
			}
		}
	}
}
