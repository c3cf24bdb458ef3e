package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/profgen/profgen/gen/convert"
	"github.com/profgen/profgen/gen/seccomp"
	"github.com/profgen/profgen/internal/abi"
	"github.com/profgen/profgen/internal/profiledir"
	"github.com/profgen/profgen/profiles"
)

func convertCommand() *cli.Command {
	return &cli.Command{
		Name:      "convert",
		Usage:     "write a seccomp profile in another format, where that can say the same",
		ArgsUsage: "FILE",
		Description: "FILE, or - for standard input, is in any of the formats: " + formatNames() + ".\n" +
			"What is written answers every system call as FILE does; where the other format has no\n" +
			"words for it, nothing is written and the reasons are told.\n\n" +
			"--resolve takes out what depends on the host: rules by capability, ABI and kernel, as the\n" +
			"named reader decides them for --arch and --cap-add beside its default capabilities.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "to", Usage: "write `FORMAT`"},
			&cli.StringFlag{Name: "from", Usage: "read `FORMAT`", DefaultText: "told from the file"},
			&cli.StringFlag{Name: "systemd-groups", Usage: "systemd's groups of calls (@system-service) are those of `FILE`: what systemd-analyze syscall-filter prints"},
			&cli.StringFlag{Name: "resolve", Usage: "take out conditions on the host, as `READER` does: docker, podman or kubernetes"},
			&cli.StringFlag{Name: "arch", Usage: "with --resolve: for a host of `ARCH`, amd64 or arm64", Value: "amd64"},
			&cli.StringSliceFlag{Name: "cap-add", Usage: "with --resolve: for a container with `CAP` too"},
		},
		OnUsageError: onUsageError,
		Action:       convertAction,
	}
}

func formatNames() string {
	var names []string
	for _, f := range convert.Formats() {
		names = append(names, string(f))
	}
	return strings.Join(names, ", ")
}

func convertAction(c *cli.Context) error {
	name, err := onlyArg(c, "FILE")
	if err != nil {
		return err
	}
	to := convert.Format(c.String("to"))
	if !slices.Contains(convert.Formats(), to) {
		return usage("convert: --to %q: want one of %s", to, formatNames())
	}
	text, err := readOrStdin(name)
	if err != nil {
		return err
	}
	from := convert.Format(c.String("from"))
	switch {
	case from != "" && !slices.Contains(convert.Formats(), from):
		return usage("convert: --from %q: want one of %s", from, formatNames())
	case from == "":
		if from, err = convert.Detect(text); err != nil {
			return fmt.Errorf("%s: %w: --from %s", name, err, formatNames())
		}
	}
	groups, err := groupsOf(c)
	if err != nil {
		return err
	}
	file, err := convert.Read(text, from, groups)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if c.IsSet("resolve") {
		if file, err = resolve(c, file); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	out, err := convert.Write(file, to)
	var lossy *convert.Lossy
	if errors.As(err, &lossy) {
		return fmt.Errorf("%s: %w", name, err)
	}
	if err != nil {
		return err
	}
	_, err = c.App.Writer.Write(out)
	return err
}

// groupsOf are the groups of system calls that the user gives; nil for none.
func groupsOf(c *cli.Context) (convert.Groups, error) {
	name := c.String("systemd-groups")
	if name == "" {
		return nil, nil
	}
	text, err := profiledir.ReadFile(name)
	if err != nil {
		return nil, err
	}
	groups, err := convert.ParseGroups(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return groups, nil
}

// resolve takes out what depends on the host.
func resolve(c *cli.Context, file *seccomp.File) (*seccomp.File, error) {
	reader, err := readerOf(c.String("resolve"))
	if err != nil {
		return nil, err
	}
	arch, err := abi.ByGOARCH(c.String("arch"))
	if row, _ := arch.Row(); err != nil || row.Compat {
		return nil, usage("convert: --arch %q: want amd64 or arm64", c.String("arch"))
	}
	capabilities := profiles.DockerCapabilities()
	if reader == seccomp.Podman {
		capabilities = profiles.PodmanCapabilities()
	}
	for _, name := range c.StringSlice("cap-add") {
		capabilities = append(capabilities, capability(name))
	}
	return convert.Resolve(file, reader, seccomp.Host{Native: arch, Capabilities: capabilities})
}

// readOrStdin reads a file, or what profgen is given on standard input.
func readOrStdin(name string) ([]byte, error) {
	if name != "-" {
		return profiledir.ReadFile(name)
	}
	const most = 16 << 20
	return io.ReadAll(io.LimitReader(os.Stdin, most))
}
