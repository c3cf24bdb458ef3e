package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/profgen/profgen/internal/host"
)

// Mechanisms tries what runs workloads: runtimes, engines, and what confines
// them.
func Mechanisms(ctx context.Context) []host.Mechanism {
	var out []host.Mechanism
	for _, name := range known {
		rt, err := FindRuntime(ctx, name)
		out = append(out, host.Tried("OCI runtime "+name, err, rt.Version, "apt-get install "+name+", or record with another"))
	}
	for _, name := range Engines() {
		out = append(out, engineMechanism(ctx, name))
	}
	out = append(out, composeMechanism(ctx), containerdMechanism(), watchMechanism(ctx))
	return append(append(out, cgroupMechanism(), usernsMechanism(ctx)), rootless()...)
}

func engineMechanism(ctx context.Context, name string) host.Mechanism {
	e, err := FindEngine(name)
	version := ""
	if err == nil {
		version, err = e.Version(ctx)
	}
	return host.Tried("engine "+name, err, version, "install and start it, or name its daemon as it wants it (DOCKER_HOST); --image needs no engine")
}

func composeMechanism(ctx context.Context) host.Mechanism {
	e, err := FindEngine("docker")
	var command []string
	if err == nil {
		command, err = composeCommand(ctx, e)
	}
	return host.Tried("docker compose", err, strings.Join(command, " "), "install docker-compose; only --compose wants it")
}

func containerdMechanism() host.Mechanism {
	for _, dir := range containerdStates {
		if _, err := os.Stat(dir); err == nil {
			return host.Mechanism{Name: "containerd", State: host.Usable, Detail: dir}
		}
	}
	return host.Mechanism{
		Name: "containerd", State: host.Unusable, Detail: "no state of it in " + strings.Join(containerdStates, ", "),
		Do: "nothing, unless it runs with another state folder: then use --pid",
	}
}

// watchMechanism tries to hold the exec of a program of nobody's.
func watchMechanism(ctx context.Context) host.Mechanism {
	name := "fanotify permission events (--engine)"
	file, err := os.CreateTemp("", "profgen-")
	if err != nil {
		return host.Mechanism{Name: name, State: host.Unknown, Detail: err.Error()}
	}
	defer os.Remove(file.Name())
	file.WriteString("#!/bin/sh\n")
	file.Chmod(0o700)
	file.Close()
	held := make(chan struct{}, 8)
	w, err := watchExecs([]string{file.Name()}, func(int) { held <- struct{}{} })
	if err == nil {
		// By a shell: a process that waits for its own child to exec cannot let it.
		err = exec.CommandContext(ctx, "/bin/sh", "-c", `"$0"; exit 0`, file.Name()).Run()
		w.close()
		if err == nil && len(held) == 0 {
			err = errors.New("the kernel did not say that a program was started")
		}
	}
	return host.Tried(name, err, "", "run as root, on a kernel with CONFIG_FANOTIFY_ACCESS_PERMISSIONS; --container and the hook do without")
}

func cgroupMechanism() host.Mechanism {
	m := host.Mechanism{Name: "cgroups", State: host.Usable}
	var fs unix.Statfs_t
	switch err := unix.Statfs("/sys/fs/cgroup", &fs); {
	case err != nil:
		m.State, m.Detail, m.Do = host.Unknown, err.Error(), "mount /sys/fs/cgroup"
	case fs.Type == unix.CGROUP2_SUPER_MAGIC:
		m.Detail = "version 2"
	default:
		m.Detail = "version 1"
		if unix.Statfs("/sys/fs/cgroup/unified", &fs) == nil && fs.Type == unix.CGROUP2_SUPER_MAGIC {
			m.Detail = "version 1 with 2 beside it (hybrid); profgen hides that from crun, podman needs help"
		}
	}
	return m
}

// usernsMechanism makes a user namespace.
func usernsMechanism(ctx context.Context) host.Mechanism {
	cmd := exec.CommandContext(ctx, "/bin/true")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	limit, _ := os.ReadFile("/proc/sys/user/max_user_namespaces") // absent in kernels without
	return host.Tried("user namespaces", cmd.Run(), "at most "+strings.TrimSpace(string(limit)),
		"see user.max_user_namespaces, kernel.unprivileged_userns_clone and kernel.apparmor_restrict_unprivileged_userns")
}

// rootless is what engines and profgen want to run containers of an ordinary
// user's.
func rootless() []host.Mechanism {
	var out []host.Mechanism
	for _, name := range []string{"newuidmap", "newgidmap"} {
		path, err := exec.LookPath(name)
		out = append(out, host.Tried("rootless: "+name, err, path, "apt-get install uidmap"))
	}
	for _, name := range []string{"/etc/subuid", "/etc/subgid"} {
		ids, err := subordinate(name)
		out = append(out, host.Tried("rootless: "+filepath.Base(name), err, ids, "usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER"))
	}
	return out
}

// subordinate returns the ids that a file such as /etc/subuid gives this user:
// subuid(5).
func subordinate(name string) (string, error) {
	raw, err := os.ReadFile(name)
	if err != nil {
		return "", err
	}
	ids := []string{strconv.Itoa(os.Getuid())}
	if u, err := user.Current(); err == nil {
		ids = append(ids, u.Username)
	}
	for line := range strings.Lines(string(raw)) {
		for _, id := range ids {
			if rest, ok := strings.CutPrefix(strings.TrimSpace(line), id+":"); ok {
				return "from " + strings.Replace(rest, ":", ", ", 1), nil
			}
		}
	}
	return "", fmt.Errorf("%s gives %s no ids", name, ids[len(ids)-1])
}
