package program

import (
	"path"
	"slices"
	"strings"
)

// supervisor is a program that starts others, which files say that are not
// read here.
type supervisor struct {
	names string
	what  string
}

var supervisors = []supervisor{
	{"systemd", "starts the units of systemd"},
	{"init", "starts what its inittab or units say"},
	{"openrc openrc-init rc-service", "starts the scripts of etc/init.d"},
	{"runsvdir runsv runit runit-init runsvinit sv", "starts the run files of its services"},
	{"s6-svscan s6-supervise s6-rc s6-rc-init s6-overlay-init s6-linux-init s6-overlay-suexec", "starts the run files of its services"},
	{"svscan svscanboot supervise", "starts the run files of its services"},
	{"execlineb", "runs execline text"},
	{"supervisord", "starts the programs of its configuration"},
	{"circusd monit god dinit nitro pebble", "starts the programs of its configuration"},
	{"foreman forego honcho overmind goreman pm2 pm2-runtime", "starts the programs of a Procfile or the like"},
	{"cron crond anacron atd fcron supercronic", "runs the commands of crontabs"},
	{"inetd xinetd tcpserver", "starts a program for a connection"},
	{"sshd dropbear", "starts the shells and commands of users"},
	{"npm npx yarn pnpm", "runs the scripts of package.json"},
	{"make gmake rake bundle gradle mvn composer tox", "runs the commands of its rules"},
	{"parallel entr script screen tmux", "runs the commands it is told"},
}

// supervise handles a program that starts others; false if it is none.
func (f *Finder) supervise(from origin, name string, argv args) bool {
	for _, s := range supervisors {
		if !slices.Contains(strings.Fields(s.names), name) {
			continue
		}
		if name == "supervisord" && f.supervisord(from, argv) {
			return true
		}
		f.gap(Supervisor, from.where, name+" "+s.what+"; they are not read")
		return true
	}
	return false
}

// supervisordConfigs are where supervisord looks, in its working directory if
// relative: "Running Supervisor" of its manual.
var supervisordConfigs = []string{
	"../etc/supervisord.conf", "../supervisord.conf", "supervisord.conf", "etc/supervisord.conf",
	"/etc/supervisord.conf", "/etc/supervisor/supervisord.conf",
}

// maxIncludes bounds the files that a supervisord.conf includes.
const maxIncludes = 128

// supervisord takes the commands of supervisord.conf; false if there is none.
func (f *Finder) supervisord(from origin, argv args) bool {
	candidates := supervisordConfigs
	for i, a := range argv {
		if value, ok := strings.CutPrefix(a.text, "--configuration="); ok {
			candidates = []string{value}
		} else if v, ok := argv.at(i + 1); ok && (a.text == "-c" || a.text == "--configuration") && !v.open {
			candidates = []string{v.text}
		}
	}
	for _, c := range candidates {
		file, err := f.files.Resolve(f.name(f.config.WorkingDir, c))
		if err != nil {
			continue
		}
		if data, err := f.files.Contents(file); err == nil {
			n := f.graph.node("supervisord\x00" + file)
			from.node.leadsTo(n, from.label)
			from.node = n
			f.supervisordConfig(from, file, data, true)
			return true
		}
	}
	return false
}

// supervisordConfig reads one file: sections of name=value lines, where a line
// that begins with a blank goes on.
func (f *Finder) supervisordConfig(from origin, file string, data []byte, include bool) {
	if len(data) > maxScript {
		f.gap(Limit, file, "more than 1 MiB")
		return
	}
	section := ""
	number := uint(0)
	for text := range strings.Lines(string(data)) {
		number++
		text, _, _ = strings.Cut(strings.TrimRight(text, "\r\n"), " ;")
		if strings.HasPrefix(text, "[") {
			section, _, _ = strings.Cut(text[1:], "]")
			continue
		}
		key, value, ok := strings.Cut(text, "=")
		if !ok || strings.ContainsRune("#; \t", rune(text[0])) {
			continue
		}
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		kind, _, _ := strings.Cut(section, ":")
		switch {
		case key == "command" && slices.Contains([]string{"program", "eventlistener", "fcgi-program"}, kind):
			f.supervised(from, file, number, value)
		case key == "files" && section == "include" && include:
			f.supervisordInclude(from, file, value)
		}
	}
}

// supervised takes a command= line.
func (f *Finder) supervised(from origin, file string, number uint, command string) {
	from.where, from.script = position(file, number), file
	from.label, from.shebang = from.where+": command="+snippet(command), false
	argv, ok := splitQuoted(command)
	if !ok {
		f.gap(Unparsed, from.where, "a quote is not closed")
		return
	}
	for i, a := range argv {
		argv[i] = f.expandENV(a.text)
	}
	f.reportExec(from, argv, 0)
}

// expandENV replaces %(ENV_NAME)s by the image's variable.
func (f *Finder) expandENV(s string) arg {
	var out strings.Builder
	for {
		head, rest, ok := strings.Cut(s, "%(")
		out.WriteString(head)
		if !ok {
			return arg{text: out.String()}
		}
		name, tail, closed := strings.Cut(rest, ")s")
		value, known := f.env[strings.TrimPrefix(name, "ENV_")]
		if !closed || !known || !strings.HasPrefix(name, "ENV_") {
			return arg{text: out.String(), open: true}
		}
		out.WriteString(value)
		s = tail
	}
}

// supervisordInclude reads the files that patterns name, relative to the file.
func (f *Finder) supervisordInclude(from origin, file, patterns string) {
	n := 0
	for _, pattern := range strings.Fields(patterns) {
		if !path.IsAbs(pattern) {
			pattern = path.Join("/", path.Dir(file), pattern)
		}
		prefix, _, _ := strings.Cut(pattern, "*")
		names, _ := f.under(prefix)
		for _, name := range names {
			if ok, err := path.Match(pattern, name); !ok || err != nil {
				continue
			}
			if n++; n > maxIncludes {
				f.gap(Limit, file, "more files are included than are read")
				return
			}
			included, err := f.files.Resolve(f.name("", name))
			if err != nil {
				continue
			}
			if data, err := f.files.Contents(included); err == nil {
				f.supervisordConfig(from, included, data, false)
			}
		}
	}
}
