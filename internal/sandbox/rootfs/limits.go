package rootfs

import (
	"archive/tar"
	"errors"
	"fmt"
	"strings"
)

// The limits that a zero Limits stands for.
const (
	DefaultBytes   = 8 << 30
	DefaultEntries = 1_000_000
)

var (
	// ErrLimit says that an image is larger than Limits allows.
	ErrLimit = errors.New("image too large")
	// ErrHostile says that an entry tries something no honest image does.
	ErrHostile = errors.New("entry refused")
)

// Limits bounds what is unpacked, over all layers together, also of files that
// a later layer removes again.
type Limits struct {
	Bytes   int64 // logical size: holes count in full; 0 is DefaultBytes
	Entries int   // files, folders, links and whiteouts; 0 is DefaultEntries
}

func (l Limits) orDefault() Limits {
	if l.Bytes == 0 {
		l.Bytes = DefaultBytes
	}
	if l.Entries == 0 {
		l.Entries = DefaultEntries
	}
	return l
}

// budget is what is left of Limits.
type budget struct {
	limits  Limits
	bytes   int64 // used: by the files
	stream  int64 // used: by the tar streams, padding and headers included
	entries int   // used
}

// take books one entry of size bytes.
func (b *budget) take(name string, size int64) error {
	b.entries++
	if b.entries > b.limits.Entries {
		return fmt.Errorf("%w: entry %q is number %d, the limit is %d; raise the entry limit if you trust the image",
			ErrLimit, name, b.entries, b.limits.Entries)
	}
	if size > b.limits.Bytes-b.bytes {
		return fmt.Errorf("%w: entry %q of %d bytes, after %d bytes of others, passes the limit of %d bytes; --max-image-size raises it, for an image you trust",
			ErrLimit, name, size, b.bytes, b.limits.Bytes)
	}
	b.bytes += size
	return nil
}

// pass books n bytes of a tar stream, whatever is in them: a decompression bomb
// need not hold any entry.
func (b *budget) pass(n int) error {
	const (
		overhead = 4 << 10 // of one entry: header blocks and padding
		slack    = 1 << 20 // end marks, and the largest header an entry can have
	)
	b.stream += int64(n)
	if b.stream-int64(b.entries)*overhead-slack > b.limits.Bytes {
		return fmt.Errorf("%w: it and the layers below unpack to more than the limit of %d bytes; --max-image-size raises it, for an image you trust",
			ErrLimit, b.limits.Bytes)
	}
	return nil
}

const (
	whiteout       = ".wh."
	opaqueWhiteout = ".wh..wh..opq"
)

// judge refuses entries whose only use is to reach out of the root file system
// or to confuse who unpacks them.
func judge(hdr *tar.Header) error {
	if climbs(hdr.Name) {
		return refuse(hdr, "its name climbs with \"..\"")
	}
	if hdr.Typeflag == tar.TypeLink && climbs(hdr.Linkname) {
		return refuse(hdr, fmt.Sprintf("its link target %q climbs with \"..\"", hdr.Linkname))
	}
	if hides(hdr.Name) {
		return refuse(hdr, "it is a whiteout of a whole folder by \".\", \"..\" or nothing")
	}
	if isTop(hdr.Name) && hdr.Typeflag != tar.TypeDir {
		return refuse(hdr, "it would replace the root folder")
	}
	switch hdr.Typeflag {
	case tar.TypeReg, tar.TypeDir, tar.TypeLink, tar.TypeSymlink, tar.TypeFifo, tar.TypeChar, tar.TypeBlock:
		return nil
	case tar.TypeGNUSparse, tar.TypeXGlobalHeader: // see plain
		return nil
	}
	return refuse(hdr, fmt.Sprintf("its type %q is unknown", hdr.Typeflag))
}

func refuse(hdr *tar.Header, why string) error {
	return fmt.Errorf("%w: %q: %s; do not run this image unless you know who built it, and why so", ErrHostile, hdr.Name, why)
}

func climbs(name string) bool {
	for element := range strings.SplitSeq(name, "/") {
		if element == ".." {
			return true
		}
	}
	return false
}

func isTop(name string) bool { return strings.Trim(name, "./") == "" }

// hides reports whether a name is a whiteout of nothing, "." or "..". umoci
// 0.6.0 joins what follows the prefix to the folder and removes it: ".wh..." at
// the top removes the folder above the root file system.
func hides(name string) bool {
	name = strings.TrimRight(name, "/")
	base := name[strings.LastIndexByte(name, '/')+1:]
	hidden, ok := strings.CutPrefix(base, whiteout)
	return ok && base != opaqueWhiteout && strings.Trim(hidden, ".") == "" && len(hidden) <= len("..")
}
