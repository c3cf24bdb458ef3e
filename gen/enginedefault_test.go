package gen_test

import (
	"encoding/json"
	"slices"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/gen/policy"
	"github.com/profgen/profgen/internal/abi"
	"github.com/profgen/profgen/profiles"
)

// What takes the place of arguments that could not be derived is what Docker's
// default profile allows: for every family of sockets, every single flag of
// clone and every persona of interest.
func TestUnderivedArgumentsGetDockersDefault(t *testing.T) {
	names := []string{"socket", "clone", "personality"}
	var set evidence.Set
	for _, name := range append(names, "read") {
		nr, _ := abi.X8664.Number(name)
		set.Facts = append(set.Facts, evidence.Syscall{Arch: abi.X8664, Nr: nr, Name: name, Phase: evidence.Start, Basis: evidence.Reachable})
	}
	ours := filter(t, set, policy.Options{})
	docker := dockerRules(t, names)
	values := []uint64{0x20008, 0xffffffff}
	for i := range uint64(64) {
		values = append(values, i)
	}
	for i := range 32 {
		values = append(values, 1<<i)
	}
	for i, name := range names {
		for _, v := range values {
			call := set.Facts[i].(evidence.Syscall)
			call.Args = []evidence.Arg{{Index: 0, Value: v}}
			if got, want := answer(ours, call) == specs.ActAllow, docker(name, v); got != want {
				t.Errorf("%s(%#x): allowed %t, by docker-default %t", name, v, got, want)
			}
		}
	}
}

// dockerRules returns what docker-default says of the first argument of calls,
// to a container on x86-64 without CAP_SYS_ADMIN.
func dockerRules(t *testing.T, names []string) func(string, uint64) bool {
	t.Helper()
	text, _ := profiles.DockerDefault()
	var profile struct {
		Syscalls []struct {
			specs.LinuxSyscall
			Includes map[string]any
		}
	}
	if err := json.Unmarshal(text, &profile); err != nil {
		t.Fatal(err)
	}
	return func(name string, v uint64) bool {
		for _, r := range profile.Syscalls {
			if r.Action != specs.ActAllow || len(r.Includes) > 0 || !slices.Contains(r.Names, name) || !slices.Contains(names, name) {
				continue
			}
			for _, a := range r.Args {
				holds := map[specs.LinuxSeccompOperator]bool{
					specs.OpEqualTo: v == a.Value, specs.OpLessThan: v < a.Value, specs.OpMaskedEqual: v&a.Value == a.ValueTwo,
				}[a.Op]
				if holds && a.Index == 0 {
					return true
				}
			}
		}
		return false
	}
}
