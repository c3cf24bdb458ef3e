package program

import (
	"path"
	"slices"
	"strings"
)

// interpreter is a program that runs program text.
type interpreter struct {
	names    string // without versions
	short    string // options of one letter that take a value
	attached string // options of one letter whose value follows in the same argument
	long     string // options with -- that take a value as the next argument
	inline   string // options, of short or long, whose value is program text
	module   string // the option whose value is the name of a module
	file     string // the option whose value is a file of program text
	server   bool   // reads no text from a terminal if it is not given any
	single   string // long options with one dash that take a value: java
}

// interpreters are from the manual page of each.
var interpreters = []interpreter{
	{names: "python pypy", short: "cmWXQ", inline: "c", module: "m", long: "check-hash-based-pycs"},
	{names: "perl", short: "eEI", attached: "MmxCDlFi0V", inline: "e E"},
	{names: "ruby jruby truffleruby", short: "eIrECFX", attached: "0iKTWx", inline: "e", long: "encoding external-encoding internal-encoding"},
	{names: "node nodejs", short: "eprC", inline: "e p eval print", long: "eval print require import loader experimental-loader conditions title input-type env-file"},
	{names: "bun deno", short: "ec", inline: "e eval", long: "eval config cwd preload"},
	{names: "php php-cgi", short: "cdfrBREFStzTq", inline: "r B R E", file: "f F", long: "run file define"},
	{names: "php-fpm", short: "cdygpz", server: true, long: "fpm-config prefix pid define"},
	{names: "java", single: "-cp -classpath --class-path -p --module-path --add-modules --add-opens --add-exports --add-reads --upgrade-module-path -m --module"},
	{names: "lua luajit", short: "el", attached: "jOb", inline: "e"},
	{names: "tclsh wish expect", short: "c", file: "f", inline: "c"},
	{names: "guile", short: "celsLCx", inline: "c", file: "s l"},
	{names: "Rscript", short: "eg", inline: "e"},
	{names: "R", short: "ef", inline: "e", file: "f file", long: "file args"},
	{names: "julia", short: "eEpLJtHm", inline: "e E eval print", long: "eval print load project threads"},
	{names: "escript", attached: "cdins"},
	{names: "beam.smp beam", server: true},
	{names: "mono dotnet", long: "additionalprobingpath depsfile runtimeconfig fx-version config"},
	{names: "ocaml racket sbcl ghc runghc groovy octave gjs qjs swipl", short: "ef", inline: "e"},
	{names: "pwsh", single: "-Command -File -c -f"},
	{names: "csh tcsh fish rc es nu elvish xonsh", short: "c", inline: "c"},
}

func interpreterNamed(name string) (*interpreter, bool) {
	for i := range interpreters {
		names := strings.Fields(interpreters[i].names)
		if slices.Contains(names, name) || slices.Contains(names, stem(name)) {
			return &interpreters[i], true
		}
	}
	return nil, false
}

// interpret notes the text that an interpreter is given.
func (f *Finder) interpret(from origin, file, name string, i *interpreter, argv args) {
	text := i.text(argv[1:])
	if text.open {
		text.text = strings.TrimSpace(text.text + " (what follows is not known)")
	}
	if text.text == "" && !i.server {
		f.gap(Interactive, from.where, name+" without program text runs what it is told")
	}
	if p, err := f.files.Resolve(f.name(f.config.WorkingDir, text.text)); err == nil && text.text != "" && !text.open {
		text.text = p
	}
	n := f.graph.node("text\x00" + file + "\x00" + name + "\x00" + text.text)
	from.node.leadsTo(n, from.label)
	f.interpreters[Interpreter{Path: file, Name: name, Text: text.text}] = n
	f.supervise(from, path.Base(text.text), argv)
}

// text returns what an interpreter's arguments say it runs.
func (i *interpreter) text(list args) arg {
	if i.single != "" {
		return i.singleDash(list)
	}
	o := getopt(list, i.short, i.long, i.attached)
	if m, ok := o.first(i.module); ok {
		return arg{text: "module " + m.text, open: m.open}
	}
	for _, name := range strings.Fields(i.inline) {
		if !o.has(name) {
			continue
		}
		if len(name) == 1 {
			return arg{text: "-" + name}
		}
		return arg{text: "--" + name}
	}
	if v, ok := o.first(strings.Fields(i.file)...); ok {
		return v
	}
	v, _ := o.rest.at(0)
	if v.text == "-" {
		return arg{}
	}
	return v
}

// singleDash reads the options of java, and of others that have long options
// with one dash.
func (i *interpreter) singleDash(list args) arg {
	takes := strings.Fields(i.single)
	for len(list) > 0 {
		a := list[0]
		if a.text == "" || a.text[0] != '-' {
			if i.names == "java" && !a.open {
				a.text = "class " + a.text
			}
			return a
		}
		list = list[1:]
		value, _ := list.at(0)
		switch {
		case a.text == "-jar" || strings.EqualFold(a.text, "-file") || a.text == "-f":
			return value
		case a.text == "-m" || a.text == "--module":
			return arg{text: "module " + value.text, open: value.open}
		case strings.EqualFold(a.text, "-command") || a.text == "-c":
			return arg{text: a.text}
		case slices.Contains(takes, a.text):
			list = list.from(1)
		}
	}
	return arg{}
}
