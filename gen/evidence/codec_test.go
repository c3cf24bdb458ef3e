package evidence_test

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/abi"
)

func TestDecodeUndoesEncode(t *testing.T) {
	r := newRandom()
	for range rounds {
		s := r.set()
		got, err := evidence.Decode(bytes.NewReader(encode(t, s)))
		if want := s.Normalize(); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v, %v\nwant %+v", got, err, want)
		}
	}
}

// every has one line of each kind, with every field set.
func every() evidence.Set {
	s := evidence.Set{
		Subjects: []evidence.Subject{{
			Image: "web:1", Digest: "sha256:aa", ConfigDigest: "sha256:bb", Platform: "linux/amd64", Argv: []string{"/web", "-v"}, User: "1000",
		}},
		Sources: []evidence.Source{{
			Tool: "profgen record", Version: "1", Method: "ebpf tracepoints", Kernel: "6.1", Runtime: "runc 1.1.5", NoNewPrivileges: true,
		}},
		Facts: []evidence.Fact{
			evidence.Syscall{Arch: abi.X8664, Nr: 41, Name: "socket", Args: []evidence.Arg{{Index: 0, Value: 2}}, Phase: evidence.Start, Basis: evidence.Observed},
			evidence.Capability{Cap: "CAP_CHOWN", Arch: abi.X8664, Syscall: "chown", Granted: true, Overridden: true, Phase: evidence.Serve, Basis: evidence.Observed},
			evidence.Socket{Family: 2, Type: 1, Protocol: 6, Phase: evidence.Start, Basis: evidence.Observed},
			evidence.FileAccess{
				Path: "/srv/a\xff", Perms: "rl", Kind: evidence.Regular, Owner: true, Origin: evidence.FromItself, Target: "/srv/b", Errno: "EXDEV",
				Phase: evidence.Serve, Basis: evidence.Observed,
			},
			evidence.Executed{Path: "/usr/bin/web", By: "/bin/sh", Phase: evidence.Start, Basis: evidence.Observed},
			evidence.Signal{Number: 15, Peer: evidence.Within, Phase: evidence.Stop, Basis: evidence.Observed},
			evidence.Ptrace{Access: "read", Peer: evidence.Outside, Phase: evidence.Serve, Basis: evidence.Observed},
			evidence.Mount{Op: "mount", FSType: "tmpfs", Source: "/dev/sda", Target: "/mnt", Flags: []string{"nosuid", "ro"}, Phase: evidence.Start, Basis: evidence.Observed},
			evidence.Resource{Kind: evidence.Pids, Value: 12, Phase: evidence.Serve, Basis: evidence.Observed},
			evidence.Identity{UID: 999, GID: 998, Phase: evidence.Serve, Basis: evidence.Observed},
			evidence.Privileged{Path: "/usr/bin/ping", SetUID: true, SetGID: true, UID: 1, GID: 2, Permitted: []string{"CAP_NET_RAW"}, Effective: true},
		},
		Witnesses: []evidence.Witness{
			{
				Syscall: "socket", Arch: abi.X8664, Args: []evidence.Arg{{Index: 0, Value: 2}}, Basis: evidence.Reachable, Program: "usr/bin/web", Tier: evidence.Indirect,
				Path: []evidence.Step{{Object: "usr/bin/web", Function: "main", Offset: 0x1234}, {Object: "usr/lib/libc.so.6", Offset: 0x99}},
			},
			{Capability: evidence.AnyCapability, Arch: abi.X8664, Basis: evidence.Reachable, Reason: "USER 1000"},
		},
		Gaps: []evidence.Gap{
			{Kind: evidence.UnknownSyscall, Where: "x86_64 999", Detail: "no table has it", Count: 3},
			{Kind: evidence.UnresolvedDlopen, Where: "usr/bin/web+0x1", Detail: "a name that is computed: all of usr/lib/web was taken", Syscall: "openat", Covered: true},
		},
	}
	seen := s.Facts[:len(s.Facts)-1] // the last is no run's
	s.Runs = []evidence.Run{
		{ID: "sha256:" + strings.Repeat("1", 64), Nth: 1, Facts: seen},
		{ID: "sha256:" + strings.Repeat("2", 64), Nth: 3, Facts: seen[1:]},
	}
	return s
}

// A witness of any size fits on a line.
func TestLongestWitness(t *testing.T) {
	long := strings.Repeat(`"`, 5000)
	w := evidence.Witness{Capability: "CAP_CHOWN", Arch: abi.X8664, Basis: evidence.Reachable, Tier: evidence.Indirect, Program: long, Reason: long}
	for range 1000 {
		w.Path = append(w.Path, evidence.Step{Object: long, Function: long, Offset: ^uint64(0)})
	}
	w.Path[999].Function = "site"
	got, err := evidence.Decode(bytes.NewReader(encode(t, evidence.Set{Witnesses: []evidence.Witness{w}})))
	if err != nil {
		t.Fatal(err)
	}
	if path := got.Witnesses[0].Path; len(path) != 64 || path[63].Function != "site" {
		t.Errorf("%d steps, the last is %v", len(path), path[len(path)-1])
	}
}

func TestEveryKind(t *testing.T) {
	b := encode(t, every())
	got, err := evidence.Decode(bytes.NewReader(b))
	if err != nil || !reflect.DeepEqual(got, every()) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, every())
	}
	for _, kind := range []string{"evidence", "subject", "source", "run", "syscall", "capability", "socket", "file", "exec", "signal", "ptrace", "mount", "resource", "witness", "gap", "end"} {
		if !bytes.Contains(b, []byte("\n{\""+kind+"\":")) && !bytes.HasPrefix(b, []byte("{\""+kind+"\":")) {
			t.Errorf("no line of kind %s in %s", kind, b)
		}
	}
}

// However much is cut off, the rest is not taken for the whole.
func TestDecodeTruncated(t *testing.T) {
	b := encode(t, every())
	for n := range len(b) - 1 { // the last byte is a newline, which may be missing
		if s, err := evidence.Decode(bytes.NewReader(b[:n])); !errors.Is(err, evidence.ErrTruncated) || !reflect.DeepEqual(s, evidence.Set{}) {
			t.Fatalf("%d of %d bytes: got %v, want ErrTruncated", n, len(b), err)
		}
	}
	if _, err := evidence.Decode(bytes.NewReader(b[:len(b)-1])); err != nil {
		t.Errorf("without the last newline: %v", err)
	}
}

func TestDecodeRefuses(t *testing.T) {
	file := string(encode(t, every()))
	for _, c := range []struct{ old, new, want string }{
		{`"nr":41`, `"nr":42`, `system call 42 of "x86_64" is "connect", not "socket"`},
		{`"name":"socket"`, `"name":"bind"`, `is "socket", not "bind"`},
		{`"arch":"x86_64","nr"`, `"arch":"vax","nr"`, `of "vax" is ""`},
		{`"index":0`, `"index":6`, "at most 5"},
		{`[{"index":0,"value":2}]`, `[{"index":0,"value":2},{"index":0,"value":3}]`, "must rise"},
		{`"in":[0]`, `"in":[2]`, "of the 2 runs"},
		{`"in":[0]`, `"in":[0,0]`, "rising"},
		{`"in":[0]`, `"in":[-1]`, "rising"},
		{`"observed"},"in":[0]`, `"declared"},"in":[0]`, "only what was observed"},
		{`"configDigest":"sha256:bb"`, `"configDigest":"sha256:bb","in":[0]`, "written by a newer"},
		{`"user":"1000"}}`, `"user":"1000"},"in":[0]}`, "only facts"},
		{`"nth":3`, `"nth":0`, "from 1 on"},
		{`"id":"sha256:1`, `"id":"md5:1`, "want an id"},
		{`"phase":"start"`, `"phase":"lunch"`, `phase "lunch"`},
		{`"basis":"observed"`, `"basis":"guessed"`, `basis "guessed"`},
		{`CAP_CHOWN`, `chown`, `capability "chown"`},
		{`"syscall":"chown"`, `"syscall":"chwon"`, `no system call "chwon"`},
		{`"arch":"x86_64","syscall"`, `"arch":"vax","syscall"`, `architecture "vax"`},
		{`"kind":"unknown-syscall"`, `"kind":"shrug"`, `gap "shrug"`},
		{`"version":1`, `"version":2`, "reads format 1"},
		{`"family"`, `"flavour"`, "written by a newer profgen"},
		{`{"gap"`, `{"quota"`, "written by a newer profgen"},
		{`{"evidence":{"version":1}}` + "\n", "", "the first line"},
		{`{"lines":20}}`, `{"lines":6}}`, "counts 6 lines, there are 20"},
		{`{"witness":{"syscall":"socket",`, `{"witness":{`, "want a system call or a capability"},
		{`{"witness":{"syscall":"socket",`, `{"witness":{"syscall":"sokcet",`, `no system call "sokcet"`},
		{`{"witness":{"syscall":"socket",`, `{"witness":{"syscall":"socket","capability":"CAP_CHOWN",`, "not both"},
		{`"capability":"CAP_*","arch":"x86_64"`, `"capability":"CAP_*","arch":"vax"`, `architecture "vax"`},
		{`"CAP_*"`, `"CAP_?"`, `capability "CAP_?"`},
		{`"tier":"indirect"`, `"tier":"maybe"`, `tier "maybe"`},
		{`"args":[{"index":0,"value":2}],"basis"`, `"args":[{"index":7,"value":2}],"basis"`, "witness of socket: arguments"},
		{`"basis":"reachable","program"`, `"basis":"felt","program"`, `basis "felt"`},
		{`"syscall":"openat"`, `"syscall":"opanet"`, `no kernel has system call "opanet"`},
		{`"count":3`, `"covered":true`, "only those of static analysis"},
		{`{"lines":20}}`, `{"lines":20}}` + "\n{}", "text after the end line"},
		{`{"gap":`, `{"socket":{"family":1,"type":1,"phase":"start","basis":"observed"},"gap":`, "2 kinds on one line"},
		{`{"gap":`, "{}\n" + `{"gap":`, "0 kinds on one line"},
		{`{"gap":`, "{}{}\n" + `{"gap":`, "more than one value"},
		{`{"gap":`, "{\n" + `{"gap":`, "unexpected EOF"},
		{`"detail":"`, `"detail":"` + strings.Repeat("x", 64<<10), "too long"},
	} {
		s, err := evidence.Decode(strings.NewReader(strings.Replace(file, c.old, c.new, 1)))
		if err == nil || !strings.Contains(err.Error(), c.want) || !reflect.DeepEqual(s, evidence.Set{}) {
			t.Errorf("%s for %s: got %v, want %q", c.new[:min(len(c.new), 60)], c.old, err, c.want)
		}
	}
}

// FuzzDecode: what decodes encodes to a fixpoint.
func FuzzDecode(f *testing.F) {
	f.Add(encode(f, every()))
	f.Add(encode(f, evidence.Set{}))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := evidence.Decode(bytes.NewReader(b))
		if err != nil {
			if !reflect.DeepEqual(s, evidence.Set{}) {
				t.Fatalf("a set and an error: %v", err)
			}
			return
		}
		once := encode(t, s)
		again, err := evidence.Decode(bytes.NewReader(once))
		if err != nil {
			t.Fatalf("refused what it had accepted: %v\n%s", err, once)
		}
		if twice := encode(t, again); !bytes.Equal(once, twice) || !reflect.DeepEqual(s, again) {
			t.Fatalf("got %s, want %s", twice, once)
		}
	})
}
