package evidence

import "fmt"

// Identity is a user and a group that processes of the workload acted as when the
// recording asked it to end: effective ids, in its own user namespace. Where they
// were dropped to on the way there is no [Identity].
type Identity struct {
	UID   uint32 `json:"uid"`
	GID   uint32 `json:"gid"`
	Phase Phase  `json:"phase"`
	Basis Basis  `json:"basis"`
}

func (f Identity) known() (Basis, Phase) { return f.Basis, f.Phase }

func (f Identity) key() string {
	return fmt.Sprintf("a %10d %10d %q %q", f.UID, f.GID, f.Phase, f.Basis)
}

func (f Identity) validate() error { return validate(f.Phase, f.Basis) }
