package formats

import (
	"fmt"
	"slices"
	"strings"

	"github.com/profgen/profgen/gen/caps"
	"github.com/profgen/profgen/gen/policy"
	"sigs.k8s.io/yaml"
)

// everything is what docker and podman can express.
var everything = []part{
	capabilities, noNewPrivs, seccompPart, apparmorPart, imagePart, networkPart, ipcPart, cgroupNSPart, pidsPart,
	memoryPart, filesPart, shmPart, userPart, readOnlyPart, tmpfsPart, volumesPart, devicesPart,
}

func engineFormats() []format {
	return []format{
		{"docker", "docker run flags, one a line", renderDocker, everything, ""},
		{"docker-run", "a shell script that runs the image by its digest with docker", renderScript, everything, ""},
		{"compose", "a Compose file to give beside one's own: docker compose -f compose.yaml -f FILE", renderCompose, everything, ""},
		{"nomad", "a task of a Nomad job, for the docker driver", renderNomad, without(filesPart, cgroupNSPart), ""},
	}
}

// without is everything but some parts.
func without(parts ...part) []part {
	return slices.DeleteFunc(slices.Clone(everything), func(p part) bool { return slices.Contains(parts, p) })
}

// flags are the arguments of docker run or podman run.
func (d *document) flags(docker bool) ([]string, error) {
	p := policy.Policy{Name: d.Plan.Profile, Capabilities: d.Plan.Capabilities, Run: d.Plan.Run}
	return caps.Flags(p, caps.Options{SeccompPath: d.seccompPath("seccomp.json"), WithoutAppArmor: d.WithoutAppArmor, Docker: docker})
}

// renderDocker leaves CAP_NET_BIND_SERVICE out: in a network namespace of its
// own docker sets net.ipv4.ip_unprivileged_port_start to 0 (moby,
// daemon/oci_linux.go, since 20.10). Not so if a program is not run without it.
func renderDocker(d *document) error {
	d.dropBind()
	d.warnNonRoot()
	flags, err := d.flags(true)
	for _, f := range flags {
		d.line("%s", f)
	}
	if ref, ok := d.pinned(); ok {
		d.warn("image-by-digest", "the flags cannot name the image: run %s", ref)
	}
	return err
}

func (d *document) dropBind() {
	const bind = "CAP_NET_BIND_SERVICE"
	if slices.Contains(d.Plan.Capabilities, bind) && !slices.Contains(d.Plan.ToExec, bind) {
		d.Plan.Capabilities = slices.DeleteFunc(slices.Clone(d.Plan.Capabilities), func(c string) bool { return c == bind })
		d.warn("net-bind-service", "%s is left out, since docker lets everybody bind every port of a network of the container's own: --network=host takes --cap-add=NET_BIND_SERVICE", bind)
	}
}

// renderScript writes a script for sh. It takes nothing from its surroundings
// but the place it lies in.
func renderScript(d *document) error {
	d.warnNonRoot()
	const here = "profgen-script-folder" // in the place of what only the script knows
	usual := d.SeccompPath
	d.SeccompPath = here
	flags, err := d.flags(true)
	if err != nil {
		return err
	}
	d.line("#!/bin/sh")
	for _, l := range d.header() {
		d.line("# %s", l)
	}
	d.line("# Arguments are the image's; further flags of docker run go into RUN_FLAGS: RUN_FLAGS='-d -p 8080:80'.")
	d.line("set -eu")
	d.line("here=$(cd -- \"$(dirname -- \"$0\")\" && pwd)")
	seccomp := `"--security-opt=seccomp=$here/seccomp.json"`
	if usual != "" {
		seccomp = "--security-opt=seccomp=" + usual
	}
	ref, pinned := d.pinned()
	if pinned {
		d.line("image=%s", ref)
	} else {
		d.line(": \"${image:?which image? set it: image=NAME@sha256:... $0}\"")
	}
	if !d.WithoutAppArmor {
		d.line("profiles=/sys/kernel/security/apparmor/profiles")
		d.line("if [ -r \"$profiles\" ] && ! grep -q '^%s (' \"$profiles\"; then", strings.ReplaceAll(d.Plan.Profile, ".", `\.`))
		d.line("\techo \"the AppArmor profile is not loaded: apparmor_parser --replace $here/apparmor\" >&2")
		d.line("\texit 1")
		d.line("fi")
	}
	d.line("# shellcheck disable=SC2086 # the flags are several words")
	d.line("exec docker run ${RUN_FLAGS:-} \\")
	for _, f := range flags {
		if strings.HasSuffix(f, here) {
			f = seccomp
		}
		d.line("\t%s \\", f)
	}
	d.line("\t\"$image\" \"$@\"")
	return nil
}

// composeService is a service of a Compose file: compose-spec, "Services".
type composeService struct {
	Image       string         `json:"image,omitempty"`
	Privileged  bool           `json:"privileged"` // whatever the other file says
	CapDrop     []string       `json:"cap_drop"`
	CapAdd      []string       `json:"cap_add,omitempty"`
	SecurityOpt []string       `json:"security_opt"`
	NetworkMode string         `json:"network_mode,omitempty"`
	Expose      []string       `json:"expose,omitempty"`
	IPC         string         `json:"ipc"`
	Cgroup      string         `json:"cgroup"`
	PidsLimit   uint64         `json:"pids_limit,omitempty"`
	MemLimit    string         `json:"mem_limit,omitempty"`
	Ulimits     map[string]any `json:"ulimits,omitempty"`
	ShmSize     string         `json:"shm_size,omitempty"`
	User        string         `json:"user,omitempty"`
	ReadOnly    bool           `json:"read_only,omitempty"`
	Tmpfs       []string       `json:"tmpfs,omitempty"`
	Volumes     []any          `json:"volumes,omitempty"`
	Devices     []string       `json:"devices,omitempty"`
}

func renderCompose(d *document) error {
	d.warnNonRoot()
	r := d.Plan.Run
	s := composeService{
		CapDrop: []string{"ALL"}, CapAdd: d.shortCapabilities(), IPC: string(r.IPC), Cgroup: "private",
		SecurityOpt: []string{"no-new-privileges:true", "seccomp:" + d.seccompPath("./seccomp.json")},
		PidsLimit:   r.Limits.Pids, User: r.User.Name, ReadOnly: r.ReadOnly,
	}
	s.Image, _ = d.pinned()
	if !d.WithoutAppArmor {
		s.SecurityOpt = append(s.SecurityOpt, "apparmor:"+d.Plan.Profile)
	}
	if r.Network == policy.NoNetwork {
		s.NetworkMode = "none"
	}
	for _, p := range r.Listens {
		s.Expose = append(s.Expose, p.String())
	}
	if r.Limits.Memory > 0 {
		s.MemLimit = caps.Bytes(r.Limits.Memory)
	}
	if n := r.Limits.Files; n > 0 {
		s.Ulimits = map[string]any{"nofile": map[string]uint64{"soft": n, "hard": n}}
	}
	if r.Limits.Shm > 0 && r.IPC == policy.PrivateIPC {
		s.ShmSize = caps.Bytes(r.Limits.Shm)
	}
	for _, t := range r.Tmpfs {
		s.Tmpfs = append(s.Tmpfs, t.Path+":"+strings.Join(caps.TmpfsOptions(t), ","))
	}
	for _, v := range r.Volumes {
		s.Volumes = append(s.Volumes, map[string]string{"type": "volume", "target": v})
	}
	for _, dev := range r.Devices {
		s.Devices = append(s.Devices, fmt.Sprintf("%s:%s:%s", dev.Path, dev.Path, dev.Access))
	}
	for _, l := range d.header() {
		d.line("# %s", l)
	}
	d.warn("compose-adds", "Compose adds lists up: a cap_add, security_opt, devices or volumes entry of the other file stays in force")
	return d.yaml(map[string]any{"services": map[string]any{d.Container: s}})
}

// yaml appends a value as a YAML document with sorted keys.
func (d *document) yaml(v any) error {
	text, err := yaml.Marshal(v)
	d.text.Write(text)
	return err
}

// renderNomad writes HCL. Every string in it has plain characters only.
func renderNomad(d *document) error {
	d.warnNonRoot()
	r := d.Plan.Run
	for _, l := range d.header() {
		d.line("# %s", l)
	}
	d.line("# The client needs allow_caps with these capabilities in its docker plugin's configuration.")
	d.line("task %q {", d.Container)
	d.line("  driver = \"docker\"")
	if r.User.Name != "" {
		d.line("  user   = %q", r.User.Name)
	}
	d.line("")
	d.line("  config {")
	if ref, ok := d.pinned(); ok {
		d.line("    image    = %q", ref)
	}
	d.line("    cap_drop = [\"all\"]")
	d.line("    cap_add  = %s", hclList(lower(d.shortCapabilities())))
	options := []string{"no-new-privileges", "seccomp=" + d.seccompPath("local/seccomp.json")}
	if !d.WithoutAppArmor {
		options = append(options, "apparmor="+d.Plan.Profile)
	}
	d.line("    security_opt    = %s", hclList(options))
	d.line("    ipc_mode        = %q", r.IPC)
	d.line("    privileged      = false")
	d.line("    readonly_rootfs = %t", r.ReadOnly)
	if r.Network == policy.NoNetwork {
		d.line("    network_mode    = \"none\"")
	}
	if n := r.Limits.Pids; n > 0 {
		d.line("    pids_limit      = %d", n)
	}
	if n := r.Limits.Shm; n > 0 && r.IPC == policy.PrivateIPC {
		d.line("    shm_size        = %d", n)
	}
	for _, t := range r.Tmpfs {
		d.nomadTmpfs(t)
	}
	for _, v := range r.Volumes {
		d.line("    mount {\n      type   = \"volume\"\n      target = %q\n    }", v)
	}
	if len(r.Devices) > 0 {
		d.line("    devices = [")
		for _, dev := range r.Devices {
			d.line("      { host_path = %q, container_path = %q, cgroup_permissions = %q },", dev.Path, dev.Path, dev.Access)
		}
		d.line("    ]")
	}
	d.line("  }")
	if n := r.Limits.Memory; n > 0 {
		d.line("\n  resources {\n    memory = %d # MB\n  }", (n+999999)/1000000)
	}
	d.line("}")
	return nil
}

func (d *document) nomadTmpfs(t policy.Tmpfs) {
	d.line("    mount {\n      type   = \"tmpfs\"\n      target = %q\n      tmpfs_options {", t.Path)
	if t.Size > 0 {
		d.line("        size = %d", t.Size)
	}
	if t.Mode > 0 {
		d.line("        mode = %d", t.Mode)
	}
	d.line("      }\n    }")
	if t.Exec || t.UID > 0 || t.GID > 0 {
		d.warn("nomad-tmpfs", "Nomad mounts %s noexec and for root, whatever was decided", t.Path)
	}
}

func hclList(all []string) string {
	var words []string
	for _, s := range all {
		words = append(words, fmt.Sprintf("%q", s))
	}
	return "[" + strings.Join(words, ", ") + "]"
}

func lower(all []string) []string {
	out := make([]string, len(all))
	for i, s := range all {
		out[i] = strings.ToLower(s)
	}
	return out
}
