//go:build linux && (amd64 || arm64)

package ebpf

import (
	"regexp"
	"strconv"

	"github.com/profgen/profgen/gen/evidence"
)

// Flags of events.
const (
	recorderFileMounted  = 2
	recorderFileCreated  = 4
	recorderFileEnclosed = 8
	recorderFileHome     = 16
	recorderFileOfOurs   = 32
)

var otherProc = regexp.MustCompile(`^/proc/[0-9]+/(task/[0-9]+/)?$`)

// procFiles are the files of a process that the kernel opens only for those who
// may trace it, with the access that it asks for: fs/proc/base.c, task_mmu.c.
var procFiles = map[string]string{
	"auxv": "read", "environ": "read", "maps": "read", "smaps": "read", "smaps_rollup": "read", "numa_maps": "read",
	"pagemap": "read", "map_files": "read", "mem": "trace",
}

func number(n uint32) string { return strconv.FormatUint(uint64(n), 10) }

// fact is a meeting as evidence has it.
func (m recorderMeeting) fact() evidence.Fact {
	peer := []evidence.Peer{evidence.Itself, evidence.Within, evidence.Outside}[min(m.Peer, 2)]
	if m.How == 0 {
		return evidence.Signal{Number: m.Number, Peer: peer, Phase: phases(m.Phase), Basis: evidence.Observed}
	}
	access := "read"
	if m.How == 2 {
		access = "trace"
	}
	return evidence.Ptrace{Access: access, Peer: peer, Phase: phases(m.Phase), Basis: evidence.Observed}
}
