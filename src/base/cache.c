/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "cache.h"

#include "fd.h"
#include "say.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
	FILES_MAX = 100,
	ABANDONED = 3600, /* s: a new file that was never finished */
};

#define DIRECTORY "/mcp-reap"
#define SUFFIX ".jsonl"
#define NEW ".new-"

/* Whether only we can write what ST is of. */
static bool is_our_own(const struct stat *st)
{
	return st->st_uid == geteuid() && !(st->st_mode & (S_IWGRP | S_IWOTH));
}

/* Opens our directory, and makes it if MAKE.  Returns -1 with errno. */
static int open_directory(bool make)
{
	const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	char path[PATH_MAX];
	struct stat st;
	int n;

	/* One that is empty or relative counts as none: the XDG base directory specification. */
	if (cache && *cache == '/')
		n = snprintf(path, sizeof path, "%s", cache);
	else if (home && *home == '/')
		n = snprintf(path, sizeof path, "%s/.cache", home);
	else
		return errno = ENOENT, -1;
	if (n > (int)(sizeof path - sizeof DIRECTORY))
		return errno = ENAMETOOLONG, -1;
	if (make)
		mkdir(path, 0700);
	memcpy(path + n, DIRECTORY, sizeof DIRECTORY);
	if (make && mkdir(path, 0700) < 0 && errno != EEXIST)
		return -1;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0 && (fstat(fd, &st) < 0 || !is_our_own(&st))) {
		shut(&fd);
		errno = EPERM;
	}
	return fd;
}

/* Reads what FD, a file of ours, has.  Returns NULL, or why it is not to be used. */
static const char *read_file(int fd, char *buf, size_t *n)
{
	struct stat st;
	ssize_t some = 1;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || !is_our_own(&st))
		return "foreign";
	for (*n = 0; some > 0 && *n < CACHED_SIZE_MAX; *n += (size_t)some) {
		some = read(fd, buf + *n, CACHED_SIZE_MAX - *n);
		if (some < 0)
			return "not-readable";
	}
	return some > 0 && st.st_size > CACHED_SIZE_MAX ? "too-large" : NULL;
}

const char *read_cached(const char *name, char *buf, size_t *n)
{
	char file[NAME_MAX + 1];
	int directory = open_directory(false);

	if (directory < 0)
		return errno == ENOENT ? "none" : "foreign-directory";
	snprintf(file, sizeof file, "%s" SUFFIX, name);
	/* O_NONBLOCK: for a FIFO in its place. */
	int fd = openat(directory, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	const char *why = NULL;
	if (fd < 0)
		why = errno == ENOENT ? "none" : errno == ELOOP ? "foreign" : "not-readable";
	else
		why = read_file(fd, buf, n);
	shut(&fd);
	close(directory);
	return why;
}

/* Whether NAME is that of a file of ours. */
static bool is_ours(const char *name)
{
	size_t n = strspn(name, "0123456789abcdef");

	return n == CACHED_NAME_LENGTH &&
	       (strcmp(name + n, SUFFIX) == 0 || strncmp(name + n, NEW, sizeof NEW - 1) == 0);
}

/* Opens DIRECTORY once more, to be read from its beginning. */
static DIR *read_directory(int directory)
{
	int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir)
		shut(&fd);
	return dir;
}

/* Removes the files that were never finished.  Returns how many others there are, and which one is
 * the OLDEST. */
static size_t look_through(int directory, char oldest[NAME_MAX + 1])
{
	int64_t oldest_time = INT64_MAX, limit = (int64_t)time(NULL) - ABANDONED;
	DIR *dir = read_directory(directory);
	size_t n = 0;

	if (!dir)
		return 0;
	for (struct dirent *e; (e = readdir(dir));) {
		struct stat st;
		if (!is_ours(e->d_name) ||
		    fstatat(directory, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (strstr(e->d_name, NEW)) {
			if (st.st_mtime < limit)
				unlinkat(directory, e->d_name, 0);
			continue;
		}
		n++;
		if (st.st_mtime < oldest_time) {
			oldest_time = st.st_mtime;
			snprintf(oldest, NAME_MAX + 1, "%s", e->d_name);
		}
	}
	closedir(dir);
	return n;
}

static void prune(int directory)
{
	char oldest[NAME_MAX + 1];

	while (look_through(directory, oldest) > FILES_MAX)
		if (unlinkat(directory, oldest, 0) < 0)
			return;
}

static bool write_all(int fd, const char *bytes, size_t n)
{
	while (n > 0) {
		ssize_t written = write(fd, bytes, n);
		if (written < 0 && errno == EINTR)
			continue;
		if (written == 0)
			errno = ENOSPC;
		if (written <= 0)
			return false;
		bytes += written;
		n -= (size_t)written;
	}
	return true;
}

/*
 * Two sessions that write one file at once: each has a new file that nobody else has (a pid may be
 * another's, too, in another PID namespace: O_EXCL) until it is whole, and the later rename counts.
 */
const char *write_cached(const char *name, const char *bytes, size_t n)
{
	char file[NAME_MAX + 1], new[NAME_MAX + 1];
	struct timespec t;
	int error = 0, directory = open_directory(true);

	if (directory < 0)
		return strerror(errno);
	clock_gettime(CLOCK_REALTIME, &t);
	snprintf(file, sizeof file, "%s" SUFFIX, name);
	snprintf(new, sizeof new, "%s" NEW "%d-%jd.%09ld", name, (int)getpid(), (intmax_t)t.tv_sec,
		 t.tv_nsec);
	int fd = openat(directory, new, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 || !write_all(fd, bytes, n) || fsync(fd) < 0 ||
	    renameat(directory, new, directory, file) < 0) {
		error = errno;
		if (fd >= 0)
			unlinkat(directory, new, 0);
	}
	shut(&fd);
	if (!error)
		prune(directory);
	close(directory);
	return error ? strerror(error) : NULL;
}

void clear_cache(void)
{
	int directory = open_directory(false);
	DIR *dir = directory < 0 ? NULL : read_directory(directory);

	if (!dir && errno == ENOENT)
		return;
	if (!dir)
		fail("cache");
	for (struct dirent *e; (e = readdir(dir));)
		if (is_ours(e->d_name) && unlinkat(directory, e->d_name, 0) < 0 && errno != ENOENT)
			fail(e->d_name);
	closedir(dir);
	close(directory);
}
