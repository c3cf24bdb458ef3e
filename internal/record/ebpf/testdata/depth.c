// depth does one thing, named by its first argument, for what a recorder sees of
// arguments, ports and phases.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

// args makes calls whose arguments are recorded, most of them in vain.
static void args(void)
{
	prctl(PR_GET_KEEPCAPS);
	syscall(SYS_ioctl, -1, 0x100005413UL); // the kernel looks at the lower half
	setsockopt(-1, IPPROTO_TCP, TCP_NODELAY, NULL, 0);
	setsockopt(-1, SOL_SOCKET, SO_MARK, NULL, 0);
	syscall(SYS_bpf, BPF_MAP_GET_NEXT_ID, NULL, 0);
	syscall(SYS_keyctl, KEYCTL_READ, -1);
	ptrace(PTRACE_SEIZE, -1, NULL, NULL);
	syscall(SYS_shmat, -1, NULL, SHM_EXEC | SHM_RDONLY);
	syscall(SYS_pkey_mprotect, 1, 4096, PROT_READ | PROT_EXEC, -1);
	syscall(SYS_pkey_mprotect, 1, 4096, PROT_READ | PROT_EXEC | PROT_WRITE, -1);
	for (int i = 0; i < 1000; i++)
		syscall(SYS_pkey_mprotect, 1, 4096, i % 2 ? PROT_READ : PROT_NONE, -1);
}

static int server(int family, int type, int port)
{
	struct sockaddr_in6 to = {.sin6_family = family, .sin6_port = htons(port)};
	int fd = socket(family, type, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&to, family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(to)))
		exit(1);
	if (type == SOCK_STREAM && listen(fd, 1))
		exit(1);
	return fd;
}

// ports listens in every way that counts, and in some that do not.
static void ports(void)
{
	int fd;

	server(AF_INET, SOCK_STREAM, 20001);
	server(AF_INET6, SOCK_STREAM, 20002);
	server(AF_INET, SOCK_DGRAM, 20003);
	server(AF_INET6, SOCK_DGRAM, 20004);
	server(AF_INET, SOCK_STREAM, 0);
	server(AF_INET, SOCK_DGRAM, 0);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	listen(fd, 1); // without a port
	listen(0, 1);
	listen(-1, 1);
	listen(100000, 1);
	bind(socket(AF_UNIX, SOCK_STREAM, 0), NULL, 0);
}

// acceptor begins to serve.
static void acceptor(void)
{
	int fd = server(AF_INET, SOCK_STREAM, 20001);

	syscall(SYS_getpgid, 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	accept4(fd, NULL, NULL, 0);
	syscall(SYS_getsid, 0);
}

// steps gets its process group, session and parent, each after a line was read,
// and says so.
static void steps(void)
{
	static const int calls[] = {SYS_getpgid, SYS_getsid, SYS_getppid};
	char c;

	for (int i = 0; i < 3 && read(0, &c, 1) == 1; i++) {
		syscall(calls[i], 0);
		puts("done");
		fflush(stdout);
	}
}

// filter loads a filter that allows everything, which without no_new_privs
// takes a capability.
static void filter(void)
{
	struct sock_filter code[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
	struct sock_fprog prog = {1, code};

	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog))
		exit(1);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*act)(void);
	} acts[] = {{"args", args}, {"ports", ports}, {"acceptor", acceptor}, {"steps", steps}, {"filter", filter}};

	for (size_t i = 0; argc > 1 && i < sizeof(acts) / sizeof(acts[0]); i++)
		if (strcmp(argv[1], acts[i].name) == 0) {
			acts[i].act();
			return 0;
		}
	return 2;
}
