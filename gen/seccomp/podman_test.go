//go:build seccomp && cgo && linux

package seccomp_test

import (
	"math/rand/v2"
	"reflect"
	"testing"

	common "github.com/containers/common/pkg/seccomp"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/profgen/profgen/gen/seccomp"
	"github.com/profgen/profgen/profiles"
)

func TestPodmanAccepts(t *testing.T) {
	want, err := seccomp.Spec(web())
	if err != nil {
		t.Fatal(err)
	}
	file, err := seccomp.Render(web())
	if err != nil {
		t.Fatal(err)
	}
	if err := common.ValidateProfile(string(file)); err != nil {
		t.Error(err)
	}
	got, err := common.LoadProfileFromBytes(file, &specs.Spec{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range got.Syscalls {
		if len(got.Syscalls[i].Args) == 0 {
			got.Syscalls[i].Args = nil
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

// Podman's own code is the oracle of what Podman makes of a file.
func TestReadAsPodmanDoes(t *testing.T) {
	rnd := rand.New(rand.NewPCG(9, 9))
	for i := range 300 {
		text := dialectText(t, rnd, i)
		caps := someOf(rnd, profiles.DockerCapabilities())
		want, wantErr := common.LoadProfileFromBytes(text, asSpec(caps))
		file, err := seccomp.ParseFile(text)
		if err != nil {
			if wantErr == nil && want != nil {
				t.Fatalf("refused what Podman takes: %v\n%s", err, text)
			}
			continue
		}
		got, err := file.Read(seccomp.Podman, here(caps...))
		if err != nil || wantErr != nil {
			t.Fatalf("%v, Podman: %v\n%s", err, wantErr, text)
		}
		if !reflect.DeepEqual(flat(got), flat(want)) {
			t.Fatalf("got %+v\nPodman %+v\n%s", got, want, text)
		}
	}
}
