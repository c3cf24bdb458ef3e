package image

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// ErrPlatform says that an image has nothing for the platform asked for.
var ErrPlatform = errors.New("no image for the platform")

// Platform is what an image is built for, in the words of Go's GOOS and GOARCH.
// An empty field matches anything. The zero value takes a lone image as it is
// and picks linux on this machine's architecture out of several.
type Platform struct {
	OS           string
	Architecture string
	Variant      string // v6, v7 of arm; v8 of arm64 is the same as ""
}

// ParsePlatform reads os/architecture[/variant]; "" gives the zero value.
func ParsePlatform(s string) (Platform, error) {
	if s == "" {
		return Platform{}, nil
	}
	parts := strings.Split(s, "/")
	if len(parts) < 2 || len(parts) > 3 || slices.Contains(parts, "") {
		return Platform{}, fmt.Errorf("platform %q is not os/architecture[/variant]; write it like linux/arm64", s)
	}
	p := Platform{OS: parts[0], Architecture: parts[1]}
	if len(parts) == 3 {
		p.Variant = parts[2]
	}
	return p, nil
}

// String writes the platform as ParsePlatform reads it.
func (p Platform) String() string {
	if p == (Platform{}) {
		return "any platform"
	}
	s := p.OS + "/" + p.Architecture
	if p.Variant != "" {
		s += "/" + p.Variant
	}
	return s
}

// accepts reports whether an image for have serves who asked for p. A field
// the image leaves empty is no objection.
func (p Platform) accepts(have Platform) bool {
	agree := func(want, have string) bool { return want == "" || have == "" || want == have }
	return agree(p.OS, have.OS) && agree(p.Architecture, have.Architecture) &&
		agree(p.variant(), have.variant())
}

func (p Platform) variant() string {
	if p.Architecture == "arm64" && p.Variant == "v8" {
		return ""
	}
	return p.Variant
}

// orLocal replaces the zero value by what containers on this machine run.
func (p Platform) orLocal() Platform {
	if p == (Platform{}) {
		return Platform{OS: "linux", Architecture: runtime.GOARCH}
	}
	return p
}

// choose keeps of an index what is built for the platform: the entries that say
// so, or else those that do not say. Attestations are never kept.
func choose(all []v1.Descriptor, want Platform) ([]v1.Descriptor, error) {
	var stated, silent []v1.Descriptor
	var there []string
	for _, d := range all {
		if d.Platform == nil {
			silent = append(silent, d)
			continue
		}
		have := Platform{d.Platform.OS, d.Platform.Architecture, d.Platform.Variant}
		if have.OS == "unknown" {
			continue // how builders mark attestations
		}
		there = append(there, have.String())
		if want.accepts(have) {
			stated = append(stated, d)
		}
	}
	switch {
	case len(stated) > 0:
		return stated, nil
	case len(silent) > 0:
		return silent, nil
	case len(there) == 0:
		return nil, errors.New("index lists no image; build or save the image again")
	}
	return nil, fmt.Errorf("%w %s; there is %s: ask for one of these", ErrPlatform, want, strings.Join(there, ", "))
}
