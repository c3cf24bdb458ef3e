package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Engine is a container engine, by its command-line client on this host: docker
// or podman. Where its daemon is, and as whom to ask it, the client knows, from
// DOCKER_HOST and its own configuration.
type Engine struct {
	Name string
	path string
}

// Engines are the names that FindEngine knows.
func Engines() []string { return []string{"docker", "podman"} }

// FindEngine finds the client of the engine with that name.
func FindEngine(name string) (Engine, error) {
	if !slices.Contains(Engines(), name) {
		return Engine{}, fmt.Errorf("engine %q: want %s", name, strings.Join(Engines(), " or "))
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return Engine{}, fmt.Errorf("engine %s: its command-line client %q is not in PATH; install it, or use --image", name, name)
	}
	return Engine{Name: name, path: path}, nil
}

// askPatience is how long an engine may take to answer a question.
const askPatience = 30 * time.Second

// ask runs the client and returns what it printed.
func (e Engine) ask(ctx context.Context, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, e.path, args...)
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &stdout, &stderr, time.Second
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s %s: %w: %.300s", e.Name, args[0], err, bytes.TrimSpace(stderr.Bytes()))
	}
	return stdout.Bytes(), nil
}

// Version asks the engine, not its client, for its name and version.
func (e Engine) Version(ctx context.Context) (string, error) {
	format := "{{.Server.Version}}"
	if e.Name == "podman" {
		format = "{{.Client.Version}}" // which is the engine itself, unless it is remote
	}
	out, err := e.ask(ctx, "version", "--format", format)
	if err != nil {
		return "", err
	}
	return e.Name + " " + strings.TrimSpace(string(out)), nil
}

// Description is what an engine says that a container is.
type Description struct {
	PID          int    // of its first process, as this host sees it; 0 if it does not run
	ID           string // the engine's name for it
	Image        string // the reference that it was made from
	Digest       string // of the image's manifest, if the engine knows it
	ConfigDigest string
	User         string // uid:gid, or as the image or the user has it
	Argv         []string
	Engine       string // its name and version
	// Of the runtime configuration, where that was read.
	Annotations     map[string]string
	Filtered        bool // it has a seccomp filter
	NoNewPrivileges bool
}

// ErrNoContainer says that an engine has no such container.
var ErrNoContainer = errors.New("no such container")

// inspected is the part of `docker inspect` and `podman inspect` that says what
// a container is.
type inspected struct {
	ID    string `json:"Id"`
	Image string // docker: the config digest, with its algorithm; podman: without
	Name  string
	Path  string
	Args  []string
	State struct {
		Pid     int
		Running bool
	}
	Config struct {
		Image string
		User  string
	}
	ImageName string // podman
}

// Container describes the container that the user calls ref: its name, or the
// beginning of its id.
func (e Engine) Container(ctx context.Context, ref string) (Description, error) {
	if strings.HasPrefix(ref, "-") {
		return Description{}, fmt.Errorf("container %q: %w", ref, ErrNoContainer)
	}
	out, err := e.ask(ctx, "container", "inspect", ref)
	if err != nil {
		if strings.Contains(strings.ToLower(err.Error()), "no such container") {
			err = fmt.Errorf("container %s: %s has %w", ref, e.Name, ErrNoContainer)
		}
		return Description{}, err
	}
	var all []inspected
	if err := json.Unmarshal(out, &all); err != nil || len(all) != 1 {
		return Description{}, fmt.Errorf("container %s: %s inspect does not answer with one container (%v)", ref, e.Name, err)
	}
	c := all[0]
	d := Description{ID: c.ID, PID: c.State.Pid, User: c.Config.User, Argv: append([]string{c.Path}, c.Args...)}
	d.Image = c.Config.Image
	if c.ImageName != "" {
		d.Image = c.ImageName
	}
	d.ConfigDigest = digest(c.Image)
	e.aboutImage(ctx, c.Image, &d)
	d.Engine, err = e.Version(ctx)
	return d, err
}

// digest spells an image id as Docker does; podman leaves the algorithm out.
func digest(id string) string {
	if len(id) == 64 {
		return "sha256:" + id
	}
	return id
}

// aboutImage adds what the engine knows of an image: the digest of its manifest,
// which it has only if it came from a registry or podman made one.
func (e Engine) aboutImage(ctx context.Context, image string, d *Description) {
	out, err := e.ask(ctx, "image", "inspect", image)
	var all []struct {
		ID          string `json:"Id"`
		RepoDigests []string
	}
	if err != nil || json.Unmarshal(out, &all) != nil || len(all) != 1 {
		return
	}
	d.ConfigDigest = digest(all[0].ID)
	if len(all[0].RepoDigests) > 0 {
		_, d.Digest, _ = strings.Cut(all[0].RepoDigests[0], "@")
	}
}

// FindContainer describes the running container that the user calls ref, of the
// engine of that name: docker, podman or containerd; "" asks one after the other.
func FindContainer(ctx context.Context, engine, ref string) (Description, error) {
	names := append(Engines(), "containerd")
	if engine != "" {
		names = []string{engine}
	}
	var asked []error
	for _, name := range names {
		d, err := describe(ctx, name, ref)
		switch {
		case err == nil && d.PID == 0:
			return Description{}, fmt.Errorf("container %s: it does not run; start it first, or record a new one with --engine %s", ref, name)
		case err == nil:
			return d, nil
		}
		asked = append(asked, err)
	}
	return Description{}, fmt.Errorf("container %s: not found: %w", ref, errors.Join(asked...))
}

func describe(ctx context.Context, engine, ref string) (Description, error) {
	if engine == "containerd" {
		return containerd(containerdStates, ref)
	}
	e, err := FindEngine(engine)
	if err != nil {
		return Description{}, err
	}
	return e.Container(ctx, ref)
}

// containerdStates are where containerd keeps the bundles of its tasks, one
// folder a namespace: of its own service, of k3s, and of dockerd's private one.
var containerdStates = []string{
	"/run/containerd/io.containerd.runtime.v2.task",
	"/run/k3s/containerd/io.containerd.runtime.v2.task",
	"/run/docker/containerd/daemon/io.containerd.runtime.v2.task",
}

// containerd describes a running container of containerd by its bundle, whose
// folder has the container's id for a name. ref is the id or its beginning, with
// or without a namespace before it: k8s.io/4f2a….
func containerd(states []string, ref string) (Description, error) {
	namespace, id, ok := strings.Cut(ref, "/")
	if !ok {
		namespace, id = "*", ref
	}
	if strings.ContainsAny(id, `*?[\/`) || id == "" {
		return Description{}, fmt.Errorf("container %q: %w of containerd", ref, ErrNoContainer)
	}
	var found []string
	for _, state := range states {
		some, _ := filepath.Glob(filepath.Join(state, namespace, id+"*")) // fails for a bad pattern only
		found = append(found, some...)
	}
	if exact := slices.IndexFunc(found, func(dir string) bool { return filepath.Base(dir) == id }); exact >= 0 {
		found = found[exact : exact+1]
	}
	switch len(found) {
	case 0:
		return Description{}, fmt.Errorf("container %s: containerd has %w", ref, ErrNoContainer)
	case 1:
		return taskIn(found[0])
	}
	return Description{}, fmt.Errorf("container %s: containerd has %d whose id begins so; write more of it", ref, len(found))
}

// taskIn describes a running container by its bundle in containerd's state.
func taskIn(dir string) (Description, error) {
	spec, err := readBundle(dir)
	if err != nil {
		return Description{}, err
	}
	d := specDescription(spec)
	d.ID, d.Engine = filepath.Base(dir), "containerd"
	raw, err := os.ReadFile(filepath.Join(dir, "init.pid"))
	if err == nil {
		_, err = fmt.Sscan(string(raw), &d.PID)
	}
	if err != nil {
		return Description{}, fmt.Errorf("container %s: read its init.pid: %w", d.ID, err)
	}
	return d, nil
}

// imageAnnotations are where engines that follow Kubernetes' container runtime
// interface write down the image.
var imageAnnotations = []string{"io.kubernetes.cri.image-name", "io.kubernetes.cri-o.ImageName", "org.opencontainers.image.ref.name"}

// BundleDescription describes the container of an OCI bundle, and, if podman made
// it, its image.
func BundleDescription(dir string) (Description, error) {
	spec, err := readBundle(dir)
	if err != nil {
		return Description{}, err
	}
	d := specDescription(spec)
	aboutStored(dir, &d)
	return d, nil
}

// specDescription is what a runtime configuration says of its container.
func specDescription(spec *specs.Spec) Description {
	d := Description{Argv: spec.Process.Args, Annotations: spec.Annotations, NoNewPrivileges: spec.Process.NoNewPrivileges}
	d.Filtered = spec.Linux != nil && spec.Linux.Seccomp != nil
	if u := spec.Process.User; u.UID != 0 || u.GID != 0 {
		d.User = fmt.Sprintf("%d:%d", u.UID, u.GID)
	}
	for _, name := range imageAnnotations {
		if d.Image == "" {
			d.Image = spec.Annotations[name]
		}
	}
	return d
}
