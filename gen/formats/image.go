package formats

import (
	"path"
	"regexp"
	"strings"
)

// imageName is a repository as registries and engines have it, maybe with a
// registry's host and port: the distribution's reference grammar.
var imageName = regexp.MustCompile(`^([a-zA-Z0-9.-]+(:[0-9]+)?/)?[a-z0-9]+([._/-]+[a-z0-9]+)*$`)

// Repository is a reference without tag and digest.
func Repository(ref string) string {
	ref, _, _ = strings.Cut(ref, "@")
	dir, name := path.Split(ref)
	name, _, _ = strings.Cut(name, ":")
	return dir + name
}
