package main

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// formatFlags are the flags of commands that print what a review found.
func formatFlags(more ...string) []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "format", Value: "text", Usage: "print `FORM`: " + strings.Join(forms(more), ", ")},
		&cli.BoolFlag{Name: "json", Usage: "the same as --format json"},
	}
}

func forms(more []string) []string { return append([]string{"text", "json", "sarif"}, more...) }

// formatOf is the form that the user wants.
func formatOf(c *cli.Context, more ...string) (string, error) {
	if c.Bool("json") {
		return "json", nil
	}
	form := c.String("format")
	if !slices.Contains(forms(more), form) {
		return "", usage("%s: --format %q: want one of %s", c.Command.Name, form, strings.Join(forms(more), ", "))
	}
	return form, nil
}
