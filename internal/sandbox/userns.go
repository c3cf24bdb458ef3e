package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"github.com/moby/sys/user"
	"golang.org/x/sys/unix"
)

// lifeline is the variable that holds the number of a descriptor, in the
// environment of a process that InUserNS started: it breaks when its parent ends.
const lifeline = "PROFGEN_LIFELINE"

// goAhead is said through it once the namespace has its ids.
const goAhead = "go"

// InUserNS runs this program again, with args, in a user namespace where the
// user is root and has their subordinate ids besides, and returns its exit code,
// as a shell has it. There it may do all that a container takes. Signals are
// passed on; if this process ends, the other one does too, see [HoldLifeline].
//
// It takes no privilege, but what subuid(5) and newuidmap(1) give any user who
// has been assigned subordinate ids. The error says which of them is missing.
func InUserNS(args []string) (int, error) {
	uids, gids, err := subordinateIDs()
	if err != nil {
		return 0, fmt.Errorf("make a user namespace: %w", err)
	}
	goR, goW, err := os.Pipe()
	if err != nil {
		return 0, fmt.Errorf("make a user namespace: %w", err)
	}
	defer goW.Close()
	cmd := &exec.Cmd{
		Path: "/proc/self/exe", Args: append([]string{GuardName, partUserNS}, args...),
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, ExtraFiles: []*os.File{goR},
		SysProcAttr: &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER},
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, Interrupts()...)
	err = cmd.Start()
	goR.Close()
	if err != nil {
		return 0, fmt.Errorf("make a user namespace: %w%s", innermost(err), whyNoUserNS())
	}
	go func() {
		for s := range signals {
			cmd.Process.Signal(s)
		}
	}()
	err = errors.Join(mapIDs("newuidmap", cmd.Process.Pid, os.Getuid(), uids), mapIDs("newgidmap", cmd.Process.Pid, os.Getgid(), gids))
	if err == nil {
		_, err = goW.WriteString(goAhead)
	}
	if err != nil {
		cmd.Process.Kill()
		cmd.Wait()
		return 0, fmt.Errorf("make a user namespace: %w", err)
	}
	cmd.Wait()
	return exitCode(unix.WaitStatus(cmd.ProcessState.Sys().(syscall.WaitStatus))), nil
}

// subordinateIDs returns the user's subordinate ids.
func subordinateIDs() (uids, gids []user.SubID, err error) {
	hint := "have root assign some: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER"
	for _, of := range []struct {
		file string
		read func() ([]user.SubID, error)
		into *[]user.SubID
	}{{"/etc/subuid", user.CurrentUserSubUIDs, &uids}, {"/etc/subgid", user.CurrentUserSubGIDs, &gids}} {
		ids, err := of.read()
		switch {
		case errors.Is(err, fs.ErrNotExist) || err == nil && len(ids) == 0:
			return nil, nil, fmt.Errorf("this user has no subordinate ids in %s: %s", of.file, hint)
		case err != nil:
			return nil, nil, fmt.Errorf("subordinate ids of this user: %w: %s", err, hint)
		}
		*of.into = ids
	}
	return uids, gids, nil
}

// mapIDs gives the user namespace of a process its ids: root is the user.
func mapIDs(tool string, pid, id int, subordinate []user.SubID) error {
	args := []string{strconv.Itoa(pid), "0", strconv.Itoa(id), "1"}
	inside := int64(1)
	for _, s := range subordinate {
		args = append(args, strconv.FormatInt(inside, 10), strconv.FormatInt(s.SubID, 10), strconv.FormatInt(s.Count, 10))
		inside += s.Count
	}
	out, err := exec.Command(tool, args...).CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		return fmt.Errorf("%s: not found: install it, from the package uidmap or shadow-utils", tool)
	}
	if err != nil {
		return fmt.Errorf("%s: %w: %.300s", tool, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// whyNoUserNS tells which setting of the host forbids user namespaces; "" if none
// of those known does.
func whyNoUserNS() string {
	for _, setting := range []struct{ file, forbids, advice string }{
		{"/proc/sys/user/max_user_namespaces", "0", "user namespaces are off: sysctl user.max_user_namespaces=10000 turns them on"},
		{"/proc/sys/kernel/unprivileged_userns_clone", "0", "user namespaces are for root alone: sysctl kernel.unprivileged_userns_clone=1 gives them to users"},
		{"/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1", "AppArmor forbids them: sysctl kernel.apparmor_restrict_unprivileged_userns=0, or a profile with userns for profgen, gives them to users"},
	} {
		value, err := os.ReadFile(setting.file)
		if err == nil && strings.TrimSpace(string(value)) == setting.forbids {
			return ": " + setting.advice
		}
	}
	return ""
}

// enterUserNS waits until the ids are mapped, and becomes the program that args
// says, by then as root: it is exec that gives root its capabilities.
func enterUserNS(args []string) int {
	var word [8]byte
	if n, err := unix.Read(3, word[:]); err != nil || string(word[:n]) != goAhead {
		return 1 // profgen has said why
	}
	err := syscall.Exec("/proc/self/exe", args, append(os.Environ(), lifeline+"=3"))
	fmt.Fprintf(os.Stderr, "profgen: %v\n", err)
	return 1
}

// HoldLifeline has this process end when the one ends that started it by
// [InUserNS]. It does nothing in any other.
func HoldLifeline() {
	if os.Getenv(lifeline) != "3" {
		return
	}
	os.Unsetenv(lifeline)
	unix.CloseOnExec(3)
	go func() {
		os.NewFile(3, "lifeline").Read(make([]byte, 1)) // nothing is ever written
		os.Exit(1)
	}()
}

// OwnUserNS reports whether this process is in a user namespace that is not the
// host's.
func OwnUserNS() bool {
	raw, err := os.ReadFile("/proc/self/uid_map")
	return err == nil && strings.Join(strings.Fields(string(raw)), " ") != "0 0 4294967295"
}
