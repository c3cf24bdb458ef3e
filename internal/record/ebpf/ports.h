/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/*
 * Which ports a workload listens on: read off the socket as the call begins,
 * when it has its port already. Included by recorder.bpf.c.
 */
#pragma once

/* load copies a member that p points at; all of it is 0 if it is out of reach. */
#define load(dst, p, member) bpf_probe_read_kernel(&(dst), sizeof(dst), &(p)->member)

/* sock_of returns the socket of the caller's descriptor fd, if it is one. */
__inline const struct sock *sock_of(__u32 fd)
{
	struct task_struct *t = bpf_get_current_task_btf();
	const struct fdtable *table = t->files->fdt;
	const struct inode *inode = NULL;
	const struct socket *socket = NULL;
	struct file *file = NULL, **all = NULL;
	const struct sock *sk = NULL;
	__u32 max = 0;
	__u16 mode = 0;

	load(max, table, max_fds);
	load(all, table, fd);
	if (fd >= max || bpf_probe_read_kernel(&file, sizeof(file), all + fd) || !file)
		return NULL;
	load(inode, file, f_inode);
	load(mode, inode, i_mode);
	if ((mode & S_IFMT) != S_IFSOCK)
		return NULL;
	load(socket, file, private_data);
	load(sk, socket, sk);
	return sk;
}

/* internet tells whether sk speaks to the internet, and by which protocol. */
__inline bool internet(const struct sock *sk, __u16 *protocol)
{
	__u16 family = 0;

	load(family, sk, __sk_common.skc_family);
	load(*protocol, sk, sk_protocol);
	return family == AF_INET || family == AF_INET6;
}

/* chosen tells whether the port of sk was asked for, and not left to the kernel. */
__inline bool chosen(const struct sock *sk)
{
	__u64 locks = 0;

	bpf_probe_read_kernel(&locks, __field_byte_size(sk->sk_userlocks), (void *)sk + __field_byte_offset(sk->sk_userlocks));
	locks = locks << __field_lshift(sk->sk_userlocks) >> __field_rshift(sk->sk_userlocks);
	return locks & SOCK_BINDPORT_LOCK;
}

/* listening fills v with the protocol and port that fd is about to listen on. */
__inline long listening(__u32 fd, __u64 *v)
{
	const struct sock *sk = sock_of(fd);
	__u16 protocol = 0, port = 0;

	if (!sk || !internet(sk, &protocol) || !chosen(sk))
		return NO_ARGS; /* nobody can rely on a port that the kernel chooses */
	load(port, sk, __sk_common.skc_num);
	v[0] = protocol;
	v[1] = port;
	return 0;
}

/* binding does the same for who is about to bind, if that is all it takes: UDP. */
__inline long binding(__u32 fd, const void *addr, __u64 *v)
{
	const struct sock *sk = sock_of(fd);
	__u16 protocol = 0;
	__u8 to[4] = {}; /* family, and the port in network byte order */

	if (!sk || !internet(sk, &protocol) || protocol != IPPROTO_UDP)
		return NO_ARGS;
	if (bpf_probe_read_user(to, sizeof(to), addr))
		return -EFAULT;
	v[0] = protocol;
	v[1] = to[2] << 8 | to[3];
	return v[1] ? 0 : NO_ARGS;
}
