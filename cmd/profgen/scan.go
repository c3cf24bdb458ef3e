package main

import (
	"context"
	"debug/elf"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/profgen/profgen/gen"
	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/gen/policy"
	"github.com/profgen/profgen/internal/host"
	"github.com/profgen/profgen/internal/image"
	"github.com/profgen/profgen/internal/profiledir"
	"github.com/profgen/profgen/internal/scan"
	"github.com/profgen/profgen/internal/scan/cache"
	"github.com/profgen/profgen/internal/scan/program"
)

// scanTool is the tool of evidence that comes from static analysis.
const scanTool = "profgen scan"

func scanCommand() *cli.Command {
	flags := []cli.Flag{
		&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "write the profile directory `DIR`"},
		&cli.BoolFlag{Name: "fresh", Usage: "forget the evidence that DIR already has instead of adding to it"},
		&cli.StringFlag{Name: "platform", Usage: "scan the image for `OS/ARCH`", DefaultText: "this machine's"},
		&cli.BoolFlag{Name: "json", Usage: "print what was decided as JSON"},
		&cli.BoolFlag{Name: "no-cache", Usage: "find out everything anew, and keep nothing for the next scan"},
	}
	return &cli.Command{
		Name:  "scan",
		Usage: "derive from machine code what a workload can do, and generate its profiles",
		UsageText: "profgen scan -o DIR REF [-- ARGS...]\n" +
			"profgen scan -o DIR FILE...",
		Description: "Nothing is run, and nothing takes root. REF is an image as for record, with ARGS in\n" +
			"the place of its CMD; FILE is a program of this host.\n\n" +
			"What the code can reach is an upper bound. With a recording in the same directory,\n" +
			"--tight keeps only what was seen, and what was seen and cannot be reached is an error.\n\n" +
			"What was found out is kept in the user's cache folder (profgen in $XDG_CACHE_HOME or\n" +
			"~/.cache): with it or without, the result is the same to the last byte.",
		Flags:        append(flags, generateFlags()...),
		OnUsageError: onUsageError,
		Action:       scanAction,
	}
}

// scanOptions say what to scan: an image, or files of this host.
type scanOptions struct {
	Image    *image.Image
	Args     []string // in the place of the image's CMD
	Files    []string
	Progress func(done, total int, what string)
	Cache    *cache.Cache // nil: none
}

// scanEvidence returns the reachable facts, their witnesses and the gaps; the
// subject and the source are the command's to add.
func scanEvidence(ctx context.Context, opt scanOptions) (evidence.Set, error) {
	if opt.Image == nil {
		return scanHost(ctx, opt)
	}
	opt.Progress(0, 1, "layers")
	return cached(ctx, opt, scanImage)
}

// scanImage reads the image and scans it.
func scanImage(ctx context.Context, opt scanOptions) (evidence.Set, error) {
	files, err := opt.Image.Files(ctx)
	if err != nil {
		return evidence.Set{}, err
	}
	elfs, err := files.ELFs()
	if err != nil {
		return evidence.Set{}, err
	}
	raised, err := files.Privileged()
	if err != nil {
		return evidence.Set{}, err
	}
	names := []string{} // none is known to be none
	for _, p := range raised {
		names = append(names, p.Name)
	}
	found, err := scan.Run(ctx, scan.Options{
		Files:      files,
		Config:     programConfig(opt.Image.Config(), opt.Args),
		Objects:    elfs,
		Privileged: names,
		Progress:   opt.Progress,
		Relax:      files.Relax,
		Cache:      summaries(opt.Cache),
	})
	found.Facts = append(found.Facts, privilegedFacts(raised)...)
	return found, err
}

// programConfig is what the search for programs wants of an image's
// configuration; args are in the place of CMD.
func programConfig(c image.Config, args []string) program.Config {
	out := program.Config{Entrypoint: c.Entrypoint, Cmd: c.Cmd, Shell: c.Shell, Env: c.Env, User: c.User, WorkingDir: c.WorkingDir}
	if len(args) > 0 {
		out.Cmd = args
	}
	if c.Healthcheck != nil {
		out.Healthcheck = c.Healthcheck.Test
	}
	return out
}

// scanHost scans programs of this host, with its libraries.
func scanHost(ctx context.Context, opt scanOptions) (evidence.Set, error) {
	files, err := image.FolderFiles("/")
	if err != nil {
		return evidence.Set{}, err
	}
	var paths []string
	for _, f := range opt.Files {
		abs, err := filepath.Abs(f)
		if err != nil {
			return evidence.Set{}, err
		}
		paths = append(paths, abs)
	}
	return scan.Run(ctx, scan.Options{Files: files, Binaries: paths, Progress: opt.Progress, Cache: summaries(opt.Cache)})
}

func scanAction(c *cli.Context) error {
	dir := c.String("output")
	switch {
	case dir == "":
		return usage("scan: want -o DIR, the profile directory to write")
	case c.NArg() == 0:
		return usage("scan: nothing to scan: want REF, an image, or FILE..., programs")
	}
	if err := gen.Check(generateOptions(c)); err != nil {
		return usage("scan: %w", err)
	}
	defer runtime.KeepAlive(forScan())
	opt, subjects, err := newScan(c)
	if err != nil {
		return err
	}
	if opt.Image != nil {
		defer opt.Image.Close()
	}
	unlock, err := profiledir.Lock(dir)
	if err != nil {
		return err
	}
	defer unlock()
	return scanInto(c, dir, opt, subjects)
}

// scanInto makes the scan and the files of dir.
func scanInto(c *cli.Context, dir string, opt scanOptions, subjects []evidence.Subject) error {
	before, err := evidenceBeside(c, dir, subjects)
	if err != nil {
		return err
	}
	talk, begun := newTalk(c.App.ErrWriter), time.Now()
	opt.Progress = talk.step
	if !c.Bool("no-cache") {
		opt.Cache = openCache(c.App.ErrWriter)
		defer opt.Cache.Close()
	}
	found, err := scanEvidence(c.Context, opt)
	talk.clear()
	if err != nil {
		return err
	}
	given := giveBack(opt.Image)
	defer func() { <-given }()
	found.Subjects = subjects
	found.Sources = []evidence.Source{{Tool: scanTool, Version: version(), Method: "static analysis"}}
	set := evidence.Merge(before, found)
	if err := profiledir.SaveEvidence(dir, set); err != nil {
		return err
	}
	calls, programs := map[string]bool{}, map[string]bool{}
	for _, f := range found.Facts {
		if f, ok := f.(evidence.Syscall); ok {
			calls[f.Name] = true
		}
	}
	for _, w := range found.Witnesses {
		if w.Program != "" {
			programs[w.Program] = true
		}
	}
	fmt.Fprintf(c.App.ErrWriter, "found %d system calls that %d programs can reach, and %d things that could not be found out, in %s\n",
		len(calls), len(programs), len(found.Gaps), time.Since(begun).Round(10*time.Millisecond))
	bundle, err := generate(c, dir, set)
	if err != nil {
		return err
	}
	w := c.App.ErrWriter
	summarize(w, dir, bundle)
	if opt.Image != nil {
		fmt.Fprintf(w, "next: profgen verify %s --image %s --check CMD   proves it\n", dir, c.Args().First())
	} else {
		fmt.Fprintf(w, "next: profgen record -o %s -- %s   shows what of it is used\n", dir, opt.Files[0])
	}
	fmt.Fprintf(w, "      profgen why %s NAME   says why something is allowed or not\n", dir)
	return reportScan(c, bundle)
}

// giveBack closes the image while its profile is made: that takes the kernel some
// milliseconds for its files. The result is closed when it is done.
func giveBack(img *image.Image) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		if img != nil {
			img.Close() // nothing was written: there is nothing to lose
		}
	}()
	return done
}

// reportScan prints what came of a scan, for programs to read.
func reportScan(c *cli.Context, b gen.Bundle) error {
	if !c.Bool("json") {
		return nil
	}
	return printJSON(c.App.Writer, struct {
		Profile   string            `json:"profile"`
		Decisions []policy.Decision `json:"decisions"`
		Warnings  []policy.Warning  `json:"warnings"`
	}{b.Name, b.Policy.Decisions, b.Policy.Warnings})
}

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// evidenceBeside is the evidence that a scan adds to. A scan of the same image
// takes the place of an earlier one.
func evidenceBeside(c *cli.Context, dir string, subjects []evidence.Subject) (evidence.Set, error) {
	if c.Bool("fresh") {
		return evidence.Set{}, nil
	}
	before, err := profiledir.EvidenceSoFar(dir)
	if err != nil {
		return evidence.Set{}, fmt.Errorf("%w\nprofgen: hint: --fresh starts over", err)
	}
	return withoutEarlierScan(before, subjects), nil
}

// withoutEarlierScan is evidence less what the scan of subjects takes the place
// of: all static evidence, if it can be of nothing but them.
func withoutEarlierScan(before evidence.Set, subjects []evidence.Subject) evidence.Set {
	for _, s := range before.Subjects {
		if !slices.ContainsFunc(subjects, s.SameImage) {
			return before
		}
	}
	_, rest := before.Static()
	rest.Sources = slices.DeleteFunc(slices.Clone(rest.Sources), func(s evidence.Source) bool { return s.Tool == scanTool })
	return rest
}

// newScan returns what the arguments ask to scan, and its subjects.
func newScan(c *cli.Context) (scanOptions, []evidence.Subject, error) {
	args := c.Args().Slice()
	var opt scanOptions
	if _, ok := programHead(args[0]); ok {
		if c.IsSet("platform") {
			return scanOptions{}, nil, usage("scan: --platform is for images; %s is a program", args[0])
		}
		opt.Files = args
		subjects, err := fileSubjects(args)
		return opt, subjects, err
	}
	platform, err := image.ParsePlatform(c.String("platform"))
	if err != nil {
		return scanOptions{}, nil, usage("%w", err)
	}
	if opt.Image, err = image.Open(c.Context, args[0], platform); err != nil {
		return scanOptions{}, nil, err
	}
	opt.Args = args[1:]
	return opt, []evidence.Subject{imageSubject(opt.Image, opt.Args)}, nil
}

// headSize is how much of an ELF file says what it is for: up to e_machine.
const headSize = 20

// programHead returns the beginning of a file that is a program: an ELF file or
// a script.
func programHead(name string) (head []byte, ok bool) {
	info, err := os.Stat(name)
	if err != nil || !info.Mode().IsRegular() {
		return nil, false
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, false
	}
	defer f.Close()
	head = make([]byte, headSize)
	n, _ := io.ReadFull(f, head) // a short script is a script
	text := string(head[:n])
	return head, n >= 4 && (text[:4] == elf.ELFMAG || text[:2] == "#!")
}

// fileSubjects is what evidence says of programs of this host: their platform
// is that of their code.
func fileSubjects(files []string) ([]evidence.Subject, error) {
	facts, err := host.Read()
	if err != nil {
		return nil, err
	}
	platforms := map[elf.Machine]string{elf.EM_X86_64: "linux/amd64", elf.EM_AARCH64: "linux/arm64"}
	var out []evidence.Subject
	for _, name := range files {
		head, ok := programHead(name)
		if !ok {
			return nil, usage("scan: %s: not a program; want programs, or one image", name)
		}
		s := hostSubject(facts, []string{name})
		if string(head[:4]) == elf.ELFMAG {
			s.Platform = platforms[elf.Machine(binary.LittleEndian.Uint16(head[18:]))]
		}
		out = append(out, s)
	}
	return out, nil
}
