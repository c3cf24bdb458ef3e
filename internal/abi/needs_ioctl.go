package abi

// ioctlNeeds are the rows of ioctl requests. Thousands of requests of drivers
// are not here: a device node is what a container must be given first.
var ioctlNeeds = []Need{
	{"ioctl", when(is(1, fsIocSetFlags, fsIocFSSetXAttr)), "CAP_LINUX_IMMUTABLE", "", Conditional, "the immutable and append-only flags", "ioctl_iflags(2)"},
	{"ioctl", when(is(1, fsIocSetFlags, fsIocFSSetXAttr)), "CAP_FOWNER", "", Conditional, othersFile, "ioctl_iflags(2)"},
	{"ioctl", when(is(1, fsIocSetFlags)), "CAP_SYS_RESOURCE", "", Rare, "journalling of an ext4 file's data", "ioctl_iflags(2)"},
	{"ioctl", when(is(1, fiFreeze, fiThaw, fiTrim, fsIocSetFSLabel)), "CAP_SYS_ADMIN", "", Always, "", "ioctl_fslabel(2)"},
	{"ioctl", when(is(1, fiBMap)), "CAP_SYS_RAWIO", "", Always, "", "capabilities(7)"},
	{"ioctl", when(is(1, sgIO)), "CAP_SYS_RAWIO", "", Conditional, "commands outside the list of harmless ones", "capabilities(7)"},
	{"ioctl", when(is(1, blkRRPart, blkPG, blkROSet, blkRASet, blkFRASet, blkBSZSet)), "CAP_SYS_ADMIN", "", Always, "", "capabilities(7)"},
	{"ioctl", when(is(1, blkFlsBuf)), "CAP_SYS_ADMIN", "", Always, "", "capabilities(7)"},
	{"ioctl", when(is(1, loopSetStatus, loopSetStatus64, loopChangeFD, loopConfigure)), "CAP_SYS_ADMIN", "", Conditional, "a loop device not open for exclusive writing, or its owner another", "capabilities(7)"},
	{"ioctl", when(is(1, rndAddEntropy, rndAddToEntCnt, rndZapEntCnt, rndClearPool, rndReseedCRNG)), "CAP_SYS_ADMIN", "", Always, "", "random(4)"},

	{"ioctl", when(is(1, tiocCons, tiocVHangup)), "CAP_SYS_ADMIN", "", Always, "", "ioctl_tty(2)"},
	{"ioctl", when(is(1, tiocSTI)), "CAP_SYS_ADMIN", "", Conditional, "a terminal other than the controlling one, or dev.tty.legacy_tiocsti is 0", "ioctl_tty(2)"},
	{"ioctl", when(is(1, tiocSCTTY)), "CAP_SYS_ADMIN", "", Conditional, "the controlling terminal of another session", "ioctl_tty(2)"},
	{"ioctl", when(is(1, tiocLinux)), "CAP_SYS_ADMIN", "", Conditional, "a terminal other than the controlling one, or a selection", "capabilities(7)"},
	{"ioctl", when(is(1, tiocSLckTrmios)), "CAP_CHECKPOINT_RESTORE", "CAP_SYS_ADMIN", Always, "", "capabilities(7)"},
	{"ioctl", when(is(1, tiocSSerial)), "CAP_SYS_ADMIN", "", Conditional, "more than the user-settable flags", "capabilities(7)"},
	{"ioctl", when(is(1, vtLockSwitch, vtUnlockSwitch)), "CAP_SYS_TTY_CONFIG", "", Always, "", "capabilities(7)"},
	{"ioctl", when(is(1, kdSetMode, kdMkTone, kIOCSound, kdSetLED, kdSKBMode, vtSetMode, vtActivate, vtWaitActive, vtRelDisp, vtResize)), "CAP_SYS_TTY_CONFIG", "", Conditional, "a terminal other than the controlling one", "ioctl_console(2)"},
	{"ioctl", when(is(1, kdSigAccept)), "CAP_KILL", "", Always, "", "capabilities(7)"},

	{"ioctl", when(is(1, siocSIfFlags, siocSIfAddr, siocSIfDstAddr, siocSIfBrdAddr, siocSIfNetmask)), "CAP_NET_ADMIN", "", Always, "", "netdevice(7)"},
	{"ioctl", when(is(1, siocSIfMetric, siocSIfMTU, siocSIfName, siocSIfHWAddr, siocSIfHWBroadcast, siocSIfMap, siocSIfTxQLen)), "CAP_NET_ADMIN", "", Always, "", "netdevice(7)"},
	{"ioctl", when(is(1, siocAddMulti, siocDelMulti, siocSHWTstamp, siocSMIIReg)), "CAP_NET_ADMIN", "", Always, "", "netdevice(7)"},
	{"ioctl", when(is(1, siocBondEnslave, siocBondRelease, siocBondSetHWAddr, siocBondChangeActive)), "CAP_NET_ADMIN", "", Always, "", "capabilities(7)"},
	{"ioctl", when(is(1, siocBrAddBr, siocBrDelBr, siocBrAddIf, siocBrDelIf)), "CAP_NET_ADMIN", "", Always, "", "capabilities(7)"},
	{"ioctl", when(is(1, siocAddRt, siocDelRt)), "CAP_NET_ADMIN", "", Always, "", "capabilities(7)"},
	{"ioctl", when(is(1, siocSARP, siocDARP)), "CAP_NET_ADMIN", "", Always, "", "arp(7)"},
	{"ioctl", when(is(1, siocEthtool)), "CAP_NET_ADMIN", "", Conditional, "commands that change the device", "capabilities(7)"},
	{"ioctl", when(field(1, siocDevPrivateMask, siocDevPrivate)), "CAP_NET_ADMIN", "", Conditional, "what the driver makes of it, such as tunnels", "capabilities(7)"},
	{"ioctl", when(is(1, tunSetIff)), "CAP_NET_ADMIN", "", Conditional, "a device that does not exist, or is another user's", "capabilities(7)"},
	{"ioctl", when(is(1, epIOCSParams)), "CAP_NET_ADMIN", "", Conditional, "a busy poll budget above 64", "capabilities(7)"},
}
