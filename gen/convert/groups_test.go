package convert_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/profgen/profgen/gen/convert"
)

const someGroups = `@default
    # System calls that are always permitted
    execve
    exit

@io
    # Groups have groups
    @default
    read
    write

# Notes are left out.
@round
    @round
    @io
`

// A unit's groups are what the given systemd has in them; what is taken out of a
// list again is gone, be it named or in a group.
func TestGroups(t *testing.T) {
	groups, err := convert.ParseGroups([]byte(someGroups))
	if err != nil {
		t.Fatal(err)
	}
	for filters, want := range map[string]string{
		"@io":                       "execve exit read write",
		"@round":                    "execve exit read write",
		"close @io\n~write":         "close execve exit read",
		"close @io read\n~@default": "close read write",
		"~@io\nread":                "execve exit write",
	} {
		unit := "[Service]\nSystemCallFilter=" + strings.ReplaceAll(filters, "\n", "\nSystemCallFilter=") + "\n"
		f, err := convert.Read([]byte(unit), convert.Systemd, groups)
		if err != nil || len(f.Syscalls) != 1 {
			t.Errorf("%q: %+v, %v", filters, f, err)
			continue
		}
		if got := strings.Join(slices.Sorted(slices.Values(f.Syscalls[0].Names)), " "); got != want {
			t.Errorf("%q: %s, want %s", filters, got, want)
		}
	}
	for groups, want := range map[string]string{
		"":                   "what a group has depends on the version of systemd",
		"@other\n    read\n": "@io: no such group is among those given",
	} {
		var given convert.Groups
		if groups != "" {
			given, _ = convert.ParseGroups([]byte(groups))
		}
		if _, err := convert.Read([]byte("SystemCallFilter=@io\n"), convert.Systemd, given); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("with %q: %v, want %q", groups, err, want)
		}
	}
}

// The list that the systemd of this machine prints is read, and each of its
// groups is a profile.
func TestGroupsOfThisSystemd(t *testing.T) {
	text, err := exec.CommandContext(t.Context(), "systemd-analyze", "syscall-filter").Output()
	if err != nil {
		t.Fatalf("systemd-analyze syscall-filter: %v", err)
	}
	groups, err := convert.ParseGroups(text)
	if err != nil || len(groups) < 20 {
		t.Fatalf("%d groups, %v", len(groups), err)
	}
	for name := range groups {
		if _, err := convert.Read([]byte("SystemCallFilter=close "+name), convert.Systemd, groups); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzParseGroups: what is read can be asked for all it has.
func FuzzParseGroups(f *testing.F) {
	f.Add([]byte(someGroups))
	f.Add([]byte("@a\n @b\n@b\n @a\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		groups, err := convert.ParseGroups(text)
		if err != nil {
			return
		}
		for name := range groups {
			_, _ = convert.Read([]byte("SystemCallFilter="+name), convert.Systemd, groups)
		}
	})
}
