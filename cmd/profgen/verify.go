package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/urfave/cli/v2"

	"github.com/profgen/profgen/gen"
	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/host"
	"github.com/profgen/profgen/internal/profiledir"
	"github.com/profgen/profgen/internal/record"
	"github.com/profgen/profgen/internal/record/ebpf"
	"github.com/profgen/profgen/internal/sandbox"
	"github.com/profgen/profgen/internal/scmp"
	"github.com/profgen/profgen/internal/verify"
)

func verifyCommand() *cli.Command {
	flags := append(append(containerFlags(), driveFlags()...), probeFlags()...)
	flags = append(flags, verifyEngineFlags()...)
	flags = append(flags, allowOtherFlag(),
		&cli.IntFlag{Name: "runs", Usage: "run it `N` times: runtimes written in Go make some calls only now and then", Value: 20},
		&cli.BoolFlag{Name: "heal", Usage: "take what was refused for needed, make the files anew, and go on until nothing is"},
		&cli.BoolFlag{Name: "json", Usage: "print the report as JSON"})
	return &cli.Command{
		Name:  "verify",
		Usage: "run the workload under its profile and report what is refused",
		UsageText: "profgen verify DIR --image REF [--runs N] [--heal] --check CMD [-- ARGS...]\n" +
			"profgen verify DIR --engine docker|podman --image NAME --check CMD [-- ARGS...]",
		Description: "Runs the container with the seccomp profile, the capabilities, the limits and all else that\n" +
			"DIR says, with no-new-privileges, and with the AppArmor profile where the kernel has AppArmor,\n" +
			"N times. Every refusal is told with its arguments, what it answered, the phase, the program, and where in it.\n" +
			"Exits 3 if anything was refused or a run failed. The image's HEALTHCHECK, and what --exec-check\n" +
			"names, is exec'd into it and has to succeed.\n\n" +
			"With --engine docker or podman runs it, with the flags of profgen flags DIR --for ENGINE: what\n" +
			"NAME means to the engine has to be the image that DIR was made for, by digest.\n\n" +
			"--heal adds the refusals to the evidence of DIR: give the options that DIR was generated with.\n" +
			"--minimize takes away capabilities, a root file system that can be written, root and the network, one at a time.\n\n" +
			"JSON has {runs, passed, denials: [{arch, name, phase, capability, args, errno, process, site,\n" +
			"run}], refused, unavailable, failure, healed}.",
		Flags:        append(append(flags, minimizeFlags()...), generateFlags()...),
		OnUsageError: onUsageError,
		Action:       verifyAction,
	}
}

func verifyAction(c *cli.Context) error {
	dir := c.Args().First()
	switch {
	case dir == "":
		return usage("verify: want the profile directory")
	case c.IsSet("image") == c.IsSet("bundle"):
		return usage("verify: want one of --image and --bundle")
	case c.Int("runs") < 1:
		return usage("verify: want at least one run")
	}
	if err := cmp.Or(checkFlags(c), checkVerifyEngine(c)); err != nil {
		return err
	}
	if c.IsSet("user") && !c.IsSet("minimize") {
		return usage("verify: the user is DIR's: --user is for --minimize user")
	}
	var axes []string
	if c.IsSet("minimize") {
		var err error
		if axes, err = axesOf(c); err != nil {
			return err
		}
	}
	p, err := newProver(c, dir)
	if err != nil {
		return err
	}
	defer p.close()
	if axes != nil {
		return p.minimize(axes)
	}
	var report verify.Report
	if c.Bool("heal") {
		report, err = p.heal()
	} else {
		report, err = p.prove(c.Int("runs"))
	}
	if err != nil {
		return err
	}
	return printReport(c, report)
}

// prover runs a workload under the profile of a directory.
type prover struct {
	c        *cli.Context
	dir      string
	engine   *engineProof       // what runs it; or else, nil:
	template *sandbox.Container // nil with an engine
	root     *sandbox.Root
	talk     talk
}

func newProver(c *cli.Context, dir string) (*prover, error) {
	enforced, err := profiledir.Load(dir) // before anything is unpacked
	if err != nil {
		return nil, err
	}
	if c.IsSet("engine") {
		return newEngineProver(c, dir, enforced)
	}
	template, err := newContainer(c, sandbox.Confinement{})
	if err != nil {
		return nil, err
	}
	if template.Image != nil {
		if err := trust(c, dir, enforced.Plan.Image, knownImage(template.Image)); err != nil {
			closeImage(template)
			return nil, err
		}
	}
	template.Args, template.Stdio = c.Args().Tail(), sandbox.Talk()
	p := &prover{c: c, dir: dir, template: template, talk: newTalk(c.App.ErrWriter)}
	if template.Image == nil {
		return p, nil
	}
	p.talk.unpacking(template.Image.Reference())
	p.root, err = sandbox.Unpack(c.Context, template.Image, template.Limits)
	p.talk.clear()
	if err != nil {
		closeImage(template)
		return nil, err
	}
	template.Root = p.root
	return p, nil
}

func (p *prover) close() {
	if p.root != nil {
		p.root.Close()
	}
	if p.template != nil {
		closeImage(p.template)
	}
}

// has reports whether the container finds a file of that name when it starts.
func (p *prover) has(path evidence.Path) bool {
	switch {
	case p.root != nil:
		return p.root.Has(string(path))
	case p.template != nil:
		return sandbox.BundleHas(p.template.Bundle, string(path))
	}
	return false // an engine's image, whose files nobody has listed
}

// prove runs the workload under the files as they are.
func (p *prover) prove(runs int) (_ verify.Report, err error) {
	enforced, err := profiledir.Load(p.dir)
	if err != nil {
		return verify.Report{}, err
	}
	if err := compile(p.c, enforced.Seccomp); err != nil {
		return verify.Report{}, err
	}
	armor, err := enforceAppArmor(p.c, enforced)
	if err != nil {
		return verify.Report{}, err
	}
	defer func() { err = errors.Join(err, armor.Close()) }()
	armor.exists = p.has
	if armor.known, err = profiledir.EvidenceSoFar(p.dir); err != nil {
		return verify.Report{}, err
	}
	granted, err := p.grantedCapabilities()
	if err != nil {
		return verify.Report{}, err
	}
	// What the profile has and the kernel refuses all the same, it refuses without the profile too.
	missing := slices.DeleteFunc(granted, func(name string) bool { return slices.Contains(enforced.Plan.Capabilities, name) })
	if p.engine != nil {
		return p.runEngine(runs, enforced, armor, missing)
	}
	return p.run(runs, enforced.Seccomp, armor, sandbox.Confinement{
		Seccomp: enforced.Seccomp, Capabilities: enforced.Plan.Capabilities, AppArmor: armor.name,
		Bounds: boundsOf(enforced.Plan.Run),
	}, missing)
}

// run runs the workload under a confinement. To ask for one of the capabilities
// missing in it, in vain, is a denial.
func (p *prover) run(runs int, profile *specs.LinuxSeccomp, armor verify.Refuser, confinement sandbox.Confinement, missing []string) (verify.Report, error) {
	rec, err := ebpf.New(ebpf.Options{SeeRefused: true})
	if err != nil {
		return verify.Report{}, err
	}
	defer rec.Close()
	return p.trials(verify.Trials{
		Runs: runs, Profile: profile, Missing: missing, Recorder: rec, Refuser: armor,
		Trial: func() (record.Target, func(context.Context) error) {
			ct := *p.template
			ct.Confinement = confinement
			// Its flags were read before: there is nothing that can be wrong with them.
			drive, _ := driveOf(p.c, &ct, func(pid int) error { return rec.Follow(pid, record.AtFilter) })
			return &ct, record.Together(drive.check, drive.probe)
		},
	})
}

// trials makes the trials, and tells how far they are.
func (p *prover) trials(t verify.Trials) (verify.Report, error) {
	defer p.talk.clear()
	t.For = p.c.Duration("for")
	t.Done = func(run int, _ error) { p.talk.say("run %d of %d", run, t.Runs) }
	return t.Run(p.c.Context)
}

// grantedCapabilities are those that the evidence of dir makes a profile allow:
// not all that the workload was seen to use are needed.
func (p *prover) grantedCapabilities() ([]string, error) {
	set, err := profiledir.EvidenceSoFar(p.dir)
	if err != nil || len(set.Facts) == 0 {
		return nil, err
	}
	opt := generateOptions(p.c)
	opt.AllowIncomplete = true
	bundle, err := gen.Generate(set, opt)
	return bundle.Policy.Capabilities, err
}

// maxHeal bounds how often a profile is made anew: each time something more is
// let through, or it ends.
const maxHeal = 30

// heal proves, and adds what was refused to the evidence, until nothing is. A
// single run shows most of it; what a single run does not refuse is tried as
// often as asked for.
func (p *prover) heal() (verify.Report, error) {
	var healed []string
	for range maxHeal {
		report, err := p.prove(1)
		if err == nil && len(report.Denials)+len(report.Refused) == 0 {
			report, err = p.prove(p.c.Int("runs"))
		}
		if err != nil {
			return report, err
		}
		report.Healed = healed
		facts, names := needs(report)
		if len(facts) == 0 {
			return report, nil
		}
		set, err := profiledir.Evidence(p.dir)
		if err != nil {
			return report, err
		}
		more := evidence.Merge(set, evidence.Set{Facts: facts})
		if len(more.Facts) == len(set.Facts) && !p.stale(set) {
			return report, nil // known, and refused by decision
		}
		if err := profiledir.SaveEvidence(p.dir, more); err != nil {
			return report, err
		}
		if _, err := generate(p.c, p.dir, more); err != nil {
			return report, err
		}
		for _, name := range names {
			if !slices.Contains(healed, name) {
				healed = append(healed, name)
				fmt.Fprintf(p.c.App.ErrWriter, "healed %s\n", name)
			}
		}
	}
	return verify.Report{}, fmt.Errorf("%s: something is still refused after it was made anew %d times", p.dir, maxHeal)
}

// stale reports whether the files are not those that the evidence makes.
func (p *prover) stale(set evidence.Set) bool {
	bundle, err := generateOnly(p.c, set)
	if err != nil {
		return false
	}
	differ, err := profiledir.Differ(p.dir, bundle)
	return err == nil && len(differ) > 0
}

// needs are the refusals of a report as evidence, and in words.
func needs(r verify.Report) (facts []evidence.Fact, names []string) {
	for _, d := range r.Denials {
		if f, ok := d.Fact(); ok {
			facts, names = append(facts, f), append(names, d.String())
		}
	}
	for _, f := range r.Refused {
		facts, names = append(facts, f), append(names, use(f))
	}
	return facts, names
}

// compile says what the seccomp profile compiles to here, or why it does not,
// before any container is started with it.
func compile(c *cli.Context, profile *specs.LinuxSeccomp) error {
	facts, err := host.Read()
	if err != nil {
		return err
	}
	filter, err := verify.Compile(profile, facts.Arch)
	switch {
	case errors.Is(err, scmp.ErrUnavailable): // the runtime will say
	case err != nil:
		return err
	default:
		fmt.Fprintf(c.App.ErrWriter, "seccomp filter: %s\n", filter)
	}
	return nil
}

// proof is a report as JSON has it.
type proof struct {
	Runs        int             `json:"runs"`
	Passed      int             `json:"passed"`
	Denials     []verify.Denial `json:"denials"`
	Refused     []string        `json:"refused"` // by AppArmor
	Unavailable []verify.Denial `json:"unavailable"`
	Failure     string          `json:"failure,omitempty"`
	Healed      []string        `json:"healed"`
}

func printReport(c *cli.Context, r verify.Report) error {
	if c.Bool("json") {
		p := proof{r.Runs, r.Passed, append([]verify.Denial{}, r.Denials...), []string{}, append([]verify.Denial{}, r.Unavailable...), "", append([]string{}, r.Healed...)}
		for _, f := range r.Refused {
			p.Refused = append(p.Refused, use(f))
		}
		if r.Failure != nil {
			p.Failure = r.Failure.Error()
		}
		if err := printJSON(c.App.Writer, p); err != nil {
			return err
		}
	} else {
		printProof(c, r)
	}
	if r.Passed < r.Runs || len(r.Denials)+len(r.Refused) > 0 {
		return exitError{3, nil}
	}
	return nil
}

func printProof(c *cli.Context, r verify.Report) {
	fmt.Fprintf(c.App.Writer, "passed %d of %d runs, denials %d\n", r.Passed, r.Runs, len(r.Denials)+len(r.Refused))
	for _, d := range r.Denials {
		fmt.Fprintf(c.App.Writer, "denied %s\n", d)
	}
	for _, f := range r.Refused {
		fmt.Fprintf(c.App.Writer, "denied by AppArmor %s\n", use(f))
	}
	for _, d := range r.Unavailable {
		fmt.Fprintf(c.App.Writer, "answered ENOSYS, as decided: %s (%s)\n", d.Name, d.Arch)
	}
	for _, h := range r.Healed {
		fmt.Fprintf(c.App.Writer, "healed %s\n", h)
	}
	if r.Failure != nil {
		fmt.Fprintf(c.App.ErrWriter, "profgen: %v\n", r.Failure)
	}
}
