package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/profgen/profgen/gen/evidence"
)

// summarizeUse tells in a line what the workload was seen to use.
func summarizeUse(w io.Writer, set evidence.Set) {
	use := useOf(set)
	var words []string
	for _, kind := range resourceKinds() {
		if all := use[kind]; len(all) > 0 {
			words = append(words, inWords(kind, all))
		}
	}
	if len(words) > 0 {
		fmt.Fprintf(w, "  used          %s\n", strings.Join(words, ", "))
	}
}

func resourceKinds() []evidence.ResourceKind {
	return []evidence.ResourceKind{
		evidence.Pids, evidence.Memory, evidence.Files, evidence.Shm, evidence.TCPPort, evidence.UDPPort,
	}
}

// useOf returns, of each resource, the values that the evidence has: of ports
// each, sorted, and of all others the largest.
func useOf(set evidence.Set) map[evidence.ResourceKind][]uint64 {
	out := map[evidence.ResourceKind][]uint64{}
	for _, f := range set.Facts {
		if f, ok := f.(evidence.Resource); ok {
			out[f.Kind] = append(out[f.Kind], f.Value)
		}
	}
	for kind, all := range out {
		slices.Sort(all)
		out[kind] = slices.Compact(all)
		if kind != evidence.TCPPort && kind != evidence.UDPPort {
			out[kind] = all[len(all)-1:]
		}
	}
	return out
}

// inWords says what was used of a resource. Peaks are rounded up.
func inWords(kind evidence.ResourceKind, all []uint64) string {
	switch kind {
	case evidence.Pids:
		return fmt.Sprintf("%d tasks", all[0])
	case evidence.Memory:
		return size(all[0]) + " of memory"
	case evidence.Files:
		return fmt.Sprintf("%d file descriptors", all[0])
	case evidence.Shm:
		return size(all[0]) + " of shared memory"
	}
	ports := make([]string, len(all))
	for i, p := range all {
		ports[i] = fmt.Sprint(p)
	}
	protocol, _, _ := strings.Cut(string(kind), "-")
	return protocol + " port " + strings.Join(ports, " ")
}

// size is a number of bytes in the largest unit that leaves at least one.
func size(n uint64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	f, i := float64(n), 0
	for ; f >= 1024 && i < len(units)-1; i++ {
		f /= 1024
	}
	return fmt.Sprintf("%.3g %s", f, units[i])
}
