package auditlog

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/profgen/profgen/gen/evidence"
)

// straceMade is a call that strace saw return, taken apart.
type straceMade struct {
	*straceReader
	t     *task
	name  string
	args  []string
	value string // it returned
	errno string // "" is success
}

// made takes a call for what it says of arguments, files and the rest.
func (r *straceReader) made(t *task, e straceEvent) {
	c := straceMade{straceReader: r, t: t, name: e.name, args: splitArgs(e.args)}
	c.value = resultOf(e.result)
	if c.value == "-1" {
		if f := strings.Fields(e.result); len(f) > 1 {
			c.errno = errnoOf(f[1])
		}
	}
	c.arguments()
	switch c.name {
	case "execve", "execveat":
		c.exec()
	case "fork", "vfork":
		r.forked(c, "")
	case "clone", "clone3":
		c.clone()
	case "socket", "socketpair":
		c.socket()
	case "kill", "tgkill", "tkill", "rt_sigqueueinfo", "pidfd_send_signal":
		c.signal()
	case "ptrace":
		c.ptrace()
	case "mount", "umount", "umount2", "pivot_root":
		c.mount()
	case "bind", "connect", "listen":
		c.address()
	default:
		c.file()
	}
}

// resultOf is what a call returned: a word, or a descriptor with its name.
func resultOf(result string) string {
	word, _, _ := strings.Cut(result, " ")
	if at := strings.IndexByte(word, '<'); at > 0 {
		if end := strings.IndexByte(result, '>'); end > at {
			return result[:end+1]
		}
	}
	return word
}

// errnoOf is an errno's name; what the kernel only tells itself (ERESTARTSYS) is
// none.
func errnoOf(word string) string {
	if !strings.HasPrefix(word, "E") || strings.HasPrefix(word, "ERESTART") || strings.Trim(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != "" {
		return ""
	}
	return word
}

func (c straceMade) arg(i int) string {
	if i < len(c.args) {
		return c.args[i]
	}
	return ""
}

func (r *straceReader) forked(c straceMade, share string) {
	if id, err := strconv.ParseUint(c.value, 10, 31); err == nil && id > 0 {
		r.fork(c.t, c.value, share)
	}
}

// exec follows a program into another: its calls may be of another ABI.
func (c straceMade) exec() {
	if c.value != "0" {
		return // most often a search along PATH
	}
	at, name := "", c.arg(0)
	if c.name == "execveat" {
		at, name = c.arg(0), c.arg(1)
	}
	if len(c.argv) == 0 {
		c.collector.argv = argvOf(c.arg(1 + btoi(c.name == "execveat")))
	}
	p, ok := c.path(at, name)
	c.leave(c.t.epoch)
	c.t.epoch, c.t.pending = newEpoch(), straceEvent{}
	if !ok {
		c.t.program = ""
		return
	}
	c.add(evidence.Executed{Path: p, By: c.t.program, Phase: evidence.Start, Basis: evidence.Observed})
	c.add(evidence.FileAccess{Path: p, Perms: "x", Kind: evidence.Regular, Phase: evidence.Start, Basis: evidence.Observed})
	c.t.program = p
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// argvOf reads ["sh", "-c", "cd /etc; c"...]; what strace has cut short is cut.
func argvOf(text string) []string {
	text, ok := strings.CutPrefix(text, "[")
	if !ok {
		return nil
	}
	var out []string
	for _, arg := range splitArgs(strings.TrimSuffix(text, "]")) {
		s, isWhole, ok := unquote(arg)
		if !ok {
			break
		}
		if !isWhole {
			s += "…"
		}
		out = append(out, s)
	}
	return out
}

// clone reads clone's flags, and those in the struct of clone3.
func (c straceMade) clone() {
	all := strings.Join(c.args, ",")
	_, flags, ok := strings.Cut(all, "flags=")
	flags, _, _ = strings.Cut(flags, ",")
	flags = strings.TrimRight(flags, "}")
	c.forked(c, flags)
	value, known := number(flags, cloneFlags)
	if !ok || !known {
		c.t.epoch.anyArgs(c.name)
		return
	}
	if c.name == "clone" {
		value &^= 0xff // the signal at exit
	}
	c.t.epoch.noteArgs(c.name, []evidence.Arg{{Index: 0, Value: value}})
}

// arguments notes the arguments that are looked at, where they are plain.
func (c straceMade) arguments() {
	listed := c.opt.Native.Arguments(c.name)
	if len(listed) == 0 || c.name == "clone" {
		return
	}
	var args []evidence.Arg
	for _, a := range listed {
		value, ok := c.argument(int(a.Index))
		if !ok {
			c.t.epoch.anyArgs(c.name)
			return
		}
		args = append(args, evidence.Arg{Index: a.Index, Value: value & a.Mask})
	}
	c.t.epoch.noteArgs(c.name, args)
}

// argument reads one of the arguments that are looked at.
func (c straceMade) argument(i int) (uint64, bool) {
	switch text := c.arg(i); {
	case c.name == "ioctl":
		return ioctlRequest(text)
	case c.name == "setsockopt" && i == 2:
		level, ok := number(c.arg(1), levels)
		value, ok2 := number(text, socketOptions[level])
		return value, ok && ok2
	case i == 2 && (c.name == "socket" || c.name == "socketpair"):
		return number(text, protocolsOf(c.arg(0)))
	case i == 1 && (c.name == "socket" || c.name == "socketpair"):
		return number(text, socketTypes)
	default:
		return number(text, argumentNames[c.name])
	}
}

// ioctlRequest reads a request: a number, a name, several that are one number, or
// what the number is made of: include/uapi/asm-generic/ioctl.h.
func ioctlRequest(text string) (uint64, bool) {
	if parts, ok := strings.CutPrefix(text, "_IOC("); ok {
		var v [4]uint64
		words := splitArgs(strings.TrimSuffix(parts, ")"))
		for i, word := range words[:min(len(words), len(v))] {
			if v[i], ok = number(word, directions); !ok {
				return 0, false
			}
		}
		return v[0]<<30 | v[3]<<16 | v[1]<<8 | v[2], len(words) == len(v) && v[0] < 4 && v[1] < 1<<8 && v[2] < 1<<8 && v[3] < 1<<14
	}
	for name := range strings.SplitSeq(text, " or ") {
		if value, ok := number(name, ioctls); ok {
			return value, true
		}
	}
	return 0, false
}

func (c straceMade) socket() {
	family, ok := number(c.arg(0), families)
	kind, ok2 := number(c.arg(1), socketTypes)
	protocol, ok3 := number(c.arg(2), protocolsOf(c.arg(0)))
	if !ok || !ok2 || !ok3 {
		c.gap(evidence.Lost, StraceMethod, "sockets of a kind that could not be read", 1)
		return
	}
	kind &= 0xf // without SOCK_CLOEXEC and SOCK_NONBLOCK
	c.add(evidence.Socket{
		Family: uint32(family), Type: uint32(kind), Protocol: uint32(protocol), Phase: evidence.Start, Basis: evidence.Observed,
	})
	name, _, _ := strings.Cut(c.arg(1), "|")
	c.opened(&openFile{kind: name})
}

// signal takes a signal to another process.
func (c straceMade) signal() {
	at := 1 + btoi(c.name == "tgkill")
	n, ok := number(c.arg(at), signals)
	if !ok || c.name == "pidfd_send_signal" && c.arg(0) == "" {
		c.gap(evidence.Lost, StraceMethod, "signals that could not be read", 1)
		return
	}
	target := c.arg(0)
	if c.name == "tgkill" {
		target = c.arg(1)
	}
	peer := evidence.Outside
	id := strings.TrimPrefix(target, "-")
	if c.name == "pidfd_send_signal" || target == "0" || c.tasks[id] != nil || c.gone[id] {
		peer = evidence.Within
	}
	if c.tasks[target] == c.t {
		peer = evidence.Itself
	}
	c.add(evidence.Signal{Number: uint32(n), Peer: peer, Phase: evidence.Start, Basis: evidence.Observed})
}

func (c straceMade) ptrace() {
	request := c.arg(0)
	if request == "PTRACE_TRACEME" {
		return // the other side of it
	}
	peer := evidence.Outside
	if _, ok := c.tasks[c.arg(1)]; ok {
		peer = evidence.Within
	}
	c.add(evidence.Ptrace{Access: "trace", Peer: peer, Phase: evidence.Start, Basis: evidence.Observed})
}

func (c straceMade) mount() {
	m := evidence.Mount{Op: strings.TrimSuffix(c.name, "2"), Phase: evidence.Start, Basis: evidence.Observed}
	if c.errno != "" {
		return
	}
	target := c.arg(0)
	if c.name == "mount" {
		target = c.arg(1)
		if source, _, ok := unquote(c.arg(0)); ok {
			m.Source = cleanPath(source)
		}
		if kind, _, ok := unquote(c.arg(2)); ok && wordOnly(kind) {
			m.FSType = kind
		}
		for flag := range strings.SplitSeq(c.arg(3), "|") {
			if word := strings.ToLower(strings.TrimPrefix(flag, "MS_")); strings.HasPrefix(flag, "MS_") && wordOnly(word) {
				m.Flags = append(m.Flags, mountFlag(word))
			}
		}
		slices.Sort(m.Flags)
	}
	m.Target, _ = c.path("", target)
	c.add(m)
}

// mountFlag spells a flag as apparmor.d(5) does.
func mountFlag(word string) string {
	other := map[string]string{"rdonly": "ro", "rec": "rbind", "synchronous": "sync"}
	if f, ok := other[word]; ok {
		return f
	}
	return word
}

// path resolves a name as a call gives it: a string, relative to the folder of a
// descriptor or to the task's. It is false, and noted, if that is not known.
func (c straceMade) path(at, text string) (evidence.Path, bool) {
	name, isWhole, ok := unquote(text)
	if !ok || !isWhole || name == "" {
		if ok && name != "" {
			c.gap(evidence.Lost, StraceMethod, "names of files that strace cut short", 1)
		}
		return "", false
	}
	if !strings.HasPrefix(name, "/") {
		folder := c.folder(at)
		if folder == "" {
			c.gap(evidence.Lost, StraceMethod, "files by names relative to a folder that the log does not tell: strace -y does", 1)
			return "", false
		}
		name = path.Join(folder, name)
	}
	p := cleanPath(name)
	return p, p != ""
}

// folder is what relative names are relative to; "" if it is not known.
func (c straceMade) folder(at string) string {
	if name, ok := decorated(at); ok {
		return name
	}
	if at == "" || strings.HasPrefix(at, "AT_FDCWD") {
		return *c.t.cwd
	}
	if f := c.fileAt(at); f != nil {
		return string(f.path)
	}
	return ""
}

// decorated is the name that strace -y writes behind a descriptor.
func decorated(fd string) (string, bool) {
	_, name, ok := strings.Cut(fd, "<")
	name, closed := strings.CutSuffix(name, ">")
	if !ok || !closed || !strings.HasPrefix(name, "/") {
		return "", false
	}
	return unescape(strings.TrimSuffix(name, " (deleted)")), true
}

// fileAt is what a descriptor stands for; nil if that is not known.
func (c straceMade) fileAt(fd string) *openFile {
	digits, _, _ := strings.Cut(fd, "<")
	n, err := strconv.ParseUint(digits, 10, 20)
	if err != nil {
		return nil
	}
	f := c.t.files[int(n)]
	if name, ok := decorated(fd); ok {
		p := cleanPath(name)
		if f == nil || f.path != p {
			f = &openFile{path: p}
		}
	}
	return f
}

// opened keeps what the descriptor stands for that the call returned.
func (c straceMade) opened(f *openFile) {
	digits, _, _ := strings.Cut(c.value, "<")
	n, err := strconv.ParseUint(digits, 10, 20)
	if err != nil || len(c.t.files) >= maxFiles {
		return
	}
	c.t.files[int(n)] = f
}
