package main

import (
	"fmt"
	"os"

	"github.com/google/renameio/v2"
	"github.com/urfave/cli/v2"

	"github.com/profgen/profgen/gen"
	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/gen/policy"
	"github.com/profgen/profgen/gen/report"
	"github.com/profgen/profgen/internal/profiledir"
)

func reportCommand() *cli.Command {
	return &cli.Command{
		Name:      "report",
		Usage:     "write a page for people: what a profile grants and why, what it refuses, and what could not be seen",
		ArgsUsage: "DIR",
		Description: "One HTML file that needs no network, prints well, and comes in light and dark. The\n" +
			"profile is decided anew: give the options that it was generated with.",
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "write `FILE`; without it the page goes to standard output"},
			&cli.StringFlag{Name: "image", Usage: "say what of image `REF` the patterns of the profile admit beside what was used"},
			&cli.StringFlag{Name: "platform", Usage: "take the image for `OS/ARCH`", DefaultText: "this machine's"},
			&cli.StringFlag{Name: "badge", Usage: "write a badge for a README to `FILE`, in SVG"},
		}, generateFlags()...),
		OnUsageError: onUsageError,
		Action:       reportAction,
	}
}

func reportAction(c *cli.Context) error {
	dir, err := onlyArg(c, "DIR")
	if err != nil {
		return err
	}
	set, err := profiledir.Evidence(dir)
	if err != nil {
		return err
	}
	opt := generateOptions(c)
	opt.AllowIncomplete = true // gaps are what a report begins with
	bundle, err := gen.Generate(set, opt)
	if err != nil {
		return err
	}
	beside, err := besideReport(c, dir, set, bundle)
	if err != nil {
		return err
	}
	page, err := report.HTML(set, bundle, beside)
	if err != nil {
		return err
	}
	if name := c.String("badge"); name != "" {
		badge, err := report.Badge(bundle, len(set.Incomplete()) == 0)
		if err != nil {
			return err
		}
		if err := renameio.WriteFile(name, badge, 0o666); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	name := c.String("output")
	if name == "" {
		_, err := c.App.Writer.Write(page)
		return err
	}
	if err := renameio.WriteFile(name, page, os.FileMode(0o666)); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// besideReport gathers what a report can tell besides: what a minimization proved,
// and with the image, what patterns admit.
func besideReport(c *cli.Context, dir string, set evidence.Set, bundle gen.Bundle) (beside report.Beside, err error) {
	if beside.Proved, err = proved(dir); err != nil || !c.IsSet("image") {
		return beside, err
	}
	img, err := openImage(c, c.String("image"))
	if err != nil {
		return beside, err
	}
	defer img.Close()
	if beside.Prices, err = pricesOf(c, bundle.Policy, set, img); err != nil {
		return beside, err
	}
	if beside.Prices == nil {
		beside.Prices = []policy.Price{}
	}
	return beside, nil
}
