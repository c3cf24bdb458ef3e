package abi

// The numbers of the capability table, as include/uapi of Linux 6.18 has them.
// They are the same on x86-64 and arm64.
const (
	// File modes: include/uapi/linux/stat.h.
	sISGID      = 0x400
	sIFMT       = 0xf000
	sIFCHR      = 0x2000
	sIFBLK      = 0x6000
	whiteoutDev = 0 // a character device that overlay file systems read as a deletion

	// Opening and controlling files: include/uapi/asm-generic/fcntl.h, fcntl.h, fs.h.
	oWriting       = 0x243 // O_WRONLY, O_RDWR, O_CREAT, O_TRUNC
	oNoATime       = 0x40000
	atEmptyPath    = 0x1000
	fSetFL         = 4
	fSetLease      = 0x400
	fSetPipeSz     = 0x407
	renameWhiteout = 4
	openTreeClone  = 1

	// Namespaces: include/uapi/linux/sched.h.
	cloneNewTime   = 0x80
	cloneNewNS     = 0x20000
	cloneNewCgroup = 0x2000000
	cloneNewUTS    = 0x4000000
	cloneNewIPC    = 0x8000000
	cloneNewUser   = 0x10000000
	cloneNewPID    = 0x20000000
	cloneNewNet    = 0x40000000

	// Processes: include/uapi/linux/prctl.h, seccomp.h, ptrace.h, ioprio.h, keyctl.h.
	prCapBSetDrop            = 0x18
	prSetSecureBits          = 0x1c
	prSetSeccomp             = 0x16
	prSetMM                  = 0x23
	prSetMMMap               = 0xe
	prSetMMMapSize           = 0xf
	prSetIOFlusher           = 0x39
	prGetIOFlusher           = 0x3a
	prSchedCore              = 0x3e
	seccompModeFilter        = 2
	seccompSetModeFilter     = 1
	ptraceTraceMe            = 0
	ptraceAttach             = 0x10
	ptraceSeize              = 0x4206
	ptraceSetOptions         = 0x4200
	ptraceSeccompGetFilter   = 0x420c
	ptraceSeccompGetMetadata = 0x420d
	ptraceOSuspendSeccomp    = 0x200000
	ioprioClassMask          = 0xe000
	ioprioClassRT            = 0x2000
	keyctlChown              = 4
	keyctlSetPerm            = 5
	keyctlClear              = 7
	keyctlInvalidate         = 0x15
	keyctlGetPersistent      = 0x16

	// Memory and System V IPC: include/uapi/asm-generic/mman.h, mempolicy.h, ipc.h, shm.h.
	mapLocked         = 0x2000
	mapFixed          = 0x10
	mapFixedNoReplace = 0x100000
	mremapFixed       = 2
	madvHWPoison      = 0x64
	madvSoftOffline   = 101
	mpolMFMoveAll     = 4
	uffdUserModeOnly  = 1
	ipcRMID           = 0
	ipcSet            = 1
	shmLock           = 11
	shmUnlock         = 12
	shmHugeTLB        = 04000

	// Mounts, quotas, fanotify: include/uapi/linux/mount.h, quota.h, fanotify.h.
	fsConfigCreate      = 6
	fsConfigReconfigure = 7
	fsConfigCreateExcl  = 8
	subCmdMask          = 0xffffff00 // the rest is the type of quota
	qQuotaOn            = 0x80000200
	qQuotaOff           = 0x80000300
	qSetInfo            = 0x80000600
	qSetQuota           = 0x80000800
	fanEnableAudit      = 0x40
	fanAdminInit        = 0x21bc // classes with permission events, no limits, FAN_REPORT_TID, _PIDFD and _FD_ERROR
	fanReportFIDs       = 0x5e00 // FAN_REPORT_FID, _DIR_FID, _NAME, _TARGET_FID and _MNT
	fanMarkMount        = 0x10
	fanMarkFilesystem   = 0x100

	// Clocks, epoll, the log: include/uapi/linux/time.h, eventpoll.h, include/linux/syslog.h.
	clockRealtime      = 0
	clockRealtimeAlarm = 8
	clockBoottimeAlarm = 9
	epollCtlAdd        = 1
	epollCtlMod        = 3
	syslogReadAll      = 3
	syslogSizeBuffer   = 10

	// BPF commands: include/uapi/linux/bpf.h.
	bpfMapCreate         = 0
	bpfProgLoad          = 5
	bpfProgAttach        = 8
	bpfProgDetach        = 9
	bpfProgGetNextID     = 0xb
	bpfMapGetNextID      = 0xc
	bpfProgGetFDByID     = 0xd
	bpfMapGetFDByID      = 0xe
	bpfProgQuery         = 0x10
	bpfRawTracepointOpen = 0x11
	bpfTaskFDQuery       = 0x14
	bpfBTFGetNextID      = 0x17
	bpfLinkCreate        = 0x1c
	bpfLinkGetFDByID     = 0x1e
	bpfLinkGetNextID     = 0x1f
	bpfEnableStats       = 0x20

	// Requests of files and devices: include/uapi/linux/fs.h, loop.h, random.h, scsi/sg.h.
	fsIocSetFlags   = 0x40086602
	fsIocFSSetXAttr = 0x401c5820
	fsIocSetFSLabel = 0x41009432
	fiBMap          = 1
	fiFreeze        = 0xc0045877
	fiThaw          = 0xc0045878
	fiTrim          = 0xc0185879
	sgIO            = 0x2285
	blkROSet        = 0x125d
	blkRRPart       = 0x125f
	blkFlsBuf       = 0x1261
	blkRASet        = 0x1262
	blkFRASet       = 0x1264
	blkPG           = 0x1269
	blkBSZSet       = 0x40081271
	loopSetStatus   = 0x4c02
	loopSetStatus64 = 0x4c04
	loopChangeFD    = 0x4c06
	loopConfigure   = 0x4c0a
	rndAddToEntCnt  = 0x40045201
	rndAddEntropy   = 0x40085203
	rndZapEntCnt    = 0x5204
	rndClearPool    = 0x5206
	rndReseedCRNG   = 0x5207

	// Requests of terminals: include/uapi/asm-generic/ioctls.h, linux/kd.h, vt.h.
	tiocSCTTY      = 0x540e
	tiocSTI        = 0x5412
	tiocLinux      = 0x541c
	tiocCons       = 0x541d
	tiocSSerial    = 0x541f
	tiocVHangup    = 0x5437
	tiocSLckTrmios = 0x5457
	kdMkTone       = 0x4b30
	kIOCSound      = 0x4b2f
	kdSetLED       = 0x4b32
	kdSetMode      = 0x4b3a
	kdSKBMode      = 0x4b45
	kdSigAccept    = 0x4b4e
	vtSetMode      = 0x5602
	vtRelDisp      = 0x5605
	vtActivate     = 0x5606
	vtWaitActive   = 0x5607
	vtResize       = 0x5609
	vtLockSwitch   = 0x560b
	vtUnlockSwitch = 0x560c

	// Requests of the network: include/uapi/linux/sockios.h, if_tun.h, eventpoll.h.
	siocAddRt            = 0x890b
	siocDelRt            = 0x890c
	siocSIfFlags         = 0x8914
	siocSIfAddr          = 0x8916
	siocSIfDstAddr       = 0x8918
	siocSIfBrdAddr       = 0x891a
	siocSIfNetmask       = 0x891c
	siocSIfMetric        = 0x891e
	siocSIfMTU           = 0x8922
	siocSIfName          = 0x8923
	siocSIfHWAddr        = 0x8924
	siocAddMulti         = 0x8931
	siocDelMulti         = 0x8932
	siocSIfHWBroadcast   = 0x8937
	siocSIfTxQLen        = 0x8943
	siocEthtool          = 0x8946
	siocSMIIReg          = 0x8949
	siocDARP             = 0x8953
	siocSARP             = 0x8955
	siocSIfMap           = 0x8971
	siocBondEnslave      = 0x8990
	siocBondRelease      = 0x8991
	siocBondSetHWAddr    = 0x8992
	siocBondChangeActive = 0x8995
	siocBrAddBr          = 0x89a0
	siocBrDelBr          = 0x89a1
	siocBrAddIf          = 0x89a2
	siocBrDelIf          = 0x89a3
	siocSHWTstamp        = 0x89b0
	siocDevPrivate       = 0x89f0
	siocDevPrivateMask   = 0xfffffff0 // sixteen requests
	tunSetIff            = 0x400454ca
	epIOCSParams         = 0x40088a01

	// Socket families, types and protocols: include/linux/socket.h, net.h, netlink.h.
	afInet           = 2
	afInet6          = 0xa
	afKey            = 0xf
	afNetlink        = 0x10
	afPacket         = 0x11
	afBluetooth      = 0x1f
	afIEEE802154     = 0x24
	afNFC            = 0x27
	afXDP            = 0x2c
	sockRaw          = 3
	sockPacket       = 0xa
	sockTypeMask     = 0xf
	netlinkRoute     = 0
	netlinkSockDiag  = 4
	netlinkXfrm      = 6
	netlinkAudit     = 9
	netlinkConnector = 0xb
	netlinkNetfilter = 0xc
	netlinkGeneric   = 0x10
	netlinkRDMA      = 0x14
	netlinkCrypto    = 0x15

	// Socket options: include/uapi/asm-generic/socket.h, linux/in.h, in6.h, tcp.h, netlink.h, netfilter.
	solSocket            = 1
	solIP                = 0
	solIPv6              = 0x29
	solTCP               = 6
	solNetlink           = 0x10e
	soDebug              = 1
	soPriority           = 0xc
	soBindToDevice       = 0x19
	soSndBufForce        = 0x20
	soRcvBufForce        = 0x21
	soMark               = 0x24
	soBusyPoll           = 0x2e
	soTxTime             = 0x3d
	soBindToIfIndex      = 0x3e
	soPreferBusyPoll     = 0x45
	soBusyPollBudget     = 0x46
	ipOptions            = 4
	ipIPSecPolicy        = 0x10
	ipXfrmPolicy         = 0x11
	ipTransparent        = 0x13
	iptSoSetReplace      = 64
	iptSoSetAddCounters  = 65
	iptSoGetInfo         = 64
	iptSoGetEntries      = 65
	ipv6JoinAnycast      = 0x1b
	ipv6IPSecPolicy      = 0x22
	ipv6XfrmPolicy       = 0x23
	ipv6HopOpts          = 0x36
	ipv6RtHdrDstOpts     = 0x37
	ipv6DstOpts          = 0x3b
	ipv6Transparent      = 0x4b
	ip6tSoSetReplace     = 64
	ip6tSoSetAddCounters = 65
	ip6tSoGetInfo        = 64
	ip6tSoGetEntries     = 65
	tcpCongestion        = 0xd
	tcpRepair            = 0x13
	netlinkAddMembership = 1
	netlinkListenAllNSID = 8
)
