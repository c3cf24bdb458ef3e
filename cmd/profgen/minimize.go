package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/urfave/cli/v2"

	"github.com/profgen/profgen/gen/formats"
	"github.com/profgen/profgen/gen/policy"
	"github.com/profgen/profgen/internal/profiledir"
	"github.com/profgen/profgen/internal/sandbox"
	"github.com/profgen/profgen/internal/verify"
)

// certificateFile is where a minimization writes its proof.
const certificateFile = "minimal.json"

// writableRoot is the privilege to change the image's own files.
const writableRoot = "writable-root"

// The axes of --minimize.
const (
	axisCaps     = "caps"
	axisReadOnly = "readonly"
	axisTmpfs    = "tmpfs"
	axisNetwork  = "network"
	axisUser     = "user"
)

// The privileges to start as root, and to reach anything by a network.
const (
	startAsRoot = "root"
	anyNetwork  = "network"
)

// tmpfsAt is the privilege to write to a folder in memory.
func tmpfsAt(path string) string { return "tmpfs " + path }

func minimizeFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "minimize", Usage: "find what of `AXES` (caps, readonly, network, user, tmpfs; separated by commas) the workload does not pass its check without, and write " + certificateFile},
		&cli.IntFlag{Name: "repeat", Usage: "with --minimize: a set is enough if it passes `N` times", Value: 1},
	}
}

// axesOf are the axes that the user wants minimized.
func axesOf(c *cli.Context) ([]string, error) {
	axes := strings.Split(c.String("minimize"), ",")
	for _, a := range axes {
		switch a {
		case axisCaps, axisReadOnly, axisTmpfs, axisNetwork, axisUser:
		default:
			return nil, usage("verify: --minimize %q: want caps, readonly, network, user and tmpfs, or some of them", a)
		}
	}
	switch {
	case c.Bool("heal"):
		return nil, usage("verify: --minimize takes away and --heal adds: want one of them")
	case c.String("check") == "" && !c.IsSet("exec-check") && c.Duration("for") > 0:
		return nil, usage("verify: --minimize wants a check: without one nothing would fail")
	case c.Int("repeat") < 1:
		return nil, usage("verify: --repeat: want at least one")
	}
	return axes, nil
}

// bySeverity is the order in which capabilities are tried to be dropped: those
// that amount to root on the host, then those that override permissions, then
// the rest.
func bySeverity() []string {
	return []string{
		"CAP_SYS_ADMIN", "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_PTRACE", "CAP_BPF", "CAP_PERFMON", "CAP_SYS_BOOT", "CAP_MAC_ADMIN",
		"CAP_MAC_OVERRIDE", "CAP_NET_ADMIN", "CAP_SYS_TIME", "CAP_SYSLOG", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_SETFCAP",
		"CAP_SETPCAP", "CAP_MKNOD", "CAP_SETUID", "CAP_SETGID", "CAP_FOWNER", "CAP_CHOWN", "CAP_FSETID", "CAP_NET_RAW", "CAP_SYS_CHROOT",
		"CAP_KILL", "CAP_AUDIT_WRITE", "CAP_NET_BIND_SERVICE",
	}
}

// candidates are what a profile directory grants on the axes, the most severe
// first. user is whom to start it as instead of root; "" if nobody is known. Who
// serves others by a network needs one, whatever a check says that is made from
// within.
func candidates(axes []string, plan formats.Plan, user string) []string {
	var out []string
	if slices.Contains(axes, axisUser) && plan.User.Root && user != "" {
		out = append(out, startAsRoot)
	}
	if slices.Contains(axes, axisNetwork) && plan.Network != policy.NoNetwork && len(plan.Listens) == 0 {
		out = append(out, anyNetwork)
	}
	if slices.Contains(axes, axisReadOnly) && !plan.ReadOnly {
		out = append(out, writableRoot)
	}
	for _, t := range plan.Tmpfs {
		if slices.Contains(axes, axisTmpfs) {
			out = append(out, tmpfsAt(t.Path))
		}
	}
	if !slices.Contains(axes, axisCaps) {
		return out
	}
	rank := func(name string) int {
		if i := slices.Index(bySeverity(), name); i >= 0 {
			return i
		}
		return len(bySeverity())
	}
	sorted := slices.SortedStableFunc(slices.Values(plan.Capabilities), func(a, b string) int { return rank(a) - rank(b) })
	return append(out, sorted...)
}

// minimization is a certificate, with what it is about.
type minimization struct {
	Image string `json:"image,omitempty"`
	Check string `json:"check"`
	verify.Certificate
	Statement string   `json:"statement"`
	Advice    []string `json:"advice"`
}

// minimize takes privileges from the workload, one at a time.
func (p *prover) minimize(axes []string) error {
	enforced, err := profiledir.Load(p.dir)
	if err != nil {
		return err
	}
	user, err := p.userToTry()
	if err != nil {
		return err
	}
	all := candidates(axes, enforced.Plan, user)
	try := func(_ context.Context, set []string) (verify.Outcome, error) {
		p.talk.say("with %s", orNone(set))
		return p.attempt(axes, all, set, user, enforced)
	}
	certificate, err := verify.Ablation{
		Candidates: all, Instead: map[string]string{"CAP_DAC_OVERRIDE": "CAP_DAC_READ_SEARCH"}, Repeats: p.c.Int("repeat"), Try: try,
	}.Run(p.c.Context)
	p.talk.clear()
	var whole *verify.ErrFailsWhole
	if errors.As(err, &whole) {
		return exitError{3, err}
	}
	if err != nil {
		return err
	}
	m := minimization{
		Image: p.c.String("image"), Check: p.c.String("check"), Certificate: certificate,
		Statement: "1-minimal for this check: it passes with these, and fails without any one of them", Advice: append(untried(axes, enforced.Plan, user), advice(p.dir, certificate, user)...),
	}
	text, err := json.MarshalIndent(m, "", "\t")
	if err != nil {
		return err
	}
	if err := profiledir.SaveFile(p.dir, certificateFile, append(text, '\n')); err != nil {
		return err
	}
	if p.c.Bool("json") {
		return printJSON(p.c.App.Writer, m)
	}
	return m.print(p.c.App.Writer, filepath.Join(p.dir, certificateFile))
}

// userToTry is whom to start the workload as: by --user, or whom it was seen to
// become; "" if neither is known.
func (p *prover) userToTry() (string, error) {
	if user := p.c.String("user"); user != "" {
		return user, nil
	}
	set, err := profiledir.EvidenceSoFar(p.dir)
	if err != nil {
		return "", err
	}
	id, ok := policy.Becomes(set.Normalize())
	if !ok {
		return "", nil
	}
	return fmt.Sprintf("%d:%d", id.UID, id.GID), nil
}

// untried says why an axis has no candidate, where that is not for want of a
// privilege.
func untried(axes []string, plan formats.Plan, user string) []string {
	out := []string{}
	if slices.Contains(axes, axisUser) && plan.User.Root && user == "" {
		out = append(out, "whom to start it as, instead of root, the evidence does not tell: give --user UID:GID")
	}
	if slices.Contains(axes, axisNetwork) && len(plan.Listens) > 0 {
		out = append(out, fmt.Sprintf("its network stays: it listens on %s", plan.Listens[0]))
	}
	return out
}

// attempt runs the workload once with a set of the candidates.
func (p *prover) attempt(axes, all, set []string, user string, enforced profiledir.Enforced) (verify.Outcome, error) {
	without := func(name string) bool { return slices.Contains(all, name) && !slices.Contains(set, name) }
	bounds := boundsOf(enforced.Plan.Run)
	if without(startAsRoot) {
		bounds.User, bounds.OwnVolumes = user, true
	}
	attempt, template := *p, *p.template
	if without(anyNetwork) {
		template.HostNetwork, template.Ports = false, nil
	}
	attempt.template = &template
	confinement := sandbox.Confinement{Seccomp: enforced.Seccomp, Capabilities: enforced.Plan.Capabilities, Bounds: bounds}
	if slices.Contains(axes, axisCaps) {
		confinement.Capabilities = slices.DeleteFunc(slices.Clone(set), func(name string) bool { return !strings.HasPrefix(name, "CAP_") })
	}
	bounds.ReadOnly = bounds.ReadOnly || without(writableRoot)
	if slices.Contains(axes, axisTmpfs) {
		bounds.Tmpfs = slices.DeleteFunc(bounds.Tmpfs, func(m specs.Mount) bool { return !slices.Contains(set, tmpfsAt(m.Destination)) })
	}
	missing := slices.DeleteFunc(slices.Clone(all), func(name string) bool { return slices.Contains(set, name) })
	report, err := attempt.run(1, enforced.Seccomp, nil, confinement, missing)
	if err != nil {
		return verify.Outcome{}, err
	}
	out := verify.Outcome{Passed: report.Passed == report.Runs}
	if report.Failure != nil {
		out.Failure = report.Failure.Error()
	}
	for _, d := range report.Denials {
		out.Denied = append(out.Denied, d.String())
	}
	return out, nil
}

// advice says what to do with a minimal set.
func advice(dir string, c verify.Certificate, user string) []string {
	var drop, keep, out []string
	for _, v := range c.Verdicts {
		switch {
		case strings.HasPrefix(v.Name, "tmpfs "):
			if !v.Kept {
				out = append(out, "leave out --"+strings.Replace(v.Name, " ", "=", 1))
			}
		case v.Name == startAsRoot && !v.Kept:
			out = append(out, "run it with --user="+user+", and volumes that are that user's; profgen record --user "+user+" makes a profile of that")
		case v.Name == anyNetwork && !v.Kept:
			out = append(out, "run it with --network=none")
		case v.Name == startAsRoot || v.Name == anyNetwork:
		case v.Name == writableRoot && !v.Kept:
			out = append(out, "run it with --read-only")
		case v.Name == writableRoot:
			out = append(out, "give it volumes or --tmpfs for what it writes, and try --read-only again")
		case !v.Kept:
			drop = append(drop, "--deny "+v.Name)
		default:
			keep = append(keep, v.Name)
		}
		if v.Instead != "" {
			keep = append(keep, "--keep "+v.Instead)
		}
	}
	if len(drop) > 0 {
		out = append(out, "profgen generate "+dir+" "+strings.Join(drop, " "))
	}
	changesUser := slices.Contains(keep, "CAP_SETUID") || slices.Contains(keep, "CAP_SETGID")
	if changesUser || slices.Contains(keep, "CAP_CHOWN") {
		out = append(out, "capabilities to change user and owners are mostly for what an entry point does as root: with --user UID:GID, that of the workload, and volumes that it owns already, they are not needed")
	}
	if slices.Contains(keep, "CAP_NET_BIND_SERVICE") {
		out = append(out, "CAP_NET_BIND_SERVICE is for ports below 1024; Docker allows those to anybody in a network of the container's own")
	}
	return append([]string{}, out...)
}

func (m minimization) print(w io.Writer, file string) error {
	fmt.Fprintf(w, "minimal: %s\n", orNone(m.Minimal))
	for _, v := range m.Verdicts {
		fmt.Fprintln(w, m.verdict(v))
		if denied := m.Attempts[v.Run-1].Denied; v.Kept && len(denied) > 0 {
			fmt.Fprintf(w, "  first denied: %s\n", denied[0])
		}
	}
	fmt.Fprintf(w, "%s; %d runs, each set %d times; %s has them all\n", m.Statement, len(m.Attempts), m.Repeats, file)
	for _, a := range m.Advice {
		fmt.Fprintf(w, "next: %s\n", a)
	}
	return nil
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// verdict says which run decided about a privilege.
func (m minimization) verdict(v verify.Verdict) string {
	switch {
	case v.Kept:
		return fmt.Sprintf("kept %s: run %d failed without: %s", v.Name, v.Run, firstLine(m.Attempts[v.Run-1].Failure))
	case v.Instead != "":
		return fmt.Sprintf("dropped %s for %s: run %d passed", v.Name, v.Instead, v.Run)
	}
	return fmt.Sprintf("dropped %s: run %d passed without", v.Name, v.Run)
}

// proved returns what a minimization of a profile directory found out, by privilege;
// none if there was none.
func proved(dir string) (map[string]string, error) {
	name := filepath.Join(dir, certificateFile)
	text, err := profiledir.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var m minimization
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	out := map[string]string{}
	for _, v := range m.Verdicts {
		if v.Run < 1 || v.Run > len(m.Attempts) {
			return nil, fmt.Errorf("read %s: %s is decided by run %d of %d: minimize again", name, v.Name, v.Run, len(m.Attempts))
		}
		out[v.Name] = m.verdict(v)
	}
	return out, nil
}
