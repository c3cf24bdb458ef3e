package formats

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/profgen/profgen/gen/policy"
)

func kubernetesFormats() []format {
	return []format{
		{"kubernetes", "a strategic merge patch for whatever has a pod template: kubectl patch deployment NAME --patch-file FILE", renderKubernetes,
			[]part{capabilities, noNewPrivs, seccompPart, apparmorPart, imagePart, memoryPart, userPart, readOnlyPart, tmpfsPart, volumesPart, shmPart, cgroupNSPart}, ""},
		{"spo-seccomp", "a SeccompProfile of the Security Profiles Operator, v1", renderSPOSeccomp, nil, "seccomp"},
		{"spo-apparmor", "an AppArmorProfile of the Security Profiles Operator, v1", renderSPOAppArmor, nil, "AppArmor"},
	}
}

// level is a Pod Security Standard.
type level string

const (
	privilegedLevel level = "privileged"
	baselineLevel   level = "baseline"
	restrictedLevel level = "restricted"
)

// baselineCapabilities may be added under the baseline standard, "Capabilities".
var baselineCapabilities = []string{
	"AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP",
	"SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
}

// PodSecurity returns the Pod Security Standard that a pod reaches which is
// started as planned, and the field that keeps it from the next one; "" if there
// is no next one.
func (p Plan) PodSecurity() (reached string, blocking string) {
	var beyond, beyondBaseline []string
	for _, c := range p.Capabilities {
		name := strings.TrimPrefix(c, "CAP_")
		if !slices.Contains(baselineCapabilities, name) {
			beyondBaseline = append(beyondBaseline, name)
		}
		if name != "NET_BIND_SERVICE" {
			beyond = append(beyond, name)
		}
	}
	switch {
	case len(beyondBaseline) > 0:
		return string(privilegedLevel), "securityContext.capabilities.add: " + strings.Join(beyondBaseline, ", ")
	case len(beyond) > 0:
		return string(baselineLevel), "securityContext.capabilities.add: " + strings.Join(beyond, ", ")
	case p.User.Root:
		return string(baselineLevel), "securityContext.runAsNonRoot: it starts as root"
	}
	return string(restrictedLevel), ""
}

func renderKubernetes(d *document) error {
	d.warnNonRoot()
	reached, blocking := d.Plan.PodSecurity()
	for _, l := range d.header() {
		d.line("# %s", l)
	}
	d.line("# Pod Security Standard reached: %s", reached)
	if blocking != "" {
		d.line("# the next is blocked by %s", blocking)
	}
	d.line("# On every node: the seccomp profile in the kubelet's folder, the AppArmor profile loaded.")
	spec := map[string]any{"containers": []any{d.podContainer()}, "hostNetwork": false, "hostPID": false, "hostIPC": false}
	if volumes := d.podVolumes(); len(volumes) > 0 {
		spec["volumes"] = volumes
	}
	d.warnKubernetes()
	return d.yaml(map[string]any{"spec": map[string]any{"template": map[string]any{"spec": spec}}})
}

// podContainer is a container of a pod: Kubernetes API, "Container v1 core".
func (d *document) podContainer() map[string]any {
	r := d.Plan.Run
	context := map[string]any{
		"allowPrivilegeEscalation": false,
		"privileged":               false,
		"capabilities":             map[string]any{"drop": []string{"ALL"}, "add": d.shortCapabilities()},
		"seccompProfile":           map[string]any{"type": "Localhost", "localhostProfile": d.seccompPath("profgen/" + d.Plan.Profile + ".json")},
		"readOnlyRootFilesystem":   r.ReadOnly,
	}
	if len(d.Plan.Capabilities) == 0 {
		context["capabilities"] = map[string]any{"drop": []string{"ALL"}}
	}
	if !d.WithoutAppArmor {
		context["appArmorProfile"] = map[string]any{"type": "Localhost", "localhostProfile": d.Plan.Profile}
	}
	if !r.User.Root {
		context["runAsNonRoot"] = true
	}
	if uid, gid, ok := strings.Cut(r.User.Name, ":"); uid != "" {
		context["runAsUser"] = number(uid)
		if ok {
			context["runAsGroup"] = number(gid)
		}
	}
	out := map[string]any{"name": d.Container, "securityContext": context}
	if ref, ok := d.pinned(); ok && strings.Contains(ref, "@") {
		out["image"] = ref
	} else if ok {
		d.warn("image-not-pinned", "nodes pull images by the digest of their manifest, which the evidence has not")
	}
	if n := r.Limits.Memory; n > 0 {
		out["resources"] = map[string]any{"limits": map[string]any{"memory": strconv.FormatUint(n, 10)}}
	}
	var ports []any
	for _, p := range r.Listens {
		ports = append(ports, map[string]any{"containerPort": p.Number, "protocol": strings.ToUpper(p.Protocol)})
	}
	if len(ports) > 0 {
		out["ports"] = ports
	}
	var mounts []any
	for _, v := range d.podMounts() {
		mounts = append(mounts, map[string]any{"name": v.name, "mountPath": v.path})
	}
	if len(mounts) > 0 {
		out["volumeMounts"] = mounts
	}
	return out
}

func number(s string) uint64 {
	n, _ := strconv.ParseUint(s, 10, 32) // the plan was validated
	return n
}

// podMount is a volume that a pod mounts.
type podMount struct {
	name, path string
	memory     bool
	size       uint64
}

func (d *document) podMounts() []podMount {
	var out []podMount
	r := d.Plan.Run
	for i, t := range r.Tmpfs {
		out = append(out, podMount{fmt.Sprintf("profgen-tmpfs-%d", i), t.Path, true, t.Size})
	}
	if r.Limits.Shm > 0 && r.IPC == policy.PrivateIPC {
		out = append(out, podMount{"profgen-shm", "/dev/shm", true, r.Limits.Shm})
	}
	for i, v := range r.Volumes {
		out = append(out, podMount{fmt.Sprintf("profgen-volume-%d", i), v, false, 0})
	}
	return out
}

func (d *document) podVolumes() []any {
	var out []any
	for _, m := range d.podMounts() {
		dir := map[string]any{}
		if m.memory {
			dir["medium"] = "Memory"
		}
		if m.size > 0 {
			dir["sizeLimit"] = strconv.FormatUint(m.size, 10)
		}
		out = append(out, map[string]any{"name": m.name, "emptyDir": dir})
	}
	return out
}

// warnKubernetes warns of what Kubernetes says differently.
func (d *document) warnKubernetes() {
	r := d.Plan.Run
	if len(r.Tmpfs) > 0 {
		d.warn("kubernetes-tmpfs", "an emptyDir in memory cannot be mounted noexec, nor for a user: fsGroup of the pod gives it to a group")
	}
	if len(r.Volumes) > 0 {
		d.warn("kubernetes-volumes", "the emptyDir of %s ends with the pod: put a claim in its place if it has to last", strings.Join(r.Volumes, ", "))
	}
	if !r.User.Root && r.User.Name == "" {
		d.warn("kubernetes-user", "the image's USER is a name, of which the kubelet cannot tell that it is not root: give runAsUser in numbers")
	}
	if r.Network == policy.NoNetwork {
		d.warn("kubernetes-network", "a pod always has a network: a NetworkPolicy without ingress and egress rules for it comes nearest")
	}
	if r.Limits.Pids > 0 {
		d.warn("kubernetes-pids", "the number of tasks is limited for all pods of a node alike: podPidsLimit of the kubelet, at least %d", r.Limits.Pids)
	}
}

// spoSyscall is a rule of a SeccompProfile. Fields that v1 has not, such as
// comments, are left out.
type spoSyscall struct {
	Names    []string `json:"names"`
	Action   string   `json:"action"`
	ErrnoRet *uint    `json:"errnoRet,omitempty"`
	Args     []spoArg `json:"args,omitempty"`
}

type spoArg struct {
	Index    uint   `json:"index"`
	Value    uint64 `json:"value"`
	ValueTwo uint64 `json:"valueTwo"`
	Op       string `json:"op"`
}

const spoVersion = "security-profiles-operator.x-k8s.io/v1"

func renderSPOSeccomp(d *document) error {
	s := d.Seccomp
	var rules []spoSyscall
	for _, rule := range s.Syscalls {
		r := spoSyscall{Names: rule.Names, Action: string(rule.Action), ErrnoRet: rule.ErrnoRet}
		for _, a := range rule.Args {
			if a.Value > 1<<63-1 || a.ValueTwo > 1<<63-1 {
				return fmt.Errorf("argument %d of %s: %#x has bit 63, which SPO's int64 cannot hold", a.Index, strings.Join(rule.Names, " "), max(a.Value, a.ValueTwo))
			}
			r.Args = append(r.Args, spoArg{a.Index, a.Value, a.ValueTwo, string(a.Op)})
		}
		rules = append(rules, r)
	}
	if s.DefaultErrnoRet != nil {
		d.warn("spo-default-errno", "SPO has no defaultErrnoRet: system calls that are newer than this profile answer EPERM, and callers may not fall back from that")
	}
	for _, l := range d.header() {
		d.line("# %s", l)
	}
	return d.yaml(map[string]any{
		"apiVersion": spoVersion, "kind": "SeccompProfile", "metadata": map[string]any{"name": d.Plan.Profile},
		"spec": map[string]any{"defaultAction": string(s.DefaultAction), "architectures": words(s.Architectures), "syscalls": rules},
	})
}

func words(all []specs.Arch) []string {
	var out []string
	for _, a := range all {
		out = append(out, string(a))
	}
	return out
}

// renderSPOAppArmor writes the abstract profile that SPO makes one of its own
// of.
func renderSPOAppArmor(d *document) error {
	tcp, udp, raw, other := false, false, false, []string{}
	for _, s := range d.Plan.Sockets {
		inet := s.Family == "inet" || s.Family == "inet6" || s.Family == ""
		tcp = tcp || inet && (s.Type == "stream" || s.Type == "")
		udp = udp || inet && (s.Type == "dgram" || s.Type == "")
		raw = raw || s.Type == "raw" || s.Type == ""
		if !inet && s.Family != "unix" {
			other = append(other, s.Family)
		}
	}
	if len(other) > 0 {
		d.warn("spo-families", "SPO's abstract profile has TCP, UDP and raw sockets only: %s are lost", strings.Join(slices.Compact(other), ", "))
	}
	d.warn("spo-apparmor-abstract", "SPO writes its own rules for signals, ptrace and /proc: the profile in the file apparmor is the one that was decided")
	d.warn("spo-apparmor-files", "use of files is not limited: all of / may be read, written and executed")
	abstract := map[string]any{
		"capability": map[string]any{"allowedCapabilities": lower(d.shortCapabilities())},
		"executable": map[string]any{"allowedExecutables": []string{"/**"}, "allowedLibraries": []string{"/**"}},
		"filesystem": map[string]any{"readWritePaths": []string{"/**"}},
		"network":    map[string]any{"allowRaw": raw, "allowedProtocols": map[string]any{"allowTcp": tcp, "allowUdp": udp}},
	}
	for _, l := range d.header() {
		d.line("# %s", l)
	}
	return d.yaml(map[string]any{
		"apiVersion": spoVersion, "kind": "AppArmorProfile", "metadata": map[string]any{"name": d.Plan.Profile},
		"spec": map[string]any{"abstract": abstract, "mode": "Enforce"},
	})
}
