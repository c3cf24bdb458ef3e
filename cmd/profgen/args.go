package main

import (
	"strings"

	"github.com/urfave/cli/v2"
)

// onlyArg returns the one argument that the command takes.
func onlyArg(c *cli.Context, what string) (string, error) {
	if c.NArg() != 1 {
		return "", usage("%s: want exactly one argument, %s; got %d", c.Command.Name, what, c.NArg())
	}
	return c.Args().First(), nil
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, " ")
}
