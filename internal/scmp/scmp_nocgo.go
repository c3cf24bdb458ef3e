//go:build !cgo || !linux

package scmp

import (
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/net/bpf"

	"github.com/profgen/profgen/internal/abi"
)

// Version returns [ErrUnavailable] in this build.
func Version() (string, error) { return "", ErrUnavailable }

// APILevel answers ErrUnavailable.
func APILevel() (uint, error) { return 0, ErrUnavailable }

// Number returns [ErrUnavailable] in this build.
func Number(abi.Arch, string) (nr int, known bool, err error) { return 0, false, ErrUnavailable }

// Compile returns [ErrUnavailable] in this build.
func Compile(*specs.LinuxSeccomp, abi.Arch) ([]bpf.RawInstruction, error) {
	return nil, ErrUnavailable
}
