// Package caps turns a policy into the arguments of docker run and podman run
// that put it in force: the bounding set of capabilities, no-new-privileges,
// the names of the seccomp and AppArmor profiles, namespaces and limits.
//
// The arguments are meant for a shell's word splitting, unquoted:
//
//	docker run $(profgen flags DIR) IMAGE
//	docker run $(cat DIR/docker.flags) IMAGE
//
// Quotes in the output of a command substitution are not removed, so nothing
// can be quoted: what would not survive as one word is an error. Each flag is
// one word of the form --flag=value.
//
// The package sees no host. Whether a kernel knows a capability, and whether a
// profile is loaded, shows only when the container starts.
package caps

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"text/template"
	"unicode"
	"unicode/utf8"

	"github.com/profgen/profgen/gen/policy"
	"github.com/profgen/profgen/internal/abi"
	"github.com/profgen/profgen/templates"
)

// Options says what is named in the flags beside the capabilities.
type Options struct {
	// SeccompPath is where the engine's client finds the seccomp profile,
	// relative to where it is started. "" leaves the flag out, and with it the
	// engine's default profile in force.
	SeccompPath string

	// WithoutAppArmor leaves the AppArmor profile out, for hosts that have no
	// AppArmor: podman refuses to start a container there if one is named.
	WithoutAppArmor bool

	// Docker makes the flags docker's alone, where podman has none that says as
	// much.
	Docker bool
}

// Flags returns the arguments that run a container under p, in a fixed order:
// all capabilities dropped, the policy's own added back sorted by name,
// no-new-privileges, seccomp, AppArmor, then [RunFlags]. p.Capabilities may be in
// any order.
//
// no-new-privileges is always among them: without it the runtime loads the
// seccomp filter before it drops privileges, and needs more system calls under
// it (runc, libcontainer/standard_init_linux.go).
//
// A capability that is no CAP_* name of the kernel's, and a profile name or
// path that is not one shell word or that an engine takes for a keyword, is an
// error.
func Flags(p policy.Policy, o Options) ([]string, error) {
	names, err := boundingSet(p)
	if err != nil {
		return nil, err
	}
	flags := []string{"--cap-drop=ALL"}
	for _, name := range names {
		flags = append(flags, "--cap-add="+strings.TrimPrefix(name, "CAP_"))
	}
	flags = append(flags, "--security-opt=no-new-privileges")
	if o.SeccompPath != "" {
		if err := checkValue(o.SeccompPath); err != nil {
			return nil, fmt.Errorf("seccomp profile %q: %w", o.SeccompPath, err)
		}
		flags = append(flags, seccompFlag+o.SeccompPath)
	}
	if !o.WithoutAppArmor {
		if err := checkValue(p.Name); err != nil {
			return nil, fmt.Errorf("apparmor profile %q: %w", p.Name, err)
		}
		flags = append(flags, appArmorFlag+p.Name)
	}
	run, err := RunFlags(p.Run, o.Docker)
	if err != nil {
		return nil, err
	}
	return append(flags, run...), nil
}

// RenderFlags returns the file docker.flags: what [Flags] returns, one a line.
// It has no comments, because $(cat docker.flags) would pass them on as
// arguments.
func RenderFlags(p policy.Policy, o Options) ([]byte, error) {
	flags, err := Flags(p, o)
	if err != nil {
		return nil, err
	}
	return []byte(strings.Join(flags, "\n") + "\n"), nil
}

// RenderSet returns the file capabilities: the CAP_* names of p's bounding
// set, one a line, sorted. The empty set is one comment line that says so, so
// that nobody takes it for a file cut short.
func RenderSet(p policy.Policy) ([]byte, error) {
	names, err := boundingSet(p)
	if err != nil {
		return nil, err
	}
	var buf bytes.Buffer
	if err := listTemplate().Execute(&buf, names); err != nil {
		return nil, fmt.Errorf("fill capabilities template: %w", err)
	}
	return buf.Bytes(), nil
}

var listTemplate = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("capabilities").Parse(templates.Capabilities()))
})

// boundingSet returns the capabilities of p, sorted, each once.
func boundingSet(p policy.Policy) ([]string, error) {
	names := slices.Clone(p.Capabilities)
	slices.Sort(names)
	names = slices.Compact(names)
	for _, name := range names {
		if _, ok := abi.CapabilityNumber(name); !ok {
			return nil, fmt.Errorf("capability %q: not one of the kernel's (want a name such as CAP_CHOWN)", name)
		}
	}
	return names, nil
}

// notInWord are the bytes that end a shell word, or that make one expand to
// others, beside white space: the pattern characters of pathname expansion,
// which unquoted command substitutions undergo, and what means something to
// those who paste a flag into a command line.
const notInWord = "*?[]\\'\"`$&;|<>(){}!#~"

// checkValue refuses a value of a security option that is not one shell word,
// or that docker or podman would not take for a name or a path.
func checkValue(v string) error {
	if v == "" {
		return errors.New("empty; it needs a name")
	}
	// Engines read these as "no confinement" or "your default", whatever file
	// or profile is called so.
	if slices.Contains([]string{"unconfined", "builtin", "default"}, v) {
		return errors.New("an engine takes this for a keyword; use another name, or ./ before a path")
	}
	for _, r := range v {
		if !word(r) {
			return fmt.Errorf("contains %q, which a shell would not leave in one word; flags cannot be quoted, so rename or move it", r)
		}
	}
	return nil
}

// word reports whether r may stand in an unquoted shell word. The replacement
// character is refused because it is what bytes that are not UTF-8 read as.
func word(r rune) bool {
	return unicode.IsGraphic(r) && !unicode.IsSpace(r) && r != utf8.RuneError && !strings.ContainsRune(notInWord, r)
}
