package sandbox

// The guard and profgen talk in JSON values over two pipes. Order matters: what
// is to be cleaned up is said before it is made.

// order is what profgen says to the guard. One field is set, but with Start.
type order struct {
	Remove  string   `json:"remove,omitempty"`  // remove this folder at the end
	Cleanup []string `json:"cleanup,omitempty"` // run this at the end, before folders are removed
	Cgroup  string   `json:"cgroup,omitempty"`  // remove cgroups of this name at the end, after that
	Unmount string   `json:"unmount,omitempty"` // in the guard's own mount namespace, if it has one
	Overlay *overlay `json:"overlay,omitempty"` // likewise; unmounted again at the end
	Start   []string `json:"start,omitempty"`   // start the workload
	Group   int      `json:"group,omitempty"`   // with Start: in this process group; 0 is the guard's
	Brief   bool     `json:"brief,omitempty"`   // with Start: when its first process ends, kill the rest
	// Listener, with Start, has every system call of the workload wait for whoever
	// listens on this unix socket, who is sent the listener: see [Command].
	Listener string `json:"listener,omitempty"`
	Signal   string `json:"signal,omitempty"` // send it to the workload: "TERM", "KILL"; KILL goes to all of it
}

// overlay is a mount of overlayfs: a folder that shows Lower, and keeps changes
// in Upper.
type overlay struct {
	Lower, Upper, Work, Target string
}

// report is what the guard says to profgen.
type report struct {
	Started bool   `json:"started,omitempty"`
	Error   string `json:"error,omitempty"` // the workload could not be started, or what it needs not be mounted
	Exited  bool   `json:"exited,omitempty"`
	Code    int    `json:"code,omitempty"` // with Exited
}
