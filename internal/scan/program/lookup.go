package program

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// defaultPath is what runc and Docker put into an environment without PATH.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// home returns the home directory that runc gives the user: what etc/passwd
// says, else the root.
func (f *Finder) home() string {
	user, _, _ := strings.Cut(f.config.User, ":")
	if user == "" {
		user = "0"
	}
	passwd, _ := f.files.Contents("etc/passwd")
	for line := range strings.Lines(string(passwd[:min(len(passwd), maxScript)])) {
		field := strings.Split(strings.TrimSpace(line), ":")
		if len(field) >= 6 && (field[0] == user || field[2] == user) && field[5] != "" {
			return field[5]
		}
	}
	return "/"
}

// name turns a path of the container into a name of Files.
func (f *Finder) name(dir, p string) string {
	if !path.IsAbs(p) {
		p = path.Join("/", dir, p)
	}
	if p = path.Clean(p)[1:]; p == "" {
		return "."
	}
	return p
}

// lookup finds the program that execvp(3) takes for name. dirs is where the
// process may be; a name with a slash is relative to each of them. It returns
// a canonical name.
func (f *Finder) lookup(name string, dirs, search []string) (string, error) {
	if name == "" || strings.ContainsRune(name, 0) {
		return "", fs.ErrNotExist
	}
	err := error(fs.ErrNotExist)
	try := func(candidate string) (string, bool) {
		file, problem := f.executable(candidate)
		if problem == nil {
			return file, true
		}
		if !errors.Is(problem, fs.ErrNotExist) {
			err = problem
		}
		return "", false
	}
	if strings.Contains(name, "/") {
		search = dirs
	}
	for _, dir := range search {
		full := path.Join(dir, name)
		if path.IsAbs(name) {
			full = name
		}
		if file, ok := try(f.name(dirs[0], full)); ok {
			return file, nil
		}
	}
	return "", err
}

// executable returns the canonical name of a file that execve(2) would take.
func (f *Finder) executable(name string) (string, error) {
	file, err := f.files.Resolve(name)
	if err != nil {
		return "", err
	}
	info, err := f.stat(file)
	switch {
	case err != nil:
		return "", err
	case info.IsDir():
		return "", fmt.Errorf("%s is a directory", file)
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%s is not a regular file", file)
	case info.Mode()&0o111 == 0:
		return "", fmt.Errorf("%s is not executable; chmod +x it", file)
	}
	return file, nil
}

func (f *Finder) stat(name string) (fs.FileInfo, error) {
	return fs.Stat(f.files, name)
}

// isDir reports whether the path leads to a directory.
func (f *Finder) isDir(p string) bool {
	info, err := f.stat(f.name("", p))
	return err == nil && info.IsDir()
}

const (
	maxUnder      = 256 // files below a directory that a command is taken from
	maxUnderDepth = 4
)

// under returns the paths of all regular files whose path begins with prefix,
// sorted; false if there are more than are looked at. Nothing is below a
// prefix that leaves the directory open, or below the root.
func (f *Finder) under(prefix string) ([]string, bool) {
	dir, base := path.Split(prefix)
	if !path.IsAbs(prefix) || path.Clean(dir) == "/" {
		return nil, true
	}
	var out []string
	complete := true
	f.walkUnder(path.Clean(dir), base, maxUnderDepth, func(p string) bool {
		if len(out) == maxUnder {
			complete = false
			return false
		}
		out = append(out, p)
		return true
	})
	return out, complete
}

func (f *Finder) walkUnder(dir, base string, depth int, yield func(string) bool) bool {
	entries, err := fs.ReadDir(f.files, f.name("", dir))
	if err != nil || depth == 0 {
		return true
	}
	for _, e := range entries {
		p := path.Join(dir, e.Name())
		info, err := f.stat(f.name("", p))
		switch {
		case err != nil || !strings.HasPrefix(e.Name(), base):
		case info.IsDir() && e.IsDir():
			if !f.walkUnder(p, "", depth-1, yield) {
				return false
			}
		case info.Mode().IsRegular():
			if !yield(p) {
				return false
			}
		}
	}
	return true
}

// position is a place in a script.
func position(file string, line uint) string {
	return file + ":" + strconv.FormatUint(uint64(line), 10)
}

// join is a path relative to a directory of the container.
func (f *Finder) join(dir, name string) string {
	if path.IsAbs(name) {
		return path.Clean(name)
	}
	return path.Join("/", dir, name)
}
