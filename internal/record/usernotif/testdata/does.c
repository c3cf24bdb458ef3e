// does does one thing, named by its first argument, that a supervisor must see or
// that stands in its way.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int close_ok(int fd) { return fd < 0 || close(fd); }

// Files: each takes a folder, in which it is, and has files "old" and "dir".
static int r(void) { return close_ok(open("old", O_RDONLY)); }
static int w(void) { return close_ok(open("old", O_WRONLY)); }
static int rw(void) { return close_ok(open("./old", O_RDWR)); }
static int a(void) { return close_ok(open("dir/../old", O_WRONLY | O_APPEND)); }
static int create(void) { return close_ok(open("new", O_WRONLY | O_CREAT, 0600)); }
static int createread(void) { return close_ok(open("new", O_RDONLY | O_CREAT, 0600)); }
static int exclusive(void) { return open("old", O_WRONLY | O_CREAT | O_EXCL, 0600) != -1; }
static int opath(void) { return close_ok(open("old", O_PATH)); }
static int looks(void) { struct stat st; return stat("old", &st) || access("old", R_OK) || readlink("link", (char[9]){0}, 9) < 0; }
static int list(void) { return close_ok(open("dir", O_RDONLY | O_DIRECTORY)); }
static int dangling(void) { return close_ok(open("nowhere", O_WRONLY | O_CREAT, 0600)); }
static int through(void) { return close_ok(open("link", O_RDONLY)); }
static int nofollow(void) { return open("link", O_RDONLY | O_NOFOLLOW) != -1; }
static int closed(void) { return open("closed", O_RDONLY) == 0; }
static int missing(void) { return open("no/such", O_RDONLY) != -1; }
static int self(void) { return close_ok(open("/proc/self/maps", O_RDONLY)); }
static int mkdir_(void) { return mkdir("newdir", 0700); }
static int rmdir_(void) { return rmdir("dir"); }
static int unlink_(void) { return unlink("old"); }
static int rename_(void) { return rename("old", "new"); }
static int link_(void) { return link("old", "new"); }
static int symlink_(void) { return symlink("old", "new"); }
static int mkfifo_(void) { return mkfifo("new", 0600); }
static int chmod_(void) { return chmod("old", 0640); }
static int truncate_(void) { return truncate("old", 0); }

static int at(void)
{
	int dir = open("dir", O_PATH | O_DIRECTORY);

	return close_ok(openat(dir, "../old", O_RDONLY));
}

static int how(void)
{
	unsigned long long how[3] = {O_RDONLY};

	return close_ok(syscall(SYS_openat2, AT_FDCWD, "old", how, sizeof(how)));
}

static int lock(void)
{
	struct flock l = {.l_type = F_RDLCK};
	int fd = open("old", O_RDONLY);

	return flock(fd, LOCK_SH) || fcntl(fd, F_SETLK, &l);
}

static int map(void)
{
	int fd = open("old", O_RDONLY);

	return mmap(NULL, 1, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0) == MAP_FAILED;
}

static int again(void) { return create() || r() || close_ok(open("new", O_RDONLY)); }

static int unixsocket(void)
{
	struct sockaddr_un sa = {AF_UNIX, "new"};
	int s = socket(AF_UNIX, SOCK_STREAM, 0);

	return bind(s, (void *)&sa, sizeof(sa)) || listen(s, 1) || connect(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&sa, sizeof(sa));
}

static int accepts(void)
{
	struct sockaddr_un sa = {AF_UNIX, "new"};
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	if (bind(s, (void *)&sa, sizeof(sa)) || listen(s, 1) || accept(s, NULL, NULL) != -1)
		return 1;
	return syscall(SYS_sched_yield);
}

static int exec_(void) { execl("script", "script", NULL); return 1; }

// Others.
static int signals(void)
{
	pid_t child = fork();

	if (child == 0)
		for (;;)
			pause();
	signal(SIGUSR1, SIG_IGN);
	raise(SIGUSR1);
	kill(getppid(), 0);
	return kill(child, SIGTERM) || waitpid(child, NULL, 0) != child;
}

static int traces(void)
{
	pid_t child = fork();

	if (child == 0)
		for (;;)
			pause();
	return ptrace(PTRACE_SEIZE, child, 0, 0) || kill(child, SIGKILL);
}

static int mounts(void) { mount("/dir", "/", NULL, MS_BIND | MS_REC, NULL); mount("none", "/", "tmpfs", MS_NOSUID | MS_RDONLY, NULL); umount2("/", MNT_DETACH); return 0; }

static int hidden(void) { return prctl(PR_SET_DUMPABLE, 0) || close_ok(open("old", O_RDONLY)); }

static int filter(unsigned action, unsigned flags)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sched_getscheduler, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, action),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = {4, code};

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog);
}

static int refused(void) { return filter(SECCOMP_RET_ERRNO | EPERM, 0) || syscall(SYS_sched_getscheduler, 0) != -1; }
static int traced(void) { return filter(SECCOMP_RET_TRACE, 0) || syscall(SYS_sched_getscheduler, 0) != 0; }
static int listens(void) { return filter(SECCOMP_RET_USER_NOTIF, SECCOMP_FILTER_FLAG_NEW_LISTENER) != -1 || errno != EBUSY; }

static void nothing(int sig) { (void)sig; }

// interrupted is sent signals until one makes a call fail that does not wait, and
// lives on.
static int interrupted(void)
{
	struct sigaction act = {.sa_handler = nothing};
	struct itimerval often = {{0, 100}, {0, 100}};
	time_t end = time(NULL) + 10;

	if (sigaction(SIGALRM, &act, NULL) || setitimer(ITIMER_REAL, &often, NULL))
		return 1;
	while (syscall(SYS_getppid) != -1)
		if (time(NULL) > end)
			return 2;
	if (errno != EINTR)
		return 1;
	often.it_value.tv_usec = often.it_interval.tv_usec = 0;
	while (setitimer(ITIMER_REAL, &often, NULL))
		;
	usleep(50000);
	return 0;
}

// returns is sent two signals all the time, so that one interrupts the return
// from the handler of the other.
static int returns(void)
{
	struct sigaction act = {.sa_handler = nothing};
	time_t end = time(NULL) + 2;
	pid_t self = getpid(), child;

	if (sigaction(SIGUSR1, &act, NULL) || sigaction(SIGUSR2, &act, NULL))
		return 1;
	if ((child = fork()) == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		while (getppid() == self && kill(self, SIGUSR1) == 0 && kill(self, SIGUSR2) == 0)
			;
		_exit(0);
	}
	while (time(NULL) < end)
		syscall(SYS_getppid);
	kill(child, SIGKILL);
	return 0;
}

// forever makes calls until they fail.
static int forever(void)
{
	puts("ready");
	fflush(stdout);
	while (syscall(SYS_getppid) != -1)
		;
	return errno != ENOSYS;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*does)(void);
	} all[] = {
		{"r", r}, {"w", w}, {"rw", rw}, {"a", a}, {"create", create}, {"createread", createread}, {"exclusive", exclusive},
		{"opath", opath}, {"looks", looks}, {"list", list}, {"through", through}, {"dangling", dangling}, {"nofollow", nofollow}, {"closed", closed},
		{"missing", missing}, {"self", self}, {"mkdir", mkdir_}, {"rmdir", rmdir_}, {"unlink", unlink_}, {"rename", rename_},
		{"link", link_}, {"symlink", symlink_}, {"mkfifo", mkfifo_}, {"chmod", chmod_}, {"truncate", truncate_}, {"at", at},
		{"how", how}, {"lock", lock}, {"map", map}, {"again", again}, {"unixsocket", unixsocket}, {"accepts", accepts}, {"exec", exec_},
		{"signals", signals}, {"traces", traces}, {"mounts", mounts}, {"hidden", hidden}, {"refused", refused},
		{"traced", traced}, {"listens", listens}, {"interrupted", interrupted}, {"returns", returns}, {"forever", forever},
	};

	if (argc > 2 && chdir(argv[2]))
		return 2;
	for (size_t i = 0; argc > 1 && i < sizeof(all) / sizeof(all[0]); i++)
		if (strcmp(argv[1], all[i].name) == 0)
			return all[i].does();
	return 2;
}
