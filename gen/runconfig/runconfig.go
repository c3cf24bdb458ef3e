// Package runconfig reads how somebody starts containers and says what gives
// the container more of the host than it should have, or more than it says.
//
// In goes a file: a docker run or podman run command line or a script with some,
// a Compose file, a Kubernetes manifest, a Quadlet unit, or what docker inspect
// prints. Out come findings by rules with stable IDs. Files are hostile input.
//
// It does not see the image, nor what an engine's own configuration adds: a
// default that is safe in every engine is not asked for.
package runconfig

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/profgen/profgen/gen/findings"
)

// container is how one container is started, whatever the file.
type container struct {
	in   string // the part of the file
	line int    // 0 if unknown

	image      string
	privileged bool
	host       []string // namespaces that are the host's: "network", "pid", "ipc", "uts", "cgroup", "user"
	capAdd     []string // without CAP_, upper case
	dropsAll   bool
	noNewPrivs bool
	unconfined []string // "seccomp", "seccomp-unset" (Kubernetes' default), "apparmor", "label", "systempaths"
	mounts     []mount
	devices    []string
	memory     bool // limited
	pids       bool // limited
	env        map[string]string
	args       []string // of the program, which may be an engine's daemon

	// Where the format has no word for something, its absence is no finding.
	noPids bool
}

// mount is a folder or file of the host that the container sees.
type mount struct {
	source   string
	readOnly bool
}

// maxFile is how much of a file is read.
const maxFile = 4 << 20

// ErrUnknown is the error for a file that is none of those that the package
// reads.
var ErrUnknown = errors.New("no docker run command, Compose file, Kubernetes manifest, Quadlet unit, or output of docker inspect")

// Review returns what the rules have to say about a file, sorted. The error
// wraps [ErrUnknown] if it is none that the package reads.
func Review(name string, text []byte) ([]findings.Finding, error) {
	if len(text) > maxFile {
		return nil, fmt.Errorf("read %s: more than %d bytes", name, maxFile)
	}
	containers, err := read(text)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	var out []findings.Finding
	for _, c := range containers {
		out = append(out, c.review(name)...)
	}
	return findings.Sort(out), nil
}

// read finds out what a file is, and reads it.
func read(text []byte) ([]container, error) {
	switch trimmed := strings.TrimSpace(string(text)); {
	case strings.HasPrefix(trimmed, "[{") || strings.HasPrefix(trimmed, "[\n") || strings.HasPrefix(trimmed, "{") && strings.Contains(trimmed, `"HostConfig"`):
		return readInspect(text)
	case hasLine(trimmed, "[Container]"):
		return readQuadlet(trimmed)
	}
	all, err := readYAML(text)
	if errors.Is(err, ErrUnknown) && runs.Match(text) {
		return readCommands(string(text))
	}
	return all, err
}

func hasLine(text, want string) bool {
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) == want {
			return true
		}
	}
	return false
}

// review applies every rule to a container.
func (c container) review(file string) []findings.Finding {
	var out []findings.Finding
	add := func(r findings.Rule, format string, args ...any) {
		out = append(out, r.Of(findings.Location{File: file, Line: c.line, In: c.in}, format, args...))
	}
	if c.privileged {
		add(privileged, "it is privileged: no capability, device, seccomp or AppArmor rule holds it")
	}
	c.reviewMounts(add)
	for _, ns := range c.host {
		r := hostNamespace
		if slices.Contains([]string{"uts", "cgroup", "user"}, ns) {
			r = hostNamespaceMinor
		}
		add(r, "its %s namespace is the host's", ns)
	}
	for _, what := range c.unconfined {
		add(unconfined, "%s is switched off", words[what])
	}
	c.reviewCapabilities(add)
	for _, d := range c.devices {
		if slices.ContainsFunc(dangerousDevices, func(p string) bool { return strings.HasPrefix(d, p) }) || d == "/dev" {
			add(dangerousDevice, "it has the device %s", d)
		}
	}
	c.reviewLimits(add)
	c.reviewImage(add)
	c.reviewDaemon(add)
	return out
}

var words = map[string]string{
	"seccomp": "the seccomp filter", "seccomp-unset": "for want of a seccompProfile, the seccomp filter", "apparmor": "AppArmor", "label": "SELinux's separation",
	"systempaths": "what hides and write-protects parts of /proc and /sys",
}

type adder func(r findings.Rule, format string, args ...any)

func (c container) reviewMounts(add adder) {
	for _, m := range c.mounts {
		source := path.Clean(m.source)
		switch {
		case m.source == "" || !path.IsAbs(m.source):
		case isSocket(source):
			add(engineSocket, "it can talk to the engine: %s", source)
		case source == "/":
			add(hostRoot, "it sees all of the host's file system")
		case slices.Contains(socketFolders, source):
			add(engineSocket, "it can talk to the engine, whose socket is in %s", source)
		case slices.Contains(sensitive, source) || slices.ContainsFunc(secret, func(p string) bool { return source == p || strings.HasPrefix(source, p+"/") }):
			add(sensitiveMount, "it sees the host's %s", source)
		case !m.readOnly && slices.ContainsFunc(systemFolders, func(p string) bool { return source == p || strings.HasPrefix(source, p+"/") }):
			add(writableSystem, "it can write to the host's %s", source)
		}
	}
}

// isSocket reports whether a path is where an engine takes orders.
func isSocket(name string) bool {
	base := path.Base(name)
	return slices.Contains([]string{"docker.sock", "containerd.sock", "podman.sock", "crio.sock", "buildkitd.sock", "containerd.sock.ttrpc"}, base)
}

func (c container) reviewCapabilities(add adder) {
	if c.privileged {
		return // that is said
	}
	for _, name := range c.capAdd {
		if why := powerful[name]; why != "" {
			add(powerfulCapability, "it has the capability %s: %s", name, why)
		}
	}
	if !c.dropsAll {
		add(capabilitiesKept, "it keeps the engine's default capabilities")
	}
	if !c.noNewPrivs {
		add(newPrivileges, "a set-user-ID program in it can gain privileges")
	}
}

func (c container) reviewLimits(add adder) {
	if !c.memory {
		add(noMemoryLimit, "it can take all of the host's memory")
	}
	if !c.pids && !c.noPids {
		add(noPidsLimit, "it can take all of the host's process ids")
	}
}

func (c container) reviewImage(add adder) {
	switch {
	case c.image == "" || strings.Contains(c.image, "$"): // built here, or not known yet
	case strings.Contains(c.image, "@sha256:") || strings.HasPrefix(c.image, "sha256:") || isID(c.image):
	default:
		add(imageTag, "%s is whatever the name means when it is pulled", c.image)
	}
}

// isID reports whether an image is named by what engines call its ID.
func isID(image string) bool {
	return len(image) == 64 && strings.Trim(image, "0123456789abcdef") == ""
}

// reviewDaemon looks for an engine that is told to listen on TCP, or spoken to
// over it, without TLS.
func (c container) reviewDaemon(add adder) {
	if host := c.env["DOCKER_HOST"]; strings.HasPrefix(host, "tcp://") && c.env["DOCKER_TLS_VERIFY"] == "" {
		add(daemonTCP, "it talks to the engine at %s without TLS", host)
	}
	if value, ok := c.env["DOCKER_TLS_CERTDIR"]; ok && value == "" {
		add(daemonTCP, "the daemon in it is told to do without TLS")
	}
	verified := slices.ContainsFunc(c.args, func(a string) bool { return strings.HasPrefix(a, "--tlsverify") })
	for i, a := range c.args {
		value := strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(a, "--host="), "-H="), "-H")
		if (a == "-H" || a == "--host") && i+1 < len(c.args) {
			value = c.args[i+1]
		}
		if value != a && strings.HasPrefix(value, "tcp://") && !verified {
			add(daemonTCP, "the daemon in it listens at %s without TLS", value)
		}
	}
}

// capabilityName is a capability as the rules have it.
func capabilityName(s string) string { return strings.TrimPrefix(strings.ToUpper(s), "CAP_") }

// securityOption takes in a value of --security-opt.
func (c *container) securityOption(value string) {
	key, v, ok := strings.Cut(value, "=")
	if !ok {
		key, v, ok = strings.Cut(value, ":")
	}
	switch key {
	case "no-new-privileges":
		c.noNewPrivs = !ok || v == "true"
	case "seccomp", "apparmor", "systempaths":
		if v == "unconfined" {
			c.unconfined = append(c.unconfined, key)
		}
	case "unmask":
		if strings.EqualFold(v, "all") {
			c.unconfined = append(c.unconfined, "systempaths")
		}
	case "label":
		if v == "disable" {
			c.unconfined = append(c.unconfined, key)
		}
	}
}

// namespace takes in the mode of a namespace.
func (c *container) namespace(kind, mode string) {
	if mode == "host" && !slices.Contains(c.host, kind) {
		c.host = append(c.host, kind)
	}
}

// capabilities takes in lists of added and dropped ones.
func (c *container) capabilities(add, drop []string) {
	for _, a := range add {
		c.capAdd = append(c.capAdd, capabilityName(a))
	}
	c.dropsAll = c.dropsAll || slices.ContainsFunc(drop, func(d string) bool { return strings.EqualFold(d, "all") })
}

// volume takes in SOURCE:TARGET[:OPTIONS].
func (c *container) volume(value string) {
	source, rest, ok := strings.Cut(value, ":")
	if !ok {
		return // a volume without a name
	}
	_, options, _ := strings.Cut(rest, ":")
	c.mounts = append(c.mounts, mount{source, slices.Contains(strings.Split(options, ","), "ro")})
}

// positive reports whether a limit is one: 0 and -1 are none.
func positive(value string) bool {
	return value != "" && !strings.HasPrefix(value, "-") && strings.Trim(value, "0bkmgBKMG.") != ""
}
