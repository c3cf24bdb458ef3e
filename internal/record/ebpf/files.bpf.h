/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/*
 * Records which files followed tasks use and for what, which programs they
 * exec, whom they signal and trace, and what they mount. Unlike the rest of
 * the recorder this sends events, each different one once.
 *
 * Files are looked at when a call ends: what it opened is then in the
 * descriptor table, and the names in its arguments are in memory. A file in
 * hand is named by its dentries, from it up to the root of its mount
 * namespace, which is the name that AppArmor goes by. Names that are only in
 * the arguments are sent with the directory that they are relative to, for
 * the loader to resolve.
 */
#pragma once

#include "files.h"

/* Verified once and not wherever it is called. */
#define __global __attribute__((noinline))

__inline struct draft *draft(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&drafts, &zero);
}

/* Makes the compiler use this very value, which the verifier has seen compared. */
#define KEEP(value) asm volatile("" : "+r"(value))

#define EVENT_WORDS ((sizeof(struct event) - __builtin_offsetof(struct event, kind)) / 8)

/* A hash of the words of the draft's event from the one up to the other, counted from kind. */
__global __u64 hash(__u32 from, __u32 to)
{
	struct draft *x = draft();
	__u64 h = 0xcbf29ce484222325ULL;

	if (!x)
		return 0;
	for (__u32 i = from; i < to; i++) {
		KEEP(i);
		if (i >= EVENT_WORDS)
			break;
		h = (h ^ ((__u64 *)&x->event.kind)[i]) * 0x9e3779b97f4a7c15ULL;
		h ^= h >> 29;
	}
	return h;
}

/* The first word of text, as hash counts. */
#define TEXT_WORD ((__builtin_offsetof(struct event, text) - __builtin_offsetof(struct event, kind)) / 8)

/* What is aligned to nothing. */
struct word {
	__u64 bytes;
} __attribute__((packed));

/* The word after the last of text. What is beyond used in it is made zero. */
__inline __u32 end_word(struct draft *x)
{
	__u32 used = x->used;

	if (used > TEXT_MAX)
		return 0;
	((struct word *)(x->event.text + used))->bytes = 0;
	return TEXT_WORD + (used + 7) / 8;
}

/*
 * send_draft sends the draft's event if nothing like it was sent before. An
 * event for which there is no room counts as not sent, so that it is tried again
 * the next time.
 */
__global int send_draft(__u32 urgent)
{
	struct draft *x = draft();
	__u32 used, end;
	__u64 h, wake, waiting;
	__u8 one = 1;

	if (!x)
		return 0;
	end = end_word(x);
	used = x->used;
	if (x->bad || !end || used > TEXT_MAX) {
		count(COUNTER(lost_names));
		return 0;
	}
	h = hash(0, end);
	if (bpf_map_lookup_elem(&sent, &h))
		return 0;
	/* Once for every WAKE_BYTES that come to wait, not for each event beyond. */
	wake = BPF_RB_NO_WAKEUP;
	waiting = bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA);
	if (urgent || waiting / WAKE_BYTES != (waiting + used + __builtin_offsetof(struct event, text)) / WAKE_BYTES)
		wake = BPF_RB_FORCE_WAKEUP;
	if (bpf_ringbuf_output(&events, &x->event, __builtin_offsetof(struct event, text) + used, wake)) {
		if (bpf_map_update_elem(&missed, &h, &one, BPF_ANY))
			count(COUNTER(lost_events));
		return 0;
	}
	bpf_map_update_elem(&sent, &h, &one, BPF_ANY);
	bpf_map_delete_elem(&missed, &h);
	return 0;
}

/* What add_path wants of a dentry. */
struct link {
	struct dentry *parent;
	__u64 hash_len;
	const char *name;
};

/* read_link reads all at once where it lies together, as it always has. */
__inline void read_link(const struct dentry *d, struct link *l)
{
	__u32 parent = __builtin_preserve_field_info(d->d_parent, 0);

	if (__builtin_preserve_field_info(d->d_name.name, 0) == parent + __builtin_offsetof(struct link, name)) {
		bpf_probe_read_kernel(l, sizeof(*l), &d->d_parent);
		return;
	}
	l->parent = READ(d->d_parent);
	l->name = READ(d->d_name.name);
}

/* add_path adds a path, as a base. */
__global int add_path(__u64 dentry, __u64 vfsmount, __u32 part)
{
	struct dentry *root, *d = (void *)dentry;
	struct mount *above, *m = (void *)vfsmount - __builtin_preserve_field_info(((struct mount *)0)->mnt, 0);
	struct draft *x = draft();
	struct link l = {};
	__u32 used, begin;
	long n;

	if (!x || part >= PARTS)
		return 0;
	begin = used = x->used;
	root = READ(m->mnt.mnt_root);
	for (int i = 0; i < DEPTH_MAX; i++) {
		if (d == root) {
			above = READ(m->mnt_parent);
			if (above == m)
				goto done;
			d = READ(m->mnt_mountpoint);
			m = above;
			root = READ(m->mnt.mnt_root);
			continue;
		}
		read_link(d, &l);
		if (l.parent == d)
			goto done;
		if (used >= TEXT_MAX)
			break;
		n = bpf_probe_read_kernel_str(x->event.text + used, COMPONENT_LEN, l.name);
		if (n <= 0 || n > COMPONENT_LEN)
			break;
		used += n;
		d = l.parent;
	}
	x->bad = 1;
	return 0;
done:
	x->event.len[part] = used - begin;
	x->used = used;
	return 0;
}

/* add_name adds a name from user memory, of less than size bytes; false if it is empty. */
__inline bool add_name(struct draft *x, const void *user, enum part part, __u32 size)
{
	__u32 used = x->used;
	long n;

	KEEP(size);
	KEEP(used);
	if (used >= TEXT_MAX || size > NAME_LEN) {
		x->bad = 1;
		return false;
	}
	n = bpf_probe_read_user_str(x->event.text + used, size, user);
	if (n <= 0 || n >= NAME_LEN) {
		x->bad = 1;
		return false;
	}
	x->event.len[part] = n;
	x->used = used + n;
	return n > 1;
}

__inline struct file *file_of(struct task_struct *t, int fd)
{
	struct fdtable *fdt = READ(t->files->fdt);
	struct file **files, *f = NULL;

	if (fd < 0 || (__u32)fd >= READ(fdt->max_fds))
		return NULL;
	files = READ(fdt->fd);
	bpf_probe_read_kernel(&f, sizeof(f), files + fd);
	return f;
}

/* How the user who opened f sees it: overlayfs has files below, with paths of theirs. */
__inline const struct path *path_of(const struct file *f)
{
	const struct backing_file *b;

	if (!__field_exists(((struct backing_file *)0)->user_path) || !(READ(f->f_mode) & FMODE_BACKING))
		return &f->f_path;
	b = (void *)f - __builtin_preserve_field_info(((struct backing_file *)0)->file, 0);
	return &b->user_path;
}

/* The number of t's process in its own pid namespace. */
__inline __u32 tgid_of(struct task_struct *t)
{
	struct pid *p = READ(t->signal->pids[PIDTYPE_TGID]);
	int nr = 0;

	bpf_probe_read_kernel(&nr, sizeof(nr), (void *)&p->numbers + READ(p->level) * sizeof(struct upid));
	return nr;
}

/* begin_draft returns the CPU's draft, empty, for end_draft to give back. */
__inline struct draft *begin_draft(struct task_struct *t, const struct state *s, enum event_kind kind)
{
	struct draft *x = draft();

	if (!x)
		return NULL;
	if (x->busy) {
		count(COUNTER(lost_drafts));
		return NULL;
	}
	x->busy = 1;
	x->used = x->bad = 0;
	__builtin_memset(&x->event, 0, __builtin_offsetof(struct event, text));
	x->event.kind = kind;
	x->event.pid = bpf_get_current_pid_tgid() >> 32;
	x->event.tgid = tgid_of(t);
	x->event.fsuid = t->cred->fsuid.val;
	if (kind == EVENT_NAMES)
		x->event.who = x->event.fsuid;
	x->event.call = (struct call){.phase = phase_of(s), .abi = s->abi, .nr = s->nr};
	x->event.mnt = mnt_of(t);
	if (pidns_of(t) > s->pidns)
		x->event.flags |= FILE_ENCLOSED;
	if (x->event.mnt == s->mnt)
		x->event.flags |= FILE_HOME;
	return x;
}

__inline void end_draft(struct draft *x)
{
	x->busy = 0;
}

/* Whether an inode of procfs is of a followed process; it may be of one that is followed by others. */
__inline bool of_ours(struct inode *inode)
{
	struct proc_inode *i = (void *)inode - __builtin_preserve_field_info(((struct proc_inode *)0)->vfs_inode, 0);
	struct pid *pid = READ(i->pid);
	struct hlist_node *first = pid ? READ(pid->tasks[PIDTYPE_PID].first) : NULL;
	struct task_struct *t;

	if (!first)
		return false;
	t = (void *)first - __builtin_preserve_field_info(((struct task_struct *)0)->pid_links, 0);
	return READ(t->bpf_storage) != NULL;
}

/* describe fills in what is to be known of the file at p; false if it has no name. */
__inline bool describe(struct draft *x, struct task_struct *t, const struct path *p)
{
	struct dentry *d = READ(p->dentry);
	struct vfsmount *m = READ(p->mnt);
	struct inode *inode = READ(d->d_inode);
	struct super_block *sb = READ(inode->i_sb);

	if (!d || !inode || READ(sb->s_flags) & SB_NOUSER || READ(m->mnt_flags) & MNT_INTERNAL)
		return false;
	x->event.mode = READ(inode->i_mode) & 0170000;
	x->event.uid = READ(inode->i_uid.val);
	if (x->event.uid == x->event.fsuid)
		x->event.flags |= FILE_OWNED;
	if (m != READ(t->fs->root.mnt))
		x->event.flags |= FILE_MOUNTED;
	if (READ(sb->s_magic) == PROC_SUPER_MAGIC) {
		x->event.self = x->event.tgid;
		if (of_ours(inode))
			x->event.flags |= FILE_OF_OURS;
	}
	add_path((__u64)d, (__u64)m, BASE_0);
	return true;
}

/* use_path sends that the file at p was used with perms. */
__inline void use_path(struct task_struct *t, const struct state *s, const struct path *p, __u8 perms, __u8 flags)
{
	struct draft *x = begin_draft(t, s, EVENT_FILE);

	if (!x)
		return;
	x->event.perms[0] = perms;
	x->event.flags |= flags;
	if (describe(x, t, p)) {
		x->event.call.nr = 0; /* by which call, and where, does not matter */
		x->event.call.abi = 0;
		x->event.mnt = 0;
		send_draft(0);
	}
	end_draft(x);
}

__inline void use_fd(struct task_struct *t, const struct state *s, int fd, __u8 perms)
{
	struct file *f = file_of(t, fd);

	if (f && perms)
		use_path(t, s, path_of(f), perms, 0);
}

/* add_dir adds what the name in part is relative to. */
__inline void add_dir(struct draft *x, struct task_struct *t, int fd, __u32 name_at, enum part part)
{
	const struct path *p = &t->fs->pwd;
	struct file *f;

	KEEP(name_at);
	if (name_at < TEXT_MAX && x->event.text[name_at] == '/') {
		p = &t->fs->root;
	} else if (fd != AT_FDCWD) {
		f = file_of(t, fd);
		if (!f) {
			x->bad = 1;
			return;
		}
		p = path_of(f);
	}
	add_path((__u64)READ(p->dentry), (__u64)READ(p->mnt), part);
}

/* An argument of a call; i is 0 to 5. */
__inline __u64 arg_at(const struct pt_regs *regs, enum abi abi, __u32 i)
{
#if defined(__TARGET_ARCH_x86)
	if (i < 3)
		return arg(regs, abi, i);
	if (abi == ABI_COMPAT)
		return (__u32)(i == 3 ? regs->si : i == 4 ? regs->di : regs->bp);
	return i == 3 ? regs->r10 : i == 4 ? regs->r8 : regs->r9;
#elif defined(__TARGET_ARCH_arm64)
	__u64 v = i == 0 ? regs->orig_x0 : i == 1 ? regs->regs[1] : i == 2 ? regs->regs[2] : i == 3 ? regs->regs[3] :
		  i == 4 ? regs->regs[4] : regs->regs[5];

	return abi == ABI_COMPAT ? (__u32)v : v;
#endif
}

/* A descriptor in an argument, or the working directory if there is none. */
__inline int fd_at(const struct pt_regs *regs, enum abi abi, __u8 i)
{
	return i == NO_ARG ? AT_FDCWD : (int)arg_at(regs, abi, i);
}

__inline __u64 flags_of(const struct pt_regs *regs, enum abi abi, const struct filespec *spec)
{
	__u64 flags = 0;

	if (spec->how != NO_ARG)
		bpf_probe_read_user(&flags, sizeof(flags), (void *)arg_at(regs, abi, spec->how));
	else if (spec->flags != NO_ARG)
		flags = arg_at(regs, abi, spec->flags);
	return flags;
}

/*
 * Whether a call that failed with this error may have got as far as to be
 * asked for permission. If not, it is as if it had not been made.
 */
__inline bool telling(long ret)
{
	if (ret >= 0)
		return true;
	switch (-ret) {
	case 2:	 /* ENOENT */
	case 4:	 /* EINTR */
	case 9:	 /* EBADF */
	case 12: /* ENOMEM */
	case 14: /* EFAULT */
	case 17: /* EEXIST */
	case 20: /* ENOTDIR */
	case 21: /* EISDIR */
	case 22: /* EINVAL */
	case 23: /* ENFILE */
	case 24: /* EMFILE */
	case 36: /* ENAMETOOLONG */
	case 38: /* ENOSYS */
	case 40: /* ELOOP */
		return false;
	}
	return -ret < 512; /* ERESTARTSYS and others that no caller sees */
}

/* use_names sends the names in a call's arguments. */
__inline void use_names(struct task_struct *t, const struct state *s, const struct pt_regs *regs,
			const struct filespec *spec, enum event_kind kind, __u64 flags, long ret)
{
	enum abi abi = s->abi;
	struct draft *x = begin_draft(t, s, kind);
	__u32 at;

	if (!x)
		return;
	x->event.perms[0] = spec->perms[0];
	x->event.perms[1] = spec->perms[1];
	x->event.arg = flags;
	x->event.error = ret < 0 ? -ret : 0;
	if (spec->name[0] != NO_ARG && arg_at(regs, abi, spec->name[0])) {
		at = x->used;
		add_name(x, (void *)arg_at(regs, abi, spec->name[0]), NAME_0, NAME_LEN);
		add_dir(x, t, fd_at(regs, abi, spec->dir[0]), at, BASE_0);
	}
	if (spec->name[1] != NO_ARG) {
		at = x->used;
		add_name(x, (void *)arg_at(regs, abi, spec->name[1]), NAME_1, NAME_LEN);
		add_dir(x, t, fd_at(regs, abi, spec->dir[1]), at, BASE_1);
	}
	if (spec->type != NO_ARG && arg_at(regs, abi, spec->type))
		add_name(x, (void *)arg_at(regs, abi, spec->type), TYPE, COMPONENT_LEN);
	if (x->used || x->bad)
		send_draft(0);
	end_draft(x);
}

/* names_fd tells whether a call whose name is empty or missing is about its descriptor. */
__inline bool names_fd(const struct pt_regs *regs, enum abi abi, const struct filespec *spec)
{
	void *name = (void *)arg_at(regs, abi, spec->name[0]);
	char first = 0;

	if (spec->dir[0] == NO_ARG || spec->name[1] != NO_ARG)
		return false;
	return !name || (!bpf_probe_read_user(&first, sizeof(first), name) && !first);
}

__inline void on_names(struct task_struct *t, const struct state *s, const struct pt_regs *regs,
		       const struct filespec *spec, long ret)
{
	enum abi abi = s->abi;

	if (!telling(ret))
		return;
	if (names_fd(regs, abi, spec))
		use_fd(t, s, fd_at(regs, abi, spec->dir[0]), ret < 0 ? 0 : spec->perms[0]);
	else
		use_names(t, s, regs, spec, EVENT_NAMES, flags_of(regs, abi, spec), ret);
}

/* The permissions that AppArmor asks for when a file is opened. */
__inline __u8 open_perms(__u32 mode, __u64 flags)
{
	__u8 perms = mode & FMODE_READ ? MAY_READ : 0;

	if (flags & (O_CREAT | O_TRUNC))
		return perms | MAY_WRITE;
	if (mode & FMODE_WRITE)
		perms |= flags & O_APPEND ? MAY_APPEND : MAY_WRITE;
	return perms;
}

__inline void on_open(struct task_struct *t, const struct state *s, const struct pt_regs *regs,
		      const struct filespec *spec, long ret)
{
	__u64 flags = flags_of(regs, s->abi, spec);
	struct file *f;
	__u32 mode;

	if (spec->flags == NO_ARG && spec->how == NO_ARG)
		flags = O_CREAT | O_TRUNC; /* creat */
	if (ret < 0) {
		if (telling(ret) && spec->name[0] != NO_ARG)
			use_names(t, s, regs, spec, EVENT_NAMES, flags, ret);
		return;
	}
	f = file_of(t, ret);
	if (!f)
		return;
	mode = READ(f->f_mode);
	if (mode & FMODE_PATH)
		return;
	use_path(t, s, path_of(f), open_perms(mode, flags), mode & FMODE_CREATED ? FILE_CREATED : 0);
}

__inline bool locks(int cmd)
{
	return cmd == F_SETLK || cmd == F_SETLKW || cmd == F_SETLK64 || cmd == F_SETLKW64 || cmd == F_OFD_SETLK ||
	       cmd == F_OFD_SETLKW;
}

/* Huge pages come in a file of the kernel's own, which AppArmor asks about. */
__inline void use_hugepage(struct task_struct *t, const struct state *s, __u64 prot, __u64 flags)
{
	struct draft *x = begin_draft(t, s, EVENT_FILE);

	if (!x)
		return;
	x->event.call = (struct call){.phase = phase_of(s)};
	x->event.perms[0] = (prot & PROT_READ ? MAY_READ : 0) | (prot & PROT_EXEC ? MAY_MAP : 0) |
			    (prot & PROT_WRITE && flags & MAP_SHARED ? MAY_WRITE : 0);
	x->event.mode = S_IFREG;
	x->event.uid = x->event.fsuid;
	x->event.flags |= FILE_MOUNTED;
	__builtin_memcpy(x->event.text, "anon_hugepage", 14);
	x->event.len[BASE_0] = x->used = 14;
	if (x->event.perms[0])
		send_draft(0);
	end_draft(x);
}

__inline void on_mmap(struct task_struct *t, const struct state *s, const struct pt_regs *regs, long ret)
{
	__u64 prot, flags;

	prot = arg_at(regs, s->abi, 2);
	flags = arg_at(regs, s->abi, 3);
	if (flags & MAP_ANONYMOUS && flags & MAP_HUGETLB && (telling(ret) || ret == -12 /* ENOMEM */))
		use_hugepage(t, s, prot, flags); /* that there are none is found out after AppArmor was asked */
	else if (ret < 0 && ret > -4096)
		return;
	else if (prot & PROT_EXEC && !(flags & MAP_ANONYMOUS))
		use_fd(t, s, (int)arg_at(regs, s->abi, 4), MAY_MAP);
}

/* use_address sends the path in a struct sockaddr_un; other addresses are no files. */
__inline void use_address(struct task_struct *t, const struct state *s, const void *address, __u32 size, __u8 perms,
			  long ret)
{
	struct {
		__u16 family;
		char path[2];
	} head = {};
	struct draft *x;
	__u32 at;

	if (!address || size < 3 || bpf_probe_read_user(&head, sizeof(head), address))
		return;
	if (head.family != AF_UNIX || !head.path[0])
		return;
	x = begin_draft(t, s, EVENT_NAMES);
	if (!x)
		return;
	x->event.perms[0] = perms;
	x->event.error = ret < 0 ? -ret : 0;
	at = x->used;
	size -= 1; /* less the family, more the NUL that may not be there */
	add_name(x, address + 2, NAME_0, size > 109 ? 109 : size);
	add_dir(x, t, AT_FDCWD, at, BASE_0);
	send_draft(0);
	end_draft(x);
}

/* use_socket sends that the file of a socket was made, or connected to. */
__inline void use_socket(struct task_struct *t, const struct state *s, int fd, __u8 perms, bool connect)
{
	struct file *f = file_of(t, fd);
	struct socket *sock;
	struct sock *sk;
	struct unix_sock *u;

	if (!f)
		return;
	sock = READ(f->private_data);
	sk = READ(sock->sk);
	if (READ(sk->__sk_common.skc_family) != AF_UNIX)
		return;
	u = (void *)sk;
	if (connect)
		u = (void *)READ(u->peer);
	if (u && READ(u->path.dentry))
		use_path(t, s, &u->path, perms, connect ? 0 : FILE_CREATED);
}

__inline void on_address(struct task_struct *t, const struct state *s, int fd, const void *address, __u32 size,
			 const struct filespec *spec, bool connect, long ret)
{
	if (ret >= 0)
		use_socket(t, s, fd, spec->perms[0], connect);
	else if (telling(ret))
		use_address(t, s, address, size, spec->perms[0], ret);
}

__inline void on_sendmsg(struct task_struct *t, const struct state *s, const struct pt_regs *regs, long ret)
{
	void *msg = (void *)arg_at(regs, s->abi, 1);
	__u32 name32[2] = {};
	__u64 name[2] = {}; /* pointer, length */

	if (s->abi == ABI_COMPAT) {
		bpf_probe_read_user(name32, sizeof(name32), msg);
		name[0] = name32[0];
		name[1] = name32[1];
	} else {
		bpf_probe_read_user(name, sizeof(name), msg);
	}
	use_address(t, s, (void *)name[0], name[1], MAY_READ | MAY_WRITE, ret);
}

__inline void on_socketcall(struct task_struct *t, const struct state *s, const struct pt_regs *regs,
			    const struct filespec *spec, long ret)
{
	__u32 call = arg_at(regs, s->abi, 0);
	__u32 a[3] = {};

	if (call != SYS_BIND && call != SYS_CONNECT)
		return;
	if (!bpf_probe_read_user(a, sizeof(a), (void *)arg_at(regs, s->abi, 1)))
		on_address(t, s, a[0], (void *)(__u64)a[1], a[2], spec, call == SYS_CONNECT, ret);
}

__inline void meet(const struct state *s, __u32 how, __u32 number, enum peer peer)
{
	struct meeting m = {.phase = phase_of(s), .peer = peer, .how = how, .number = number};

	if (!bpf_map_lookup_elem(&meetings, &m))
		put(&meetings, &m, COUNTER(lost_meetings));
}

/* Who a process number means to t. A workload with a pid namespace of its own sees no others. */
__inline enum peer peer_of(struct task_struct *t, const struct state *s, int nr)
{
	if (nr > 0 && nr == tgid_of(t))
		return PEER_SELF;
	return pidns_of(t) > s->pidns ? PEER_WITHIN : PEER_OUTSIDE;
}

__inline void on_kill(struct task_struct *t, const struct state *s, const struct pt_regs *regs,
		      const struct filespec *spec)
{
	enum peer peer = PEER_WITHIN;

	if (flags_of(regs, s->abi, spec)) /* see on_signal */
		return;
	if (spec->dir[0] != NO_ARG)
		peer = peer_of(t, s, arg_at(regs, s->abi, spec->dir[0]));
	else if (pidns_of(t) <= s->pidns)
		peer = PEER_OUTSIDE;
	meet(s, MET_SIGNAL, 0, peer);
}

__inline void on_ptrace(struct task_struct *t, const struct state *s, const struct pt_regs *regs)
{
	__u32 request = arg_at(regs, s->abi, 0);
	const struct task_struct *tracee;
	struct state *parent;

	if (request == PTRACE_TRACEME) {
		parent = state_of(t->real_parent);
		meet(s, MET_TRACE, 0, parent && recorded(parent) ? PEER_WITHIN : PEER_OUTSIDE);
	} else if (request == PTRACE_ATTACH || request == PTRACE_SEIZE) {
		tracee = (void *)READ(t->ptraced.next) -
			 __builtin_preserve_field_info(((struct task_struct *)0)->ptrace_entry, 0);
		meet(s, MET_TRACE, 0, READ(tracee->bpf_storage) ? PEER_WITHIN : PEER_OUTSIDE);
	}
}

/* What ptrace is asked about oneself is not asked. */
__inline void on_process(struct task_struct *t, const struct state *s, __u32 how, int nr)
{
	enum peer peer = peer_of(t, s, nr);

	if (nr > 0 && peer != PEER_SELF)
		meet(s, how, 0, peer);
}

__inline void on_processes(struct task_struct *t, const struct state *s, const struct pt_regs *regs,
			   const struct filespec *spec, __u32 how)
{
	on_process(t, s, how, arg_at(regs, s->abi, spec->dir[0]));
	if (spec->dir[1] != NO_ARG)
		on_process(t, s, how, arg_at(regs, s->abi, spec->dir[1]));
}

/* record_success records calls that are of no interest when they fail. */
__inline void record_success(struct task_struct *t, const struct state *s, const struct pt_regs *regs,
			     const struct filespec *spec)
{
	enum abi abi = s->abi;

	switch (spec->op) {
	case FILE_FD:
		return use_fd(t, s, arg_at(regs, abi, spec->dir[0]), spec->perms[0]);
	case FILE_LOCK:
		if (locks(arg_at(regs, abi, 1)))
			use_fd(t, s, arg_at(regs, abi, 0), MAY_LOCK);
		return;
	case FILE_MOUNT:
		return use_names(t, s, regs, spec, EVENT_MOUNT, flags_of(regs, abi, spec), 0);
	case FILE_KILL:
		return on_kill(t, s, regs, spec);
	case FILE_PTRACE:
		return on_ptrace(t, s, regs);
	case FILE_READPROC:
		return on_processes(t, s, regs, spec, MET_READ);
	case FILE_TRACEPROC:
		return on_processes(t, s, regs, spec, MET_TRACE);
	case FILE_SHMGET: /* AppArmor asks when it is attached, as of any mapping */
		if (flags_of(regs, abi, spec) & SHM_HUGETLB)
			use_hugepage(t, s, PROT_READ | PROT_WRITE, MAP_SHARED);
		return;
	case FILE_MEMFD:
		if (flags_of(regs, abi, spec) & MFD_HUGETLB)
			use_hugepage(t, s, PROT_READ | PROT_WRITE, MAP_SHARED);
		return;
	default:
		return;
	}
}

/* record_files records what a call that ends was about. */
__inline void record_files(struct task_struct *t, const struct state *s, const struct pt_regs *regs, long ret)
{
	__u32 abi = s->abi, nr = s->nr;
	const struct filetable *table;
	const struct filespec *spec;

	if (abi > ABI_COMPAT)
		return;
	table = bpf_map_lookup_elem(&filespecs, &abi);
	if (!table)
		return;
	KEEP(nr);
	if (nr >= NR_MAX)
		return;
	spec = &table->of[nr];
	switch (spec->op) {
	case FILE_NONE:
		return;
	case FILE_MMAP:
		return on_mmap(t, s, regs, ret);
	case FILE_OPEN:
		return on_open(t, s, regs, spec, ret);
	case FILE_EXEC:
		if (ret >= 0)
			return;
		/* fallthrough */
	case FILE_NAMES:
		return on_names(t, s, regs, spec, ret);
	case FILE_BIND:
	case FILE_CONNECT:
		return on_address(t, s, arg_at(regs, abi, 0), (void *)arg_at(regs, abi, 1), arg_at(regs, abi, 2), spec,
				  spec->op == FILE_CONNECT, ret);
	case FILE_SOCKETCALL:
		return on_socketcall(t, s, regs, spec, ret);
	case FILE_SENDTO:
		if (telling(ret))
			use_address(t, s, (void *)arg_at(regs, abi, 4), arg_at(regs, abi, 5), spec->perms[0], ret);
		return;
	case FILE_SENDMSG:
		if (telling(ret))
			on_sendmsg(t, s, regs, ret);
		return;
	default:
		if (ret >= 0)
			record_success(t, s, regs, spec);
	}
}

/* What the runtime does under the filter is not done under the profile. */
__inline bool profiled(const struct state *s)
{
	return s->phase > PHASE_RUNTIME;
}

/* show_root sends that a task is in another mount namespace than before. */
__inline void show_root(struct task_struct *t, struct state *s)
{
	__u64 mnt = mnt_of(t);
	struct draft *x;

	if (mnt == s->shown)
		return;
	s->shown = mnt;
	if (mnt == s->mnt)
		return;
	x = begin_draft(t, s, EVENT_ROOT);
	if (!x)
		return;
	__builtin_memset(&x->event.call, 0, sizeof(x->event.call));
	send_draft(1);
	end_draft(x);
}

/* Takes the place of on_sys_exit. */
SEC("tp_btf/sys_exit")
int on_sys_exit_files(__u64 *ctx)
{
	const struct pt_regs *regs = (void *)ctx[0];
	struct task_struct *t = bpf_get_current_task_btf();
	struct state *s = state_of(t);

	if (!s)
		return 0;
	if (s->entered && profiled(s))
		record_files(t, s, regs, ctx[1]);
	if (recorded(s))
		show_root(t, s);
	leave(t, s, regs);
	return 0;
}

/* The file that is mapped where a program begins to run. */
struct entry {
	struct file *file;
};

static long on_entry(struct task_struct *t, struct vm_area_struct *vma, struct entry *e)
{
	e->file = vma->vm_file;
	return 0;
}

/* use_interpreter sends what the kernel maps to begin with, if that is not the program itself. */
__inline void use_interpreter(struct task_struct *t, const struct state *s, const struct file *program)
{
	const struct pt_regs *regs;
	struct entry e = {};
	const struct path *p;

	if (!__enum_exists(enum bpf_func_id, BPF_FUNC_find_vma))
		return;
	regs = (void *)bpf_task_pt_regs(t);
#if defined(__TARGET_ARCH_x86)
	bpf_find_vma(t, regs->ip, on_entry, &e, 0);
#elif defined(__TARGET_ARCH_arm64)
	bpf_find_vma(t, regs->pc, on_entry, &e, 0);
#endif
	if (!e.file)
		return;
	p = path_of(e.file);
	if (READ(p->dentry) != READ(program->f_path.dentry))
		use_path(t, s, p, MAY_READ | MAY_MAP, 0);
}

/* The script that an exec was of, if it was of one. */
__inline void use_script(struct draft *x, struct task_struct *t, const char *filename)
{
	long n = bpf_probe_read_kernel_str(x->event.text, NAME_LEN, filename);

	if (n <= 1 || n >= NAME_LEN) {
		x->bad = 1;
		return;
	}
	x->event.kind = EVENT_SCRIPT;
	x->event.who = x->event.fsuid;
	x->event.len[NAME_0] = n;
	x->used = n;
	add_dir(x, t, AT_FDCWD, 0, BASE_0);
}

/* Attached after on_exec, and so run after it. */
SEC("tp_btf/sched_process_exec")
int on_exec_files(__u64 *ctx)
{
	struct task_struct *t = bpf_get_current_task_btf();
	const struct linux_binprm *bprm = (void *)ctx[2];
	struct state *s = state_of(t);
	struct file *program = READ(bprm->file);
	const char *filename = READ(bprm->filename);
	struct draft *x;

	if (!s || !profiled(s) || !program)
		return 0;
	x = begin_draft(t, s, EVENT_EXEC);
	if (!x)
		return 0;
	x->event.call = (struct call){.phase = phase_of(s)};
	x->event.by = s->exe;
	if (filename == READ(bprm->interp))
		x->event.mnt = 0;
	if (filename != READ(bprm->interp))
		use_script(x, t, filename);
	else if (!describe(x, t, path_of(program)))
		x->bad = 1;
	s->exe = x->event.exe = hash(TEXT_WORD, end_word(x));
	send_draft(1);
	end_draft(x);
	if (filename != READ(bprm->interp))
		use_path(t, s, path_of(program), MAY_READ | MAY_MAP | MAY_EXEC, 0);
	use_interpreter(t, s, program);
	return 0;
}

SEC("tp_btf/signal_generate")
int on_signal(__u64 *ctx)
{
	struct task_struct *target = (void *)ctx[2];
	struct task_struct *t = bpf_get_current_task_btf();
	struct state *to, *s = state_of(t);
	const struct filetable *table;
	enum peer peer = PEER_OUTSIDE;
	__u32 abi, nr;

	if (!s || !profiled(s) || !s->entered)
		return 0;
	abi = s->abi;
	nr = s->nr;
	if (nr >= NR_MAX || abi > ABI_COMPAT)
		return 0;
	table = bpf_map_lookup_elem(&filespecs, &abi);
	if (!table || table->of[nr].op != FILE_KILL)
		return 0;
	to = state_of(target);
	if (target->tgid == t->tgid)
		peer = PEER_SELF;
	else if (to && recorded(to))
		peer = PEER_WITHIN;
	meet(s, MET_SIGNAL, ctx[0], peer);
	return 0;
}
