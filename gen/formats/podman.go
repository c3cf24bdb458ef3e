package formats

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/profgen/profgen/gen/caps"
	"github.com/profgen/profgen/gen/policy"
)

func podmanFormats() []format {
	return []format{
		{"podman", "podman run flags, one a line", renderPodman, everything, ""},
		{"quadlet", "a Quadlet unit: NAME.container in /etc/containers/systemd", renderQuadlet, everything, ""},
		{"labels", "LABEL lines of a Dockerfile, for podman and CRI-O: capabilities, and the seccomp profile with --seccomp-policy=image", renderLabels, []part{capabilities, seccompPart}, ""},
	}
}

func renderPodman(d *document) error {
	d.warnTmpfs()
	flags, err := d.flags(false)
	for _, f := range flags {
		d.line("%s", f)
		if f == "--read-only" {
			d.line("--read-only-tmpfs=false") // or /run, /tmp and /var/tmp are writable
		}
	}
	if ref, ok := d.pinned(); ok {
		d.warn("image-by-digest", "the flags cannot name the image: run %s", ref)
	}
	return err
}

// warnTmpfs warns that podman cannot give a tmpfs to a user.
func (d *document) warnTmpfs() {
	for _, t := range d.Plan.Tmpfs {
		if t != caps.Ownerless(t) {
			d.warn("podman-tmpfs", "podman cannot give the tmpfs %s to a user: everybody in the container may write to it", t.Path)
		}
	}
}

// renderQuadlet writes a unit for Podman's systemd generator. What keys of
// their own came late to Quadlet is given in PodmanArgs, which every version
// passes on: PidsLimit and ShmSize came with 4.7, Memory and AppArmor with 5.
func renderQuadlet(d *document) error {
	r := d.Plan.Run
	d.warnTmpfs()
	for _, l := range d.header() {
		d.line("# %s", l)
	}
	d.line("[Unit]\nDescription=%s\n", d.Container)
	d.line("[Container]")
	if ref, ok := d.pinned(); ok {
		d.line("Image=%s", ref)
	} else {
		d.line("# Image= is left to you.")
		d.warn("image-missing", "Quadlet refuses a unit without Image=, and no image is known by its digest")
	}
	d.line("DropCapability=all")
	for _, c := range d.Plan.Capabilities {
		d.line("AddCapability=%s", c)
	}
	d.line("NoNewPrivileges=true")
	d.line("SeccompProfile=%s", d.seccompPath("/etc/containers/profgen/"+d.Plan.Profile+".json"))
	if r.Network == policy.NoNetwork {
		d.line("Network=none")
	}
	for _, p := range r.Listens {
		d.line("ExposeHostPort=%s", p)
	}
	if uid, gid, ok := strings.Cut(r.User.Name, ":"); uid != "" {
		d.line("User=%s", uid)
		if ok {
			d.line("Group=%s", gid)
		}
	}
	for _, dev := range r.Devices {
		d.line("AddDevice=%s:%s:%s", dev.Path, dev.Path, dev.Access)
	}
	if r.ReadOnly {
		d.line("ReadOnly=true\nReadOnlyTmpfs=false")
	}
	for _, t := range r.Tmpfs {
		d.line("Tmpfs=%s:%s", t.Path, strings.Join(caps.TmpfsOptions(caps.Ownerless(t)), ","))
	}
	for _, v := range r.Volumes {
		d.line("Volume=%s", v)
	}
	if n := r.Limits.Files; n > 0 {
		d.line("Ulimit=nofile=%d:%d", n, n)
	}
	d.line("PodmanArgs=%s", strings.Join(d.podmanArgs(), " "))
	d.line("\n[Install]\nWantedBy=multi-user.target")
	return nil
}

func (d *document) podmanArgs() []string {
	r := d.Plan.Run
	args := []string{"--ipc=" + string(r.IPC), "--cgroupns=private"}
	if !d.WithoutAppArmor {
		args = append(args, "--security-opt=apparmor="+d.Plan.Profile)
	}
	if n := r.Limits.Pids; n > 0 {
		args = append(args, fmt.Sprintf("--pids-limit=%d", n))
	}
	if n := r.Limits.Memory; n > 0 {
		args = append(args, "--memory="+caps.Bytes(n))
	}
	if n := r.Limits.Shm; n > 0 && r.IPC == policy.PrivateIPC {
		args = append(args, "--shm-size="+caps.Bytes(n))
	}
	return args
}

// renderLabels writes what Podman takes from the image itself.
// io.containers.capabilities is a list of names without CAP_; an empty one says
// nothing to Podman (pkg/specgen/generate/security_linux.go).
func renderLabels(d *document) error {
	if len(d.Plan.Capabilities) == 0 {
		d.warn("labels-no-capability", "a label cannot say that no capability is needed: podman run --cap-drop=ALL does")
	} else {
		d.line("LABEL io.containers.capabilities=%s", dockerfileWord(strings.Join(d.shortCapabilities(), ",")))
	}
	var compact strings.Builder
	enc := json.NewEncoder(&compact)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(d.Seccomp); err != nil {
		return err
	}
	d.line("LABEL io.containers.seccomp.profile=%s", dockerfileWord(strings.TrimSpace(compact.String())))
	d.warn("labels-start", "start it with podman run --seccomp-policy=image --security-opt=no-new-privileges: without the second the runtime loads the filter before it gives up capabilities, and fails")
	d.warn("labels-trust", "whoever makes an image writes its labels: they narrow what a container gets, and protect from nobody who can make images")
	return nil
}

// dockerfileWord quotes a word of a Dockerfile: Dockerfile reference, "Escape
// characters" and "Environment replacement".
func dockerfileWord(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, `$`, `\$`).Replace(s) + `"`
}
