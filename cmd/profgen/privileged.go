package main

import (
	"context"
	"fmt"
	"io/fs"
	"slices"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/abi"
	"github.com/profgen/profgen/internal/image"
	"github.com/profgen/profgen/internal/record"
	"github.com/profgen/profgen/internal/sandbox"
)

// ofImage is what a recording says of the image itself beside what its workload
// did: which of its files raise who runs them. Of what an engine or the host
// holds nothing is looked at.
func ofImage(ctx context.Context, run record.Run) (evidence.Set, error) {
	ct, ok := run.Target.(*sandbox.Container)
	if !ok || ct.Image == nil {
		return evidence.Set{}, nil
	}
	raised, err := ct.Image.Privileged(context.WithoutCancel(ctx)) // an interrupt ends a recording, and loses nothing
	if err != nil {
		return evidence.Set{}, fmt.Errorf("look for set-user-ID files and file capabilities: %w", err)
	}
	return evidence.Set{Facts: privilegedFacts(raised)}, nil
}

// privilegedFacts are files of an image as evidence. What the kernel takes for no
// file capabilities is none, and what no process can name is left out.
func privilegedFacts(raised []image.Privileged) []evidence.Fact {
	var out []evidence.Fact
	for _, p := range raised {
		f := evidence.Privileged{
			Path: evidence.Path("/" + p.Name), UID: uint32(p.UID), GID: uint32(p.GID), SetUID: p.Mode&fs.ModeSetuid != 0,
			SetGID: p.Mode&fs.ModeSetgid != 0 && p.Mode&0o010 != 0, // else it is a lock: inode(7)
		}
		if caps, err := abi.ParseFileCapabilities(p.Capability); err == nil {
			f.Permitted, _ = abi.CapabilityNames(caps.Permitted)
			slices.Sort(f.Permitted)
			f.Effective = caps.Effective && len(f.Permitted) > 0
		}
		const longest = 4096 // PATH_MAX
		if len(f.Path) < longest && (f.SetUID || f.SetGID || len(f.Permitted) > 0) {
			out = append(out, f)
		}
	}
	return out
}
