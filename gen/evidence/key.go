package evidence

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Keys order lines as a reader wants them (by ABI and number, not by the digits
// of the number) and tell lines apart: every field is in its key, strings
// quoted so that no two different lines share one. They are taken of canonical
// lines.

func (s Subject) key() string {
	return fmt.Sprintf("%q %q %q %q %q %q", s.Image, s.Digest, s.ConfigDigest, s.Platform, s.Argv, s.User)
}

func (s Source) key() string {
	return fmt.Sprintf("%q %q %q %q %q %t", s.Tool, s.Version, s.Method, s.Kernel, s.Runtime, s.NoNewPrivileges)
}

func (f Syscall) key() string {
	return fmt.Sprintf("1 %q %10d %q%s ; %q %q", f.Arch, f.Nr, f.Name, argsKey(f.Args), f.Phase, f.Basis)
}

func argsKey(args []Arg) string {
	var key strings.Builder
	for _, a := range args {
		fmt.Fprintf(&key, " %d=%020d", a.Index, a.Value)
	}
	return key.String()
}

func (f Capability) key() string {
	return fmt.Sprintf("2 %q %q %q %t %t %t %t %q %q", f.Cap, f.Arch, f.Syscall, f.Granted, f.Overridden, f.Unaudited, f.Nested, f.Phase, f.Basis)
}

func (f Socket) key() string {
	return fmt.Sprintf("3 %10d %10d %10d %q %q", f.Family, f.Type, f.Protocol, f.Phase, f.Basis)
}

func (g Gap) key() string {
	return fmt.Sprintf("%q %q %q %020d %q %t", g.Kind, g.Where, g.Detail, g.Count, g.Syscall, g.Covered)
}

// sortedArgs returns the arguments by index, nil if there are none.
func sortedArgs(args []Arg) []Arg {
	return slices.SortedFunc(slices.Values(args), func(a, b Arg) int {
		return cmp.Or(cmp.Compare(a.Index, b.Index), cmp.Compare(a.Value, b.Value))
	})
}
