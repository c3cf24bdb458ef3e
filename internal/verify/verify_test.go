package verify_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/abi"
	"github.com/profgen/profgen/internal/record"
	"github.com/profgen/profgen/internal/record/recordtest"
	"github.com/profgen/profgen/internal/scmp"
	"github.com/profgen/profgen/internal/verify"
)

func errno(n uint) *uint { return &n }

// profile allows read, and socket for one family; refuses mount; says that
// clone3 is not there.
var profile = &specs.LinuxSeccomp{
	DefaultAction: specs.ActErrno, DefaultErrnoRet: errno(38),
	Syscalls: []specs.LinuxSyscall{
		{Names: []string{"read"}, Action: specs.ActAllow},
		{Names: []string{"socket"}, Action: specs.ActAllow, Args: []specs.LinuxSeccompArg{{Index: 0, Value: 0xffffffff, ValueTwo: 1, Op: specs.OpMaskedEqual}}},
		{Names: []string{"mount"}, Action: specs.ActErrno, ErrnoRet: errno(1)},
		{Names: []string{"clone3"}, Action: specs.ActErrno, ErrnoRet: errno(38)},
	},
}

var started = evidence.Syscall{Arch: abi.X8664, Nr: 0, Name: "read", Phase: evidence.Start, Basis: evidence.Observed}

func refusal(name string) record.Refusal {
	nr, _ := abi.X8664.Number(name)
	return record.Refusal{Arch: abi.X8664, Nr: nr, Name: name, Phase: evidence.Start}
}

func trials(snap record.Snapshot, code int, check func(context.Context) error) verify.Trials {
	return verify.Trials{
		Runs: 2, Profile: profile, Recorder: &recordtest.Recorder{Script: []record.Snapshot{snap}},
		Trial: func() (record.Target, func(context.Context) error) {
			end := make(chan struct{})
			if check == nil {
				close(end)
			}
			return &recordtest.Target{Code: code, End: end}, check
		},
	}
}

func TestDenialsAndWhatIsUnavailableOnPurpose(t *testing.T) {
	snap := record.Snapshot{
		Facts:   []evidence.Fact{started},
		Refused: []record.Refusal{refusal("socket"), refusal("mount"), refusal("clone3"), refusal("statx"), refusal("mount")},
	}
	rep, err := trials(snap, 0, nil).Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// Nobody decided about statx: no rule names it.
	if rep.Runs != 2 || rep.Passed != 2 || !slices.Equal(named(rep.Denials), []string{"mount", "socket", "statx"}) || !slices.Equal(named(rep.Unavailable), []string{"clone3"}) {
		t.Errorf("report: %+v", rep)
	}
}

func named(all []verify.Denial) []string {
	var out []string
	for _, d := range all {
		out = append(out, d.Name)
	}
	return out
}

// A denial says how the call was made, and is evidence of what is needed. A
// capability is one if it was granted where the workload was recorded.
func TestDenialsSayHow(t *testing.T) {
	r := refusal("socket")
	r.Args, r.Filtered = [6]uint64{38, 5}, []evidence.Arg{{Index: 0, Value: 38}}
	r.Comm, r.Result, r.Site = "app", -1, "/usr/bin/app+0x10"
	check := evidence.Capability{Cap: "CAP_CHOWN", Arch: abi.X8664, Syscall: "fchown", Phase: evidence.Start, Basis: evidence.Observed}
	probe := check
	probe.Cap = "CAP_SYS_ADMIN"
	tr := trials(record.Snapshot{Facts: []evidence.Fact{started, check, probe}, Refused: []record.Refusal{r}}, 0, nil)
	tr.Missing = []string{"CAP_CHOWN"}
	rep, err := tr.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"socket(0x26, 0x5, 0x0, 0x0, 0x0, 0x0) (x86_64), answered EPERM, phase start, by app, at /usr/bin/app+0x10",
		"CAP_CHOWN in fchown (x86_64), phase start",
	}
	var got []string
	var facts []evidence.Fact
	for _, d := range rep.Denials {
		got = append(got, d.String())
		f, ok := d.Fact()
		if !ok {
			t.Errorf("%s is no evidence", d)
		}
		facts = append(facts, f)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("denials (-want +got):\n%s", diff)
	}
	granted := check
	granted.Granted = true
	nr, _ := abi.X8664.Number("socket")
	wantFacts := []evidence.Fact{
		evidence.Syscall{Arch: abi.X8664, Nr: nr, Name: "socket", Args: r.Filtered, Phase: evidence.Start, Basis: evidence.Observed}, granted,
	}
	if diff := cmp.Diff(wantFacts, facts); diff != "" {
		t.Errorf("facts (-want +got):\n%s", diff)
	}
}

func TestWhatFailsATrial(t *testing.T) {
	tests := []struct {
		name  string
		snap  record.Snapshot
		code  int
		check func(context.Context) error
		want  string
	}{
		{"exit code", record.Snapshot{Facts: []evidence.Fact{started}}, 5, nil, "run 1: the workload ended by itself with exit code 5"},
		{"never started", record.Snapshot{}, 1, nil, "run 1: the container did not start (exit code 1)"},
		{"check", record.Snapshot{Facts: []evidence.Fact{started}}, 143, func(context.Context) error { return errors.New("no page") }, "run 1: no page"},
		{"none", record.Snapshot{Facts: []evidence.Fact{started}}, 143, func(context.Context) error { return nil }, ""},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			rep, err := trials(tc.snap, tc.code, tc.check).Run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case tc.want == "" && (rep.Failure != nil || rep.Passed != 2):
				t.Errorf("passed %d, %v; want both", rep.Passed, rep.Failure)
			case tc.want != "" && (rep.Failure == nil || rep.Failure.Error() != tc.want || rep.Passed != 0):
				t.Errorf("passed %d, %v; want %s", rep.Passed, rep.Failure, tc.want)
			}
		})
	}
}

// Where the recorder lost something, no number of denials can be told.
func TestLossIsAnError(t *testing.T) {
	snap := record.Snapshot{
		Facts: []evidence.Fact{started},
		Gaps:  []evidence.Gap{{Kind: evidence.Lost, Detail: "tasks that could not be followed", Count: 1}},
	}
	_, err := trials(snap, 0, nil).Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "cannot tell what was refused: tasks that could not be followed") {
		t.Errorf("Run: %v", err)
	}
}

func TestCompile(t *testing.T) {
	filter, err := verify.Compile(profile, abi.X8664)
	if errors.Is(err, scmp.ErrUnavailable) {
		t.Skip("needs libseccomp: a build with cgo")
	}
	if err != nil || filter.Instructions < 10 || !strings.HasPrefix(filter.Compiler, "libseccomp 2.") {
		t.Errorf("Compile: %v, %v", filter, err)
	}
	bad := &specs.LinuxSeccomp{DefaultAction: "SCMP_ACT_NOTHING"}
	if _, err := verify.Compile(bad, abi.X8664); err == nil {
		t.Error("a profile with an action that does not exist compiled")
	}
}
