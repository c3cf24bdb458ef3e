package main

import (
	"github.com/profgen/profgen/gen/caps"
	"github.com/profgen/profgen/gen/policy"
	"github.com/profgen/profgen/internal/sandbox"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// boundsOf is what a plan says beside its profiles, for an OCI runtime.
func boundsOf(r policy.Run) *sandbox.Bounds {
	b := &sandbox.Bounds{
		User: r.User.Name, NoShm: r.IPC == policy.NoIPC, ReadOnly: r.ReadOnly, Volumes: r.Volumes,
		Pids: r.Limits.Pids, Memory: r.Limits.Memory, Files: r.Limits.Files, Shm: r.Limits.Shm,
	}
	for _, t := range r.Tmpfs {
		b.Tmpfs = append(b.Tmpfs, specs.Mount{Destination: t.Path, Type: "tmpfs", Source: "tmpfs", Options: caps.TmpfsOptions(t)})
	}
	for _, d := range r.Devices {
		b.Devices = append(b.Devices, sandbox.Device{Path: d.Path, Access: d.Access})
	}
	return b
}
