package main

import (
	"fmt"
	"io/fs"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/gen/policy"
	"github.com/profgen/profgen/internal/image"
)

// tellPrices tells which files of an image the patterns of a profile admit that
// were never used.
func tellPrices(c *cli.Context, p policy.Policy, set evidence.Set, img *image.Image) error {
	if !slices.ContainsFunc(p.Files.Rules, func(r policy.FileRule) bool { return r.Name.Pattern() && r.Origin != evidence.FromMount }) {
		return nil
	}
	files, err := img.Files(c.Context)
	if err != nil {
		return err
	}
	var all []string
	err = fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			all = append(all, "/"+name)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("list the image's files: %w", err)
	}
	for _, price := range policy.Prices(p, set, all) {
		switch n := len(price.Files); n {
		case 0:
		case 1:
			fmt.Fprintf(c.App.ErrWriter, "  pattern       %s admits %s too, which the workload never used\n", price.Rule, evidence.Path(price.Files[0]))
		default:
			fmt.Fprintf(c.App.ErrWriter, "  pattern       %s admits %d files of the image that it never used, such as %s\n", price.Rule, n, evidence.Path(price.Files[0]))
		}
	}
	return nil
}
