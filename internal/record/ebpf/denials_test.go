//go:build linux && (amd64 || arm64)

package ebpf

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/profgen/profgen/internal/record"
)

// Where a process is, is told by the object that it has mapped there.
func TestSiteOf(t *testing.T) {
	pid, here := uint32(os.Getpid()), uint64(reflect.ValueOf(TestSiteOf).Pointer())
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if got := siteOf(pid, here); !strings.HasPrefix(got, exe+"+0x") {
		t.Errorf("got %q, want a place in %s", got, exe)
	}
	if got := siteOf(pid, 1); got != "" {
		t.Errorf("nowhere: got %q", got)
	}
	if got := processOf(pid); got != exe {
		t.Errorf("process: got %q, want %s", got, exe)
	}
	if got := siteOf(1<<31-1, here) + processOf(1<<31-1); got != "" {
		t.Errorf("a process that is gone: got %q", got)
	}
}

// Of a call that a filter refused it is told how it was made.
func TestRefusedHow(t *testing.T) {
	s := recordRun(t, Options{SeeRefused: true}, record.AtExec, acts(t), "refused")
	if len(s.Refused) != 1 {
		t.Fatalf("refused %+v", s.Refused)
	}
	if r := s.Refused[0]; r.Comm != "acts" || r.Result != -1 {
		t.Errorf("got %+v", r)
	}
	if _, err := refusalOf(make([]byte, 10)); err == nil {
		t.Error("a short event: want an error")
	}
}
