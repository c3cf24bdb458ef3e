//go:build ignore

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/*
 * Records which system calls, arguments and capability checks followed tasks
 * make, as sets in maps. Nothing is sent to user space as it happens: the
 * loader reads the maps when it wants to know.
 *
 * A task is followed if it has a struct state in the map tasks. The kernel
 * frees it with the task, and on_fork hands it down, so that a task stays
 * followed whatever it does to its name, parent or namespaces.
 *
 * Nothing here is dropped silently: what does not fit is counted.
 */
#include "maps.h"

char _license[] SEC("license") = "Dual BSD/GPL";

/* count adds one to the counter at an offset in struct tally. */
__inline void count(__u32 offset)
{
	__u32 zero = 0;
	void *c = bpf_map_lookup_elem(&counters, &zero);

	if (c)
		__sync_fetch_and_add((__u64 *)(c + offset), 1);
}

/* Names a counter for count. */
#define COUNTER(name) __builtin_offsetof(struct tally, name)

/* put adds key to a set; what does not fit is counted. */
__inline long put(void *map, const void *key, __u32 counter)
{
	__u8 one = 1;
	long err = bpf_map_update_elem(map, key, &one, BPF_NOEXIST);

	if (err && err != -EEXIST)
		count(counter);
	return err;
}

/* put_call adds a call whose number is too high for struct set. */
__inline void put_call(void *map, enum phase phase, enum abi abi, __u32 nr, __u32 counter)
{
	struct call c = {.phase = phase, .abi = abi, .nr = nr};

	if (!bpf_map_lookup_elem(map, &c))
		put(map, &c, counter);
}

/*
 * Until 6.1 the kernel finds no state, for any task, while something else on this
 * CPU is at one. t, which has none to be found, may have one all the same. To ask
 * for its removal tells: the same thing stands in the way, and there is nothing
 * to remove otherwise.
 */
__inline void count_busy(struct task_struct *t)
{
	if (__enum_exists(enum bpf_map_type, BPF_MAP_TYPE_CGRP_STORAGE))
		return;
	if (bpf_task_storage_delete(&tasks, t) == -EBUSY)
		count(COUNTER(lost_lookups));
}

/*
 * state_of returns the state of a followed task. Most tasks on a host are not:
 * a look at the pointer saves them the helper, a sixth of what a call costs them.
 */
__inline struct state *state_of(struct task_struct *t)
{
	struct state *s;

	if (!t->bpf_storage)
		return NULL;
	s = bpf_task_storage_get(&tasks, t, NULL, 0);
	if (!s)
		count_busy(t);
	return s;
}

/* follow gives t a state, outside any call. */
__inline struct state *follow(struct task_struct *t, enum phase phase)
{
	struct state *s = bpf_task_storage_get(&tasks, t, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (!s) {
		count(COUNTER(lost_tasks));
		return NULL;
	}
	s->phase = phase;
	s->nr = NO_CALL;
	s->entered = 1; /* what it does first is to return from fork, exec or whatever it was in */
	return s;
}

__inline bool recorded(const struct state *s)
{
	return s->phase >= PHASE_RUNTIME;
}

/* phase_of returns the phase that s is in: of the workload's own tasks, what all have come to. */
__inline enum phase phase_of(const struct state *s)
{
	__u32 zero = 0;
	const struct course *c;

	if (s->phase != PHASE_START && s->phase != PHASE_SERVE)
		return s->phase;
	c = bpf_map_lookup_elem(&courses, &zero);
	return c && c->phase > s->phase ? c->phase : s->phase;
}

/* accepting notes that s waits for somebody to serve: if nothing else tells, it serves from now on. */
__inline void accepting(const struct state *s)
{
	__u32 zero = 0;
	struct course *c = bpf_map_lookup_elem(&courses, &zero);

	if (c && c->at_accept && s->phase == PHASE_START && c->phase < PHASE_SERVE)
		c->phase = PHASE_SERVE;
}

/* How many seccomp filters are in force for t. */
__inline __u32 filters_of(struct task_struct *t)
{
	if (__field_exists(t->seccomp.filter_count))
		return t->seccomp.filter_count.counter;
	return t->seccomp.mode;
}

/*
 * Names a namespace. The inode number is the last resort: the kernel gives it to
 * the next one as soon as this one is gone.
 */
__inline __u64 name_of(const struct ns_common *ns)
{
	if (__field_exists(ns->ns_id))
		return ns->ns_id;
	return ns->inum;
}

/* Names t's mount namespace. */
__inline __u64 mnt_of(struct task_struct *t)
{
	struct mnt_namespace *ns = t->nsproxy->mnt_ns;

	if (__field_exists(ns->seq))
		return ns->seq;
	return name_of(&ns->ns);
}

/*
 * Names t's user namespace. Whatever is nested in one keeps it from going, so
 * that while a name is compared with that of an ancestor, it is not reused.
 */
__inline __u64 userns_of(struct task_struct *t)
{
	return name_of(&t->real_cred->user_ns->ns);
}

__inline bool in_container(struct task_struct *t)
{
	__u64 mnt = mnt_of(t);

	return bpf_map_lookup_elem(&containers, &mnt) != NULL;
}

/* add_container remembers a mount namespace; see struct state for init. */
__inline void add_container(__u64 mnt, __u32 init)
{
	if (bpf_map_update_elem(&containers, &mnt, &init, BPF_ANY))
		count(COUNTER(lost_containers));
}

/* How deep t's pid namespace is. */
__inline __u32 pidns_of(struct task_struct *t)
{
	struct pid *p = READ(t->signal->pids[PIDTYPE_TGID]);

	return READ(p->level);
}

__inline enum abi abi_of(struct task_struct *t, long id)
{
#if defined(__TARGET_ARCH_x86)
	if (t->thread_info.status & 2) /* TS_COMPAT */
		return ABI_COMPAT;
	if (id >= 0 && id & 0x40000000) /* __X32_SYSCALL_BIT */
		return ABI_X32;
#elif defined(__TARGET_ARCH_arm64)
	if (t->thread_info.flags & 1 << 22) /* _TIF_32BIT */
		return ABI_COMPAT;
#endif
	return ABI_NATIVE;
}

__inline __u32 nr_of(enum abi abi, long id)
{
	return abi == ABI_X32 ? id & ~0x40000000 : id;
}

__inline long id_of(const struct pt_regs *regs)
{
#if defined(__TARGET_ARCH_x86)
	return (int)regs->orig_ax;
#elif defined(__TARGET_ARCH_arm64)
	return regs->syscallno;
#endif
}

/* What a call returns, once it has. */
__inline long result(const struct pt_regs *regs)
{
#if defined(__TARGET_ARCH_x86)
	return regs->ax;
#elif defined(__TARGET_ARCH_arm64)
	return regs->regs[0];
#endif
}

/* Where the task goes on after the call. */
__inline __u64 site(const struct pt_regs *regs)
{
#if defined(__TARGET_ARCH_x86)
	return regs->ip;
#elif defined(__TARGET_ARCH_arm64)
	return regs->pc;
#endif
}

/* All arguments of a call. */
__inline void all_args(const struct pt_regs *regs, enum abi abi, __u64 *v)
{
#if defined(__TARGET_ARCH_x86)
	if (abi == ABI_COMPAT) {
		v[0] = (__u32)regs->bx;
		v[1] = (__u32)regs->cx;
		v[2] = (__u32)regs->dx;
		v[3] = (__u32)regs->si;
		v[4] = (__u32)regs->di;
		v[5] = (__u32)regs->bp;
		return;
	}
	v[0] = regs->di;
	v[1] = regs->si;
	v[2] = regs->dx;
	v[3] = regs->r10;
	v[4] = regs->r8;
	v[5] = regs->r9;
#elif defined(__TARGET_ARCH_arm64)
	v[0] = regs->orig_x0;
	v[1] = regs->regs[1];
	v[2] = regs->regs[2];
	v[3] = regs->regs[3];
	v[4] = regs->regs[4];
	v[5] = regs->regs[5];
#endif
}

/* The first three arguments of a call; i is 0 to 2. */
__inline __u64 arg(const struct pt_regs *regs, enum abi abi, __u32 i)
{
#if defined(__TARGET_ARCH_x86)
	if (abi == ABI_COMPAT)
		return (__u32)(i == 0 ? regs->bx : i == 1 ? regs->cx : regs->dx);
	return i == 0 ? regs->di : i == 1 ? regs->si : regs->dx;
#elif defined(__TARGET_ARCH_arm64)
	__u64 v = i == 0 ? regs->orig_x0 : i == 1 ? regs->regs[1] : regs->regs[2];

	return abi == ABI_COMPAT ? (__u32)v : v;
#endif
}

#include "ports.h"

/* begin lets a task count from now on. */
__inline void begin(struct task_struct *t, struct state *s, enum phase phase)
{
	s->phase = phase;
	s->userns = userns_of(t);
}

/* started tells whether a pending task counts from this moment on. */
__inline bool started(struct task_struct *t, struct state *s)
{
	if (s->phase != PHASE_PENDING || s->start != START_AT_FILTER)
		return false;
	if (filters_of(t) <= s->filters)
		return false;
	begin(t, s, PHASE_RUNTIME);
	s->init = t->tgid;
	return true;
}

/* read_args fills v as spec says; an error if user memory could not be read, NO_ARGS if there is nothing to record. */
__inline long read_args(const struct pt_regs *regs, enum abi abi, const struct argspec *spec, __u64 *v)
{
	__u32 sock[3] = {};

	switch (spec->kind) {
	case ARGS_CLONE3:
		return bpf_probe_read_user(&v[0], sizeof(v[0]), (void *)arg(regs, abi, 0));
	case ARGS_LISTEN:
		return listening(arg(regs, abi, 0), v);
	case ARGS_BIND:
		return binding(arg(regs, abi, 0), (void *)arg(regs, abi, 1), v);
	case ARGS_SOCKETCALL:
		v[0] = arg(regs, abi, 0) & 0xffffffff;
		if (v[0] != SYS_SOCKET && v[0] != SYS_SOCKETPAIR)
			return 0;
		if (bpf_probe_read_user(sock, sizeof(sock), (void *)arg(regs, abi, 1)))
			return -EFAULT;
		v[1] = sock[0];
		v[2] = sock[1] & SOCK_TYPE_MASK;
		v[3] = sock[2];
		return 0;
	default:
		v[0] = arg(regs, abi, spec->index[0]) & spec->mask[0];
		v[1] = arg(regs, abi, spec->index[1]) & spec->mask[1];
		v[2] = arg(regs, abi, spec->index[2]) & spec->mask[2];
		return 0;
	}
}

/* The place in a task's cache where t is, if it is there. */
__inline __u32 cache_index(const struct tuple *t)
{
	__u64 h = t->v[0] ^ t->v[1] << 8 ^ t->v[2] << 16 ^ t->v[3] << 24 ^ t->call.nr;

	return h * 0x9e3779b97f4a7c15ULL >> 60; /* CACHE_MAX is 1 << (64 - 60) */
}

__inline bool same(const struct tuple *a, const struct tuple *b)
{
	return a->v[0] == b->v[0] && a->v[1] == b->v[1] && a->v[2] == b->v[2] && a->v[3] == b->v[3] &&
	       a->call.nr == b->call.nr && a->call.abi == b->call.abi && a->call.phase == b->call.phase;
}

/* add_tuple records t, or that there are too many to list. nr is t's, bounded. */
__inline void add_tuple(struct set *set, const struct tuple *t, enum abi abi, __u32 nr, __u8 max)
{
	long err;

	if (bpf_map_lookup_elem(&tuples, t))
		return;
	if (set->ntuples[abi][nr] >= max) {
		set->anyarg[abi][nr] = 1;
		return;
	}
	err = put(&tuples, t, COUNTER(lost_tuples));
	if (!err)
		set->ntuples[abi][nr]++; /* racy: the loader counts again */
	else if (err != -EEXIST)
		set->anyarg[abi][nr] = 1;
}

/* record_args records the arguments of a call that s is entering in a phase. */
__inline void record_args(struct state *s, enum phase phase, struct set *set, const struct pt_regs *regs, enum abi abi, __u32 nr)
{
	struct tuple t = {.call = {.phase = phase, .abi = abi, .nr = nr}};
	const struct argtable *table;
	const struct argspec *spec;
	struct tuple *cached;
	long err;

	table = bpf_map_lookup_elem(&argspecs, &t.call.abi);
	if (!table)
		return;
	spec = &table->of[nr];
	if (spec->kind == ARGS_NONE || set->anyarg[abi][nr])
		return;
	if (spec->kind == ARGS_ACCEPT) {
		accepting(s);
		return;
	}
	err = read_args(regs, abi, spec, t.v);
	if (err) {
		if (err != NO_ARGS)
			set->anyarg[abi][nr] = 1;
		return;
	}
	cached = &s->cache[cache_index(&t)];
	if (same(cached, &t))
		return;
	add_tuple(set, &t, abi, nr, spec->max);
	*cached = t;
}

SEC("tp_btf/sys_enter")
int on_sys_enter(__u64 *ctx)
{
	const struct pt_regs *regs = (void *)ctx[0];
	struct task_struct *t = bpf_get_current_task_btf();
	struct state *s = state_of(t);
	struct set *set;
	enum abi abi;
	__u32 phase, nr;

	if (!s)
		return 0;
	abi = abi_of(t, ctx[1]);
	nr = nr_of(abi, ctx[1]);
	s->entered = 1;
	s->abi = abi;
	s->nr = nr;
	if (!recorded(s) && !started(t, s))
		return 0;
	phase = phase_of(s);
	if (nr >= NR_MAX) {
		put_call(&calls, phase, abi, nr, COUNTER(lost_calls));
		return 0;
	}
	set = bpf_map_lookup_elem(&sets, &phase);
	if (!set)
		return 0;
	if (!set->seen[abi][nr])
		set->seen[abi][nr] = 1;
	if (abi != ABI_X32) /* which argspecs has no entry for */
		record_args(s, phase, set, regs, abi, nr);
	return 0;
}

/* deny sends how a refused call was made, once for each kind of it. */
__inline void deny(struct task_struct *t, const struct pt_regs *regs, enum phase phase, enum abi abi, __u32 nr)
{
	struct tuple kind = {.call = {.phase = phase, .abi = abi, .nr = nr}};
	const struct argtable *table = bpf_map_lookup_elem(&argspecs, &kind.call.abi);
	const struct argspec *spec;
	struct denial *d;

	if (table && nr < NR_MAX) {
		spec = &table->of[nr];
		if (spec->kind == ARGS_PLAIN || spec->kind == ARGS_CLONE3 || spec->kind == ARGS_SOCKETCALL)
			read_args(regs, abi, spec, kind.v); /* what is out of reach is all of a kind */
	}
	if (bpf_map_lookup_elem(&refused, &kind) || put(&refused, &kind, COUNTER(lost_denials)))
		return;
	d = bpf_ringbuf_reserve(&denials, sizeof(*d), 0);
	if (!d) {
		count(COUNTER(lost_denials));
		return;
	}
	d->kind = kind;
	all_args(regs, abi, d->args);
	d->ret = result(regs);
	d->ip = site(regs);
	d->tgid = t->tgid;
	d->zero = 0;
	bpf_get_current_comm(d->comm, sizeof(d->comm));
	bpf_ringbuf_submit(d, 0);
}

/*
 * leave takes note that a task leaves a call. A filter refuses one before
 * on_sys_enter could see it, but the task is seen to leave it.
 */
__inline void leave(struct task_struct *t, struct state *s, const struct pt_regs *regs)
{
	struct set *set;
	enum abi abi;
	__u32 phase, nr;

	if (s->entered) {
		s->entered = 0;
		return;
	}
	if (!recorded(s) && !started(t, s))
		return;
	abi = abi_of(t, id_of(regs));
	nr = nr_of(abi, id_of(regs));
	phase = phase_of(s);
	deny(t, regs, phase, abi, nr);
	if (nr >= NR_MAX) {
		put_call(&refusals, phase, abi, nr, COUNTER(lost_refusals));
		return;
	}
	set = bpf_map_lookup_elem(&sets, &phase);
	if (set)
		set->refused[abi][nr] = 1;
}

SEC("tp_btf/sys_exit")
int on_sys_exit(__u64 *ctx)
{
	struct task_struct *t = bpf_get_current_task_btf();
	struct state *s = state_of(t);

	if (s)
		leave(t, s, (void *)ctx[0]);
	return 0;
}

SEC("tp_btf/sched_process_fork")
int on_fork(__u64 *ctx)
{
	struct task_struct *parent = (void *)ctx[0];
	struct task_struct *child = (void *)ctx[1];
	struct state *p = state_of(parent);
	struct state *c;

	/* A thread that was there before its process was: the leader knows. */
	if (!p)
		p = state_of(parent->group_leader);
	if (!p)
		return 0;
	c = follow(child, p->phase);
	if (!c)
		return 0;
	c->start = p->start;
	c->exe = p->exe;
	c->shown = p->shown;
	c->pidns = p->phase == PHASE_ROOT ? pidns_of(parent) : p->pidns;
	if (p->phase != PHASE_ROOT) {
		c->filters = p->filters;
		c->init = p->init;
		c->mnt = p->mnt;
		c->userns = p->userns;
	} else if (parent->tgid != child->tgid) {
		c->phase = PHASE_PENDING;
		c->filters = filters_of(parent);
		c->mnt = mnt_of(parent);
	}
	return 0;
}

/*
 * enter_container returns the phase of a runtime's task from its exec on. The
 * runtime may come again, to exec into a container that it made before.
 */
__inline enum phase enter_container(struct task_struct *t, const struct state *s)
{
	__u64 mnt = mnt_of(t);
	__u32 *init;

	if (mnt == s->mnt)
		return PHASE_START;
	init = bpf_map_lookup_elem(&containers, &mnt);
	if (init)
		return *init == s->init ? PHASE_START : PHASE_EXEC;
	add_container(mnt, s->init);
	return PHASE_START;
}

SEC("tp_btf/sched_process_exec")
int on_exec(__u64 *ctx)
{
	struct task_struct *t = (void *)ctx[0];
	struct state *s = state_of(t);

	if (!s) {
		if (in_container(t) && (s = follow(t, PHASE_EXEC)))
			begin(t, s, PHASE_EXEC);
		return 0;
	}
	if (s->phase == PHASE_PENDING && s->start == START_AT_EXEC)
		begin(t, s, PHASE_START);
	else if (s->phase == PHASE_PENDING && in_container(t)) /* without a filter */
		begin(t, s, PHASE_EXEC);
	else if (s->phase == PHASE_RUNTIME)
		s->phase = enter_container(t, s);
	return 0;
}

#include "caps.h"

/* adopter returns the state of the attached process that t belongs to or comes from. */
__inline struct state *adopter(struct task_struct *t)
{
	struct state *s = t->pid == t->tgid ? NULL : state_of(t->group_leader);

	if (!s)
		s = state_of(t->real_parent->group_leader);
	return s && s->phase == PHASE_SERVE ? s : NULL;
}

/* A user namespace made before the workload was attached to is its own making too. */
__inline void inherit_userns(struct task_struct *t, struct state *s, const struct state *from)
{
	if (from && from->userns)
		s->userns = from->userns;
	else if (!s->userns)
		s->userns = userns_of(t);
}

/*
 * Run over all tasks, by the loader, after it gave the leader of a process a
 * state of phase serve: follows its threads, its descendants, and what shares
 * a mount namespace with it that is not the loader's. The loader itself is
 * among them only if it was given a state: else a recording of an ancestor of it
 * would be one of the recording too.
 */
SEC("iter/task")
int on_task(struct bpf_iter__task *ctx)
{
	struct task_struct *t = ctx->task, *loader = bpf_get_current_task_btf();
	struct state *s, *from;
	__u64 mnt;

	if (!t || (t->tgid == loader->tgid && !state_of(t->group_leader)))
		return 0;
	s = state_of(t);
	from = adopter(t);
	if (s) {
		if (s->phase != PHASE_SERVE)
			return 0;
		mnt = mnt_of(t);
		if (mnt && mnt != mnt_of(loader))
			add_container(mnt, 0);
		inherit_userns(t, s, from);
		return 0;
	}
	if (!from && !in_container(t))
		return 0;
	s = follow(t, PHASE_SERVE);
	if (s)
		inherit_userns(t, s, from);
	count(COUNTER(adopted));
	return 0;
}

#include "files.bpf.h"
