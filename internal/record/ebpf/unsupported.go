//go:build !linux || !(amd64 || arm64)

package ebpf

import (
	"fmt"
	"runtime"

	machine "github.com/profgen/profgen/internal/host"
	"github.com/profgen/profgen/internal/record"
)

// Recorder cannot be made on this platform.
type Recorder struct{ record.Recorder }

// New reports that there is no such recorder.
func New(Options) (*Recorder, error) {
	return nil, fmt.Errorf("%w: %s/%s has no programs: use Linux on amd64 or arm64", ErrUnavailable, runtime.GOOS, runtime.GOARCH)
}

// Attach is never called: [New] makes no recorder.
func (*Recorder) Attach(int) error { return ErrUnavailable }

// Await is never called: [New] makes no recorder.
func (*Recorder) Await(int) error { return ErrUnavailable }

// Mechanisms tells that there are none.
func Mechanisms() []machine.Mechanism {
	_, err := New(Options{})
	return []machine.Mechanism{machine.Tried("ebpf recorder", err, "", "use Linux on amd64 or arm64")}
}
