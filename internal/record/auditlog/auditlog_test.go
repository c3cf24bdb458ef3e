package auditlog_test

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/abi"
	"github.com/profgen/profgen/internal/record/auditlog"
)

var update = flag.Bool("update", false, "write the golden documents anew")

// Each document of testdata has a log, as a real system wrote it, and the
// evidence that comes of it.
func TestGolden(t *testing.T) {
	names, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatalf("no documents: %v", err)
	}
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) {
			doc, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			got := encode(t, read(t, string(doc.Files[0].Data), optionsOf(doc.Comment)).Set)
			if *update {
				doc.Files = []txtar.File{doc.Files[0], {Name: "evidence.jsonl", Data: got}}
				if err := os.WriteFile(name, txtar.Format(doc), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(doc.Files[1].Data), string(got)); diff != "" {
				t.Errorf("evidence (-want +got):\n%s", diff)
			}
		})
	}
}

// optionsOf reads options that a document says: a line "profile: NAME".
func optionsOf(comment []byte) auditlog.Options {
	opt := auditlog.Options{Native: abi.X8664}
	for line := range strings.Lines(string(comment)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch key {
		case "profile":
			opt.Profile = value
		case "comm":
			opt.Comms = append(opt.Comms, value)
		case "denied":
			opt.Denied = true
		}
	}
	return opt
}

func read(t testing.TB, log string, opt auditlog.Options) auditlog.Report {
	t.Helper()
	report, err := auditlog.Read(strings.NewReader(log), opt)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// encode also holds that evidence from a log is valid.
func encode(t testing.TB, set evidence.Set) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := evidence.Encode(&out, set); err != nil {
		t.Fatal(err)
	}
	if _, err := evidence.Decode(bytes.NewReader(out.Bytes())); err != nil {
		t.Fatalf("the evidence is not valid: %v", err)
	}
	return out.Bytes()
}

func TestNoLog(t *testing.T) {
	for _, text := range []string{"", "hello\nworld\n", "{\"evidence\":1}\n"} {
		if _, err := auditlog.Read(strings.NewReader(text), auditlog.Options{Native: abi.X8664}); !errors.Is(err, auditlog.ErrFormat) {
			t.Errorf("%q: %v, want ErrFormat", text, err)
		}
	}
}

const trueLine = `type=SECCOMP msg=audit(1795602657.500:130): auid=4294967295 uid=0 gid=0 ses=4294967295 pid=173 comm="true" exe="/usr/bin/true" sig=0 arch=c000003e syscall=12 compat=0 ip=0x7f code=0x7ffc0000` + "\n"

// Whatever a log lost, or cannot say, is a gap.
func TestWhatIsLost(t *testing.T) {
	long := strings.Repeat("x", 300<<10)
	for _, tc := range []struct {
		name, log string
		kind      evidence.GapKind
		want      string
		count     uint64
	}{
		{"suppressed", "[ 1.0] kauditd_printk_skb: 32 callbacks suppressed\n" + trueLine, evidence.Lost, "suppressed or lost", 32},
		{"backlog", trueLine + "[ 1.0] audit: backlog limit exceeded\n", evidence.Lost, "suppressed or lost", 1},
		{"audit_lost", trueLine + "[ 1.0] audit: audit_lost=1081 audit_rate_limit=0 audit_backlog_limit=64\n", evidence.Lost, "suppressed or lost", 1081},
		{"journal", trueLine + "Nov 25 10:00:00 host systemd-journald[231]: Missed 45 kernel messages\n", evidence.Lost, "suppressed or lost", 45},
		{"cut", trueLine + trueLine[:100], evidence.Unfinished, "cut off within a line", 0},
		{"too long", trueLine + long + "\n", evidence.Lost, "too long", 1},
		{"no beginning", trueLine, evidence.UnseenStart, "does not begin with the start", 0},
		{"unlogged", trueLine, evidence.Hidden, "allowed without logging", 0},
		{"unreadable", trueLine + strings.Replace(trueLine, "arch=c000003e", "arch=x86_64", 1), evidence.Lost, "could not be read", 1},
		{"unknown call", strings.Replace(trueLine, "syscall=12", "syscall=9999", 1), evidence.UnknownSyscall, "no table knows", 1},
		{"unknown machine", trueLine + strings.Replace(trueLine, "arch=c000003e", "arch=80000015", 1), evidence.Lost, "80000015", 1},
		{"refused", trueLine + strings.Replace(trueLine, "code=0x7ffc0000", "code=0x50000", 1), evidence.Refused, "brk was refused", 0},
		{"killed", strings.Replace(trueLine, "code=0x7ffc0000", "code=0x80000000", 1), evidence.Refused, "brk was refused", 0},
		{"no sockets", strings.Replace(trueLine, "syscall=12", "syscall=41", 1), evidence.UnseenSockets, "which sockets", 0},
		{"several profiles", apparmorLine("a") + apparmorLine("b"), evidence.Lost, "several AppArmor profiles", 0},
		{"half a call", "1 execve(\"/bin/true\", [\"true\"], 0x7) = 0\n1 <... read resumed>\"x\", 1) = 1\n1 +++ exited with 0 +++\n", evidence.Lost, "whose beginning", 1},
		{"no end", "1 execve(\"/bin/true\", [\"true\"], 0x7) = 0\n1 getpid() = 1\n", evidence.Unfinished, "before the first process does", 0},
		{"attached", "1 getpid() = 1\n1 +++ exited with 0 +++\n", evidence.UnseenStart, "does not begin", 0},
		{"noise", "1 getpid() = 1\nhello\n", evidence.Lost, "not strace's", 1},
		{"cut path", "1 unlink(\"/etc/x\"...) = 0\n", evidence.Lost, "cut short", 1},
		{"no folder", "1 unlink(\"x\") = 0\n", evidence.Lost, "relative to a folder", 1},
		{"odd socket", "1 socket(AF_NEW, SOCK_STREAM, 0) = 3\n", evidence.Lost, "kind that could not be read", 1},
		{"strace's own name", "1 syscall_0x3e7(0x1) = -1 ENOSYS (Function not implemented)\n", evidence.UnknownSyscall, "no table knows", 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			report := read(t, tc.log, auditlog.Options{Native: abi.X8664})
			encode(t, report.Set)
			if !slices.ContainsFunc(report.Set.Gaps, func(g evidence.Gap) bool {
				return g.Kind == tc.kind && strings.Contains(g.Detail, tc.want) && g.Count == tc.count
			}) {
				t.Errorf("gaps %v, want one of %s with %q, %d", report.Set.Gaps, tc.kind, tc.want, tc.count)
			}
		})
	}
}

func apparmorLine(profile string) string {
	return `type=AVC msg=audit(1.0:1): apparmor="ALLOWED" operation="open" profile="` + profile +
		`" name="/etc/hosts" pid=1 comm="cat" requested_mask="r" denied_mask="r" fsuid=0 ouid=0` + "\n"
}

// A log may be about others too.
func TestChoice(t *testing.T) {
	log := apparmorLine("a") + apparmorLine("b") + strings.Replace(apparmorLine("a//null-/bin/x"), "/etc/hosts", "/etc/passwd", 1) + trueLine
	report := read(t, log, auditlog.Options{Native: abi.X8664, Profile: "a", Comms: []string{"other"}})
	if report.Records != 2 || report.Others != 2 {
		t.Errorf("%d records of it and %d of others, want 2 and 2", report.Records, report.Others)
	}
}

// What was denied failed, unless it is to be taken for needed.
func TestDenied(t *testing.T) {
	log := strings.Replace(apparmorLine("a"), "ALLOWED", "DENIED", 1) + strings.Replace(trueLine, "0x7ffc0000", "0x50000", 1)
	brk, _ := abi.X8664.Number("brk")
	for _, denied := range []bool{false, true} {
		file := evidence.FileAccess{Path: "/etc/hosts", Perms: "r", Owner: true, Errno: "EACCES", Phase: evidence.Start, Basis: evidence.Observed}
		want := []evidence.Fact{file}
		if denied {
			file.Errno, file.Basis = "", evidence.Declared
			want = []evidence.Fact{
				evidence.Syscall{Arch: abi.X8664, Nr: brk, Name: "brk", Phase: evidence.Start, Basis: evidence.Declared}, file,
			}
		}
		got := read(t, log, auditlog.Options{Native: abi.X8664, Denied: denied}).Set.Facts
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("denied %t (-want +got):\n%s", denied, diff)
		}
	}
}

// An x32 call has the audit architecture of x86-64 and a bit in its number.
func TestABIs(t *testing.T) {
	for _, tc := range []struct {
		arch, nr string
		want     abi.Arch
		name     string
	}{
		{"c000003e", "39", abi.X8664, "getpid"},
		{"c000003e", "1073741863", abi.X32, "getpid"},
		{"40000003", "20", abi.X86, "getpid"},
		{"c00000b7", "172", abi.AArch64, "getpid"},
		{"40000028", "20", abi.ARM, "getpid"},
	} {
		log := strings.NewReplacer("c000003e", tc.arch, "syscall=12 ", "syscall="+tc.nr+" ").Replace(trueLine)
		got := read(t, log, auditlog.Options{Native: abi.X8664}).Set.Facts
		nr, _ := tc.want.Number(tc.name)
		want := []evidence.Fact{evidence.Syscall{Arch: tc.want, Nr: nr, Name: tc.name, Phase: evidence.Start, Basis: evidence.Observed}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s %s (-want +got):\n%s", tc.arch, tc.nr, diff)
		}
	}
}

func FuzzRead(f *testing.F) {
	names, _ := filepath.Glob("testdata/*.txtar")
	for _, name := range names {
		doc, err := txtar.ParseFile(name)
		if err != nil {
			f.Fatal(err)
		}
		// One line each: a whole log is too much to start from.
		for i, line := range bytes.SplitAfter(doc.Files[0].Data, []byte("\n")) {
			if i%7 == 0 {
				f.Add(line)
			}
		}
	}
	f.Add([]byte(trueLine))
	f.Add([]byte("1 vfork( <unfinished ...>\n2 execve(\"/a\", [\"a\"], 0x7) = 0\n1 <... vfork resumed>) = 2\n2 +++ exited with 0 +++\n"))
	f.Fuzz(func(t *testing.T, log []byte) {
		report, err := auditlog.Read(bytes.NewReader(log), auditlog.Options{Native: abi.X8664})
		if err != nil {
			return
		}
		encode(t, report.Set)
		again, _ := auditlog.Read(bytes.NewReader(log), auditlog.Options{Native: abi.X8664})
		if diff := cmp.Diff(report, again); diff != "" {
			t.Errorf("read twice:\n%s", diff)
		}
	})
}

// A file that is there need not be made: that the kernel asked is no denial.
func TestExists(t *testing.T) {
	const line = `type=1400 audit(1795618961.580:3): apparmor="DENIED" operation="mknod" profile="a" name="/var/log/error.log" pid=556 comm="nginx" requested_mask="c" denied_mask="c" fsuid=0 ouid=0` + "\n"
	for _, exists := range []bool{false, true} {
		set := read(t, line, auditlog.Options{
			Native: abi.X8664, Denied: true,
			Exists: func(p evidence.Path) bool { return exists && p == "/var/log/error.log" },
		}).Set
		if got := len(set.Facts); (got == 0) != exists {
			t.Errorf("exists %t: %d facts", exists, got)
		}
	}
}
