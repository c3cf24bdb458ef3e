package caps

import (
	"fmt"
	"strings"

	"github.com/profgen/profgen/gen/policy"
)

// RunFlags returns the arguments for all that is no capability and no profile:
// namespaces, limits, user and file systems, in a fixed order. A path that is
// not one shell word is an error.
//
// Each flag means the same to docker and podman, unless they are docker's alone:
// podman knows no owner of a tmpfs, so that everybody may write to it. A container
// that gets a network is given the engine's own: which ports to publish is for
// the user to say.
func RunFlags(r policy.Run, docker bool) ([]string, error) {
	var flags []string
	if r.Network == policy.NoNetwork {
		flags = append(flags, "--network=none")
	}
	for _, p := range r.Listens {
		flags = append(flags, "--expose="+p.String())
	}
	if r.IPC != "" {
		flags = append(flags, "--ipc="+string(r.IPC), "--cgroupns=private")
	}
	flags = append(flags, limitFlags(r)...)
	if r.User.Name != "" {
		flags = append(flags, "--user="+r.User.Name)
	}
	for _, d := range r.Devices {
		flags = append(flags, fmt.Sprintf("--device=%s:%s:%s", d.Path, d.Path, d.Access))
	}
	if r.ReadOnly {
		flags = append(flags, "--read-only")
	}
	for _, t := range r.Tmpfs {
		if !docker {
			t = Ownerless(t)
		}
		flags = append(flags, "--tmpfs="+t.Path+":"+strings.Join(TmpfsOptions(t), ","))
	}
	for _, v := range r.Volumes {
		flags = append(flags, "--volume="+v)
	}
	for _, f := range flags {
		if err := checkFlag(f); err != nil {
			return nil, err
		}
	}
	return flags, nil
}

func limitFlags(r policy.Run) []string {
	var flags []string
	if n := r.Limits.Pids; n > 0 {
		flags = append(flags, fmt.Sprintf("--pids-limit=%d", n))
	}
	if n := r.Limits.Memory; n > 0 {
		flags = append(flags, "--memory="+Bytes(n))
	}
	if n := r.Limits.Files; n > 0 {
		flags = append(flags, fmt.Sprintf("--ulimit=nofile=%d:%d", n, n))
	}
	if n := r.Limits.Shm; n > 0 && r.IPC == policy.PrivateIPC {
		flags = append(flags, "--shm-size="+Bytes(n))
	}
	return flags
}

// Ownerless is a tmpfs for who cannot give it to a user: all may write to it.
func Ownerless(t policy.Tmpfs) policy.Tmpfs {
	if t.UID > 0 || t.GID > 0 {
		t.UID, t.GID, t.Mode = 0, 0, 0o1777
	}
	return t
}

// TmpfsOptions are the mount options of a tmpfs, as docker, podman and mount(8)
// have them.
func TmpfsOptions(t policy.Tmpfs) []string {
	options := []string{"rw", "nosuid", "nodev"}
	if t.Exec {
		options = append(options, "exec") // docker adds noexec to what says nothing
	} else {
		options = append(options, "noexec")
	}
	if t.Size > 0 {
		options = append(options, "size="+Bytes(t.Size))
	}
	if t.Mode > 0 {
		options = append(options, fmt.Sprintf("mode=%o", t.Mode))
	}
	if t.UID > 0 || t.GID > 0 {
		options = append(options, fmt.Sprintf("uid=%d", t.UID), fmt.Sprintf("gid=%d", t.GID))
	}
	return options
}

// Bytes is a number of bytes as engines and mount(8) read it, in the largest
// unit that divides it: 64m.
func Bytes(n uint64) string {
	units := []string{"", "k", "m", "g"}
	i := 0
	for ; n > 0 && n%1024 == 0 && i < len(units)-1; i++ {
		n /= 1024
	}
	return fmt.Sprintf("%d%s", n, units[i])
}

// checkFlag refuses a flag that would not come out of a shell as it went in.
func checkFlag(flag string) error {
	for _, r := range flag {
		if !word(r) {
			return fmt.Errorf("%q contains %q, which a shell would not leave in one word", flag, r)
		}
	}
	return nil
}
