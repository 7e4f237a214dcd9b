/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "trace.h"

#include "../base/clock.h"
#include "../base/fd.h"
#include "../base/memory.h"
#include "../base/options.h"
#include "../base/say.h"
#include "../base/self.h"
#include "../base/text.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#ifndef PROC_SUPER_MAGIC
#define PROC_SUPER_MAGIC 0x9fa0 /* statfs(2); no libc has it */
#endif

enum {
	RECORD = 6 * TRACED + 1024, /* \u00xx, and what is around */
	LARGE = 16384,              /* bytes, given back until the next large message */
	PATIENCE = 1000,            /* ms, for a reader of the trace */
	LINKS_MAX = 8,              /* from link to link */
};

static struct {
	int fd;       /* -1: none */
	char *record; /* RECORD bytes */
	bool *failed; /* shared by both processes */
	bool limited; /* a file that --trace-max is for */
	char *path;   /* PATH_MAX bytes */
} trace = {.fd = -1};

bool is_tracing(void)
{
	return trace.fd >= 0;
}

int trace_descriptor(void)
{
	return trace.fd;
}

static void stop_trace(const char *why)
{
	/* Both of our processes may come to it at the same time. */
	if (!__atomic_exchange_n(trace.failed, true, __ATOMIC_RELAXED))
		complain("trace: %s: %s: no more is traced", opt.trace, why);
	if (trace.fd > STDERR_FILENO)
		close(trace.fd);
	trace.fd = -1;
}

/*
 * Cuts off the N bytes that are at the trace's end of a record for which there was no room, or
 * the next one of another session would be glued to it.  What another session has written
 * behind them stays, as there is a newline to come then.  None can between the look and the cut
 * unless the disk has room again in that very moment.
 */
static void take_back(size_t n)
{
	struct stat st;
	off_t end = lseek(trace.fd, 0, SEEK_CUR);

	if (fstat(trace.fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == end &&
	    end >= (off_t)n && ftruncate(trace.fd, end - (off_t)n) < 0)
		return; /* then a line is broken */
}

/* Writes T to the trace, in one write if that is possible at all.  A reader that
 * does not take it is waited for once, so long as PATIENCE. */
static void write_trace(const struct text *t)
{
	const char *bytes = t->bytes;
	size_t left = t->length;
	bool in_part = false;
	int64_t deadline = 0;

	if (*trace.failed)
		stop_trace("");
	while (trace.fd >= 0 && left > 0) {
		ssize_t n = write_now(trace.fd, bytes, left);
		if (n > 0) {
			bytes += n;
			left -= (size_t)n;
			in_part = left > 0;
		} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
			int error = errno;
			if (in_part)
				take_back(t->length - left);
			errno = error;
			stop_trace(n ? strerror(errno) : "nothing could be written");
		} else if (errno == EAGAIN) {
			struct pollfd p = {.fd = trace.fd, .events = POLLOUT};
			if (!deadline)
				deadline = now() + PATIENCE;
			if (now() >= deadline || poll(&p, 1, until(deadline)) == 0)
				stop_trace("its reader is too slow");
		}
	}
}

static void open_path(void);

/*
 * Begins a new file once the trace is as large as it may be; the one before becomes FILE.1.
 *
 * Why no record is lost, whoever shares the file: it is renamed by the holder of its lock only,
 * who has seen under the lock that FILE is still it, so nobody renames the new one in its place.
 * The lock is the process's, as our two share an open file description.  Who has the old one open
 * sees here, before its next record, that it is full, and goes on in the new one; a record that
 * was on its way meanwhile is in FILE.1.  Nobody waits: who does not get the lock writes once more
 * to the file that it has.
 */
static void limit_trace(void)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	struct stat file, named;
	char old[PATH_MAX + 2];

	if (!trace.limited || trace.fd < 0 || fstat(trace.fd, &file) < 0 ||
	    file.st_size < opt.trace_max || fcntl(trace.fd, F_SETLK, &lock) < 0)
		return;
	snprintf(old, sizeof old, "%s.1", trace.path);
	if (lstat(trace.path, &named) == 0 && named.st_dev == file.st_dev &&
	    named.st_ino == file.st_ino && rename(trace.path, old) < 0) {
		stop_trace(strerror(errno));
		return;
	}
	close(trace.fd); /* and the lock is open */
	open_path();
}

/* Begins a record: the time and the session. */
static struct text begin_record(void)
{
	struct text t = {trace.record, RECORD, 0};
	struct timespec now_is;

	limit_trace();

	clock_gettime(CLOCK_REALTIME, &now_is);
	/* gmtime(3) would read the time zone's file.  Days are counted in years
	 * that begin in March, from the year 0 on. */
	int64_t day = now_is.tv_sec / 86400 + 719468;
	int second = (int)(now_is.tv_sec % 86400);
	int64_t era = day / 146097, of_era = day % 146097;
	int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
	int64_t month = (5 * of_year + 2) / 153; /* March: 0 */
	addf(&t, "{\"time\":\"%04d-%02d-%02dT%02d:%02d:%02d.%06dZ\",\"session\":%d,",
	     (int)(year + era * 400 + (month >= 10)), (int)(month < 10 ? month + 3 : month - 9),
	     (int)(of_year - (153 * month + 2) / 5 + 1), second / 3600, second / 60 % 60,
	     second % 60, (int)(now_is.tv_nsec / 1000), (int)self.shim);
	return t;
}

void trace_message(const char *from, const char *s, size_t length, bool json, const char *mark)
{
	size_t n = length < TRACED ? length : TRACED;
	struct text t = begin_record();

	addf(&t, "\"from\":\"%s\",", from);
	if (mark)
		addf(&t, "\"%s\":true,", mark);
	if (n == length && json) {
		addf(&t, "\"message\":");
		add(&t, s, n);
	} else {
		addf(&t, "\"text\":");
		add_json(&t, s, n);
	}
	if (n < length)
		addf(&t, ",\"cut\":true,\"bytes\":%zu", length);
	addf(&t, "}\n");
	write_trace(&t);
	if (t.length > LARGE)
		give_back(trace.record, RECORD);
}

void trace_error(const char *line)
{
	struct text t = begin_record();

	addf(&t, "\"event\":\"error\",\"message\":");
	add_json(&t, line, strlen(line));
	addf(&t, "}\n");
	write_trace(&t);
}

/* Whether the N bytes of S, the value of an event, are a number: quoted() has put what
 * else begins with a digit in quotes. */
static bool is_number(const char *s, size_t n)
{
	return n > 0 && isdigit((unsigned char)*s) && strspn(s, "0123456789.") >= n;
}

void trace_event(const char *line)
{
	struct text t = begin_record();
	size_t n = strcspn(line, " ");

	addf(&t, "\"event\":");
	add_json(&t, line, n);
	if (strncmp(line, "start ", 6) == 0) {
		addf(&t, ",\"argv\":[");
		for (char **word = self.command; *word && t.length < RECORD / 2; word++) {
			if (word > self.command)
				add(&t, ",", 1);
			add_json(&t, *word, strnlen(*word, TRACED / 4));
		}
		add(&t, "]", 1);
	}
	for (line += n; *line == ' '; line += n) {
		n = strcspn(++line, "=");
		add(&t, ",", 1);
		add_json(&t, line, n);
		add(&t, ":", 1);
		line += n + (line[n] == '=');
		if (*line == '"') {
			char value[512];
			size_t length = 0;
			for (n = 1; line[n] && line[n] != '"'; n++) {
				if (line[n] == '\\' && line[n + 1])
					n++;
				value[length++] = line[n];
			}
			n += line[n] == '"';
			add_json(&t, value, length);
		} else {
			n = strcspn(line, " ");
			if (is_number(line, n))
				add(&t, line, n);
			else
				add_json(&t, line, n);
		}
	}
	addf(&t, "}\n");
	write_trace(&t);
}

/* Whether FILE is that of the descriptor FD. */
static bool is_file_of(const struct stat *file, int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_dev == file->st_dev && st.st_ino == file->st_ino;
}

/* Looks whether FILE, just opened as PATH, can be traced to.  A line that is not
 * over, of a session whose disk was full, is ended. */
static void look_at_trace(const char *path, const struct stat *file)
{
	bool is_device = S_ISCHR(file->st_mode) && !isatty(trace.fd); /* /dev/null */
	char last = '\n';

	if (!is_device && is_file_of(file, STDOUT_FILENO)) {
		stop_trace("is the session's stdout");
	} else if (S_ISREG(file->st_mode) && is_file_of(file, STDIN_FILENO)) {
		stop_trace("is the session's stdin");
	} else if ((S_ISREG(file->st_mode) || (S_ISFIFO(file->st_mode) && has_name(trace.fd))) &&
		   file->st_uid != geteuid()) {
		stop_trace("belongs to another user");
	} else if (S_ISREG(file->st_mode) && file->st_size > 0) {
		int fd = open(path, O_RDONLY | O_NOCTTY | O_CLOEXEC);
		if (fd >= 0 && pread(fd, &last, 1, file->st_size - 1) == 1 && last != '\n')
			write_trace(&(struct text){(char[]){'\n'}, 1, 1});
		shut(&fd);
	}
}

/* Puts into PATH, PATH_MAX bytes, what the symbolic link of that name says.  Returns false, and
 * stops the trace, if it is another user's, who could choose what we write to; IS_MAGIC: it is
 * one of /proc's, which only the kernel can follow. */
static bool follow_link(char *path, bool *is_magic)
{
	char target[PATH_MAX];
	struct stat st;
	struct statfs fs;
	int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : readlinkat(fd, "", target, sizeof target - 1);
	bool known = n >= 0 && fstat(fd, &st) == 0 && fstatfs(fd, &fs) == 0;

	shut(&fd);
	if (!known || (st.st_uid != geteuid() && st.st_uid != 0)) {
		stop_trace(known ? "is a symbolic link of another user's" : strerror(ELOOP));
		return false;
	}
	*is_magic = fs.f_type == PROC_SUPER_MAGIC;
	const char *slash = *target == '/' ? NULL : strrchr(path, '/');
	size_t kept = slash && n > 0 && *target != '/' ? (size_t)(slash + 1 - path) : 0;
	if (*is_magic)
		return true;
	if (kept + (size_t)n >= PATH_MAX) {
		stop_trace(strerror(ENAMETOOLONG));
		return false;
	}
	memcpy(path + kept, target, (size_t)n);
	path[kept + (size_t)n] = '\0';
	return true;
}

/* Opens trace.path, which becomes the file's own where it is a link. */
static void open_path(void)
{
	/* O_NONBLOCK: a FIFO that nobody reads is an error. */
	const int flags = O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	struct stat file;
	bool is_magic = false;

	trace.fd = open(trace.path, flags | O_NOFOLLOW, 0600);
	for (int links = 0; trace.fd < 0 && errno == ELOOP && links < LINKS_MAX; links++) {
		if (!follow_link(trace.path, &is_magic))
			return;
		trace.fd = open(trace.path, is_magic ? flags : flags | O_NOFOLLOW, 0600);
	}
	if (trace.fd >= 0 && trace.fd <= STDERR_FILENO) { /* stdio is closed by now */
		int fd = fcntl(trace.fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
		shut(&trace.fd);
		trace.fd = fd;
	}
	if (trace.fd < 0) {
		stop_trace(errno == ENXIO ? "nobody reads it" : strerror(errno));
	} else if (fstat(trace.fd, &file) == 0) {
		trace.limited = opt.trace_max > 0 && S_ISREG(file.st_mode) && !is_magic;
		look_at_trace(trace.path, &file);
	}
}

void open_trace(void)
{
	trace.record = map_memory(RECORD, MAP_PRIVATE);
	trace.path = map_memory(PATH_MAX, MAP_PRIVATE);
	trace.failed = map_memory(sizeof *trace.failed, MAP_SHARED);
	if (strcmp(opt.trace, "-") == 0) {
		trace.fd = STDERR_FILENO;
		return;
	}
	struct text t = {trace.path, PATH_MAX - 1, 0};
	for (const char *from = opt.trace; *from; from++) {
		if (from[0] == '%' && from[1] == 'p') {
			addf(&t, "%d", (int)self.shim);
			from++;
		} else {
			add(&t, from, 1);
		}
	}
	open_path();
}
