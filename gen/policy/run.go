package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/profgen/profgen/gen/evidence"
)

// Run is how a container engine starts the workload: everything around it that
// is no seccomp or AppArmor profile, whatever the engine. Zero values leave a
// choice to the engine or the image.
//
// Some things need no field, since they are so for every workload: all
// capabilities but [Policy.Capabilities] are dropped, no_new_privs is set, and
// the namespaces of processes, host name and control groups are the container's
// own.
type Run struct {
	Image    Image       `json:"image,omitzero"` // which image this was decided for; zero for a program of a host
	User     User        `json:"user"`
	Network  NetworkMode `json:"network"`
	Listens  []Port      `json:"listens,omitempty"` // sorted; empty if Network is NoNetwork
	IPC      IPCMode     `json:"ipc"`
	Limits   Limits      `json:"limits"`
	ReadOnly bool        `json:"readOnly,omitempty"` // the root file system
	Tmpfs    []Tmpfs     `json:"tmpfs,omitempty"`    // sorted by path
	Volumes  []string    `json:"volumes,omitempty"`  // folders whose content has to last; sorted
	Devices  []Device    `json:"devices,omitempty"`  // beside those that every container has; sorted by path

	// ToExec are capabilities that the bounding set has to have for programs of the
	// image to be run at all, whoever is to have them: effective file capabilities,
	// execve(2). Sorted.
	ToExec []string `json:"toExec,omitempty"`

	// Warnings say what a user may want to know, or do beyond what was decided.
	Warnings []Warning `json:"warnings,omitempty"`
}

// Image is an image by its digests.
type Image struct {
	Reference    string `json:"reference"`              // as the user gave it; says nothing of what is in it
	Digest       string `json:"digest,omitempty"`       // of the manifest: sha256:…
	ConfigDigest string `json:"configDigest,omitempty"` // of the configuration, which Docker calls the image ID
	Platform     string `json:"platform,omitempty"`     // linux/amd64
}

// User is whom the container's first process is started as.
type User struct {
	// Name is "" for what the image says, or else user[:group] in numbers.
	Name string `json:"name,omitempty"`
	// Root says that it starts as root, by the image's word or as recorded.
	Root bool `json:"root,omitempty"`
}

// NetworkMode is which network a container gets.
type NetworkMode string

const (
	NoNetwork      NetworkMode = "none"    // a network namespace with nothing but a loopback device
	PrivateNetwork NetworkMode = "private" // a network namespace with a way out, the engine's default
)

// IPCMode is which System V objects, POSIX queues and /dev/shm a container gets.
type IPCMode string

const (
	NoIPC      IPCMode = "none"    // an IPC namespace of its own, without /dev/shm
	PrivateIPC IPCMode = "private" // an IPC namespace and a /dev/shm of its own
)

// Port is a port that the workload listens on.
type Port struct {
	Number   uint16 `json:"number"`
	Protocol string `json:"protocol"` // tcp or udp
}

// privilegedPorts are those below, which take CAP_NET_BIND_SERVICE unless the
// sysctl net.ipv4.ip_unprivileged_port_start says otherwise: ip(7).
const privilegedPorts = 1024

// Privileged reports whether a socket can be bound to the port only with
// CAP_NET_BIND_SERVICE, where the kernel's default is in force.
func (p Port) Privileged() bool { return p.Number < privilegedPorts }

// String is the port as engines write it: 80/tcp.
func (p Port) String() string { return fmt.Sprintf("%d/%s", p.Number, p.Protocol) }

// Tmpfs is a folder in memory that the workload may write to while the root
// file system is read-only. It is mounted nosuid and nodev.
type Tmpfs struct {
	Path string `json:"path"`
	Size uint64 `json:"size,omitempty"` // bytes at most; 0 is what the memory limit allows
	Mode uint32 `json:"mode,omitempty"` // permissions; 0 is 1777
	UID  uint32 `json:"uid,omitempty"`
	GID  uint32 `json:"gid,omitempty"`
	Exec bool   `json:"exec,omitempty"` // something there is executed; else it is mounted noexec
}

// Device is a device file of the host.
type Device struct {
	Path   string `json:"path"`
	Access string `json:"access"` // letters of rwm, in that order
}

// decideRun decides how to start the container. It comes after the profiles:
// what they allow bounds what is of use.
func (d *decider) decideRun() {
	d.decideIdentity()
	d.decideNetworkMode()
	d.decideListens()
	d.decideIPC()
	d.decideLimits()
	d.decideDevices()
	d.decidePrivileged()
	d.decideSysctls()
	d.adviseMasked()
	d.adviseUser()
	d.adviseUserNamespace()
	d.warnOutside()
}

// advise adds to the warnings about how to start the container. They get into
// documents of many formats: what is no plain character in the name of a file is
// shown as none.
func (d *decider) advise(code, format string, args ...any) {
	sentence := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, fmt.Sprintf(format, args...))
	d.policy.Run.Warnings = append(d.policy.Run.Warnings, Warning{code, sentence})
}

// decideIdentity says which image this is for, and as whom it starts.
func (d *decider) decideIdentity() {
	r := &d.policy.Run
	r.User.Root = true
	if len(d.set.Subjects) == 0 {
		return
	}
	s := d.set.Subjects[0]
	if s.Image != "" {
		r.Image = Image{s.Image, s.Digest, s.ConfigDigest, s.Platform}
	}
	for _, o := range d.set.Subjects[1:] {
		if !o.SameImage(s) {
			r.Image = Image{}
			d.advise("several-images", "the evidence is about several images: what is written pins none of them")
		}
	}
	r.User.Root = slices.ContainsFunc(d.set.Subjects, func(s evidence.Subject) bool { return isRoot(s.User) })
	if !r.User.Root && numeric(s.User) && !slices.ContainsFunc(d.set.Subjects, func(o evidence.Subject) bool { return o.User != s.User }) {
		r.User.Name = s.User
		d.decide("--user="+s.User, true, "the workload was started as %s", s.User)
	}
}

// isRoot reports whether user[:group] is root: "" is what an image has that says
// nothing.
func isRoot(user string) bool {
	name, _, _ := strings.Cut(user, ":")
	return name == "" || name == "root" || strings.Trim(name, "0") == ""
}

func numeric(user string) bool {
	return strings.Trim(user, "0123456789:") == "" && strings.Count(user, ":") <= 1 && !strings.HasPrefix(user, ":") && !strings.HasSuffix(user, ":")
}

// decideNetworkMode takes the network away from who opens no socket that could
// use one.
func (d *decider) decideNetworkMode() {
	r := &d.policy.Run
	var uses []string
	for _, n := range d.policy.Network {
		if n.Family != "unix" {
			uses = append(uses, cmp.Or(n.Family, "any")+"/"+cmp.Or(n.Type, "any"))
		}
	}
	slices.Sort(uses)
	for _, rule := range d.policy.Syscalls {
		any := len(rule.Conditions) == 0 && slices.Contains([]string{"socket", "socketcall", "io_uring_setup"}, rule.Name)
		if any && rule.Block != Floor {
			uses = append(uses, "whatever "+rule.Name+" gives, with any arguments")
		}
	}
	if len(uses) > 0 {
		r.Network = PrivateNetwork
		d.decide("network", true, "sockets are used: %s", listFew(uses))
		return
	}
	r.Network = NoNetwork
	d.decide("network", false, "--network=none: no socket is used but those of family unix")
}

// firstEphemeral is the first port of those that the kernel picks itself, by
// default: net.ipv4.ip_local_port_range, ip(7).
const firstEphemeral = 32768

// decideListens lists the ports that the workload serves. A UDP port from the
// range that the kernel hands out is more likely a client's own.
func (d *decider) decideListens() {
	r := &d.policy.Run
	if r.Network == NoNetwork {
		return
	}
	protocols := map[evidence.ResourceKind]string{evidence.TCPPort: "tcp", evidence.UDPPort: "udp"}
	for _, f := range d.set.Facts {
		f, ok := f.(evidence.Resource)
		protocol := protocols[f.Kind]
		if !ok || protocol == "" || f.Phase == evidence.Runtime || f.Value == 0 || f.Value > 0xffff {
			continue
		}
		if protocol == "udp" && f.Value >= firstEphemeral {
			continue
		}
		p := Port{uint16(f.Value), protocol}
		if !slices.Contains(r.Listens, p) {
			r.Listens = append(r.Listens, p)
			d.decide("port "+p.String(), true, "the workload listens on it")
		}
	}
	slices.SortFunc(r.Listens, func(a, b Port) int { return strings.Compare(a.sortKey(), b.sortKey()) })
	bind := slices.Contains(d.policy.Capabilities, "CAP_NET_BIND_SERVICE")
	if i := slices.IndexFunc(r.Listens, Port.Privileged); i >= 0 && bind {
		d.advise("net-bind-service", "port %d takes CAP_NET_BIND_SERVICE under podman and Kubernetes; a port from %d on, or docker, which lowers net.ipv4.ip_unprivileged_port_start, does without", r.Listens[i].Number, privilegedPorts)
	}
}

func (p Port) sortKey() string { return fmt.Sprintf("%s %05d", p.Protocol, p.Number) }

// ipcCalls make and find System V objects and POSIX queues: ipc_namespaces(7).
var ipcCalls = []string{"shmget", "shmat", "msgget", "semget", "mq_open", "ipc"}

// decideIPC takes /dev/shm away from who is known not to use it: where no
// recording looked at files, nobody knows.
func (d *decider) decideIPC() {
	r := &d.policy.Run
	r.IPC = PrivateIPC
	for _, rule := range d.policy.Syscalls {
		if slices.Contains(ipcCalls, rule.Name) {
			d.decide("--ipc=private", true, "%s is allowed", rule.Name)
			return
		}
	}
	files := false
	for _, f := range d.set.Facts {
		switch f := f.(type) {
		case evidence.FileAccess:
			files = files || f.Basis == evidence.Observed
			if f.Phase != evidence.Runtime && f.Basis != evidence.Reachable && (f.Path == "/dev/shm" || strings.HasPrefix(string(f.Path), "/dev/shm/") || strings.HasPrefix(string(f.Path), "/dev/mqueue")) {
				d.decide("--ipc=private", true, "the workload uses %s", f.Path)
				return
			}
		case evidence.Resource:
			if f.Kind == evidence.Shm {
				d.decide("--ipc=private", true, "the workload has shared memory")
				return
			}
		}
	}
	if !files {
		d.decide("--ipc=private", true, "whether /dev/shm is used is not known, since no use of files was recorded")
		return
	}
	r.IPC = NoIPC
	d.decide("--ipc=private", false, "--ipc=none: neither /dev/shm nor System V objects nor POSIX queues are used")
}

// commonDevices are in every container: OCI runtime specification, "Default
// Devices", and what a terminal is made of.
var commonDevices = []string{
	"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/console", "/dev/ptmx",
}

// decideDevices lists the devices of the host that the workload opened.
func (d *decider) decideDevices() {
	access := map[string]string{}
	for _, f := range d.set.Facts {
		f, ok := f.(evidence.FileAccess)
		name := string(f.Path)
		if !ok || f.Kind != evidence.Device || f.Errno != "" || f.Phase == evidence.Runtime || f.Basis == evidence.Reachable ||
			f.Origin == evidence.FromItself || !strings.HasPrefix(name, "/dev/") || strings.HasPrefix(name, "/dev/pts/") || slices.Contains(commonDevices, name) {
			continue
		}
		for _, r := range "rw" {
			if strings.ContainsRune(f.Perms, r) && !strings.ContainsRune(access[name], r) {
				access[name] += string(r)
			}
		}
	}
	for name, letters := range access {
		ordered := ""
		for _, r := range "rw" {
			if strings.ContainsRune(letters, r) {
				ordered += string(r)
			}
		}
		if ordered == "" {
			continue
		}
		d.policy.Run.Devices = append(d.policy.Run.Devices, Device{name, ordered})
		d.decide("--device="+name, true, "the workload opened it: %s", ordered)
	}
	slices.SortFunc(d.policy.Run.Devices, func(a, b Device) int { return strings.Compare(a.Path, b.Path) })
}
