package abi_test

import (
	"compress/gzip"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/profgen/profgen/internal/abi"
)

func TestNeedsAreSound(t *testing.T) {
	rows := abi.AllNeeds()
	if len(rows) < 300 {
		t.Errorf("only %d rows", len(rows))
	}
	known := map[string]bool{}
	for _, arch := range []abi.Arch{abi.X8664, abi.AArch64, abi.X86} {
		for _, name := range arch.Names() {
			known[name] = true
		}
	}
	for i, n := range rows {
		if !known[n.Syscall] {
			t.Errorf("%s: no such system call", describe(n))
		}
		for _, c := range []string{n.Cap, n.Or} {
			if _, ok := abi.CapabilityNumber(c); !ok && c != "" || n.Cap == "" || n.Or == n.Cap {
				t.Errorf("%s: capability %q, or %q", describe(n), n.Cap, n.Or)
			}
		}
		if (n.When == abi.Always) != (n.If == "") {
			t.Errorf("%s: %s, if %q", describe(n), n.When, n.If)
		}
		for _, m := range n.Args {
			checkArg(t, n, m)
		}
		if i > 0 && (rows[i-1].Syscall > n.Syscall || rows[i-1].Syscall == n.Syscall && rows[i-1].Cap > n.Cap) {
			t.Errorf("%s comes after %s", describe(n), describe(rows[i-1]))
		}
		if i > 0 && describe(rows[i-1]) == describe(n) && rows[i-1].If == n.If {
			t.Errorf("%s is there twice", describe(n))
		}
	}
}

// checkArg refuses predicates that hold always or never.
func checkArg(t *testing.T, n abi.Need, m abi.ArgMatch) {
	t.Helper()
	if m.Index > 5 || m.Mask == 0 || m.Op > abi.AnyBit || (m.Op == abi.AnyBit) != (len(m.Values) == 0) {
		t.Errorf("%s: predicate %+v", describe(n), m)
	}
	for i, v := range m.Values {
		if v&^m.Mask != 0 || slices.Contains(m.Values[:i], v) {
			t.Errorf("%s: value %#x is outside the mask %#x, or there twice", describe(n), v, m.Mask)
		}
	}
}

// Every capability that some call can need has a row.
func TestNeedsCoverCapabilities(t *testing.T) {
	rows := abi.AllNeeds()
	for _, c := range abi.Capabilities() {
		has := slices.ContainsFunc(rows, func(n abi.Need) bool { return n.Cap == c })
		if want := c != "CAP_MAC_OVERRIDE"; has != want {
			t.Errorf("%s: rows %t, want %t", c, has, want)
		}
	}
}

var capName = regexp.MustCompile(`CAP_[A-Z_]+`)

// The manual page that a row cites names the row's capability.
func TestNeedsCitePages(t *testing.T) {
	if _, err := os.Stat("/usr/share/man/man7/capabilities.7.gz"); err != nil {
		t.Skip("no manual pages: install manpages and manpages-dev")
	}
	pages := map[string][]string{}
	for _, n := range abi.AllNeeds() {
		if _, ok := pages[n.Source]; !ok {
			pages[n.Source] = capName.FindAllString(readPage(t, n.Source), -1)
		}
		if !slices.Contains(pages[n.Source], n.Cap) {
			t.Errorf("%s: %s does not name it", describe(n), n.Source)
		}
	}
}

// readPage returns the source of a page such as chown(2).
func readPage(t *testing.T, page string) string {
	t.Helper()
	name, section, _ := strings.Cut(strings.TrimSuffix(page, ")"), "(")
	f, err := os.Open(fmt.Sprintf("/usr/share/man/man%s/%s.%s.gz", section, name, section))
	if err != nil {
		t.Error(err)
		return ""
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestNeedsOfVariants(t *testing.T) {
	for _, c := range []struct {
		syscall, capability string
		want                int
	}{
		{"setuid32", "CAP_SETUID", 1}, {"chown32", "CAP_CHOWN", 1}, {"umount", "CAP_SYS_ADMIN", 1},
		{"socketcall", "CAP_NET_BIND_SERVICE", 1}, {"ipc", "CAP_IPC_OWNER", 1},
		{"getpid", "", 0}, {"", "", 0}, {"zzz", "", 0}, {"aaa", "", 0},
	} {
		rows := abi.Needs(c.syscall)
		got := 0
		for _, n := range rows {
			if n.Syscall != c.syscall {
				t.Errorf("%s: row of %s", c.syscall, n.Syscall)
			}
			if n.Cap == c.capability {
				got++
			}
		}
		if got != c.want || c.want == 0 && len(rows) != 0 {
			t.Errorf("%s: %d rows for %q of %d, want %d", c.syscall, got, c.capability, len(rows), c.want)
		}
	}
	// Every name of a 32-bit ABI has the rows of its 64-bit twin, if it has one.
	for _, arch := range []abi.Arch{abi.X86, abi.ARM} {
		for _, name := range arch.Names() {
			for _, suffix := range []string{"32", "64", "_time64"} {
				twin := strings.TrimSuffix(name, suffix)
				if _, ok := abi.X8664.Number(twin); ok && len(abi.Needs(name)) != len(abi.Needs(twin)) {
					t.Errorf("%s has %d rows, %s has %d", name, len(abi.Needs(name)), twin, len(abi.Needs(twin)))
				}
			}
		}
	}
}

// Callers may do as they like with what they are given.
func TestNeedsAreCopies(t *testing.T) {
	rows := abi.Needs("socket")
	rows[0].Args[0].Values[0], rows[0].Cap = 99, "CAP_BOGUS"
	if again := abi.Needs("socket"); again[0].Cap == "CAP_BOGUS" || again[0].Args[0].Values[0] == 99 {
		t.Errorf("the table became %+v", again[0])
	}
}

func TestMayNeed(t *testing.T) {
	const u32 = 0xffffffff00000000
	for _, c := range []struct {
		name, syscall string
		args          abi.Args
		want          string
	}{
		{"a TCP socket", "socket", abi.Args{0: {2, 10}, 1: {1}, 2: {0}}, ""},
		{"a raw socket, non-blocking", "socket", abi.Args{0: {2}, 1: {3 | 0x80800}, 2: {1}}, "CAP_NET_RAW"},
		{"a raw or stream socket", "socket", abi.Args{0: {2}, 1: {1, 3}, 2: {0}}, "CAP_NET_RAW"},
		{"routes", "socket", abi.Args{0: {16}, 1: {3}, 2: {0}}, "CAP_NET_ADMIN"},
		{"audit", "socket", abi.Args{0: {16}, 1: {3}, 2: {9}}, "CAP_AUDIT_CONTROL CAP_AUDIT_READ CAP_AUDIT_WRITE"},
		{"an unknown family, stream", "socket", abi.Args{1: {1}, 2: {0}}, "CAP_NET_ADMIN CAP_NET_RAW"},
		{"garbage in the upper half", "socket", abi.Args{0: {u32 | 2}, 1: {u32 | 3}}, "CAP_NET_RAW"},
		{"nginx's prctl", "prctl", abi.Args{0: {4, 8}}, ""},
		{"a new user namespace", "unshare", abi.Args{0: {0x10020000}}, ""},
		{"a thread", "clone", abi.Args{0: {0x3d0f00}}, "CAP_SYS_RESOURCE"},
		{"a container", "clone", abi.Args{0: {0x6c020011}}, "CAP_SYS_ADMIN CAP_SYS_RESOURCE"},
		{"one or the other", "unshare", abi.Args{0: {0x10020000, 0x400}}, ""},
		{"reading", "openat", abi.Args{2: {0, 0x80000}}, "CAP_CHECKPOINT_RESTORE CAP_DAC_READ_SEARCH CAP_NET_ADMIN CAP_SYSLOG CAP_SYS_PTRACE CAP_SYS_RAWIO"},
		{"nothing known", "chroot", nil, "CAP_DAC_READ_SEARCH CAP_SYS_CHROOT"},
		{"TIOCSTI, sign-extended", "ioctl", abi.Args{1: {u32 | 0x5412}}, "CAP_SYS_ADMIN"},
		{"terminal size", "ioctl", abi.Args{1: {0x5413}}, ""},
	} {
		var got []string
		for _, n := range abi.MayNeed(c.syscall, c.args) {
			got = append(got, n.Cap)
		}
		if got := strings.Join(slices.Compact(got), " "); got != c.want {
			t.Errorf("%s: %s%v: got %q, want %q", c.name, c.syscall, c.args, got, c.want)
		}
	}
}

// Where a row says always, no row beside it may be meant.
func TestAlwaysNeeded(t *testing.T) {
	for _, c := range []struct {
		name, syscall string
		args          abi.Args
		want          string
	}{
		{"the log's size", "syslog", abi.Args{0: {3, 10}}, ""},
		{"reading the log", "syslog", abi.Args{0: {2}}, "CAP_SYSLOG"},
		{"a named pipe", "mknod", abi.Args{1: {0o10644}, 2: {0}}, ""},
		{"a whiteout", "mknod", abi.Args{1: {0o20000}, 2: {0}}, ""},
		{"/dev/null", "mknod", abi.Args{1: {0o20666}, 2: {0x103}}, "CAP_MKNOD"},
		{"a disk, with garbage above a mode", "mknodat", abi.Args{2: {0xf0006180}, 3: {0x800}}, "CAP_MKNOD"},
		{"whatever a descriptor is of", "setns", abi.Args{1: {0}}, ""},
		{"a network namespace", "setns", abi.Args{1: {0x40000000}}, "CAP_SYS_ADMIN"},
		{"a mount namespace", "setns", abi.Args{1: {0x20000}}, "CAP_SYS_ADMIN CAP_SYS_CHROOT"},
		{"a user namespace and others", "setns", abi.Args{1: {0x10020000}}, ""},
		{"events with file handles", "fanotify_init", abi.Args{0: {0x200}}, ""},
		{"permission events with file handles", "fanotify_init", abi.Args{0: {0x204}}, "CAP_SYS_ADMIN"},
		{"events with descriptors", "fanotify_init", abi.Args{0: {0}}, "CAP_SYS_ADMIN"},
		{"best effort", "ioprio_set", abi.Args{2: {2 << 13}}, ""},
		{"real time", "ioprio_set", abi.Args{2: {1<<13 | 4}}, "CAP_SYS_NICE"},
		{"bpf of its own", "bpf", abi.Args{0: {0, 5}}, ""},
		{"bpf of everyone", "bpf", abi.Args{0: {11}}, "CAP_SYS_ADMIN"},
		{"group IDs", "setgroups", nil, "CAP_SETGID"},
	} {
		var got []string
		for _, n := range abi.Needs(c.syscall) {
			if n.When == abi.Always && n.Matches(c.args) == abi.Yes {
				got = append(got, n.Cap)
			}
		}
		if got := strings.Join(slices.Compact(got), " "); got != c.want {
			t.Errorf("%s: %s%v: got %q, want %q", c.name, c.syscall, c.args, got, c.want)
		}
	}
}

// Knowing less never answers otherwise, only less surely; and the answer for a
// set is the join of the answers for its members.
func TestMatchingLaws(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	seen := map[abi.Answer]int{}
	for _, n := range abi.AllNeeds() {
		if got := n.Matches(nil); (got == abi.Yes) != (len(n.Args) == 0) || got == abi.No {
			t.Errorf("%s: nothing known: %d", describe(n), got)
		}
		for range 50 {
			args := randomArgs(random, n)
			got := n.Matches(args)
			seen[got]++
			if want := matchesOneByOne(n, args); got != want {
				t.Fatalf("%s %v: got %d, by each combination %d", describe(n), args, got, want)
			}
			for i := range args {
				less := abi.Args{}
				for j, v := range args {
					if j != i {
						less[j] = v
					}
				}
				if unsure := n.Matches(less); unsure != got && unsure != abi.Maybe {
					t.Fatalf("%s: %v gives %d, %v gives %d", describe(n), args, got, less, unsure)
				}
				less[i] = append(slices.Clone(args[i]), random.Uint64())
				if unsure := n.Matches(less); unsure != got && unsure != abi.Maybe {
					t.Fatalf("%s: %v gives %d, %v gives %d", describe(n), args, got, less, unsure)
				}
				less[i] = []uint64{}
				if n.Matches(less) == abi.Yes && got != abi.Yes || n.Matches(less) == abi.No && got != abi.No {
					t.Fatalf("%s: no values for %d are not unknown ones", describe(n), i)
				}
			}
		}
	}
	if seen[abi.No] < 1000 || seen[abi.Maybe] < 1000 || seen[abi.Yes] < 1000 {
		t.Errorf("answers were %v: the arguments tried prove little", seen)
	}
}

// randomArgs gives each argument that the row reads one to three values, near
// to what the row looks for.
func randomArgs(random *rand.Rand, n abi.Need) abi.Args {
	args := abi.Args{}
	for _, m := range n.Args {
		values := make([]uint64, 1+random.IntN(3))
		for i := range values {
			switch {
			case random.IntN(4) == 0:
				values[i] = random.Uint64()
			case len(m.Values) > 0:
				values[i] = m.Values[random.IntN(len(m.Values))] | random.Uint64()&^m.Mask
			default:
				values[i] = random.Uint64() & m.Mask
			}
		}
		args[m.Index] = values
	}
	return args
}

// matchesOneByOne is what Matches promises, spelled out.
func matchesOneByOne(n abi.Need, args abi.Args) abi.Answer {
	holding, all := 0, 1
	indexes := []uint8{}
	for i := range uint8(6) {
		if len(args[i]) > 0 {
			indexes = append(indexes, i)
			all *= len(args[i])
		}
	}
	for combination := range all {
		one := map[uint8]uint64{}
		for _, i := range indexes {
			one[i] = args[i][combination%len(args[i])]
			combination /= len(args[i])
		}
		if !slices.ContainsFunc(n.Args, func(m abi.ArgMatch) bool { return !m.Holds(one[m.Index]) }) {
			holding++
		}
	}
	switch holding {
	case 0:
		return abi.No
	case all:
		return abi.Yes
	}
	return abi.Maybe
}

// describe names a row: system call, predicates, capability.
func describe(n abi.Need) string {
	var b strings.Builder
	b.WriteString(n.Syscall + "(")
	for i, m := range n.Args {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%d&%#x %s", m.Index, m.Mask, [...]string{"in", "not in", "any"}[m.Op])
		for _, v := range m.Values {
			fmt.Fprintf(&b, " %#x", v)
		}
	}
	return b.String() + ") " + n.Cap + " " + n.When.String()
}
