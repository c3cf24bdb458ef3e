//go:build linux && (amd64 || arm64)

package usernotif

import (
	"fmt"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/record"
)

// Snapshot implements [record.Recorder]. Facts and gaps are in canonical order,
// each once. A call that turns out to be made with too many arguments to list
// is from then on one fact without arguments, in place of those listed before.
func (r *Recorder) Snapshot() (record.Snapshot, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return record.Snapshot{}, fmt.Errorf("take a snapshot: %w", errClosed)
	}
	r.forget()
	set := evidence.Set{Gaps: r.gaps()}
	for _, c := range r.seen.calls {
		set.Facts = append(set.Facts, c.facts()...)
	}
	for f := range r.seen.facts {
		set.Facts = append(set.Facts, f)
	}
	for _, m := range r.seen.mounts {
		set.Facts = append(set.Facts, m)
	}
	set = set.Normalize()
	return record.Snapshot{Facts: set.Facts, Gaps: set.Gaps}, nil
}

// facts returns what there is to say of a call: nothing if no table knows it.
func (c *call) facts() []evidence.Fact {
	if c.name == "" {
		return nil
	}
	var out []evidence.Fact
	fact := evidence.Syscall{Arch: c.id.arch, Nr: c.id.nr, Name: c.name, Phase: c.id.phase.evidence(), Basis: evidence.Observed}
	for v := range c.tuples {
		if s, ok := c.socket(v); ok {
			out = append(out, s)
		}
		if !c.any {
			fact.Args = c.listed(v)
			out = append(out, fact)
		}
	}
	if c.any || len(c.tuples) == 0 {
		fact.Args = nil
		out = append(out, fact)
	}
	return out
}

// listed returns the arguments that a tuple stands for.
func (c *call) listed(v [4]uint64) []evidence.Arg {
	if len(c.args) == 0 { // clone3, socketcall
		return []evidence.Arg{{Index: 0, Value: v[0]}}
	}
	var out []evidence.Arg
	for i, a := range c.args {
		out = append(out, evidence.Arg{Index: a.Index, Value: v[i]})
	}
	return out
}

// socket returns the socket that a tuple asks for, if it does.
func (c *call) socket(v [4]uint64) (evidence.Socket, bool) {
	asked := v[:3]
	switch c.name {
	case "socket", "socketpair":
		if len(c.args) == 0 {
			return evidence.Socket{}, false
		}
	case "socketcall":
		if v[0] != sysSocket && v[0] != sysSocketpair {
			return evidence.Socket{}, false
		}
		asked = v[1:]
	default:
		return evidence.Socket{}, false
	}
	return evidence.Socket{
		Family: uint32(asked[0]), Type: uint32(asked[1]), Protocol: uint32(asked[2]),
		Phase: c.id.phase.evidence(), Basis: evidence.Observed,
	}, true
}

// makesSockets reports whether c is a call whose sockets are listed.
func (c *call) makesSockets() bool {
	return c.name == "socket" || c.name == "socketpair" || c.name == "socketcall"
}

// opaque reports whether c was made with arguments that are not listed, or cannot
// have a list.
func (c *call) opaque() bool { return c.any || len(c.tuples) == 0 }
