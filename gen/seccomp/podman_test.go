//go:build seccomp && cgo && linux

package seccomp_test

import (
	"reflect"
	"testing"

	common "github.com/containers/common/pkg/seccomp"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/profgen/profgen/gen/seccomp"
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
