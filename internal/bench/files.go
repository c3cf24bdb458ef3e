//go:build linux && (amd64 || arm64)

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/profgen/profgen/internal/record/ebpf"
)

// catName makes this program one that has xargs and cat read files.
const catName = "cat"

// distinctFiles is how many there are, each of which a recorder is told of once.
const distinctFiles = 12_000

// full is all that a recorder can look at.
var full = ebpf.Options{Files: true}

// cat has the files that are listed in args[0] read and prints how long that
// took, and how much processor time, in seconds.
func cat(args []string) int {
	start := time.Now()
	cmd := exec.Command("xargs", "--arg-file", args[0], "cat")
	if err := cmd.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 1
	}
	processor := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	fmt.Println(time.Since(start).Seconds(), processor.Seconds())
	return 0
}

// files is the worst that there is to record of files: each is a new one. The time
// that it takes has what the recorder does meanwhile in it, on a busy machine;
// processor time is that of the readers alone.
func files() []comparison {
	work := strconv.Itoa(distinctFiles) + " distinct files"
	recorded := way{name: "recorded, files too", recorder: &full, bar: bar{most: 1.3}}
	return []comparison{
		{
			work: work, what: "time to read them", rounds: 9, once: readFiles(0),
			ways: []way{{name: "bare"}, recorded, {name: "strace -f", strace: true, rounds: 1}},
		},
		{
			work: work, what: "processor time to read them", rounds: 9, once: readFiles(1),
			ways: []way{{name: "bare"}, recorded},
		},
	}
}

// readFiles returns a function that measures one of what cat prints.
func readFiles(which int) func(context.Context, way) (float64, error) {
	return func(ctx context.Context, w way) (float64, error) {
		out, err := runCat(ctx, w)
		if err != nil {
			return 0, err
		}
		measured := strings.Fields(out)
		if which >= len(measured) {
			return 0, fmt.Errorf("cat prints %q", out)
		}
		return strconv.ParseFloat(measured[which], 64)
	}
}

// runCat makes the files, has them read, and returns what cat printed.
func runCat(ctx context.Context, w way) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "profgen-bench-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	var list strings.Builder
	for i := range distinctFiles {
		name := filepath.Join(dir, strconv.Itoa(i/1000), "file"+strconv.Itoa(i))
		if i%1000 == 0 {
			if err := os.Mkdir(filepath.Dir(name), 0o755); err != nil {
				return "", err
			}
		}
		if err := os.WriteFile(name, []byte(name), 0o644); err != nil {
			return "", err
		}
		fmt.Fprintln(&list, name)
	}
	names := filepath.Join(dir, "list")
	if err := os.WriteFile(names, []byte(list.String()), 0o644); err != nil {
		return "", err
	}
	return w.run(ctx, []string{self, catName, names}, "read", nil)
}
