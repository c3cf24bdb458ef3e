// acts does one thing, named by its first argument, that a recorder must see.
// "mark" is sched_getscheduler, a call that nothing else here makes.
#define _GNU_SOURCE
#include <errno.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void mark(void) { syscall(SYS_sched_getscheduler, 0); }

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static int act_mark(char **argv) { (void)argv; mark(); return 0; }

// bystander marks until its standard input ends.
static int act_bystander(char **argv)
{
	char c;

	(void)argv;
	if (fork() == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			mark();
	}
	return read(0, &c, 1) != 0;
}

static int act_clone3(char **argv)
{
	struct clone_args args = {.exit_signal = SIGCHLD};
	long pid = syscall(SYS_clone3, &args, sizeof(args));

	(void)argv;
	if (pid < 0)
		fail("clone3");
	if (pid == 0) {
		prctl(PR_SET_NAME, "renamed");
		mark();
		_exit(0);
	}
	wait(NULL);
	return 0;
}

static int act_vfork(char **argv)
{
	(void)argv;
	if (vfork() == 0) {
		mark();
		_exit(0);
	}
	wait(NULL);
	return 0;
}

// orphan leaves a grandchild in a session of its own, which marks once it has
// been reparented and then closes standard output.
static int act_orphan(char **argv)
{
	(void)argv;
	if (fork() == 0) {
		pid_t parent = getpid();

		if (fork() == 0) {
			setsid();
			while (getppid() == parent)
				usleep(1000);
			mark();
			_exit(0);
		}
		_exit(0);
	}
	wait(NULL);
	return 0;
}

static int act_mntns(char **argv)
{
	(void)argv;
	if (fork() == 0) {
		if (unshare(CLONE_NEWNS))
			fail("unshare");
		mark();
		_exit(0);
	}
	wait(NULL);
	return 0;
}

// setns marks in a child that has entered the mount namespace of another.
static int act_setns(char **argv)
{
	int ready[2];
	pid_t other;
	char c;

	(void)argv;
	if (pipe(ready))
		fail("pipe");
	other = fork();
	if (other == 0) {
		if (unshare(CLONE_NEWNS) || write(ready[1], "", 1) != 1)
			fail("unshare");
		pause();
	}
	if (read(ready[0], &c, 1) != 1)
		fail("read");
	if (fork() == 0) {
		if (setns(syscall(SYS_pidfd_open, other, 0), CLONE_NEWNS))
			fail("setns");
		mark();
		_exit(0);
	}
	wait(NULL);
	kill(other, SIGKILL);
	wait(NULL);
	return 0;
}

static void *exec_self(void *self)
{
	execl(self, self, "mark", NULL);
	fail("exec");
	return NULL;
}

static void *fork_self(void *self)
{
	char c;

	if (read(0, &c, 1) == 1 && fork() == 0)
		exec_self(self);
	wait(NULL);
	exit(0);
}

// threadfork reads a byte in a thread that is not the first, and starts "mark"
// from there.
static int act_threadfork(char **argv)
{
	pthread_t t;

	pthread_create(&t, NULL, fork_self, argv[0]);
	puts("ready");
	fflush(stdout);
	pause();
	return 0;
}

// threadexec execs from a thread that is not the first.
static int act_threadexec(char **argv)
{
	pthread_t t;

	pthread_create(&t, NULL, exec_self, argv[0]);
	pause();
	return 0;
}

static void *mark_late(void *unused)
{
	(void)unused;
	usleep(10000);
	mark();
	return NULL;
}

static int act_thread(char **argv)
{
	pthread_t t;

	(void)argv;
	pthread_create(&t, NULL, mark_late, NULL);
	pthread_join(t, NULL);
	return 0;
}

static int act_sockets(char **argv)
{
	int pair[2];

	(void)argv;
	socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_UDP);
	socket(AF_ALG, SOCK_SEQPACKET, 0);
	socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair);
	return 0;
}

static int act_args(char **argv)
{
	(void)argv;
	personality(0xffffffff);
	unshare(CLONE_FS);
	syscall(SYS_setns, -1, CLONE_NEWUTS);
	syscall(SYS_clone3, NULL, 0);
	return 0;
}

// personalities asks for as many personalities as its argument says.
static int act_personalities(char **argv)
{
	for (int i = 0; i < atoi(argv[2]); i++)
		syscall(SYS_personality, 0xff000000 | i << 8 | 0xff); // not one the kernel has
	personality(0);
	return 0;
}

// unknown makes the calls whose numbers are its arguments.
static int act_unknown(char **argv)
{
	for (argv += 2; *argv; argv++)
		syscall(strtol(*argv, NULL, 0));
	return 0;
}

// manyunknown makes calls with as many unknown numbers as its argument says.
static int act_manyunknown(char **argv)
{
	for (int i = 0; i < atoi(argv[2]); i++)
		syscall(2000 + i);
	return 0;
}

static int act_chown(char **argv)
{
	if (chown(argv[2], 1, 1))
		fail("chown");
	return 0;
}

// nochown gives CAP_CHOWN up and then tries.
static int act_nochown(char **argv)
{
	struct __user_cap_header_struct hdr = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &hdr, data))
		fail("capget");
	data[0].effective &= ~(1 << CAP_CHOWN);
	if (syscall(SYS_capset, &hdr, data))
		fail("capset");
	return chown(argv[2], 2, 2) == 0;
}

// userns gives itself a name in namespaces that clone made.
static int act_userns(char **argv)
{
	long pid = syscall(SYS_clone, CLONE_NEWUSER | CLONE_NEWUTS | SIGCHLD, 0, 0, 0, 0);
	int status;

	(void)argv;
	if (pid < 0)
		fail("clone");
	if (pid == 0)
		_exit(sethostname("nested", 6) != 0);
	return wait(&status) != pid || status != 0;
}

// refused loads a filter that refuses sched_getscheduler, or kills who makes it
// if there is an argument, and marks.
static int act_refused(char **argv)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sched_getscheduler, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, argv[2] ? SECCOMP_RET_KILL_PROCESS : SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = {4, code};

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog))
		fail("seccomp");
	mark();
	return 0;
}

// filter makes a call, loads a filter that allows everything for all its
// threads, makes another in two threads, and execs what follows.
static void *after_filter(void *go)
{
	while (!*(volatile int *)go)
		;
	syscall(SYS_getpgid, 0);
	return NULL;
}

static int act_filter(char **argv)
{
	struct sock_filter code[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
	struct sock_fprog prog = {1, code};
	volatile int go = 0;
	pthread_t t;

	syscall(SYS_sched_getparam, 0, NULL);
	pthread_create(&t, NULL, after_filter, (void *)&go);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &prog))
		fail("seccomp");
	go = 1;
	syscall(SYS_getsid, 0);
	pthread_join(t, NULL);
	execv(argv[2], argv + 2);
	fail("exec");
	return 1;
}

// refusehigh loads a filter that refuses numbers of 500 and more, and makes the
// calls that its arguments name.
static int act_refusehigh(char **argv)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 500, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = {4, code};

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog))
		fail("seccomp");
	return act_unknown(argv);
}

static void *serve(void *unused)
{
	(void)unused;
	for (;;) {
		usleep(5000);
		mark();
	}
	return NULL;
}

// serve says "ready", and then marks in a thread, and gets its session in a
// child, until its standard input ends.
static int act_serve(char **argv)
{
	pthread_t t;
	char c;

	(void)argv;
	if (fork() == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;) {
			usleep(5000);
			syscall(SYS_getsid, 0);
		}
	}
	pthread_create(&t, NULL, serve, NULL);
	puts("ready");
	fflush(stdout);
	while (read(0, &c, 1) > 0)
		if (c == 'f' && fork() == 0) {
			syscall(SYS_getpgid, 0);
			_exit(0);
		}
	return 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*act)(char **);
	} acts[] = {
		{"mark", act_mark},
		{"bystander", act_bystander},
		{"clone3", act_clone3},
		{"vfork", act_vfork},
		{"orphan", act_orphan},
		{"mntns", act_mntns},
		{"setns", act_setns},
		{"threadexec", act_threadexec},
		{"threadfork", act_threadfork},
		{"thread", act_thread},
		{"sockets", act_sockets},
		{"args", act_args},
		{"personalities", act_personalities},
		{"unknown", act_unknown},
		{"manyunknown", act_manyunknown},
		{"chown", act_chown},
		{"nochown", act_nochown},
		{"userns", act_userns},
		{"refused", act_refused},
		{"refusehigh", act_refusehigh},
		{"filter", act_filter},
		{"serve", act_serve},
	};

	for (size_t i = 0; argc > 1 && i < sizeof(acts) / sizeof(acts[0]); i++)
		if (strcmp(argv[1], acts[i].name) == 0)
			return acts[i].act(argv);
	fprintf(stderr, "usage: acts THING [ARG...]\n");
	return 2;
}
