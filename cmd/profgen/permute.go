package main

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// flagsFirst moves the flags of a command before its arguments, where the flag
// parser wants them and few people write them: profgen verify DIR --runs 5.
// What follows a -- stays what it is.
func flagsFirst(app *cli.App, args []string) []string {
	if len(args) < 2 {
		return args
	}
	command := app.Command(args[1])
	if command == nil {
		return args
	}
	var flags, operands []string
	for rest := args[2:]; len(rest) > 0; rest = rest[1:] {
		switch arg := rest[0]; {
		case arg == "--":
			operands = append(operands, rest[1:]...)
			rest = rest[:1]
		case !strings.HasPrefix(arg, "-") || arg == "-":
			operands = append(operands, arg)
		case takesValue(command, arg) && len(rest) > 1:
			flags = append(flags, arg, rest[1])
			rest = rest[1:]
		default:
			flags = append(flags, arg)
		}
	}
	out := append(slices.Clone(args[:2]), flags...)
	return append(append(out, "--"), operands...)
}

// takesValue reports whether the flag that arg spells has its value in the
// next argument.
func takesValue(command *cli.Command, arg string) bool {
	name := strings.TrimLeft(arg, "-")
	for _, f := range command.Flags {
		if slices.Contains(f.Names(), name) {
			_, boolean := f.(*cli.BoolFlag)
			return !boolean
		}
	}
	return false // unknown, help, or --name=value
}
