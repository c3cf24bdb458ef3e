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
// took, in seconds.
func cat(args []string) int {
	start := time.Now()
	cmd := exec.Command("xargs", "--arg-file", args[0], "cat")
	if err := cmd.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 1
	}
	fmt.Println(time.Since(start).Seconds())
	return 0
}

// files is the worst that there is to record of files: each is a new one.
func files() comparison {
	return comparison{
		work: strconv.Itoa(distinctFiles) + " distinct files", what: "time to read them", rounds: 15, once: readFiles,
		ways: []way{
			{name: "bare"},
			{name: "recorded, files too", recorder: &full, bar: bar{most: 1.3}},
			{name: "strace -f", strace: true, rounds: 1},
		},
	}
}

func readFiles(ctx context.Context, w way) (float64, error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	dir, err := os.MkdirTemp("", "profgen-bench-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	var list strings.Builder
	for i := range distinctFiles {
		name := filepath.Join(dir, strconv.Itoa(i/1000), "file"+strconv.Itoa(i))
		if i%1000 == 0 {
			if err := os.Mkdir(filepath.Dir(name), 0o755); err != nil {
				return 0, err
			}
		}
		if err := os.WriteFile(name, []byte(name), 0o644); err != nil {
			return 0, err
		}
		fmt.Fprintln(&list, name)
	}
	names := filepath.Join(dir, "list")
	if err := os.WriteFile(names, []byte(list.String()), 0o644); err != nil {
		return 0, err
	}
	out, err := w.run(ctx, []string{self, catName, names}, "read", nil)
	if err != nil {
		return 0, err
	}
	return strconv.ParseFloat(strings.TrimSpace(out), 64)
}
