/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/*
 * What files.bpf.h keeps and sends, and what it needs to know of the kernel
 * beyond kernel.h. The loader has the types up to the first map, generated
 * from these.
 */
#pragma once

#include "maps.h"

/* How a call names files, and where it does. */
enum file_op {
	FILE_NONE = 0,
	FILE_OPEN = 1,	    /* returns a descriptor of the file that it names */
	FILE_NAMES = 2,	    /* names one file or two */
	FILE_FD = 3,	    /* is about the file behind a descriptor */
	FILE_LOCK = 4,	    /* likewise, if argument 1 is a command that locks */
	FILE_MMAP = 5,	    /* maps a descriptor */
	FILE_BIND = 6,	    /* gives a socket an address */
	FILE_CONNECT = 7,   /* gives a socket a peer */
	FILE_SENDTO = 8,    /* sends to the address in argument 4 */
	FILE_SENDMSG = 9,   /* sends to the address in the struct msghdr at argument 1 */
	FILE_SOCKETCALL = 10, /* binds or connects, with its arguments at argument 1 */
	FILE_MOUNT = 11,    /* changes the tree of mounts */
	FILE_KILL = 12,	    /* sends the signal in flags to the process in dir[0], or the pidfd in dir[1] */
	FILE_PTRACE = 13,   /* ptrace(2) */
	FILE_READPROC = 14, /* reads, as ptrace has it, the process that it names */
	FILE_TRACEPROC = 15, /* traces, likewise */
	FILE_EXEC = 16,	    /* an exec; one that succeeds is seen by on_exec_files */
	FILE_SHMGET = 17,   /* gets shared memory, in huge pages if the flags say so */
	FILE_MEMFD = 18,    /* makes a file in memory, likewise */
};

/* AppArmor's permissions, a bit each, in the order of their letters "rwalkmx". */
enum {
	MAY_READ = 1,
	MAY_WRITE = 2,
	MAY_APPEND = 4,
	MAY_LINK = 8,
	MAY_LOCK = 16,
	MAY_MAP = 32,
	MAY_EXEC = 64,
};

enum {
	NO_ARG = 7,	    /* instead of the index of an argument */
	TEXT_MAX = 16384,   /* bytes of names in an event */
	NAME_LEN = 4096,    /* PATH_MAX, of a name in user memory */
	COMPONENT_LEN = 256, /* NAME_MAX, with the NUL */
	DEPTH_MAX = 128,    /* directories between a file and the root */
	WAKE_BYTES = 65536, /* in the ring before the loader is woken */
};

/* What to look for in a call. Indexes of arguments are NO_ARG where there is none. */
struct filespec {
	enum file_op op;
	__u8 perms[2]; /* of each file named */
	__u8 dir[2];   /* descriptors that names are relative to, or that it is about */
	__u8 name[2];
	__u8 flags;    /* AT_*, O_* or MS_* flags */
	__u8 how;      /* the flags are in a struct open_how, to which that argument points */
	__u8 type;     /* the type of a file system, a name */
	__u8 zero[3];
};

struct filetable {
	struct filespec of[NR_MAX];
};

/* The parts of an event's text, in their order. */
enum part {
	NAME_0 = 0,
	BASE_0 = 1, /* what name 0 is relative to */
	NAME_1 = 2,
	BASE_1 = 3,
	TYPE = 4,
	PARTS = 5,
};

/* What an event is about. */
enum event_kind {
	EVENT_FILE = 1,	 /* a file that the kernel had in hand: base 0 names it */
	EVENT_NAMES = 2, /* names in user memory, with what they are relative to */
	EVENT_EXEC = 3,	 /* the program of an exec: base 0 names it */
	EVENT_SCRIPT = 4, /* an exec of a script, which base 0 and name 0 name */
	EVENT_MOUNT = 5, /* as EVENT_NAMES, with type */
	EVENT_ROOT = 6,	 /* a mount namespace: whoever wants its root has to look now */
};

enum {
	FILE_OWNED = 1,	  /* by who used it */
	FILE_MOUNTED = 2, /* on another mount than the root */
	FILE_CREATED = 4, /* by this */
	FILE_ENCLOSED = 8, /* the user has a pid namespace that the recorder's root is not in */
	FILE_OF_OURS = 32, /* in /proc, of a followed process */
	FILE_HOME = 16, /* the user is in the mount namespace of the recorder's root */
};

/*
 * One use of one or two files. What comes before kind differs between uses
 * that are the same otherwise, of which only the first is sent.
 */
struct event {
	__u64 exe;  /* stands for the program, in an exec */
	__u32 pid;  /* of the process, in the first pid namespace */
	__u32 tgid; /* the same in its own one */
	__u32 uid;  /* the file's owner */
	__u32 fsuid;

	enum event_kind kind;
	__u8 perms[2];
	__u16 mode;  /* the file's type, S_IF* */
	__u16 error; /* the call's, or 0 */
	__u8 flags;
	__u8 zero;
	__u32 self;  /* tgid, if the file is one of procfs */
	struct call call;
	__u32 who;   /* fsuid, if the file's owner is only found out by its name */
	__u64 arg;   /* the call's flags */
	__u64 by;    /* exe of the program that ran the exec */
	__u64 mnt;   /* the mount namespace, where names are to be resolved in it */
	/*
	 * How long each part of text is. A base is a path's components, from the
	 * last one up, and a name what stands in user memory; each ends with a NUL.
	 */
	__u16 len[PARTS];
	__u16 zero3[3];
	char text[TEXT_MAX];
};

/* Whom a signal or ptrace met. */
enum peer {
	PEER_SELF = 0,
	PEER_WITHIN = 1,
	PEER_OUTSIDE = 2,
};

enum {
	MET_SIGNAL = 0, /* and its number */
	MET_READ = 1,
	MET_TRACE = 2,
};

struct meeting {
	enum phase phase;
	enum peer peer;
	__u32 how; /* MET_* */
	__u32 number;
};

/* By ABI, native and compat. The loader fills it in: it knows the numbers. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct filetable);
} filespecs SEC(".maps");

/* An event in the making, while busy. */
struct draft {
	__u32 busy;
	__u32 used; /* bytes of text */
	__u32 bad;  /* something could not be read whole */
	__u32 zero;
	struct event event;
	char room[NAME_LEN]; /* so that whoever checks an offset into text may still add a name */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct draft);
} drafts SEC(".maps");

/* Hashes of events that were sent. One that is forgotten is sent again. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 262144); /* as many as the loader keeps */
	__type(key, __u64);
	__type(value, __u8);
} sent SEC(".maps");

/* Hashes of events for which there was no room, until they are sent after all. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 262144);
	__type(key, __u64);
	__type(value, __u8);
} missed SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 8 << 20);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2048);
	__type(key, struct meeting);
	__type(value, __u8);
} meetings SEC(".maps");

static long (*const bpf_map_delete_elem)(void *map, const void *key) = (void *)3;
static long (*const bpf_probe_read_user_str)(void *dst, __u32 size, const void *user) = (void *)114;
static long (*const bpf_probe_read_kernel_str)(void *dst, __u32 size, const void *kernel) = (void *)115;
static __u64 (*const bpf_get_current_pid_tgid)(void) = (void *)14;
static long (*const bpf_ringbuf_output)(void *ring, void *data, __u64 size, __u64 flags) = (void *)130;
static __u64 (*const bpf_ringbuf_query)(void *ring, __u64 what) = (void *)134;
static long (*const bpf_task_pt_regs)(struct task_struct *task) = (void *)175;

enum {
	BPF_RB_NO_WAKEUP = 1,
	BPF_RB_FORCE_WAKEUP = 2,
	BPF_RB_AVAIL_DATA = 0,
};

/* Only to ask whether the kernel has the helper. */
enum bpf_func_id {
	BPF_FUNC_find_vma = 180, /* since 5.17 */
};

/* include/linux/fs.h */
enum {
	FMODE_READ = 0x1,
	FMODE_WRITE = 0x2,
	FMODE_PATH = 0x4000,
	FMODE_CREATED = 0x100000,
	FMODE_BACKING = 0x2000000,
};

#define SB_NOUSER (1UL << 31) /* pipes, sockets, memfd: AppArmor has no names for them */
#define PROC_SUPER_MAGIC 0x9fa0
#define MNT_INTERNAL 0x4000 /* mounted nowhere: namespaces */
#define S_IFREG 0100000

/* include/uapi/asm-generic/fcntl.h, and the same on x86 and arm64 */
enum {
	O_CREAT = 0100,
	O_TRUNC = 01000,
	O_APPEND = 02000,
	AT_FDCWD = -100,
	AT_EMPTY_PATH = 0x1000,
};

enum {
	F_SETLK = 6,
	F_SETLKW = 7,
	F_SETLK64 = 13, /* compat */
	F_SETLKW64 = 14,
	F_OFD_SETLK = 37,
	F_OFD_SETLKW = 38,
	PROT_EXEC = 4,
	PROT_READ = 1,
	PROT_WRITE = 2,
	MAP_SHARED = 0x1,
	MAP_ANONYMOUS = 0x20,
	MAP_HUGETLB = 0x40000,
	SHM_HUGETLB = 04000,
	MFD_HUGETLB = 4,
	AF_UNIX = 1,
	SYS_BIND = 2,
	SYS_CONNECT = 3,
	PTRACE_TRACEME = 0,
	PTRACE_ATTACH = 16,
	PTRACE_SEIZE = 0x4206,
};

struct qstr {
	const char *name;
} __core;

struct dentry {
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
} __core;

struct vfsmount {
	struct dentry *mnt_root;
	int mnt_flags;
} __core;

struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
} __core;

struct super_block {
	unsigned long s_flags;
	unsigned long s_magic;
} __core;

struct proc_inode {
	struct pid *pid;
	struct inode vfs_inode;
} __core;

/* What overlayfs maps and opens below itself; since 6.5. */
struct backing_file {
	struct file file;
	struct path user_path; /* since 6.8; before, f_path is the user's */
} __core;

struct fs_struct {
	struct path root;
	struct path pwd;
} __core;

struct unix_sock {
	struct path path;
	struct sock *peer;
} __core;

struct vm_area_struct {
	struct file *vm_file;
} __core;

struct linux_binprm {
	struct file *file;
	const char *filename;
	const char *interp;
} __core;

static long (*const bpf_find_vma)(struct task_struct *task, __u64 addr, void *callback, void *ctx, __u64 flags) = (void *)180;
