package evidence

import (
	"errors"
	"fmt"
	"slices"
)

// Privileged is a file of the image that gives whoever runs it more than they
// had, as execve(2) and capabilities(7) have it: by a set-user-ID or set-group-ID
// bit, or by file capabilities. It says what the image holds; that the file was
// run is an [Executed] fact.
type Privileged struct {
	Path Path `json:"path"`
	// SetUID and SetGID say that the bits are set; UID and GID are the file's
	// owner and group, whom such a bit makes of who runs it.
	SetUID bool   `json:"setuid,omitempty"`
	SetGID bool   `json:"setgid,omitempty"`
	UID    uint32 `json:"uid,omitempty"`
	GID    uint32 `json:"gid,omitempty"`
	// Permitted are the file's permitted capabilities, CAP_* names, sorted.
	Permitted []string `json:"permitted,omitempty"`
	// Effective says that they are to be in force at once. Then execve(2) fails
	// with EPERM unless the bounding set has all of them.
	Effective bool `json:"effective,omitempty"`
}

// known: it is there whoever looks, and an upper bound of what is used.
func (f Privileged) known() (Basis, Phase) { return Reachable, Start }

func (f Privileged) key() string {
	return fmt.Sprintf("b %q %t %t %10d %10d %q %t", f.Path, f.SetUID, f.SetGID, f.UID, f.GID, f.Permitted, f.Effective)
}

func (f Privileged) validate() error {
	switch {
	case !f.SetUID && !f.SetGID && len(f.Permitted) == 0:
		return errors.New("privileged: want a set-user-ID or set-group-ID bit or capabilities")
	case !slices.IsSorted(f.Permitted) || slices.ContainsFunc(f.Permitted, func(c string) bool { return !capName.MatchString(c) }):
		return fmt.Errorf("privileged: capabilities %q: want sorted names such as CAP_CHOWN", f.Permitted)
	}
	return f.Path.validate()
}

// canonical returns f with its capabilities in order, each once.
func (f Privileged) canonical() Privileged {
	f.Permitted = slices.Compact(slices.Sorted(slices.Values(f.Permitted))) // nil for none
	return f
}
