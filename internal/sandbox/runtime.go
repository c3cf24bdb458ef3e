package sandbox

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// Runtime is an OCI runtime found on this host.
type Runtime struct {
	Path    string
	Name    string // runc
	Version string // 1.1.5
}

// known are the runtimes looked for, best first.
var known = []string{"runc", "crun"}

var (
	versionLine = regexp.MustCompile(`(?m)^(\S+)(?: version:?| *:) +(\S+)`)
	specLine    = regexp.MustCompile(`(?mi)^\s*(?:OCI )?specs?: `)
)

// FindRuntime finds the OCI runtime called name, or at the path name; of name
// "" the first of runc and crun that is installed.
func FindRuntime(ctx context.Context, name string) (Runtime, error) {
	candidates := known
	if name != "" {
		candidates = []string{name}
	}
	for _, c := range candidates {
		if path, err := exec.LookPath(c); err == nil {
			rt, err := identify(ctx, c, path)
			return rt, interrupted(ctx, "find a runtime", err)
		}
	}
	return Runtime{}, fmt.Errorf("OCI runtime %s: not found; install runc or crun, or name another with --runtime", strings.Join(candidates, " or "))
}

// identify asks the program at path which runtime it is. An OCI runtime says
// which specification it follows, beside its version or in its features; a
// container engine, which takes other commands, does not.
func identify(ctx context.Context, name, path string) (Runtime, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := ask(ctx, path, "--version")
	m := versionLine.FindSubmatch(out)
	if err != nil || m == nil {
		return Runtime{}, fmt.Errorf("runtime %s: --version does not answer as an OCI runtime does: %.100q", name, out)
	}
	if !specLine.Match(out) {
		var features struct {
			Min string `json:"ociVersionMin"`
		}
		out, err := ask(ctx, path, "features")
		if err != nil || json.Unmarshal(out, &features) != nil || features.Min == "" {
			return Runtime{}, fmt.Errorf("runtime %s: it is no OCI runtime, for it does not say which specification it follows; name one such as runc or crun", name)
		}
	}
	return Runtime{Path: path, Name: filepath.Base(path), Version: string(m[2])}, nil
}

func ask(ctx context.Context, path, question string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, path, question)
	cmd.WaitDelay = time.Second
	return cmd.CombinedOutput()
}

// String is the name and version, as evidence has it.
func (r Runtime) String() string { return r.Name + " " + r.Version }
