package runconfig

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"
)

// runs finds what may be a command that starts a container.
var runs = regexp.MustCompile(`(?m)(^|[\s/;&|('"])(docker|podman|nerdctl)\s(.*\s)?(run|create)\s`)

// readCommands reads the commands of a script for a shell that start a
// container.
func readCommands(text string) ([]container, error) {
	file, err := syntax.NewParser().Parse(strings.NewReader(text), "")
	if err != nil {
		return nil, err
	}
	var out []container
	var failed error
	syntax.Walk(file, func(n syntax.Node) bool {
		call, ok := n.(*syntax.CallExpr)
		if !ok || failed != nil {
			return failed == nil
		}
		words := wordsOf(call.Args)
		at := slices.IndexFunc(words, func(w string) bool { return w == "run" || w == "create" })
		engine := slices.IndexFunc(words, isEngine)
		if at < 0 || engine < 0 || engine > at || engine > 2 {
			return true
		}
		c := container{line: int(call.Pos().Line()), in: words[engine] + " " + words[at], env: map[string]string{}}
		c.pids = strings.HasSuffix(words[engine], "podman") // by default it sets a limit of 2048
		for _, w := range words[engine+1 : at] {
			c.engineOption(w)
		}
		if failed = c.runArguments(words[at+1:]); failed != nil {
			failed = fmt.Errorf("line %d: %w", c.line, failed)
		}
		out = append(out, c)
		return true
	})
	if len(out) == 0 && failed == nil {
		return nil, ErrUnknown
	}
	return out, failed
}

func isEngine(word string) bool {
	name := word[strings.LastIndexByte(word, '/')+1:]
	return name == "docker" || name == "podman" || name == "nerdctl"
}

// engineOption takes in an option of the client itself.
func (c *container) engineOption(w string) {
	for _, prefix := range []string{"--host=", "-H="} {
		if host, ok := strings.CutPrefix(w, prefix); ok {
			c.env["DOCKER_HOST"] = host
		}
	}
	if strings.HasPrefix(w, "tcp://") {
		c.env["DOCKER_HOST"] = w
	}
	if strings.HasPrefix(w, "--tls") {
		c.env["DOCKER_TLS_VERIFY"] = "1"
	}
}

// wordsOf are words without their quotes; a part that only the shell knows is $.
// A variable without quotes before an option stands for further options.
func wordsOf(all []*syntax.Word) []string {
	var out []string
	for i, w := range all {
		_, variable := w.Parts[0].(*syntax.ParamExp)
		if variable && len(w.Parts) == 1 && i+1 < len(all) && strings.HasPrefix(all[i+1].Lit(), "-") {
			continue
		}
		text, err := expand.Literal(&expand.Config{Env: expand.FuncEnviron(func(string) string { return "$" })}, w)
		if err != nil {
			text = "$"
		}
		out = append(out, text)
	}
	return out
}

// flagsWithoutValue are those of docker run and podman run that take none.
var flagsWithoutValue = []string{
	"d", "detach", "disable-content-trust", "env-host", "h", "help", "http-proxy", "i", "init", "interactive", "no-healthcheck", "no-hosts", "no-hostname", "oom-kill-disable",
	"P", "passwd", "privileged", "publish-all", "q", "quiet", "read-only", "read-only-tmpfs", "replace", "rm", "rmi", "rootfs", "sig-proxy", "t", "tls-verify", "tty", "unsetenv-all", "use-api-socket",
}

// runArguments takes in the arguments of docker run: options, the image, and
// what follows it.
func (c *container) runArguments(args []string) error {
	for i := 0; i < len(args); i++ {
		a := args[i]
		if !strings.HasPrefix(a, "-") || a == "-" {
			c.image, c.args = a, args[i+1:]
			return nil
		}
		name, value, hasValue := strings.Cut(strings.TrimLeft(a, "-"), "=")
		if !strings.HasPrefix(a, "--") && len(name) > 1 {
			name, value, hasValue = shortFlags(name, value, hasValue)
		}
		flag := slices.Contains(flagsWithoutValue, name)
		if !hasValue && !flag {
			if i++; i == len(args) {
				return fmt.Errorf("%s wants a value", a)
			}
			value = args[i]
		}
		c.runOption(name, value, flag && (!hasValue || value == "true"))
	}
	return nil // an image by a variable that is empty, say
}

// shortFlags takes a cluster of one-letter options apart: -itv is -i, -t and -v,
// and -p80:80 is -p 80:80.
func shortFlags(cluster, value string, hasValue bool) (string, string, bool) {
	for i := range len(cluster) {
		letter := cluster[i : i+1]
		if slices.Contains(flagsWithoutValue, letter) {
			if i == len(cluster)-1 {
				return letter, value, hasValue
			}
			continue
		}
		rest := cluster[i+1:]
		if hasValue && rest != "" {
			rest += "=" + value
		} else if hasValue {
			rest = value
		}
		return letter, rest, rest != ""
	}
	return cluster, value, hasValue
}

// runOption takes in an option; on says of one without a value that it is set.
func (c *container) runOption(name, value string, on bool) {
	switch name {
	case "privileged":
		c.privileged = on
	case "net", "network":
		c.namespace("network", value)
	case "pid", "ipc", "uts":
		c.namespace(name, value)
	case "cgroupns":
		c.namespace("cgroup", value)
	case "userns":
		c.namespace("user", value)
	case "cap-add":
		c.capabilities(strings.Split(value, ","), nil)
	case "cap-drop":
		c.capabilities(nil, strings.Split(value, ","))
	case "security-opt":
		c.securityOption(value)
	case "v", "volume":
		c.volume(value)
	case "mount":
		c.mountOption(value)
	case "device":
		device, _, _ := strings.Cut(value, ":")
		c.devices = append(c.devices, device)
	case "m", "memory":
		c.memory = positive(value)
	case "pids-limit":
		c.pids = positive(value)
	case "e", "env":
		key, v, _ := strings.Cut(value, "=")
		c.env[key] = v
	case "use-api-socket":
		c.mounts = append(c.mounts, mount{"/var/run/docker.sock", false})
	}
}

// mountOption takes in a value of --mount: comma-separated pairs.
func (c *container) mountOption(value string) {
	pairs := map[string]string{}
	for part := range strings.SplitSeq(value, ",") {
		key, v, _ := strings.Cut(part, "=")
		pairs[key] = v
	}
	source := pairs["source"] + pairs["src"]
	if pairs["type"] != "bind" {
		return
	}
	readOnly := func(key string) bool { v, ok := pairs[key]; return ok && (v == "" || v == "true" || v == "1") }
	c.mounts = append(c.mounts, mount{source, readOnly("readonly") || readOnly("ro")})
}
