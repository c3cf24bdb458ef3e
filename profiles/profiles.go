// Package profiles holds embedded data: what OCI runtimes need under a seccomp
// filter, the default seccomp profiles of Docker and Podman, Docker's AppArmor profile, and the
// capabilities that engines grant by default.
//
// It turns nothing into anything, and each row says where it is from. It does
// not see which runtime will be used: the caller chooses.
package profiles

import (
	"bytes"
	_ "embed" // the data
	"encoding/json"
	"fmt"
	"strings"
)

//go:generate go run mkdefault.go

//go:embed floors.json
var floorsJSON []byte

//go:embed docker-default.json
var dockerDefault []byte

//go:embed docker-default.version
var dockerDefaultVersion string

//go:embed docker-default-apparmor
var dockerAppArmor []byte

//go:embed docker-default-apparmor.version
var dockerAppArmorVersion string

//go:embed podman-default.json
var podmanDefault []byte

//go:embed podman-default.version
var podmanDefaultVersion string

// Floor is what an OCI runtime calls after it has loaded a container's seccomp
// filter and before the image's own program runs. A profile without these
// calls keeps the container from starting, or from being exec'd into, be it
// once in thirty times.
type Floor struct {
	Name            string   `json:"name"`            // to ask for it by: "runc-1.1"
	Runtime         string   `json:"runtime"`         // "runc", "crun"
	Versions        string   `json:"versions"`        // of the runtime, in words
	Exec            bool     `json:"exec"`            // for exec'ing into a container, in addition to the floor that starts it
	NoNewPrivileges bool     `json:"noNewPrivileges"` // under no_new_privs, which is when a runtime loads the filter last
	Syscalls        []string `json:"syscalls"`        // names, sorted
	Source          string   `json:"source"`          // how they were found
}

// Floors returns every floor, in the order of the file. The result is the
// caller's.
func Floors() ([]Floor, error) {
	var out []Floor
	dec := json.NewDecoder(bytes.NewReader(floorsJSON))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&out); err != nil {
		return nil, fmt.Errorf("floors.json: %w", err)
	}
	return out, nil
}

// FloorByName returns the floor of that name. The error for an unknown one
// lists those there are.
func FloorByName(name string) (Floor, error) {
	floors, err := Floors()
	if err != nil {
		return Floor{}, err
	}
	var names []string
	for _, f := range floors {
		if f.Name == name {
			return f, nil
		}
		names = append(names, f.Name)
	}
	return Floor{}, fmt.Errorf("runtime floor %q: unknown; want one of %s", name, strings.Join(names, ", "))
}

// DockerDefault returns Docker's default seccomp profile in Docker's dialect of
// JSON, and the version of github.com/moby/profiles/seccomp (Apache-2.0) that
// it was generated from. The bytes are the caller's.
func DockerDefault() (profile []byte, version string) {
	return bytes.Clone(dockerDefault), strings.TrimSpace(dockerDefaultVersion)
}

// DockerAppArmor returns the AppArmor profile docker-default, as Docker makes it on
// a host without AppArmor's own abstractions, which add nothing to it, and the
// version of github.com/moby/profiles/apparmor (Apache-2.0) that makes it. The
// bytes are the caller's.
func DockerAppArmor() (profile []byte, version string) {
	return bytes.Clone(dockerAppArmor), strings.TrimSpace(dockerAppArmorVersion)
}

// PodmanDefault returns Podman's default seccomp profile in Podman's dialect of
// JSON, and the version of github.com/containers/common (Apache-2.0) that it is
// from. The bytes are the caller's.
func PodmanDefault() (profile []byte, version string) {
	return bytes.Clone(podmanDefault), strings.TrimSpace(podmanDefaultVersion)
}

// DockerCapabilities returns the capabilities that Docker grants a container by
// default, sorted: daemon/pkg/oci/caps/defaults.go of github.com/moby/moby, as
// of August 2026.
func DockerCapabilities() []string {
	return []string{
		"CAP_AUDIT_WRITE", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_MKNOD",
		"CAP_NET_BIND_SERVICE", "CAP_NET_RAW", "CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_CHROOT",
	}
}

// PodmanCapabilities returns the capabilities that Podman grants a container by
// default, sorted: default_capabilities of containers.conf in
// github.com/containers/common v0.64.2, pkg/config.
func PodmanCapabilities() []string {
	return []string{
		"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_NET_BIND_SERVICE",
		"CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_CHROOT",
	}
}
