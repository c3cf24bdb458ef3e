package scan

import (
	"io/fs"
	"maps"
	"path"
	"strings"

	"github.com/profgen/profgen/gen/evidence"
)

// maxFiles bounds the files of one image that are told of for their names alone: a
// profile has no room for more.
const maxFiles = 4096

// files adds the files of the image that its programs are made of, and those that
// they name: programs, what is loaded into them, scripts, and paths in constants
// that lead to a file. It is no bound of what they use: names are put together, read
// from files, and given.
func (s *scan) files(set *evidence.Set) {
	if len(s.opt.Binaries) > 0 {
		return
	}
	uses := map[string]string{} // by canonical name; the most first
	add := func(name, perms string) {
		if len(uses[name]) < len(perms) {
			uses[name] = perms
		}
	}
	for _, a := range s.done {
		add(a.program.Path, "rmx")
		for _, u := range a.program.Uses {
			add(u.Script, "rx")
		}
		for _, o := range a.link.Objects {
			add(o.Path, "rm")
			if s.said[o.File] == nil && s.opt.Relax != nil {
				s.opt.Relax() // all strings of all objects together are most of an image
			}
			for _, text := range s.texts(o.File) {
				if name, ok := s.named(text); ok {
					add(name, "r")
				}
			}
		}
	}
	for _, i := range s.finder.Result().Interpreters {
		if name, ok := s.named(i.Text); ok {
			add(name, "r")
		}
	}
	delete(uses, "")
	if len(uses) > maxFiles { // somebody is naming them for the sake of it
		maps.DeleteFunc(uses, func(_, perms string) bool { return perms == "r" })
	}
	for name, perms := range uses {
		set.Facts = append(set.Facts, evidence.FileAccess{
			Path: evidence.Path("/" + name), Perms: perms, Kind: evidence.Regular, Origin: evidence.FromImage,
			Phase: evidence.Start, Basis: evidence.Reachable,
		})
	}
}

// named returns the canonical name of the file that a text is the absolute path of.
func (s *scan) named(text string) (string, bool) {
	if !strings.HasPrefix(text, "/") || path.Clean(text) != text {
		return "", false
	}
	name, err := s.opt.Files.Resolve(text[1:])
	if err != nil {
		return "", false
	}
	info, err := fs.Stat(s.opt.Files, name)
	return name, err == nil && info.Mode().IsRegular()
}
