package abi_test

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/profgen/profgen/internal/abi"
)

func words(w ...uint32) []byte {
	var out []byte
	for _, v := range w {
		out = binary.LittleEndian.AppendUint32(out, v)
	}
	return out
}

func TestParseFileCapabilities(t *testing.T) {
	for _, c := range []struct {
		name string
		attr []byte
		want abi.FileCapabilities
	}{
		{"revision 1", words(0x01000000, 1<<10, 1<<13), abi.FileCapabilities{Revision: 1, Permitted: 1 << 10, Inheritable: 1 << 13}},
		{"revision 2", words(0x02000001, 1<<10, 0, 1<<7, 1), abi.FileCapabilities{Revision: 2, Permitted: 1<<10 | 1<<39, Inheritable: 1 << 32, Effective: true}},
		{"revision 3", words(0x03000001, 1, 2, 3, 4, 100000), abi.FileCapabilities{Revision: 3, Permitted: 3<<32 | 1, Inheritable: 4<<32 | 2, Effective: true, RootID: 100000}},
		{"unknown flags", words(0x02fffffe, 1, 0, 0, 0), abi.FileCapabilities{Revision: 2, Permitted: 1}},
	} {
		if got, err := abi.ParseFileCapabilities(c.attr); err != nil || got != c.want {
			t.Errorf("%s: got %+v, %v; want %+v", c.name, got, err, c.want)
		}
	}
}

func TestParseFileCapabilitiesRefuses(t *testing.T) {
	for _, c := range []struct {
		attr []byte
		want string
	}{
		{nil, "0 bytes"},
		{[]byte{1, 0, 0}, "3 bytes"},
		{words(0, 0, 0), "revision 0"},
		{words(0x04000000, 0, 0, 0, 0, 0), "revision 4"},
		{words(0x01000000), "4 bytes, where revision 1 has 12"},
		{words(0x02000000, 0, 0), "12 bytes, where revision 2 has 20"},
		{words(0x02000000, 0, 0, 0, 0, 0), "24 bytes, where revision 2 has 20"},
		{words(0x03000000, 0, 0, 0, 0), "20 bytes, where revision 3 has 24"},
		{make([]byte, 1<<16), "revision 0"},
	} {
		got, err := abi.ParseFileCapabilities(c.attr)
		if err == nil || !strings.Contains(err.Error(), c.want) || got != (abi.FileCapabilities{}) {
			t.Errorf("%d bytes %x…: got %+v, %v; want an error with %q", len(c.attr), c.attr[:min(8, len(c.attr))], got, err, c.want)
		}
	}
}

func FuzzParseFileCapabilities(f *testing.F) {
	f.Add(words(0x01000000, 1<<10, 1<<13))
	f.Add(words(0x02000001, 1<<10, 0, 1<<7, 1))
	f.Add(words(0x03000001, 1, 2, 3, 4, 100000))
	f.Add([]byte("short"))
	f.Fuzz(func(t *testing.T, attr []byte) {
		c, err := abi.ParseFileCapabilities(attr)
		if err != nil {
			return
		}
		again := words(uint32(c.Revision)<<24, uint32(c.Permitted), uint32(c.Inheritable))
		if c.Revision > 1 {
			again = append(again, words(uint32(c.Permitted>>32), uint32(c.Inheritable>>32))...)
		}
		if c.Revision > 2 {
			again = append(again, words(c.RootID)...)
		}
		// Only the flags of the first word may be lost.
		if string(again[4:]) != string(attr[4:]) || again[3] != attr[3] || c.Effective != (attr[0]&1 == 1) {
			t.Errorf("%x became %+v, which is %x", attr, c, again)
		}
	})
}

// What setcap writes must read as what getcap says of it.
func TestFileCapabilitiesOfSetcap(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("setting file capabilities takes root")
	}
	setcap, err := exec.LookPath("setcap")
	if err != nil {
		t.Fatalf("%v: scripts/install-missing test installs it", err)
	}
	for _, c := range []struct {
		spec string
		want abi.FileCapabilities
	}{
		{"cap_net_bind_service=ep", abi.FileCapabilities{Revision: 2, Permitted: 1 << 10, Effective: true}},
		{"cap_net_raw,cap_checkpoint_restore=p", abi.FileCapabilities{Revision: 2, Permitted: 1<<13 | 1<<40}},
		{"cap_bpf=i", abi.FileCapabilities{Revision: 2, Inheritable: 1 << 39}},
		{"-n 100000 cap_chown=eip", abi.FileCapabilities{Revision: 3, Permitted: 1, Inheritable: 1, Effective: true, RootID: 100000}},
	} {
		file := filepath.Join(t.TempDir(), "program")
		if err := os.WriteFile(file, nil, 0o755); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(setcap, append(strings.Fields(c.spec), file)...).CombinedOutput(); err != nil {
			t.Fatalf("setcap %s: %v: %s", c.spec, err, out)
		}
		attr := make([]byte, 64)
		n, err := unix.Getxattr(file, "security.capability", attr)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := abi.ParseFileCapabilities(attr[:n]); err != nil || got != c.want {
			t.Errorf("setcap %s: got %+v, %v; want %+v", c.spec, got, err, c.want)
		}
	}
}

func TestCapabilityNames(t *testing.T) {
	names, unknown := abi.CapabilityNames(1 | 1<<40 | 1<<41 | 1<<63)
	if want := []string{"CAP_CHOWN", "CAP_CHECKPOINT_RESTORE"}; !slices.Equal(names, want) || unknown != 1<<41|1<<63 {
		t.Errorf("got %v and %#x, want %v", names, unknown, want)
	}
	if names, unknown := abi.CapabilityNames(1<<41 - 1); !slices.Equal(names, abi.Capabilities()) || unknown != 0 {
		t.Errorf("all: got %v and %#x", names, unknown)
	}
}
