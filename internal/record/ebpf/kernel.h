/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/*
 * What recorder.bpf.c needs to know of the kernel and of the BPF machine, and
 * no more.
 *
 * The structs marked __core are not the kernel's: they name the members that
 * are read, and the loader rewrites every access for the kernel it meets. The
 * order of members and whatever is missing here do not matter. With this there
 * is no generated vmlinux.h to carry, and no header of the build host that
 * could change what is compiled.
 */
#pragma once

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef _Bool bool;

#define NULL ((void *)0)
#define true 1
#define false 0
#define __core __attribute__((preserve_access_index))
#define __inline static inline __attribute__((always_inline))

/* How the loader finds programs, maps and the members of maps. */
#define SEC(name) __attribute__((section(name), used))
#define __uint(name, val) int (*name)[val]
#define __type(name, val) typeof(val) *name
#define __field_exists(field) __builtin_preserve_field_info(field, 2)
#define __field_byte_offset(field) __builtin_preserve_field_info(field, 0)
#define __field_byte_size(field) __builtin_preserve_field_info(field, 1)
#define __field_lshift(field) __builtin_preserve_field_info(field, 4) /* of a bit-field in 64 bits, */
#define __field_rshift(field) __builtin_preserve_field_info(field, 5) /* and then back */
#define __enum_exists(type, name) __builtin_preserve_enum_value(*(type *)name, 0)

enum bpf_map_type {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_RINGBUF = 27,
	BPF_MAP_TYPE_TASK_STORAGE = 29,
	BPF_MAP_TYPE_CGRP_STORAGE = 32, /* since 6.2 */
};

enum {
	BPF_F_NO_PREALLOC = 1,
	BPF_LOCAL_STORAGE_GET_F_CREATE = 1,
	BPF_ANY = 0,
	BPF_NOEXIST = 1,
};

#define EFAULT 14
#define EBUSY 16
#define EEXIST 17

struct task_struct;

/* Helpers, by their number in the kernel's include/uapi/linux/bpf.h. */
static void *(*const bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static long (*const bpf_map_update_elem)(void *map, const void *key, const void *value, __u64 flags) = (void *)2;
static long (*const bpf_probe_read_user)(void *dst, __u32 size, const void *user) = (void *)112;
static long (*const bpf_probe_read_kernel)(void *dst, __u32 size, const void *kernel) = (void *)113;
static void *(*const bpf_task_storage_get)(void *map, struct task_struct *task, void *value, __u64 flags) = (void *)156;
static long (*const bpf_task_storage_delete)(void *map, struct task_struct *task) = (void *)157;
static struct task_struct *(*const bpf_get_current_task_btf)(void) = (void *)158;
static long (*const bpf_get_current_comm)(void *into, __u32 size) = (void *)16;
static void *(*const bpf_ringbuf_reserve)(void *ring, __u64 size, __u64 flags) = (void *)131;
static void (*const bpf_ringbuf_submit)(void *data, __u64 flags) = (void *)132;

/* The value of a member, read through any pointer. */
#define READ(member)                                                              \
	({                                                                        \
		typeof(member) v_;                                                \
		bpf_probe_read_kernel((void *)&v_, sizeof(v_), &(member));                \
		v_;                                                               \
	})

#if defined(__TARGET_ARCH_x86)
struct pt_regs {
	unsigned long bp, bx, r10, r9, r8, ax, cx, dx, si, di, orig_ax, ip;
} __core;

/* What a function of the kernel is called with, and what it returned. */
#define PARAMETER(regs, i) ((i) == 0 ? (regs)->di : (i) == 1 ? (regs)->si : (i) == 2 ? (regs)->dx : (regs)->cx)
#define RETURNED(regs) ((regs)->ax)

struct thread_info {
	__u32 status;
} __core;
#elif defined(__TARGET_ARCH_arm64)
struct pt_regs {
	__u64 regs[31];
	__u64 pc;
	__u64 orig_x0;
	int syscallno;
} __core;

#define PARAMETER(regs, i) ((regs)->regs[i])
#define RETURNED(regs) ((regs)->regs[0])

struct thread_info {
	unsigned long flags;
} __core;
#else
#error "no system call convention known for this architecture"
#endif

typedef struct {
	int counter;
} __core atomic_t;

struct seccomp {
	int mode;
	atomic_t filter_count; /* since 5.9 */
} __core;

struct ns_common {
	unsigned int inum;
	__u64 ns_id; /* since 6.18 */
} __core;

struct mnt_namespace {
	struct ns_common ns;
	__u64 seq; /* until 6.17 */
} __core;

struct nsproxy {
	struct mnt_namespace *mnt_ns;
} __core;

typedef struct {
	unsigned int val;
} __core kuid_t;

struct user_namespace {
	struct user_namespace *parent;
	kuid_t owner;
	struct ns_common ns;
} __core;

struct cred {
	kuid_t euid;
	kuid_t fsuid;
	struct user_namespace *user_ns;
} __core;

struct fs_struct;
struct vfsmount;
struct dentry;
struct super_block;

struct upid {
	int nr;
	void *ns;
};

struct hlist_node {
	struct hlist_node *next;
	struct hlist_node **pprev;
};

struct hlist_head {
	struct hlist_node *first;
} __core;

struct pid {
	unsigned int level;
	struct hlist_head tasks[4]; /* by PIDTYPE_* */
	struct upid numbers[1];
} __core;

struct signal_struct {
	struct pid *pids[4];
} __core;

enum {
	PIDTYPE_PID = 0,
	PIDTYPE_TGID = 1,
};

struct list_head {
	struct list_head *next;
} __core;

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
} __core;

struct inode {
	unsigned short i_mode;
	kuid_t i_uid;
	struct super_block *i_sb;
} __core;

struct file {
	unsigned int f_mode;
	struct path f_path;
	void *private_data;
	struct inode *f_inode;
} __core;

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
} __core;

struct files_struct {
	struct fdtable *fdt;
} __core;

struct sock_common {
	__u16 skc_num;
	unsigned short skc_family;
} __core;

struct sock {
	struct sock_common __sk_common;
	__u16 sk_protocol;
	__u8 sk_userlocks : 4;
} __core;

struct socket {
	struct sock *sk;
} __core;

struct task_struct {
	struct thread_info thread_info;
	struct fs_struct *fs;
	struct files_struct *files;
	struct signal_struct *signal;
	struct hlist_node pid_links[4];
	struct list_head ptraced;
	struct list_head ptrace_entry; /* in the ptraced of who traces it */
	struct task_struct *real_parent;
	struct task_struct *group_leader;
	int pid;
	int tgid;
	const struct cred *real_cred;
	const struct cred *cred;
	struct nsproxy *nsproxy;
	struct seccomp seccomp;
	void *bpf_storage;
} __core;

/* The context of an iter/task program: the iterator's own layout, fixed. */
struct bpf_iter__task {
	__u64 meta;
	union {
		struct task_struct *task;
		__u64 : 64;
	};
};
