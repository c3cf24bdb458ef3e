package evidence

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/profgen/profgen/internal/abi"
)

// Witness is why one fact is known. It decides nothing: it is there for people
// who ask.
type Witness struct {
	// Of which fact: exactly one of Syscall and Capability is set. [AnyCapability]
	// stands for all capabilities, in a proof that none of them can be used.
	Syscall    string   `json:"syscall,omitempty"`
	Capability string   `json:"capability,omitempty"`
	Arch       abi.Arch `json:"arch"`
	Args       []Arg    `json:"args,omitempty"` // of the fact, if it is about a call with these
	Basis      Basis    `json:"basis"`

	Program string `json:"program,omitempty"` // whose code it is: the path in the image of what is exec'd, "usr/sbin/nginx"
	Tier    Tier   `json:"tier,omitempty"`
	// Path leads from an entry point of the program to the system call, in the
	// order of execution: the calls between functions, and last the site itself.
	Path   []Step `json:"path,omitempty"`
	Reason string `json:"reason,omitempty"` // in words, where there is no path: "USER 101, no set-user-ID or file-capability binary"
}

// AnyCapability is what a [Witness] that is about no one capability has.
const AnyCapability = "CAP_*"

// Tier is how sure it is that a program can get to a system call. The order of
// the constants is from sure to unsure.
type Tier string

const (
	Direct   Tier = "direct"   // by calls and jumps alone
	Indirect Tier = "indirect" // through an address that the program takes
	Plugin   Tier = "plugin"   // in an object that is loaded at run time
	Guessed  Tier = "fallback" // not found: put in the place of something unknown
)

// Tiers lists all tiers, from sure to unsure.
func Tiers() []Tier { return []Tier{Direct, Indirect, Plugin, Guessed} }

// Step is one call, or the system call, of a path.
type Step struct {
	Object   string `json:"object"`             // path in the image
	Function string `json:"function,omitempty"` // the symbol that the instruction belongs to; "" if unknown
	Offset   uint64 `json:"offset"`             // virtual address in the object of the instruction
}

// Bounds that keep a line within what Decode takes.
const (
	maxPath = 64  // steps
	maxStep = 160 // bytes of an object or function
)

func (w Witness) canonical() Witness {
	w.Args = sortedArgs(w.Args)
	w.Program, w.Reason = text(w.Program), text(w.Reason)
	path := w.Path
	if len(path) > maxPath { // the ends say more than the middle
		path = slices.Concat(path[:maxPath/2], path[len(path)-maxPath/2:])
	}
	w.Path = nil // for none, as it is decoded
	for _, s := range path {
		s.Object, s.Function = bounded(s.Object, maxStep), bounded(s.Function, maxStep)
		w.Path = append(w.Path, s)
	}
	return w
}

func (w Witness) key() string {
	about := fmt.Sprintf("1 %q", w.Capability)
	if nr, ok := w.Arch.Number(w.Syscall); ok {
		about = fmt.Sprintf("0 %10d", nr)
	}
	key := fmt.Appendf(nil, "%q %s %q%s ; %q %q %d %q %q %02d", w.Arch, about, w.Syscall, argsKey(w.Args),
		w.Basis, w.Program, slices.Index(Tiers(), w.Tier), w.Tier, w.Reason, len(w.Path))
	for _, s := range w.Path {
		key = appendQuoted(append(key, ' '), s.Object)
		key = appendQuoted(append(key, ' '), s.Function)
		key = fmt.Appendf(key, " %#016x", s.Offset)
	}
	return string(key)
}

// appendQuoted is strconv.AppendQuote, fast for what needs no escapes: a static
// analysis has some ten thousand steps, and each is in a key several times.
func appendQuoted(b []byte, s string) []byte {
	if plain(s) && !strings.ContainsAny(s, `"\`) {
		return append(append(append(b, '"'), s...), '"')
	}
	return strconv.AppendQuote(b, s)
}

func (w Witness) validate() error {
	if (w.Syscall == "") == (w.Capability == "") {
		return errors.New("witness: want a system call or a capability, and not both")
	}
	if _, ok := w.Arch.Row(); !ok {
		return fmt.Errorf("architecture %q: unknown", w.Arch)
	}
	if _, ok := w.Arch.Number(w.Syscall); !ok && w.Syscall != "" {
		return fmt.Errorf("witness: %s has no system call %q", w.Arch, w.Syscall)
	}
	if w.Capability != "" && w.Capability != AnyCapability && !capName.MatchString(w.Capability) {
		return fmt.Errorf("capability %q: want a name such as CAP_CHOWN", w.Capability)
	}
	if w.Tier != "" && !slices.Contains(Tiers(), w.Tier) {
		return fmt.Errorf("tier %q: want one of %q", w.Tier, Tiers())
	}
	if err := validateArgs(w.Args); err != nil {
		return fmt.Errorf("witness of %s: %w", w.Syscall, err)
	}
	return validate(Start, w.Basis)
}
