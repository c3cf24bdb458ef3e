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
	prices, err := pricesOf(c, p, set, img)
	if err != nil {
		return err
	}
	for _, price := range prices {
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

// pricesOf returns what the patterns of a profile admit of an image's files.
func pricesOf(c *cli.Context, p policy.Policy, set evidence.Set, img *image.Image) ([]policy.Price, error) {
	files, err := img.Files(c.Context)
	if err != nil {
		return nil, err
	}
	var all []string
	err = fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			all = append(all, "/"+name)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list the image's files: %w", err)
	}
	return policy.Prices(p, set, all), nil
}
