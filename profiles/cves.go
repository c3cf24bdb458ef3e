package profiles

import (
	"bytes"
	_ "embed" // the data
	"encoding/json"
	"fmt"
)

//go:embed cves.json
var cvesJSON []byte

// CVE is a hole in the kernel that programs got through by system calls. A
// profile blocks it if it blocks at least one call of each way.
type CVE struct {
	ID     string // "CVE-2022-0185"
	What   string
	Needs  [][]Use // ways, of which each needs all its calls
	Source string  // where it is described
}

// Use is a call that a way needs, with what its arguments have to be.
type Use struct {
	Arch  string // "" for the native ABI
	Call  string
	Given []Argument
}

// Argument is an argument by its bits under the mask.
type Argument struct {
	Index       uint
	Mask, Value uint64
}

// CVEs returns the table, by number. Each row is one whose way through a system
// call is documented; the numbers of families, protocols, options and commands
// are those of include/linux/socket.h, include/uapi/linux/netlink.h, keyctl.h,
// bpf.h, sched.h, asm-generic/socket.h, asm-generic/ioctls.h and watch_queue.h.
func CVEs() ([]CVE, error) {
	var rows []struct {
		ID    string
		What  string
		Needs [][]struct {
			Arch  string
			Call  string
			Given [][]uint64 // index, value; or index, mask, value
		}
	}
	dec := json.NewDecoder(bytes.NewReader(cvesJSON))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&rows); err != nil {
		return nil, fmt.Errorf("cves.json: %w", err)
	}
	var out []CVE
	for _, r := range rows {
		cve := CVE{ID: r.ID, What: r.What, Source: "https://nvd.nist.gov/vuln/detail/" + r.ID}
		for _, way := range r.Needs {
			var uses []Use
			for _, u := range way {
				use := Use{Arch: u.Arch, Call: u.Call}
				for _, g := range u.Given {
					switch len(g) {
					case 2:
						use.Given = append(use.Given, Argument{uint(g[0]), 0xffffffff, g[1]})
					case 3:
						use.Given = append(use.Given, Argument{uint(g[0]), g[1], g[2]})
					default:
						return nil, fmt.Errorf("cves.json: %s: argument of %d numbers", r.ID, len(g))
					}
				}
				uses = append(uses, use)
			}
			cve.Needs = append(cve.Needs, uses)
		}
		out = append(out, cve)
	}
	return out, nil
}
