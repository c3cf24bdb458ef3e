package convert

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Groups are systemd's groups of system calls (@system-service), each with the
// calls and groups in it. What they have differs from version to version: they are
// those of the systemd that will read the unit.
type Groups map[string][]string

// Limits on what groups and filters of them may be.
const (
	maxGroupText  = 1 << 20 // bytes
	maxGroupCalls = 1 << 14
)

var (
	groupName = regexp.MustCompile(`^@[a-z0-9-]{1,40}$`)
	groupCall = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,60}$`)
)

// ParseGroups reads what `systemd-analyze syscall-filter` prints: the name of a
// group at the beginning of a line, and below it, indented, what is in it.
func ParseGroups(text []byte) (Groups, error) {
	if len(text) > maxGroupText {
		return nil, fmt.Errorf("groups of system calls: more than %d bytes", maxGroupText)
	}
	out, group := Groups{}, ""
	for i, line := range strings.Split(string(text), "\n") {
		word := strings.TrimSpace(line)
		switch indented := word != "" && line[0] == ' '; {
		case word == "" || strings.HasPrefix(word, "#"):
		case !indented && groupName.MatchString(word):
			group = word
			if _, twice := out[group]; twice {
				return nil, fmt.Errorf("groups of system calls: line %d: %s for the second time", i+1, group)
			}
			out[group] = []string{}
		case indented && group != "" && (groupName.MatchString(word) || groupCall.MatchString(word)):
			out[group] = append(out[group], word)
		default:
			return nil, fmt.Errorf("groups of system calls: line %d: %q: want what systemd-analyze syscall-filter prints", i+1, word)
		}
	}
	if len(out) == 0 {
		return nil, errors.New("groups of system calls: there are none; want what systemd-analyze syscall-filter prints")
	}
	return out, nil
}

// calls are the system calls of a group, with those of the groups in it.
func (g Groups) calls(group string) ([]string, error) {
	if len(g) == 0 {
		return nil, fmt.Errorf("%s: what a group has depends on the version of systemd: give those of the one that will read it, as systemd-analyze syscall-filter prints them (--systemd-groups)", group)
	}
	var out []string
	todo, seen := []string{group}, map[string]bool{group: true}
	for ; len(todo) > 0; todo = todo[1:] {
		members, known := g[todo[0]]
		if !known {
			return nil, fmt.Errorf("%s: no such group is among those given", todo[0])
		}
		for _, name := range members {
			if seen[name] {
				continue
			}
			seen[name] = true
			if strings.HasPrefix(name, "@") {
				todo = append(todo, name)
			} else {
				out = append(out, name)
			}
		}
	}
	return out, nil
}
