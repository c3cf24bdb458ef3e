package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/abi"
)

// Options are the user's say in a decision.
type Options struct {
	// Name of the profile; "" derives one from the evidence's subject.
	Name string
	// Keep names system calls (clone3) and capabilities (CAP_CHOWN) to allow
	// whatever the evidence says; system calls with any arguments.
	Keep []string
	// Deny names system calls and capabilities to refuse whatever the evidence
	// says. A call that answers ENOSYS when nobody needs it still does.
	Deny []string
	// UnseenCapabilities are allowed in addition if the evidence says that
	// capability checks could not be seen.
	UnseenCapabilities []string
	// CapabilityCeiling is what static analysis may ask for: a capability that is
	// reachable and not in here takes a recording, or Keep, to be allowed.
	CapabilityCeiling []string
	// Tight allows what was observed, and not what is merely reachable.
	Tight bool
	// Relax makes rules for files of an image fit other images like it: RelaxLibs,
	// RelaxVersions.
	Relax []string
	// WritableRoot leaves the root file system writable, whatever is written to it.
	WritableRoot bool
	// AllowUnreachable makes a warning of [ErrNotReachable].
	AllowUnreachable bool
}

// Decide turns evidence into a policy. Allowed is what was observed or declared
// and, unless the options are tight, what is reachable; but of files, of which
// static analysis finds part only, what was observed. A tight policy never
// allows what one of the same evidence that is not tight refuses.
//
// It is an error if the evidence holds no system call of the workload itself,
// if what was observed is not reachable ([ErrNotReachable]), or if the options
// contradict each other or name what does not exist.
func Decide(set evidence.Set, opt Options) (Policy, error) {
	set = set.Normalize()
	d := decider{set: set, opt: opt, calls: map[string]*call{}, open: map[string][]string{}, bounds: newBounds(set)}
	if err := opt.Check(); err != nil {
		return Policy{}, err
	}
	d.collect()
	switch {
	case !d.workload && opt.Tight:
		return Policy{}, errors.New("the evidence holds no system call that the workload was seen to make, and a tight profile has no other; record the workload first")
	case !d.workload:
		return Policy{}, errors.New("the evidence holds no system call of the workload: nothing to make a profile from; record it again and see that it runs")
	}
	if err := d.checkLaw(); err != nil {
		return Policy{}, err
	}
	d.policy.Name = opt.Name
	if opt.Name == "" {
		d.policy.Name = deriveName(set.Subjects)
	}
	d.decideSyscalls()
	d.decideCapabilities()
	d.decideNetwork()
	uses := d.fileUses()
	d.decideFiles(uses)
	d.decideProcesses()
	d.decideMounts()
	d.decideNewer()
	d.decideRun()
	d.decideRoot(uses)
	d.compareBases()
	d.warnGaps()
	d.warnUnknowns()
	return d.sorted(), nil
}

// decider is the state of one decision.
type decider struct {
	set      evidence.Set
	opt      Options
	bounds   bounds
	arches   []abi.Arch
	calls    map[string]*call // by name: the ABIs of one profile share their rules
	workload bool             // there is a call of the workload itself to allow
	observed bool             // one was observed

	open       map[string][]string // calls that any process makes, allowed with any arguments: why → which
	namespaces bool                // clone or clone3 was seen, or may have been, called for namespaces
	unseen     []string            // capabilities allowed because their checks could not be seen
	policy     Policy
}

// collect gathers the allowed calls by name, each in the first block (in the
// order of Blocks) that needs it.
func (d *decider) collect() {
	for _, f := range d.set.Facts {
		f, ok := f.(evidence.Syscall)
		if !ok || f.Basis == evidence.Reachable && d.opt.Tight {
			continue
		}
		block := blockOf(f.Phase)
		if block == Workload {
			d.workload = true
			d.observed = d.observed || f.Basis == evidence.Observed
		}
		d.addArch(f.Arch)
		d.collectArgs(d.need(f.Name, block), f)
		if (f.Name == "clone" || f.Name == "clone3") && f.Basis != evidence.Reachable {
			flags, known := value(f.Args, 0)
			d.namespaces = d.namespaces || !known || flags&(namespaceFlags|newTime) != 0
		}
	}
}

// collectArgs takes in with which arguments f says that a call is made. Those
// that a recording did not look at are among those that the code can use, if it
// is known to be the image's code that made the call, and all of it is known.
func (d *decider) collectArgs(c *call, f evidence.Syscall) {
	c.needed = c.needed || f.Basis != evidence.Reachable
	block := blockOf(f.Phase)
	if block == Workload && f.Basis != evidence.Reachable {
		c.seen, c.seenArgs = true, append(c.seenArgs, f.Args)
	}
	reachable, bounded := d.bounds.argumentsOf(f)
	switch {
	case f.Basis == evidence.Reachable && narrow(f.Name, f.Args) == nil:
		c.unresolved = true
	case len(f.Args) > 0:
		c.uses = append(c.uses, use{block, f.Args})
	case block != Workload:
		c.openFor(reasons[block])
	case lookedAt(f.Name) || f.Basis != evidence.Observed:
		c.openFor(unrecorded)
	case bounded:
		for _, args := range reachable {
			c.uses = append(c.uses, use{block, args})
		}
	default:
		c.openFor(unlooked)
	}
}

func blockOf(p evidence.Phase) Block {
	switch p {
	case evidence.Runtime:
		return Floor
	case evidence.Exec:
		return Execd
	}
	return Workload
}

func (d *decider) need(name string, block Block) *call {
	c := d.calls[name]
	if c == nil {
		c = &call{block: block}
		d.calls[name] = c
	}
	order := Blocks()
	if slices.Index(order, block) < slices.Index(order, c.block) {
		c.block = block
	}
	return c
}

func (d *decider) addArch(a abi.Arch) {
	row, ok := a.Row()
	if !ok {
		return // the evidence codec lets none in
	}
	for _, a := range []abi.Arch{row.Native, a} {
		if !slices.Contains(d.arches, a) {
			d.arches = append(d.arches, a)
			slices.SortFunc(d.arches, func(a, b abi.Arch) int {
				return slices.Index(abi.Arches(), a) - slices.Index(abi.Arches(), b)
			})
		}
	}
}

// Check refuses names that no kernel has, names both kept and denied, and a
// name for the profile that cannot be one.
func (o Options) Check() error {
	if o.Name != "" && !validName.MatchString(o.Name) {
		return fmt.Errorf("profile name %q: want a letter, then at most 63 of [a-z0-9._-]", o.Name)
	}
	for _, r := range o.Relax {
		if r != RelaxLibs && r != RelaxVersions {
			return fmt.Errorf("relax %q: want %s or %s", r, RelaxLibs, RelaxVersions)
		}
	}
	for _, n := range slices.Concat(o.Keep, o.Deny) {
		if strings.HasPrefix(n, "CAP_") {
			if _, ok := abi.CapabilityNumber(n); !ok {
				return fmt.Errorf("capability %q: no kernel has it", n)
			}
		} else if !slices.ContainsFunc(abi.Arches(), func(a abi.Arch) bool { _, ok := a.Number(n); return ok }) {
			return fmt.Errorf("system call %q: no kernel has it (capabilities are spelled CAP_…)", n)
		}
		if slices.Contains(o.Keep, n) && slices.Contains(o.Deny, n) {
			return fmt.Errorf("%s: both kept and denied", n)
		}
	}
	return nil
}

func (d *decider) decide(subject string, allowed bool, format string, args ...any) {
	d.policy.Decisions = append(d.policy.Decisions, Decision{subject, allowed, fmt.Sprintf(format, args...)})
}

func (d *decider) warn(code, format string, args ...any) {
	d.policy.Warnings = append(d.policy.Warnings, Warning{code, fmt.Sprintf(format, args...)})
}

func (d *decider) denied(name string) bool { return slices.Contains(d.opt.Deny, name) }

func (d *decider) kept(name string) bool { return slices.Contains(d.opt.Keep, name) }

// warnGaps repeats the gaps that the policy had to live with.
func (d *decider) warnGaps() {
	for _, g := range d.set.Gaps {
		switch {
		case g.Incomplete():
			d.warn("incomplete", "made from incomplete evidence: %s", g)
		case g.Kind.Static(): // see warnUnknowns
		case g.Kind == evidence.UnseenCaps:
			d.warn("capabilities-unseen", "%s: allowed %s without evidence", g.Detail, listOrNone(d.unseen))
		case g.Kind == evidence.UnseenFiles: // see decideFiles
		case g.Kind == evidence.UnseenSockets: // see decideNetwork
		case g.Kind == evidence.Hidden, g.Kind == evidence.Interrupted, g.Kind == evidence.Killed:
			d.warn(string(g.Kind), "%s", g.Detail)
		default:
			d.warn("refused-before", "%s", g.Detail)
		}
	}
	if n := len(d.set.Subjects); n > 1 {
		d.warn("several-subjects", "the evidence is about %d different workloads; the profile allows what any of them needs", n)
	}
}

func listOrNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, " ")
}

func (d *decider) sorted() Policy {
	p := d.policy
	p.Arches = d.arches
	slices.SortFunc(p.Syscalls, compareRules)
	slices.Sort(p.NotPermitted)
	slices.Sort(p.Unavailable)
	slices.Sort(p.Capabilities)
	slices.SortFunc(p.Network, func(a, b Network) int {
		return strings.Compare(a.Family+" "+a.Type, b.Family+" "+b.Type)
	})
	slices.SortStableFunc(p.Decisions, func(a, b Decision) int { return strings.Compare(a.Subject, b.Subject) })
	byCode := func(a, b Warning) int { return strings.Compare(a.Code, b.Code) }
	slices.SortStableFunc(p.Warnings, byCode)
	slices.SortStableFunc(p.Run.Warnings, byCode)
	return p
}
