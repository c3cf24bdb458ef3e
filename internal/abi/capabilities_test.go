package abi_test

import (
	"strings"
	"testing"

	"github.com/moby/sys/capability"
	"golang.org/x/sys/unix"

	"github.com/profgen/profgen/internal/abi"
)

// The table must be what two others have read from the same header.
func TestCapabilitiesAgreeWithOtherTables(t *testing.T) {
	names := abi.Capabilities()
	if got := len(names) - 1; got != unix.CAP_LAST_CAP {
		t.Errorf("last capability is %d, x/sys/unix has %d", got, unix.CAP_LAST_CAP)
	}
	for _, c := range capability.ListKnown() {
		want := "CAP_" + strings.ToUpper(c.String())
		if got, ok := abi.CapabilityName(uint32(c)); !ok || got != want {
			t.Errorf("capability %d is %q, %t; moby/sys/capability has %q", c, got, ok, want)
		}
	}
}

func TestCapabilityNumberInvertsName(t *testing.T) {
	for nr, name := range abi.Capabilities() {
		if got, ok := abi.CapabilityNumber(name); !ok || got != uint32(nr) {
			t.Errorf("CapabilityNumber(%q) = %d, %t; want %d", name, got, ok, nr)
		}
	}
}

func TestUnknownCapabilities(t *testing.T) {
	for _, name := range []string{"", "chown", "CHOWN", "cap_chown", "CAP_ALL", "CAP_CHOWN\n"} {
		if nr, ok := abi.CapabilityNumber(name); ok {
			t.Errorf("CapabilityNumber(%q) = %d, want none", name, nr)
		}
	}
	for _, nr := range []uint32{41, 63, 1<<32 - 1} {
		if name, ok := abi.CapabilityName(nr); ok {
			t.Errorf("CapabilityName(%d) = %q, want none", nr, name)
		}
	}
}

// Callers may do as they like with what they are given.
func TestCapabilitiesIsACopy(t *testing.T) {
	abi.Capabilities()[0] = "CAP_BOGUS"
	if name, _ := abi.CapabilityName(0); name != "CAP_CHOWN" {
		t.Errorf("capability 0 became %q", name)
	}
}
