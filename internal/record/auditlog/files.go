package auditlog

import (
	"strings"

	"github.com/profgen/profgen/gen/evidence"
)

// use is how a call uses the files that it names.
type use struct {
	at, name int // arguments: the descriptor of a folder, -1 for none; and the name
	perms    string
	kind     evidence.FileKind
}

// uses are the calls that do one thing to files that they name, as AppArmor has
// it. What only asks about a file (stat, access, readlink) AppArmor lets anybody.
var uses = map[string][]use{
	"creat":             {{-1, 0, "w", evidence.Regular}},
	"unlink":            {{-1, 0, "w", ""}},
	"unlinkat":          {{0, 1, "w", ""}},
	"rmdir":             {{-1, 0, "w", evidence.Directory}},
	"mkdir":             {{-1, 0, "w", evidence.Directory}},
	"mkdirat":           {{0, 1, "w", evidence.Directory}},
	"mknod":             {{-1, 0, "w", ""}},
	"mknodat":           {{0, 1, "w", ""}},
	"symlink":           {{-1, 1, "w", evidence.Symlink}},
	"symlinkat":         {{1, 2, "w", evidence.Symlink}},
	"rename":            {{-1, 0, "rw", ""}, {-1, 1, "w", ""}},
	"renameat":          {{0, 1, "rw", ""}, {2, 3, "w", ""}},
	"renameat2":         {{0, 1, "rw", ""}, {2, 3, "w", ""}},
	"chmod":             {{-1, 0, "w", ""}},
	"fchmodat":          {{0, 1, "w", ""}},
	"fchmodat2":         {{0, 1, "w", ""}},
	"chown":             {{-1, 0, "w", ""}},
	"lchown":            {{-1, 0, "w", ""}},
	"fchownat":          {{0, 1, "w", ""}},
	"truncate":          {{-1, 0, "w", evidence.Regular}},
	"utime":             {{-1, 0, "w", ""}},
	"utimes":            {{-1, 0, "w", ""}},
	"utimensat":         {{0, 1, "w", ""}},
	"futimesat":         {{0, 1, "w", ""}},
	"setxattr":          {{-1, 0, "w", ""}},
	"lsetxattr":         {{-1, 0, "w", ""}},
	"uselib":            {{-1, 0, "rm", evidence.Regular}},
	"swapon":            {{-1, 0, "rw", ""}},
	"acct":              {{-1, 0, "w", evidence.Regular}},
	"inotify_add_watch": {{-1, 1, "r", ""}},
}

// file takes the calls that are about files.
func (c straceMade) file() {
	if all, ok := uses[c.name]; ok {
		for _, u := range all {
			at := ""
			if u.at >= 0 {
				at = c.arg(u.at)
			}
			c.used(at, c.arg(u.name), u.perms, u.kind)
		}
		return
	}
	switch c.name {
	case "open", "openat", "openat2":
		c.open()
	case "link", "linkat":
		c.link()
	case "chdir", "fchdir", "chroot":
		c.move()
	case "close", "dup", "dup2", "dup3", "fcntl", "fcntl64":
		c.descriptor()
	case "mmap", "mmap2", "flock", "fchmod", "fchown", "ftruncate":
		c.onOpen()
	}
}

// used adds the use of a file by its name.
func (c straceMade) used(at, name, perms string, kind evidence.FileKind) {
	p, ok := c.path(at, name)
	if !ok {
		return
	}
	c.add(evidence.FileAccess{Path: p, Perms: perms, Kind: kind, Errno: c.errno, Phase: evidence.Start, Basis: evidence.Observed})
}

// openPerms are the permissions that open flags ask for; "" asks for none.
func openPerms(flags string) (perms string, kind evidence.FileKind, created bool) {
	has := map[string]bool{}
	for f := range strings.SplitSeq(strings.Trim(flags, "{}"), "|") {
		has[strings.TrimSpace(f)] = true
	}
	created = has["O_CREAT"] && has["O_EXCL"]
	if has["O_DIRECTORY"] {
		kind = evidence.Directory
	}
	switch {
	case has["O_PATH"]:
		return "", kind, false
	case has["O_RDWR"]:
		perms = "rw"
	case has["O_WRONLY"] && has["O_APPEND"] && !has["O_CREAT"] && !has["O_TRUNC"]:
		perms = "a"
	case has["O_WRONLY"]:
		perms = "w"
	default:
		perms = "r"
		if has["O_CREAT"] || has["O_TRUNC"] {
			perms = "rw"
		}
	}
	return perms, kind, created
}

func (c straceMade) open() {
	at, name, flags := c.arg(0), c.arg(1), c.arg(2)
	switch c.name {
	case "open":
		at, name, flags = "", c.arg(0), c.arg(1)
	case "openat2":
		_, flags, _ = strings.Cut(flags, "flags=")
		flags, _, _ = strings.Cut(flags, ",")
	}
	perms, kind, created := openPerms(flags)
	p, ok := c.path(at, name)
	if real, resolved := decorated(c.value); resolved {
		p, ok = cleanPath(real), true
	}
	if !ok || p == "" {
		return
	}
	if c.errno == "" {
		c.opened(&openFile{path: p})
	}
	if perms == "" {
		return
	}
	fact := evidence.FileAccess{Path: p, Perms: perms, Kind: kind, Errno: c.errno, Phase: evidence.Start, Basis: evidence.Observed}
	if created && c.errno == "" {
		fact.Origin = evidence.FromItself
	}
	c.add(fact)
}

func (c straceMade) link() {
	oldAt, old, newAt, name := "", c.arg(0), "", c.arg(1)
	if c.name == "linkat" {
		oldAt, old, newAt, name = c.arg(0), c.arg(1), c.arg(2), c.arg(3)
	}
	target, ok := c.path(oldAt, old)
	link, ok2 := c.path(newAt, name)
	if ok && ok2 {
		c.add(evidence.FileAccess{Path: link, Perms: "l", Target: target, Errno: c.errno, Phase: evidence.Start, Basis: evidence.Observed})
	}
}

// move follows the task into another folder; what is below a new root is not
// named as the container has it.
func (c straceMade) move() {
	if c.errno != "" {
		return
	}
	switch c.name {
	case "chroot":
		c.gap(evidence.Lost, StraceMethod, "names of files after a chroot", 1)
	case "fchdir":
		if f := c.fileAt(c.arg(0)); f != nil {
			*c.t.cwd = string(f.path)
		} else {
			*c.t.cwd = ""
		}
	default:
		p, _ := c.path("", c.arg(0))
		*c.t.cwd = string(p)
	}
}

// descriptor follows what descriptors stand for.
func (c straceMade) descriptor() {
	f := c.fileAt(c.arg(0))
	switch {
	case c.errno != "":
	case c.name == "close":
		digits, _, _ := strings.Cut(c.arg(0), "<")
		if n, ok := number(digits, nil); ok {
			delete(c.t.files, int(n))
		}
	case strings.HasPrefix(c.name, "fcntl") && strings.HasPrefix(c.arg(1), "F_SETLK"), strings.HasPrefix(c.name, "fcntl") && strings.HasPrefix(c.arg(1), "F_OFD_SETLK"):
		c.onFile(f, "k")
	case strings.HasPrefix(c.name, "dup"), strings.HasPrefix(c.arg(1), "F_DUPFD"):
		if f != nil {
			c.opened(f)
		}
	}
}

// onOpen takes the calls that use a file by its descriptor.
func (c straceMade) onOpen() {
	switch c.name {
	case "mmap", "mmap2":
		if strings.Contains(c.arg(2), "PROT_EXEC") {
			c.onFile(c.fileAt(c.arg(4)), "m")
		}
	case "flock":
		c.onFile(c.fileAt(c.arg(0)), "k")
	default:
		c.onFile(c.fileAt(c.arg(0)), "w")
	}
}

func (c straceMade) onFile(f *openFile, perms string) {
	if f != nil && f.path != "" && !strings.HasPrefix(string(f.path), "/memfd:") {
		c.add(evidence.FileAccess{Path: f.path, Perms: perms, Errno: c.errno, Phase: evidence.Start, Basis: evidence.Observed})
	}
}

// address takes the addresses of sockets: names in the file system, and ports
// that are listened on.
func (c straceMade) address() {
	f := c.fileAt(c.arg(0))
	_, name, isUnix := strings.Cut(c.arg(1), `sun_path="`)
	switch {
	case isUnix && strings.HasPrefix(name, "/"):
		perms := "w"
		if c.name == "connect" {
			perms = "rw"
		}
		c.used("", `"`+strings.TrimSuffix(name, "}"), perms, evidence.UnixNode)
	case c.errno != "" || f == nil:
	case c.name == "bind":
		_, port, ok := strings.Cut(c.arg(1), "port=htons(")
		digits, _, _ := strings.Cut(port, ")")
		if n, isNumber := number(digits, nil); ok && isNumber && n <= 65535 {
			f.port = n
			if f.kind == "SOCK_DGRAM" {
				c.add(evidence.Resource{Kind: evidence.UDPPort, Value: n, Phase: evidence.Start, Basis: evidence.Observed})
			}
		}
	case c.name == "listen" && f.port > 0:
		c.add(evidence.Resource{Kind: evidence.TCPPort, Value: f.port, Phase: evidence.Start, Basis: evidence.Observed})
	}
}
