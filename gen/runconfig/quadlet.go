package runconfig

import (
	"strings"
)

// readQuadlet reads a .container unit: podman-systemd.unit(5).
func readQuadlet(text string) ([]container, error) {
	c := container{in: "[Container]", env: map[string]string{}, pids: true} // podman's default is a limit of 2048
	section := ""
	number := 0
	joined := strings.ReplaceAll(text, "\\\n", " \x00") // a continued line, kept for counting
	for line := range strings.Lines(joined) {
		number += 1 + strings.Count(line, "\x00")
		line = strings.TrimSpace(strings.ReplaceAll(line, "\x00", ""))
		if strings.HasPrefix(line, "[") {
			if section = line; section == "[Container]" {
				c.line = number
			}
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if section == "[Container]" && ok && !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, ";") {
			c.quadletKey(strings.TrimSpace(key), strings.TrimSpace(value))
		}
	}
	return []container{c}, nil
}

func (c *container) quadletKey(key, value string) {
	yes := strings.EqualFold(value, "true") || value == "1" || strings.EqualFold(value, "yes") || strings.EqualFold(value, "on")
	switch key {
	case "Image":
		c.image = value
	case "AddCapability":
		c.capabilities(strings.Fields(value), nil)
	case "DropCapability":
		c.capabilities(nil, strings.Fields(value))
	case "NoNewPrivileges":
		c.noNewPrivs = yes
	case "SeccompProfile":
		c.securityOption("seccomp=" + value)
	case "AppArmor":
		c.securityOption("apparmor=" + value)
	case "SecurityLabelDisable":
		if yes {
			c.securityOption("label=disable")
		}
	case "Unmask":
		c.securityOption("unmask=" + value)
	case "Network":
		c.namespace("network", value)
	case "UserNS":
		c.namespace("user", value)
	case "Volume":
		c.volume(value)
	case "Mount":
		c.mountOption(value)
	case "AddDevice":
		device, _, _ := strings.Cut(strings.TrimPrefix(value, "-"), ":")
		c.devices = append(c.devices, device)
	case "Memory":
		c.memory = positive(value)
	case "PidsLimit":
		c.pids = positive(value)
	case "Environment":
		for _, pair := range strings.Fields(value) {
			k, v, _ := strings.Cut(strings.Trim(pair, `"'`), "=")
			c.env[k] = v
		}
	case "PodmanArgs":
		image := c.image
		if c.runArguments(strings.Fields(value)) != nil || c.image != image {
			c.image = image // an option that is not known, with its value
		}
	case "Exec":
		c.args = strings.Fields(value)
	}
}
