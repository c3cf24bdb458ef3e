package host

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// retLog is SECCOMP_RET_LOG: include/uapi/linux/seccomp.h.
const retLog = 0x7ffc0000

// action asks the kernel whether a filter may answer so.
func action(value uint32) error {
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_GET_ACTION_AVAIL, 0, uintptr(unsafe.Pointer(&value)))
	if errno != 0 {
		return fmt.Errorf("seccomp(SECCOMP_GET_ACTION_AVAIL): %w", errno)
	}
	return nil
}

// Mechanisms tries what the kernel itself has: of seccomp, audit and AppArmor.
func Mechanisms() []Mechanism {
	facts, err := Read()
	out := []Mechanism{
		Tried("SCMP_ACT_LOG", logged(), "records go to auditd, or to the kernel log, which limits them", "use Linux 4.14 or later, with log in /proc/sys/kernel/seccomp/actions_logged"),
	}
	kmsg, openErr := os.Open("/dev/kmsg")
	if openErr == nil {
		kmsg.Close()
	}
	out = append(out, Tried("kernel log", openErr, "/dev/kmsg", "run as root; profgen import takes a file or the journal's output too"))
	apparmor := Mechanism{Name: "AppArmor in the kernel", State: Usable}
	switch {
	case err != nil:
		apparmor.State, apparmor.Detail = Unknown, err.Error()
	case !facts.AppArmor:
		apparmor.State, apparmor.Detail = Unusable, "the kernel does not enforce AppArmor profiles"
		apparmor.Do = "nothing to make profiles; profgen flags --without-apparmor to run with them; boot with lsm=apparmor to enforce them"
	}
	return append(out, apparmor)
}

// logged reports whether calls under SCMP_ACT_LOG leave records.
func logged() error {
	if err := action(retLog); err != nil {
		return err
	}
	raw, err := os.ReadFile("/proc/sys/kernel/seccomp/actions_logged")
	if err == nil && !slices.Contains(strings.Fields(string(raw)), "log") {
		return fmt.Errorf("actions_logged is %q", strings.TrimSpace(string(raw)))
	}
	return nil // a container may hide the file
}
