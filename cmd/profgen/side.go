package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/profgen/profgen/gen"
	"github.com/profgen/profgen/gen/apparmor/access"
	"github.com/profgen/profgen/gen/apparmor/syntax"
	"github.com/profgen/profgen/gen/seccomp"
	"github.com/profgen/profgen/internal/profiledir"
	"github.com/profgen/profgen/profiles"
)

// reviewed is what the user gave to be reviewed: a profile directory, a file of
// anybody's, or an engine's default by its name.
type reviewed struct {
	name         string
	seccompName  string // of the file
	seccompText  []byte
	seccomp      *seccomp.File
	armorName    string
	armorText    []byte
	armor        *syntax.File
	capabilities []string // nil if not given
}

// The defaults of engines, which go by their names.
const (
	dockerDefault = "docker-default"
	podmanDefault = "podman-default"
)

// review reads what an operand names.
func review(operand string) (reviewed, error) {
	out := reviewed{name: operand, seccompName: operand, armorName: operand}
	info, err := os.Stat(operand)
	switch {
	case errors.Is(err, fs.ErrNotExist) && operand == dockerDefault:
		out.seccompText, _ = profiles.DockerDefault()
		out.armorText, _ = profiles.DockerAppArmor()
		out.capabilities = profiles.DockerCapabilities()
	case errors.Is(err, fs.ErrNotExist) && operand == podmanDefault:
		out.seccompText, _ = profiles.PodmanDefault()
		out.capabilities = profiles.PodmanCapabilities()
	case err != nil:
		return reviewed{}, fmt.Errorf("%w; want a profile directory, a seccomp or AppArmor profile, %s or %s", err, dockerDefault, podmanDefault)
	case info.IsDir():
		parts, err := profiledir.ForReview(operand)
		if err != nil {
			return reviewed{}, err
		}
		out.seccompName, out.seccompText = filepath.Join(operand, gen.SeccompFile), parts.Seccomp
		out.armorName, out.armorText = filepath.Join(operand, gen.AppArmorFile), parts.AppArmor
		out.capabilities = parts.Capabilities
	default:
		text, err := profiledir.ReadFile(operand)
		if err != nil {
			return reviewed{}, err
		}
		if bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) {
			out.seccompText = text
		} else {
			out.armorText = text
		}
	}
	return out, out.parse()
}

func (r *reviewed) parse() error {
	if r.seccompText != nil {
		file, err := seccomp.ParseFile(r.seccompText)
		if err != nil {
			return fmt.Errorf("%s: %w", r.seccompName, err)
		}
		r.seccomp = file
	}
	if r.armorText != nil {
		file, err := syntax.Parse(r.armorText)
		if err != nil {
			return fmt.Errorf("%s: %w", r.armorName, err)
		}
		profile := func(n syntax.Node) bool { _, ok := n.Item.(syntax.Profile); return ok }
		if !slices.ContainsFunc(file.Body.Nodes, profile) {
			return fmt.Errorf("%s: neither a seccomp profile (a JSON object) nor an AppArmor profile", r.armorName)
		}
		r.armor = &file
	}
	return nil
}

// policyDir is where AppArmor keeps what profiles include.
const policyDir = "/etc/apparmor.d"

// includesFrom finds what profiles include below dir, and nowhere else.
func includesFrom(dir string) access.Includes {
	return func(path string) (syntax.File, bool, error) {
		name, ok := strings.CutPrefix(path, "<")
		name = strings.TrimSuffix(name, ">")
		if !ok || !filepath.IsLocal(name) {
			return syntax.File{}, false, nil
		}
		root, err := os.OpenRoot(dir)
		if err != nil {
			return syntax.File{}, false, nil // a host without AppArmor
		}
		defer root.Close()
		text, err := root.ReadFile(name)
		if err != nil {
			return syntax.File{}, false, nil
		}
		f, err := syntax.Parse(text)
		if err != nil {
			return syntax.File{}, false, fmt.Errorf("%s: %w", filepath.Join(dir, name), err)
		}
		return f, true, nil
	}
}
