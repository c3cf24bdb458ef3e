package lint

import (
	"maps"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/profgen/profgen/gen/findings"
	"github.com/profgen/profgen/gen/seccomp"
	"github.com/profgen/profgen/internal/abi"
	"github.com/profgen/profgen/profiles"
)

const (
	eperm  = 1
	enosys = 38
)

// reviewSeccomp looks at the seccomp profile as its reader reads it.
func (l *linter) reviewSeccomp() error {
	base, caps, err := engineDefault(l.reader)
	if err != nil {
		return err
	}
	l.native = abi.X8664
	if row, _ := abi.AArch64.Row(); slices.Contains(l.in.Seccomp.Architectures, row.SCMP) && !slices.Contains(l.in.Seccomp.Architectures, specs.ArchX86_64) {
		l.native = abi.AArch64
	}
	h := seccomp.Host{Native: l.native, Capabilities: l.capabilities(caps)}
	if l.spec, err = l.in.Seccomp.Read(l.reader, h); err != nil {
		return err
	}
	reader := l.reader
	if reader == seccomp.Containerd {
		reader = seccomp.Docker // containerd's own default is in no file
	}
	if l.base, err = base.Read(reader, h); err != nil {
		return err
	}
	for _, check := range []func(){
		l.defaults, l.keys, l.readers, l.rules, l.contradictions, l.abis, l.basics, l.fallbacks, l.widths, l.breadth,
	} {
		check()
	}
	return nil
}

func permits(a specs.LinuxSeccompAction) bool {
	return a == specs.ActAllow || a == specs.ActLog || a == specs.ActTrace || a == specs.ActNotify
}

func kills(a specs.LinuxSeccompAction) bool {
	return a == specs.ActKill || a == specs.ActKillThread
}

func (l *linter) defaults() {
	f := l.in.Seccomp
	switch {
	case f.DefaultAction == specs.ActLog:
		l.add(defaultLog, -1, "the default action SCMP_ACT_LOG refuses nothing")
	case permits(f.DefaultAction):
		l.add(defaultAllow, -1, "the default action %s lets through whatever no rule names", f.DefaultAction)
	case kills(f.DefaultAction):
		l.add(killThread, -1, "the default action %s kills one thread", f.DefaultAction)
	}
	if f.DefaultAction == specs.ActErrno && f.DefaultErrnoRet != nil && *f.DefaultErrnoRet == 0 {
		l.add(errnoZero, -1, "the default is errno 0: what is refused claims to have been done")
	}
	if slices.Contains(f.Flags, specs.LinuxSeccompFlagSpecAllow) {
		l.add(specAllow, -1, "flag SECCOMP_FILTER_FLAG_SPEC_ALLOW")
	}
}

// keys looks at what the file says to nobody.
func (l *linter) keys() {
	for _, k := range l.in.Seccomp.Unknown {
		if !strings.HasPrefix(k.Key, "x-") && k.Key != "comment" && k.Key != "$schema" {
			l.found = append(l.found, unknownKey.Of(findings.Location{File: l.in.SeccompName, Line: k.Line}, "key %q means nothing to anybody", k.Key))
		}
	}
}

// readers looks at what the profile says, and its reader does not hear.
func (l *linter) readers() {
	f := l.in.Seccomp
	if len(f.ArchMap) > 0 && l.reader == seccomp.Containerd {
		l.add(archMapIgnored, -1, "archMap is overlooked")
	}
	if f.DefaultErrno != "" && l.reader != seccomp.Podman {
		l.add(errnoIgnored, -1, "defaultErrno %q is overlooked", f.DefaultErrno)
	}
	for i, r := range f.Syscalls {
		if r.Errno != "" && l.reader != seccomp.Podman {
			l.add(errnoIgnored, i, "errno %q is overlooked", r.Errno)
		}
		if r.Name != "" && l.reader == seccomp.Containerd {
			l.add(nameIgnored, i, "name %q is overlooked: the rule is about nothing", r.Name)
		}
		for _, c := range []*seccomp.Condition{r.Includes, r.Excludes} {
			switch {
			case c.Empty():
			case l.reader == seccomp.Containerd:
				l.add(conditionIgnored, i, "the rule applies everywhere: containerd does not know includes and excludes")
			case c.MinKernel != "" && l.reader == seccomp.Podman:
				l.add(conditionIgnored, i, "the rule applies everywhere: Podman does not know minKernel")
			}
		}
	}
}

// rules looks at each rule by itself.
func (l *linter) rules() {
	for i, r := range l.in.Seccomp.Syscalls {
		if len(r.AllNames()) == 0 {
			l.add(noNames, i, "the rule has no names")
		}
		l.action(i, r)
		l.conditions(i, r)
		l.spelling(i, r)
	}
}

func (l *linter) action(i int, r seccomp.FileRule) {
	errno := errnoOf(r.ErrnoRet)
	isDefault := r.Action == l.spec.DefaultAction
	if isDefault && r.Action == specs.ActErrno {
		// ENOSYS is said again for engines that do not know defaultErrnoRet.
		isDefault = errno == errnoOf(l.spec.DefaultErrnoRet) && errno != enosys
	}
	names := strings.Join(r.AllNames(), " ")
	switch {
	case isDefault && r.Errno == "":
		l.add(ruleIsDefault, i, "%s: the rule says what the default says", short(names))
	case r.Action == specs.ActErrno && errno == 0:
		l.add(errnoZero, i, "%s: errno 0: what is refused claims to have been done", short(names))
	case kills(r.Action):
		l.add(killThread, i, "%s: %s kills one thread", short(names), r.Action)
	case r.Action == specs.ActTrace:
		l.add(traceTracer, i, "%s: who traces decides", short(names))
	case r.Action == specs.ActNotify && l.in.Seccomp.ListenerPath == "":
		l.add(notifyListener, i, "%s: nobody to notify", short(names))
	}
}

// errnoOf is the number that runtimes answer with.
func errnoOf(n *uint) uint {
	if n == nil {
		return eperm
	}
	return *n
}

func short(names string) string {
	const most = 40
	if len(names) <= most {
		return names
	}
	return names[:most] + "…"
}

func (l *linter) conditions(i int, r seccomp.FileRule) {
	seen := map[uint]bool{}
	names := short(strings.Join(r.AllNames(), " "))
	for _, a := range r.Args {
		if seen[a.Index] {
			l.add(sameIndex, i, "%s: two conditions on argument %d: either will do", names, a.Index)
		}
		seen[a.Index] = true
		if a.Op != specs.OpMaskedEqual {
			continue
		}
		switch {
		case a.Value == 0:
			l.add(neverMask, i, "%s: the condition on argument %d has mask 0, and always holds", names, a.Index)
		case a.ValueTwo&^a.Value != 0:
			l.add(maskDatum, i, "%s: argument %d is compared with %#x, of which mask %#x leaves out %#x", names, a.Index, a.ValueTwo, a.Value, a.ValueTwo&^a.Value)
		}
	}
}

// spelling looks for names that no kernel has.
func (l *linter) spelling(i int, r seccomp.FileRule) {
	for _, name := range r.AllNames() {
		known := slices.ContainsFunc(abi.Arches(), func(a abi.Arch) bool { _, ok := a.Number(name); return ok })
		if !known && !l.namedByEngines(name) {
			l.add(unknownCall, i, "%q: no kernel has such a call", name)
		}
	}
}

// namedByEngines reports whether the default profiles know the name: they have
// those of architectures that profgen has no tables for.
func (l *linter) namedByEngines(name string) bool {
	if l.engines == nil {
		l.engines = map[string]bool{}
		for _, c := range []seccomp.Consumer{seccomp.Docker, seccomp.Podman} {
			f, _, err := engineDefault(c)
			if err != nil {
				continue // the data is tested
			}
			for _, r := range f.Syscalls {
				for _, n := range r.AllNames() {
					l.engines[n] = true
				}
			}
		}
	}
	return l.engines[name]
}

// contradictions looks for rules with conditions beside one without.
func (l *linter) contradictions() {
	always := map[string]specs.LinuxSeccompAction{}
	for _, r := range l.spec.Syscalls {
		if len(r.Args) == 0 && (r.Action != l.spec.DefaultAction || errnoOf(r.ErrnoRet) != errnoOf(l.spec.DefaultErrnoRet)) {
			for _, name := range r.Names {
				if _, ok := always[name]; !ok {
					always[name] = r.Action
				}
			}
		}
	}
	for i, r := range l.in.Seccomp.Syscalls {
		if len(r.Args) == 0 || !r.Includes.Empty() || !r.Excludes.Empty() {
			continue
		}
		for _, name := range r.AllNames() {
			if action, ok := always[name]; ok {
				l.add(conditionVoid, i, "%s: another rule answers it %s whatever its arguments", name, action)
			}
		}
	}
}

// abis looks at what else than the native ABI is let in.
func (l *linter) abis() {
	// What engines put into archMap is for all images alike.
	listed := l.in.Seccomp.Architectures
	if slices.Contains(listed, specs.ArchX32) {
		l.add(x32, -1, "SCMP_ARCH_X32 is among the architectures")
	}
	if slices.Contains(listed, specs.ArchX86) && seccomp.Permits(l.spec, abi.X86, "socketcall", seccomp.Given{Index: 0, Mask: low, Value: 1}).Permits && l.filtersSockets() {
		l.add(socketcall, -1, "families of sockets are filtered, and socketcall is allowed with SCMP_ARCH_X86 among the architectures")
	}
	if l.filters("clone", seccomp.Given{Index: 0, Mask: newUser, Value: newUser}) && seccomp.Permits(l.spec, l.native, "clone3").Permits && !seccomp.Permits(l.base, l.native, "clone3").Permits {
		l.add(clone3Hole, -1, "clone is refused for new namespaces, and clone3 is allowed")
	}
}

const (
	low     = 0xffffffff
	newUser = 0x10000000 // CLONE_NEWUSER: include/uapi/linux/sched.h
)

// filtersSockets reports whether some families are refused, and some not.
func (l *linter) filtersSockets() bool {
	return slices.ContainsFunc(families(), func(n uint64) bool {
		return l.filters("socket", seccomp.Given{Index: 0, Mask: low, Value: n})
	})
}

// filters reports whether a call is allowed, and not so.
func (l *linter) filters(name string, so seccomp.Given) bool {
	return seccomp.Permits(l.spec, l.native, name).Permits && !seccomp.Permits(l.spec, l.native, name, so).Permits
}

// families are all families of sockets: include/linux/socket.h.
func families() []uint64 {
	out := make([]uint64, 46)
	for i := range out {
		out[i] = uint64(i)
	}
	return out
}

// basics looks for what no process, and no container, does without.
func (l *linter) basics() {
	refused := func(names []string) []string {
		var out []string
		for _, name := range names {
			if _, ok := l.native.Number(name); ok && !seccomp.Permits(l.spec, l.native, name).Permits {
				out = append(out, name)
			}
		}
		return out
	}
	if missing := refused([]string{"exit", "exit_group", "rt_sigreturn"}); len(missing) > 0 {
		l.add(missingBasics, -1, "%s refused", strings.Join(missing, ", "))
	}
	floors, err := profiles.Floors()
	if err != nil {
		return // the data is tested
	}
	// A container starts if one runtime can start it.
	var lacks []string
	for _, f := range floors {
		missing := refused(f.Syscalls)
		switch {
		case f.Exec || !f.NoNewPrivileges:
		case len(missing) == 0:
			return
		default:
			lacks = append(lacks, f.Name+" needs "+strings.Join(missing, " "))
		}
	}
	if len(lacks) > 0 {
		l.add(missingFloor, -1, "no runtime can start a container: %s", strings.Join(lacks, "; "))
	}
}

// newer are calls that libc and others fall back from, with what they fall back
// to.
var newer = map[string]string{
	"clone3": "clone", "openat2": "openat", "faccessat2": "faccessat", "statx": "newfstatat", "close_range": "close",
	"epoll_pwait2": "epoll_pwait", "fchmodat2": "fchmodat",
}

func (l *linter) fallbacks() {
	if permits(l.spec.DefaultAction) {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(newer)) {
		old := newer[name]
		hasNew, hasOld := seccomp.Permits(l.spec, l.native, name).Permits, seccomp.Permits(l.spec, l.native, old).Permits
		answer := seccomp.AnswerTo(l.spec, l.native, name)
		switch {
		case hasNew && !hasOld:
			l.add(fallbackMissing, -1, "%s is allowed, and %s is not", name, old)
		case !hasNew && hasOld && answer != "ENOSYS":
			l.add(fallbackEPERM, -1, "%s answers %s: libc does not fall back to %s", name, answer, old)
		}
	}
}

// widths looks for values that are refused, and get through with something in
// the high half.
func (l *linter) widths() {
	seen := map[string]bool{}
	for i, r := range l.in.Seccomp.Syscalls {
		for _, name := range r.AllNames() {
			for _, a := range r.Args {
				for _, v := range []uint64{a.Value, a.Value - 1, a.Value + 1, a.ValueTwo, 38} {
					given := seccomp.Given{Index: a.Index, Mask: low, Value: v & low}
					if !abi.Is32Bit(name, a.Index) || seen[name] {
						continue
					}
					reach := seccomp.Permits(l.spec, l.native, name, given)
					if reach.HighBits && !seccomp.Permits(l.base, l.native, name, given).Permits {
						seen[name] = true
						l.add(compare64, i, "%s: argument %d is refused as %#x and let through as %#x, which is the same to the kernel", name, a.Index, v&low, reach.Args[a.Index])
					}
				}
			}
		}
	}
}

// breadth compares with the engine's default.
func (l *linter) breadth() {
	if permits(l.spec.DefaultAction) {
		return // said already, and everything would follow
	}
	var more []string
	for _, c := range seccomp.Compare(l.base, l.spec, l.native).Calls {
		if c.Arch != l.native || !c.Verdict.Widens() || c.Name == "" {
			continue
		}
		if why, ok := breakouts[c.Name]; ok {
			l.add(dangerous, l.ruleOf(c.Name), "%s: %s", c.Name, why)
			continue
		}
		if c.More != nil && *c.More != [6]uint64{} {
			l.add(wider, l.ruleOf(c.Name), "%s: %s; by default %s", c.Name, c.To, c.From)
			continue
		}
		more = append(more, c.Name)
	}
	if len(more) > 0 {
		l.add(wider, -1, "allowed beyond the default of %s: %s", l.reader, strings.Join(more, " "))
	}
}

// ruleOf is the first rule that allows the call; -1 if it is not a rule that
// does.
func (l *linter) ruleOf(name string) int {
	return slices.IndexFunc(l.in.Seccomp.Syscalls, func(r seccomp.FileRule) bool {
		return permits(r.Action) && slices.Contains(r.AllNames(), name)
	})
}
