package convert_test

import (
	"errors"
	"flag"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/profgen/profgen/gen/convert"
	"github.com/profgen/profgen/gen/seccomp"
	"github.com/profgen/profgen/internal/abi"
)

var update = flag.Bool("update", false, "rewrite what the examples become")

// Each example is a profile in a format, and what it becomes in others, or why
// it becomes nothing there: NAME.FORMAT, then NAME.to.FORMAT.
func TestExamples(t *testing.T) {
	const doc = "testdata/examples.txtar"
	ar, err := txtar.ParseFile(doc)
	if err != nil {
		t.Fatal(err)
	}
	var file *seccomp.File
	for i, f := range ar.Files {
		name, form, _ := strings.Cut(f.Name, ".")
		to, isTo := strings.CutPrefix(form, "to.")
		if !isTo {
			detected, err := convert.Detect(f.Data)
			if err != nil || string(detected) != form {
				t.Errorf("%s: taken for %q, %v", f.Name, detected, err)
			}
			if file, err = convert.Read(f.Data, convert.Format(form), nil); err != nil {
				t.Fatalf("%s: %v", f.Name, err)
			}
			continue
		}
		got, err := convert.Write(file, convert.Format(to))
		if err != nil {
			got = []byte("error: " + err.Error() + "\n")
		}
		if diff := cmp.Diff(string(f.Data), string(got)); diff != "" && !*update {
			t.Errorf("%s to %s (-want +got; -update accepts it):\n%s", name, to, diff)
		}
		ar.Files[i].Data = got
	}
	if *update {
		if err := os.WriteFile(doc, txtar.Format(ar), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

// What is written means what was read, for every system call.
func TestWritingLosesNothing(t *testing.T) {
	rnd := rand.New(rand.NewPCG(12, 3))
	written := map[convert.Format]int{}
	for range 400 {
		file := seccomp.FileOf(anyProfile(rnd))
		for _, f := range convert.Formats() {
			text, err := convert.Write(file, f)
			var lossy *convert.Lossy
			if errors.As(err, &lossy) && len(lossy.Reasons) > 0 {
				continue
			}
			if err != nil {
				t.Fatalf("%s: %v", f, err)
			}
			written[f]++
			again, err := convert.Read(text, f, nil)
			if err != nil {
				t.Fatalf("%s: %v\n%s", f, err, text)
			}
			same(t, f, file, again, text)
		}
	}
	for _, f := range convert.Formats() {
		if written[f] < 5 {
			t.Errorf("%s: only %d profiles could be written", f, written[f])
		}
	}
}

func same(t *testing.T, f convert.Format, a, b *seccomp.File, text []byte) {
	t.Helper()
	for _, native := range []abi.Arch{abi.X8664, abi.AArch64} {
		before, err := a.Read(seccomp.Podman, seccomp.Host{Native: native})
		if err != nil {
			t.Fatal(err)
		}
		after, err := b.Read(seccomp.Podman, seccomp.Host{Native: native})
		if err != nil {
			t.Fatal(err)
		}
		if c := seccomp.Compare(before, after, native); c.Verdict() != seccomp.Same {
			t.Fatalf("%s on %s: %+v\n%+v\n%s", f, native, c, before, text)
		}
	}
}

func anyProfile(rnd *rand.Rand) *specs.LinuxSeccomp {
	errno := []uint{1, 38}[rnd.IntN(2)]
	s := &specs.LinuxSeccomp{DefaultAction: []specs.LinuxSeccompAction{specs.ActErrno, specs.ActKillProcess, specs.ActKill}[rnd.IntN(3)]}
	if s.DefaultAction == specs.ActErrno {
		s.DefaultErrnoRet = &errno
	}
	switch rnd.IntN(3) {
	case 0:
		s.Architectures = []specs.Arch{specs.ArchX86_64}
	case 1:
		s.Architectures = []specs.Arch{specs.ArchX86_64, specs.ArchX86}
	}
	for _, name := range []string{"read", "socket", "clone", "write", "openat"}[:1+rnd.IntN(5)] {
		r := specs.LinuxSyscall{Names: []string{name}, Action: specs.ActAllow}
		switch rnd.IntN(5) {
		case 0:
			r.Action, r.ErrnoRet = specs.ActErrno, &errno
		case 1:
			ops := []specs.LinuxSeccompOperator{specs.OpEqualTo, specs.OpNotEqual, specs.OpGreaterThan, specs.OpMaskedEqual}
			for i := range uint(1 + rnd.IntN(2)) {
				r.Args = append(r.Args, specs.LinuxSeccompArg{Index: i, Value: 7, ValueTwo: rnd.Uint64N(8), Op: ops[rnd.IntN(len(ops))]})
			}
		}
		s.Syscalls = append(s.Syscalls, r)
	}
	return s
}

// Whatever a file holds, it is read or refused; and what is read can be written
// as JSON.
func FuzzRead(f *testing.F) {
	ar, err := txtar.ParseFile("testdata/examples.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range ar.Files {
		f.Add(file.Data)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = convert.Detect(b)
		for _, form := range convert.Formats() {
			file, err := convert.Read(b, form, nil)
			if err != nil {
				if file != nil {
					t.Fatalf("%s: a file and an error: %v", form, err)
				}
				continue
			}
			for _, to := range convert.Formats() {
				text, err := convert.Write(file, to)
				var lossy *convert.Lossy
				if err != nil && !errors.As(err, &lossy) {
					t.Fatalf("%s to %s: %v", form, to, err)
				}
				if err == nil && len(text) == 0 {
					t.Fatalf("%s to %s: nothing", form, to)
				}
			}
		}
	})
}
