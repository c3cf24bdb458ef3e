// Package report turns evidence and what was decided from it into one HTML page
// for people: what is granted and why, what is refused, what could not be seen.
//
// The page needs no network and no other file, and works without scripts; it
// escapes everything, since names in evidence are hostile. The same input gives
// the same bytes. It decides nothing.
package report

import (
	"bytes"
	"fmt"
	"html/template"
	"maps"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/profgen/profgen/gen"
	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/gen/formats"
	"github.com/profgen/profgen/gen/policy"
	"github.com/profgen/profgen/gen/seccomp"
	"github.com/profgen/profgen/internal/abi"
	"github.com/profgen/profgen/profiles"
	"github.com/profgen/profgen/templates"
)

// page is what the template fills in.
type page struct {
	Title          string
	About          []row
	Gaps, MoreGaps []gap
	GapCount       int
	Warnings       []warnings
	Cards          []card
	Coverage       template.HTML
	Saturation     template.HTML
	SaturationNote string
	Calls          []call
	Refused        []refused
	Wider          []string
	Capabilities   []capability
	Run            []row
	RunWarnings    []policy.Warning
	Privileged     []row // files that raise who runs them, and what becomes of each
	FilesNote      string
	Prices         []policy.Price
	Tree           []*node
	Paths          []path
	Sources        []string
}

type row struct{ Label, Value string }

// kinds are what gaps of static analysis are about, in words; those of a
// recording say it themselves.
var kinds = map[evidence.GapKind]string{
	evidence.UnresolvedSyscall:  "system calls whose number is not known",
	evidence.UnresolvedArgument: "arguments that are not known",
	evidence.UnresolvedDlopen:   "libraries and symbols that are loaded by a computed name",
	evidence.UnresolvedExec:     "programs that are started and not known",
	evidence.Interpreter:        "program text that was not analysed; what interprets it was",
	evidence.Unreadable:         "machine code that could not be read",
	evidence.ForeignABI:         "machine code of an ABI that is not analysed",
}

// gap is all gaps of a kind.
type gap struct {
	Kind, Text string
	Bad        bool
	Where      []string
}

// warnings are those of one code.
type warnings struct {
	Code      string
	Sentences []string
}

type card struct{ Label, Value, Note string }

type call struct {
	Name, Block, Phases, Why string
	Args                     []string
	Dangerous                bool
}

type refused struct {
	Name      string
	Dangerous bool
}

type capability struct {
	Name    string
	Allowed bool
	Why     string
	Proof   string
}

// path is how the code gets to a system call.
type path struct {
	Name, Program, Tier string
	Steps               []step
}

type step struct {
	Function, Object string
	Last             bool
}

// dangerous are the calls that escapes from containers begin with.
var dangerous = []string{
	"add_key", "bpf", "chroot", "delete_module", "finit_module", "fsconfig", "fsmount", "fsopen", "init_module", "io_uring_enter", "io_uring_register",
	"io_uring_setup", "ioperm", "iopl", "kcmp", "kexec_file_load", "kexec_load", "keyctl", "mknod", "mknodat", "mount", "mount_setattr", "move_mount",
	"name_to_handle_at", "open_by_handle_at", "open_tree", "perf_event_open", "personality", "pivot_root", "process_vm_readv", "process_vm_writev",
	"ptrace", "quotactl", "reboot", "request_key", "setns", "swapon", "umount2", "unshare", "userfaultfd",
}

// shown are calls that are pictured too: they are in most programs, and their
// arguments or what follows them matter.
var shown = []string{"clone", "execve", "execveat", "memfd_create", "mprotect", "setuid", "socket"}

// Beside is what a report can tell besides, if somebody found it out.
type Beside struct {
	// Prices are what the patterns of the profile admit of the image's files; nil
	// if nobody has looked.
	Prices []policy.Price
	// Proved says of privileges, by name, which run showed that one is needed, or is
	// not.
	Proved map[string]string
}

// HTML is the report of a profile that was made from the evidence.
func HTML(set evidence.Set, b gen.Bundle, beside Beside) ([]byte, error) {
	set = set.Normalize()
	docker, known, err := dockerDefault(b.Policy)
	if err != nil {
		return nil, err
	}
	r := reporter{set: set, policy: b.Policy, beside: beside, docker: docker, known: known, page: page{Title: "Profile " + b.Name}}
	r.about()
	r.gaps()
	r.calls()
	r.compare()
	r.capabilities()
	r.run()
	r.files()
	r.paths()
	r.cards()
	r.charts()
	t, err := template.New("report").Parse(templates.Report())
	if err != nil {
		return nil, err
	}
	var buf bytes.Buffer
	if err := t.Execute(&buf, r.page); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

// reporter is a report in the making.
type reporter struct {
	set    evidence.Set
	policy policy.Policy
	beside Beside
	docker []string // calls that docker-default allows, sorted
	known  []string // calls of the native ABI, sorted
	own    map[string]bool
	page   page
}

// dockerDefault returns what docker-default allows of the native ABI, to a
// container with the default capabilities, and all that there is.
func dockerDefault(p policy.Policy) (allowed, known []string, err error) {
	text, _ := profiles.DockerDefault()
	file, err := seccomp.ParseFile(text)
	if err != nil {
		return nil, nil, fmt.Errorf("docker-default: %w", err)
	}
	native := abi.X8664
	if len(p.Arches) > 0 {
		native = p.Arches[0]
	}
	set := map[string]bool{}
	for _, rule := range file.Syscalls {
		granted := rule.Includes == nil || !slices.ContainsFunc(rule.Includes.Caps, func(c string) bool { return !slices.Contains(profiles.DockerCapabilities(), c) })
		if rule.Action != specs.ActAllow || !granted {
			continue
		}
		for _, n := range rule.Names {
			if _, ok := native.Number(n); ok {
				set[n] = true
			}
		}
	}
	known = slices.Sorted(slices.Values(native.Names()))
	return slices.Sorted(maps.Keys(set)), known, nil
}

func (r *reporter) about() {
	i := r.policy.Run.Image
	for _, l := range []row{{"image", i.Reference}, {"digest", i.Digest}, {"configuration", i.ConfigDigest}, {"platform", i.Platform}} {
		if l.Value != "" {
			r.page.About = append(r.page.About, l)
		}
	}
	for _, s := range r.set.Subjects {
		if len(s.Argv) > 0 {
			r.page.About = append(r.page.About, row{"command", strings.Join(s.Argv, " ")})
		}
	}
	for _, s := range r.set.Sources {
		words := []string{s.Tool, s.Version, s.Method, s.Kernel, s.Runtime}
		r.page.Sources = append(r.page.Sources, strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == "" }), ", "))
	}
}

// gaps puts what makes the profile uncertain first.
func (r *reporter) gaps() {
	for _, g := range r.set.Gaps {
		into := &r.page.Gaps
		if g.Covered || g.Kind == evidence.UnresolvedArgument {
			into = &r.page.MoreGaps
		} else {
			r.page.GapCount++
		}
		one := gap{Kind: string(g.Kind), Text: kinds[g.Kind], Bad: g.Incomplete()}
		i := slices.IndexFunc(*into, func(o gap) bool { return o.Kind == one.Kind && o.Bad == one.Bad })
		if i < 0 {
			i, *into = len(*into), append(*into, one)
		}
		(*into)[i].Where = append((*into)[i].Where, g.String())
	}
	slices.SortStableFunc(r.page.Gaps, func(a, b gap) int {
		switch {
		case a.Bad == b.Bad:
			return 0
		case a.Bad:
			return -1
		}
		return 1
	})
	for _, w := range r.policy.Warnings {
		last := len(r.page.Warnings) - 1
		if last < 0 || r.page.Warnings[last].Code != w.Code {
			last, r.page.Warnings = last+1, append(r.page.Warnings, warnings{Code: w.Code})
		}
		r.page.Warnings[last].Sentences = append(r.page.Warnings[last].Sentences, w.Sentence)
	}
	r.page.RunWarnings = r.policy.Run.Warnings
	for _, d := range r.policy.Decisions {
		if name, ok := strings.CutPrefix(d.Subject, "privileges of "); ok {
			r.page.Privileged = append(r.page.Privileged, row{name, d.Reason})
		}
	}
}

// calls lists what is granted, one row a call and block.
func (r *reporter) calls() {
	r.own = map[string]bool{}
	why := map[string]string{}
	for _, d := range r.policy.Decisions {
		name, _, _ := strings.Cut(d.Subject, " ")
		if d.Allowed && why[name] == "" {
			why[name] = d.Reason
		}
	}
	phases := r.phases()
	index := map[string]int{}
	for _, rule := range r.policy.Syscalls {
		key := rule.Name + " " + string(rule.Block)
		i, old := index[key]
		if !old {
			i = len(r.page.Calls)
			index[key] = i
			r.page.Calls = append(r.page.Calls, call{
				Name: rule.Name, Block: string(rule.Block), Why: why[rule.Name], Phases: phases[rule.Name], Dangerous: slices.Contains(dangerous, rule.Name),
			})
		}
		if len(rule.Conditions) > 0 {
			r.page.Calls[i].Args = append(r.page.Calls[i].Args, conditions(rule.Conditions))
		}
		if rule.Block == policy.Workload || rule.Block == policy.Execd {
			r.own[rule.Name] = true
		}
	}
	slices.SortStableFunc(r.page.Calls, func(a, b call) int { return strings.Compare(a.Name, b.Name) })
}

func conditions(all []policy.Condition) string {
	words := make([]string, len(all))
	for i, c := range all {
		words[i] = fmt.Sprintf("arg%d = %#x", c.Index, c.Value)
		if c.Mask != 0xffffffff && c.Mask != ^uint64(0) {
			words[i] = fmt.Sprintf("arg%d & %#x = %#x", c.Index, c.Mask, c.Value)
		}
	}
	return strings.Join(words, ", ")
}

// phases says when each call was observed, or that it is merely reachable.
func (r *reporter) phases() map[string]string {
	order := []evidence.Phase{evidence.Runtime, evidence.Start, evidence.Serve, evidence.Exec, evidence.Stop}
	seen := map[string]map[evidence.Phase]bool{}
	out := map[string]string{}
	for _, f := range r.set.Facts {
		f, ok := f.(evidence.Syscall)
		switch {
		case !ok:
		case f.Basis == evidence.Observed:
			if seen[f.Name] == nil {
				seen[f.Name] = map[evidence.Phase]bool{}
			}
			seen[f.Name][f.Phase] = true
		case f.Basis == evidence.Reachable && out[f.Name] == "":
			out[f.Name] = "reachable"
		}
	}
	for name, in := range seen {
		var words []string
		for _, p := range order {
			if in[p] {
				words = append(words, string(p))
			}
		}
		out[name] = strings.Join(words, ", ")
	}
	return out
}

// compare lists what docker-default allows and the profile refuses, and what
// the profile allows beyond.
func (r *reporter) compare() {
	allowed := map[string]bool{}
	for _, rule := range r.policy.Syscalls {
		allowed[rule.Name] = true
	}
	for _, name := range r.docker {
		if !allowed[name] {
			r.page.Refused = append(r.page.Refused, refused{name, slices.Contains(dangerous, name)})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(allowed)) {
		if _, ok := slices.BinarySearch(r.docker, name); !ok && slices.Contains(r.known, name) {
			r.page.Wider = append(r.page.Wider, name)
		}
	}
}

func (r *reporter) capabilities() {
	for _, d := range r.policy.Decisions {
		if strings.HasPrefix(d.Subject, "CAP_") {
			r.page.Capabilities = append(r.page.Capabilities, capability{d.Subject, d.Allowed, d.Reason, r.beside.Proved[d.Subject]})
		}
	}
	slices.SortStableFunc(r.page.Capabilities, func(a, b capability) int {
		switch {
		case a.Allowed == b.Allowed:
			return strings.Compare(a.Name, b.Name)
		case a.Allowed:
			return -1
		}
		return 1
	})
}

// run says how the container is started, with the reasons.
func (r *reporter) run() {
	run := r.policy.Run
	level, blocking := formats.PlanOf(r.policy).PodSecurity()
	if blocking != "" {
		level += "; the next is blocked by " + blocking
	}
	r.page.Run = []row{{"Pod Security Standard", level}, {"no_new_privs", "set"}}
	for _, d := range r.policy.Decisions {
		if strings.HasPrefix(d.Subject, "--") || strings.HasPrefix(d.Subject, "limit ") || d.Subject == "network" || strings.HasPrefix(d.Subject, "port ") {
			r.page.Run = append(r.page.Run, row{d.Subject, d.Reason})
		}
	}
	for _, t := range run.Tmpfs {
		r.page.Run = append(r.page.Run, row{"tmpfs", t.Path})
	}
	for _, v := range run.Volumes {
		r.page.Run = append(r.page.Run, row{"volume", v})
	}
	if run.ReadOnly {
		r.page.Run = append(r.page.Run, row{"root file system", "read-only"})
	}
}

// maxPaths is how many call paths are pictured.
const maxPaths = 24

// paths pictures the shortest path to each powerful call that is granted.
func (r *reporter) paths() {
	best := map[string]evidence.Witness{}
	for _, w := range r.set.Witnesses {
		old, ok := best[w.Syscall]
		if w.Syscall == "" || len(w.Path) == 0 || ok && len(old.Path) <= len(w.Path) {
			continue
		}
		best[w.Syscall] = w
	}
	for _, name := range slices.Concat(dangerous, shown) {
		w, ok := best[name]
		if !ok || !r.own[name] || len(r.page.Paths) == maxPaths {
			continue
		}
		p := path{Name: name, Program: w.Program, Tier: string(w.Tier)}
		for i, s := range w.Path {
			if s.Function == "" {
				s.Function = fmt.Sprintf("+%#x", s.Offset)
			}
			p.Steps = append(p.Steps, step{s.Function, s.Object, i == len(w.Path)-1})
		}
		r.page.Paths = append(r.page.Paths, p)
	}
}

func (r *reporter) cards() {
	allowed := map[string]bool{}
	for _, rule := range r.policy.Syscalls {
		allowed[rule.Name] = true
	}
	level, _ := formats.PlanOf(r.policy).PodSecurity()
	n := len(r.policy.Capabilities)
	r.page.Cards = []card{
		{"system calls granted", fmt.Sprint(len(allowed)), fmt.Sprintf("%d for the workload itself; docker-default grants %d of %d", len(r.own), len(r.docker), len(r.known))},
		{"refused that docker-default grants", fmt.Sprint(len(r.page.Refused)), "system calls"},
		{"capabilities", fmt.Sprint(n), fmt.Sprintf("docker grants %d", len(profiles.DockerCapabilities()))},
		{"Pod Security Standard", level, "reached as it is run"},
		{"gaps", fmt.Sprint(r.page.GapCount), fmt.Sprintf("and %d that are covered", len(r.set.Gaps)-r.page.GapCount)},
	}
}
