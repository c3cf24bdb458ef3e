package main

import (
	"cmp"
	"slices"
	"strings"

	"github.com/profgen/profgen/internal/abi"
)

// knownName returns the system call or capability that the user means:
// clone3, CAP_CHOWN, or CHOWN, which is no system call. For what no kernel has,
// the error names the nearest that one has.
func knownName(name string) (string, error) {
	var all []string
	for _, a := range abi.Arches() {
		all = append(all, a.Names()...)
	}
	all = append(all, abi.Capabilities()...)
	slices.Sort(all)
	all = slices.Compact(all)
	for _, spelling := range []string{name, capability(name)} {
		if slices.Contains(all, spelling) {
			return spelling, nil
		}
	}
	if near := nearest(strings.TrimSpace(name), all); len(near) > 0 {
		return "", usage("why: %q: no kernel has such a system call or capability; did you mean %s?", name, strings.Join(near, ", "))
	}
	return "", usage("why: %q: no kernel has such a system call or capability", name)
}

// nearest returns those of all that have name in them, or take the fewest edits
// to make of it, at most three, and none that has little to do with it.
func nearest(name string, all []string) []string {
	const longest, part = 64, 4
	if len(name) > longest {
		return nil
	}
	type candidate struct {
		name  string
		edits int
	}
	var out []candidate
	for _, n := range all {
		own := name
		if isCapability(n) {
			own = capability(name)
		}
		d := edits(own, n)
		if len(name) >= part && strings.Contains(n, name) {
			d = 1
		}
		if d <= max(1, len(name)/3) {
			out = append(out, candidate{n, d})
		}
	}
	slices.SortStableFunc(out, func(a, b candidate) int { return cmp.Compare(a.edits, b.edits) })
	var names []string
	for _, c := range out[:min(len(out), 3)] {
		if c.edits <= out[0].edits+1 {
			names = append(names, c.name)
		}
	}
	return names
}

// edits is the Levenshtein distance: how many bytes to insert, remove or
// replace to make b of a.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
