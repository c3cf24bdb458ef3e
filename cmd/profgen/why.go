package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/profgen/profgen/gen"
	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/gen/policy"
	"github.com/profgen/profgen/internal/abi"
	"github.com/profgen/profgen/internal/profiledir"
)

func whyCommand() *cli.Command {
	return &cli.Command{
		Name:      "why",
		Usage:     "say why a system call, capability or file is allowed or not",
		ArgsUsage: "DIR NAME",
		Description: "NAME is a system call (clone3), a capability (CAP_CHOWN), a file (/etc/passwd) or a resource\n" +
			"(pids, memory, nofile, shm, tcp-port, udp-port, or resources for all). Of a resource is\n" +
			"printed what was seen in use, and how it is limited, in which flag of docker run. Of the\n" +
			"others are printed what was decided, what a recording saw, and how the image's code can\n" +
			"get there: the shortest path from a program's entry to the system call, one call a line.\n\n" +
			"The profile is decided anew: give the options that it was generated with.",
		Flags: append([]cli.Flag{
			&cli.BoolFlag{Name: "json", Usage: "print all that is known, as JSON"},
		}, generateFlags()...),
		OnUsageError: onUsageError,
		Action:       whyAction,
	}
}

func whyAction(c *cli.Context) error {
	if c.NArg() != 2 {
		return usage("why: want two arguments, DIR and NAME; got %d", c.NArg())
	}
	dir := c.Args().First()
	if kinds := resourcesNamed(c.Args().Get(1)); len(kinds) > 0 {
		return whyResources(c, dir, kinds)
	}
	name, err := c.Args().Get(1), error(nil)
	if !strings.HasPrefix(name, "/") {
		if name, err = knownName(name); err != nil {
			return err
		}
	}
	set, decided, err := decideAnew(c, dir)
	if err != nil {
		return err
	}
	var a interface{ print(io.Writer) } = explainName(name, set, decided)
	if strings.HasPrefix(name, "/") {
		a = explainFile(name, set, decided)
	}
	if c.Bool("json") {
		return printJSON(c.App.Writer, a)
	}
	a.print(c.App.Writer)
	return nil
}

// decideAnew decides the profile of dir, with the options given.
func decideAnew(c *cli.Context, dir string) (evidence.Set, policy.Policy, error) {
	set, err := profiledir.Evidence(dir)
	if err != nil {
		return set, policy.Policy{}, err
	}
	opt := generateOptions(c)
	opt.AllowIncomplete = true // whatever was decided, and however, is to be explained
	bundle, err := gen.Generate(set, opt)
	if err != nil {
		return set, policy.Policy{}, err
	}
	stale, err := profiledir.Differ(dir, bundle)
	if err != nil {
		return set, policy.Policy{}, err
	}
	if slices.Contains(stale, gen.SeccompFile) || slices.Contains(stale, gen.CapabilitiesFile) {
		fmt.Fprintf(c.App.ErrWriter, "note: the files in %s were not made from its evidence with these options; what follows is about a profile that would be\n", dir)
	}
	return set, bundle.Policy, nil
}

// whyResources says what was seen of resources, and how they are limited.
func whyResources(c *cli.Context, dir string, kinds []evidence.ResourceKind) error {
	set, decided, err := decideAnew(c, dir)
	if err != nil {
		return err
	}
	all := uses(set, decided, kinds)
	if c.Bool("json") {
		return printJSON(c.App.Writer, all)
	}
	printUses(c.App.Writer, set, all)
	return nil
}

// answer is all there is to say of one system call or capability.
type answer struct {
	Name      string             `json:"name"`
	Allowed   bool               `json:"allowed"`
	Otherwise string             `json:"otherwise,omitempty"` // what happens where it is not allowed
	Decisions []policy.Decision  `json:"decisions"`
	Observed  []seen             `json:"observed"` // each fact once, with all its phases
	Reachable []seen             `json:"reachable"`
	Witnesses []evidence.Witness `json:"witnesses"` // the best first
	Sources   []evidence.Source  `json:"sources"`
	Gaps      []evidence.Gap     `json:"gaps"`
}

// seen is a fact without its phase.
type seen struct {
	Arch   abi.Arch         `json:"arch"`
	Args   []evidence.Arg   `json:"args,omitempty"`
	Check  string           `json:"check,omitempty"` // of a capability: in which call, and with what result
	Phases []evidence.Phase `json:"phases"`
}

// explainName gathers what set and p say of a name.
func explainName(name string, set evidence.Set, p policy.Policy) answer {
	a := answer{
		Name: name, Sources: set.Sources, Decisions: []policy.Decision{}, Observed: []seen{}, Reachable: []seen{},
		Witnesses: []evidence.Witness{}, Gaps: []evidence.Gap{}, // none is [] in JSON
	}
	for _, d := range p.Decisions {
		about := d.Subject == name || strings.HasPrefix(d.Subject, name+" ") ||
			d.Subject == evidence.AnyCapability && isCapability(name) ||
			strings.HasPrefix(d.Subject, "network") && (name == "socket" || name == "socketpair")
		if about {
			a.Decisions = append(a.Decisions, d)
		}
	}
	for _, f := range set.Facts {
		a.addFact(f)
	}
	for _, w := range set.Witnesses {
		if w.Syscall == name || w.Capability == name || w.Capability == evidence.AnyCapability && isCapability(name) {
			a.Witnesses = append(a.Witnesses, w)
		}
	}
	slices.SortStableFunc(a.Witnesses, func(x, y evidence.Witness) int {
		tier := func(w evidence.Witness) int { return slices.Index(evidence.Tiers(), w.Tier) }
		if tier(x) != tier(y) {
			return tier(x) - tier(y)
		}
		return len(x.Path) - len(y.Path)
	})
	a.decide(p)
	for _, g := range set.Gaps {
		about := g.Syscall == name || slices.Contains(strings.Fields(g.Where), name) || g.Kind == evidence.UnseenCaps && isCapability(name)
		if about || !a.Allowed && (g.Open() || g.Incomplete()) {
			a.Gaps = append(a.Gaps, g)
		}
	}
	return a
}

// addFact adds a fact to the answer if it is about its name.
func (a *answer) addFact(f evidence.Fact) {
	switch f := f.(type) {
	case evidence.Syscall:
		if f.Name == a.Name {
			a.add(f.Basis, f.Phase, seen{Arch: f.Arch, Args: f.Args})
		}
	case evidence.Capability:
		if f.Cap == a.Name {
			a.add(f.Basis, f.Phase, seen{Arch: f.Arch, Check: check(f)})
		}
	}
}

func (a *answer) add(b evidence.Basis, p evidence.Phase, s seen) {
	list := &a.Observed
	if b == evidence.Reachable {
		list = &a.Reachable
	}
	same := func(o seen) bool { return o.Arch == s.Arch && o.Check == s.Check && slices.Equal(o.Args, s.Args) }
	i := slices.IndexFunc(*list, same)
	if i < 0 {
		i, *list = len(*list), append(*list, s)
	}
	(*list)[i].Phases = append((*list)[i].Phases, p)
}

// check is a capability check in words.
func check(f evidence.Capability) string {
	words := "in " + f.Syscall
	if f.Syscall == "" {
		words = "in a call that began unseen"
	}
	for _, w := range []struct {
		holds bool
		word  string
	}{
		{f.Granted, "granted"},
		{!f.Granted && f.Basis == evidence.Observed, "refused"},
		{f.Unaudited, "without audit"},
		{f.Overridden, "with other credentials than its own"},
		{f.Nested, "about a user namespace of its own"},
	} {
		if w.holds {
			words += ", " + w.word
		}
	}
	return words
}

// decide finds out whether the name is allowed, and what happens if not.
func (a *answer) decide(p policy.Policy) {
	if isCapability(a.Name) {
		a.Allowed = slices.Contains(p.Capabilities, a.Name)
		if !a.Allowed {
			a.Otherwise = "no process has it, and what needs it fails, most often with EPERM"
		}
		a.because("nothing shows that it is needed")
		return
	}
	anyArgs := false
	for _, r := range p.Syscalls {
		if r.Name == a.Name {
			a.Allowed = true
			anyArgs = anyArgs || len(r.Conditions) == 0
		}
	}
	has := func(arch abi.Arch) bool { _, ok := arch.Number(a.Name); return ok }
	switch {
	case anyArgs:
	case a.Allowed:
		a.Otherwise = "with others it answers ENOSYS"
	case slices.Contains(p.NotPermitted, a.Name):
		a.Otherwise = "it answers EPERM, as when the kernel forbids it"
	case slices.Contains(p.Unavailable, a.Name):
		a.Otherwise = "it answers ENOSYS, as on a kernel without it, so that callers fall back to what they used before"
	case !slices.ContainsFunc(p.Arches, has):
		a.Otherwise = fmt.Sprintf("no ABI of the profile has it (%s); a process that calls another is killed", joined(p.Arches))
	}
	a.because("nothing shows that it is needed: it was not observed, and is not known to be reachable")
}

// because gives the reason where there was nothing to decide.
func (a *answer) because(reason string) {
	decided := func(d policy.Decision) bool {
		return !strings.HasPrefix(d.Subject, "network") && d.Subject != evidence.AnyCapability
	}
	if !a.Allowed && !slices.ContainsFunc(a.Decisions, decided) {
		a.Decisions = append([]policy.Decision{{Subject: a.Name, Reason: reason}}, a.Decisions...)
	}
}

func isCapability(name string) bool { return strings.HasPrefix(name, "CAP_") }

func joined[T ~string](all []T) string {
	words := make([]string, len(all))
	for i, s := range all {
		words[i] = string(s)
	}
	return strings.Join(words, ", ")
}

// print writes the answer for people.
func (a answer) print(w io.Writer) {
	verdict := "not allowed: " + a.Otherwise
	switch {
	case a.Allowed && a.Otherwise == "":
		verdict = "allowed"
	case a.Allowed:
		verdict = "allowed with some arguments; " + a.Otherwise
	}
	fmt.Fprintf(w, "%s: %s\n", a.Name, verdict)
	for _, d := range a.Decisions {
		verb := "refused"
		if d.Allowed {
			verb = "allowed"
		}
		fmt.Fprintf(w, "  %s  %s: %s\n", verb, d.Subject, d.Reason)
	}
	a.printObserved(w)
	a.printReachable(w)
	for i, g := range a.Gaps {
		if i == 0 {
			fmt.Fprintln(w, "what could not be seen")
		}
		if i == maxPrinted {
			fmt.Fprintf(w, "  and %d more (--json has all)\n", len(a.Gaps)-i)
			break
		}
		fmt.Fprintf(w, "  %s: %s\n", g.Kind, g)
	}
}

// maxPrinted is how much of a kind people are shown.
const maxPrinted = 8

func (a answer) printObserved(w io.Writer) {
	if len(a.Observed) == 0 {
		return
	}
	fmt.Fprintln(w, "observed")
	for _, s := range a.Observed {
		fmt.Fprintf(w, "  %s  %s  %s\n", s.Arch, joined(s.Phases), s.about("arguments not recorded"))
	}
	a.printSources(w, func(s evidence.Source) bool { return s.Tool != scanTool })
}

func (a answer) printSources(w io.Writer, wanted func(evidence.Source) bool) {
	for _, s := range a.Sources {
		if wanted(s) {
			words := strings.Join([]string{s.Tool, s.Version, s.Method, s.Kernel, s.Runtime}, " ")
			fmt.Fprintf(w, "  by %s\n", strings.Join(strings.Fields(words), " "))
		}
	}
}

func (a answer) printReachable(w io.Writer) {
	if len(a.Reachable)+len(a.Witnesses) == 0 {
		return
	}
	fmt.Fprintln(w, "reachable")
	for _, s := range a.Reachable {
		fmt.Fprintf(w, "  %s  %s\n", s.Arch, s.about("any arguments"))
	}
	a.printSources(w, func(s evidence.Source) bool { return s.Tool == scanTool })
	for i, wit := range a.best() {
		if i == maxPrinted {
			break
		}
		printWitness(w, wit)
	}
	if more := len(a.Witnesses) - min(len(a.best()), maxPrinted); more > 0 {
		fmt.Fprintf(w, "  and %d more ways (--json has all)\n", more)
	}
}

// best returns the first witness of each set of arguments.
func (a answer) best() []evidence.Witness {
	var out []evidence.Witness
	for _, w := range a.Witnesses {
		same := func(o evidence.Witness) bool {
			return o.Arch == w.Arch && o.Capability == w.Capability && slices.Equal(o.Args, w.Args)
		}
		if !slices.ContainsFunc(out, same) {
			out = append(out, w)
		}
	}
	return out
}

func printWitness(w io.Writer, wit evidence.Witness) {
	var words []string
	for _, s := range []string{wit.Program, string(wit.Tier), arguments(wit.Args), wit.Reason} {
		if s != "" {
			words = append(words, s)
		}
	}
	fmt.Fprintf(w, "  %s\n", strings.Join(words, ", "))
	object, function := 0, 0
	for _, s := range wit.Path {
		object, function = max(object, len(s.Object)), max(function, len(s.Function))
	}
	for _, s := range wit.Path {
		fmt.Fprintf(w, "    %-*s  %-*s  +%#x\n", object, s.Object, function, cmp.Or(s.Function, "?"), s.Offset)
	}
}

// about is with which arguments, or checked where; without if there is neither.
func (s seen) about(without string) string {
	switch {
	case s.Check != "":
		return s.Check
	case len(s.Args) == 0:
		return without
	}
	return arguments(s.Args)
}

func arguments(args []evidence.Arg) string {
	words := make([]string, len(args))
	for i, a := range args {
		words[i] = fmt.Sprintf("arg%d=%#x", a.Index, a.Value)
	}
	return strings.Join(words, " ")
}
