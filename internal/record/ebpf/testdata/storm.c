// storm makes many short tasks, each of which opens a file of its own, or many
// opens of many files, from several processes at once:
//
//	storm prepare DIR PATHS          makes the files
//	storm open DIR PATHS OPENS FIRST opens them, OPENS times in all
//	storm fork DIR TASKS             forks that many, eight at a time
//	storm threads DIR THREADS        makes that many threads, eight at a time
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { AT_ONCE = 8, IN_FOLDER = 1000 };

static const char *dir;

static void name(char *buf, size_t size, unsigned long i)
{
	snprintf(buf, size, "%s/folder%lu/file%lu", dir, i / IN_FOLDER, i);
}

static void touch(unsigned long i, int flags)
{
	char buf[4096];
	int fd;

	name(buf, sizeof(buf), i);
	fd = open(buf, flags, 0644);
	if (fd < 0) {
		perror(buf);
		_exit(1);
	}
	close(fd);
}

static void prepare(unsigned long paths)
{
	char buf[4096];

	for (unsigned long i = 0; i < paths; i++) {
		if (i % IN_FOLDER == 0) {
			snprintf(buf, sizeof(buf), "%s/folder%lu", dir, i / IN_FOLDER);
			mkdir(buf, 0755);
		}
		touch(i, O_WRONLY | O_CREAT);
	}
}

// opens goes over the paths, from the first, as often as it takes.
static void opens(unsigned long paths, unsigned long n, unsigned long first)
{
	for (unsigned long i = 0; i < n; i++)
		touch((first + i) % paths, O_RDONLY);
}

static void *thread(void *i)
{
	touch((uintptr_t)i, O_RDONLY);
	return NULL;
}

static int wait_for(int n)
{
	int status, failed = 0;

	while (n-- > 0)
		failed |= wait(&status) < 0 || status;
	return failed;
}

int main(int argc, char **argv)
{
	unsigned long n = argc > 3 ? strtoul(argv[3], NULL, 0) : 0;

	if (argc < 4)
		return 2;
	dir = argv[2];
	if (strcmp(argv[1], "prepare") == 0) {
		prepare(n);
	} else if (strcmp(argv[1], "open") == 0 && argc == 6) {
		opens(n, strtoul(argv[4], NULL, 0), strtoul(argv[5], NULL, 0));
	} else if (strcmp(argv[1], "fork") == 0) {
		for (unsigned long i = 0; i < n; i++) {
			if (fork() == 0) {
				touch(i, O_RDONLY);
				_exit(0);
			}
			if (i >= AT_ONCE && wait_for(1))
				return 1;
		}
		return wait_for(n < AT_ONCE ? n : AT_ONCE);
	} else if (strcmp(argv[1], "threads") == 0) {
		pthread_t t[AT_ONCE];

		for (unsigned long i = 0; i < n; i++) {
			if (i >= AT_ONCE)
				pthread_join(t[i % AT_ONCE], NULL);
			if (pthread_create(&t[i % AT_ONCE], NULL, thread, (void *)(uintptr_t)i))
				return 1;
		}
		for (unsigned long i = 0; i < AT_ONCE && i < n; i++)
			pthread_join(t[i], NULL);
	} else {
		return 2;
	}
	return 0;
}
