// Package profiledir reads and writes profile directories: the folder with the
// evidence and the generated files that people commit and run with.
package profiledir

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/google/renameio/v2"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/profgen/profgen/gen"
	"github.com/profgen/profgen/gen/attest"
	"github.com/profgen/profgen/gen/caps"
	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/gen/formats"
	"github.com/profgen/profgen/gen/seccomp"
)

// EvidenceFile is the file that all others of a profile directory are made
// from.
const EvidenceFile = "evidence.jsonl"

// Evidence reads the evidence of a profile directory. Where there is none the
// error wraps [fs.ErrNotExist].
func Evidence(dir string) (evidence.Set, error) {
	name := filepath.Join(dir, EvidenceFile)
	f, err := os.Open(name)
	if err != nil {
		return evidence.Set{}, fmt.Errorf("read evidence: %w", err)
	}
	defer f.Close()
	set, err := evidence.Decode(io.LimitReader(f, maxEvidence))
	if err != nil {
		return evidence.Set{}, fmt.Errorf("read evidence %s: %w", name, err)
	}
	return set, nil
}

// EvidenceSoFar is Evidence for somebody about to add to it: a directory that
// does not exist or has none yet gives the empty set.
func EvidenceSoFar(dir string) (evidence.Set, error) {
	set, err := Evidence(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return evidence.Set{}, nil
	}
	return set, err
}

// Lock keeps others from recording into a profile directory, which it makes if
// it is missing, until unlock is called. unlock removes the directory again if
// nothing was put into it.
func Lock(dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, fmt.Errorf("make profile directory: %w", err)
	}
	f, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("open profile directory: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("profile directory %s: another profgen is recording into it: %w", dir, err)
	}
	return func() {
		os.Remove(dir) // only if it is empty
		f.Close()
	}, nil
}

// SaveEvidence writes the evidence of a profile directory, making the
// directory if it is missing. A reader sees the old evidence or the new, never
// half of it, whatever happens meanwhile.
func SaveEvidence(dir string, set evidence.Set) error {
	var buf bytes.Buffer
	if err := evidence.Encode(&buf, set); err != nil {
		return err
	}
	return write(dir, EvidenceFile, buf.Bytes())
}

// SaveBundle writes the generated files of a profile directory.
func SaveBundle(dir string, b gen.Bundle) error {
	for _, f := range b.Files {
		if err := write(dir, f.Name, f.Bytes); err != nil {
			return err
		}
	}
	return nil
}

// SaveFile writes a further file into a profile directory.
func SaveFile(dir, name string, content []byte) error { return write(dir, name, content) }

// Differ returns the names of the files that a profile directory has and that
// are not as in b.
func Differ(dir string, b gen.Bundle) ([]string, error) {
	var out []string
	for _, f := range b.Files {
		content, err := read(filepath.Join(dir, f.Name))
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return nil, err
		case !bytes.Equal(content, f.Bytes):
			out = append(out, f.Name)
		}
	}
	return out, nil
}

func write(dir, name string, content []byte) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("make profile directory: %w", err)
	}
	// The umask has its say, as with any file a user makes; beside its target, so
	// that the rename stays within one file system.
	err := renameio.WriteFile(filepath.Join(dir, name), content, 0o666, renameio.WithTempDir(dir))
	if err != nil {
		return fmt.Errorf("write %s: %w", filepath.Join(dir, name), err)
	}
	return nil
}

// Flags reads the docker run flags of a profile directory as they are used
// from the current folder.
func Flags(dir string, withoutAppArmor bool) ([]string, error) {
	name := filepath.Join(dir, gen.FlagsFile)
	file, err := read(name)
	if err != nil {
		return nil, err
	}
	flags, err := caps.ParseFlags(file, caps.Options{
		SeccompPath: filepath.Join(dir, gen.SeccompFile), WithoutAppArmor: withoutAppArmor,
	})
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return flags, nil
}

// Input reads what every format is rendered from.
func Input(dir string) (formats.Input, error) {
	enforced, err := Load(dir)
	return formats.Input{Plan: enforced.Plan, Seccomp: enforced.Seccomp}, err
}

// readPlan reads how a container is started, which has to be of one piece with
// the capabilities.
func readPlan(dir string, capabilities []string) (formats.Plan, error) {
	name := filepath.Join(dir, gen.PlanFile)
	file, err := read(name)
	if err != nil {
		return formats.Plan{}, err
	}
	plan, err := formats.DecodePlan(file)
	if err != nil {
		return formats.Plan{}, fmt.Errorf("read %s: %w", name, err)
	}
	if !slices.Equal(plan.Capabilities, capabilities) {
		return formats.Plan{}, fmt.Errorf("%s and %s in %s name different capabilities: profgen generate makes them anew", gen.PlanFile, gen.CapabilitiesFile, dir)
	}
	return plan, nil
}

// Files reads every file of a profile directory that profgen makes and that is
// there.
func Files(dir string) ([]attest.File, error) {
	var out []attest.File
	for _, name := range []string{EvidenceFile, gen.SeccompFile, gen.AppArmorFile, gen.CapabilitiesFile, gen.FlagsFile, gen.PlanFile} {
		content, err := read(filepath.Join(dir, name))
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return nil, err
		default:
			out = append(out, attest.File{Name: name, Bytes: content})
		}
	}
	return out, nil
}

// Enforced is what a profile directory confines a container by.
type Enforced struct {
	Seccomp      *specs.LinuxSeccomp
	Capabilities []string // never nil
	AppArmor     []byte   // the text of the AppArmor profile
	Plan         formats.Plan
}

// Load reads what a profile directory confines a container by.
func Load(dir string) (Enforced, error) {
	filter, err := read(filepath.Join(dir, gen.SeccompFile))
	if err != nil {
		return Enforced{}, err
	}
	spec, err := seccomp.Parse(filter)
	if err != nil {
		return Enforced{}, fmt.Errorf("read %s: %w", filepath.Join(dir, gen.SeccompFile), err)
	}
	list, err := read(filepath.Join(dir, gen.CapabilitiesFile))
	if err != nil {
		return Enforced{}, err
	}
	names, err := caps.ParseSet(list)
	if err != nil {
		return Enforced{}, fmt.Errorf("read %s: %w", filepath.Join(dir, gen.CapabilitiesFile), err)
	}
	policy, err := read(filepath.Join(dir, gen.AppArmorFile))
	if err != nil {
		return Enforced{}, err
	}
	plan, err := readPlan(dir, names)
	if err != nil {
		return Enforced{}, err
	}
	return Enforced{Seccomp: spec, Capabilities: names, AppArmor: policy, Plan: plan}, nil
}

// Review is what a profile directory has to be reviewed, as text; nil for a file
// that is not there. Foreign directories have some of it.
type Review struct {
	Seccomp      []byte
	AppArmor     []byte
	Capabilities []string // nil if there is no such file
}

// ForReview reads what there is to review in a directory.
func ForReview(dir string) (Review, error) {
	var out Review
	for _, f := range []struct {
		name string
		into *[]byte
	}{{gen.SeccompFile, &out.Seccomp}, {gen.AppArmorFile, &out.AppArmor}} {
		content, err := ReadFile(filepath.Join(dir, f.name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return Review{}, err
		}
		*f.into = content
	}
	list, err := ReadFile(filepath.Join(dir, gen.CapabilitiesFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return Review{}, err
	default:
		names, err := caps.ParseSet(list)
		if err != nil {
			return Review{}, fmt.Errorf("read %s: %w", filepath.Join(dir, gen.CapabilitiesFile), err)
		}
		out.Capabilities = append([]string{}, names...)
	}
	if out.Seccomp == nil && out.AppArmor == nil && out.Capabilities == nil {
		return Review{}, fmt.Errorf("%s: neither %s nor %s nor %s in it; is this a profile directory?", dir, gen.SeccompFile, gen.AppArmorFile, gen.CapabilitiesFile)
	}
	return out, nil
}

// ReadFile reads a file of at most 16 MiB.
func ReadFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if len(content) > maxFile {
		return nil, fmt.Errorf("read %s: more than %d bytes", name, maxFile)
	}
	return content, nil
}

// Bounds on the files read: a profile directory is hostile input. Evidence that
// goes beyond its own reads as cut short.
const (
	maxFile     = 16 << 20
	maxEvidence = 64 << 20
)

func read(name string) ([]byte, error) {
	content, err := ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w; is this a profile directory? profgen generate makes its files", err)
	}
	return content, err
}
