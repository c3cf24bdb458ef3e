// Package formats writes how a container is started in the words of those who
// start containers: Docker, Compose, Podman, Kubernetes, systemd and others.
//
// In goes a [Plan], with the profiles that it names; out comes one document,
// and a [policy.Warning] for each thing that was decided and that the format
// cannot say. None is dropped silently: [Render] counts what a format says
// nothing of against what it warns of.
//
// The package sees no host: whether an engine is new enough for what is written,
// and whether a profile is loaded, shows when the container starts.
package formats

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/profgen/profgen/gen/policy"
)

// Input is what a format is rendered from: a profile directory.
type Input struct {
	Plan    Plan
	Seccomp *specs.LinuxSeccomp
}

// Options are the user's say in a document.
type Options struct {
	// SeccompPath is where the reader of the document finds the seccomp profile;
	// "" is the format's usual place.
	SeccompPath string
	// Container is what the document calls the container, where it has a name for
	// one; "" is after the profile.
	Container string
	// WithoutAppArmor leaves the AppArmor profile out, for hosts without AppArmor.
	WithoutAppArmor bool
}

// Document is a plan in a format.
type Document struct {
	Text     []byte
	Warnings []policy.Warning // sorted by code
}

// format is a way to write a plan.
type format struct {
	name   string
	about  string // what it is, for people
	render func(*document) error
	// says lists the parts of a plan that the format can express.
	says []part
	// profile is which profile it carries, for a format that is for nothing else.
	profile string
}

// part is a part of a plan.
type part string

const (
	capabilities part = "capabilities"
	noNewPrivs   part = "no-new-privileges"
	seccompPart  part = "seccomp"
	apparmorPart part = "apparmor"
	imagePart    part = "image"
	networkPart  part = "network"
	ipcPart      part = "ipc"
	cgroupNSPart part = "cgroupns"
	pidsPart     part = "pids"
	memoryPart   part = "memory"
	filesPart    part = "nofile"
	shmPart      part = "shm"
	userPart     part = "user"
	readOnlyPart part = "read-only"
	tmpfsPart    part = "tmpfs"
	volumesPart  part = "volumes"
	devicesPart  part = "devices"
)

// allParts lists the parts that a plan has, with what each is called where it is
// lost.
func (p Plan) allParts() map[part]string {
	out := map[part]string{
		capabilities: "the bounding set of capabilities", noNewPrivs: "no_new_privs", seccompPart: "the seccomp profile",
		apparmorPart: "the AppArmor profile " + p.Profile, cgroupNSPart: "the control group namespace",
	}
	optional := []struct {
		is   bool
		part part
		what string
	}{
		{p.Image.Reference != "", imagePart, "the image's digest"},
		{p.Network == policy.NoNetwork, networkPart, "that no network is needed"},
		{p.IPC == policy.NoIPC, ipcPart, "that no shared memory is needed"},
		{p.Limits.Pids > 0, pidsPart, fmt.Sprintf("the limit of %d tasks", p.Limits.Pids)},
		{p.Limits.Memory > 0, memoryPart, fmt.Sprintf("the limit of %d bytes of memory", p.Limits.Memory)},
		{p.Limits.Files > 0, filesPart, fmt.Sprintf("the limit of %d file descriptors", p.Limits.Files)},
		{p.Limits.Shm > 0, shmPart, fmt.Sprintf("the limit of %d bytes in /dev/shm", p.Limits.Shm)},
		{p.User.Name != "", userPart, "user " + p.User.Name},
		{p.ReadOnly, readOnlyPart, "the read-only root file system"},
		{len(p.Tmpfs) > 0, tmpfsPart, "folders in memory"},
		{len(p.Volumes) > 0, volumesPart, "volumes"},
		{len(p.Devices) > 0, devicesPart, "devices"},
	}
	for _, o := range optional {
		if o.is {
			out[o.part] = o.what
		}
	}
	return out
}

// All lists the names of all formats, sorted.
func All() []string {
	var out []string
	for _, f := range all() {
		out = append(out, f.name)
	}
	slices.Sort(out)
	return out
}

// About says in a line what a format is.
func About(name string) string {
	for _, f := range all() {
		if f.name == name {
			return f.about
		}
	}
	return ""
}

func all() []format {
	return slices.Concat(engineFormats(), podmanFormats(), kubernetesFormats(), systemFormats())
}

// ErrFormat is the error for a name that no format has.
var ErrFormat = errors.New("no such format")

// Render writes a plan in the format of that name.
func Render(name string, in Input, o Options) (Document, error) {
	i := slices.IndexFunc(all(), func(f format) bool { return f.name == name })
	if i < 0 {
		return Document{}, fmt.Errorf("%w: %q; there are %s", ErrFormat, name, strings.Join(All(), ", "))
	}
	if err := in.Plan.validate(); err != nil {
		return Document{}, err
	}
	if strings.ContainsFunc(o.SeccompPath+o.Container, notInPath) {
		return Document{}, fmt.Errorf("%q: want plain characters", o.SeccompPath+o.Container)
	}
	if o.Container == "" {
		o.Container = in.Plan.Profile
	}
	d := &document{Input: in, Options: o, format: all()[i]}
	if err := d.format.render(d); err != nil {
		return Document{}, fmt.Errorf("%s: %w", name, err)
	}
	d.warnLost()
	slices.SortStableFunc(d.warnings, func(a, b policy.Warning) int { return strings.Compare(a.Code, b.Code) })
	return Document{Text: []byte(d.text.String()), Warnings: d.warnings}, nil
}

// document is a document in the making.
type document struct {
	Input
	Options
	format   format
	text     strings.Builder
	warnings []policy.Warning
}

func (d *document) line(format string, args ...any) {
	fmt.Fprintf(&d.text, format+"\n", args...)
}

func (d *document) warn(code, format string, args ...any) {
	d.warnings = append(d.warnings, policy.Warning{Code: code, Sentence: fmt.Sprintf(format, args...)})
}

// warnLost warns of each part of the plan that the format cannot express.
func (d *document) warnLost() {
	lost := d.Plan.allParts()
	for _, p := range d.format.says {
		delete(lost, p)
	}
	if d.WithoutAppArmor {
		delete(lost, apparmorPart)
	}
	if d.format.profile != "" {
		d.warn("profile-only", "%s carries the %s profile, and nothing else of how to start the container", d.format.name, d.format.profile)
		return
	}
	for p, what := range lost {
		d.warn("lost-"+string(p), "%s cannot say: %s", d.format.name, what)
	}
}

// pinned is the image by its digest, as an engine takes it; ok is false, after
// a warning, if there is none.
func (d *document) pinned() (ref string, ok bool) {
	i := d.Plan.Image
	name := Repository(i.Reference)
	switch {
	case i.Digest != "" && imageName.MatchString(name):
		return name + "@" + i.Digest, true
	case i.ConfigDigest != "":
		return i.ConfigDigest, true
	}
	if i.Reference != "" {
		d.warn("image-not-pinned", "the evidence has no digest of the image: nothing says that it is the one that was recorded")
	}
	return "", false
}

// header is what every document with comments says of itself.
func (d *document) header() []string {
	out := []string{"Written by profgen for the profile " + d.Plan.Profile + "."}
	i := d.Plan.Image
	if i.Reference != "" {
		out = append(out, "image     "+printable(i.Reference))
	}
	for _, l := range []struct{ what, value string }{{"digest", i.Digest}, {"config", i.ConfigDigest}, {"platform", i.Platform}} {
		if l.value != "" {
			out = append(out, fmt.Sprintf("%-9s %s", l.what, l.value))
		}
	}
	return out
}

// shortCapabilities are the capabilities without CAP_, as most formats have them.
func (d *document) shortCapabilities() []string {
	out := []string{}
	for _, c := range d.Plan.Capabilities {
		out = append(out, strings.TrimPrefix(c, "CAP_"))
	}
	return out
}

// seccompPath is where the reader finds the seccomp profile.
func (d *document) seccompPath(usual string) string {
	if d.SeccompPath != "" {
		return d.SeccompPath
	}
	return usual
}

// warnNonRoot warns that engines give added capabilities to root only.
func (d *document) warnNonRoot() {
	if !d.Plan.User.Root && len(d.Plan.Capabilities) > 0 {
		d.warn("capabilities-nonroot", "the container does not start as root: %s gives its first process none of %s, whatever is added", d.format.name, strings.Join(d.Plan.Capabilities, " "))
	}
}
