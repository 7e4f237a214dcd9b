/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "fd.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

/* Headers older than the system call: as if the kernel were (ENOSYS). */
#ifndef SYS_close_range
#define SYS_close_range -1
#endif

bool ready(int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};

	return poll(&p, 1, 0) > 0;
}

int wait_for(struct pollfd *fds, size_t n, int timeout)
{
	const struct timespec rest = {.tv_nsec = 100 * 1000000L};
	int count = poll(fds, n, timeout);

	if (count >= 0)
		return count;
	for (size_t i = 0; i < n; i++)
		fds[i].revents = 0;
	if (errno == EINTR)
		return -1;
	if (timeout != 0)
		nanosleep(&rest, NULL);
	count = 0;
	for (size_t i = 0; i < n; i++)
		count += poll(&fds[i], 1, 0) > 0;
	return count;
}

ino_t inode_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 ? st.st_ino : 0;
}

bool is_pipe(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode);
}

bool has_name(int fd)
{
	enum { PIPEFS_MAGIC = 0x50495045 }; /* statfs(2) */
	struct statfs fs;

	return fstatfs(fd, &fs) < 0 || fs.f_type != PIPEFS_MAGIC;
}

void shut(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

ssize_t write_now(int fd, const char *bytes, size_t n)
{
	ssize_t sent = send(fd, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (sent >= 0 || errno != ENOTSOCK)
		return sent;
	if (!ready(fd, POLLOUT)) {
		errno = EAGAIN;
		return -1;
	}
	/* Of a pipe that may be blocking no more is free for sure. */
	if (n > PIPE_BUF && is_pipe(fd) && !(fcntl(fd, F_GETFL) & O_NONBLOCK))
		n = PIPE_BUF;
	return write(fd, bytes, n);
}

static void close_range_of(int first, int last)
{
	if (first > last || syscall(SYS_close_range, first, last, 0) == 0)
		return;

	/* Kernel < 5.9, or a seccomp profile that does not know the call. */
	DIR *dir = opendir("/proc/self/fd");
	if (!dir) {
		for (int fd = first; fd <= last && fd < 65536; fd++)
			close(fd);
		return;
	}
	for (struct dirent *e; (e = readdir(dir));) {
		int fd = atoi(e->d_name);
		if (isdigit((unsigned char)*e->d_name) && fd >= first && fd <= last &&
		    fd != dirfd(dir))
			close(fd);
	}
	closedir(dir);
}

static int by_value(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

void close_all_but(int first, int keep[], size_t n)
{
	qsort(keep, n, sizeof *keep, by_value);
	for (size_t i = 0; i < n; i++) {
		if (keep[i] < first)
			continue;
		close_range_of(first, keep[i] - 1);
		first = keep[i] + 1;
	}
	close_range_of(first, INT_MAX);
}

bool own_description(int fd, int access)
{
	char path[32];

	if (!is_pipe(fd) && !(isatty(fd) && ptsname_r(fd, path, sizeof path) != 0))
		return false;
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	int own = open(path, access | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (own < 0)
		return false;
	bool done = dup3(own, fd, O_CLOEXEC) >= 0;
	close(own);
	return done;
}
