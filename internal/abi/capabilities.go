package abi

import "slices"

// capabilities is indexed by number: include/uapi/linux/capability.h, which
// has ended with CAP_CHECKPOINT_RESTORE since Linux 5.9. A number is never
// given a second meaning, so the table only ever grows.
var capabilities = [...]string{
	0:  "CAP_CHOWN",
	1:  "CAP_DAC_OVERRIDE",
	2:  "CAP_DAC_READ_SEARCH",
	3:  "CAP_FOWNER",
	4:  "CAP_FSETID",
	5:  "CAP_KILL",
	6:  "CAP_SETGID",
	7:  "CAP_SETUID",
	8:  "CAP_SETPCAP",
	9:  "CAP_LINUX_IMMUTABLE",
	10: "CAP_NET_BIND_SERVICE",
	11: "CAP_NET_BROADCAST",
	12: "CAP_NET_ADMIN",
	13: "CAP_NET_RAW",
	14: "CAP_IPC_LOCK",
	15: "CAP_IPC_OWNER",
	16: "CAP_SYS_MODULE",
	17: "CAP_SYS_RAWIO",
	18: "CAP_SYS_CHROOT",
	19: "CAP_SYS_PTRACE",
	20: "CAP_SYS_PACCT",
	21: "CAP_SYS_ADMIN",
	22: "CAP_SYS_BOOT",
	23: "CAP_SYS_NICE",
	24: "CAP_SYS_RESOURCE",
	25: "CAP_SYS_TIME",
	26: "CAP_SYS_TTY_CONFIG",
	27: "CAP_MKNOD",
	28: "CAP_LEASE",
	29: "CAP_AUDIT_WRITE",
	30: "CAP_AUDIT_CONTROL",
	31: "CAP_SETFCAP",
	32: "CAP_MAC_OVERRIDE",
	33: "CAP_MAC_ADMIN",
	34: "CAP_SYSLOG",
	35: "CAP_WAKE_ALARM",
	36: "CAP_BLOCK_SUSPEND",
	37: "CAP_AUDIT_READ",
	38: "CAP_PERFMON",
	39: "CAP_BPF",
	40: "CAP_CHECKPOINT_RESTORE",
}

// Capabilities returns the name of every capability, indexed by its number.
func Capabilities() []string { return slices.Clone(capabilities[:]) }

// CapabilityName returns the name of capability nr, as CAP_CHOWN; false if the
// table has none of that number, as on a kernel newer than it.
func CapabilityName(nr uint32) (string, bool) {
	if int64(nr) >= int64(len(capabilities)) {
		return "", false
	}
	return capabilities[nr], true
}

// CapabilityNumber returns the number of the capability called name; false if
// there is none. The name is the kernel's, CAP_CHOWN: neither "chown" nor
// "CHOWN" is one.
func CapabilityNumber(name string) (uint32, bool) {
	i := slices.Index(capabilities[:], name)
	return uint32(max(i, 0)), i >= 0
}
