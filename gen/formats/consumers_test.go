package formats_test

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/loader"
	compose "github.com/compose-spec/compose-go/v2/types"
	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/pod-security-admission/api"
	psa "k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/yaml"

	"github.com/profgen/profgen/gen/formats"
	"github.com/profgen/profgen/gen/policy"
	"github.com/profgen/profgen/internal/abi"
)

// Compose itself puts the file on top of another, and reads in it what was
// decided.
func TestComposeReadsIt(t *testing.T) {
	docs := documents(t)
	in := inputOf(t, docs["everything.txtar"])
	doc := render(t, "compose", in, formats.Options{Container: "web"})
	base := "services:\n  web:\n    image: registry.example/team/app:latest\n    privileged: true\n    cap_add: [NET_RAW]\n"
	project, err := loader.LoadWithContext(context.Background(), compose.ConfigDetails{
		WorkingDir:  t.TempDir(),
		ConfigFiles: []compose.ConfigFile{{Filename: "compose.yaml", Content: []byte(base)}, {Filename: "profgen.yaml", Content: doc.Text}},
	}, func(o *loader.Options) { o.SetProjectName("test", true) })
	if err != nil {
		t.Fatal(err)
	}
	s := project.Services["web"]
	got := []any{
		s.Image, s.Privileged, s.CapDrop, s.CapAdd, s.SecurityOpt, s.NetworkMode, s.Ipc, s.Cgroup, s.PidsLimit, s.MemLimit,
		s.Ulimits["nofile"].Soft, s.Ulimits["nofile"].Hard, s.ShmSize, s.User, s.ReadOnly, []string(s.Tmpfs), s.Volumes[0].Target, s.Devices[0].Permissions,
	}
	want := []any{
		in.Plan.Image.Reference[:len("registry.example/team/app")] + "@" + in.Plan.Image.Digest, false, []string{"ALL"}, []string{"NET_RAW"},
		[]string{"no-new-privileges:true", "seccomp:./seccomp.json", "apparmor:profgen-app"}, "none", "private", "private", int64(64), compose.UnitBytes(192 << 20),
		2048, 2048, compose.UnitBytes(1 << 20), "999:998", true,
		[]string{"/run:rw,nosuid,nodev,noexec,size=1m,mode=755,uid=999,gid=998", "/tmp:rw,nosuid,nodev,exec"}, "/data", "rw",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if !warns(doc, "compose-adds") { // as it has NET_RAW here
		t.Error("that lists add up is not said")
	}
}

func warns(doc formats.Document, code string) bool {
	return slices.ContainsFunc(doc.Warnings, func(w policy.Warning) bool { return w.Code == code })
}

// podOf applies the patch to a deployment, as kubectl does, and reads what comes
// of it strictly.
func podOf(t *testing.T, doc formats.Document) corev1.PodSpec {
	t.Helper()
	const base = `{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {
		"selector": {"matchLabels": {"app": "web"}},
		"template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "app:latest"}]}}}}`
	patch, err := yaml.YAMLToJSONStrict(doc.Text)
	if err != nil {
		t.Fatal(err)
	}
	patched, err := strategicpatch.StrategicMergePatch([]byte(base), patch, appsv1.Deployment{})
	if err != nil {
		t.Fatal(err)
	}
	var d appsv1.Deployment
	if err := yaml.UnmarshalStrict(patched, &d); err != nil {
		t.Fatalf("%v\n%s", err, patched)
	}
	return d.Spec.Template.Spec
}

// Kubernetes' own admission has the last word on the Pod Security Standard, for
// any plan.
func TestPodSecurity(t *testing.T) {
	evaluator, err := psa.NewEvaluator(psa.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	seccomp := inputOf(t, documents(t)["everything.txtar"]).Seccomp
	rng := rand.New(rand.NewPCG(1, 2))
	seen := map[string]int{}
	for range 300 {
		in := formats.Input{Plan: randomPlan(rng), Seccomp: seccomp}
		pod := podOf(t, render(t, "kubernetes", in, formats.Options{Container: "web"}))
		want, blocking := in.Plan.PodSecurity()
		seen[want]++
		for _, level := range []api.Level{api.LevelPrivileged, api.LevelBaseline, api.LevelRestricted} {
			results := psa.AggregateCheckResults(evaluator.EvaluatePod(api.LevelVersion{Level: level, Version: api.LatestVersion()}, &metav1.ObjectMeta{}, &pod))
			reached := level == api.LevelPrivileged || want == "restricted" || want == "baseline" && level == api.LevelBaseline
			if results.Allowed != reached {
				t.Fatalf("%+v: profgen says %s, admission of %s says %t: %s", in.Plan, want, level, results.Allowed, results.ForbiddenDetail())
			}
			next := want == "baseline" && level == api.LevelRestricted || want == "privileged" && level == api.LevelBaseline
			if field := blockedField(blocking); next && !strings.Contains(results.ForbiddenDetail(), field) {
				t.Errorf("blocked by %q, but admission says %q", field, results.ForbiddenDetail())
			}
		}
	}
	if len(seen) != 3 {
		t.Errorf("levels that came up: %v", seen)
	}
}

// blockedField is the last part of the field that is said to block, as admission
// names it.
func blockedField(blocking string) string {
	field, _, _ := strings.Cut(blocking, ":")
	return field[strings.LastIndex(field, ".")+1:]
}

func randomPlan(rng *rand.Rand) formats.Plan {
	p := formats.Plan{Version: 1, Profile: "app", Capabilities: []string{}, Run: policy.Run{Network: policy.PrivateNetwork, IPC: policy.PrivateIPC}}
	pools := [][]string{nil, {"CAP_NET_BIND_SERVICE"}, {"CAP_CHOWN", "CAP_SETUID", "CAP_NET_BIND_SERVICE"}, abi.Capabilities()}
	for _, c := range pools[rng.IntN(len(pools))] {
		if rng.IntN(3) == 0 {
			p.Capabilities = append(p.Capabilities, c)
		}
	}
	switch rng.IntN(3) {
	case 0:
		p.User.Root = true
	case 1:
		p.User.Name = "1000:1000"
	}
	p.ReadOnly = rng.IntN(2) == 0
	if rng.IntN(2) == 0 {
		p.Tmpfs = []policy.Tmpfs{{Path: "/run", Size: 1 << 20}}
		p.Volumes = []string{"/data"}
		p.Limits.Memory = 1 << 26
		p.Listens = []policy.Port{{Number: 80, Protocol: "tcp"}}
	}
	return p
}

// What was decided is in the pod.
func TestKubernetesReadsIt(t *testing.T) {
	in := inputOf(t, documents(t)["everything.txtar"])
	pod := podOf(t, render(t, "kubernetes", in, formats.Options{Container: "web"}))
	c := pod.Containers[0]
	profile := c.SecurityContext.SeccompProfile
	got := []any{
		len(pod.Containers), c.Image, *c.SecurityContext.RunAsUser, *c.SecurityContext.RunAsGroup, *c.SecurityContext.ReadOnlyRootFilesystem,
		c.SecurityContext.Capabilities.Drop, profile.Type, *profile.LocalhostProfile, *c.SecurityContext.AppArmorProfile.LocalhostProfile,
		c.Resources.Limits.Memory().Value(), len(c.VolumeMounts), len(pod.Volumes), pod.Volumes[0].EmptyDir.SizeLimit.Value(),
	}
	want := []any{
		1, "registry.example/team/app@" + in.Plan.Image.Digest, int64(999), int64(998), true,
		[]corev1.Capability{"ALL"}, corev1.SeccompProfileTypeLocalhost, "profgen/profgen-app.json", "profgen-app",
		int64(192 << 20), 4, 4, int64(1 << 20),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// HCL's own parser reads the task.
func TestNomadReadsIt(t *testing.T) {
	for name, ar := range documents(t) {
		doc := render(t, "nomad", inputOf(t, ar), formats.Options{})
		file, diags := hclparse.NewParser().ParseHCL(doc.Text, name)
		if diags.HasErrors() {
			t.Fatalf("%s: %v\n%s", name, diags, doc.Text)
		}
		task := file.Body.(*hclsyntax.Body).Blocks[0]
		config := task.Body.Blocks[0]
		drop, diags := config.Body.Attributes["cap_drop"].Expr.Value(nil)
		if task.Type != "task" || config.Type != "config" || diags.HasErrors() || drop.LengthInt() != 1 {
			t.Errorf("%s: %s %s %v", name, task.Type, config.Type, diags)
		}
	}
}

// systemd's own tool reads the drop-in, finds nothing wrong with it, and holds a
// service with it for safe.
func TestSystemdReadsIt(t *testing.T) {
	tool, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Fatalf("%v: scripts/install-missing test installs systemd", err)
	}
	for name, ar := range documents(t) {
		in := inputOf(t, ar)
		in.Plan.User.Name = "" // verify asks the host who that is
		doc := render(t, "systemd", in, formats.Options{})
		dir := t.TempDir()
		unit := filepath.Join(dir, "app.service")
		text := "[Unit]\nDescription=app\n" + string(doc.Text) + "ExecStart=/bin/true\n"
		if err := os.WriteFile(unit, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		out, err := exec.CommandContext(t.Context(), tool, "verify", "--man=no", unit).CombinedOutput()
		if err != nil || strings.Contains(string(out), "app.service") {
			t.Errorf("%s: systemd-analyze verify: %v\n%s", name, err, out)
		}
		out, err = exec.CommandContext(t.Context(), tool, "security", "--offline=yes", "--json=short", "--no-pager", unit).CombinedOutput()
		var checks []struct {
			Name string `json:"json_field"`
			Set  bool   `json:"set"`
		}
		if jsonErr := json.Unmarshal(out, &checks); jsonErr != nil {
			t.Fatalf("%s: systemd-analyze security: %v %v\n%s", name, err, jsonErr, out)
		}
		for _, c := range checks {
			must := []string{"NoNewPrivileges", "SystemCallArchitectures", "CapabilityBoundingSet_CAP_SYS_MODULE", "SystemCallFilter_mount"}
			if slices.Contains(must, c.Name) && !c.Set {
				t.Errorf("%s: systemd-analyze security: %s is not in force", name, c.Name)
			}
		}
	}
}
