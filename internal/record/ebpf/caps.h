/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/*
 * Capability checks, at the first of three places that a kernel lets programs
 * look at. Included by recorder.bpf.c.
 */
#pragma once

/*
 * The verifier vouches for pointers that it knows the type of; others are read
 * by a helper. known is a constant.
 */
#define LOAD(known, p, member) ({ \
	typeof((p)->member) v_; \
	if (known) \
		v_ = (p)->member; \
	else \
		bpf_probe_read_kernel(&v_, sizeof(v_), &(p)->member); \
	v_; \
})

/* name_of for a namespace that the verifier may not know the type of. */
__inline __u64 name_at(bool known, struct ns_common *ns)
{
	if (__field_exists(ns->ns_id))
		return LOAD(known, ns, ns_id);
	return LOAD(known, ns, inum);
}

/*
 * nested tells whether a check of cred's capabilities in ns is about a user
 * namespace that the workload made below its own. It is not if the answer hangs
 * on what cred may do in the workload's own one, from where capabilities reach
 * down; but whoever made a namespace from there needs none.
 */
__inline bool nested(bool known, const struct state *s, struct cred *cred, struct user_namespace *ns)
{
	struct user_namespace *up, *own;

	for (int i = 0; i < USERNS_DEPTH; i++) {
		up = LOAD(known, ns, parent);
		if (!up)
			return false;
		if (name_at(known, &up->ns) == s->userns) {
			own = LOAD(known, cred, user_ns);
			return name_at(known, &own->ns) != s->userns || LOAD(known, ns, owner.val) == LOAD(known, cred, euid.val);
		}
		ns = up;
	}
	return false;
}

/* record_check records an answer of the kernel, 0 for yes. opts are CAP_OPT_*. */
__inline void record_check(bool known, const struct state *s, struct cred *cred, struct user_namespace *ns, int cap, __u32 opts, int answer)
{
	struct task_struct *t = bpf_get_current_task_btf();
	struct check c = {
		.call = {.phase = phase_of(s), .abi = s->abi, .nr = s->nr},
		.cap = cap,
		.granted = answer == 0,
		.overridden = cred != t->cred || t->cred != t->real_cred,
		.nested = nested(known, s, cred, ns),
		.unaudited = (opts & CAP_OPT_NOAUDIT) != 0,
	};

	if (!bpf_map_lookup_elem(&checks, &c))
		put(&checks, &c, COUNTER(lost_checks));
}

/* current_state returns the state of the current task, if it is recorded. */
__inline struct state *current_state(void)
{
	struct state *s = state_of(bpf_get_current_task_btf());

	return s && recorded(s) ? s : NULL;
}

/* Since 6.14. It does not say whether the answer is audited. */
SEC("tp_btf/cap_capable")
int on_cap(__u64 *ctx)
{
	struct state *s = current_state();

	if (s)
		record_check(true, s, (void *)ctx[0], (void *)ctx[1], ctx[3], 0, ctx[4]);
	return 0;
}

/* Where the kernel has trampolines. */
SEC("fexit/security_capable")
int on_capable(__u64 *ctx)
{
	struct state *s = current_state();

	if (s)
		record_check(true, s, (void *)ctx[0], (void *)ctx[1], ctx[2], ctx[3], ctx[4]);
	return 0;
}

/* Where it has kprobes: the question, and then the answer. */
SEC("kprobe/security_capable")
int on_capable_asked(struct pt_regs *regs)
{
	struct state *s = current_state();

	if (!s)
		return 0;
	s->asked.cred = PARAMETER(regs, 0);
	s->asked.ns = PARAMETER(regs, 1);
	s->asked.cap = PARAMETER(regs, 2);
	s->asked.opts = PARAMETER(regs, 3);
	s->asked.open = 1;
	return 0;
}

SEC("kretprobe/security_capable")
int on_capable_answered(struct pt_regs *regs)
{
	struct state *s = current_state();

	if (!s)
		return 0;
	if (!s->asked.open) {
		count(COUNTER(lost_checks));
		return 0;
	}
	s->asked.open = 0;
	record_check(false, s, (void *)s->asked.cred, (void *)s->asked.ns, s->asked.cap, s->asked.opts, RETURNED(regs));
	return 0;
}
