package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/abi"
	"github.com/profgen/profgen/internal/host"
	"github.com/profgen/profgen/internal/image"
	"github.com/profgen/profgen/internal/record"
	"github.com/profgen/profgen/internal/record/ebpf"
	"github.com/profgen/profgen/internal/record/usernotif"
	"github.com/profgen/profgen/internal/sandbox"
)

// What is recorded of a real server, from its start to its end, is what strace
// sees of the same run: the same system calls, with the same arguments, and the
// same files.
func TestRecordingEqualsStrace(t *testing.T) {
	layout := testImages(t)
	for _, s := range append(servers, postgres) {
		t.Run(s.name, func(t *testing.T) {
			img, err := image.Open(t.Context(), layout+":"+s.name, image.Platform{})
			if err != nil {
				t.Fatal(err)
			}
			defer img.Close()
			for _, name := range []string{recorderEBPF, recorderUserNotif} {
				t.Run(name, func(t *testing.T) {
					endBystander := startBystander(t) // whose calls are no part of it
					set, log := s.recordAndTrace(t, img, name)
					endBystander()
					facts, err := host.Read()
					if err != nil {
						t.Fatal(err)
					}
					lines := linesOf(log, img.Config().Command()[0])
					recorded, traced := recordedCalls(t, set), tracedCalls(lines, facts.Arch)
					if len(traced) < 20 {
						t.Fatalf("strace saw only %d calls: %v", len(traced), traced)
					}
					if name == recorderUserNotif { // which is not asked about it, and every profile has it
						traced = slices.DeleteFunc(traced, func(call string) bool { return call == "rt_sigreturn" })
					}
					if diff := cmp.Diff(traced, recorded); diff != "" {
						t.Errorf("calls of the workload, each with the arguments listed (-strace +recorded):\n%s", diff)
					}
					if name == recorderEBPF {
						compareFiles(t, set, lines)
					}
				})
			}
		})
	}
}

// recorderCalled returns a recorder by its name, which ends with the test, and the
// listener it wants for what it records.
func recorderCalled(t *testing.T, name string) (record.Recorder, string) {
	t.Helper()
	if name == recorderUserNotif {
		rec, err := usernotif.New()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { rec.Close() })
		return rec, rec.Listener()
	}
	rec, err := ebpf.New(ebpf.Options{Files: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { rec.Close() })
	return rec, ""
}

// recordAndTrace runs the server once, recorded and under strace, and returns
// what was recorded, and strace's log.
func (s server) recordAndTrace(t *testing.T, img *image.Image, recorder string) (set evidence.Set, log string) {
	t.Helper()
	facts, err := host.Read()
	if err != nil {
		t.Fatal(err)
	}
	rec, listener := recorderCalled(t, recorder)
	rt, err := sandbox.FindRuntime(t.Context(), "runc")
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "strace")
	ct := &sandbox.Container{
		Image: img, Runtime: underStrace(t, rt, name, facts.Arch), Stdio: sandbox.Talk(),
		Confinement: openConfinement(facts.Arch, false, nil), Listener: listener,
	}
	res, err := record.Run{
		Recorder: rec, Target: ct, Start: record.AtFilter, Save: func(evidence.Set) error { return nil },
		Check: record.Until(func(ctx context.Context) ([]byte, error) {
			return ct.Shell(ctx, s.checkAt("127.0.0.1", s.port))
		}, 2*time.Minute),
	}.Do(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return res.Evidence, string(raw)
}

// recordedCalls are the calls of the workload itself: each as "name", or as "name
// values" of the arguments that recordings have.
func recordedCalls(t *testing.T, set evidence.Set) []string {
	t.Helper()
	out := map[string]bool{}
	for _, f := range set.Facts {
		f, ok := f.(evidence.Syscall)
		if !ok || f.Phase == evidence.Runtime {
			continue
		}
		words := []string{f.Name}
		for _, a := range f.Args {
			words = append(words, fmt.Sprintf("%#x", a.Value))
		}
		out[strings.Join(words, " ")] = true
	}
	for _, g := range set.Incomplete() {
		t.Errorf("the recording is incomplete: %s", g)
	}
	return slices.Sorted(maps.Keys(out))
}

// underStrace returns a runtime that is rt run under strace -f, except for
// commands other than run. Arguments that recordings have are logged as numbers.
func underStrace(t *testing.T, rt sandbox.Runtime, log string, arch abi.Arch) sandbox.Runtime {
	t.Helper()
	var raw []string
	for _, name := range arch.Names() {
		if arch.Arguments(name) != nil && name != "clone" { // whose child strace would not name
			raw = append(raw, name)
		}
	}
	script := fmt.Sprintf("#!/bin/sh\ncase \"$*\" in *' run '*) exec strace -f -qq -y -X raw -e raw=%s --pidns-translation -o %s %s \"$@\";; esac\nexec %s \"$@\"\n",
		strings.Join(raw, ","), log, rt.Path, rt.Path)
	rt.Path = filepath.Join(t.TempDir(), "runc")
	if err := os.WriteFile(rt.Path, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return rt
}

var (
	straceCall  = regexp.MustCompile(`^(\d+) +(\w+)\(([^)<]*)`)
	straceFlags = regexp.MustCompile(`\bflags=(\w+)`)
	straceChild = regexp.MustCompile(`^(\d+) .*\b(?:clone|clone3|fork|vfork)(?:\(| resumed).*= \d+ /\* (\d+) in strace's PID NS \*/$`)
	straceDone  = regexp.MustCompile(`^(\d+) .*\bexecve(?:\(| resumed).*= 0$`)
)

// linesOf picks from strace's log the lines of the process that execs program,
// from then on, and of all that descends from it.
func linesOf(log, program string) []string {
	exec := regexp.MustCompile(`^\d+ +execve\("(?:[^"]*/)?` + regexp.QuoteMeta(filepath.Base(program)) + `"`)
	counted := map[string]bool{}
	var lines []string
	execs := false // the exec has begun; it may end on a line of its own
	for line := range strings.SplitSeq(log, "\n") {
		if pid, _, _ := strings.Cut(line, " "); counted[pid] {
			lines = append(lines, line)
		}
		if m := straceChild.FindStringSubmatch(line); m != nil && counted[m[1]] {
			counted[m[2]] = true
		}
		execs = execs || exec.MatchString(line)
		if m := straceDone.FindStringSubmatch(line); m != nil && execs && len(counted) == 0 {
			counted[m[1]] = true
		}
	}
	return lines
}

// tracedCalls are the calls of lines of strace as recordedCalls has them.
func tracedCalls(lines []string, arch abi.Arch) []string {
	calls := map[string]bool{}
	for _, line := range lines {
		if m := straceCall.FindStringSubmatch(line); m != nil {
			calls[tracedCall(m[2], m[3], arch)] = true
		}
	}
	return slices.Sorted(maps.Keys(calls))
}

var (
	straceOpened = regexp.MustCompile(`^\d+ .*\b(?:open|openat|openat2|creat)(?:\(| resumed).* = \d+<(/[^>]*)>(?:\(deleted\))?$`)
	straceHuge   = regexp.MustCompile(`\bmmap\([^,]+, [^,]+, \w+, 0x[4-7c-f]\w{4}, `) // MAP_HUGETLB is 0x40000
	ownFolder    = regexp.MustCompile(`^/proc/[0-9]+(/|$)`)
)

// compareFiles wants all files that strace saw to be opened, by the names that the
// kernel has for them, and none that it did not see: what is not opened is at least
// named, but for what is mapped in an exec.
func compareFiles(t *testing.T, set evidence.Set, lines []string) {
	t.Helper()
	recorded, opened := map[string]bool{}, map[string]bool{}
	log := strings.Join(lines, "\n")
	for _, line := range lines {
		if m := straceOpened.FindStringSubmatch(line); m != nil && !strings.Contains(line, "O_PATH") {
			opened[ownFolder.ReplaceAllString(m[1], "/proc/self$1")] = true
		}
	}
	for _, f := range set.Facts {
		f, ok := f.(evidence.FileAccess)
		if !ok || f.Phase == evidence.Runtime {
			continue
		}
		recorded[string(f.Path)] = true
		base := filepath.Base(string(f.Path))
		named := f.Path == "/anon_hugepage" && straceHuge.MatchString(log) || opened[string(f.Path)] || strings.Contains(log, base+`"`) || strings.Contains(log, base+">")
		if !named && !strings.ContainsAny(f.Perms, "xm") {
			t.Errorf("recorded: %s %s; strace saw nothing of the kind", f.Perms, f.Path)
		}
	}
	if len(opened) < 3 {
		t.Fatalf("strace saw only %d files: %v", len(opened), opened)
	}
	for path := range opened {
		if !recorded[path] {
			t.Errorf("strace saw %s opened, and it was not recorded", path)
		}
	}
}

// tracedCall is a line of strace as recordedCalls has it.
func tracedCall(name, args string, arch abi.Arch) string {
	all := strings.Split(strings.TrimRight(args, " "), ", ") // what was interrupted ends in a blank
	words := []string{name}
	listed := arch.Arguments(name)
	if flags := straceFlags.FindStringSubmatch(args); flags != nil && (name == "clone" || name == "clone3") {
		all, listed = []string{flags[1]}, append(arch.Arguments(name), abi.Argument{Mask: ^uint64(0)})[:1]
	}
	for _, a := range listed {
		v := "missing"
		if int(a.Index) < len(all) {
			v = all[a.Index]
		}
		n, err := strconv.ParseUint(v, 0, 64)
		if err != nil {
			words = append(words, v)
			continue
		}
		words = append(words, fmt.Sprintf("%#x", n&a.Mask))
	}
	return strings.Join(words, " ")
}
