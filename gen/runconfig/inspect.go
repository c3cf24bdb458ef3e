package runconfig

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// inspected is the part of docker inspect, and podman inspect, that says how a
// container was started.
type inspected struct {
	Name   string
	Config struct {
		Image string
		Env   []string
		Cmd   []string
	}
	Image      string // the ID
	HostConfig *struct {
		Binds        []string
		NetworkMode  string
		PidMode      string
		IpcMode      string
		UTSMode      string
		UsernsMode   string
		CgroupnsMode string
		Privileged   bool
		CapAdd       []string
		CapDrop      []string
		SecurityOpt  []string
		Memory       int64
		PidsLimit    *int64
		MaskedPaths  *[]string
		Devices      []struct{ PathOnHost string }
	}
	Mounts []struct {
		Type, Source string
		RW           bool
	}
}

// readInspect reads what docker inspect prints: an array, or one of its
// entries.
func readInspect(text []byte) ([]container, error) {
	var all []inspected
	if err := json.Unmarshal(text, &all); err != nil {
		var one inspected
		if json.Unmarshal(text, &one) != nil {
			return nil, fmt.Errorf("%w: %w", ErrUnknown, err)
		}
		all = []inspected{one}
	}
	var out []container
	for _, i := range all {
		if i.HostConfig == nil {
			return nil, fmt.Errorf("%w: an entry without HostConfig", ErrUnknown)
		}
		out = append(out, i.container())
	}
	return out, nil
}

func (i inspected) container() container {
	h := i.HostConfig
	c := container{in: strings.TrimPrefix(i.Name, "/"), image: i.Config.Image, privileged: h.Privileged, memory: h.Memory > 0, env: map[string]string{}, args: i.Config.Cmd}
	if i.Config.Image == "" {
		c.image = i.Image
	}
	c.pids = h.PidsLimit != nil && *h.PidsLimit > 0
	for kind, mode := range map[string]string{
		"network": h.NetworkMode, "pid": h.PidMode, "ipc": h.IpcMode, "uts": h.UTSMode, "user": h.UsernsMode, "cgroup": h.CgroupnsMode,
	} {
		c.namespace(kind, mode)
	}
	slices.Sort(c.host)
	c.capabilities(h.CapAdd, h.CapDrop)
	for _, o := range h.SecurityOpt {
		c.securityOption(o)
	}
	if h.MaskedPaths != nil && len(*h.MaskedPaths) == 0 && !h.Privileged && !slices.Contains(c.unconfined, "systempaths") {
		c.unconfined = append(c.unconfined, "systempaths")
	}
	for _, m := range i.Mounts {
		if m.Type == "bind" {
			c.mounts = append(c.mounts, mount{m.Source, !m.RW})
		}
	}
	if len(i.Mounts) == 0 {
		for _, b := range h.Binds {
			c.volume(b)
		}
	}
	for _, d := range h.Devices {
		c.devices = append(c.devices, d.PathOnHost)
	}
	for _, e := range i.Config.Env {
		k, v, _ := strings.Cut(e, "=")
		c.env[k] = v
	}
	return c
}
