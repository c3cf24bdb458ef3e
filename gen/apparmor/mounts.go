package apparmor

import (
	"fmt"
	"slices"
	"strings"

	"github.com/profgen/profgen/gen/apparmor/syntax"
	"github.com/profgen/profgen/gen/policy"
)

// mountRules allows the policy's changes of mounts: apparmor.d(5), "Mount Rules".
func mountRules(p policy.Policy) (Group, error) {
	g := Group{Comment: "Mounts: these changes and no others."}
	for _, m := range p.Mounts {
		source, err := mountPoint(m.Source)
		if err != nil {
			return Group{}, err
		}
		target, err := mountPoint(m.Target)
		if err != nil {
			return Group{}, err
		}
		var r syntax.Item
		switch m.Op {
		case "mount":
			r = mount(m.FSType, mountOptions(m.Flags), source, target)
		case "umount":
			r = umount(target)
		case "pivot_root":
			r = pivotRoot(source, target)
		default: // of the newer calls the kernel asks for the whole of it
			r = mount("", nil, "", target)
		}
		g.Rules = append(g.Rules, r)
	}
	return g, nil
}

// mountPoint is a pattern for a path that may be a folder's or a file's.
func mountPoint(p string) (string, error) {
	if p == "" || p == "/" {
		return p, nil
	}
	if err := checkPath(p); err != nil {
		return "", fmt.Errorf("path %q: %w", p, err)
	}
	var b strings.Builder
	quoteText(&b, p)
	return `"` + b.String() + `{,/}"`, nil
}

// mountOptions are flags as options: a rule without any would be for all flags.
func mountOptions(flags []string) []string {
	if len(flags) == 0 {
		return []string{"rw"}
	}
	return slices.Clone(flags)
}

// signalNames are apparmor.d(5)'s for the signals up to 31; 0 asks whether a
// process is there.
func signalNames() []string {
	return strings.Fields(`exists hup int quit ill trap abrt bus fpe kill usr1 segv usr2 pipe alrm term stkflt chld
		cont stop stp ttin ttou urg xcpu xfsz vtalrm prof winch io pwr sys`)
}

// signalName returns AppArmor's name of a signal.
func signalName(n uint32) string {
	if names := signalNames(); int(n) < len(names) {
		return names[n]
	}
	return fmt.Sprintf("rtmin+%d", n-32)
}
