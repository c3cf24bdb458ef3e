package policy

import (
	"cmp"
	"path"
	"regexp"
	"strings"

	"github.com/profgen/profgen/gen/evidence"
)

var validName = regexp.MustCompile(`^[a-z][a-z0-9._-]{0,63}$`)

var notInName = regexp.MustCompile(`[^a-z0-9._-]+`)

// deriveName makes profgen-<image>-<12 digits of the config digest> of an
// image, profgen-<program> of a command: stable as long as the image is the
// same, and one to a file name. Of several subjects it takes the first.
func deriveName(subjects []evidence.Subject) string {
	if len(subjects) == 0 {
		return "profgen"
	}
	s := subjects[0]
	if s.Image == "" && len(s.Argv) > 0 {
		return nameFrom(path.Base(s.Argv[0]))
	}
	_, hex, _ := strings.Cut(s.ConfigDigest, ":")
	return nameFrom(imageName(s.Image), hex[:min(12, len(hex))])
}

// imageName is the last component of a reference, without tag and digest; of an
// archive that has a tag, the tag, which says more than the file's name.
func imageName(ref string) string {
	ref, _, _ = strings.Cut(ref, "@")
	name, tag, _ := strings.Cut(path.Base(ref), ":")
	if file, _, isArchive := strings.Cut(name, ".tar"); isArchive {
		return cmp.Or(tag, file)
	}
	return name
}

func nameFrom(parts ...string) string {
	name := "profgen"
	for _, p := range parts {
		p = strings.Trim(notInName.ReplaceAllString(strings.ToLower(p), "-"), "-.")
		if p != "" {
			name += "-" + p[:min(len(p), 32)]
		}
	}
	return name
}
