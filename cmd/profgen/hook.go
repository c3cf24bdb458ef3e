package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/urfave/cli/v2"

	"github.com/profgen/profgen/internal/host"
	"github.com/profgen/profgen/internal/profiledir"
	"github.com/profgen/profgen/internal/record"
	"github.com/profgen/profgen/internal/record/ebpf"
	"github.com/profgen/profgen/internal/sandbox"
)

// hookAnnotation asks for a recording; its value names the profile directory.
const hookAnnotation = "io.profgen.record"

// hookPatience is how long the recorder may take to be ready. A container that
// is not recorded though it should be is not started.
const hookPatience = 20 * time.Second

func hookCommand() *cli.Command {
	flags := []cli.Flag{
		&cli.StringFlag{Name: "install", Usage: "write the hook into the hooks `FOLDER` of podman or CRI-O, as profgen.json"},
		&cli.BoolFlag{Name: "print", Usage: "print that file instead"},
		&cli.StringFlag{Name: "dir", Usage: "make profile directories in `FOLDER`", Value: "/var/lib/profgen"},
		&cli.BoolFlag{Name: "follow", Hidden: true},
	}
	return &cli.Command{
		Name:  "hook",
		Usage: "record containers from their creation, as an OCI hook of podman or CRI-O",
		UsageText: "profgen hook --install /etc/containers/oci/hooks.d\n" +
			"podman run --annotation " + hookAnnotation + "=NAME IMAGE",
		Description: "An OCI runtime runs the hook (stage createRuntime) for each container with the\n" +
			"annotation " + hookAnnotation + ": NAME. It records the container until that ends, into the\n" +
			"profile directory NAME in --dir, and says in hook.log there what went wrong. The\n" +
			"recording begins with the container's seccomp filter; what an engine's own filter\n" +
			"refuses is named in the evidence.",
		Flags:        append(flags, generateFlags()...),
		OnUsageError: onUsageError,
		Action:       hookAction,
	}
}

func hookAction(c *cli.Context) error {
	if c.NArg() > 0 {
		return usage("hook: takes no arguments; got %q", c.Args().First())
	}
	if c.IsSet("install") || c.Bool("print") {
		return installHook(c)
	}
	raw, state, err := readState(os.Stdin)
	if err != nil {
		return err
	}
	bundle, err := sandbox.BundleDescription(state.Bundle)
	if err != nil {
		return err
	}
	name := bundle.Annotations[hookAnnotation]
	if name == "" {
		return nil // the hook is for others
	}
	dir, err := hookDir(c.String("dir"), name)
	if err != nil {
		return err
	}
	if !c.Bool("follow") {
		return detach(dir, raw)
	}
	return followState(c, dir, state.Pid, bundle)
}

// installHook writes the configuration of oci-hooks(5), or prints it.
func installHook(c *cli.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	base, err := filepath.Abs(c.String("dir"))
	if err != nil {
		return err
	}
	config := map[string]any{
		"version": "1.0.0",
		"hook":    map[string]any{"path": self, "args": []string{"profgen", "hook", "--dir", base}},
		"when":    map[string]any{"annotations": map[string]string{"^" + regexp.QuoteMeta(hookAnnotation) + "$": ".+"}},
		"stages":  []string{"createRuntime"},
	}
	if c.Bool("print") {
		return printJSON(c.App.Writer, config)
	}
	name := filepath.Join(c.String("install"), "profgen.json")
	raw, err := json.MarshalIndent(config, "", "  ")
	if err == nil {
		err = os.MkdirAll(c.String("install"), 0o755)
	}
	if err == nil {
		err = os.WriteFile(name, append(raw, '\n'), 0o644)
	}
	if err != nil {
		return fmt.Errorf("install hook: %w", err)
	}
	fmt.Fprintf(c.App.ErrWriter, "wrote %s\nnext: podman run --annotation %s=NAME IMAGE records into %s/NAME\n", name, hookAnnotation, base)
	return nil
}

// readState reads what an OCI runtime tells a hook on its standard input.
func readState(r io.Reader) ([]byte, specs.State, error) {
	var state specs.State
	raw, err := io.ReadAll(io.LimitReader(r, 1<<20))
	if err == nil {
		err = json.Unmarshal(raw, &state)
	}
	if err == nil && (state.Pid <= 0 || !filepath.IsAbs(state.Bundle)) {
		err = errors.New("it has no pid or no bundle: is this the stage createRuntime?")
	}
	if err != nil {
		return nil, state, fmt.Errorf("read the container's state from standard input: %w; an OCI runtime runs this hook, see profgen hook --help", err)
	}
	return raw, state, nil
}

var hookName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$`)

// hookDir is the profile directory of that name. Whoever may start containers
// chooses the name, so it must not lead out of base.
func hookDir(base, name string) (string, error) {
	if !hookName.MatchString(name) {
		return "", fmt.Errorf("annotation %s=%q: want a name of letters, digits, _, . and -", hookAnnotation, name)
	}
	return filepath.Join(base, name), nil
}

// detach starts the recorder as a process of its own, which outlives the hook,
// and waits until it follows the container.
func detach(dir string, state []byte) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	log, err := os.OpenFile(filepath.Join(dir, "hook.log"), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	ready, tell, err := os.Pipe()
	if err != nil {
		return err
	}
	defer ready.Close()
	in, feed, err := os.Pipe()
	if err != nil {
		return err
	}
	cmd := exec.Command("/proc/self/exe", append(os.Args[1:], "--follow")...)
	cmd.Args[0] = os.Args[0]
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.Dir = in, log, log, "/"
	cmd.ExtraFiles = []*os.File{tell}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the recorder: %w", err)
	}
	tell.Close()
	in.Close()
	go func() { feed.Write(state); feed.Close() }()
	ready.SetReadDeadline(time.Now().Add(hookPatience))
	if _, err := io.ReadFull(ready, make([]byte, 1)); err != nil {
		cmd.Process.Kill()
		return fmt.Errorf("record container: the recorder did not get ready: see %s", log.Name())
	}
	return nil
}

// awaited is a container's first process before its filter is loaded.
type awaited struct {
	*sandbox.Running
	rec   *ebpf.Recorder
	ready io.WriteCloser // told that it is followed
}

func (a awaited) Start(ctx context.Context, _ func(int) error) error {
	if err := a.Running.Start(ctx, a.rec.Await); err != nil {
		return err
	}
	a.ready.Write([]byte{'\n'})
	return a.ready.Close()
}

// followState records the container whose first process is pid, to its end.
func followState(c *cli.Context, dir string, pid int, bundle sandbox.Description) error {
	if !bundle.Filtered {
		return errors.New("the container has no seccomp filter, with which a recording begins: start it with the engine's default one, or with one that allows everything")
	}
	facts, err := host.Read()
	if err != nil {
		return err
	}
	unlock, err := profiledir.Lock(dir)
	if err != nil {
		return err
	}
	defer unlock()
	rec, err := ebpf.New(ebpf.Options{SeeRefused: true, Files: true})
	if err != nil {
		return err
	}
	defer rec.Close()
	src := source(facts, bundle.Engine)
	src.Tool, src.NoNewPrivileges = "profgen hook", bundle.NoNewPrivileges
	return recordInto(c, dir, record.Run{
		Recorder: rec, Target: awaited{&sandbox.Running{PID: pid}, rec, os.NewFile(3, "ready")},
		Subject: describedSubject(facts, bundle), Source: src,
	})
}
