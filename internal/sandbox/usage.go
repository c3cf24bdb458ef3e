package sandbox

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/profgen/profgen/gen/evidence"
)

// Usage is the most that the container has had of each resource, where the
// kernel keeps count, or what it has now. What cannot be found out is missing.
//
// Tasks and memory are those of its cgroup: the runtime's own, from before the
// image's program began, and the page cache are among them, as they are in what
// a limit is held against.
func (c *Container) Usage() map[evidence.ResourceKind]uint64 {
	out := map[evidence.ResourceKind]uint64{}
	pid, ok := c.runningPID()
	if !ok {
		return out
	}
	groups, pids := cgroupsOf(pid), append(descendants(pid, skipNone), pid)
	if maps.Equal(groups, cgroupsOf(os.Getpid())) { // rootless: it has none of its own
		groups, out[evidence.Pids] = nil, tasksOf(pids)
	}
	for kind, files := range map[evidence.ResourceKind][2][]string{
		evidence.Pids:   {{"pids", ""}, {"pids.peak", "pids.current"}},
		evidence.Memory: {{"memory", ""}, {"memory.peak", "memory.max_usage_in_bytes", "memory.current"}},
	} {
		if n, ok := firstNumber(groups, files[0], files[1]); ok {
			out[kind] = n
		}
	}
	out[evidence.Files] = highestFile(pids)
	out[evidence.Shm] = sharedFiles(pid) + c.sharedSegments(pid)
	return out
}

// Identities is whom the container's processes act as now, each pair of a user and
// a group once, by the ids of profgen's own user namespace, in which the container
// is too.
func (c *Container) Identities() []evidence.Identity {
	pid, ok := c.runningPID()
	if !ok {
		return nil
	}
	var out []evidence.Identity
	for _, pid := range append(descendants(pid, skipNone), pid) {
		if id, ok := identityOf(pid); ok && !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	return out
}

// identityOf is whom a process acts as: the effective ids, the second of each
// line of proc_pid_status(5). False if it has ended.
func identityOf(pid int) (evidence.Identity, bool) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return evidence.Identity{}, false
	}
	ids := map[string]uint32{}
	for line := range strings.Lines(string(status)) {
		f := strings.Fields(line)
		if len(f) == 5 && (f[0] == "Uid:" || f[0] == "Gid:") {
			n, err := strconv.ParseUint(f[2], 10, 32)
			if err != nil {
				return evidence.Identity{}, false
			}
			ids[f[0]] = uint32(n)
		}
	}
	return evidence.Identity{UID: ids["Uid:"], GID: ids["Gid:"]}, len(ids) == 2
}

// runningPID is the id of the container's first process, if there is one now.
func (c *Container) runningPID() (int, bool) {
	raw, err := os.ReadFile(c.pidFile())
	if err != nil {
		return 0, false
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	return pid, err == nil && descendsFrom(pid, c.guard.pid())
}

// Usage is what the command and its descendants have now. Without a cgroup of
// its own there is no telling how much memory it takes.
func (c *Command) Usage() map[evidence.ResourceKind]uint64 {
	pids := descendants(c.guard.pid(), skipNone)
	return map[evidence.ResourceKind]uint64{evidence.Pids: tasksOf(pids), evidence.Files: highestFile(pids)}
}

// tasksOf is how many threads processes have.
func tasksOf(pids []int) uint64 {
	tasks := 0
	for _, pid := range pids {
		p, _ := readProc(pid)
		tasks += p.threads
	}
	return uint64(tasks)
}

// cgroupsOf returns the folder of a process's cgroup by controller, "" being
// that of the unified hierarchy: cgroups(7).
func cgroupsOf(pid int) map[string]string {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return nil
	}
	out := map[string]string{}
	for line := range strings.Lines(string(raw)) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) != 3 {
			continue
		}
		for controller := range strings.SplitSeq(f[1], ",") {
			top := filepath.Join("/sys/fs/cgroup", controller)
			if controller == "" && hybrid() {
				top = unifiedMount
			}
			out[controller] = filepath.Join(top, f[2])
		}
	}
	return out
}

// firstNumber is what the first of the files holds that is there, in the folder
// of the first of the controllers.
func firstNumber(groups map[string]string, controllers, files []string) (uint64, bool) {
	for _, controller := range controllers {
		for _, file := range files {
			raw, err := os.ReadFile(filepath.Join(groups[controller], file))
			if n, convErr := strconv.ParseUint(strings.TrimSpace(string(raw)), 10, 64); groups[controller] != "" && err == nil && convErr == nil {
				return n, true
			}
		}
	}
	return 0, false
}

// highestFile is the highest descriptor of any of the processes, plus one, which
// is what RLIMIT_NOFILE is held against: getrlimit(2).
func highestFile(pids []int) uint64 {
	highest := uint64(0)
	for _, pid := range pids {
		dir, err := os.Open(fmt.Sprintf("/proc/%d/fd", pid))
		if err != nil {
			continue
		}
		names, _ := dir.Readdirnames(-1)
		dir.Close()
		for _, name := range names {
			if fd, err := strconv.ParseUint(name, 10, 32); err == nil {
				highest = max(highest, fd+1)
			}
		}
	}
	return highest
}

// sharedFiles is how many bytes the files in a container's /dev/shm take.
func sharedFiles(pid int) uint64 {
	var fs unix.Statfs_t
	if unix.Statfs(fmt.Sprintf("/proc/%d/root/dev/shm", pid), &fs) != nil || fs.Type != unix.TMPFS_MAGIC {
		return 0
	}
	return (fs.Blocks - fs.Bfree) * uint64(fs.Bsize)
}

// sharedSegments is how many bytes the System V segments take that are in a
// container's IPC namespace.
func (c *Container) sharedSegments(pid int) uint64 {
	ns, err := namespaceBelow(c.guard.pid(), pid, "ipc")
	if err != nil {
		return 0
	}
	defer ns.Close()
	total := uint64(0)
	onThread(func() error {
		if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWIPC); err != nil {
			return err
		}
		raw, err := os.ReadFile("/proc/sysvipc/shm")
		for _, line := range slices.Collect(strings.Lines(string(raw))) {
			if f := strings.Fields(line); len(f) > 3 {
				n, _ := strconv.ParseUint(f[3], 10, 64) // the first line has words
				total += n
			}
		}
		return err
	})
	return total
}
