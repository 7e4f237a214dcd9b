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
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
	RECORD = 6 * TRACED + 1024, /* \u00xx, and what is around */
	LARGE = 16384,              /* bytes, given back until the next large message */
	PATIENCE = 1000,            /* ms, for a reader of the trace */
};

static struct {
	int fd;       /* -1: none */
	char *record; /* RECORD bytes */
	bool *failed; /* shared by both processes */
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

/* Writes T to the trace, in one write if that is possible at all.  A reader that
 * does not take it is waited for once, so long as PATIENCE. */
static void write_trace(const struct text *t)
{
	const char *bytes = t->bytes;
	size_t left = t->length;
	int64_t deadline = 0;

	if (*trace.failed)
		stop_trace("");
	while (trace.fd >= 0 && left > 0) {
		ssize_t n = write_now(trace.fd, bytes, left);
		if (n > 0) {
			bytes += n;
			left -= (size_t)n;
		} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
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

/* Begins a record: the time and the session. */
static struct text begin_record(void)
{
	struct text t = {trace.record, RECORD, 0};
	struct timespec now_is;

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

void trace_message(const char *from, const char *s, size_t length, bool json)
{
	size_t n = length < TRACED ? length : TRACED;
	struct text t = begin_record();

	addf(&t, "\"from\":\"%s\",", from);
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
	} else if (S_ISREG(file->st_mode) && file->st_uid != geteuid()) {
		stop_trace("belongs to another user");
	} else if (S_ISREG(file->st_mode) && file->st_size > 0) {
		int fd = open(path, O_RDONLY | O_NOCTTY | O_CLOEXEC);
		if (fd >= 0 && pread(fd, &last, 1, file->st_size - 1) == 1 && last != '\n')
			write_trace(&(struct text){(char[]){'\n'}, 1, 1});
		shut(&fd);
	}
}

/* Opens the file that is to be traced to.  Without it the session goes on. */
void open_trace(void)
{
	struct stat file;

	trace.record = map_memory(RECORD, MAP_PRIVATE);
	trace.failed = map_memory(sizeof *trace.failed, MAP_SHARED);
	struct text t = {trace.record, PATH_MAX - 1, 0};
	if (strcmp(opt.trace, "-") == 0) {
		trace.fd = STDERR_FILENO;
		return;
	}
	for (const char *from = opt.trace; *from; from++) {
		if (from[0] == '%' && from[1] == 'p') {
			addf(&t, "%d", (int)self.shim);
			from++;
		} else {
			add(&t, from, 1);
		}
	}
	t.bytes[t.length] = '\0';
	/* O_NONBLOCK: a FIFO that nobody reads is an error. */
	trace.fd = open(t.bytes, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
			0600);
	if (trace.fd < 0)
		stop_trace(errno == ENXIO ? "nobody reads it" : strerror(errno));
	else if (fstat(trace.fd, &file) == 0)
		look_at_trace(t.bytes, &file);
}
