package caps

import (
	"errors"
	"fmt"
	"strings"

	"github.com/profgen/profgen/internal/abi"
)

const (
	seccompFlag  = "--security-opt=seccomp="
	appArmorFlag = "--security-opt=apparmor="
)

// ParseFlags reads the file docker.flags and returns the arguments as seen from
// elsewhere: with o.SeccompPath as the seccomp profile, and without AppArmor if
// o says so. A line that is no flag of one word is an error, and so is a file
// without --cap-drop=ALL: it would confine less than it seems to.
func ParseFlags(file []byte, o Options) ([]string, error) {
	var flags []string
	dropsAll := false
	for n, flag := range strings.Split(strings.TrimSuffix(string(file), "\n"), "\n") {
		if !strings.HasPrefix(flag, "--") || strings.ContainsFunc(flag, func(r rune) bool { return !word(r) }) {
			return nil, fmt.Errorf("line %d: %q is not one flag of the form --flag=value", n+1, flag)
		}
		dropsAll = dropsAll || flag == "--cap-drop=ALL"
		switch {
		case strings.HasPrefix(flag, seccompFlag):
			if err := checkValue(o.SeccompPath); err != nil {
				return nil, fmt.Errorf("seccomp profile %q: %w", o.SeccompPath, err)
			}
			flag = seccompFlag + o.SeccompPath
		case strings.HasPrefix(flag, appArmorFlag) && o.WithoutAppArmor:
			continue
		}
		flags = append(flags, flag)
	}
	if !dropsAll {
		return nil, errors.New("it has no --cap-drop=ALL: was it cut short? generate it again")
	}
	return flags, nil
}

// ParseSet reads the file capabilities: CAP_* names, one a line; lines that
// begin with # say nothing. The empty set is not nil: it is a set that was
// asked for.
func ParseSet(file []byte) ([]string, error) {
	names := []string{}
	for n, line := range strings.Split(string(file), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if _, ok := abi.CapabilityNumber(line); !ok {
			return nil, fmt.Errorf("line %d: %q is no capability (want a name such as CAP_CHOWN)", n+1, line)
		}
		names = append(names, line)
	}
	return names, nil
}
