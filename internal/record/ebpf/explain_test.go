//go:build linux && (amd64 || arm64)

package ebpf

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestReason(t *testing.T) {
	fine := host{btf: true, release: "6.1.0-13-amd64", privileged: true}
	for want, change := range map[string]func(*host){
		"CAP_BPF and CAP_PERFMON": func(h *host) { h.privileged = false },
		"5.13 or later":           func(h *host) { h.release, h.btf = "5.10.0-27-amd64", false },
		"CONFIG_DEBUG_INFO_BTF":   func(h *host) { h.btf = false },
		"confidentiality":         func(h *host) { h.lockdown = true },
		"another way":             func(*host) {},
	} {
		h := fine
		change(&h)
		if got := h.reason(); !strings.Contains(got, want) {
			t.Errorf("%+v: %q, want a hint with %q", h, got, want)
		}
	}
}

func TestOlder(t *testing.T) {
	for release, want := range map[string]bool{
		"5.12.19": true, "4.18.0-553.el8": true, "5.13": false, "5.14.0-427.el9": false, "6.1.0-56-cloud-amd64": false, "weird": false, "": false,
	} {
		if got := older(release, 5, 13); got != want {
			t.Errorf("%q older than 5.13: %t, want %t", release, got, want)
		}
	}
}

// TestCause: the library's advice on EPERM is out of date.
func TestCause(t *testing.T) {
	err := fmt.Errorf("load program: %w (MEMLOCK may be too low)", unix.EPERM)
	if got := cause(err); got != unix.EPERM {
		t.Errorf("cause of %q is %q", err, got)
	}
	if err := errors.New("other"); cause(err) != err {
		t.Errorf("cause of %q is %q", err, cause(err))
	}
}

// TestWithoutPrivileges loads the programs for real, as a root that may nothing.
func TestWithoutPrivileges(t *testing.T) {
	if os.Getenv("PROFGEN_TEST_POWERLESS") != "" {
		r, err := New(Options{})
		if err == nil {
			r.Close()
		}
		fmt.Println("error:", err, errors.Is(err, ErrUnavailable))
		return
	}
	needBPF(t)
	cmd := exec.Command("setpriv", "--inh-caps=-all", "--bounding-set=-all", os.Args[0], "-test.run=^TestWithoutPrivileges$")
	cmd.Env = append(os.Environ(), "PROFGEN_TEST_POWERLESS=1")
	out, err := cmd.CombinedOutput()
	got := string(out)
	if err != nil || !strings.Contains(got, "run as root, or with CAP_BPF and CAP_PERFMON") || !strings.Contains(got, " true\n") {
		t.Errorf("%v: %v\n%s", cmd.Args, err, got)
	}
	if strings.Contains(got, "MEMLOCK") {
		t.Errorf("advice that is out of date: %s", got)
	}
	t.Log(got)
}
