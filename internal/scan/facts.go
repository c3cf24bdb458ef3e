package scan

import (
	"cmp"
	"debug/elf"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/abi"
	"github.com/profgen/profgen/internal/scan/graph"
	"github.com/profgen/profgen/internal/scan/link"
	"github.com/profgen/profgen/internal/scan/program"
)

// evidence is what was found out about all programs.
func (s *scan) evidence() (evidence.Set, error) {
	set := evidence.Set{Gaps: s.gaps}
	for _, a := range s.done {
		set.Facts = append(set.Facts, a.set.Facts...)
		set.Witnesses = append(set.Witnesses, a.set.Witnesses...)
		set.Gaps = append(set.Gaps, a.set.Gaps...)
	}
	if len(set.Facts) == 0 {
		return evidence.Set{}, ErrNoProgram
	}
	s.startup(&set)
	s.capabilities(&set)
	s.files(&set)
	return set.Normalize(), nil
}

// startup adds what the search for programs could not find out.
func (s *scan) startup(set *evidence.Set) {
	if len(s.opt.Binaries) > 0 {
		return
	}
	r := s.finder.Result()
	for _, g := range r.Gaps {
		if g.Kind != program.Missing {
			set.Gaps = append(set.Gaps, evidence.Gap{Kind: evidence.UnresolvedExec, Where: g.Where, Detail: g.What})
		}
	}
	for _, i := range r.Interpreters {
		set.Gaps = append(set.Gaps, evidence.Gap{
			Kind: evidence.Interpreter, Where: i.Why,
			Detail: fmt.Sprintf("%s interprets %s, which was not analysed; the interpreter and its modules were", i.Name, cmp.Or(i.Text, "text that is not known")),
		})
	}
}

// arch is the system call ABI of the program.
func (a *analysis) arch() abi.Arch {
	if a.link.Exe.File.Machine == elf.EM_AARCH64 {
		return abi.AArch64
	}
	return abi.X8664
}

// facts adds what the program can do.
func (a *analysis) facts() {
	set := &a.set
	paths := a.graph.Paths()
	byName := map[string][]graph.Syscall{}
	for _, c := range a.calls {
		arch, name := a.callee(c)
		if name == "" {
			a.gap(evidence.UnresolvedSyscall, where(c.Maker.Func.Code.Object.Path, c.Instr), fmt.Sprintf("system call %d, which no table has", c.Number))
			continue
		}
		byName[string(arch)+"\x00"+name] = append(byName[string(arch)+"\x00"+name], c)
	}
	keys := make([]string, 0, len(byName))
	for k := range byName {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	args := make([]argument, len(keys))
	each(len(keys), func(i int) {
		_, name, _ := strings.Cut(keys[i], "\x00")
		if name == "socket" || name == "socketpair" {
			args[i] = a.sockets(byName[keys[i]])
		} else if index, ok := selectors()[name]; ok {
			args[i] = a.argument(byName[keys[i]], index)
		}
	})
	for i, k := range keys {
		arch, name, _ := strings.Cut(k, "\x00")
		a.fact(set, abi.Arch(arch), name, args[i])
		set.Witnesses = append(set.Witnesses, a.witness(paths, abi.Arch(arch), name, byName[k]))
	}
	for _, u := range a.failed {
		g := evidence.Gap{Kind: evidence.UnresolvedSyscall, Where: where(u.Node.Func.Code.Object.Path, u.Site), Detail: "a system call: " + u.Why}
		switch {
		case a.changesIDs(u):
			g.Covered = true
			g.Detail += "; it is how other threads follow setuid(3) and its like (nptl(7)), whose calls are known"
		case a.explained[u.Node.Func.Code.Object] && a.callsForLibcap(u):
			g.Covered = true
			g.Detail += "; it is how libcap makes all of its calls (cap_set_syscall(3)), which are known"
		case repeats(u):
			g.Covered = true
			g.Detail += "; it is how other threads repeat the call of syscall.AllThreadsSyscall, which is known"
		}
		a.note(g)
	}
	a.foreign()
	set.Gaps = append(set.Gaps, a.found...)
}

// callee is the ABI and the name of a call; "" if no table has it.
func (a *analysis) callee(c graph.Syscall) (abi.Arch, string) {
	arch, nr := a.arch(), c.Number
	if arch == abi.X8664 && nr&abi.X32Bit != 0 {
		arch, nr = abi.X32, nr&^abi.X32Bit
	}
	name, _ := arch.Name(nr)
	return arch, name
}

// fact adds a system call, once for each way to make it, where those are all
// known.
func (a *analysis) fact(set *evidence.Set, arch abi.Arch, name string, arg argument) {
	nr, _ := arch.Number(name)
	plain := evidence.Syscall{Arch: arch, Nr: nr, Name: name, Phase: evidence.Start, Basis: evidence.Reachable}
	index, ok := selectors()[name]
	if !ok {
		set.Facts = append(set.Facts, plain)
		return
	}
	if !arg.complete() {
		set.Facts = append(set.Facts, plain)
		a.unresolvedArgument(name, index, arg)
		return
	}
	for _, way := range arg.ways {
		f := plain
		f.Args = way
		set.Facts = append(set.Facts, f)
	}
}

// unresolvedArgument notes where an argument could not be found out.
func (a *analysis) unresolvedArgument(name string, index int, arg argument) {
	for _, u := range arg.unresolved {
		a.note(evidence.Gap{
			Kind: evidence.UnresolvedArgument, Where: where(u.Node.Func.Code.Object.Path, u.Site), Syscall: name,
			Detail: fmt.Sprintf("argument %d of %s %s; %d values are known", index, name, u.Why, len(arg.values)),
		})
	}
}

// witness is the shortest path to any of the calls, by calls alone if there is
// such a path.
func (a *analysis) witness(paths *graph.Paths, arch abi.Arch, name string, calls []graph.Syscall) evidence.Witness {
	best, bestPath := graph.Syscall{}, []graph.Edge(nil)
	for _, c := range calls {
		p := paths.To(c.Node)
		better := bestPath == nil || cmp.Or(
			-compareBool(paths.Direct(c.Node), paths.Direct(best.Node)),
			cmp.Compare(len(p), len(bestPath)),
			cmp.Compare(c.Node.Func.Code.Object.Path, best.Node.Func.Code.Object.Path),
			cmp.Compare(c.Site, best.Site),
		) < 0
		if better {
			best, bestPath = c, p
		}
	}
	w := evidence.Witness{Syscall: name, Arch: arch, Basis: evidence.Reachable, Program: a.program.Path, Tier: a.tier(paths, best.Node, bestPath)}
	for i, e := range bestPath {
		at := best.Site
		n := best.Node
		if i+1 < len(bestPath) {
			n, at = bestPath[i+1].From, bestPath[i+1].Site
		}
		_ = e
		w.Path = append(w.Path, step(n, at))
	}
	if best.Maker != best.Node {
		w.Path = append(w.Path, step(best.Maker, best.Instr))
	}
	return w
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

func step(n *graph.Node, at uint64) evidence.Step {
	return evidence.Step{Object: n.Func.Code.Object.Path, Function: n.Func.Name(), Offset: at}
}

// tier says how sure it is that the path is taken.
func (a *analysis) tier(paths *graph.Paths, n *graph.Node, path []graph.Edge) evidence.Tier {
	if paths.Direct(n) {
		return evidence.Direct
	}
	for _, e := range path {
		if e.Reason == graph.Export {
			return evidence.Plugin
		}
	}
	return evidence.Indirect
}

// changesIDs reports whether an unresolved system call is the one in the signal
// handler by which glibc changes the IDs of all threads. The kernel changes
// those of one; setuid(3), setgroups(3) and their like hand the number of their
// own call to the handlers of all others: nptl(7), "NPTL and user and group
// IDs". The same function makes the call for its own thread, so that its number
// is among the facts if any of them can run.
func (a *analysis) changesIDs(u graph.Unresolved) bool {
	o := u.Node.Func.Code.Object
	if !u.Node.Taken() || u.Node.Func.Name() != "" || path.Base(o.Path) != "libc.so.6" {
		return false
	}
	handlers := 0
	for _, f := range a.failed {
		if f.Node.Func.Code.Object == o {
			handlers++
		}
	}
	return handlers == 1 && slices.ContainsFunc(a.link.BindName("setgroups"), func(d link.Definition) bool { return d.Object == o })
}

// repeats reports whether an unresolved system call is the one by which Go makes
// every thread do what one did: src/runtime/os_linux.go. The number is that of
// the call that syscall_runtime_doAllThreadsSyscall makes first, on its own
// thread; without it nothing ever asks for this one. Go programs have the names
// of their functions even if stripped.
func repeats(u graph.Unresolved) bool {
	return u.Node.Func.Code.File.IsGo() && u.Node.Func.Name() == "runtime.runPerThreadSyscall"
}

// foreign notes code that enters the kernel through the 32-bit ABI.
func (a *analysis) foreign() {
	for _, n := range a.graph.Live() {
		for _, site := range n.Func.Legacy() {
			a.gap(evidence.ForeignABI, where(n.Func.Code.Object.Path, site), "enters the kernel as 32-bit code does (int 0x80, sysenter): such calls are not derived")
		}
	}
}
