package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/profgen/profgen/gen/policy"
	"github.com/profgen/profgen/internal/image"
)

// errOtherImage is the error for an image that a profile was not made for.
var errOtherImage = errors.New("not the image that the profile was made for")

func allowOtherFlag() cli.Flag {
	return &cli.BoolFlag{Name: "allow-other-image", Usage: "take an image that is not the one that the profile was made for"}
}

// known is an image by the digests that somebody knows of it.
type known struct {
	name    string
	digests []string // of its manifest, its configuration, or both
}

// knownImage is what an opened image is known by. Its blobs are checked against
// these as they are read.
func knownImage(img *image.Image) known {
	return known{img.Reference(), slices.DeleteFunc([]string{img.ConfigDigest(), img.Digest()}, func(s string) bool { return s == "" })}
}

// trust refuses an image that is not the one of the plan, unless told to take
// it: the same tag may have come to mean another image. A plan without digests,
// of a folder or a program of the host, has nothing to tell them apart by.
func trust(c *cli.Context, dir string, plan policy.Image, got known) error {
	want := slices.DeleteFunc([]string{plan.ConfigDigest, plan.Digest}, func(s string) bool { return s == "" })
	if len(want) == 0 || slices.ContainsFunc(want, func(d string) bool { return slices.Contains(got.digests, d) }) {
		return nil
	}
	have := "has no digest"
	if len(got.digests) > 0 {
		have = "is " + got.digests[0]
	}
	if c.Bool("allow-other-image") {
		fmt.Fprintf(c.App.ErrWriter, "note: %s %s, and %s was made for %s\n", got.name, have, dir, cmp.Or(want...))
		return nil
	}
	return fmt.Errorf("%s: %w: it %s, and %s was made for %s\nprofgen: hint: make a profile of it too, with profgen record or scan -o NEW, and compare them: profgen diff %s NEW; --allow-other-image takes it all the same",
		got.name, errOtherImage, have, dir, cmp.Or(want...), dir)
}
