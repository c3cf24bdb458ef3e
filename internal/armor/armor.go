// Package armor puts AppArmor profiles into force in the running kernel, and
// hears what the kernel refused because of them.
//
// It takes a kernel that enforces AppArmor, root, and apparmor_parser(8), which
// compiles profiles.
package armor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// policies is where the kernel lists the profiles in force, and takes others:
// Documentation/admin-guide/LSM/apparmor.rst, securityfs.
const policies = "/sys/kernel/security/apparmor"

// Profile is a profile in force.
type Profile struct {
	name    string
	foreign bool // it, or one of its name, was in force before
}

// Load puts the one profile that policy has, under its name, into force. One of
// the same name that is in force already is replaced, for whatever runs under it
// as well, as apparmor_parser --replace does.
func Load(ctx context.Context, name string, policy []byte) (*Profile, error) {
	loaded, err := inForce(name)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "apparmor_parser", "--replace", "--skip-cache", "--quiet")
	cmd.Stdin = bytes.NewReader(policy)
	out, err := cmd.CombinedOutput()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return nil, fmt.Errorf("load AppArmor profile %s: %w: apt-get install apparmor", name, err)
	case err != nil:
		return nil, fmt.Errorf("load AppArmor profile %s: apparmor_parser: %w: %.300s", name, err, bytes.TrimSpace(out))
	}
	if ok, err := inForce(name); err != nil || !ok {
		return nil, errors.Join(fmt.Errorf("load AppArmor profile %s: the policy that was loaded has none of that name", name), err)
	}
	return &Profile{name, loaded}, nil
}

// Close takes the profile out of force again, unless one of its name was before.
func (p *Profile) Close() error {
	if p.foreign {
		return nil
	}
	err := os.WriteFile(filepath.Join(policies, ".remove"), []byte(p.name), 0)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("unload AppArmor profile %s: %w", p.name, err)
	}
	return nil
}

// inForce reports whether there is a profile of a name, in whichever mode.
func inForce(name string) (bool, error) {
	list, err := os.ReadFile(filepath.Join(policies, "profiles"))
	if err != nil {
		return false, fmt.Errorf("list the AppArmor profiles in force: %w", err)
	}
	for line := range strings.Lines(string(list)) {
		if strings.HasPrefix(line, name+" (") {
			return true, nil
		}
	}
	return false, nil
}
