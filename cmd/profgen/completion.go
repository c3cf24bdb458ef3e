package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"
)

func completionCommand() *cli.Command {
	return &cli.Command{
		Name:      "completion",
		Usage:     "print a shell's completion script, or the manual page",
		ArgsUsage: "bash|zsh|fish|man",
		Description: "bash:  source <(profgen completion bash)\n" +
			"zsh:   profgen completion zsh > \"${fpath[1]}/_profgen\"\n" +
			"fish:  profgen completion fish > ~/.config/fish/completions/profgen.fish\n" +
			"man:   profgen completion man > /usr/local/share/man/man1/profgen.1",
		OnUsageError: onUsageError,
		Action: func(c *cli.Context) error {
			what, err := onlyArg(c, "bash, zsh, fish or man")
			if err != nil {
				return err
			}
			switch what {
			case "bash":
				return writeBash(c.App.Writer, c.App)
			case "zsh":
				return writeZsh(c.App.Writer, c.App)
			case "fish":
				return writeFish(c.App.Writer, c.App)
			case "man":
				page, err := c.App.ToManWithSection(1)
				fmt.Fprint(c.App.Writer, page)
				return err
			}
			return usage("completion: %q: want bash, zsh, fish or man", what)
		},
	}
}

// option is a flag as it is typed, with what it is for.
type option struct {
	name, about string
	value       bool
}

// optionsOf are the long spellings of a command's flags.
func optionsOf(cmd *cli.Command) []option {
	var out []option
	for _, f := range cmd.Flags {
		about := ""
		if d, ok := f.(cli.DocGenerationFlag); ok {
			about = strings.ReplaceAll(d.GetUsage(), "`", "")
		}
		_, boolean := f.(*cli.BoolFlag)
		for _, n := range f.Names() {
			if len(n) > 1 {
				out = append(out, option{"--" + n, about, !boolean})
			}
		}
	}
	return append(out, option{"--help", "show help", false})
}

func writeBash(w io.Writer, app *cli.App) error {
	var names []string
	fmt.Fprint(w, "# bash completion of profgen; where nothing fits, files do.\n_profgen() {\n\tlocal words=''\n\tcase ${COMP_WORDS[1]} in\n")
	for _, cmd := range app.VisibleCommands() {
		var words []string
		for _, o := range optionsOf(cmd) {
			words = append(words, o.name)
		}
		names = append(names, cmd.Name)
		fmt.Fprintf(w, "\t%s) words='%s' ;;\n", cmd.Name, strings.Join(words, " "))
	}
	_, err := fmt.Fprintf(w, "\tesac\n\t[ \"$COMP_CWORD\" -gt 1 ] || words='%s'\n"+
		"\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"${COMP_WORDS[COMP_CWORD]}\")\n}\ncomplete -o default -F _profgen profgen\n", strings.Join(names, " "))
	return err
}

// shellText is a text inside single quotes.
func shellText(s string) string { return strings.ReplaceAll(s, "'", `'\''`) }

func writeZsh(w io.Writer, app *cli.App) error {
	fmt.Fprint(w, "#compdef profgen\n# zsh completion of profgen.\nlocal -a commands options\ncommands=(\n")
	inBrackets := strings.NewReplacer("[", `\[`, "]", `\]`, ":", `\:`)
	for _, cmd := range app.VisibleCommands() {
		fmt.Fprintf(w, "\t'%s:%s'\n", cmd.Name, shellText(strings.ReplaceAll(cmd.Usage, ":", `\:`)))
	}
	fmt.Fprint(w, ")\nif (( CURRENT == 2 )); then\n\t_describe command commands\n\treturn\nfi\ncase $words[2] in\n")
	for _, cmd := range app.VisibleCommands() {
		fmt.Fprintf(w, "%s) options=(\n", cmd.Name)
		for _, o := range optionsOf(cmd) {
			value := ""
			if o.value {
				value = ":value:_files"
			}
			fmt.Fprintf(w, "\t'*%s[%s]%s'\n", o.name, shellText(inBrackets.Replace(o.about)), value)
		}
		fmt.Fprint(w, "\t) ;;\n")
	}
	_, err := fmt.Fprint(w, "esac\n_arguments -S $options '*:file:_files'\n")
	return err
}

func writeFish(w io.Writer, app *cli.App) error {
	fmt.Fprint(w, "# fish completion of profgen.\n")
	for _, cmd := range app.VisibleCommands() {
		fmt.Fprintf(w, "complete -c profgen -n __fish_use_subcommand -f -a %s -d '%s'\n", cmd.Name, fishText(cmd.Usage))
		for _, o := range optionsOf(cmd) {
			value := ""
			if o.value {
				value = " -r"
			}
			fmt.Fprintf(w, "complete -c profgen -n '__fish_seen_subcommand_from %s' -l %s%s -d '%s'\n", cmd.Name, o.name[2:], value, fishText(o.about))
		}
	}
	return nil
}

// fishText is a text inside fish's single quotes.
func fishText(s string) string { return strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(s) }
