package recordtest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/record"
)

// Demo is testdata/demo, a program with one flag for each privilege, and what is
// to be recorded of each.
type Demo struct {
	prog   string
	golden string
}

// NewDemo compiles the program. root is the folder of the module.
func NewDemo(t testing.TB, root string) Demo {
	t.Helper()
	prog := filepath.Join(t.TempDir(), "demo")
	cmd := exec.Command("gcc", "-O1", "-Wall", "-Wextra", "-Werror", "-static", "-o", prog, filepath.Join(root, "testdata/demo/demo.c"))
	if msg, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("compile demo.c: %v\n%s", err, msg)
	}
	return Demo{prog, filepath.Join(root, "testdata/demo/facts.txtar")}
}

// NotHere is the exit status of the program if the machine does not have what
// was to be shown.
const NotHere = 77

// Check runs every flag of the program by run, which returns what was recorded
// of the command and its exit status, and compares what that is beyond what is
// recorded of the flag "nothing" with the table: nothing may be missing, and
// nothing more may be there. A recorder that cannot see everything says by sees
// which lines of the table it can. With update, the table is rewritten.
func (d Demo) Check(t *testing.T, update bool, run func(t *testing.T, argv ...string) (record.Snapshot, int), sees func(line string) bool) {
	t.Helper()
	table, err := txtar.ParseFile(d.golden)
	if err != nil {
		t.Fatal(err)
	}
	baseline := d.lines(t, "nothing", run)
	for i, row := range table.Files {
		t.Run(row.Name, func(t *testing.T) {
			all := d.lines(t, row.Name, run)
			got := slices.DeleteFunc(slices.Clone(all), func(l string) bool { return slices.Contains(baseline, l) })
			if update {
				table.Files[i].Data = []byte(strings.Join(append(got, ""), "\n"))
				return
			}
			var want []string
			for l := range strings.Lines(string(row.Data)) {
				if l = strings.TrimSuffix(l, "\n"); sees == nil || sees(l) {
					want = append(want, l)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("demo %s: (-want +got):\n%s", row.Name, diff)
			}
		})
	}
	if update {
		if err := os.WriteFile(d.golden, txtar.Format(table), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// lines runs one flag in a folder of its own and returns what was recorded.
func (d Demo) lines(t *testing.T, flag string, run func(t *testing.T, argv ...string) (record.Snapshot, int)) []string {
	t.Helper()
	dir := d.folder(t)
	s, code := run(t, filepath.Join(dir, "prog"), flag, dir)
	switch code {
	case 0:
	case NotHere:
		t.Skipf("demo %s: this machine does not have it", flag)
	default:
		t.Fatalf("demo %s: exit status %d", flag, code)
	}
	return Lines(s, dir)
}

// folder makes a folder as the program wants it.
func (d Demo) folder(t *testing.T) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	prog, err := os.ReadFile(d.prog)
	if err != nil {
		t.Fatal(err)
	}
	steps := []error{
		os.Chmod(dir, 0o755),
		os.WriteFile(in("prog"), prog, 0o755),
		os.WriteFile(in("data"), []byte("data"), 0o644),
		os.WriteFile(in("taken"), nil, 0o644),
		os.Chown(in("taken"), 1, 1),
		os.WriteFile(in("secret"), nil, 0o600),
		os.WriteFile(in("script"), []byte("#!"+in("prog")+" nothing\n"), 0o755),
		os.Symlink("data", in("link")),
		os.Mkdir(in("sub"), 0o755),
	}
	for _, err := range steps {
		if err != nil {
			t.Fatal(err)
		}
	}
	listen(t, "unix", in("socket"))
	listen(t, "unixgram", in("datagram"))
	return dir
}

func listen(t *testing.T, network, name string) {
	t.Helper()
	a := &net.UnixAddr{Name: name, Net: network}
	if network == "unix" {
		l, err := net.ListenUnix(network, a)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		return
	}
	l, err := net.ListenUnixgram(network, a)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
}

// Numbers that are others each time.
var (
	inodeNumber   = regexp.MustCompile(`/#[0-9]+ `)
	processNumber = regexp.MustCompile(`/proc/[0-9]+`)
)

// Lines returns facts and gaps as text, sorted, each once. dir stands as DIR:
// what is in there was there before or was created, on whatever mount it is.
func Lines(s record.Snapshot, dir string) []string {
	var out []string
	for _, f := range s.Facts {
		l := strings.ReplaceAll(line(f), dir, "DIR")
		out = append(out, processNumber.ReplaceAllString(inodeNumber.ReplaceAllString(l, "/#INODE "), "/proc/PID"))
	}
	for _, g := range s.Gaps {
		out = append(out, fmt.Sprintf("gap %s %s", g.Kind, g.Where))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func line(f evidence.Fact) string {
	switch f := f.(type) {
	case evidence.Syscall:
		var args []string
		for _, a := range f.Args {
			args = append(args, fmt.Sprintf("%d=%#x", a.Index, a.Value))
		}
		return strings.Join(append([]string{"syscall", string(f.Arch), f.Name}, args...), " ")
	case evidence.Capability:
		return words("capability", f.Cap, f.Syscall, when(!f.Granted, "refused"), when(f.Overridden, "overridden"), when(f.Nested, "nested"))
	case evidence.Socket:
		return fmt.Sprintf("socket %d %d %d", f.Family, f.Type, f.Protocol)
	case evidence.FileAccess:
		origin := when(f.Origin != evidence.FromImage && f.Origin != evidence.FromMount, string(f.Origin))
		return words("file", f.Path.String(), f.Perms, string(f.Kind), when(f.Owner, "owner"), origin, when(f.Target != "", "-> "+f.Target.String()), f.Errno)
	case evidence.Executed:
		return words("exec", f.Path.String(), when(f.By != "", "by "+f.By.String()))
	case evidence.Signal:
		return fmt.Sprintf("signal %d %s", f.Number, f.Peer)
	case evidence.Ptrace:
		return words("ptrace", f.Access, string(f.Peer))
	case evidence.Mount:
		return words(f.Op, f.FSType, when(f.Source != "", "of "+f.Source.String()), when(f.Target != "", "at "+f.Target.String()), strings.Join(f.Flags, ","))
	}
	return fmt.Sprintf("%+v", f)
}

func when(holds bool, word string) string {
	if holds {
		return word
	}
	return ""
}

func words(all ...string) string {
	return strings.Join(slices.DeleteFunc(all, func(s string) bool { return s == "" }), " ")
}
