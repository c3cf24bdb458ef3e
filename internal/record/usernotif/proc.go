//go:build linux && (amd64 || arm64)

package usernotif

import (
	"bytes"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// status is what is needed of proc_pid_status(5), of a thread.
type status struct {
	process int // Tgid
	parent  int
	inside  int // the process' number in its own pid namespace
	nested  bool
	filters int // Seccomp_filters, since 5.9; before, the mode
	creds   creds
}

// creds is what decides whether a thread may use a file.
type creds struct {
	uid, gid  uint32 // of the file system
	groups    []uint32
	effective uint64 // capabilities
}

// readStatus reads the status of a thread or process.
func readStatus(tid int) (status, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", tid))
	if err != nil {
		return status{}, err
	}
	return parseStatus(raw), nil
}

func parseStatus(raw []byte) status {
	s := status{filters: -1}
	mode := 0
	for line := range bytes.Lines(raw) {
		key, rest, _ := bytes.Cut(line, []byte(":"))
		fields := bytes.Fields(rest)
		if len(fields) == 0 {
			continue
		}
		number := func(i int) int {
			if i >= len(fields) {
				return 0
			}
			n, _ := strconv.Atoi(string(fields[i]))
			return n
		}
		switch string(key) {
		case "Tgid":
			s.process = number(0)
		case "PPid":
			s.parent = number(0)
		case "NStgid":
			s.inside, s.nested = number(len(fields)-1), len(fields) > 1
		case "Uid":
			s.creds.uid = uint32(number(3))
		case "Gid":
			s.creds.gid = uint32(number(3))
		case "Groups":
			for i := range fields {
				s.creds.groups = append(s.creds.groups, uint32(number(i)))
			}
		case "CapEff":
			s.creds.effective, _ = strconv.ParseUint(string(fields[0]), 16, 64)
		case "Seccomp":
			mode = number(0)
		case "Seccomp_filters":
			s.filters = number(0)
		}
	}
	if s.filters < 0 {
		s.filters = mode
	}
	return s
}

// fileID tells files apart.
type fileID struct{ dev, ino uint64 }

// exeID returns which file the program of a process is.
func exeID(pid int) (fileID, bool) {
	var st unix.Stat_t
	if unix.Stat(fmt.Sprintf("/proc/%d/exe", pid), &st) != nil {
		return fileID{}, false
	}
	return fileID{uint64(st.Dev), st.Ino}, true
}

// namespace returns the number of a namespace of a thread; 0 if it is not to be
// had.
func namespace(tid int, kind string) uint64 {
	var st unix.Stat_t
	if unix.Stat(fmt.Sprintf("/proc/%d/ns/%s", tid, kind), &st) != nil {
		return 0
	}
	return st.Ino
}
