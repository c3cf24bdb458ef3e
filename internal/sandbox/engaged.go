package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Engaged is a new container that an engine makes as the user told it to. It is
// a target that can be recorded, from its creation: what is about to become its
// OCI runtime is held until it is followed.
//
// It is told apart from all others by its seccomp filter, in which there is a
// mark that is in its runtime configuration then.
// When the recording ends, the container is removed, whatever the user's
// arguments say, with its anonymous volumes.
type Engaged struct {
	Engine Engine
	// Run are the user's own arguments: "run", then options, image and command.
	Run []string
	// Compose, if not nil, is the service of a Compose file that is run instead.
	Compose *Compose
	// Seccomp is the filter that the container starts under.
	Seccomp *specs.LinuxSeccomp
	Stdio   Stdio

	guard *guard
	watch *execWatch
	mark  uint64

	mu      sync.Mutex
	about   Description
	matched bool  // its runtime was seen
	failed  error // the first reason why it could not be followed
	asking  sync.WaitGroup
}

// Compose is a service of a Compose file.
type Compose struct{ File, Service string }

// composeCommand finds Docker Compose: the plugin of the client, or the program of
// old.
func composeCommand(ctx context.Context, e Engine) ([]string, error) {
	if e.Name != "docker" {
		return nil, fmt.Errorf("compose with %s: want --engine docker", e.Name)
	}
	if _, err := e.ask(ctx, "compose", "version"); err == nil {
		return []string{e.path, "compose"}, nil
	}
	path, err := exec.LookPath("docker-compose")
	if err != nil {
		return nil, errors.New("docker compose: neither the plugin nor docker-compose is installed")
	}
	return []string{path}, nil
}

// markLabel is the label by which the engine finds the container again.
const markLabel = "io.profgen.recording"

// markArg is the argument, of six, that the filter's mark is a condition on.
const markArg = 5

// marked returns the filter with a rule added that changes nothing: it answers as
// the filter does by default, and runtimes leave such rules out.
func marked(filter specs.LinuxSeccomp, mark uint64) specs.LinuxSeccomp {
	filter.Syscalls = append(slices.Clone(filter.Syscalls), specs.LinuxSyscall{
		Names: []string{"getpid"}, Action: filter.DefaultAction, ErrnoRet: filter.DefaultErrnoRet,
		Args: []specs.LinuxSeccompArg{{Index: markArg, Value: mark, Op: specs.OpEqualTo}},
	})
	return filter
}

// isMarked reports whether a container has the filter with that mark.
func isMarked(spec *specs.Spec, mark uint64) bool {
	if spec.Linux == nil || spec.Linux.Seccomp == nil {
		return false
	}
	return slices.ContainsFunc(spec.Linux.Seccomp.Syscalls, func(s specs.LinuxSyscall) bool {
		return len(s.Args) == 1 && s.Args[0].Index == markArg && s.Args[0].Value == mark
	})
}

// Start has the engine run the container. It does not wait until there is one:
// the image may have to be pulled first. follow is called, with the ids of what
// will fork the container's processes, when the engine comes to start it, and
// again when it execs into it.
func (e *Engaged) Start(ctx context.Context, follow func(pid int) error) error {
	g, err := startGuard(e.Stdio, 0)
	if err != nil {
		return err
	}
	g.grace = engineGrace
	e.guard, e.mark = g, rand.Uint64N(1<<53) // what every JSON reader keeps exactly
	if err := e.begin(ctx, follow); err != nil {
		if e.watch != nil {
			e.watch.close()
		}
		return g.giveUp(err)
	}
	go e.mind()
	return nil
}

// engineGrace is how long the engine may take to stop the container: its own
// patience, which is the container's to set, and then some.
const engineGrace = 45 * time.Second

func (e *Engaged) begin(ctx context.Context, follow func(pid int) error) error {
	dir, err := e.guard.privateDir()
	if err != nil {
		return err
	}
	command, err := e.command(ctx, dir)
	if err != nil {
		return err
	}
	for _, c := range e.cleanup(command) {
		if err := e.guard.order(order{Cleanup: c}); err != nil {
			return err
		}
	}
	e.watch, err = watchExecs(e.runtimes(ctx), func(pid int) { e.held(pid, follow) })
	if err != nil {
		return err
	}
	argv := append([]string{"/bin/sh", "-c", untilGone, e.Engine.path, e.label()}, command...)
	return e.guard.start(ctx, order{Start: argv})
}

// engineDown has a client asked again while its engine does not answer: it may be
// restarted in the middle of a recording.
const engineDown = `ask() {
	tries=0
	until "$client" ps --no-trunc --quiet --filter "label=$label" "$@" 2>/dev/null; do
		tries=$((tries + 1))
		[ "$tries" -lt 120 ] || return 1
		sleep 0.5
	done
}
`

// untilGone runs a command and then, should the container run on by itself,
// waits for its end; it exits as the container did.
const untilGone = engineDown + `trap : INT TERM HUP
client=$0 label=$1; shift
"$@"; code=$?
for id in $(ask); do
	waited=$("$client" wait "$id") && code=$waited
done
exit "$code"`

// gone removes what has the label, running or not.
const gone = engineDown + `client=$0 label=$1
ask --all | xargs -r "$client" rm --force --volumes`

func (e *Engaged) label() string { return fmt.Sprintf("%s=%d", markLabel, e.mark) }

// command is the user's own with the filter and the label added; the container
// is kept from new privileges as it will be under its profile.
func (e *Engaged) command(ctx context.Context, dir string) ([]string, error) {
	filter := filepath.Join(dir, "seccomp.json")
	raw, err := json.Marshal(marked(*e.Seccomp, e.mark))
	if err == nil {
		err = os.WriteFile(filter, raw, 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("write the filter to run it under: %w", err)
	}
	if e.Compose == nil {
		return append([]string{e.Engine.path, e.Run[0], "--label", e.label(),
			"--security-opt", "seccomp=" + filter, "--security-opt", "no-new-privileges"}, e.Run[1:]...), nil
	}
	compose, err := composeCommand(ctx, e.Engine)
	if err != nil {
		return nil, err
	}
	// A Compose file is YAML, and JSON is that.
	override, err := json.Marshal(map[string]any{"services": map[string]any{e.Compose.Service: map[string]any{
		"security_opt": []string{"seccomp:" + filter, "no-new-privileges:true"},
		"labels":       map[string]string{markLabel: strconv.FormatUint(e.mark, 10)},
	}}})
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "override.json"), override, 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("write the Compose file to add: %w", err)
	}
	argv := append(compose, "--project-name", e.project(), "--file", e.Compose.File,
		"--file", filepath.Join(dir, "override.json"), "run", "--service-ports", "--use-aliases")
	if _, err := unix.IoctlGetTermios(int(os.Stdin.Fd()), unix.TCGETS); err != nil {
		argv = append(argv, "-T") // no terminal to give it
	}
	return append(argv, e.Compose.Service), nil
}

// project is the name under which Compose runs the service: a project of the
// recording's own, beside whatever runs of the same file.
func (e *Engaged) project() string { return fmt.Sprintf("profgen%d", e.mark) }

// cleanup is what removes the container, and with Compose what it depends on.
func (e *Engaged) cleanup(command []string) [][]string {
	out := [][]string{{"/bin/sh", "-c", gone, e.Engine.path, e.label()}}
	if e.Compose != nil {
		at := slices.Index(command, "run")
		out = append(out, append(slices.Clone(command[:at]), "down", "--volumes", "--remove-orphans", "--timeout", "2"))
	}
	return out
}

// runtimes are the programs that the engine may start as OCI runtime.
func (e *Engaged) runtimes(ctx context.Context) []string {
	names := append([]string{"youki", "runsc", "kata-runtime", "docker-runc"}, known...)
	format := "{{range .Runtimes}}{{println .Path}}{{end}}"
	if e.Engine.Name == "podman" {
		format = "{{.Host.OCIRuntime.Path}}"
	}
	if out, err := e.Engine.ask(ctx, "info", "--format", format); err == nil {
		names = append(names, strings.Fields(string(out))...)
	}
	for i, arg := range e.Run {
		if arg == "--runtime" && i+1 < len(e.Run) {
			names = append(names, e.Run[i+1])
		} else if name, ok := strings.CutPrefix(arg, "--runtime="); ok {
			names = append(names, name)
		}
	}
	folders := filepath.SplitList(os.Getenv("PATH") + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
	var out []string
	for _, name := range names {
		if filepath.IsAbs(name) {
			out = append(out, name)
			continue
		}
		for _, folder := range folders {
			if path := filepath.Join(folder, name); filepath.IsAbs(path) && filepath.Base(path) == name {
				out = append(out, path)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// held looks at a process that is about to become an OCI runtime. If it is for
// the container, it and its parent, which will exec into the container too
// (containerd-shim; conmon), are followed.
func (e *Engaged) held(pid int, follow func(pid int) error) {
	bundle, spec := bundleOf(pid)
	if spec == nil || !isMarked(spec, e.mark) {
		return
	}
	self, _ := readProc(pid)
	err := errors.Join(follow(self.parent), follow(pid))
	e.mu.Lock()
	defer e.mu.Unlock()
	first := !e.matched
	e.matched = true
	if err != nil && e.failed == nil && first {
		e.failed = fmt.Errorf("follow the container's runtime: %w", err)
	}
	if first {
		e.about = specDescription(spec)
		e.aboutCreated(bundle)
		image := e.about.ConfigDigest
		if image == "" {
			image = e.about.Image
		}
		e.asking.Go(func() { e.learnImage(image) })
	}
}

// aboutCreated adds what tells the image of a container that is being started.
// The engine has locked it, so nothing is asked that would wait for it: docker
// lists its containers without, and podman writes down what it has.
func (e *Engaged) aboutCreated(bundle string) {
	if e.Engine.Name == "podman" {
		aboutStored(bundle, &e.about)
		return
	}
	e.about.ID = filepath.Base(bundle)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	out, err := e.Engine.ask(ctx, "ps", "--all", "--no-trunc", "--filter", "label="+e.label(), "--format", "{{.Image}}")
	if err == nil && e.about.Image == "" {
		e.about.Image = strings.TrimSpace(string(out))
	}
}

// aboutStored adds what podman's storage knows of the container with that
// bundle, if it lies in there: .../overlay-containers/ID/userdata.
func aboutStored(bundle string, d *Description) {
	id := filepath.Base(filepath.Dir(bundle))
	for _, name := range []string{"containers.json", "volatile-containers.json"} {
		storedBy(filepath.Join(bundle, "../..", name), id, d)
	}
}

func storedBy(file, id string, d *Description) {
	raw, err := os.ReadFile(file)
	var all []struct{ ID, Image, Metadata string }
	if err != nil || json.Unmarshal(raw, &all) != nil {
		return
	}
	for _, c := range all {
		var about struct {
			Name string `json:"image-name"`
		}
		if c.ID == id && json.Unmarshal([]byte(c.Metadata), &about) == nil {
			d.ID, d.Image, d.ConfigDigest = id, about.Name, digest(c.Image)
		}
	}
}

// learnImage asks for the digests of the image.
func (e *Engaged) learnImage(image string) {
	var d Description
	e.Engine.aboutImage(context.Background(), image, &d)
	e.mu.Lock()
	defer e.mu.Unlock()
	if d.ConfigDigest != "" {
		e.about.Digest, e.about.ConfigDigest = d.Digest, d.ConfigDigest
	}
}

// bundleOf finds the bundle that a process is about to hand to an OCI runtime:
// the folder that it is in (containerd-shim), or that its command line names
// (conmon). In /proc it is still the program that it was.
func bundleOf(pid int) (string, *specs.Spec) {
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	var folders []string
	if cwd, err := os.Readlink(filepath.Join(proc, "cwd")); err == nil {
		folders = append(folders, cwd)
	}
	if argv, err := Argv(pid); err == nil {
		for i, arg := range argv[:len(argv)-1] {
			if arg == "-b" || arg == "--bundle" || arg == "-bundle" {
				folders = append(folders, argv[i+1])
			}
		}
	}
	for _, folder := range folders {
		at := filepath.Join(proc, "root", folder)
		if spec, err := readBundle(at); err == nil {
			return at, spec
		}
	}
	return "", nil
}

// mind ends a container that was started without being followed: one that has
// no filter, for it is privileged or the user gave it another; or one of an
// engine elsewhere.
func (e *Engaged) mind() {
	for {
		select {
		case <-e.guard.ended:
			return
		case <-time.After(500 * time.Millisecond):
		}
		ids, err := e.running(context.Background())
		e.mu.Lock()
		if err == nil && len(ids) > 0 && !e.matched && e.failed == nil {
			e.failed = errUnfollowed
		}
		failed, matched := e.failed, e.matched
		e.mu.Unlock()
		switch {
		case failed != nil:
			e.Stop()
			return
		case matched:
			return
		}
	}
}

var errUnfollowed = errors.New("the container runs without the recording's seccomp filter: it is --privileged, or has a seccomp option of " +
	"its own, or its engine is not on this host; leave those out, or use --container once it runs")

// running returns the ids of the container, if it runs.
func (e *Engaged) running(ctx context.Context) ([]string, error) {
	out, err := e.Engine.ask(ctx, "ps", "--quiet", "--no-trunc", "--filter", "label="+e.label())
	return strings.Fields(string(out)), err
}

// Wait waits until the container has ended and returns its exit code.
func (e *Engaged) Wait() (int, error) {
	code, err := e.guard.wait()
	e.watch.close()
	e.asking.Wait()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.failed != nil {
		return code, e.failed
	}
	return code, err
}

// Stop has the engine stop the container, which sends it its own stop signal and
// waits as long as it is to be waited for. It does not wait.
func (e *Engaged) Stop() {
	e.guard.stop("KILL", func(ctx context.Context) error {
		ids, err := e.running(ctx)
		if err != nil {
			return err
		}
		if len(ids) == 0 {
			return errEnded
		}
		_, err = e.Engine.ask(ctx, append([]string{"stop"}, ids...)...)
		return err
	})
}

// Describe is what is known of the container so far: nothing before it was
// started.
func (e *Engaged) Describe() Description {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.about
}

// Shell runs a line of shell on the host's files but in the container's network
// namespace; see [Container.Shell].
func (e *Engaged) Shell(ctx context.Context, line string) ([]byte, error) {
	ids, err := e.running(ctx)
	if err != nil || len(ids) == 0 {
		return nil, fmt.Errorf("the container does not run yet (%v)", err)
	}
	out, err := e.Engine.ask(ctx, "inspect", "--format", "{{.State.Pid}}", ids[0])
	if err != nil {
		return nil, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil || pid == 0 {
		return nil, errors.New("the container does not run")
	}
	return ShellIn(ctx, pid, line)
}

// ShellIn runs a line of shell on the host's files but in the network namespace
// of process pid.
func ShellIn(ctx context.Context, pid int, line string) ([]byte, error) {
	within := func(f func() error) error {
		ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", pid))
		if err != nil {
			return fmt.Errorf("enter the container's network: %w", err)
		}
		defer ns.Close()
		return onThread(func() error {
			if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
				return fmt.Errorf("enter the container's network: %w", err)
			}
			return f()
		})
	}
	return brief{argv: shell(line), within: within}.run(ctx)
}
