package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Open opens the image ref names. Close the result.
//
// A ref that exists as a file or folder is that: a folder with an oci-layout
// file is a layout, any other folder a root file system, a file an archive,
// told by content and not by name. A layout or an archive may be followed by
// :tag to pick one of several images. A ref that looks like a path (/, ., ~ in
// front, .tar and its like at the end) but does not exist is an error. All else
// is pulled from a registry, with the credentials the user keeps for it.
//
// Of several platforms the one asked for is opened; an image for another is
// refused. Errors name ref and wrap [fs.ErrNotExist], [ErrPlatform],
// [ErrDigest] or [ErrDamaged] where these are the cause.
func Open(ctx context.Context, ref string, platform Platform) (*Image, error) {
	img, err := open(ctx, ref, platform)
	if err != nil {
		return nil, fmt.Errorf("open image %q: %w", ref, err)
	}
	return img, nil
}

func open(ctx context.Context, ref string, platform Platform) (*Image, error) {
	if ref == "" {
		return nil, errors.New("no name; give a file, a folder or an image in a registry")
	}
	at, err := locate(ref)
	switch {
	case err != nil:
		return nil, err
	case at.kind == nothing && looksLikePath(ref):
		return nil, fmt.Errorf("%w: no such file or folder; an image in a registry is written without a leading / or . and without .tar", fs.ErrNotExist)
	case at.kind == nothing && hasTransport(ref):
		return nil, errors.New("nothing is needed in front of an image's name or path; leave out docker://, oci: and the like")
	case at.kind == nothing:
		return openRegistry(ctx, ref, platform)
	case at.kind == rootFolder:
		return openFolder(at.path, platform)
	case at.kind == layoutFolder:
		return openLayout(ctx, at, platform)
	}
	return openArchive(ctx, at, platform)
}

// kind is what a reference turns out to be.
type kind int

const (
	nothing kind = iota // not a path of this host
	rootFolder
	layoutFolder
	archiveFile
)

// location is a reference to something on this host.
type location struct {
	kind kind
	path string
	tag  string // what followed the path and a colon, or ""
}

// locate looks for ref on this host: whole, or up to one of its colons.
func locate(ref string) (location, error) {
	k, err := identify(ref)
	if k != nothing || err != nil {
		return location{kind: k, path: ref}, err
	}
	for i, c := range ref {
		if c != ':' {
			continue
		}
		k, err := identify(ref[:i])
		if err != nil {
			return location{}, err
		}
		if k == layoutFolder || k == archiveFile {
			return location{k, ref[:i], ref[i+1:]}, nil
		}
	}
	return location{}, nil
}

func identify(name string) (kind, error) {
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nothing, fmt.Errorf("%w; run as a user who may read it", err)
	case err != nil:
		return nothing, nil
	case info.Mode().IsRegular():
		return archiveFile, nil
	case !info.IsDir():
		return nothing, fmt.Errorf("%s is neither a file nor a folder; give an archive, a layout or a root file system folder", name)
	}
	if _, err := os.Lstat(filepath.Join(name, layoutMarker)); err == nil {
		return layoutFolder, nil
	}
	return rootFolder, nil
}

func looksLikePath(ref string) bool {
	for _, prefix := range []string{"/", ".", "~"} {
		if strings.HasPrefix(ref, prefix) {
			return true
		}
	}
	for _, suffix := range []string{".tar", ".tgz", ".tar.gz", ".tar.zst", ".tar.xz"} {
		if strings.HasSuffix(ref, suffix) {
			return true
		}
	}
	return false
}

// hasTransport reports whether ref is written for tools that ask for the form
// of an image in front of its name. ("docker:27" is an image.)
func hasTransport(ref string) bool {
	form, _, _ := strings.Cut(ref, ":")
	return strings.Contains(ref, "://") ||
		slices.Contains([]string{"oci-archive", "docker-archive", "docker-daemon", "containers-storage"}, form)
}

// openFolder opens a root file system folder. It has no configuration, so it is
// for whatever platform was asked.
func openFolder(name string, platform Platform) (*Image, error) {
	abs, err := filepath.Abs(name)
	if err != nil {
		return nil, err
	}
	if abs, err = filepath.EvalSymlinks(abs); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(abs)
	if err != nil {
		return nil, err
	}
	if len(entries) == 0 {
		return nil, errors.New("the folder is empty; give one that holds a root file system, or an OCI layout")
	}
	return &Image{reference: baseName(name), folder: abs, config: Config{Platform: platform}}, nil
}

func openLayout(ctx context.Context, at location, platform Platform) (*Image, error) {
	root, err := os.OpenRoot(at.path)
	if err != nil {
		return nil, err
	}
	img, err := openOCI(ctx, folder{root}, at, platform)
	return holding(root, img, err)
}

func openArchive(ctx context.Context, at location, platform Platform) (*Image, error) {
	a, err := readArchive(ctx, at.path)
	if err != nil {
		return nil, err
	}
	var img *Image
	switch {
	case a.has(layoutMarker):
		img, err = openOCI(ctx, a, at, platform)
	case a.has(saveManifest):
		img, err = openSave(ctx, a, at, platform)
	default:
		err = fmt.Errorf("not an image archive: it holds neither %s nor %s; write it with docker save or as an OCI archive (docker export keeps no configuration: unpack that to a folder)",
			layoutMarker, saveManifest)
	}
	return holding(a, img, err)
}

// holding makes an opened image the owner of what it reads from, and closes
// that at once if there is no image.
func holding(source io.Closer, img *Image, err error) (*Image, error) {
	if err != nil {
		source.Close() // nothing was written: err says more
		return nil, err
	}
	img.source = source
	return img, nil
}

// localName names an image on this host without its path: by its own tag if
// that is a full one, by its file and its tag, or by its file.
func localName(at location, own string) string {
	file := baseName(at.path)
	own = path.Base(own)
	switch {
	case own == "." || own == "/" || !presentable(own):
		return file
	case strings.Contains(own, ":"):
		return own
	}
	return file + ":" + own
}

// baseName is the last element of a path once it is made absolute.
func baseName(name string) string {
	if abs, err := filepath.Abs(name); err == nil {
		name = abs
	}
	base := filepath.Base(name)
	if base == "/" || !presentable(base) {
		return "rootfs"
	}
	return base
}

// presentable reports whether a name can be printed on a line as it is.
func presentable(name string) bool {
	const longest = 255
	return name != "" && len(name) <= longest && utf8.ValidString(name) &&
		!slices.ContainsFunc([]rune(name), func(r rune) bool { return !unicode.IsGraphic(r) })
}
