//go:build linux && (amd64 || arm64)

package ebpf

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/abi"
	"github.com/profgen/profgen/internal/record"
)

// gaps returns what the programs could not keep or nobody can name.
func (s seen) gaps() []evidence.Gap {
	out := append(s.lossGaps(), s.unknownGaps()...)
	out = append(out, s.hiddenGaps()...)
	for _, c := range s.allCalls() {
		name, _ := c.arch().Name(c.Nr)
		if spec := argspec(c.arch(), name); spec.Kind == recorderArgsKindARGS_LISTEN || spec.Kind == recorderArgsKindARGS_BIND {
			if s.anyArgs(c) {
				out = append(out, evidence.Gap{
					Kind: evidence.Hidden, Where: c.where(),
					Detail: "not all ports could be listed: too many, or an address out of reach",
				})
			}
			continue
		}
		if _, isSocket := (recorderTuple{V: [4]uint64{sysSocket}}).socket(name); isSocket && s.anyArgs(c) {
			out = append(out, evidence.Gap{
				Kind:   evidence.Lost,
				Where:  c.where(),
				Detail: "not all sockets could be listed: too many kinds, or arguments out of reach",
			})
		}
	}
	return out
}

// refusals returns the calls that a seccomp filter refused, in order of phase,
// ABI and number.
func (s seen) refusals() []record.Refusal {
	refused := append(s.marked(func(set recorderSet) [3][512]uint8 { return set.Refused }), s.refused...)
	slices.SortFunc(refused, func(a, b recorderCall) int {
		return cmp.Or(cmp.Compare(a.Phase, b.Phase), cmp.Compare(a.Abi, b.Abi), cmp.Compare(a.Nr, b.Nr))
	})
	var out []record.Refusal
	for _, c := range refused {
		name, _ := c.arch().Name(c.Nr)
		out = append(out, record.Refusal{Arch: c.arch(), Nr: c.Nr, Name: name, Phase: phases(c.Phase)})
	}
	return out
}

// lossGaps returns a gap for every counter that is not zero.
func (s seen) lossGaps() []evidence.Gap {
	var out []evidence.Gap
	lost := func(count uint64, where, what string) {
		if count != 0 {
			out = append(out, evidence.Gap{Kind: evidence.Lost, Where: where, Detail: what, Count: count})
		}
	}
	lost(s.tally.LostTasks, "map tasks", "tasks that could not be followed, nor what they started")
	lost(s.tally.LostTuples, "map tuples", "arguments that did not fit; the calls are taken to have any")
	lost(s.tally.LostCalls, "map calls", "calls with numbers of 512 and more that did not fit")
	lost(s.tally.LostRefusals, "map refusals", "refused calls with numbers of 512 and more that did not fit")
	lost(s.tally.LostChecks, "map checks", "capability checks that did not fit")
	lost(s.tally.LostContainers, "map containers", "containers that did not fit: what is exec'd into them is not seen")
	lost(s.tally.LostLookups, "task storage", "events, of followed tasks or of others, that came while this kernel could not tell which: use Linux 6.2 or later")
	lost(s.tally.LostEvents+s.missed, "map events", "uses of files that came faster than they could be read, and did not come again")
	lost(s.tally.LostDrafts, "map drafts", "uses of files that came while another one was being looked at")
	lost(s.tally.LostNames, "names", "uses of files whose names were too long or out of reach")
	lost(s.tally.LostMeetings, "map meetings", "signals and traced processes that did not fit")
	if s.used != nil {
		lost(s.used.unresolved, "names", "uses of files whose names could not be resolved any more")
		lost(s.used.overflow, "files", fmt.Sprintf("uses of files beyond the %d that are kept", maxUses))
	}
	for name, n := range s.misses {
		lost(n, "program "+name, "events that the kernel skipped the program for")
	}
	return out
}

func (s seen) unknownGaps() []evidence.Gap {
	var out []evidence.Gap
	for _, c := range s.allCalls() {
		if _, ok := c.arch().Name(c.Nr); !ok {
			out = append(out, evidence.Gap{
				Kind:   evidence.UnknownSyscall,
				Where:  c.where(),
				Detail: "a system call that no table knows: from a newer kernel, or none at all",
			})
		}
	}
	for _, c := range s.checks {
		if _, ok := abi.CapabilityName(uint32(c.Cap)); !ok {
			out = append(out, evidence.Gap{
				Kind:   evidence.Lost,
				Where:  fmt.Sprintf("unknown capability %d", c.Cap),
				Detail: "a capability that no table knows: from a newer kernel",
			})
		}
	}
	return out
}

// hiddenGaps returns one gap for every ABI that io_uring was used through. Of a
// ring from before the recording, only its use is seen.
func (s seen) hiddenGaps() []evidence.Gap {
	var out []evidence.Gap
	if s.used != nil && slices.ContainsFunc(s.allCalls(), func(c recorderCall) bool { return c.Abi == recorderAbiABI_X32 }) {
		out = append(out, evidence.Gap{
			Kind: evidence.UnseenFiles, Where: string(abi.X32), Detail: "files that calls of that ABI use are not looked at",
		})
	}
	for _, name := range []string{"io_uring_setup", "io_uring_enter"} {
		for _, c := range s.allCalls() {
			hidden := func(g evidence.Gap) bool { return strings.HasPrefix(g.Where, string(c.arch())+" ") }
			if got, _ := c.arch().Name(c.Nr); got != name || slices.ContainsFunc(out, hidden) {
				continue
			}
			out = append(out, evidence.Gap{
				Kind:   evidence.Hidden,
				Where:  c.where(),
				Detail: "io_uring was used: files, sockets and capability checks that it works on do not show",
			})
		}
	}
	return out
}

// where names c for people: "x86_64 mkdir", or "x86_64 1000" if it has no name.
func (c recorderCall) where() string {
	if name, ok := c.arch().Name(c.Nr); ok {
		return fmt.Sprintf("%s %s", c.arch(), name)
	}
	return fmt.Sprintf("%s %d", c.arch(), int32(c.Nr))
}

// gaps returns what r could not have seen.
func (r *Recorder) gaps() []evidence.Gap {
	var out []evidence.Gap
	if !r.capsSeen {
		out = append(out, evidence.Gap{
			Kind:  evidence.UnseenCaps,
			Where: "tracepoint cap_capable, security_capable",
			Detail: fmt.Sprintf("capability checks are not seen; from Linux 6.14 on they can be in any case: tracepoint %v, trampoline %v, kprobe %v",
				r.missing[recorderProgOnCap], r.missing[recorderProgOnCapable], cmp.Or(r.missing[recorderProgOnCapableAsked], r.missing[recorderProgOnCapableAnswered])),
		})
	}
	if err, ok := r.missing[recorderProgOnSysExit]; ok {
		out = append(out, evidence.Gap{
			Kind:   evidence.Refused,
			Where:  "tracepoint sys_exit",
			Detail: fmt.Sprintf("calls that a filter already in force refuses are not seen: %v", err),
		})
	}
	out = append(out, r.fileGaps()...)
	if r.attached {
		out = append(out, evidence.Gap{
			Kind:   evidence.UnseenStart,
			Detail: "the workload ran before the recording: how it starts was not seen, and a call that it was in is seen when made again",
		})
	}
	return out
}

// fileGaps returns what r could not have seen of files.
func (r *Recorder) fileGaps() []evidence.Gap {
	if r.stream == nil {
		return []evidence.Gap{{
			Kind: evidence.UnseenFiles, Detail: "files were not looked at, nor programs, signals, traced processes and mounts",
		}}
	}
	var out []evidence.Gap
	if release := probe().release; older(release, 5, 17) {
		out = append(out, evidence.Gap{
			Kind: evidence.UnseenFiles, Where: "Linux " + release,
			Detail: "the dynamic linkers of programs are not seen, they can be from Linux 5.17 on",
		})
	}
	for _, name := range filePrograms() {
		if err, ok := r.missing[name]; ok {
			out = append(out, evidence.Gap{
				Kind: evidence.UnseenFiles, Where: "program " + name,
				Detail: fmt.Sprintf("not all uses of files are seen: %v", err),
			})
		}
	}
	return out
}
