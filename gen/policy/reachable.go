package policy

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/abi"
)

// ErrNotReachable says that a recording saw what static analysis holds for
// impossible: Observed ∖ Reachable is not empty. One of the two is wrong.
var ErrNotReachable = errors.New("observed but not reachable")

// bounds is what static analysis says the image can do.
type bounds struct {
	calls   map[abi.Arch]map[string]*bound
	natives []abi.Arch // native ABIs of the code that was analysed
	// sameImage says that all of the evidence is about one image, so that what was
	// observed is to be measured by what is reachable.
	sameImage bool
	// open are the gaps in which code may run that was not analysed.
	open []evidence.Gap
}

// bound is with which arguments one call can be made: any, or one of args.
type bound struct {
	any  bool
	args [][]evidence.Arg
}

func newBounds(set evidence.Set) bounds {
	b := bounds{calls: map[abi.Arch]map[string]*bound{}, sameImage: oneImage(set.Subjects)}
	for _, f := range set.Facts {
		if f, ok := f.(evidence.Syscall); ok && f.Basis == evidence.Reachable {
			b.add(f)
		}
	}
	for _, g := range set.Gaps {
		if g.Open() {
			b.open = append(b.open, g)
		}
	}
	return b
}

func (b *bounds) add(f evidence.Syscall) {
	of := b.calls[f.Arch]
	if of == nil {
		of = map[string]*bound{}
		b.calls[f.Arch] = of
		row, _ := f.Arch.Row()
		b.natives = append(b.natives, row.Native)
	}
	if of[f.Name] == nil {
		of[f.Name] = &bound{}
	}
	if len(f.Args) == 0 {
		of[f.Name].any = true
	}
	of[f.Name].args = append(of[f.Name].args, f.Args)
}

// complete reports whether nothing can happen that static analysis has not
// found.
func (b bounds) complete() bool { return len(b.calls) > 0 && b.sameImage && len(b.open) == 0 }

// argumentsOf returns every way in which the image can make the call; false if
// that is not known.
func (b bounds) argumentsOf(f evidence.Syscall) ([][]evidence.Arg, bool) {
	of := b.calls[f.Arch][f.Name]
	if of == nil || of.any || !b.complete() {
		return nil, false
	}
	return of.args, true
}

// oneImage reports whether all subjects are of one image.
func oneImage(subjects []evidence.Subject) bool {
	return !slices.ContainsFunc(subjects, func(s evidence.Subject) bool { return !s.SameImage(subjects[0]) })
}

// elsewhere are calls made by code that no image holds: the vDSO, see
// kernelCalls, and what the kernel lays into a process that the host probes
// (uprobes, include/linux/uprobes.h).
var elsewhere = []string{"uretprobe", "uprobe"}

// checkLaw holds Observed ⊆ Reachable ∪ Gaps. What the OCI runtime did and what
// was exec'd into the container is not the image's, and not measured.
func (d *decider) checkLaw() error {
	if len(d.bounds.calls) == 0 {
		return nil
	}
	if !d.bounds.sameImage {
		if d.observed {
			d.warn("several-images", "the evidence is about several images: whether all that was observed is reachable could not be checked")
		}
		return nil
	}
	d.warnArguments()
	unreachable := d.unreachable()
	if len(unreachable) == 0 {
		return nil
	}
	what := strings.Join(unreachable, ", ")
	switch {
	case len(d.bounds.open) > 0:
		d.warn("not-reachable", "%s: %s; what static analysis could not see may be why: %s", ErrNotReachable, what, list(d.bounds.open))
	case d.opt.AllowUnreachable:
		d.warn("not-reachable", "%s: %s; the static analysis is wrong, or the recording ran another program", ErrNotReachable, what)
	default:
		return fmt.Errorf("%w: %s: either the recording ran another program than was scanned, or this is a bug in profgen: please report it with the evidence", ErrNotReachable, what)
	}
	return nil
}

// unreachable returns the calls that were observed and are not reachable,
// "keyctl (x86_64)".
func (d *decider) unreachable() []string {
	out := map[string]bool{}
	for _, f := range d.set.Facts {
		f, ok := f.(evidence.Syscall)
		if !ok || f.Basis != evidence.Observed || blockOf(f.Phase) != Workload {
			continue
		}
		row, _ := f.Arch.Row()
		measured := slices.Contains(d.bounds.natives, row.Native) && !slices.Contains(slices.Concat(kernelCalls, elsewhere), f.Name)
		if measured && d.bounds.calls[f.Arch][f.Name] == nil {
			out[fmt.Sprintf("%s (%s)", f.Name, f.Arch)] = true
		}
	}
	return slices.Sorted(maps.Keys(out))
}

// warnArguments holds the law for the arguments of calls that are reachable.
// Both bases are allowed, so that it takes no more than a warning.
func (d *decider) warnArguments() {
	for _, f := range d.set.Facts {
		f, ok := f.(evidence.Syscall)
		if !ok || f.Basis != evidence.Observed || blockOf(f.Phase) != Workload || len(f.Args) == 0 {
			continue
		}
		reachable, known := d.bounds.argumentsOf(f)
		did := narrow(f.Name, f.Args)
		can := func(args []evidence.Arg) bool { return includes(narrow(f.Name, args), did) }
		if known && !slices.ContainsFunc(reachable, can) {
			d.warn("arguments-not-reachable", "%s: %s%s; the static analysis is wrong, or the recording ran another program", ErrNotReachable, f.Name, describe(did))
		}
	}
}

// compareBases says what static analysis adds to a recording, or that there is
// none.
func (d *decider) compareBases() {
	var more []string // reachable, and not needed for anything that was seen
	for _, of := range d.bounds.calls {
		for name := range of {
			if c := d.calls[name]; c == nil || !c.needed {
				more = append(more, name)
			}
		}
	}
	slices.Sort(more)
	more = slices.DeleteFunc(slices.Compact(more), func(name string) bool { return name == "clone3" || d.denied(name) })
	switch {
	case len(more) == 0:
	case d.opt.Tight:
		for _, name := range more {
			d.decide(name, false, "the image's code can reach it, but was never seen to: left out, to keep only what was observed")
		}
	case d.observed:
		d.warn("never-observed", "allowed only because the image's code can reach them, and never seen in a recording (--tight leaves them out), %d: %s", len(more), strings.Join(more, " "))
	default:
		d.warn("static-only", "nothing was recorded: the profile allows all system calls that the image's code can reach, %d; recording into the same directory shows which are used, and --tight then keeps only those", len(more))
	}
}

// list names the first few gaps.
func list(gaps []evidence.Gap) string {
	const most = 3
	var out []string
	for _, g := range gaps[:min(len(gaps), most)] {
		out = append(out, g.String())
	}
	if len(gaps) > most {
		out = append(out, fmt.Sprintf("and %d more", len(gaps)-most))
	}
	return strings.Join(out, "; ")
}

// unknowns says in front of the gaps of a kind what they are.
var unknowns = map[evidence.GapKind]string{
	evidence.UnresolvedSyscall: "system calls whose number could not be derived",
	evidence.UnresolvedDlopen:  "libraries loaded by a name that could not be derived",
	evidence.UnresolvedExec:    "programs may be started that are not known",
	evidence.Interpreter:       "program text was not analysed, only what interprets it",
	evidence.Unreadable:        "code that could not be read, and cannot run",
	evidence.ForeignABI:        "code of another ABI was not analysed",
}

// warnUnknowns repeats what static analysis could not see, in one sentence for
// each kind.
func (d *decider) warnUnknowns() {
	kinds := map[evidence.GapKind][]evidence.Gap{}
	for _, g := range d.set.Gaps {
		if g.Kind.Static() && !g.Incomplete() {
			kinds[g.Kind] = append(kinds[g.Kind], g)
		}
	}
	for kind, gaps := range kinds {
		if kind != evidence.UnresolvedArgument {
			d.warn(string(kind), "%s: %s", unknowns[kind], list(gaps))
			continue
		}
		names := map[string]bool{}
		for _, g := range gaps {
			names[g.Syscall] = true
		}
		delete(names, "")
		d.warn(string(kind), "sites where the arguments of a call could not be derived from the code, %d: %s", len(gaps), listOrNone(slices.Sorted(maps.Keys(names))))
	}
}
