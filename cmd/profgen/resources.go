package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/gen/policy"
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

// flagOf is the flag of docker run, and podman run, that has to do with a
// resource.
func flagOf(kind evidence.ResourceKind) string {
	return map[evidence.ResourceKind]string{
		evidence.Pids: "--pids-limit", evidence.Memory: "--memory", evidence.Files: "--ulimit nofile", evidence.Shm: "--shm-size",
		evidence.TCPPort: "--expose, --publish", evidence.UDPPort: "--expose, --publish",
	}[kind]
}

// resourcesNamed returns the resources that the user means: one by its kind, or
// all; none if the name is of something else.
func resourcesNamed(name string) []evidence.ResourceKind {
	all := resourceKinds()
	if name == "resources" {
		return all
	}
	return slices.DeleteFunc(all, func(k evidence.ResourceKind) bool { return string(k) != name })
}

// resourceUse is what evidence says of a resource, and the policy of it, for
// programs to read.
type resourceUse struct {
	Kind      evidence.ResourceKind `json:"kind"`
	Flag      string                `json:"flag"`   // of docker run
	Values    []uint64              `json:"values"` // of ports all, of others the most
	Decisions []policy.Decision     `json:"decisions"`
	Seen      []useSeen             `json:"seen"`
}

type useSeen struct {
	Value uint64         `json:"value"`
	Phase evidence.Phase `json:"phase"`
	Runs  int            `json:"runs"` // that saw it; 0 if it is not told
}

// uses returns what set and decided say of resources.
func uses(set evidence.Set, decided policy.Policy, kinds []evidence.ResourceKind) []resourceUse {
	all, out := useOf(set), []resourceUse{}
	for _, kind := range kinds {
		u := resourceUse{
			Kind: kind, Flag: flagOf(kind), Values: append([]uint64{}, all[kind]...), Decisions: []policy.Decision{}, Seen: []useSeen{},
		}
		for _, d := range decided.Decisions {
			protocol, isPort := strings.CutSuffix(string(kind), "-port")
			if d.Subject == "limit "+string(kind) || isPort && strings.HasPrefix(d.Subject, "port ") && strings.HasSuffix(d.Subject, "/"+protocol) {
				u.Decisions = append(u.Decisions, d)
			}
		}
		for _, s := range set.Sightings() {
			if f, ok := s.Fact.(evidence.Resource); ok && f.Kind == kind {
				u.Seen = append(u.Seen, useSeen{f.Value, f.Phase, len(s.In)})
			}
		}
		out = append(out, u)
	}
	return out
}

// printUses writes them for people.
func printUses(w io.Writer, set evidence.Set, all []resourceUse) {
	for _, u := range all {
		if len(u.Values) == 0 {
			fmt.Fprintf(w, "%s: none was seen in use\n", u.Kind)
			continue
		}
		fmt.Fprintf(w, "%s: %s (%s)\n", u.Kind, inWords(u.Kind, u.Values), u.Flag)
		for _, d := range u.Decisions {
			fmt.Fprintf(w, "  %s: %s\n", d.Subject, d.Reason)
		}
		for _, s := range u.Seen {
			runs := ""
			if s.Runs > 0 {
				runs = fmt.Sprintf("  in %d of %d runs", s.Runs, len(set.Runs))
			}
			fmt.Fprintf(w, "  seen  %s  %s%s\n", s.Phase, inWords(u.Kind, []uint64{s.Value}), runs)
		}
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
