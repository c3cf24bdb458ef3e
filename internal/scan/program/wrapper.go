package program

import (
	"path"
	"slices"
	"strings"
)

// wrapper is a program that runs the command in its arguments.
type wrapper struct {
	names  string // as which it is known
	short  string // options of one letter that take a value
	long   string // options with -- that take a value as the next argument
	before int    // arguments between the options and the command
	assign bool   // NAME=value may come before the command
	how    how
}

// how says what the command is.
type how uint8

const (
	plain     how = iota // the arguments that are left
	splitting            // the same; -S has a line to split before them: env
	optionC              // a shell line, after -c, or else a list: flock
	login                // user and a shell line, after -c; a shell if there is none: su
	either               // as login, but a list after -u: runuser
	line                 // the arguments joined, for a shell: watch
	more                 // the arguments that are left, and others that are read at run time: xargs
	inFind               // between -exec and ; or +: find
	daemon               // the value of -x or -a, then what follows --: start-stop-daemon
	directory            // every program in a directory: run-parts
)

// wrappers are from the manual page of each.
var wrappers = []wrapper{
	{names: "env", short: "uCS", long: "unset chdir split-string", assign: true, how: splitting},
	{names: "nohup setsid chronic eatmydata dbus-run-session unbuffer s6-setsid linux32 linux64"},
	{names: "tini tini-static docker-init", short: "pe"},
	{names: "catatonit", short: "P"},
	{names: "fakeroot", short: "lsib", long: "lib faked"},
	{names: "dumb-init", short: "r", long: "rewrite"},
	{names: "nice", short: "n", long: "adjustment"},
	{names: "ionice", short: "cnpPu", long: "class classdata"},
	{names: "chrt", short: "TPDp", long: "sched-runtime sched-period sched-deadline", before: 1},
	{names: "taskset", before: 1},
	{names: "timeout", short: "ks", long: "kill-after signal", before: 1},
	{names: "stdbuf", short: "ioe", long: "input output error"},
	{names: "time", short: "fo", long: "format output"},
	{names: "xargs", short: "adEIJLnPRSs", long: "arg-file delimiter max-args max-lines max-procs max-chars replace-str process-slot-var", how: more},
	{names: "sudo", short: "ughpCTrtRDU", long: "user group host prompt close-from chdir chroot role type other-user command-timeout", assign: true},
	{names: "doas", short: "uC"},
	{names: "su", short: "sgGwcT", long: "shell group supp-group whitelist-environment command", how: login},
	{names: "runuser", short: "sgGwcuT", long: "shell group supp-group whitelist-environment command user", how: either},
	{names: "gosu su-exec setuidgid s6-setuidgid envuidgid s6-envuidgid", before: 1},
	{names: "envdir s6-envdir setlock s6-setlock pidproxy", short: "td", before: 1},
	{names: "s6-env", assign: true},
	{names: "s6-nice", short: "n"},
	{names: "s6-softlimit softlimit", short: "mdslaopfctr"},
	{names: "s6-applyuidgid", short: "ugG"},
	{names: "s6-notifyoncheck", short: "3sTtwnc"},
	{names: "chpst", short: "uUebdoprtfcmlnP/"},
	{names: "chroot", long: "userspec groups", before: 1},
	{names: "setpriv", long: "reuid ruid euid regid rgid egid groups inh-caps ambient-caps bounding-set securebits selinux-label apparmor-profile pdeathsig landlock-access landlock-rule seccomp-filter ptracer"},
	{names: "unshare nsenter", short: "tSGRw", long: "target setuid setgid root wd propagation setgroups map-user map-group map-users map-groups load-interp"},
	{names: "flock", short: "wEc", long: "wait timeout conflict-exit-code command", before: 1, how: optionC},
	{names: "setarch", before: 1},
	{names: "prlimit", short: "op", long: "output pid"},
	{names: "numactl", short: "NmCpPiwl", long: "cpunodebind membind physcpubind preferred preferred-many interleave weighted-interleave"},
	{names: "faketime", short: "fp", before: 1},
	{names: "strace", short: "abeEIOopPsSuUXz", long: "attach columns env output signal string-limit trace trace-path user"},
	{names: "ltrace", short: "aADeFlnopsuwx"},
	{names: "xvfb-run", short: "efnpsw", long: "error-file auth-file server-num xauth-protocol server-args wait"},
	{names: "cpulimit", short: "lpe", long: "limit pid exe"},
	{names: "watch", short: "nq", long: "interval equexit", how: line},
	{names: "ssh-agent", short: "aEtOP"},
	{names: "find", how: inFind},
	{names: "start-stop-daemon", short: "xapnucrgsNPIkROtd", long: "exec startas pidfile name user chuid chroot chdir group signal nicelevel procsched iosched umask retry output ppid pid", how: daemon},
	{names: "run-parts", short: "au", long: "arg umask regex", how: directory},
	{names: "ld-linux-x86-64.so ld-linux-aarch64.so ld-musl-x86_64.so ld-musl-aarch64.so", long: "library-path preload argv0 inhibit-rpath audit glibc-hwcaps-prepend glibc-hwcaps-mask"},
}

func wrapperNamed(name string) (*wrapper, bool) {
	for i := range wrappers {
		names := strings.Fields(wrappers[i].names)
		if slices.Contains(names, name) || strings.HasPrefix(name, "ld-") && slices.Contains(names, stem(name)) {
			return &wrappers[i], true
		}
	}
	return nil, false
}

// options is a command line read as getopt(3) does that stops at the first
// argument that is no option.
type options struct {
	values map[string][]arg // of each option without dashes; a zero arg if it takes none
	rest   args
}

// has reports whether the option was given.
func (o options) has(name string) bool { return len(o.values[name]) > 0 }

// first returns the first value of an option.
func (o options) first(names ...string) (arg, bool) {
	for _, n := range names {
		if v := o.values[n]; len(v) > 0 {
			return v[0], true
		}
	}
	return arg{}, false
}

// getopt reads options; short and long are those that take a value, attached
// are letters whose value is only what follows in the same argument.
func getopt(list args, short, long, attached string) options {
	o := options{values: map[string][]arg{}}
	longs := strings.Fields(long)
	for len(list) > 0 {
		a := list[0]
		if a.many || len(a.text) < 2 || a.text[0] != '-' {
			break
		}
		list = list[1:]
		if a.text == "--" && !a.open {
			break
		}
		var needs bool
		var name string
		if strings.HasPrefix(a.text, "--") {
			var value string
			var inline bool
			name, value, inline = strings.Cut(a.text[2:], "=")
			needs = !inline && !a.open && slices.Contains(longs, name)
			if !needs {
				o.values[name] = append(o.values[name], arg{text: value, open: a.open})
			}
		} else {
			name, needs = o.bundle(a, short, attached)
		}
		if needs && len(list) > 0 {
			o.values[name] = append(o.values[name], list[0])
			list = list[1:]
		}
	}
	o.rest = list
	return o
}

// bundle reads letters behind one dash; it returns the last if its value is the
// next argument.
func (o *options) bundle(a arg, short, attached string) (string, bool) {
	letters := a.text[1:]
	for i := range len(letters) { // getopt(3) knows bytes, not runes
		name, rest := letters[i:i+1], letters[i+1:]
		takes := strings.Contains(short, name)
		if takes && rest == "" && !a.open {
			return name, true
		}
		if takes || strings.Contains(attached, name) {
			o.values[name] = append(o.values[name], arg{text: rest, open: a.open})
			return "", false
		}
		o.values[name] = append(o.values[name], arg{})
	}
	return "", false
}

// wrapped takes the command in a wrapper's arguments.
func (f *Finder) wrapped(from origin, w *wrapper, argv args, depth int) {
	if w.how == inFind {
		f.findExec(from, argv[1:], depth)
		return
	}
	opt := getopt(argv[1:], w.short, w.long, "")
	rest := opt.rest.from(0)
	switch w.how {
	case splitting:
		if s, ok := opt.first("S", "split-string"); ok {
			rest = slices.Concat(splitEnv(s), rest)
		}
	case optionC:
		if s, ok := optionAfter(opt, w.before, "c", "command"); ok {
			f.shellLine(from, s, depth)
			return
		}
	case login, either:
		if w.how == login || !opt.has("u") && !opt.has("user") {
			f.login(from, opt, w, depth)
			return
		}
	case line:
		f.shellLine(from, rest.join(), depth)
		return
	case more:
		rest = slices.Concat(rest, anything())
		if len(rest) == 1 {
			return // echo
		}
	case daemon:
		program, ok := opt.first("a", "startas", "x", "exec")
		if !ok {
			return
		}
		rest = slices.Concat(args{program}, rest)
	case directory:
		if d, ok := rest.at(0); ok {
			f.reportExec(from, args{{text: path.Clean("/"+d.text) + "/", open: true}}, depth+1)
		}
		return
	}
	rest = rest.from(w.before)
	for w.assign && len(rest) > 0 {
		name, value, ok := strings.Cut(rest[0].text, "=")
		if !ok {
			break
		}
		f.inherit(name, arg{text: value, open: rest[0].open}, false)
		if strings.HasPrefix(name, "LD_") {
			f.loaderValue(name, args{{text: value, open: rest[0].open}}, from.where)
		}
		rest = rest[1:]
	}
	o := f.exec(from, rest, depth+1)
	if o.failure() != nil && len(opt.values) > 0 {
		o.computed = true // its options may be others than those in the table
	}
	f.reportOutcome(from, o)
}

// optionAfter returns the value of an option that may also stand behind the
// arguments that come before a command.
func optionAfter(o options, before int, names ...string) (arg, bool) {
	if v, ok := o.first(names...); ok {
		return v, true
	}
	return getopt(o.rest.from(before), "c", "command", "").first(names...)
}

// reportExec execs a command, and notes here what is not found.
func (f *Finder) reportExec(from origin, argv args, depth int) {
	f.reportOutcome(from, f.exec(from, argv, depth))
}

func (f *Finder) reportOutcome(from origin, o outcome) {
	o.report(f, from.where)
	if o.computed {
		f.gap(Computed, from.where, from.label)
	}
}

// shellLine gives a line to /bin/sh.
func (f *Finder) shellLine(from origin, s arg, depth int) {
	f.reportExec(from, args{{text: "/bin/sh"}, {text: "-c"}, s}, depth+1)
}

// login takes su [options] [-] [user [argument…]]: options may come anywhere.
func (f *Finder) login(from origin, opt options, w *wrapper, depth int) {
	shell := arg{text: "/bin/sh"}
	rest := opt.rest
	var words args
	values := opt.values
	for len(rest) > 0 {
		words = append(words, rest[0])
		more := getopt(rest[1:], w.short, w.long, "")
		for k, v := range more.values {
			values[k] = append(values[k], v...)
		}
		rest = more.rest
	}
	opt = options{values: values}
	if s, ok := opt.first("s", "shell"); ok {
		shell = s
	}
	if len(words) > 0 && words[0].text == "-" {
		words = words[1:]
	}
	argv := args{shell}
	if c, ok := opt.first("c", "command"); ok {
		argv = append(argv, arg{text: "-c"}, c)
	}
	f.reportExec(from, slices.Concat(argv, words.from(1)), depth+1)
}

// findExec takes the commands of find(1). A file that it finds is one below
// the places where it begins.
func (f *Finder) findExec(from origin, list args, depth int) {
	var starts args
	for _, a := range list {
		if a.text == "" || strings.ContainsRune("-(!", rune(a.text[0])) {
			break
		}
		starts = append(starts, arg{text: strings.TrimSuffix(a.text, "/") + "/", open: true})
	}
	if len(starts) == 0 {
		starts = args{{open: true}}
	}
	for i := 0; i < len(list); i++ {
		if !slices.Contains([]string{"-exec", "-execdir", "-ok", "-okdir"}, list[i].text) {
			continue
		}
		from0 := i + 1
		for i++; i < len(list) && list[i].text != ";" && list[i].text != "+"; i++ {
		}
		for _, start := range starts {
			f.reportExec(from, found(list[from0:i], start), depth+1)
		}
	}
}

// found is a command of find with a file for {}.
func found(command args, file arg) args {
	out := slices.Clone(command)
	for i, a := range out {
		if a.text == "{}" {
			out[i] = file
		} else if head, _, ok := strings.Cut(a.text, "{}"); ok {
			out[i] = arg{text: head, open: true}
		}
	}
	return out
}

// splitEnv splits the value of env -S: blanks part words, quotes keep them
// together, ${NAME} is not known here.
func splitEnv(s arg) args {
	if s.open {
		return anything()
	}
	out, ok := splitQuoted(s.text)
	if !ok {
		return anything()
	}
	return out
}

// splitQuoted splits at blanks outside quotes; false if a quote is not closed.
func splitQuoted(s string) (args, bool) {
	var out args
	var word strings.Builder
	quote, begun := byte(0), false
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '\\' && quote != '\'' && i+1 < len(s):
			i++
			word.WriteByte(s[i])
			begun = true
		case c == quote && quote != 0:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote, begun = c, true
		case quote == 0 && (c == ' ' || c == '\t' || c == '\n'):
			if begun {
				out = append(out, arg{text: word.String()})
				word.Reset()
				begun = false
			}
		default:
			word.WriteByte(c)
			begun = true
		}
	}
	if begun {
		out = append(out, arg{text: word.String()})
	}
	return out, quote == 0
}

// join is the arguments as one, with blanks between them.
func (a args) join() arg {
	var s []string
	for _, x := range a {
		s = append(s, x.text)
		if x.open {
			return arg{text: strings.Join(s, " "), open: true}
		}
	}
	return arg{text: strings.Join(s, " ")}
}
