package caps

import (
	"fmt"
	"path"
	"strings"

	"github.com/profgen/profgen/gen/policy"
)

// rootFlags returns the flags that mount the root file system read-only, and empty
// folders where the workload makes files. Docker hides under them what the image
// has there, podman copies it into them; anybody may write to them, as to /tmp,
// since flags do not say whose the image's folder was.
func rootFlags(r policy.Root) ([]string, error) {
	if !r.ReadOnly {
		return nil, nil
	}
	flags := []string{readOnlyFlag}
	for _, s := range r.Scratch {
		if !path.IsAbs(s.Path) || path.Clean(s.Path) != s.Path || strings.ContainsAny(s.Path, ":,") {
			return nil, fmt.Errorf("scratch folder %q: want an absolute path that can stand in a flag", s.Path)
		}
		if err := checkValue(s.Path); err != nil {
			return nil, fmt.Errorf("scratch folder %q: %w", s.Path, err)
		}
		flags = append(flags, tmpfsFlag+s.Path+":"+strings.Join(scratchOptions(s), ","))
	}
	return flags, nil
}

func scratchOptions(s policy.Scratch) []string {
	options := []string{"rw", "noexec", "nosuid", "nodev", "mode=1777"}
	if s.Exec {
		options[1] = "exec" // engines add noexec where nothing is said
	}
	return options
}
