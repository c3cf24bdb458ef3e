//go:build !linux || !(amd64 || arm64)

package usernotif

import (
	"fmt"
	"runtime"

	"github.com/profgen/profgen/internal/record"
)

// Recorder cannot be made on this platform.
type Recorder struct{ record.Recorder }

// New reports that there is no such recorder.
func New() (*Recorder, error) {
	return nil, fmt.Errorf("%w: %s/%s: use Linux on amd64 or arm64", ErrUnavailable, runtime.GOOS, runtime.GOARCH)
}

// Listener is never called: [New] makes no recorder.
func (*Recorder) Listener() string { return "" }
