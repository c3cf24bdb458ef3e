package evidence

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Path is the name of a file as a process of the workload would give it: absolute,
// clean, in the container's own mount namespace, symbolic links resolved; but what a
// process has of its own in /proc is in /proc/self, not below a number that is
// another one the next time. It is bytes, of which a kernel refuses only NUL: whatever is not printable UTF-8,
// and the backslash, is written \xHH in text.
type Path string

// maxPathText is how long a path can be in text: PATH_MAX bytes, each four
// letters.
const maxPathText = 4 * 4096

// MarshalText implements [encoding.TextMarshaler].
func (p Path) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// String is the path in text; different paths differ in it.
func (p Path) String() string {
	var out strings.Builder
	for rest := string(p); rest != ""; {
		r, n := utf8.DecodeRuneInString(rest)
		if r == utf8.RuneError && n == 1 || r == '\\' || r == unicode.ReplacementChar || !unicode.IsGraphic(r) {
			for _, b := range []byte(rest[:n]) {
				fmt.Fprintf(&out, `\x%02x`, b)
			}
		} else {
			out.WriteString(rest[:n])
		}
		rest = rest[n:]
	}
	return out.String()
}

// UnmarshalText implements [encoding.TextUnmarshaler]. It takes only what
// MarshalText gives, so that a path has one text.
func (p *Path) UnmarshalText(text []byte) error {
	var out strings.Builder
	for rest := string(text); rest != ""; {
		lit, esc, ok := strings.Cut(rest, `\x`)
		out.WriteString(lit)
		if !ok {
			break
		}
		if len(esc) < 2 {
			return fmt.Errorf("path %q: \\x wants two digits", text)
		}
		b, err := strconv.ParseUint(esc[:2], 16, 8)
		if err != nil {
			return fmt.Errorf("path %q: \\x wants two digits", text)
		}
		out.WriteByte(byte(b))
		rest = esc[2:]
	}
	if *p = Path(out.String()); p.String() != string(text) {
		return fmt.Errorf("path %q: written in another way than %q", text, p.String())
	}
	return nil
}

func (p Path) validate() error {
	switch s := string(p); {
	case !strings.HasPrefix(s, "/") || path.Clean(s) != s:
		return fmt.Errorf("path %q: want an absolute path without . and .. and double slashes", p.String())
	case strings.ContainsRune(s, 0) || len(s) > maxPathText/4:
		return errors.New("path: has a NUL, or more than 4096 bytes")
	}
	return nil
}

// FileKind is what kind of file a path is.
type FileKind string

// The kinds of files: inode(7).
const (
	Regular   FileKind = "file"
	Directory FileKind = "dir"
	Symlink   FileKind = "symlink"
	UnixNode  FileKind = "socket"
	FIFO      FileKind = "fifo"
	Device    FileKind = "device"
)

// KindOf is the kind of a file with this mode, st_mode of inode(7), on whose bits
// all architectures agree; "" for what has no kind, such as an anonymous inode.
func KindOf(mode uint16) FileKind {
	const kind = 0o170000 // S_IFMT
	switch mode & kind {
	case 0o100000: // S_IFREG
		return Regular
	case 0o040000: // S_IFDIR
		return Directory
	case 0o120000: // S_IFLNK
		return Symlink
	case 0o140000: // S_IFSOCK
		return UnixNode
	case 0o010000: // S_IFIFO
		return FIFO
	case 0o020000, 0o060000: // S_IFCHR, S_IFBLK
		return Device
	}
	return ""
}

// Origin is where a file that was used comes from.
type Origin string

// Where files come from. "" is a recorder that does not know.
const (
	FromImage  Origin = "image"   // it was there when the image's program began
	FromMount  Origin = "mount"   // it lies on a mount that the runtime made: /proc, /dev, /etc/resolv.conf, a volume
	FromItself Origin = "created" // the workload made it
)

// FileAccess is one use that the workload made of one path: what AppArmor would
// ask a file rule for.
type FileAccess struct {
	Path Path `json:"path"`
	// Perms are the permissions of apparmor.d(5), "Access Modes", that were used:
	// letters of "rwalkmx" in that order, each at most once. w says that the file
	// was written to, created, removed, renamed or had its attributes changed; a,
	// that it was only ever appended to; l, that it is the new name of a hard
	// link to Target; m, that it was mapped executable; x, that it was exec'd.
	Perms string   `json:"perms"`
	Kind  FileKind `json:"kind,omitempty"`
	// Owner says that the file's owner was the one who used it (fsuid equals the
	// file's uid), which AppArmor's owner qualifier asks for. Not known is false.
	Owner  bool   `json:"owner,omitempty"`
	Origin Origin `json:"origin,omitempty"`
	// Mounted says that a file that the workload made lies on a mount. Of others
	// the origin says it.
	Mounted bool `json:"mounted,omitempty"`
	Target  Path `json:"target,omitempty"` // of l: the name that the link was made from
	// Errno is why it came to nothing, as errno(3) spells it: EACCES. "" is
	// success. What failed with ENOENT names no file, and needs no rule.
	Errno string `json:"errno,omitempty"`
	Phase Phase  `json:"phase"`
	Basis Basis  `json:"basis"`
}

// Executed is a program that was exec'd. What the kernel maps with it (the ELF
// interpreter, the interpreter of a script) are FileAccess facts.
type Executed struct {
	Path  Path  `json:"path"`
	By    Path  `json:"by,omitempty"` // the program that ran exec; "" for the first of the container
	Phase Phase `json:"phase"`
	Basis Basis `json:"basis"`
}

// Peer is the other side of a signal or of ptrace.
type Peer string

// Whom a signal or ptrace met.
const (
	Itself  Peer = "self"      // the same process
	Within  Peer = "container" // another process of the workload
	Outside Peer = "outside"   // a process outside the workload
)

// Signal is a signal that was sent to another process, by kill(2) and its like.
type Signal struct {
	Number uint32 `json:"number"` // SIG*; 0 only asks whether the process is there
	Peer   Peer   `json:"peer"`
	Phase  Phase  `json:"phase"`
	Basis  Basis  `json:"basis"`
}

// Ptrace is an access that the kernel checks as it does ptrace(2): ptrace(2),
// "Ptrace access mode checking".
type Ptrace struct {
	Access string `json:"access"` // "read" or "trace", as apparmor.d(5) has them
	Peer   Peer   `json:"peer"`
	Phase  Phase  `json:"phase"`
	Basis  Basis  `json:"basis"`
}

// Mount is a change of the tree of mounts.
type Mount struct {
	Op     string   `json:"op"`               // "mount", "umount", "pivot_root", "move_mount", "fsopen"…: the system call
	FSType string   `json:"fstype,omitempty"` // tmpfs
	Source Path     `json:"source,omitempty"` // of a bind mount or block device; "" if it names no file
	Target Path     `json:"target,omitempty"`
	Flags  []string `json:"flags,omitempty"` // as apparmor.d(5) spells them: "ro", "nosuid", "bind"; sorted
	Phase  Phase    `json:"phase"`
	Basis  Basis    `json:"basis"`
}

// ResourceKind is something that a limit can be set on.
type ResourceKind string

// What is measured, and in which unit.
const (
	Pids    ResourceKind = "pids"     // tasks at a time
	Memory  ResourceKind = "memory"   // bytes at a time
	Files   ResourceKind = "nofile"   // the highest file descriptor of any process, plus one
	Shm     ResourceKind = "shm"      // bytes in /dev/shm and System V segments at a time
	TCPPort ResourceKind = "tcp-port" // a port that is listened on: each one is a fact
	UDPPort ResourceKind = "udp-port" // a port that is bound: each one is a fact
)

// Resource is the most of something that was in use, or one of several values.
// A recorder rounds peaks up (see [Round]), so that two recordings of the same
// thing say the same; who sets a limit takes the largest.
type Resource struct {
	Kind  ResourceKind `json:"kind"`
	Value uint64       `json:"value"`
	Phase Phase        `json:"phase"`
	Basis Basis        `json:"basis"`
}

// Round rounds a peak up to the next number of the form 2^n or 3·2^(n-1).
func Round(n uint64) uint64 {
	for step := uint64(1); step < 1<<62; step *= 2 {
		if n <= step {
			return step
		}
		if half := step + step/2; n <= half {
			return half
		}
	}
	return n
}

func (f FileAccess) known() (Basis, Phase) { return f.Basis, f.Phase }
func (f Executed) known() (Basis, Phase)   { return f.Basis, f.Phase }
func (f Signal) known() (Basis, Phase)     { return f.Basis, f.Phase }
func (f Ptrace) known() (Basis, Phase)     { return f.Basis, f.Phase }
func (f Mount) known() (Basis, Phase)      { return f.Basis, f.Phase }
func (f Resource) known() (Basis, Phase)   { return f.Basis, f.Phase }

func (f FileAccess) key() string {
	return fmt.Sprintf("4 %q %q %q %t %q %t %q %q %q %q", f.Path, f.Perms, f.Kind, f.Owner, f.Origin, f.Mounted, f.Target, f.Errno, f.Phase, f.Basis)
}

func (f Executed) key() string {
	return fmt.Sprintf("5 %q %q %q %q", f.Path, f.By, f.Phase, f.Basis)
}

func (f Signal) key() string {
	return fmt.Sprintf("6 %10d %q %q %q", f.Number, f.Peer, f.Phase, f.Basis)
}

func (f Ptrace) key() string {
	return fmt.Sprintf("7 %q %q %q %q", f.Access, f.Peer, f.Phase, f.Basis)
}

func (f Mount) key() string {
	return fmt.Sprintf("8 %q %q %q %q %q %q %q", f.Op, f.FSType, f.Source, f.Target, f.Flags, f.Phase, f.Basis)
}

func (f Resource) key() string {
	return fmt.Sprintf("9 %q %020d %q %q", f.Kind, f.Value, f.Phase, f.Basis)
}

// Permissions are the letters of [FileAccess.Perms], in their order.
const Permissions = "rwalkmx"

var (
	errnoName = regexp.MustCompile(`^E[A-Z0-9]{1,20}$`)
	wordName  = regexp.MustCompile(`^[a-z0-9_.-]{1,40}$`)
)

func (f FileAccess) validate() error {
	last := -1
	for _, r := range f.Perms {
		i := strings.IndexRune(Permissions, r)
		if i <= last {
			return fmt.Errorf("permissions %q: want letters of %q, in that order", f.Perms, Permissions)
		}
		last = i
	}
	kinds := []FileKind{"", Regular, Directory, Symlink, UnixNode, FIFO, Device}
	switch {
	case f.Perms == "":
		return errors.New("file: want permissions")
	case !slices.Contains(kinds, f.Kind):
		return fmt.Errorf("kind of file %q: want one of %q", f.Kind, kinds[1:])
	case !slices.Contains([]Origin{"", FromImage, FromMount, FromItself}, f.Origin):
		return fmt.Errorf("origin %q: want image, mount or created", f.Origin)
	case f.Mounted && f.Origin != FromItself:
		return fmt.Errorf("mounted: of a file of origin %q the origin says it", f.Origin)
	case f.Errno != "" && !errnoName.MatchString(f.Errno):
		return fmt.Errorf("errno %q: want a name such as EACCES", f.Errno)
	case f.Target != "" && !strings.Contains(f.Perms, "l"):
		return errors.New("file: only a link has a target")
	}
	return cmp.Or(f.Path.validate(), optional(f.Target), validate(f.Phase, f.Basis))
}

func optional(p Path) error {
	if p == "" {
		return nil
	}
	return p.validate()
}

func (f Executed) validate() error {
	return cmp.Or(f.Path.validate(), optional(f.By), validate(f.Phase, f.Basis))
}

func (p Peer) validate() error {
	if !slices.Contains([]Peer{Itself, Within, Outside}, p) {
		return fmt.Errorf("peer %q: want self, container or outside", p)
	}
	return nil
}

func (f Signal) validate() error {
	if f.Number > 64 {
		return fmt.Errorf("signal %d: the kernel has 64", f.Number)
	}
	return cmp.Or(f.Peer.validate(), validate(f.Phase, f.Basis))
}

func (f Ptrace) validate() error {
	if f.Access != "read" && f.Access != "trace" {
		return fmt.Errorf("ptrace %q: want read or trace", f.Access)
	}
	return cmp.Or(f.Peer.validate(), validate(f.Phase, f.Basis))
}

func (f Mount) validate() error {
	if !wordName.MatchString(f.Op) || f.FSType != "" && !wordName.MatchString(f.FSType) {
		return fmt.Errorf("mount: operation %q and file system %q: want lower case words", f.Op, f.FSType)
	}
	if !slices.IsSorted(f.Flags) || slices.ContainsFunc(f.Flags, func(s string) bool { return !wordName.MatchString(s) }) {
		return fmt.Errorf("mount flags %q: want sorted lower case words", f.Flags)
	}
	return cmp.Or(optional(f.Source), optional(f.Target), validate(f.Phase, f.Basis))
}

func (f Resource) validate() error {
	if !slices.Contains([]ResourceKind{Pids, Memory, Files, Shm, TCPPort, UDPPort}, f.Kind) {
		return fmt.Errorf("resource %q: unknown", f.Kind)
	}
	return validate(f.Phase, f.Basis)
}
