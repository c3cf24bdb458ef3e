package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/abi"
	"github.com/profgen/profgen/internal/host"
	"github.com/profgen/profgen/internal/image"
	"github.com/profgen/profgen/internal/record"
	"github.com/profgen/profgen/internal/sandbox"
	"github.com/profgen/profgen/internal/sandbox/rootfs"
	"github.com/profgen/profgen/profiles"
)

// containerFlags say which container to run and how.
func containerFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "image", Usage: "run the image `REF`"},
		&cli.StringFlag{Name: "bundle", Usage: "run the OCI bundle in folder `DIR`"},
		&cli.StringFlag{Name: "platform", Usage: "run the image for `OS/ARCH`", DefaultText: "this machine's"},
		&cli.StringFlag{Name: "user", Usage: "start it as `UID[:GID]` instead of the image's user"},
		&cli.StringFlag{Name: "runtime", Usage: "run containers with `NAME` (default: runc, or else crun)"},
		&cli.StringFlag{Name: "network", Usage: "give the container a `NETWORK`: private, with no way out, or host", Value: "private"},
		&cli.StringSliceFlag{Name: "publish", Aliases: []string{"p"}, Usage: "reach port CONTAINER at 127.0.0.1:HOST: `HOST:CONTAINER`"},
		&cli.Int64Flag{Name: "max-image-size", Usage: "refuse images that unpack to more than `BYTES`", Value: rootfs.DefaultBytes},
	}
}

// contained reports whether the workload is a container that profgen starts.
func contained(c *cli.Context) bool { return c.IsSet("image") || c.IsSet("bundle") }

func capAddFlag() cli.Flag {
	return &cli.StringSliceFlag{Name: "cap-add", Usage: "run the container with `CAP` beside Docker's default capabilities, or beside the bundle's own"}
}

// driveFlags say how the workload is made to work, and for how long.
func driveFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "check", Usage: "stop the workload once the shell command `CMD` succeeds"},
		&cli.DurationFlag{Name: "check-timeout", Usage: "give the check `DURATION` to succeed", Value: time.Minute},
		&cli.DurationFlag{Name: "for", Usage: "stop the workload after `DURATION`; after the check, if there is one"},
	}
}

// newContainer returns the container that the flags ask for, and its image if
// it has one, for the caller to close.
func newContainer(c *cli.Context, confinement sandbox.Confinement) (*sandbox.Container, error) {
	rt, err := sandbox.FindRuntime(c.Context, c.String("runtime"))
	if err != nil {
		return nil, err
	}
	ct := &sandbox.Container{
		Bundle: c.String("bundle"), Args: c.Args().Slice(), Runtime: rt, Stdio: workloadStdio(c),
		Limits: rootfs.Limits{Bytes: c.Int64("max-image-size")}, Confinement: confinement,
	}
	switch network := c.String("network"); network {
	case "host":
		ct.HostNetwork = true
	case "private":
	default:
		return nil, usage("network %q: want private or host", network)
	}
	for _, p := range c.StringSlice("publish") {
		port, err := sandbox.ParsePort(p)
		if err != nil {
			return nil, usage("%w", err)
		}
		ct.Ports = append(ct.Ports, port)
	}
	ct.Published = func(p sandbox.Port, at net.Addr) {
		fmt.Fprintf(c.App.ErrWriter, "port %d is at %s\n", p.Container, at)
	}
	if user := c.String("user"); user != "" {
		if !userForm.MatchString(user) {
			return nil, usage("--user %s: want UID or UID:GID, in numbers", user)
		}
		if ct.Confinement.Bounds == nil {
			ct.Confinement.Bounds = &sandbox.Bounds{}
		}
		ct.Confinement.Bounds.User = user
	}
	if c.IsSet("image") {
		if ct.Image, err = openImage(c, c.String("image")); err != nil {
			return nil, err
		}
	}
	return ct, nil
}

var userForm = regexp.MustCompile(`^\d{1,9}(:\d{1,9})?$`)

// openImage opens the image that ref names, for the platform that the flags ask
// for.
func openImage(c *cli.Context, ref string) (*image.Image, error) {
	platform, err := image.ParsePlatform(c.String("platform"))
	if err != nil {
		return nil, usage("%w", err)
	}
	return image.Open(c.Context, ref, platform)
}

// checker returns the check that the flags ask for, run by shell; nil if none.
func checker(c *cli.Context, shell func(context.Context, string) ([]byte, error)) func(context.Context) error {
	line := c.String("check")
	if line == "" {
		return nil
	}
	try := func(ctx context.Context) ([]byte, error) { return shell(ctx, line) }
	return record.Until(try, c.Duration("check-timeout"))
}

// checkFlags refuses flags that would do nothing, before anything is done.
func checkFlags(c *cli.Context) error {
	contained := contained(c)
	for _, f := range append(append(containerFlags(), probeFlags()...), capAddFlag()) {
		if name := f.Names()[0]; c.IsSet(name) && !contained {
			return usage("--%s is for containers: it wants --image or --bundle", name)
		}
	}
	for _, name := range []string{"check", "ready"} {
		if c.IsSet(name) && c.String(name) == "" {
			return usage("--%s is empty: it would succeed whatever the workload does", name)
		}
	}
	if _, err := execChecks(c); err != nil {
		return err
	}
	for _, d := range []string{"for", "check-timeout"} {
		if c.Duration(d) < 0 || c.IsSet(d) && c.Duration(d) == 0 {
			return usage("--%s %s: want a time above zero", d, c.Duration(d))
		}
	}
	for _, name := range c.StringSlice("cap-add") {
		if _, ok := abi.CapabilityNumber(capability(name)); !ok {
			return usage("--cap-add %s: no such capability", name)
		}
	}
	return nil
}

// capability spells a capability as the kernel does.
func capability(name string) string {
	return "CAP_" + strings.TrimPrefix(strings.ToUpper(name), "CAP_")
}

// openConfinement is what a container is recorded under: a bundle's own
// capabilities, or else Docker's default ones, and what the user adds, and a
// filter that allows everything, so that the recording begins where a real one
// would bind.
func openConfinement(native abi.Arch, bundle bool, added []string) sandbox.Confinement {
	open := sandbox.Confinement{Seccomp: sandbox.AllowAll(native)}
	if !bundle {
		open.Capabilities = profiles.DockerCapabilities()
	}
	for _, c := range added {
		open.Added = append(open.Added, capability(c))
	}
	return open
}

// subjectOf is what evidence says of a container.
func subjectOf(ct *sandbox.Container) (evidence.Subject, error) {
	if ct.Image == nil {
		argv, user, err := sandbox.BundleProcess(ct.Bundle)
		if len(ct.Args) > 0 {
			argv = ct.Args
		}
		return as(ct, evidence.Subject{Argv: argv, User: user}), err
	}
	return as(ct, imageSubject(ct.Image, ct.Args)), nil
}

// as is the subject with the user that it is started as instead of its own.
func as(ct *sandbox.Container, s evidence.Subject) evidence.Subject {
	if b := ct.Confinement.Bounds; b != nil && b.User != "" {
		s.User = b.User
	}
	return s
}

// imageSubject is what evidence says of an image that is given args.
func imageSubject(img *image.Image, args []string) evidence.Subject {
	cfg := img.Config()
	s := evidence.Subject{
		Image: img.Reference(), Digest: img.Digest(), ConfigDigest: img.ConfigDigest(),
		Argv: cfg.Command(args...), User: cfg.User,
	}
	if cfg.Platform != (image.Platform{}) {
		s.Platform = cfg.Platform.String()
	}
	return s
}

// hostSubject is what evidence says of a process of this host.
func hostSubject(facts host.Facts, argv []string) evidence.Subject {
	row, _ := facts.Arch.Row()
	return evidence.Subject{Platform: "linux/" + row.GOARCH, Argv: argv}
}

// closeImage gives back the image of a container, if it has one.
func closeImage(ct *sandbox.Container) {
	if ct != nil && ct.Image != nil {
		if err := ct.Image.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "profgen:", err)
		}
	}
}
