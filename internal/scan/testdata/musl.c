// A program with cancellation points, threads, IDs and children: see
// kinds_test.go. With an argument it does only what needs nobody else.
#include <fcntl.h>
#include <grp.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static void *thread(void *p) {
	usleep(1);
	return p;
}

int main(int argc, char **argv) {
	pthread_t t;
	char buf[16];
	pthread_create(&t, 0, thread, 0);
	int fd = open("/dev/null", O_RDWR);
	read(fd, buf, 1);
	write(fd, buf, 1);
	poll(0, 0, 1);
	fsync(fd);
	lseek(fd, 0, SEEK_SET);
	printf("%d\n", getpid());
	if (argc > 1) {
		pthread_join(t, 0);
		close(fd);
		return 0;
	}
	struct addrinfo *a;
	getaddrinfo("x", "80", 0, &a);
	int s = socket(AF_INET, SOCK_STREAM, 0);
	connect(s, a->ai_addr, a->ai_addrlen);
	accept4(s, 0, 0, 0);
	setuid(1);
	initgroups("x", 1);
	if (!fork())
		execlp("true", "true", (char *)0);
	wait(0);
	pthread_cancel(t);
	pause();
	return system(argv[0]);
}
