package sandbox

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/profgen/profgen/internal/image"
	"github.com/profgen/profgen/internal/sandbox/rootfs"
)

// Container is a container that an OCI runtime runs. It is a target that can
// be recorded.
type Container struct {
	// Image is what it is made from. Exactly one of Image and Bundle is set.
	Image *image.Image
	// Root is the image unpacked already, which the container gets a view of that
	// is its own to change; nil unpacks the image for this container alone.
	Root *Root
	// Bundle is the folder of a ready OCI bundle. Its file system is used as it
	// is; of its configuration only what Confinement has is replaced.
	Bundle string

	Args        []string // instead of the image's CMD
	Runtime     Runtime
	Confinement Confinement
	HostNetwork bool                 // share the host's network namespace instead of an empty one of its own
	Ports       []Port               // published on the host's loopback interface
	Published   func(Port, net.Addr) // if not nil, told where each port is published
	Limits      rootfs.Limits
	StopSignal  string // a name or a number; "" is the image's own, or SIGTERM
	Stdio       Stdio
	// Listener is as [Command] has it: the runtime's own calls are notified too,
	// from its first exec on.
	Listener string

	guard *guard
	dir   string // private folder, removed by the guard
	id    string

	hybridHidden bool // the runtime does not see the second cgroup hierarchy
}

// Start unpacks the image, or reads the bundle, and starts the container.
// Before its runtime is started, follow is called with the id of the process
// whose child the runtime will be.
func (c *Container) Start(ctx context.Context, follow func(pid int) error) error {
	if os.Geteuid() != 0 {
		return errors.New("run a container: needs root, to unpack the image's owners and to make namespaces; use sudo")
	}
	g, err := startGuard(c.Stdio, syscall.CLONE_NEWNS)
	if err != nil {
		return err
	}
	c.guard = g
	listeners, err := c.listen()
	if err == nil {
		err = c.begin(ctx, follow)
	}
	if err != nil {
		closeAll(listeners)
		return g.giveUp(err)
	}
	c.serve(listeners)
	return nil
}

// begin makes the bundle and starts the container.
func (c *Container) begin(ctx context.Context, follow func(pid int) error) error {
	if err := c.prepare(ctx); err != nil {
		return err
	}
	if err := follow(c.guard.pid()); err != nil {
		return err
	}
	run := c.command("run", "--bundle", filepath.Join(c.dir, "bundle"), "--pid-file", c.pidFile(), c.id)
	return c.guard.start(ctx, order{Start: run, Listener: c.Listener})
}

// Wait waits until the container has ended and returns the exit code of its
// first process, as a shell has it.
func (c *Container) Wait() (int, error) { return c.guard.wait() }

// Stop ends the container as docker stop does: with its stop signal, then by
// force. It does not wait.
func (c *Container) Stop() { c.guard.stop("TERM", c.ask) }

// ask sends the container's first process the stop signal, through the runtime.
// Before that is the image's own program there is nobody to ask: what runs then
// is the runtime, and a signal would be lost or would break it.
func (c *Container) ask(ctx context.Context) error {
	if _, err := c.InitPID(ctx); err != nil {
		return err
	}
	for c.starting(ctx) {
		if err := c.pause(ctx); err != nil {
			return err
		}
	}
	out, err := brief{argv: c.command("kill", c.id, signalName(c.StopSignal))}.run(ctx)
	if err != nil {
		return fmt.Errorf("%s kill: %w: %.200s", c.Runtime.Name, err, bytes.TrimSpace(out))
	}
	return nil
}

// starting reports whether the runtime says that it has yet to start the
// image's program.
func (c *Container) starting(ctx context.Context) bool {
	out, err := brief{argv: c.command("state", c.id)}.run(ctx)
	var state specs.State
	return err == nil && json.Unmarshal(out, &state) == nil &&
		(state.Status == specs.StateCreating || state.Status == specs.StateCreated)
}

// pause waits a little, for something that the container will do.
func (c *Container) pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-c.guard.ended:
		return errEnded
	case <-time.After(10 * time.Millisecond):
		return nil
	}
}

func (c *Container) command(args ...string) []string {
	global := []string{c.Runtime.Path, "--root", filepath.Join(c.dir, "state")}
	if c.Runtime.Name == "crun" && OwnUserNS() {
		global = append(global, "--cgroup-manager=disabled") // cgroups are root's
	}
	return append(global, args...)
}

func (c *Container) pidFile() string { return filepath.Join(c.dir, "pid") }

// prepare makes the bundle in the private folder.
func (c *Container) prepare(ctx context.Context) error {
	dir, err := c.guard.privateDir()
	if err != nil {
		return err
	}
	c.dir, c.id = dir, filepath.Base(dir)
	if err := os.Mkdir(filepath.Join(dir, "bundle"), 0o700); err != nil {
		return fmt.Errorf("make bundle: %w", err)
	}
	var spec *specs.Spec
	if c.Image != nil {
		spec, err = c.fromImage(ctx)
	} else {
		spec, err = c.fromBundle()
	}
	if err != nil {
		return err
	}
	if err := c.Confinement.Bounds.apply(spec); err != nil {
		return err
	}
	config, err := json.Marshal(spec)
	if err != nil {
		return fmt.Errorf("write config.json: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "bundle", "config.json"), config, 0o600); err != nil {
		return fmt.Errorf("write config.json: %w", err)
	}
	for _, o := range []order{{Cleanup: c.command("delete", "--force", c.id)}, {Cgroup: c.id}} {
		if err := c.guard.order(o); err != nil {
			return err
		}
	}
	return c.hideHybridCgroups()
}

// hideHybridCgroups takes the second cgroup hierarchy of a hybrid host away
// from crun, which refuses to run beside it.
func (c *Container) hideHybridCgroups() error {
	if c.Runtime.Name != "crun" || !hybrid() {
		return nil
	}
	c.hybridHidden = true
	return c.guard.order(order{Unmount: unifiedMount})
}

func (c *Container) fromImage(ctx context.Context) (*specs.Spec, error) {
	root, err := c.unpack(ctx)
	if err != nil {
		return nil, err
	}
	users := root // an overlay is mounted later, and elsewhere
	if c.Root != nil {
		users = c.Root.dir
	}
	files, err := c.hostFiles()
	if err != nil {
		return nil, err
	}
	volumes, err := volumeMounts(users, root, c.Image.Config().Volumes)
	if err != nil {
		return nil, err
	}
	return c.specOf(root, users, append(files, volumes...))
}

// specOf is the configuration of a container whose root file system is in the
// folder root, with the names of users that are in the folder users.
func (c *Container) specOf(root, users string, files []specs.Mount) (*specs.Spec, error) {
	cfg := c.Image.Config()
	if c.StopSignal == "" {
		c.StopSignal = cfg.StopSignal
	}
	p := process{argv: cfg.Command(c.Args...)}
	if len(p.argv) == 0 {
		return nil, fmt.Errorf("image %s names no program to run: give one after --", c.Image.Reference())
	}
	var err error
	if p.uid, p.gid, p.groups, err = rootfs.User(users, cfg.User); err != nil {
		return nil, err
	}
	return newSpec(cfg, p, root, c.Confinement, c.HostNetwork, files), nil
}

// Config is the runtime configuration that a container of an unpacked image is
// started with, whose root file system is in the folder rootfs beside it.
func (c *Container) Config() (*specs.Spec, error) {
	volumes, err := volumeMounts(c.Root.dir, "rootfs", c.Image.Config().Volumes)
	if err != nil {
		return nil, err
	}
	spec, err := c.specOf("rootfs", c.Root.dir, volumes)
	if err != nil {
		return nil, err
	}
	return spec, c.Confinement.Bounds.apply(spec)
}

// unpack returns the folder of the container's root file system.
func (c *Container) unpack(ctx context.Context) (string, error) {
	if c.Root == nil {
		dir := filepath.Join(c.dir, "rootfs")
		if err := os.Mkdir(dir, 0o755); err != nil {
			return "", fmt.Errorf("make root file system: %w", err)
		}
		if err := rootfs.Unpack(ctx, c.Image, dir, c.Limits); err != nil {
			return "", interrupted(ctx, "unpack image", err)
		}
		return dir, makeVolumes(dir, c.Image.Config().Volumes)
	}
	o := overlay{
		Lower: c.Root.dir, Upper: filepath.Join(c.dir, "upper"),
		Work: filepath.Join(c.dir, "work"), Target: filepath.Join(c.dir, "rootfs"),
	}
	for _, dir := range []string{o.Upper, o.Work, o.Target} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return "", fmt.Errorf("make root file system: %w", err)
		}
	}
	if b := c.Confinement.Bounds; b != nil && b.OwnVolumes && b.User != "" {
		if err := ownVolumes(o, c.Image.Config().Volumes, b.User); err != nil {
			return "", err
		}
	}
	return o.Target, c.guard.order(order{Overlay: &o})
}

// hostFiles are the files under /etc that every engine gives a container.
func (c *Container) hostFiles() ([]specs.Mount, error) {
	content := map[string]string{
		"hostname": "profgen\n",
		"hosts":    "127.0.0.1\tlocalhost profgen\n::1\tlocalhost ip6-localhost ip6-loopback\n",
	}
	var out []specs.Mount
	for _, name := range []string{"hostname", "hosts"} {
		file := filepath.Join(c.dir, name)
		if err := os.WriteFile(file, []byte(content[name]), 0o644); err != nil {
			return nil, fmt.Errorf("write /etc/%s: %w", name, err)
		}
		out = append(out, bind(file, "/etc/"+name))
	}
	if _, err := os.Stat("/etc/resolv.conf"); err == nil && c.HostNetwork {
		out = append(out, bind("/etc/resolv.conf", "/etc/resolv.conf"))
	}
	return out, nil
}

func bind(source, destination string) specs.Mount {
	return specs.Mount{Destination: destination, Type: "bind", Source: source, Options: []string{"rbind", "ro", "rprivate"}}
}

// fromBundle is the bundle's own configuration, confined as asked.
func (c *Container) fromBundle() (*specs.Spec, error) {
	spec, err := readBundle(c.Bundle)
	if err != nil {
		return nil, err
	}
	base, err := filepath.Abs(c.Bundle)
	if err != nil {
		return nil, fmt.Errorf("open bundle: %w", err)
	}
	if !filepath.IsAbs(spec.Root.Path) {
		spec.Root.Path = filepath.Join(base, spec.Root.Path)
	}
	for i, m := range spec.Mounts {
		if m.Type == "bind" && !filepath.IsAbs(m.Source) {
			spec.Mounts[i].Source = filepath.Join(base, m.Source)
		}
	}
	if spec.Linux == nil {
		spec.Linux = &specs.Linux{}
	}
	if len(c.Args) > 0 {
		spec.Process.Args = c.Args
	}
	spec.Linux.Seccomp = c.Confinement.Seccomp
	spec.Process.Capabilities = c.Confinement.narrow(spec.Process.User.UID, spec.Process.Capabilities)
	spec.Process.ApparmorProfile = cmp.Or(c.Confinement.AppArmor, spec.Process.ApparmorProfile)
	spec.Process.NoNewPrivileges = true
	if _, err := unix.IoctlGetTermios(int(os.Stdin.Fd()), unix.TCGETS); err != nil {
		spec.Process.Terminal = false // there is none to give it
	}
	return spec, nil
}

func readBundle(dir string) (*specs.Spec, error) {
	name := filepath.Join(dir, "config.json")
	raw, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("open bundle: %w; an OCI bundle is a folder with a config.json", err)
	}
	var spec specs.Spec
	if err := json.Unmarshal(raw, &spec); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if spec.Root == nil || spec.Process == nil || len(spec.Process.Args) == 0 {
		return nil, fmt.Errorf("read %s: it has no root or no process", name)
	}
	return &spec, nil
}

// BundleProcess tells what the OCI bundle in folder dir starts, and as which
// user and group.
func BundleProcess(dir string) (argv []string, user string, err error) {
	spec, err := readBundle(dir)
	if err != nil {
		return nil, "", err
	}
	u := spec.Process.User
	return spec.Process.Args, fmt.Sprintf("%d:%d", u.UID, u.GID), nil
}

// InitPID waits until the container's first process exists and returns its
// id on the host.
func (c *Container) InitPID(ctx context.Context) (int, error) {
	for {
		raw, err := os.ReadFile(c.pidFile())
		if pid, convErr := strconv.Atoi(strings.TrimSpace(string(raw))); err == nil && convErr == nil {
			return pid, nil
		}
		if err := c.pause(ctx); err != nil {
			return 0, fmt.Errorf("wait for the container: %w", err)
		}
	}
}

func signalName(s string) string {
	if s == "" {
		return "SIGTERM"
	}
	return s
}
