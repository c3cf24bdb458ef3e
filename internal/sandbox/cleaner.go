package sandbox

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// cleaner is what is to be undone after a workload. Both ends of the pipe keep
// one: the guard cleans up when profgen is gone, and profgen when the guard is.
type cleaner struct {
	remove  []string
	cleanup [][]string
	cgroups []string
	hidden  []string // mounts taken away
	mounts  []string // mounts made
}

// learn notes what an order leaves to be undone.
func (c *cleaner) learn(o order) {
	switch {
	case o.Remove != "":
		c.remove = append(c.remove, o.Remove)
	case o.Cleanup != nil:
		c.cleanup = append(c.cleanup, o.Cleanup)
	case o.Cgroup != "":
		c.cgroups = append(c.cgroups, o.Cgroup)
	case o.Unmount != "":
		c.hidden = append(c.hidden, o.Unmount)
	case o.Overlay != nil:
		c.mounts = append(c.mounts, o.Overlay.Target)
	}
}

// cleanupPatience is how long a command that cleans up may take: an engine may be
// about to come back.
const cleanupPatience = time.Minute

// clean undoes it, when no process of the workload is left.
func (c *cleaner) clean() {
	for _, argv := range c.cleanup {
		ctx, cancel := context.WithTimeout(context.Background(), cleanupPatience)
		exec.CommandContext(ctx, argv[0], argv[1:]...).Run() // of what may not exist
		cancel()
	}
	for _, name := range c.cgroups {
		removeCgroups(name)
	}
	for _, target := range c.mounts {
		unix.Unmount(target, unix.MNT_DETACH) // goes with the namespace in any case
	}
	for _, dir := range c.remove {
		if err := os.RemoveAll(dir); err != nil {
			fmt.Fprintln(os.Stderr, "profgen: clean up:", err)
		}
	}
}

// removeCgroups removes the cgroups of a container: a runtime that was killed
// before it had written down which it had made does not know of them. They lie
// at the top of a hierarchy or below the runtime's own cgroup, which is profgen's.
func removeCgroups(name string) {
	raw, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return // there are none
	}
	parents := []string{"/"}
	for line := range strings.Lines(string(raw)) {
		if f := strings.SplitN(strings.TrimSpace(line), ":", 3); len(f) == 3 && !slices.Contains(parents, f[2]) {
			parents = append(parents, f[2])
		}
	}
	hierarchies, _ := filepath.Glob("/sys/fs/cgroup/*") // fails for a bad pattern only
	for _, top := range append(hierarchies, "/sys/fs/cgroup") {
		for _, parent := range parents {
			removeCgroup(filepath.Join(top, parent, name))
		}
	}
}

// removeCgroup removes a cgroup and those below it. It may be busy for a moment,
// with what was just killed.
func removeCgroup(dir string) {
	var dirs []string
	filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			dirs = append(dirs, name)
		}
		return nil
	})
	for _, d := range slices.Backward(dirs) { // the deepest first
		err := unix.Rmdir(d)
		for tries := 0; err == unix.EBUSY && tries < 50; tries++ {
			time.Sleep(20 * time.Millisecond)
			err = unix.Rmdir(d)
		}
		if err == unix.ENOTEMPTY {
			// No cgroup, but files that a runtime made where it took a hidden
			// hierarchy to be.
			err = os.RemoveAll(d)
		}
		if err != nil && err != unix.ENOENT {
			fmt.Fprintf(os.Stderr, "profgen: remove cgroup %s: %v\n", d, err)
		}
	}
}

// cleanElsewhere is clean in a process that does not have the guard's mount
// namespace: the same mounts are taken away in one made for the purpose.
func (c *cleaner) cleanElsewhere() {
	if len(c.hidden) == 0 {
		c.clean()
		return
	}
	onThread(func() error {
		if err := c.hideAgain(); err != nil {
			fmt.Fprintln(os.Stderr, "profgen: clean up:", err)
		}
		c.clean()
		return nil
	})
}

// hideAgain gives this thread a mount namespace of its own, without the hidden
// mounts.
func (c *cleaner) hideAgain() error {
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("make a mount namespace: %w", err)
	}
	if err := unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	for _, target := range c.hidden {
		if err := hide(target); err != nil {
			return fmt.Errorf("unmount %s: %w", target, err)
		}
	}
	return nil
}

// hide takes a mount away. What came along into a user namespace cannot be
// unmounted there: it is covered.
func hide(target string) error {
	err := unix.Unmount(target, unix.MNT_DETACH)
	if err == unix.EINVAL && OwnUserNS() {
		return unix.Mount("none", target, "tmpfs", unix.MS_RDONLY, "")
	}
	return err
}

// adopt makes this process the reaper of what its guards leave behind if they
// are killed. It stays that: orphans of other children come to it too.
func adopt() error {
	return unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
}

// orphans returns what runs below this process and came to it from a guard
// that was killed and had been started at since: all that is not older than it,
// and neither a guard nor below one.
func orphans(since uint64) []int {
	// No child is between its fork and its exec while this is held: it could not
	// be told from an orphan.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	return descendants(os.Getpid(), func(p proc) bool { return p.start < since || isGuard(p.pid) })
}

// endOrphans kills what a guard started at since left behind when it was
// killed.
func endOrphans(since uint64) {
	nothing := 0
	thrice := func() bool { nothing++; return nothing > 2 } // there is no surer way to ask
	killed, left := killAll(func() []int { return orphans(since) }, thrice)
	complain(left)
	for pid := range killed {
		unix.Wait4(pid, nil, unix.WNOHANG, nil) // those that became children of this process
	}
}
