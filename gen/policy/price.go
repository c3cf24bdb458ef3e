package policy

import (
	"slices"

	"github.com/profgen/profgen/gen/evidence"
)

// What names of an image's files can be relaxed by, so that a profile fits other
// images of the kind.
const (
	RelaxLibs     = "libs"     // any shared object in a folder of which one was used
	RelaxVersions = "versions" // any number in the place of one
)

// Price is what a rule with a pattern admits beyond what was asked for.
type Price struct {
	Rule  string   // for people
	Perms string   // of it
	Files []string // of the image, never used by the workload: sorted
}

// Prices returns what each rule with a pattern admits of an image's files, which
// are absolute paths, beside those that the evidence has.
func Prices(p Policy, set evidence.Set, image []string) []Price {
	used := map[string]bool{}
	for _, f := range set.Facts {
		if f, ok := f.(evidence.FileAccess); ok && f.Basis != evidence.Reachable {
			used[string(f.Path)] = true
		}
	}
	var out []Price
	for _, r := range p.Files.Rules {
		if !r.Name.Pattern() {
			continue
		}
		price := Price{Rule: r.String(), Perms: r.Perms}
		for _, f := range image {
			if r.Name.Matches(f) && !used[f] {
				price.Files = append(price.Files, f)
			}
		}
		slices.Sort(price.Files)
		out = append(out, price)
	}
	return out
}
