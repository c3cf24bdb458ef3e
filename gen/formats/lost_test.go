package formats_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/profgen/profgen/gen/formats"
	"github.com/profgen/profgen/gen/policy"
)

// parts are plans that differ from a bare one in one thing that was decided.
var parts = map[string]func(*formats.Plan){
	"network":   func(p *formats.Plan) { p.Network, p.Sockets = policy.NoNetwork, []policy.Network{} },
	"ipc":       func(p *formats.Plan) { p.IPC = policy.NoIPC },
	"pids":      func(p *formats.Plan) { p.Limits.Pids = 64 },
	"memory":    func(p *formats.Plan) { p.Limits.Memory = 64 << 20 },
	"nofile":    func(p *formats.Plan) { p.Limits.Files = 1024 },
	"shm":       func(p *formats.Plan) { p.Limits.Shm = 1 << 20 },
	"user":      func(p *formats.Plan) { p.User = policy.User{Name: "999:998"} },
	"read-only": func(p *formats.Plan) { p.ReadOnly = true },
	"volumes":   func(p *formats.Plan) { p.Volumes = []string{"/data"} },
	"devices":   func(p *formats.Plan) { p.Devices = []policy.Device{{Path: "/dev/fuse", Access: "rw"}} },
	"tmpfs": func(p *formats.Plan) {
		p.Tmpfs = []policy.Tmpfs{{Path: "/run", Size: 1 << 20, Mode: 0o755, UID: 999, GID: 998}}
	},
	"image": func(p *formats.Plan) {
		p.Image = policy.Image{Reference: "app:1", Digest: "sha256:" + strings.Repeat("a", 64), ConfigDigest: "sha256:" + strings.Repeat("b", 64)}
	},
}

// Nothing that was decided is dropped silently: in every format each part of a
// plan changes what is written, or is warned of by its code, and never neither.
func TestNothingIsDroppedSilently(t *testing.T) {
	in := inputOf(t, documents(t)["server.txtar"])
	bare := formats.Plan{
		Version: 1, Profile: "app", Capabilities: []string{}, Sockets: []policy.Network{{Family: "inet", Type: "stream"}},
		Run: policy.Run{Network: policy.PrivateNetwork, IPC: policy.PrivateIPC, User: policy.User{Root: true}},
	}
	for _, format := range formats.All() {
		in.Plan = bare
		without := render(t, format, in, formats.Options{})
		if slices.ContainsFunc(without.Warnings, func(w policy.Warning) bool { return strings.HasPrefix(w.Code, "lost-") && parts[w.Code[5:]] != nil }) {
			t.Errorf("%s warns of what was not decided: %v", format, without.Warnings)
		}
		for part, decide := range parts {
			in.Plan = bare
			decide(&in.Plan)
			with := render(t, format, in, formats.Options{})
			said := body(with) != body(without)
			warned := warns(with, "lost-"+part) || warns(with, "profile-only")
			switch {
			case warns(with, "image-by-digest"): // the one thing that flags leave to their reader
			case !said && !warned:
				t.Errorf("%s drops %s silently", format, part)
			case said && warns(with, "lost-"+part) && !partly[format+" "+part]:
				t.Errorf("%s says %s and warns that it cannot", format, part)
			}
		}
	}
}

// partly are parts that a format says in its own way, and not as decided: its
// warning is about what is left of it.
var partly = map[string]bool{}

// body is a document without its comments.
func body(doc formats.Document) string {
	var out []string
	for line := range strings.Lines(string(doc.Text)) {
		if !strings.HasPrefix(line, "#") || strings.HasPrefix(line, "#!") {
			out = append(out, line)
		}
	}
	return strings.Join(out, "")
}

// Each warning of a format is there when it has to be, and only then.
func TestWarnings(t *testing.T) {
	for _, tt := range []struct {
		format, code string
		plan         func(*formats.Plan)
	}{
		{"docker", "capabilities-nonroot", func(p *formats.Plan) {
			p.Capabilities, p.User = []string{"CAP_CHOWN"}, policy.User{Name: "999"}
		}},
		{"compose", "capabilities-nonroot", func(p *formats.Plan) { p.Capabilities, p.User = []string{"CAP_CHOWN"}, policy.User{} }},
		{"kubernetes", "capabilities-nonroot", func(p *formats.Plan) {
			p.Capabilities, p.User = []string{"CAP_CHOWN"}, policy.User{Name: "999"}
		}},
		{"nomad", "capabilities-nonroot", func(p *formats.Plan) {
			p.Capabilities, p.User = []string{"CAP_CHOWN"}, policy.User{Name: "999"}
		}},
		{"docker", "net-bind-service", func(p *formats.Plan) { p.Capabilities = []string{"CAP_NET_BIND_SERVICE"} }},
		{"docker", "image-by-digest", parts["image"]},
		{"podman", "image-by-digest", parts["image"]},
		{"docker-run", "image-not-pinned", func(p *formats.Plan) { p.Image.Reference = "rootfs" }},
		{"compose", "image-not-pinned", func(p *formats.Plan) { p.Image.Reference = "rootfs" }},
		{"kubernetes", "image-not-pinned", func(p *formats.Plan) {
			p.Image = policy.Image{Reference: "app.tar", ConfigDigest: "sha256:" + strings.Repeat("b", 64)}
		}},
		{"quadlet", "image-not-pinned", func(p *formats.Plan) { p.Image.Reference = "rootfs" }},
		{"podman", "podman-tmpfs", parts["tmpfs"]},
		{"quadlet", "podman-tmpfs", parts["tmpfs"]},
		{"kubernetes", "kubernetes-tmpfs", parts["tmpfs"]},
		{"kubernetes", "kubernetes-volumes", parts["volumes"]},
		{"kubernetes", "kubernetes-network", parts["network"]},
		{"kubernetes", "kubernetes-pids", parts["pids"]},
		{"kubernetes", "kubernetes-user", func(p *formats.Plan) { p.User = policy.User{} }},
		{"nomad", "nomad-tmpfs", parts["tmpfs"]},
		{"spo-apparmor", "spo-families", func(p *formats.Plan) { p.Sockets = append(p.Sockets, policy.Network{Family: "netlink", Type: "raw"}) }},
		{"landlock", "landlock-tcp", parts["network"]},
	} {
		in := inputOf(t, documents(t)["server.txtar"])
		in.Plan = formats.Plan{
			Version: 1, Profile: "app", Capabilities: []string{}, Sockets: []policy.Network{{Family: "inet", Type: "stream"}},
			Run: policy.Run{Network: policy.PrivateNetwork, IPC: policy.PrivateIPC, User: policy.User{Root: true}},
		}
		if warns(render(t, tt.format, in, formats.Options{}), tt.code) {
			t.Errorf("%s warns of %s without reason", tt.format, tt.code)
		}
		tt.plan(&in.Plan)
		if !warns(render(t, tt.format, in, formats.Options{}), tt.code) {
			t.Errorf("%s does not warn of %s", tt.format, tt.code)
		}
	}
	in := inputOf(t, documents(t)["server.txtar"])
	in.Plan.Image = policy.Image{}
	for format, codes := range map[string][]string{
		"compose": {"compose-adds"}, "quadlet": {"image-missing"}, "labels": {"labels-trust", "labels-start"}, "lxc": {"lxc-seccomp"}, "landlock": {"landlock-files", "landlock-network"},
		"spo-seccomp": {"spo-default-errno", "profile-only"}, "spo-apparmor": {"spo-apparmor-abstract", "spo-apparmor-files", "profile-only"},
		"systemd": {"systemd-arguments", "systemd-errno"}, "lxc-seccomp": {"profile-only", "lxc-abis", "lxc-own-calls"},
	} {
		for _, code := range codes {
			if !warns(render(t, format, in, formats.Options{}), code) {
				t.Errorf("%s does not warn of %s", format, code)
			}
		}
	}
	looser := inputOf(t, documents(t)["looser.txtar"])
	if !warns(render(t, "systemd", looser, formats.Options{}), "systemd-namespaces") || !warns(render(t, "labels", inputOf(t, documents(t)["everything.txtar"]), formats.Options{}), "labels-no-capability") {
		t.Error("systemd-namespaces or labels-no-capability is missing")
	}
}
