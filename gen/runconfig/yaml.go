package runconfig

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxDocuments is how many documents of a YAML file are read.
const maxDocuments = 1000

// readYAML reads a Compose file, or Kubernetes manifests.
func readYAML(text []byte) ([]container, error) {
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var out []container
	known := false
	for range maxDocuments {
		var root yaml.Node
		err := dec.Decode(&root)
		if errors.Is(err, io.EOF) {
			if !known {
				return nil, ErrUnknown
			}
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUnknown, err)
		}
		var head struct {
			APIVersion string `yaml:"apiVersion"`
			Kind       string
			Services   yaml.Node
		}
		if root.Decode(&head) != nil {
			continue // a list, or a word
		}
		var some []container
		switch {
		case head.Kind != "" && head.APIVersion != "":
			some, err = readManifest(&root)
		case head.Services.Kind == yaml.MappingNode:
			some, err = readCompose(&head.Services)
		default:
			continue
		}
		if err != nil {
			return nil, err
		}
		known = true
		out = append(out, some...)
	}
	return nil, fmt.Errorf("more than %d documents", maxDocuments)
}

// entries are the keys and values of a mapping, with merge keys resolved by who
// decodes the values.
func entries(n *yaml.Node) func(func(*yaml.Node, *yaml.Node) bool) {
	return func(yield func(*yaml.Node, *yaml.Node) bool) {
		if n.Kind != yaml.MappingNode {
			return
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			if !yield(n.Content[i], n.Content[i+1]) {
				return
			}
		}
	}
}

// scalar is a value that may be written as a string, a number or a boolean.
type scalar string

func (s *scalar) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		*s = scalar(n.Value)
	}
	return nil
}

// pairs are NAME=VALUE entries, written as a list or as a mapping.
type pairs map[string]string

func (p *pairs) UnmarshalYAML(n *yaml.Node) error {
	*p = pairs{}
	var list []scalar
	if n.Kind == yaml.SequenceNode && n.Decode(&list) == nil {
		for _, e := range list {
			k, v, _ := strings.Cut(string(e), "=")
			(*p)[k] = v
		}
	}
	var m map[string]scalar
	if n.Kind == yaml.MappingNode && n.Decode(&m) == nil {
		for k, v := range m {
			(*p)[k] = string(v)
		}
	}
	return nil
}

// argv is a command, written as one line or as a list.
type argv []string

func (a *argv) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		*a = strings.Fields(n.Value)
		return nil
	}
	var list []scalar
	if err := n.Decode(&list); err != nil {
		return err
	}
	for _, e := range list {
		*a = append(*a, string(e))
	}
	return nil
}

// composeService is what of a service matters here: compose-spec, "Services".
type composeService struct {
	Image       string
	Privileged  bool
	NetworkMode string   `yaml:"network_mode"`
	PID         string   `yaml:"pid"`
	IPC         string   `yaml:"ipc"`
	UTS         string   `yaml:"uts"`
	Cgroup      string   `yaml:"cgroup"`
	UsernsMode  string   `yaml:"userns_mode"`
	CapAdd      []string `yaml:"cap_add"`
	CapDrop     []string `yaml:"cap_drop"`
	SecurityOpt []string `yaml:"security_opt"`
	Volumes     []composeVolume
	Devices     []composeDevice
	MemLimit    scalar `yaml:"mem_limit"`
	PidsLimit   scalar `yaml:"pids_limit"`
	Environment pairs
	Command     argv
	APISocket   bool `yaml:"use_api_socket"`
	Deploy      struct {
		Resources struct {
			Limits struct {
				Memory scalar
				Pids   scalar
			}
		}
	}
}

// composeVolume is a volume in its short or long form.
type composeVolume struct {
	short  string
	Type   string
	Source string
	// ReadOnly is of the long form.
	ReadOnly bool `yaml:"read_only"`
}

func (v *composeVolume) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		v.short = n.Value
		return nil
	}
	type long composeVolume
	return n.Decode((*long)(v))
}

// composeDevice is a device in its short or long form.
type composeDevice struct {
	short  string
	Source string
}

func (d *composeDevice) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		d.short, _, _ = strings.Cut(n.Value, ":")
		return nil
	}
	type long composeDevice
	return n.Decode((*long)(d))
}

func readCompose(services *yaml.Node) ([]container, error) {
	var out []container
	for name, value := range entries(services) {
		if name.Value == "<<" {
			continue
		}
		var s composeService
		if err := value.Decode(&s); err != nil {
			return nil, fmt.Errorf("services.%s: %w", name.Value, err)
		}
		c := s.container()
		c.in, c.line = "services."+name.Value, name.Line
		out = append(out, c)
	}
	return out, nil
}

func (s composeService) container() container {
	c := container{image: s.Image, privileged: s.Privileged, env: s.Environment, args: s.Command}
	for _, ns := range [][2]string{{"network", s.NetworkMode}, {"pid", s.PID}, {"ipc", s.IPC}, {"uts", s.UTS}, {"cgroup", s.Cgroup}, {"user", s.UsernsMode}} {
		c.namespace(ns[0], ns[1])
	}
	c.capabilities(s.CapAdd, s.CapDrop)
	for _, o := range s.SecurityOpt {
		c.securityOption(o)
	}
	for _, v := range s.Volumes {
		if v.short != "" {
			c.volume(v.short)
		} else if v.Type == "bind" {
			c.mounts = append(c.mounts, mount{v.Source, v.ReadOnly})
		}
	}
	for _, d := range s.Devices {
		c.devices = append(c.devices, d.short+d.Source)
	}
	limits := s.Deploy.Resources.Limits
	unknown := func(v scalar) bool { return strings.Contains(string(v), "$") }
	c.memory = positive(string(s.MemLimit)) || positive(string(limits.Memory)) || unknown(s.MemLimit)
	c.pids = positive(string(s.PidsLimit)) || positive(string(limits.Pids)) || unknown(s.PidsLimit)
	if s.APISocket {
		c.mounts = append(c.mounts, mount{"/var/run/docker.sock", false})
	}
	return c
}

// podSpec is what of a pod matters here: Kubernetes API, "PodSpec v1 core".
type podSpec struct {
	HostNetwork     bool            `yaml:"hostNetwork"`
	HostPID         bool            `yaml:"hostPID"`
	HostIPC         bool            `yaml:"hostIPC"`
	SecurityContext securityContext `yaml:"securityContext"`
	Volumes         []struct {
		Name     string
		HostPath *struct{ Path string } `yaml:"hostPath"`
	}
	Init      []yaml.Node `yaml:"initContainers"`
	Main      []yaml.Node `yaml:"containers"`
	Ephemeral []yaml.Node `yaml:"ephemeralContainers"`
}

// profile is a seccompProfile or an appArmorProfile.
type profile struct{ Type string }

// securityContext is that of a pod or of a container.
type securityContext struct {
	Privileged   bool
	Escalation   *bool    `yaml:"allowPrivilegeEscalation"`
	ProcMount    string   `yaml:"procMount"`
	Seccomp      *profile `yaml:"seccompProfile"`
	AppArmor     *profile `yaml:"appArmorProfile"`
	Capabilities struct{ Add, Drop []string }
}

// podContainer is a container of a pod.
type podContainer struct {
	Name            string
	Image           string
	Command, Args   []string
	SecurityContext securityContext `yaml:"securityContext"`
	VolumeMounts    []struct {
		Name     string
		ReadOnly bool `yaml:"readOnly"`
	} `yaml:"volumeMounts"`
	Resources struct {
		Limits map[string]scalar
	}
	Env []struct{ Name, Value string }
}

// readManifest reads whatever has a pod in it: a Pod, what has a template for
// one, a CronJob, a List.
func readManifest(root *yaml.Node) ([]container, error) {
	var m struct {
		Kind     string
		Metadata struct {
			Name        string
			Annotations map[string]string
		}
		Spec  yaml.Node
		Items []yaml.Node
	}
	if err := root.Decode(&m); err != nil {
		return nil, err
	}
	var out []container
	for i := range m.Items {
		some, err := readManifest(&m.Items[i])
		if err != nil {
			return nil, err
		}
		out = append(out, some...)
	}
	pod, err := podOf(&m.Spec, m.Kind)
	if err != nil || pod == nil {
		return out, err
	}
	some, err := pod.read(m.Kind + "/" + m.Metadata.Name)
	return append(out, some...), err
}

// podOf finds the pod in a specification; nil if there is none.
func podOf(spec *yaml.Node, kind string) (*podSpec, error) {
	if spec.Kind != yaml.MappingNode {
		return nil, nil
	}
	var nested struct {
		Template    struct{ Spec yaml.Node }
		JobTemplate struct {
			Spec struct {
				Template struct{ Spec yaml.Node }
			}
		} `yaml:"jobTemplate"`
	}
	if err := spec.Decode(&nested); err != nil {
		return nil, fmt.Errorf("%s: %w", kind, err)
	}
	at := spec
	switch {
	case nested.Template.Spec.Kind == yaml.MappingNode:
		at = &nested.Template.Spec
	case nested.JobTemplate.Spec.Template.Spec.Kind == yaml.MappingNode:
		at = &nested.JobTemplate.Spec.Template.Spec
	case kind != "Pod":
		return nil, nil
	}
	var pod podSpec
	if err := at.Decode(&pod); err != nil {
		return nil, fmt.Errorf("%s: %w", kind, err)
	}
	return &pod, nil
}

func (p podSpec) read(name string) ([]container, error) {
	var out []container
	for _, n := range slices.Concat(p.Init, p.Main, p.Ephemeral) {
		var pc podContainer
		if err := n.Decode(&pc); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		c := p.container(pc)
		c.in, c.line = name+" "+pc.Name, n.Line
		out = append(out, c)
	}
	return out, nil
}

// container is one of the pod's containers. A setting of its own comes before
// the pod's.
func (p podSpec) container(pc podContainer) container {
	s := pc.SecurityContext
	c := container{
		image: pc.Image, privileged: s.Privileged, env: map[string]string{}, args: slices.Concat(pc.Command, pc.Args),
		noPids: true, memory: positive(string(pc.Resources.Limits["memory"])), noNewPrivs: s.Escalation != nil && !*s.Escalation,
	}
	for _, ns := range []struct {
		is   bool
		name string
	}{{p.HostIPC, "ipc"}, {p.HostNetwork, "network"}, {p.HostPID, "pid"}} {
		if ns.is {
			c.host = append(c.host, ns.name)
		}
	}
	c.capabilities(s.Capabilities.Add, s.Capabilities.Drop)
	off := func(own, pods *profile) bool {
		if own == nil {
			own = pods
		}
		return own != nil && own.Type == "Unconfined"
	}
	if off(s.Seccomp, p.SecurityContext.Seccomp) {
		c.unconfined = append(c.unconfined, "seccomp")
	} else if s.Seccomp == nil && p.SecurityContext.Seccomp == nil && !s.Privileged {
		c.unconfined = append(c.unconfined, "seccomp-unset")
	}
	if off(s.AppArmor, p.SecurityContext.AppArmor) {
		c.unconfined = append(c.unconfined, "apparmor")
	}
	if s.ProcMount == "Unmasked" {
		c.unconfined = append(c.unconfined, "systempaths")
	}
	for _, m := range pc.VolumeMounts {
		for _, v := range p.Volumes {
			if v.Name == m.Name && v.HostPath != nil {
				c.mounts = append(c.mounts, mount{v.HostPath.Path, m.ReadOnly})
			}
		}
	}
	for _, e := range pc.Env {
		c.env[e.Name] = e.Value
	}
	return c
}
