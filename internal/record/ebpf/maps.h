/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/*
 * What recorder.bpf.c keeps: the maps, and what is in them. The loader has the
 * same types, generated from these.
 */
#pragma once

#include "kernel.h"

enum {
	NR_MAX = 512,  /* higher numbers are kept one by one, in calls and refusals */
	ABI_MAX = 3,
	CACHE_MAX = 16, /* tuples that a task remembers to have recorded */
	NO_CALL = 0xffffffff,
	USERNS_DEPTH = 34, /* the kernel nests user namespaces no deeper */
};

/* The ABI that a call came in through. */
enum abi {
	ABI_NATIVE = 0,
	ABI_COMPAT = 1, /* ia32 on x86, AArch32 on arm64 */
	ABI_X32 = 2,
};

enum phase {
	PHASE_NONE = 0,	   /* storage just created */
	PHASE_ROOT = 1,	   /* not recorded, its children will be */
	PHASE_PENDING = 2, /* followed, and waiting for its start */
	PHASE_RUNTIME = 3, /* from here on recorded */
	PHASE_START = 4,
	PHASE_SERVE = 5,
	PHASE_STOP = 6,
	PHASE_EXEC = 7,
	PHASE_MAX = 8,
};

enum start {
	START_AT_EXEC = 0,
	START_AT_FILTER = 1,
};

enum args_kind {
	ARGS_NONE = 0,
	ARGS_PLAIN = 1,
	ARGS_CLONE3 = 2,     /* u64 flags, first in the struct at argument 0 */
	ARGS_SOCKETCALL = 3, /* call in argument 0, its arguments at argument 1 */
	ARGS_ACCEPT = 4,     /* none: it tells that the workload serves */
	ARGS_LISTEN = 5,     /* protocol and port of the socket in argument 0 */
	ARGS_BIND = 6,	     /* the same of the address at argument 1, for UDP */
};

enum {
	SYS_SOCKET = 1,
	SYS_SOCKETPAIR = 8,
	SOCK_TYPE_MASK = 0xf,
	AF_INET = 2,
	AF_INET6 = 10,
	IPPROTO_UDP = 17,
	S_IFMT = 0170000,
	S_IFSOCK = 0140000,
	SOCK_BINDPORT_LOCK = 8, /* include/net/sock.h */
	CAP_OPT_NOAUDIT = 2,
	NO_ARGS = 1,
};

struct tally {
	/* What could not be kept. */
	__u64 lost_tasks;
	__u64 lost_tuples;
	__u64 lost_calls;
	__u64 lost_refusals;
	__u64 lost_denials;  /* no more than how they were made: refusals has them */
	__u64 lost_checks;
	__u64 lost_containers;
	__u64 lost_lookups;
	__u64 lost_events;   /* no room in the ring, nor to remember that */
	__u64 lost_drafts;   /* another one was in the making */
	__u64 lost_names;    /* too long, or out of reach */
	__u64 lost_meetings;
	/* Tasks that on_task began to follow. */
	__u64 adopted;
};

/* Which calls were made in one phase. */
struct set {
	__u8 seen[ABI_MAX][NR_MAX];
	__u8 refused[ABI_MAX][NR_MAX]; /* by a filter, before they were seen */
	__u8 anyarg[ABI_MAX][NR_MAX];  /* with arguments that tuples does not list */
	__u8 ntuples[ABI_MAX][NR_MAX];
};

struct call {
	enum phase phase;
	enum abi abi;
	__u32 nr;
};

struct tuple {
	struct call call;
	__u32 zero;
	__u64 v[4];
};

struct check {
	struct call call;
	__u16 cap;
	__u8 granted;
	__u8 overridden;
	__u8 nested;
	__u8 unaudited;
	__u8 zero[2];
};

/* A question for a capability that was not yet seen to be answered. */
struct asked {
	__u64 cred;
	__u64 ns;
	__u32 cap;
	__u32 opts;
	__u32 open;
	__u32 zero;
};

/* A call that a filter refused, the first of its kind: by tuple. */
struct denial {
	struct tuple kind;
	__u64 args[6];
	__u64 ret;
	__u64 ip;   /* where the task goes on */
	__u32 tgid; /* of the host's pid namespace */
	__u32 zero;
	char comm[16];
};

/* How far the workload has come. */
struct course {
	enum phase phase; /* of tasks in phase start or serve, if it is a later one */
	__u32 at_accept;  /* whoever accepts a connection first begins phase serve */
};

struct state {
	enum phase phase;
	enum start start;
	enum abi abi;  /* of the call entered last */
	__u32 nr;      /* its number, or NO_CALL */
	__u32 entered; /* seen to enter a call that it was not yet seen to leave */
	__u32 filters; /* in force for the root when it forked this branch */
	__u32 init;    /* the process that became the runtime in this branch */
	__u32 pidns;   /* how deep the root's pid namespace is */
	__u64 mnt;     /* the root's mount namespace */
	__u64 exe;     /* stands for the program that it runs, see struct event */
	__u64 shown;   /* the mount namespace that was sent last */
	__u64 userns;  /* where this branch was when it began to count */
	struct asked asked;
	struct tuple cache[CACHE_MAX]; /* recorded already: a repeat costs next to nothing */
};

/* Which arguments of a call to record. */
struct argspec {
	enum args_kind kind;
	__u8 index[3];
	__u8 max;      /* how many different ones to list, in one phase */
	__u64 mask[3]; /* 0: no such argument */
};

struct argtable {
	struct argspec of[NR_MAX];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct course);
} courses SEC(".maps");

/* By ABI, native and compat. The loader fills it in: it knows the numbers. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct argtable);
} argspecs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct state);
} tasks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct tally);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PHASE_MAX);
	__type(key, __u32);
	__type(value, struct set);
} sets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, struct tuple);
	__type(value, __u8);
} tuples SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, struct call);
	__type(value, __u8);
} calls SEC(".maps");

/* As calls, but refused by a filter before they were seen. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, struct call);
	__type(value, __u8);
} refusals SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct check);
	__type(value, __u8);
} checks SEC(".maps");

/* Mount namespaces of containers, with the process that first exec'd there. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u64);
	__type(value, __u32);
} containers SEC(".maps");

/* Kinds of refused calls that were sent. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct tuple);
	__type(value, __u8);
} refused SEC(".maps");

/* Sends each kind once, while the task is still there to be asked about. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 18);
} denials SEC(".maps");
