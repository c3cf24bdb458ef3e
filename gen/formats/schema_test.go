package formats_test

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"sigs.k8s.io/yaml"

	"github.com/profgen/profgen/gen/formats"
)

// schema is the part of an OpenAPI schema that custom resources of the Security
// Profiles Operator use.
type schema struct {
	Type       string
	Properties map[string]schema
	Items      *schema
	Enum       []string
	Required   []string
	Pattern    string
	Minimum    *float64
	MinItems   int
	MaxItems   int
	ListType   string `json:"x-kubernetes-list-type"`
}

// check returns what is wrong with a value: an API server would refuse it, or
// prune what the schema does not know.
func (s schema) check(at string, v any) []string {
	bad := func(format string, args ...any) []string { return []string{at + ": " + fmt.Sprintf(format, args...)} }
	switch v := v.(type) {
	case map[string]any:
		return s.checkObject(at, v)
	case []any:
		if s.Type != "array" || len(v) < s.MinItems || s.MaxItems > 0 && len(v) > s.MaxItems {
			return bad("%d entries", len(v))
		}
		var out []string
		for i, e := range v {
			out = append(out, s.Items.check(fmt.Sprintf("%s[%d]", at, i), e)...)
			if s.ListType == "set" && slices.Contains(v[:i], e) {
				out = append(out, bad("%v is there twice", e)...)
			}
		}
		return out
	case string:
		if s.Type != "string" || len(s.Enum) > 0 && !slices.Contains(s.Enum, v) || s.Pattern != "" && !regexp.MustCompile(s.Pattern).MatchString(v) {
			return bad("%q", v)
		}
	case float64:
		if s.Type != "integer" || v != math.Trunc(v) || v > math.MaxInt64 || s.Minimum != nil && v < *s.Minimum {
			return bad("%v", v)
		}
	case bool:
		if s.Type != "boolean" {
			return bad("%t", v)
		}
	default:
		return bad("%v", v)
	}
	return nil
}

func (s schema) checkObject(at string, v map[string]any) []string {
	var out []string
	for _, name := range s.Required {
		if _, ok := v[name]; !ok {
			out = append(out, at+": lacks "+name)
		}
	}
	for name, value := range v {
		property, ok := s.Properties[name]
		switch {
		case ok:
			out = append(out, property.check(at+"."+name, value)...)
		case s.Type != "object" || len(s.Properties) > 0: // metadata is any object
			out = append(out, at+"."+name+": unknown")
		}
	}
	return out
}

// The published schema of the operator has every field that is written.
func TestSecurityProfilesOperatorReadsIt(t *testing.T) {
	for format, file := range map[string]string{"spo-seccomp": "seccompprofile.yaml", "spo-apparmor": "apparmorprofile.yaml"} {
		text, err := os.ReadFile(filepath.Join("testdata/spo", file))
		if err != nil {
			t.Fatal(err)
		}
		var crd struct {
			Group, Kind, Scope, Version string
			Schema                      schema
		}
		if err := yaml.Unmarshal(text, &crd); err != nil {
			t.Fatal(err)
		}
		for name, ar := range documents(t) {
			var doc map[string]any
			if err := yaml.UnmarshalStrict(render(t, format, inputOf(t, ar), formats.Options{}).Text, &doc); err != nil {
				t.Fatal(err)
			}
			if bad := crd.Schema.check(name, doc); len(bad) > 0 {
				t.Errorf("%s: %s", format, strings.Join(bad, "\n"))
			}
			if doc["apiVersion"] != crd.Group+"/"+crd.Version || doc["kind"] != crd.Kind {
				t.Errorf("%s: %v %v", format, doc["apiVersion"], doc["kind"])
			}
		}
		if bad := crd.Schema.check("test", map[string]any{"spec": map[string]any{"defaultErrnoRet": 38.0}}); len(bad) == 0 {
			t.Errorf("%s: the check finds nothing", file)
		}
	}
}

// An argument that SPO's int64 cannot hold makes no profile.
func TestSPORefusesBit63(t *testing.T) {
	in := inputOf(t, documents(t)["server.txtar"])
	spec := *in.Seccomp
	spec.Syscalls = []specs.LinuxSyscall{{Names: []string{"read"}, Action: specs.ActAllow, Args: []specs.LinuxSeccompArg{{Value: 1 << 63, Op: specs.OpEqualTo}}}}
	in.Seccomp = &spec
	if _, err := formats.Render("spo-seccomp", in, formats.Options{}); err == nil || !strings.Contains(err.Error(), "bit 63") {
		t.Errorf("error: %v", err)
	}
}

// quadletKeys are the keys of a [Container] section that profgen writes, with
// the release of Podman that brought each: podman-systemd.unit(5) and the
// release notes.
var quadletKeys = map[string]string{
	"Image": "4.4", "DropCapability": "4.4", "AddCapability": "4.4", "NoNewPrivileges": "4.4", "SeccompProfile": "4.4", "Network": "4.4",
	"ExposeHostPort": "4.4", "User": "4.4", "Group": "4.4", "AddDevice": "4.4", "ReadOnly": "4.4", "ReadOnlyTmpfs": "4.7", "Tmpfs": "4.5",
	"Volume": "4.4", "Ulimit": "4.5", "PodmanArgs": "4.4",
}

// A unit has only sections and keys that Quadlet knows: it refuses a unit with
// another.
func TestQuadletKeys(t *testing.T) {
	for name, ar := range documents(t) {
		section := ""
		for line := range strings.Lines(string(render(t, "quadlet", inputOf(t, ar), formats.Options{}).Text)) {
			line = strings.TrimSpace(line)
			key, _, assigns := strings.Cut(line, "=")
			switch {
			case line == "" || strings.HasPrefix(line, "#"):
			case strings.HasPrefix(line, "["):
				section = line
			case !assigns || strings.HasSuffix(line, `\`) || strings.Contains(line, "%"):
				t.Errorf("%s: line %q", name, line)
			case section == "[Container]" && quadletKeys[key] == "":
				t.Errorf("%s: Quadlet has no %s", name, key)
			}
		}
	}
}

// quadletPath is the Quadlet of a Podman that has it: Debian 12's does not yet.
const quadletPath = "../../.cache/podman/usr/libexec/podman/quadlet"

// Quadlet makes a service of every unit, whose command says what the unit said.
func TestQuadlet(t *testing.T) {
	if _, err := os.Stat(quadletPath); err != nil {
		t.Fatalf("%v: scripts/newer-debian .cache/podman podman fetches it", err)
	}
	for name, ar := range documents(t) {
		unit := render(t, "quadlet", inputOf(t, ar), formats.Options{}).Text
		unit = bytes.Replace(unit, []byte("# Image= is left to you."), []byte("Image=localhost/app"), 1)
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "app.container"), unit, 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(quadletPath, "-dryrun")
		cmd.Env = append(os.Environ(), "QUADLET_UNIT_DIRS="+dir)
		var complaints strings.Builder
		cmd.Stderr = &complaints
		service, err := cmd.Output()
		_, command, ok := strings.Cut(string(service), "\nExecStart=")
		command, _, _ = strings.Cut(command, "\n")
		if err != nil || !ok {
			t.Errorf("%s: %v: %s\n%s", name, err, complaints.String(), unit)
			continue
		}
		for line := range strings.Lines(string(unit)) {
			key, value, assigns := strings.Cut(strings.TrimSpace(line), "=")
			said := !assigns || quadletKeys[key] == "" || strings.Contains(command, value) ||
				value == "true" || strings.Contains(command, strings.ToLower(value)) // capabilities
			if !said {
				t.Errorf("%s: %s=%s is not in the command\n%s", name, key, value, command)
			}
		}
	}
}

// shellcheck has nothing to say about the script.
func TestScriptIsClean(t *testing.T) {
	tool, err := exec.LookPath("shellcheck")
	if err != nil {
		t.Fatalf("%v: scripts/install-missing lint installs it", err)
	}
	for name, ar := range documents(t) {
		cmd := exec.CommandContext(t.Context(), tool, "-")
		cmd.Stdin = strings.NewReader(string(render(t, "docker-run", inputOf(t, ar), formats.Options{}).Text))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

// Whatever a committed plan holds, no format makes more of it than words: what
// is read back is what was written, and no line of a document is a plan's.
func FuzzDecodePlan(f *testing.F) {
	names, err := filepath.Glob("testdata/golden/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(text), "-- run.json --\n")
		plan, _, _ := strings.Cut(rest, "-- seccomp.json --\n")
		f.Add([]byte(plan))
	}
	spec := &specs.LinuxSeccomp{DefaultAction: specs.ActErrno, Architectures: []specs.Arch{specs.ArchX86_64}}
	f.Fuzz(func(t *testing.T, file []byte) {
		plan, err := formats.DecodePlan(file)
		if err != nil {
			return
		}
		again, err := formats.EncodePlan(plan)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		if _, err := formats.DecodePlan(again); err != nil {
			t.Fatalf("what was written cannot be read: %v\n%s", err, again)
		}
		for _, format := range formats.All() {
			doc, err := formats.Render(format, formats.Input{Plan: plan, Seccomp: spec}, formats.Options{})
			if err != nil {
				t.Fatalf("%s: %v", format, err)
			}
			if strings.ContainsFunc(string(doc.Text), func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' || r == 0x7f }) {
				t.Fatalf("%s: a control character\n%s", format, doc.Text)
			}
		}
	})
}
