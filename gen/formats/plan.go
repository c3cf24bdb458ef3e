package formats

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/profgen/profgen/gen/policy"
	"github.com/profgen/profgen/internal/abi"
)

// Plan is the file run.json: how a container is started, in no engine's words.
// With the seccomp and AppArmor profiles beside it, every format is rendered
// from it.
type Plan struct {
	Version      int              `json:"version"`
	Profile      string           `json:"profile"`      // the name of the AppArmor profile
	Capabilities []string         `json:"capabilities"` // the bounding set, CAP_* names, sorted
	Sockets      []policy.Network `json:"sockets"`      // what may be opened; an empty family or type is any
	policy.Run
}

// planVersion is the version of run.json that this package writes, and reads.
const planVersion = 1

// PlanOf is the plan of a policy.
func PlanOf(p policy.Policy) Plan {
	return Plan{
		Version: planVersion, Profile: p.Name,
		Capabilities: append([]string{}, p.Capabilities...), Sockets: append([]policy.Network{}, p.Network...), Run: p.Run,
	}
}

// EncodePlan writes the file run.json. The same plan gives the same bytes.
func EncodePlan(p Plan) ([]byte, error) {
	if err := p.validate(); err != nil {
		return nil, err
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "\t")
	if err := enc.Encode(p); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

// DecodePlan reads the file run.json, which is hostile input: what it does not
// know, and what could be taken for something else in any format, is refused.
func DecodePlan(file []byte) (Plan, error) {
	dec := json.NewDecoder(bytes.NewReader(file))
	dec.DisallowUnknownFields()
	var p Plan
	if err := dec.Decode(&p); err != nil {
		return Plan{}, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Plan{}, errors.New("something follows the plan")
	}
	if p.Version != planVersion {
		return Plan{}, fmt.Errorf("version %d: this profgen reads version %d; generate it again", p.Version, planVersion)
	}
	return p, p.validate()
}

var (
	profileName  = regexp.MustCompile(`^[a-z][a-z0-9._-]{0,63}$`)
	digestForm   = regexp.MustCompile(`^[a-z0-9]+:[0-9a-f]{32,128}$`)
	platformForm = regexp.MustCompile(`^[a-z0-9_/.-]{1,64}$`)
	userForm     = regexp.MustCompile(`^[0-9]{1,10}(:[0-9]{1,10})?$`)
	familyForm   = regexp.MustCompile(`^[a-z0-9]{0,16}$`)
	accessForm   = regexp.MustCompile(`^r?w?m?$`)
)

// maxEntries is how many entries a list of a plan may have.
const maxEntries = 1000

func (p Plan) validate() error {
	if !profileName.MatchString(p.Profile) || slices.Contains([]string{"unconfined", "builtin", "default"}, p.Profile) {
		return fmt.Errorf("profile %q: want a letter, then at most 63 of [a-z0-9._-], and no engine's keyword", p.Profile)
	}
	for _, n := range []int{len(p.Capabilities), len(p.Sockets), len(p.Listens), len(p.Tmpfs), len(p.Volumes), len(p.Devices), len(p.ToExec), len(p.Warnings)} {
		if n > maxEntries {
			return fmt.Errorf("a list of %d entries: want at most %d", n, maxEntries)
		}
	}
	for _, c := range slices.Concat(p.Capabilities, p.ToExec) {
		if _, ok := abi.CapabilityNumber(c); !ok {
			return fmt.Errorf("capability %q: no kernel has it", c)
		}
	}
	for _, s := range p.Sockets {
		if !familyForm.MatchString(s.Family) || !familyForm.MatchString(s.Type) || s.Family == "" && s.Type != "" {
			return fmt.Errorf("socket %q: no family and type", s)
		}
	}
	if p.User.Name != "" && !userForm.MatchString(p.User.Name) {
		return fmt.Errorf("user %q: want uid or uid:gid", p.User.Name)
	}
	if err := validateModes(p.Run); err != nil {
		return err
	}
	if err := validateImage(p.Image); err != nil {
		return err
	}
	return validatePaths(p.Run)
}

func validateModes(r policy.Run) error {
	switch {
	case r.Network != policy.NoNetwork && r.Network != policy.PrivateNetwork:
		return fmt.Errorf("network %q: want none or private", r.Network)
	case r.IPC != policy.NoIPC && r.IPC != policy.PrivateIPC:
		return fmt.Errorf("ipc %q: want none or private", r.IPC)
	case r.Network == policy.NoNetwork && len(r.Listens) > 0:
		return errors.New("ports are listened on without a network")
	}
	for _, port := range r.Listens {
		if port.Number == 0 || port.Protocol != "tcp" && port.Protocol != "udp" {
			return fmt.Errorf("port %q: want a number and tcp or udp", port)
		}
	}
	for _, w := range r.Warnings {
		if printable(w.Code) != w.Code || printable(w.Sentence) != w.Sentence {
			return fmt.Errorf("warning %q: has something that cannot be printed", w.Code)
		}
	}
	return nil
}

func validateImage(i policy.Image) error {
	for _, d := range []string{i.Digest, i.ConfigDigest} {
		if d != "" && !digestForm.MatchString(d) {
			return fmt.Errorf("digest %q: want algorithm:hex", d)
		}
	}
	if i.Platform != "" && !platformForm.MatchString(i.Platform) {
		return fmt.Errorf("platform %q: want OS/ARCH", i.Platform)
	}
	return nil
}

func validatePaths(r policy.Run) error {
	paths := slices.Clone(r.Volumes)
	for _, t := range r.Tmpfs {
		paths = append(paths, t.Path)
		if t.Mode > 0o7777 {
			return fmt.Errorf("tmpfs %s: mode %o: want at most 7777", t.Path, t.Mode)
		}
	}
	for _, d := range r.Devices {
		paths = append(paths, d.Path)
		if d.Access == "" || !accessForm.MatchString(d.Access) {
			return fmt.Errorf("device %s: access %q: want letters of rwm", d.Path, d.Access)
		}
	}
	for _, p := range paths {
		if p == "/" || !path.IsAbs(p) || path.Clean(p) != p || strings.ContainsFunc(p, notInPath) {
			return fmt.Errorf("path %q: want an absolute path of plain characters, without colons and commas, that is not the root", p)
		}
	}
	return nil
}

// notInPath are the characters that mean something in some format.
func notInPath(r rune) bool {
	return r > unicode.MaxASCII || !(unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("/._-+@=", r))
}

// printable is s on one line of printable characters.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}
