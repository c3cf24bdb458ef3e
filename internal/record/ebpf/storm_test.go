//go:build linux && (amd64 || arm64)

package ebpf

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/record"
)

// storms are how much of everything there is. PROFGEN_STORM=full makes it the
// real thing, which takes minutes.
func storms() (tasks, threads, opens, paths, containers int) {
	if os.Getenv("PROFGEN_STORM") == "full" {
		return 20_000, 100_000, 1_000_000, 200_000, 64
	}
	return 1000, 1000, 40_000, 8000, 8
}

// TestStorm: nothing is lost, or all that is lost is counted.
func TestStorm(t *testing.T) {
	tasks, threads, opens, paths, containers := storms()
	storm, dir := compile(t, "storm.c", "-pthread"), t.TempDir()
	if out, err := exec.Command(storm, "prepare", dir, strconv.Itoa(max(paths, tasks, threads))).CombinedOutput(); err != nil {
		t.Fatalf("prepare: %v\n%s", err, out)
	}
	each := opens / containers
	inEach := fmt.Sprintf(`i=0; while [ $i -lt %d ]; do unshare -m "$0" filter "$1" open "$2" %d %d $((i*%d)) & i=$((i+1)); done; wait`, containers, paths, each, each)
	for _, tt := range []struct {
		name  string
		start record.StartPoint
		argv  []string
		want  int // files
	}{
		{"tasks", record.AtExec, []string{storm, "fork", dir, strconv.Itoa(tasks)}, tasks},
		{"threads", record.AtExec, []string{storm, "threads", dir, strconv.Itoa(threads)}, threads},
		{"opens", record.AtExec, []string{storm, "open", dir, strconv.Itoa(paths), strconv.Itoa(opens), "0"}, paths},
		{"containers", record.AtFilter, []string{"/bin/sh", "-c", inEach, acts(t), storm, dir}, min(paths, each*containers)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := recordRun(t, Options{Files: true}, tt.start, tt.argv...)
			got := 0
			for _, f := range s.Facts {
				if f, ok := f.(evidence.FileAccess); ok && strings.HasPrefix(string(f.Path), dir+"/") {
					got++
				}
			}
			lost := gaps(s, evidence.Lost)
			t.Logf("%d of %d files, lost: %+v", got, tt.want, lost)
			if got != tt.want && len(lost) == 0 {
				t.Errorf("%d files recorded, want %d, and nothing says that some are missing", got, tt.want)
			}
			for _, g := range lost {
				if !g.Incomplete() || g.Count == 0 {
					t.Errorf("a loss that does not count: %+v", g)
				}
			}
		})
	}
}
