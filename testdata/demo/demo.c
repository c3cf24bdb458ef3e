// demo uses one privilege, named by its first argument, in the folder named by
// its second, and nothing else: what a recorder sees of it beyond what it sees of
// "nothing" is that privilege. facts.txtar says what that is.
//
// System calls are made by number where libc would choose among several, or make
// further ones. Exit status 77 is for what this machine does not have.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/netlink.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NOT_HERE = 77 };

static void fail(const char *what)
{
	dprintf(2, "%s: %s\n", what, strerror(errno));
	_exit(errno == ENOSYS ? NOT_HERE : 1);
}

// must returns what a system call did, unless it failed.
static long must(long ret, const char *what)
{
	if (ret < 0)
		fail(what);
	return ret;
}

#define MUST(name, ...) must(syscall(SYS_##name, __VA_ARGS__), #name)

static int opened(const char *name, int flags)
{
	return MUST(openat, AT_FDCWD, name, flags, 0644);
}

// Files. The folder has: data, prog, link -> data, sub/, taken (of user 1), and
// socket, which a server listens at.

static void nothing(void) {}
static void file_read(void) { opened("data", O_RDONLY); }
static void file_write(void) { opened("data", O_WRONLY); }
static void file_both(void) { opened("data", O_RDWR); }
static void file_append(void) { opened("data", O_WRONLY | O_APPEND); }
static void file_truncating(void) { opened("data", O_RDONLY | O_TRUNC); }
static void file_create(void) { opened("new", O_WRONLY | O_CREAT | O_EXCL); }
static void file_temporary(void) { opened(".", O_WRONLY | O_TMPFILE); }
static void file_through_link(void) { opened("sub/../link", O_RDONLY); }
static void file_path_only(void) { opened("data", O_PATH); }
static void file_missing(void) { syscall(SYS_openat, AT_FDCWD, "missing", O_RDONLY); }
static void file_lock(void) { MUST(flock, opened("data", O_RDONLY), LOCK_EX); }
static void file_directory(void) { opened("sub", O_RDONLY | O_DIRECTORY); }
static void file_link(void) { MUST(linkat, AT_FDCWD, "data", AT_FDCWD, "sub/hard", 0); }
static void file_rename(void) { MUST(renameat2, AT_FDCWD, "data", AT_FDCWD, "sub/moved", 0); }
static void file_rename_dir(void) { MUST(renameat2, AT_FDCWD, "sub", AT_FDCWD, "moved", 0); }
static void file_unlink(void) { MUST(unlinkat, AT_FDCWD, "data", 0); }
static void file_rmdir(void) { MUST(unlinkat, AT_FDCWD, "sub", AT_REMOVEDIR); }
static void file_mkdir(void) { MUST(mkdirat, AT_FDCWD, "made", 0755); }
static void file_symlink(void) { MUST(symlinkat, "anywhere", AT_FDCWD, "sub/soft"); }
static void file_fifo(void) { MUST(mknodat, AT_FDCWD, "fifo", S_IFIFO | 0600, 0); }
static void file_chmod(void) { MUST(fchmodat, AT_FDCWD, "link", 0600); }
static void file_fchmod(void) { MUST(fchmod, opened("data", O_RDONLY), 0600); }
static void file_truncate(void) { MUST(truncate, "data", 1L); }
static void file_ftruncate(void) { MUST(ftruncate, opened("data", O_WRONLY), 1L); }
static void file_times(void) { MUST(utimensat, AT_FDCWD, "data", NULL, 0); }
static void file_attribute(void) { MUST(setxattr, "data", "user.demo", "1", 1L, 0); }

static void file_range_lock(void)
{
	struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	MUST(fcntl, opened("data", O_WRONLY), F_SETLK, &l);
}

static void load_library(void)
{
	if (mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, opened("prog", O_RDONLY), 0) == MAP_FAILED)
		fail("mmap");
}

static void exec_program(void)
{
	char *argv[] = {"prog", "nothing", ".", NULL};

	MUST(execve, "sub/../prog", argv, environ);
}

static void exec_script(void)
{
	char *argv[] = {"script", NULL};

	MUST(execve, "./script", argv, environ);
}

static void exec_refused(void)
{
	char *argv[] = {"data", NULL};

	syscall(SYS_execve, "data", argv, environ);
}

static void hugepage(void)
{
	if (mmap(NULL, 2 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_NORESERVE, -1, 0) == MAP_FAILED && errno != ENOMEM)
		fail("mmap");
}

// Sockets.

static int sock(int family, int type, int protocol) { return MUST(socket, family, type, protocol); }
static void tcp(void) { sock(AF_INET, SOCK_STREAM, 0); }
static void udp(void) { sock(AF_INET6, SOCK_DGRAM, 0); }
static void raw(void) { sock(AF_INET, SOCK_RAW, IPPROTO_ICMP); }
static void netlink(void) { sock(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE); }
static void unix_socket(void) { sock(AF_UNIX, SOCK_STREAM, 0); }

static struct sockaddr_un at(const char *name)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	strcpy(a.sun_path, name);
	return a;
}

static void unix_bind(void)
{
	struct sockaddr_un a = at("bound");

	MUST(bind, sock(AF_UNIX, SOCK_STREAM, 0), &a, sizeof(a));
}

static void unix_connect(void)
{
	struct sockaddr_un a = at("sub/../socket");

	MUST(connect, sock(AF_UNIX, SOCK_STREAM, 0), &a, sizeof(a));
}

static void unix_send(void)
{
	struct sockaddr_un a = at("datagram");

	MUST(sendto, sock(AF_UNIX, SOCK_DGRAM, 0), "x", 1L, 0, &a, sizeof(a));
}

static void unix_abstract(void)
{
	struct sockaddr_un a = at("?demo");
	int fd = sock(AF_UNIX, SOCK_STREAM, 0);

	a.sun_path[0] = 0;
	MUST(bind, fd, &a, sizeof(a));
}

// Processes.

// spin waits to be killed without a system call, which might come too late to
// be seen.
static void spin(void)
{
	for (volatile int forever = 1; forever;)
		;
}

static pid_t child(void)
{
	pid_t pid = MUST(clone, SIGCHLD, 0, 0, 0, 0);

	if (pid == 0)
		spin();
	return pid;
}

static void reap(pid_t pid)
{
	MUST(kill, pid, SIGKILL);
	MUST(wait4, pid, NULL, 0, NULL);
}

static void signal_self(void) { MUST(kill, (long)getpid(), SIGWINCH); }
static void signal_outside(void) { MUST(kill, (long)getppid(), SIGWINCH); }
static void signal_exists(void) { MUST(kill, (long)getpid(), 0); }
static void signal_child(void) { reap(child()); }

static void trace_child(void)
{
	pid_t pid = child();

	MUST(ptrace, PTRACE_SEIZE, pid, 0L, 0L);
	reap(pid);
}

static void trace_me(void)
{
	pid_t pid = MUST(clone, SIGCHLD, 0, 0, 0, 0);

	if (pid == 0)
		_exit(syscall(SYS_ptrace, PTRACE_TRACEME, 0L, 0L, 0L) != 0);
	MUST(wait4, pid, NULL, 0, NULL);
}

static void proc_self(void) { opened("/proc/self/maps", O_RDONLY); }

static void proc_child(void)
{
	pid_t pid = child();
	char name[64];

	snprintf(name, sizeof(name), "/proc/%d/environ", pid);
	opened(name, O_RDONLY);
	reap(pid);
}

static void io_uring(void)
{
	char params[120] = {0};

	MUST(io_uring_setup, 1, params);
}

static void clone_three(void)
{
	struct clone_args args = {.exit_signal = SIGCHLD};
	pid_t pid = MUST(clone3, &args, sizeof(args));

	if (pid == 0)
		syscall(SYS_exit_group, 0);
	MUST(wait4, pid, NULL, 0, NULL);
}

static void i386_call(void)
{
#ifdef __x86_64__
	long ret;

	__asm__ volatile("int $0x80" : "=a"(ret) : "a"(24L) : "memory"); // getuid
	if (ret < 0)
		_exit(NOT_HERE);
#else
	_exit(NOT_HERE);
#endif
}

static void set_ns(void) { MUST(setns, opened("/proc/self/ns/uts", O_RDONLY), CLONE_NEWUTS); }

static void do_mount(void)
{
	struct timespec t = {.tv_nsec = 300000000};

	MUST(unshare, CLONE_NEWNS);
	MUST(nanosleep, &t, NULL); // in a namespace that lasts a while
	MUST(mount, NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL);
	MUST(mount, "none", "sub", "tmpfs", MS_NOSUID | MS_NODEV, NULL);
	MUST(mount, "data", "prog", NULL, MS_BIND, NULL);
	MUST(umount2, "sub", MNT_DETACH);
}

// Capabilities: each by a call that needs it, or that at least asks.

static void cap_chown(void) { MUST(fchownat, AT_FDCWD, "data", 1, 1, 0); }
static void cap_fowner(void) { MUST(fchmodat, AT_FDCWD, "taken", 0600); }
static void cap_mknod(void) { MUST(mknodat, AT_FDCWD, "null", S_IFCHR | 0600, 0x103L); }
static void cap_setfcap(void)
{
	struct vfs_cap_data v = {.magic_etc = VFS_CAP_REVISION_2};

	MUST(setxattr, "data", "security.capability", &v, (long)XATTR_CAPS_SZ_2, 0);
}

static void as_user(void)
{
	struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct d[2];

	MUST(capget, &h, d);
	MUST(setresuid, -1L, 1L, -1L);
	MUST(capset, &h, d);
}

static void cap_setuid(void) { MUST(setresuid, 1L, 1L, 1L); }
static void cap_setgid(void) { MUST(setresgid, 1L, 1L, 1L); }
static void cap_dac_override(void) { as_user(); opened("secret", O_WRONLY); }
static void cap_net_bind_service(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(1), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	MUST(unshare, CLONE_NEWNET);
	syscall(SYS_bind, sock(AF_INET, SOCK_STREAM, 0), &a, sizeof(a)); // lo is down
}

static void cap_net_admin(void)
{
	int one = 1;

	MUST(setsockopt, sock(AF_INET, SOCK_STREAM, 0), SOL_SOCKET, SO_DEBUG, &one, sizeof(one));
}

static void cap_kill(void)
{
	int ready[2];
	char c = 0;
	pid_t pid;

	MUST(pipe2, ready, 0);
	pid = MUST(clone, SIGCHLD, 0, 0, 0, 0);
	if (pid == 0) {
		MUST(setresuid, 2L, 2L, 2L);
		MUST(write, ready[1], &c, 1L);
		spin();
	}
	MUST(read, ready[0], &c, 1L);
	reap(pid);
}

static void cap_sys_chroot(void) { MUST(chroot, "sub"); }
static void cap_sys_nice(void) { MUST(setpriority, 0 /* PRIO_PROCESS */, 0, -1); }
static void cap_sys_boot(void) { syscall(SYS_reboot, 0, 0, 0, NULL); }
static void cap_sys_module(void)
{
	if (syscall(SYS_delete_module, "no such module", O_NONBLOCK) && errno != ENOENT)
		fail("delete_module");
}

static void cap_sys_pacct(void) { syscall(SYS_acct, NULL); }
static void cap_syslog(void) { syscall(SYS_syslog, 10, NULL, 0); }
static void cap_ipc_lock(void)
{
	if (mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1, 0) == MAP_FAILED)
		fail("mmap");
}

static void cap_wake_alarm(void) { MUST(timerfd_create, 8 /* CLOCK_REALTIME_ALARM */, 0); }
static void cap_setpcap(void) { MUST(prctl, 24 /* PR_CAPBSET_DROP */, 40L, 0L, 0L, 0L); }

static void cap_sys_admin(void)
{
	MUST(unshare, CLONE_NEWUTS);
	MUST(sethostname, "demo", 4L);
}

static void cap_bpf(void)
{
	union bpf_attr a = {.map_type = BPF_MAP_TYPE_HASH, .key_size = 4, .value_size = 4, .max_entries = 1};

	MUST(bpf, BPF_MAP_CREATE, &a, sizeof(a));
}

static const struct {
	const char *flag;
	void (*act)(void);
} acts[] = {
	{"nothing", nothing}, {"read", file_read}, {"write", file_write}, {"both", file_both}, {"append", file_append},
	{"truncating", file_truncating}, {"create", file_create}, {"temporary", file_temporary},
	{"through-link", file_through_link}, {"path-only", file_path_only}, {"missing", file_missing}, {"lock", file_lock},
	{"range-lock", file_range_lock}, {"directory", file_directory}, {"link", file_link}, {"rename", file_rename},
	{"rename-dir", file_rename_dir}, {"unlink", file_unlink}, {"rmdir", file_rmdir}, {"mkdir", file_mkdir},
	{"symlink", file_symlink}, {"fifo", file_fifo}, {"chmod", file_chmod}, {"fchmod", file_fchmod},
	{"truncate", file_truncate}, {"ftruncate", file_ftruncate}, {"times", file_times}, {"attribute", file_attribute},
	{"load-library", load_library}, {"exec", exec_program}, {"exec-script", exec_script}, {"exec-refused", exec_refused},
	{"hugepage", hugepage}, {"tcp", tcp}, {"udp", udp}, {"raw", raw}, {"netlink", netlink}, {"unix", unix_socket},
	{"unix-bind", unix_bind}, {"unix-connect", unix_connect}, {"unix-send", unix_send}, {"unix-abstract", unix_abstract},
	{"signal-self", signal_self}, {"signal-outside", signal_outside}, {"signal-exists", signal_exists},
	{"signal-child", signal_child}, {"trace-child", trace_child}, {"trace-me", trace_me}, {"proc-self", proc_self},
	{"proc-child", proc_child}, {"io-uring", io_uring}, {"clone3", clone_three}, {"i386", i386_call}, {"setns", set_ns},
	{"mount", do_mount}, {"cap-chown", cap_chown}, {"cap-fowner", cap_fowner}, {"cap-mknod", cap_mknod},
	{"cap-setfcap", cap_setfcap}, {"cap-setuid", cap_setuid}, {"cap-setgid", cap_setgid},
	{"cap-dac-override", cap_dac_override}, {"cap-net-bind-service", cap_net_bind_service},
	{"cap-net-admin", cap_net_admin}, {"cap-kill", cap_kill}, {"cap-sys-chroot", cap_sys_chroot},
	{"cap-sys-nice", cap_sys_nice}, {"cap-sys-boot", cap_sys_boot}, {"cap-sys-module", cap_sys_module},
	{"cap-sys-pacct", cap_sys_pacct}, {"cap-syslog", cap_syslog}, {"cap-ipc-lock", cap_ipc_lock},
	{"cap-wake-alarm", cap_wake_alarm}, {"cap-setpcap", cap_setpcap}, {"cap-sys-admin", cap_sys_admin},
	{"cap-bpf", cap_bpf},
};

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[2], "./script") == 0) // which is run by this
		return 0;
	if (argc != 3 || syscall(SYS_chdir, argv[2]))
		return 2;
	for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++) {
		if (strcmp(acts[i].flag, argv[1]) == 0) {
			acts[i].act();
			syscall(SYS_exit_group, 0);
		}
	}
	return 2;
}
