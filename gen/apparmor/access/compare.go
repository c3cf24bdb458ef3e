package access

import (
	"encoding/binary"
	"slices"
	"strings"

	"github.com/profgen/profgen/gen/apparmor/aare"
)

// How exec can leave a profile, which only comparisons tell apart.
const (
	toOther      Perms = 1 << iota // p and c: to another profile
	toUnconfined                   // u: out of all
)

// leaves reads how the permission letters let a process leave its profile.
func leaves(perms string) Perms {
	var out Perms
	if strings.ContainsAny(perms, "pPcC") {
		out |= toOther
	}
	if strings.ContainsAny(perms, "uU") {
		out |= toUnconfined
	}
	return out
}

// Difference is one path about which two profiles differ.
type Difference struct {
	Path  string // the shortest there is, or one of them
	Owner bool   // of files that are the process's own only
	Perms string // what only one of them allows, by its letters; px and ux for exec that leaves the profile
}

// Comparison says what of the files of a profile b allows that a does not, and
// the reverse.
type Comparison struct {
	More, Less []Difference // at most a few examples, no two with the same permissions
	// Exact says that every path there can be was compared: the patterns of both
	// were run together through all states that they can reach. Otherwise they
	// were too many, and so many states were compared, the shortest paths first.
	Exact  bool
	States int
}

// maxStates bounds a comparison.
const maxStates = 60_000

// grant is a set of permissions, with those that only comparisons know.
type grant struct{ perms, leave Perms }

func (g grant) minus(o grant) grant { return grant{g.perms &^ o.perms, g.leave &^ o.leave} }

func (g grant) none() bool { return g.perms == 0 && g.leave == 0 }

func (g grant) String() string {
	out := g.perms.String()
	for _, x := range []struct {
		bit  Perms
		word string
	}{{toOther, "px"}, {toUnconfined, "ux"}} {
		if g.leave&x.bit != 0 {
			out = strings.TrimSpace(out + " " + x.word)
		}
	}
	return out
}

// Compare compares what a and b allow of files, as languages: whatever the
// patterns look like, only which paths they match counts. Hard links that are
// allowed to some targets only are taken for allowed.
func Compare(a, b *Profile) Comparison {
	c := comparison{sides: [2]*Profile{a, b}}
	var patterns []aare.Pattern
	for side, p := range c.sides {
		for i, r := range p.rules {
			if r.every {
				c.every[side] = append(c.every[side], r)
				continue
			}
			patterns = append(patterns, r.pattern)
			c.rules = append(c.rules, ruleOf{side, &p.rules[i]})
		}
	}
	c.automaton = aare.NewAutomaton(patterns)
	c.explore()
	return c.out
}

// ruleOf is a rule of a side.
type ruleOf struct {
	side int
	rule *rule
}

type comparison struct {
	sides     [2]*Profile
	every     [2][]rule
	rules     []ruleOf // by pattern
	automaton *aare.Automaton
	out       Comparison
	found     map[string]bool
}

// reached is a state, and how to get there.
type reached struct {
	state  aare.State
	before int32
	symbol byte
}

// explore visits the states of both profiles together, by the length of paths. No
// path has a slash after a slash.
func (c *comparison) explore() {
	c.found = map[string]bool{}
	todo := []reached{{c.automaton.Start(), -1, 0}}
	seen := map[string]bool{key(todo[0].state): true}
	symbols := c.automaton.Symbols()
	c.out.Exact = true
	for i := 0; i < len(todo); i++ {
		c.judge(todo, i)
		for k, symbol := range symbols {
			if symbol == '/' && todo[i].symbol == '/' {
				continue
			}
			next := c.automaton.Next(todo[i].state, k)
			id := key(next)
			if symbol == '/' { // what may follow is another matter
				id += "/"
			}
			if len(next) == 0 || seen[id] {
				continue
			}
			if len(todo) >= maxStates {
				c.out.Exact = false
				continue
			}
			seen[id] = true
			todo = append(todo, reached{next, int32(i), symbol})
		}
	}
	c.out.States = len(todo)
}

func key(s aare.State) string {
	b := make([]byte, 0, 4*len(s))
	for _, v := range s {
		b = binary.LittleEndian.AppendUint32(b, uint32(v))
	}
	return string(b)
}

// judge compares what both say of the path that leads to a state.
func (c *comparison) judge(all []reached, i int) {
	matched := c.automaton.Matches(all[i].state)
	if len(matched) == 0 && i > 0 {
		return
	}
	var got [2][2]grant // by side, by owner
	for side := range got {
		for owner := range got[side] {
			got[side][owner] = c.granted(side, owner == 1, matched)
		}
	}
	path := pathTo(all, i)
	c.note(&c.out.More, "more", path, got[1], got[0])
	c.note(&c.out.Less, "less", path, got[0], got[1])
}

// granted is what a side allows for a path that these patterns match.
func (c *comparison) granted(side int, owner bool, matched []int) grant {
	var allow, deny grant
	add := func(r *rule) {
		switch {
		case r.owner && !owner:
		case r.deny:
			deny.perms |= r.perms
			if r.perms&Exec != 0 {
				deny.leave |= toOther | toUnconfined
			}
		default:
			allow.perms |= r.perms
			allow.leave |= r.leaves
		}
	}
	for i := range c.every[side] {
		add(&c.every[side][i])
	}
	for _, m := range matched {
		if c.rules[m].side == side {
			add(c.rules[m].rule)
		}
	}
	return allow.minus(deny)
}

// note keeps what is in one and not in the other, once for each set of
// permissions.
func (c *comparison) note(out *[]Difference, way, path string, in, other [2]grant) {
	const most = 12
	anyone, owned := in[0].minus(other[0]), in[1].minus(other[1])
	for _, d := range []struct {
		grant
		owner bool
	}{{anyone, false}, {owned.minus(anyone), true}} {
		id := way + d.grant.String()
		if d.owner {
			id += " owner"
		}
		if d.none() || c.found[id] || len(*out) >= most {
			continue
		}
		c.found[id] = true
		*out = append(*out, Difference{path, d.owner, d.grant.String()})
	}
}

func pathTo(all []reached, i int) string {
	var path []byte
	for ; all[i].before >= 0; i = int(all[i].before) {
		path = append(path, all[i].symbol)
	}
	slices.Reverse(path)
	return string(path)
}
