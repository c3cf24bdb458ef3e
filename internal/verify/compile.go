package verify

import (
	"errors"
	"fmt"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/profgen/profgen/internal/abi"
	"github.com/profgen/profgen/internal/scmp"
)

// compileTimeout bounds libseccomp, which some rule sets that no profile of
// profgen's has make loop (libseccomp 2.5.4, seccomp_rule_add): a profile
// directory may hold anybody's.
const compileTimeout = 20 * time.Second

// Filter is what a profile compiles to.
type Filter struct {
	Instructions int
	Compiler     string // "libseccomp 2.5.4"
}

// Compile compiles a profile as a runtime on this host would. In a build
// without libseccomp the error wraps [scmp.ErrUnavailable].
func Compile(profile *specs.LinuxSeccomp, native abi.Arch) (Filter, error) {
	version, err := scmp.Version()
	if err != nil {
		return Filter{}, err
	}
	program, err := compileWithin(compileTimeout, profile, native)
	if err != nil {
		return Filter{}, err
	}
	return Filter{program.Len(), "libseccomp " + version}, nil
}

// compileWithin compiles a profile, or gives up on libseccomp.
func compileWithin(limit time.Duration, profile *specs.LinuxSeccomp, native abi.Arch) (*scmp.Program, error) {
	type result struct {
		program *scmp.Program
		err     error
	}
	done := make(chan result, 1)
	go func() {
		instructions, err := scmp.Compile(profile, native)
		if err != nil {
			done <- result{nil, err}
			return
		}
		program, err := scmp.NewProgram(instructions)
		done <- result{program, err}
	}()
	select {
	case r := <-done:
		return r.program, r.err
	case <-time.After(limit):
		return nil, errors.New("compile the seccomp profile: libseccomp does not come to an end")
	}
}

// String is the filter for people.
func (f Filter) String() string {
	return fmt.Sprintf("%d instructions by %s", f.Instructions, f.Compiler)
}
