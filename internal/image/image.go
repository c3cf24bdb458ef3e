package image

import (
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Image is an opened image. It does not change while it is open, and its
// methods may be called from several goroutines. Close it after use.
type Image struct {
	reference    string
	digest       string
	configDigest string
	folder       string
	config       Config
	layers       []Layer
	source       io.Closer // what the layers are read from; nil if nothing is held

	mu   sync.Mutex
	held []io.Closer // by views of the files
}

// hold closes c with the image.
func (i *Image) hold(c io.Closer) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.held = append(i.held, c)
}

// Config is the part of an image configuration that says how to run it, with
// the names and meanings of the OCI image specification. The zero value is the
// configuration of a root file system folder.
type Config struct {
	Platform     Platform // what the image is built for
	Entrypoint   []string
	Cmd          []string
	Env          []string // NAME=value, in order
	User         string   // user[:group], names or numbers; "" is root
	WorkingDir   string   // "" is /
	ExposedPorts []string // 80/tcp, sorted
	Volumes      []string // mount points inside the image, sorted
	StopSignal   string   // a name or a number; "" is SIGTERM
	Shell        []string // of a HEALTHCHECK that is a line; empty is /bin/sh -c
	Healthcheck  *Healthcheck
}

// Healthcheck is Docker's HEALTHCHECK. Zero values mean the engine's default.
type Healthcheck struct {
	Test        []string // {"NONE"}, {"CMD", args…} or {"CMD-SHELL", line}
	Interval    time.Duration
	Timeout     time.Duration
	StartPeriod time.Duration
	Retries     int
}

// Command is the argument vector a container of the image starts with when the
// user gives args: the entry point, then args, or Cmd where there are none. It
// is empty if the image names no program and the user none.
func (c Config) Command(args ...string) []string {
	if len(args) == 0 {
		args = c.Cmd
	}
	return slices.Concat(c.Entrypoint, args)
}

// Config returns a copy of the configuration, empty for a folder.
func (i *Image) Config() Config {
	c := i.config
	c.Entrypoint = slices.Clone(c.Entrypoint)
	c.Cmd = slices.Clone(c.Cmd)
	c.Shell = slices.Clone(c.Shell)
	c.Env = slices.Clone(c.Env)
	c.ExposedPorts = slices.Clone(c.ExposedPorts)
	c.Volumes = slices.Clone(c.Volumes)
	if c.Healthcheck != nil {
		h := *c.Healthcheck
		h.Test = slices.Clone(h.Test)
		c.Healthcheck = &h
	}
	return c
}

// Reference names the image in evidence and reports. It never holds a path of
// the host: for files it is the image's own tag, or else the base name of the
// file or folder; for a registry it is the reference as typed.
func (i *Image) Reference() string { return i.reference }

// Digest is the digest of the image's manifest, algorithm:hex; "" if there is
// no manifest: a docker-save archive or a folder.
func (i *Image) Digest() string { return i.digest }

// ConfigDigest is the digest of the image's configuration, which Docker calls
// the image ID; "" for a folder.
func (i *Image) ConfigDigest() string { return i.configDigest }

// Folder is the absolute host path of the root file system folder the image
// is, symlinks resolved; "" for every other kind. Never write to it.
func (i *Image) Folder() string { return i.folder }

// Layers returns the layers in the order they are applied, none for a folder.
func (i *Image) Layers() []Layer { return slices.Clone(i.layers) }

// Identity is all digests that say what the image is: of its configuration, and
// of each layer as it is stored and unpacked. Images with the same have the same
// files and the same configuration. It is "" for a folder, of which nobody knows.
func (i *Image) Identity() string {
	if i.configDigest == "" {
		return ""
	}
	out := i.configDigest
	for _, l := range i.layers {
		out += " " + l.Stored() + "/" + l.DiffID()
	}
	return out
}

// Close gives back what the image holds. Streams of its layers that are still
// open fail from then on, and contents of its Files must not be used any more.
func (i *Image) Close() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	var errs []error
	for _, c := range i.held {
		errs = append(errs, c.Close())
	}
	i.held = nil
	if i.source != nil {
		errs = append(errs, i.source.Close())
	}
	return errors.Join(errs...)
}

// Layer is one layer of an image.
type Layer struct {
	position, count int     // 1 of count
	stored          v1.Hash // of the bytes as stored; zero if the image does not say
	size            int64   // of the bytes as stored; -1 if the image does not say
	diffID          v1.Hash // of the uncompressed tar stream
	open            func(context.Context) (io.ReadCloser, error)
}

// DiffID is the digest of the layer's uncompressed tar stream.
func (l Layer) DiffID() string { return l.diffID.String() }

// Stored is the digest of the layer as it is stored; "" if the image does not say.
func (l Layer) Stored() string {
	if l.stored == (v1.Hash{}) {
		return ""
	}
	return l.stored.String()
}

// Open returns the layer's uncompressed tar stream. Each call starts anew.
//
// The stream ends in io.EOF only if all of its bytes match the image's digests;
// else in an error that wraps [ErrDigest] or [ErrDamaged] and names the layer.
// Until then its bytes are anybody's. Cancelling ctx ends the stream.
func (l Layer) Open(ctx context.Context) (io.ReadCloser, error) {
	return openVerified(ctx, l)
}

// convert keeps of a configuration file what Config holds.
func convert(cf *v1.ConfigFile) Config {
	c := Config{
		Platform:     Platform{OS: cf.OS, Architecture: cf.Architecture, Variant: cf.Variant},
		Entrypoint:   cf.Config.Entrypoint,
		Cmd:          cf.Config.Cmd,
		Env:          cf.Config.Env,
		User:         cf.Config.User,
		WorkingDir:   cf.Config.WorkingDir,
		ExposedPorts: slices.Sorted(maps.Keys(cf.Config.ExposedPorts)),
		Volumes:      slices.Sorted(maps.Keys(cf.Config.Volumes)),
		StopSignal:   cf.Config.StopSignal,
		Shell:        cf.Config.Shell,
	}
	if h := cf.Config.Healthcheck; h != nil {
		c.Healthcheck = &Healthcheck{h.Test, h.Interval, h.Timeout, h.StartPeriod, h.Retries}
	}
	return c
}
