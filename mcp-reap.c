/* SPDX-License-Identifier: MIT */
/*
 * mcp-reap - run a stdio server, and leave nothing of it behind
 *
 * The promise: when the session is over, nothing that the server started is
 * left running.  Over means: the client closed the server's stdin, or stopped
 * reading its stdout, or died (however), or sent a signal that ends things, or
 * the server exited.  It holds even when one of our own two processes is
 * killed or stopped, at any time, and the client dies as well.
 *
 *   client -- stdin --> shim -- pipe --> server -+- child
 *          <- stdout -       <- pipe --          '- (double-forked) stray
 *                        | control pipe
 *                        v
 *                      reaper (setsid; subreaper; the server's parent)
 *
 * The shim relays stdio and watches the client.  The reaper owns the tree:
 * every living descendant of its own, however forked or reparented.
 *
 * The control pipe is the trigger.  The shim holds its only write end, so the
 * shim closing it and the shim dying are the same event: a SIGKILLed shim
 * needs no code of its own.  The shim is a subreaper too, so the tree of a
 * SIGKILLed reaper falls to the shim, which sweeps it.
 *
 * The invariant that all killing rests on: the number of a child that we have
 * not waited for cannot be recycled.  SIGKILL by number goes to our own children
 * only; their orphans become our own children; repeat until wait says ECHILD.
 * What is further down is signalled through a pidfd, its parent checked after
 * that was opened.
 *
 * With --idle-stop a session has many servers, one after the other, each with a
 * reaper and pipes of its own, and ended as at the end of a session.  The shim
 * stays, and so do the client's ends.
 *
 * Assumed of the kernel (Linux, with what happens where it is missing):
 *   3.4   PR_SET_CHILD_SUBREAPER, signalfd   exit 125
 *   3.17  /proc/thread-self/children         /proc/PID/stat of all is read
 *   4.14  MADV_WIPEONFORK                    code is taken to be that of a file
 *   5.3   pidfd_open                         PR_SET_PDEATHSIG stands alone
 *   5.9   close_range                        /proc/self/fd is read
 *         /proc of our own PID namespace     only the server's process group
 *                                            is signalled, and we say so
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <link.h>
#include <poll.h>
#include <signal.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define VERSION "0.1.0"

/* Headers older than the system call: as if the kernel were (ENOSYS). */
#ifndef SYS_pidfd_open
#define SYS_pidfd_open -1
#endif
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal -1
#endif
#ifndef SYS_close_range
#define SYS_close_range -1
#endif

/* fork(3)'s care for threads and their locks, of which we have none, would write
 * to 12 KiB of libc's memory, which then is no longer shared. */
#if defined __GLIBC__ && __GLIBC__ == 2 && __GLIBC_MINOR__ < 34
#define _Fork fork
#endif

/* Exit statuses of our own, as env(1) and timeout(1) have them. */
enum { EXIT_OURS = 125, EXIT_CANNOT_INVOKE = 126, EXIT_NOT_FOUND = 127 };

/* Times are in milliseconds throughout. */
enum {
	/* The patience of the reference SDKs, which every server lives with. */
	GRACE = 2000,
	KILL_AFTER = 2000,
	/* Before the first output, it may be npx in mid-install: SIGKILL there
	 * leaves a broken cache. */
	KILL_AFTER_SILENT = 10000,
	/* For a server that does not read its input; between two looks at it. */
	UNREAD_MAX = 60000,
	UNREAD_POLL_MAX = 100,
	/* For a client that reads no more, after an end by force. */
	STUCK_MAX = 5000,
	/* For descendants that we may not signal; between two looks at them. */
	UNKILLABLE_MAX = 5000,
	UNKILLABLE_POLL = 10,
	/* After which a large message is over. */
	MOMENT = 100,
};

/* ---- Options ------------------------------------------------------------ */

static struct {
	int64_t grace;
	int64_t kill_after; /* -1: KILL_AFTER, or KILL_AFTER_SILENT */
	int64_t idle_stop;  /* -1: never */
	bool drop_launcher;
	bool json_only;
	bool no_new_privs;
	bool outlive_parent;
	bool verbose;
	const char *trace; /* a file's name; NULL: none */
	bool stats;
	bool list;
	bool json; /* for what --stats or --list says */
} opt = {.grace = GRACE, .kill_after = -1, .idle_stop = -1};

static const char usage[] =
	"Usage: mcp-reap [OPTION]... [--] COMMAND [ARG]...\n"
	"       mcp-reap --list[=json]\n"
	"Run COMMAND, a stdio server, and leave nothing of it behind when the session\n"
	"is over: when stdin ends, stdout is closed, the client dies, or COMMAND exits.\n"
	"\n"
	"  -g, --grace=DURATION       from the end of input to SIGTERM [2s]\n"
	"  -k, --kill-after=DURATION  from SIGTERM to SIGKILL\n"
	"                               [2s; 10s before COMMAND's first output]\n"
	"  -i, --idle-stop=DURATION   end COMMAND when nothing has passed for so long and\n"
	"                               nothing is awaited; start it again when needed\n"
	"  -l, --drop-launcher        once COMMAND, an npx, has started the server, end\n"
	"                               npx itself, which only waits\n"
	"  -j, --json-only            send lines that are not JSON to stderr, not stdout\n"
	"  -x, --no-new-privs         COMMAND cannot gain privileges (setuid)\n"
	"  -o, --outlive-parent       our parent may exit; only stdio and signals\n"
	"                               end the session\n"
	"  -v, --verbose              say on stderr what happens\n"
	"  -s, --stats[=json]         say on stderr at the end what the session was\n"
	"  -t, --trace=FILE           write all messages to FILE, as JSON Lines; -: to\n"
	"                               stderr; %p in FILE is our process's number\n"
	"  -L, --list[=json]          show the sessions that run on this host\n"
	"  -h, --help                 show this help and exit\n"
	"  -V, --version              show the version and exit\n"
	"\n"
	"DURATION is a number with an optional unit: ms, s (the default), m, h or d.\n"
	"Options in the environment's MCP_REAP_OPTIONS are read first.\n"
	"Exit status: COMMAND's; 128+N if signal N ended it; 125 if mcp-reap failed,\n"
	"126 if COMMAND cannot be run, 127 if it is not found.\n";

/* clang-format off */
static const char short_options[] = "+:g:k:i:ljxovst:LhV";
static const struct option long_options[] = {
	{"grace",          required_argument, NULL, 'g'},
	{"kill-after",     required_argument, NULL, 'k'},
	{"idle-stop",      required_argument, NULL, 'i'},
	{"drop-launcher",  no_argument,       NULL, 'l'},
	{"json-only",      no_argument,       NULL, 'j'},
	{"no-new-privs",   no_argument,       NULL, 'x'},
	{"outlive-parent", no_argument,       NULL, 'o'},
	{"verbose",        no_argument,       NULL, 'v'},
	{"stats",          optional_argument, NULL, 's'},
	{"trace",          required_argument, NULL, 't'},
	{"list",           optional_argument, NULL, 'L'},
	{"help",           no_argument,       NULL, 'h'},
	{"version",        no_argument,       NULL, 'V'},
	{NULL,             0,                 NULL, 0},
};
/* clang-format on */

/* ---- Time and descriptors ----------------------------------------------- */

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* poll(2)'s timeout for a DEADLINE; a very far one is looked at again. */
static int until(int64_t deadline)
{
	int64_t left = deadline - now();

	return left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

static bool ready(int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};

	return poll(&p, 1, 0) > 0;
}

static bool is_pipe(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode);
}

/* Whether FD, a pipe, is a FIFO of the file system's. */
static bool has_name(int fd)
{
	enum { PIPEFS_MAGIC = 0x50495045 }; /* statfs(2) */
	struct statfs fs;

	return fstatfs(fd, &fs) < 0 || fs.f_type != PIPEFS_MAGIC;
}

static void shut(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* ---- Messages ----------------------------------------------------------- */

static pid_t shim_pid; /* names the session in the lines of both processes */
static char **session_command;
static int64_t session_start; /* when */

/* Names of files and processes are other people's: what could move a terminal's
 * cursor or begin a line becomes '?'. */
static void defuse(char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (iscntrl((unsigned char)s[i]))
			s[i] = '?';
}

/* Writes what FD takes of N BYTES without waiting, in one write if it can be.
 * Returns how many, or -1, with EAGAIN if it takes nothing now. */
static ssize_t write_now(int fd, const char *bytes, size_t n)
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

/* Writes to stderr in one write, so that the lines of several processes do not
 * mix.  What cannot be written now is lost: nobody's stderr holds up an ending. */
static void write_stderr(const char *bytes, size_t n)
{
	ssize_t sent;

	while (n > 0 && (sent = write_now(STDERR_FILENO, bytes, n)) > 0) {
		bytes += sent;
		n -= (size_t)sent;
	}
}

__attribute__((format(printf, 2, 0))) static void say(const char *prefix, const char *format,
						      va_list args)
{
	char line[512];
	int start = snprintf(line, sizeof line, "%s", prefix);
	int n = vsnprintf(line + start, sizeof line - (size_t)start, format, args);
	if (n < 0)
		return;
	size_t len = (size_t)start + (size_t)n;
	if (len > sizeof line - 1)
		len = sizeof line - 1;
	defuse(line, len);
	line[len++] = '\n';
	write_stderr(line, len);
}

/* An error: "mcp-reap: what: why". */
__attribute__((format(printf, 1, 2))) static void complain(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say("mcp-reap: ", format, args);
	va_end(args);
}

__attribute__((noreturn)) static void fail(const char *what)
{
	complain("%s: %s", what, strerror(errno));
	exit(EXIT_OURS);
}

/* To stdout, where no session is.  Without stdio, whose buffers would cost each
 * process of a static build a page. */
__attribute__((format(printf, 1, 2))) static void print(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (vdprintf(STDOUT_FILENO, format, args) < 0)
		fail("stdout");
	va_end(args);
}

/* The name of SIG without "SIG", or its number; valid until the next call. */
static const char *signal_name(int sig)
{
	static const char *const names[] = {
		[SIGHUP] = "HUP",   [SIGINT] = "INT",   [SIGQUIT] = "QUIT", [SIGILL] = "ILL",
		[SIGTRAP] = "TRAP", [SIGABRT] = "ABRT", [SIGBUS] = "BUS",   [SIGFPE] = "FPE",
		[SIGKILL] = "KILL", [SIGUSR1] = "USR1", [SIGSEGV] = "SEGV", [SIGUSR2] = "USR2",
		[SIGPIPE] = "PIPE", [SIGALRM] = "ALRM", [SIGTERM] = "TERM",
	};
	static char number[12];

	if (sig > 0 && (size_t)sig < sizeof names / sizeof *names && names[sig])
		return names[sig];
	snprintf(number, sizeof number, "%d", sig);
	return number;
}

/* ---- Memory ------------------------------------------------------------- */

static uintptr_t page_size(void)
{
	return (uintptr_t)sysconf(_SC_PAGESIZE);
}

/* Lets go of what SIZE bytes at AT hold, as far as they are whole pages, which may be
 * larger than the 4 KiB that we count with: the rest stays as it is. */
static void give_back(void *at, size_t size)
{
	uintptr_t page = page_size(), from = ((uintptr_t)at + page - 1) & ~(page - 1);
	uintptr_t to = ((uintptr_t)at + size) & ~(page - 1);

	if (from < to)
		madvise((void *)from, to - from, MADV_DONTNEED);
}

/*
 * Pages that come back from their file: code and constants, libc's included.
 * Starting up maps most of them, and after that few are needed.
 */
static struct range {
	void *from;
	size_t size;
} texts[16];
static size_t ntexts;

/* dl_iterate_phdr(3)'s, before the fork: later, its lock would cost each process
 * a page of its own. */
static int note_text(struct dl_phdr_info *object, size_t size, void *arg)
{
	(void)size;
	(void)arg;
	for (size_t i = 0; i < object->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &object->dlpi_phdr[i];
		uintptr_t from = (object->dlpi_addr + p->p_vaddr) & ~(page_size() - 1);
		uintptr_t to = object->dlpi_addr + p->p_vaddr + p->p_memsz;

		if (p->p_type != PT_LOAD || p->p_flags & PF_W ||
		    ntexts == sizeof texts / sizeof *texts)
			continue;
		/* Only anonymous memory takes it, as that of an executable that was
		 * packed: it would come back empty. */
		if (madvise((void *)from, to - from, MADV_WIPEONFORK) == 0)
			madvise((void *)from, to - from, MADV_KEEPONFORK);
		else
			texts[ntexts++] = (struct range){(void *)from, to - from};
	}
	return 0;
}

static void forget_text(void)
{
	for (size_t i = 0; i < ntexts; i++)
		madvise(texts[i].from, texts[i].size, MADV_DONTNEED);
}

/* What starting up, which goes deepest, has left below us on the stack.  The kernel
 * lets nothing else come near it.  Inlined, it would take its caller's frame, which
 * is not all above the frame's address, for what is below. */
__attribute__((noinline)) static void forget_stack(void)
{
	enum { DEPTH = 65536, OURS = 1024 }; /* bytes; ours: for what we call */
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);

	give_back((void *)(here - DEPTH), DEPTH - OURS);
}

/* ---- Text to write, and JSON ------------------------------------------- */

/* Memory that text is written into; what finds no room is left out. */
struct text {
	char *bytes;
	size_t size, length;
};

static void add(struct text *t, const char *bytes, size_t n)
{
	if (n > t->size - t->length)
		n = t->size - t->length;
	memcpy(t->bytes + t->length, bytes, n);
	t->length += n;
}

__attribute__((format(printf, 2, 3))) static void addf(struct text *t, const char *format, ...)
{
	va_list args;
	size_t room = t->size - t->length;

	va_start(args, format);
	int n = vsnprintf(t->bytes + t->length, room, format, args);
	va_end(args);
	if (n > 0 && room > 0)
		t->length += (size_t)n < room ? (size_t)n : room - 1;
}

/* The length of the UTF-8 character that the N bytes of S begin with; 0: none. */
static size_t utf8_length(const char *s, size_t n)
{
	const unsigned char *u = (const unsigned char *)s;
	size_t length = u[0] < 0xe0 ? 2 : u[0] < 0xf0 ? 3 : 4;

	if (u[0] < 0x80)
		return 1;
	if (u[0] < 0xc2 || u[0] > 0xf4 || n < length)
		return 0;
	for (size_t i = 1; i < length; i++)
		if ((u[i] & 0xc0) != 0x80)
			return 0;
	/* Overlong, surrogates, beyond U+10FFFF. */
	if ((u[0] == 0xe0 && u[1] < 0xa0) || (u[0] == 0xed && u[1] > 0x9f) ||
	    (u[0] == 0xf0 && u[1] < 0x90) || (u[0] == 0xf4 && u[1] > 0x8f))
		return 0;
	return length;
}

/* Adds the N bytes of S as a JSON string.  Other people's bytes need not be
 * UTF-8, which JSON has to be. */
static void add_json(struct text *t, const char *s, size_t n)
{
	add(t, "\"", 1);
	for (size_t i = 0, length; i < n; i += length ? length : 1) {
		length = utf8_length(s + i, n - i);
		if (length == 0) {
			add(t, "\\ufffd", 6);
		} else if (s[i] == '"' || s[i] == '\\') {
			add(t, "\\", 1);
			add(t, s + i, 1);
		} else if ((unsigned char)s[i] < ' ') {
			addf(t, "\\u%04x", (unsigned)s[i]);
		} else {
			add(t, s + i, length);
		}
	}
	add(t, "\"", 1);
}

static const char *skip_blanks(const char *s, const char *end)
{
	while (s < end && (*s == ' ' || *s == '\t' || *s == '\n' || *s == '\r'))
		s++;
	return s;
}

static const char *skip_digits(const char *s, const char *end)
{
	while (s < end && isdigit((unsigned char)*s))
		s++;
	return s;
}

/* The value of the \u escape that S begins with; -1 if it is none. */
static int escaped(const char *s, const char *end)
{
	int code = 0;

	if (end - s < 6 || s[0] != '\\' || s[1] != 'u')
		return -1;
	for (int i = 2; i < 6; i++) {
		if (!isxdigit((unsigned char)s[i]))
			return -1;
		code = code * 16 +
		       (isdigit((unsigned char)s[i]) ? s[i] - '0' : (s[i] | 32) - 'a' + 10);
	}
	return code;
}

/* What follows the string that S begins with; NULL if it is none.  Half of a
 * surrogate pair is none: RFC 8259 has it, but jq(1) stops there. */
static const char *skip_string(const char *s, const char *end)
{
	for (s++; s < end && *s != '"';) {
		size_t length = utf8_length(s, (size_t)(end - s));
		if (length == 0 || (unsigned char)*s < ' ')
			return NULL;
		if (*s == '\\') {
			int code = escaped(s, end), low = code < 0 ? -1 : escaped(s + 6, end);
			if (code < 0 && (end - s < 2 || !s[1] || !strchr("\"\\/bfnrt", s[1])))
				return NULL;
			length = code < 0 ? 2 : 6;
			if (code >= 0xd800 && code < 0xdc00 && low >= 0xdc00 && low < 0xe000)
				length = 12;
			else if (code >= 0xd800 && code < 0xe000)
				return NULL;
		}
		s += length;
	}
	return s < end ? s + 1 : NULL;
}

/* As skip_string, for a number. */
static const char *skip_number(const char *s, const char *end)
{
	const char *digits = s + (s < end && *s == '-');

	s = skip_digits(digits, end);
	if (s == digits || (*digits == '0' && s > digits + 1))
		return NULL;
	if (s < end && *s == '.') {
		digits = s + 1;
		s = skip_digits(digits, end);
		if (s == digits)
			return NULL;
	}
	if (s < end && (*s == 'e' || *s == 'E')) {
		digits = s + 1;
		if (digits < end && (*digits == '+' || *digits == '-'))
			digits++;
		s = skip_digits(digits, end);
		if (s == digits)
			return NULL;
	}
	return s;
}

/* As skip_string, for a string, a number or a literal. */
static const char *skip_scalar(const char *s, const char *end)
{
	static const char *const literals[] = {"true", "false", "null"};

	if (*s == '"')
		return skip_string(s, end);
	for (size_t i = 0; i < sizeof literals / sizeof *literals; i++) {
		size_t length = strlen(literals[i]);
		if ((size_t)(end - s) >= length && memcmp(s, literals[i], length) == 0)
			return s + length;
	}
	return skip_number(s, end);
}

/* Whether the N bytes of S are one JSON value, as RFC 8259 has it.  Deeper than
 * other readers go, it is taken for none. */
static bool is_json(const char *s, size_t n)
{
	enum { DEEP = 256 };
	const char *end = s + n;
	unsigned char object[DEEP];
	unsigned depth = 0;
	enum { WANT_VALUE, WANT_KEY, IS_OPEN, IS_WHOLE } state = WANT_VALUE;

	for (;;) {
		s = skip_blanks(s, end);
		if (s == end)
			return state == IS_WHOLE && depth == 0;
		if (state == IS_WHOLE) {
			if (depth == 0)
				return false;
			if (*s == ',')
				state = object[depth - 1] ? WANT_KEY : WANT_VALUE;
			else if (*s == (object[depth - 1] ? '}' : ']'))
				depth--;
			else
				return false;
			s++;
			continue;
		}
		if (state == IS_OPEN) {
			state = object[depth - 1] ? WANT_KEY : WANT_VALUE;
			if (*s == (object[depth - 1] ? '}' : ']')) {
				depth--;
				state = IS_WHOLE;
				s++;
				continue;
			}
		}
		if (state == WANT_KEY) {
			s = *s == '"' ? skip_string(s, end) : NULL;
			s = s ? skip_blanks(s, end) : NULL;
			if (!s || s == end || *s++ != ':')
				return false;
			state = WANT_VALUE;
		} else if (*s == '{' || *s == '[') {
			if (depth == DEEP)
				return false;
			object[depth++] = *s++ == '{';
			state = IS_OPEN;
		} else {
			s = skip_scalar(s, end);
			if (!s)
				return false;
			state = IS_WHOLE;
		}
	}
}

/* ---- What goes on: trace, events, statistics ---------------------------- */

enum {
	TRACED = 65536,             /* bytes of a message, which are written */
	RECORD = 6 * TRACED + 1024, /* \u00xx, and what is around */
	LARGE = 16384,              /* bytes, given back until the next large message */
	TRACE_PATIENCE = 1000,      /* ms, for a reader of the trace */
	NAMED = 100,                /* processes, which --stats can name */
	PID_LIMIT = 4194304,        /* PID_MAX_LIMIT, proc(5) */
	SAMPLE = 200,               /* ms, between two looks at the tree's memory */
};

/* A set of processes, by number. */
typedef unsigned char pid_set[PID_LIMIT / CHAR_BIT];

/* What both of our processes know, in memory that they share; NULL where nobody
 * asks for it.  Pages cost nothing until they are used. */
static struct {
	bool trace_failed;

	char reason[24];
	struct traffic {
		uint64_t messages, bytes;
	} from_client, from_server;
	size_t seen_at_once, seen;
	int64_t memory; /* KiB, the most seen at once */
	size_t idle_stops;
	int64_t given_back; /* KiB, by those */
	size_t dropped;     /* launchers */
	struct signalled {
		size_t count;
		struct {
			pid_t pid;
			int sig;
			char name[16];
		} named[NAMED]; /* the first of them */
		pid_set set;
	} asked, killed; /* who got an ending signal, and SIGKILL */
	pid_set seen_set;
	char report[65536];
} * shared;

/* Returns whether PID is new to SET. */
static bool is_new(pid_set set, pid_t pid)
{
	if (pid <= 0 || pid >= PID_LIMIT || set[pid / CHAR_BIT] >> pid % CHAR_BIT & 1)
		return false;
	set[pid / CHAR_BIT] |= (unsigned char)(1 << pid % CHAR_BIT);
	return true;
}

static struct {
	int fd;       /* -1: none */
	char *record; /* RECORD bytes */
} trace = {.fd = -1};

/* A lane as those who watch it see it. */
struct watch {
	const char *from;
	struct traffic *traffic;
	char *line;    /* TRACED bytes: what has come of an unfinished line; NULL: untraced */
	size_t length; /* of that line, which may be longer */
};

static void stop_trace(const char *why)
{
	/* Both of our processes may come to it at the same time. */
	if (!__atomic_exchange_n(&shared->trace_failed, true, __ATOMIC_RELAXED))
		complain("trace: %s: %s: no more is traced", opt.trace, why);
	if (trace.fd > STDERR_FILENO)
		close(trace.fd);
	trace.fd = -1;
}

/* Writes T to the trace, in one write if that is possible at all.  A reader that
 * does not take it is waited for once, so long as TRACE_PATIENCE. */
static void write_trace(const struct text *t)
{
	const char *bytes = t->bytes;
	size_t left = t->length;
	int64_t deadline = 0;

	if (shared->trace_failed)
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
				deadline = now() + TRACE_PATIENCE;
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
	     second % 60, (int)(now_is.tv_nsec / 1000), (int)shim_pid);
	return t;
}

/* Writes the record of a message, of whose LENGTH bytes S has at least the first
 * TRACED. */
static void trace_message(const char *from, const char *s, size_t length)
{
	size_t n = length < TRACED ? length : TRACED;
	struct text t = begin_record();

	addf(&t, "\"from\":\"%s\",", from);
	if (n == length && is_json(s, n)) {
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

/* Writes the record of an event that -v has as LINE: "event key=value ...". */
static void trace_event(const char *line)
{
	struct text t = begin_record();
	size_t n = strcspn(line, " ");

	addf(&t, "\"event\":");
	add_json(&t, line, n);
	if (strncmp(line, "start ", 6) == 0) {
		addf(&t, ",\"argv\":[");
		for (char **word = session_command; *word && t.length < RECORD / 2; word++) {
			if (word > session_command)
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
			if (isdigit((unsigned char)*line) && is_json(line, n))
				add(&t, line, n);
			else
				add_json(&t, line, n);
		}
	}
	addf(&t, "}\n");
	write_trace(&t);
}

/* Something that happened, for -v and the trace: "event key=value ...". */
__attribute__((format(printf, 1, 2))) static void event(const char *format, ...)
{
	char prefix[32], line[512];
	va_list args;

	if (opt.verbose) {
		snprintf(prefix, sizeof prefix, "mcp-reap[%d]: ", (int)shim_pid);
		va_start(args, format);
		say(prefix, format, args);
		va_end(args);
	}
	if (trace.fd >= 0) {
		va_start(args, format);
		vsnprintf(line, sizeof line, format, args);
		va_end(args);
		trace_event(line);
	}
}

/* A VALUE for event(), in quotes where it needs some; valid until the next call. */
static const char *quoted(const char *value)
{
	static char text[256];
	size_t n = 0;

	if (*value && !isdigit((unsigned char)*value) && !strpbrk(value, " =\"\\") &&
	    strlen(value) < sizeof text)
		return value;
	text[n++] = '"';
	for (; *value && n < sizeof text - 3; value++) {
		if (*value == '"' || *value == '\\')
			text[n++] = '\\';
		text[n++] = *value;
	}
	text[n++] = '"';
	text[n] = '\0';
	return text;
}

/* The session is over, because of REASON and DETAIL. */
static void event_end(const char *reason, const char *detail)
{
	event("end reason=%s%s", reason, detail);
	if (shared && !*shared->reason)
		snprintf(shared->reason, sizeof shared->reason, "%s%s", reason, detail);
}

static void *map_memory(size_t size, int flags)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    flags | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		fail("memory");
	return memory;
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
static void open_trace(void)
{
	struct stat file;

	trace.record = map_memory(RECORD, MAP_PRIVATE);
	struct text t = {trace.record, PATH_MAX - 1, 0};
	if (strcmp(opt.trace, "-") == 0) {
		trace.fd = STDERR_FILENO;
		return;
	}
	for (const char *from = opt.trace; *from; from++) {
		if (from[0] == '%' && from[1] == 'p') {
			addf(&t, "%d", (int)shim_pid);
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

/* Makes ready what --trace and --stats need, before the fork. */
static void begin_watching(struct watch *client, struct watch *server)
{
	if (!opt.trace && !opt.stats)
		return;
	shared = map_memory(sizeof *shared, MAP_SHARED);
	*client = (struct watch){.from = "client", .traffic = &shared->from_client};
	*server = (struct watch){.from = "server", .traffic = &shared->from_server};
	if (opt.trace)
		open_trace();
	if (trace.fd >= 0) {
		client->line = map_memory(TRACED, MAP_PRIVATE);
		server->line = map_memory(TRACED, MAP_PRIVATE);
	}
}

/* Keeps the N bytes of S of a line that is not over. */
static void keep_part(struct watch *w, const char *s, size_t n)
{
	size_t kept = w->length < TRACED ? w->length : TRACED;

	if (w->line)
		memcpy(w->line + kept, s, n < TRACED - kept ? n : TRACED - kept);
	w->length += n;
}

/* A line is over, the rest of which are the N bytes of S. */
static void watch_line(struct watch *w, const char *s, size_t n)
{
	size_t length = w->length;

	w->traffic->messages++;
	if (length)
		keep_part(w, s, n);
	w->length = 0;
	if (trace.fd >= 0)
		trace_message(w->from, length ? w->line : s, length + n);
	if (length && w->line && length + n > LARGE)
		give_back(w->line, TRACED);
}

/* Looks at the N bytes of S that a lane has read. */
static void watch_bytes(struct watch *w, const char *s, size_t n)
{
	w->traffic->bytes += n;
	for (const char *end; n && (end = memchr(s, '\n', n)); s = end + 1) {
		watch_line(w, s, (size_t)(end - s));
		n -= (size_t)(end - s) + 1;
	}
	if (n)
		keep_part(w, s, n);
}

/* There is no more to come: what has been read of a line is all there is. */
static void end_watch(struct watch *w)
{
	int error = errno;

	if (w->length)
		watch_line(w, "", 0);
	errno = error;
}

/* ---- Descriptors -------------------------------------------------------- */

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

/* Closes every descriptor from FIRST on, but the N of KEEP (-1: none), which
 * it sorts. */
static void close_all_but(int first, int keep[], size_t n)
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

/*
 * Gives FD, a pipe or a terminal, an open file description of our own with
 * O_NONBLOCK: on the one that we were handed the flag would be the client's
 * too.  Returns whether FD is such a one now.  A pty's master is left alone:
 * to open it again makes another pty.
 */
static bool own_description(int fd, int access)
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

/* ---- Processes: find, signal ------------------------------------------- */

static int pidfd_open_of(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

static int pidfd_signal(int pidfd, int sig)
{
	return (int)syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, 0);
}

/* Reads the beginning of the file PATH, what one read gives, as a string into
 * BUF; returns its length, or -1. */
static ssize_t read_file(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	ssize_t n = read(fd, buf, size - 1);
	close(fd);
	if (n >= 0)
		buf[n] = '\0';
	return n;
}

static bool read_small(const char *path, char *buf, size_t size)
{
	return read_file(path, buf, size) >= 0;
}

/* Field N of STAT, what /proc/PID/stat holds, from 4 on; -1 if there is none. */
static int64_t field_of(const char *stat, int n)
{
	/* The second field is the command in parentheses, and may hold some. */
	const char *at = strrchr(stat, ')');

	for (int i = 2; at && i < n; i++)
		at = strchr(at + 1, ' ');
	return at ? strtoll(at, NULL, 10) : -1;
}

/* PID's parent, or -1, and the number of its threads. */
static pid_t parent_and_threads_of(pid_t pid, int64_t *threads)
{
	char path[32], stat[512];

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	if (!read_small(path, stat, sizeof stat))
		return -1;
	*threads = field_of(stat, 20);
	return (pid_t)field_of(stat, 4);
}

static pid_t parent_of(pid_t pid)
{
	int64_t threads;

	return parent_and_threads_of(pid, &threads);
}

/* PID's command name as /proc has it, "?" without; valid until the next call. */
static const char *command_of(pid_t pid)
{
	static char name[64];
	char path[32];

	snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
	if (!read_small(path, name, sizeof name))
		return "?";
	name[strcspn(name, "\n")] = '\0';
	return name;
}

/* PID's memory in KiB: its share of it, or all if that may not be read. */
static int64_t memory_of(pid_t pid)
{
	static const struct {
		const char *file, *field;
	} sources[] = {{"smaps_rollup", "Pss:"}, {"status", "VmRSS:"}};
	char path[48], text[2048];

	for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
		snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, sources[i].file);
		if (!read_small(path, text, sizeof text))
			continue;
		size_t length = strlen(sources[i].field);
		for (const char *line = text; line; line = strchr(line, '\n')) {
			line += *line == '\n';
			if (strncmp(line, sources[i].field, length) == 0)
				return strtoll(line + length, NULL, 10);
		}
	}
	return 0;
}

/* How children can be found here. */
enum proc { PROC_UNKNOWN, PROC_CHILDREN, PROC_STAT, PROC_NONE };

static enum proc proc_kind(void)
{
	static enum proc kind;
	char self[16];

	if (kind != PROC_UNKNOWN)
		return kind;
	/* The /proc of another PID namespace has other numbers than kill(2). */
	ssize_t n = readlink("/proc/self", self, sizeof self - 1);
	if (n < 0) /* no /proc, or no memory for it just now: ask again */
		return PROC_NONE;
	self[n] = '\0';
	if (atoi(self) != getpid())
		kind = PROC_NONE;
	else if (access("/proc/thread-self/children", R_OK) == 0)
		kind = PROC_CHILDREN;
	else
		kind = PROC_STAT;
	return kind;
}

/*
 * A stack of pids: each level of a walk pushes the children that it found and
 * pops them when done.  What finds no room gets no SIGTERM; SIGKILL comes in
 * rounds and misses nobody.
 *
 * At its bottom, in the shim only, are the children that it had before it
 * became mcp-reap (sh -c 'x & exec mcp-reap ...'): not ours to kill.
 */
static pid_t *found; /* FOUND_MAX of them, in the memory that main reserves */
static size_t nfound;
static size_t ninherited;

enum { FOUND_MAX = 65536 };

static void forget_inherited(pid_t pid)
{
	for (size_t i = 0; i < ninherited; i++)
		if (found[i] == pid)
			found[i] = found[--ninherited];
	nfound = ninherited;
}

static void push_found(pid_t pid)
{
	for (size_t i = 0; i < ninherited; i++)
		if (found[i] == pid)
			return;
	if (nfound < FOUND_MAX)
		found[nfound++] = pid;
}

/* Pushes the pids that the open file FD lists, and closes it. */
static void push_listed(int fd)
{
	char buf[4096];
	pid_t pid = 0;

	for (ssize_t n; (n = read(fd, buf, sizeof buf)) > 0;) {
		for (ssize_t i = 0; i < n; i++) {
			if (isdigit((unsigned char)buf[i])) {
				pid = pid * 10 + (buf[i] - '0');
			} else if (pid > 0) { /* every number has a space behind it */
				push_found(pid);
				pid = 0;
			}
		}
	}
	close(fd);
}

static void push_children_by_stat(pid_t parent)
{
	DIR *dir = opendir("/proc");
	if (!dir)
		return;
	for (struct dirent *e; (e = readdir(dir));) {
		pid_t pid = atoi(e->d_name);
		if (pid > 0 && parent_of(pid) == parent)
			push_found(pid);
	}
	closedir(dir);
}

/* Pushes PARENT's children.  Each thread has a list of its own; to list the
 * THREADS, -1 if unknown, takes as long as all else, and most often there is one. */
static void push_children(pid_t parent, int64_t threads)
{
	char path[64];

	if (proc_kind() == PROC_STAT) {
		push_children_by_stat(parent);
		return;
	}
	if (threads == 1) {
		snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)parent, (int)parent);
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd >= 0)
			push_listed(fd);
		return;
	}
	snprintf(path, sizeof path, "/proc/%d/task", (int)parent);
	DIR *dir = opendir(path);
	if (!dir)
		return;
	for (struct dirent *e; (e = readdir(dir));) {
		if (!isdigit((unsigned char)*e->d_name))
			continue;
		snprintf(path, sizeof path, "%.20s/children", e->d_name);
		int fd = openat(dirfd(dir), path, O_RDONLY | O_CLOEXEC);
		if (fd >= 0)
			push_listed(fd);
	}
	closedir(dir);
}

/*
 * Pushes our own children, zombies too.  While nobody is waited for, the list
 * is whole: entries leave it only by our wait, and new ones come at its end.
 */
static void push_own_children(void)
{
	if (proc_kind() == PROC_NONE)
		return;
	int fd = proc_kind() == PROC_CHILDREN
			 ? open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC)
			 : -1;
	if (fd >= 0)
		push_listed(fd);
	else
		push_children_by_stat(getpid());
}

/* Takes a note of PID for --stats, which SIG is sent to and who may need it: a
 * zombie needs none. */
static void note_signalled(pid_t pid, int sig)
{
	char path[32], stat[512];

	if (!opt.stats)
		return;
	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	if (!read_small(path, stat, sizeof stat))
		return;
	char *name = strchr(stat, '('), *after = strrchr(stat, ')');
	if (!name || !after || strncmp(after, ") Z", 3) == 0 || strncmp(after, ") X", 3) == 0)
		return;
	struct signalled *who = sig == SIGKILL ? &shared->killed : &shared->asked;
	if (!is_new(who->set, pid) || ++who->count > NAMED)
		return;
	who->named[who->count - 1].pid = pid;
	who->named[who->count - 1].sig = sig;
	snprintf(who->named[who->count - 1].name, sizeof who->named->name, "%.*s",
		 (int)(after - name - 1), name + 1);
}

/* Sends SIG, then SIGCONT (the stopped act on SIG only then), to PID by its
 * PIDFD, or by its number if that is -1.  Returns whether it took SIG. */
static bool signal_one(pid_t pid, int pidfd, int sig)
{
	note_signalled(pid, sig);
	if (pidfd >= 0 && pidfd_signal(pidfd, sig) == 0) {
		if (sig != SIGKILL)
			pidfd_signal(pidfd, SIGCONT);
		return true;
	}
	/* EPERM can be a seccomp profile's that does not know the call. */
	if (pidfd >= 0 && errno == ESRCH)
		return false;
	bool sent = kill(pid, sig) == 0;
	kill(pid, SIGCONT);
	return sent;
}

/*
 * Signals every descendant of PARENT, children before parents so that none is
 * orphaned, and lost, under the walk.  PARENT_FD is PARENT's pidfd, or -1 where
 * its number is known to stay (our own child); THREADS how many it had just now, or
 * -1.  Returns how many took it.
 *
 * No stranger is hit.  CHILD's pidfd is opened, then its parent read: either
 * what the pidfd holds is dead, and no signal does harm, or the number is still
 * its own and so was the answer.  That the parent's number was PARENT's then is
 * known because PARENT is not reaped even now.
 *
 * Where there is no pidfd (kernel < 5.3, or no descriptor is left in a very deep
 * tree) the number itself is used, which all of the PID space would have to
 * pass by between two system calls to make wrong.
 */
static size_t signal_below(pid_t parent, int parent_fd, int64_t threads, int sig)
{
	size_t first = nfound, count = 0;

	push_children(parent, threads);
	for (size_t i = first, last = nfound; i < last; i++) {
		pid_t child = found[i];
		int fd = pidfd_open_of(child);

		if (parent_and_threads_of(child, &threads) == parent &&
		    (parent_fd < 0 || pidfd_signal(parent_fd, 0) == 0 || errno != ESRCH)) {
			count += signal_below(child, fd, threads, sig);
			count += signal_one(child, fd, sig);
		}
		shut(&fd);
	}
	nfound = first;
	return count;
}

/*
 * Signals the whole tree, each process once.  Returns how many took it.  A
 * process whose parent exits by itself under the walk may be passed over; if it
 * is still there when the time to SIGKILL is over, it gets that.
 */
static size_t signal_tree(int sig)
{
	size_t first = nfound, count = 0;
	struct rlimit files;

	/* The walk holds a few descriptors for each level of depth. */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	push_own_children();
	for (size_t i = first, last = nfound; i < last; i++) {
		count += signal_below(found[i], -1, -1, sig);
		count += signal_one(found[i], -1, sig);
	}
	nfound = first;
	return count;
}

/*
 * SIGKILLs the process group of PID, an own child, at one blow: to look through
 * all of /proc takes longer than some processes need to fork and exit.  No
 * stranger is in it.  The number stays while a member is not waited for; a
 * group is within one session; and a session that a process of the tree is in
 * was made by one, unless it is the client's, which the shim is in.
 */
static void kill_group_of(pid_t pid)
{
	pid_t group = getpgid(pid);

	if (group > 1 && group != getpgrp() && (getpid() != shim_pid || getsid(pid) != getsid(0)))
		kill(-group, SIGKILL);
}

/*
 * SIGKILLs our own children.  Returns how many are sure to die of it, or dead
 * already and not waited for: each of them is a SIGCHLD to come.
 */
static size_t kill_children(void)
{
	size_t first = nfound, count = 0;

	push_own_children();
	for (size_t i = first, last = nfound; i < last; i++) {
		if (proc_kind() == PROC_STAT)
			kill_group_of(found[i]);
		note_signalled(found[i], SIGKILL);
		if (kill(found[i], SIGKILL) == 0)
			count++;
		else /* it has changed its user, but what it started may not have */
			count += signal_below(found[i], -1, -1, SIGKILL);
	}
	nfound = first;
	return count;
}

/* Counts what is below PARENT, and its memory, for --stats. */
static void sample_below(pid_t parent, size_t *count, int64_t *memory)
{
	size_t first = nfound;

	push_children(parent, -1);
	for (size_t i = first, last = nfound; i < last; i++) {
		++*count;
		*memory += memory_of(found[i]);
		if (is_new(shared->seen_set, found[i]))
			shared->seen++;
		sample_below(found[i], count, memory);
	}
	nfound = first;
}

/* Looks how large the tree is, with us. */
static void sample_tree(void)
{
	size_t count = 0;
	int64_t memory;

	if (!opt.stats || proc_kind() == PROC_NONE)
		return;
	memory = memory_of(getpid()) + memory_of(shim_pid);
	sample_below(getpid(), &count, &memory);
	if (count > shared->seen_at_once)
		shared->seen_at_once = count;
	if (memory > shared->memory)
		shared->memory = memory;
}

/* Says who is left, being beyond our kill. */
static void name_the_unkillable(void)
{
	size_t first = nfound;

	push_own_children();
	for (size_t i = first; i < nfound; i++)
		if (kill(found[i], 0) < 0)
			complain("%d (%s): cannot be killed, left running: %s", (int)found[i],
				 command_of(found[i]), strerror(errno));
	nfound = first;
}

/* ---- Launchers ---------------------------------------------------------- */

/* What only waits for the server that it has started, in a chain of them: npm exec
 * (npx), and the shell that it puts in between. */
enum { LAUNCHERS_MAX = 4 };

/* What /proc/PID/FILE points to, as stat(2) sees it: a number, 0 for none. */
static ino_t inode_of(pid_t pid, const char *file)
{
	char path[48];
	struct stat st;

	snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
	return stat(path, &st) == 0 && S_ISFIFO(st.st_mode) ? st.st_ino : 0;
}

/* Whether the shell command is a single program with its arguments, so that
 * nothing comes after it.  Better no than a wrong yes. */
static bool is_plain_command(const char *command)
{
	for (bool quoted = false; *command; command++) {
		if (*command == '\'')
			quoted = !quoted;
		else if (!quoted && strchr(";&|<>()`$\n", *command))
			return false;
	}
	return true;
}

/* Whether PID's program is one of NAMES, a list that NULL ends. */
static bool runs(pid_t pid, const char *const names[])
{
	char path[48], exe[PATH_MAX];

	snprintf(path, sizeof path, "/proc/%d/exe", (int)pid);
	ssize_t n = readlink(path, exe, sizeof exe - 1);
	if (n <= 0)
		return false;
	exe[n] = '\0';
	const char *name = strrchr(exe, '/');
	for (; name && *names; names++)
		if (strcmp(name + 1, *names) == 0)
			return true;
	return false;
}

/* npm says what it does in its process title. */
static bool is_npm_exec(pid_t pid)
{
	static const char *const node[] = {"node", "nodejs", NULL};
	char path[48], title[16];

	snprintf(path, sizeof path, "/proc/%d/cmdline", (int)pid);
	return runs(pid, node) && read_small(path, title, sizeof title) &&
	       strncmp(title, "npm exec ", 9) == 0;
}

static bool is_shell_of_npm(pid_t pid)
{
	static const char *const shells[] = {"sh", "dash", "bash", "ash", "busybox", NULL};
	char path[48], line[4096] = "";

	snprintf(path, sizeof path, "/proc/%d/cmdline", (int)pid);
	if (!runs(pid, shells) || !read_small(path, line, sizeof line))
		return false;
	const char *flag = line + strlen(line) + 1;
	/* Cut off, it is not known to its end. */
	return strcmp(flag, "-c") == 0 && is_plain_command(flag + 3) &&
	       (size_t)(flag - line) + 3 + strlen(flag + 3) < sizeof line - 1;
}

/* PID's child, if it has exactly one; else 0. */
static pid_t only_child(pid_t pid)
{
	size_t first = nfound;

	push_children(pid, -1);
	pid_t child = nfound == first + 1 ? found[first] : 0;
	nfound = first;
	return child;
}

/* ---- Reaper ------------------------------------------------------------- */

/* What ps(1) and --list know our processes by, at most 15 bytes.  The shim's
 * name is the program's own, but for a while. */
#define NAME_REAPER "mcp-reap-reaper"
#define NAME_ENDING "mcp-reap-ending" /* the reaper, once the session is over */
#define NAME_SWEEP "mcp-reap-sweep"   /* the shim, having lost its reaper */
#define NAME_IDLE "mcp-reap-idle"     /* the shim, while the server is stopped */

/* What comes through the control pipe besides numbers of signals to pass on.
 * End-of-file there means: the shim is gone, end the session. */
enum {
	CONTROL_INPUT_ENDED = 100,
	CONTROL_SERVER_SPOKE,
	CONTROL_FIRST_MESSAGE,
	CONTROL_SAMPLE,
	CONTROL_NUDGE,
};

/* The signals that end a session; without SIGHUP under nohup(1). */
static sigset_t ending_signals;

struct reaper {
	int control; /* -1: none (more) */
	int signals; /* a signalfd */
	int client;  /* a pidfd, the truth; -1: dead, unknown, none of our business */
	int shim;    /* a pidfd; -1: unknown */

	pid_t server;                   /* 0: reaped */
	pid_t group;                    /* the process group that it was started in */
	ino_t input, output;            /* the server's pipes */
	pid_t launchers[LAUNCHERS_MAX]; /* dropped, and not reaped yet */
	size_t nlaunchers;
	int status; /* the server's, once it is reaped */
	bool server_spoke;

	enum phase { RUNNING, ENDING, TERMINATING, KILLING } phase;
	int64_t deadline; /* of ENDING and TERMINATING */
	int64_t give_up;  /* KILLING: when to leave the unkillable; 0: not yet */
	sigset_t asked;   /* ending signals that the client sent */
	sigset_t sent;    /* ending signals that the tree got */
	bool client_died;
};

static void enter(struct reaper *r, enum phase phase)
{
	if (r->phase == RUNNING)
		prctl(PR_SET_NAME, NAME_ENDING);
	r->phase = phase;
	sample_tree();
}

/* Signals the group that the server is in, and was started in.  Its number stays
 * while a member, the server, is not reaped.  Returns whether it was there. */
static bool signal_group(const struct reaper *r, int sig)
{
	return r->server && getpgid(r->server) == r->group && kill(-r->group, sig) == 0;
}

/* The end of input: the server has the grace to exit by itself. */
static void end_session(struct reaper *r)
{
	if (r->phase != RUNNING)
		return;
	enter(r, ENDING);
	r->deadline = now() + opt.grace;
	/* Stopped with its terminal's job, it could not see the end. */
	signal_group(r, SIGCONT);
}

/* Signals the tree with SIG.  The clock that runs to SIGKILL is started, but
 * never restarted. */
static void terminate(struct reaper *r, int sig)
{
	size_t count;

	sigaddset(&r->sent, sig);
	if (proc_kind() != PROC_NONE) {
		count = signal_tree(sig);
	} else {
		count = signal_group(r, sig);
		signal_group(r, SIGCONT);
		if (r->phase < TERMINATING)
			complain("/proc: not usable: what has left the server's process group "
				 "may be left running");
	}
	event("signal name=%s processes=%zu", signal_name(sig), count);
	if (r->phase >= TERMINATING)
		return;
	enter(r, TERMINATING);
	int64_t kill_after = r->server_spoke ? KILL_AFTER : KILL_AFTER_SILENT;
	r->deadline = now() + (opt.kill_after >= 0 ? opt.kill_after : kill_after);
}

/* The rounds that follow find each level of a tree by the death of the one
 * above; the walk is for those of many levels, and the group, which most often is
 * all, takes one blow.  --stats wants to name who is hit, before it is. */
static void begin_killing(struct reaper *r)
{
	enter(r, KILLING);
	if (!opt.stats || proc_kind() == PROC_NONE)
		signal_group(r, SIGKILL);
	if (proc_kind() == PROC_CHILDREN)
		signal_tree(SIGKILL);
	event("signal name=KILL");
}

/* Sends the shim the SIGCONT that tells it to look around. */
static void nudge_shim(const struct reaper *r)
{
	/* Should it have died since we looked, a SIGCONT harms nobody. */
	if (pidfd_signal(r->shim, SIGCONT) < 0 && getppid() == shim_pid)
		kill(shim_pid, SIGCONT);
}

/* Passes on the client's SIG. */
static void pass_on(struct reaper *r, int sig)
{
	if (!sigismember(&ending_signals, sig)) {
		/* Job control is for all of the group, as a terminal does it. */
		if (sig == SIGTSTP || sig == SIGCONT)
			signal_group(r, sig);
		else if (r->server)
			kill(r->server, sig);
	} else if (sigismember(&r->asked, sig)) {
		if (r->phase != KILLING)
			begin_killing(r); /* asked twice: now */
	} else {
		sigaddset(&r->asked, sig);
		/* npm in mid-install takes a second signal, of any kind, for "now",
		 * and leaves the cache broken that it was about to roll back. */
		if (!sigismember(&r->sent, sig) && (r->phase < TERMINATING || r->server_spoke))
			terminate(r, sig);
		nudge_shim(r); /* to close the server's stdin, now that it has SIG */
	}
}

static int exit_status(const siginfo_t *dead)
{
	return dead->si_code == CLD_EXITED ? dead->si_status : 128 + dead->si_status;
}

/* Whether PID has the server's pipes as its stdin and stdout. */
static bool has_our_pipes(const struct reaper *r, pid_t pid)
{
	return inode_of(pid, "fd/0") == r->input && inode_of(pid, "fd/1") == r->output;
}

/*
 * Ends the launchers above the server, which then is our child, and keeps the
 * process group that they were in.  No stranger is hit: the first is our own child;
 * of each other one the pidfd is opened, then its parent read, as in signal_below,
 * and the parent is held likewise.  Should the server exit meanwhile, its launcher
 * has its status, or has been killed: reap() looks.
 */
static void drop_launcher(struct reaper *r)
{
	pid_t chain[LAUNCHERS_MAX + 1] = {r->server};
	int fds[LAUNCHERS_MAX + 1] = {-1, -1, -1, -1, -1};
	size_t n = 0;
	const char *why = NULL;

	if (r->phase != RUNNING || !r->server || r->nlaunchers)
		return;
	if (proc_kind() != PROC_CHILDREN || !has_our_pipes(r, r->server))
		why = "unknown";
	while (!why && n < LAUNCHERS_MAX &&
	       (n == 0 ? is_npm_exec(chain[0]) : is_shell_of_npm(chain[n]))) {
		pid_t child = only_child(chain[n]);
		fds[n + 1] = child ? pidfd_open_of(child) : -1;
		if (fds[n + 1] < 0 || parent_of(child) != chain[n])
			why = "not-one-child";
		else if (!has_our_pipes(r, child))
			why = "other-pipes";
		chain[++n] = child;
	}
	if (!why && n == 0)
		why = "not-npx";
	if (why) {
		event("launcher-kept pid=%d reason=%s", (int)r->server, why);
	} else {
		r->server = chain[n];
		r->nlaunchers = n;
		for (size_t i = 0; i < n; i++) {
			event("launcher-dropped pid=%d command=%s", (int)chain[i],
			      quoted(command_of(chain[i])));
			if (shared)
				shared->dropped++;
			r->launchers[i] = chain[i];
			if (i == 0)
				kill(chain[0], SIGKILL);
			else
				pidfd_signal(fds[i], SIGKILL);
		}
	}
	for (size_t i = 1; i <= n && i <= LAUNCHERS_MAX; i++)
		shut(&fds[i]);
}

/* Notes the death of a launcher.  After the last one the server is our child, or
 * it has exited under it, and the session is over. */
static void forget_launcher(struct reaper *r, const siginfo_t *dead)
{
	for (size_t i = 0; i < r->nlaunchers; i++) {
		if (r->launchers[i] != dead->si_pid)
			continue;
		r->launchers[i] = r->launchers[--r->nlaunchers];
		if (r->nlaunchers == 0 && r->server && parent_of(r->server) != getpid()) {
			r->server = 0;
			r->status = exit_status(dead);
		}
	}
}

/* The server is up, and there will be nothing to do for long. */
static void note_first_output(struct reaper *r)
{
	r->server_spoke = true;
	forget_text();
}

static void read_control(struct reaper *r)
{
	unsigned char bytes[64];
	ssize_t n = read(r->control, bytes, sizeof bytes);

	if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN)) {
		shut(&r->control);
		if (r->phase == RUNNING)
			event_end("shim-died", "");
		end_session(r);
	}
	for (ssize_t i = 0; i < n; i++) {
		if (bytes[i] == CONTROL_INPUT_ENDED)
			end_session(r);
		else if (bytes[i] == CONTROL_SERVER_SPOKE)
			note_first_output(r);
		else if (bytes[i] == CONTROL_FIRST_MESSAGE)
			drop_launcher(r);
		else if (bytes[i] == CONTROL_SAMPLE)
			sample_tree();
		else if (bytes[i] == CONTROL_NUDGE)
			nudge_shim(r);
		else
			pass_on(r, bytes[i]);
	}
}

/* A signal sent to the reaper itself, by hand or by a service manager: the
 * shim may have got the same one, so it never counts as asked again. */
static void read_signals(struct reaper *r)
{
	struct signalfd_siginfo info;

	while (read(r->signals, &info, sizeof info) == sizeof info)
		if (sigismember(&ending_signals, (int)info.ssi_signo) && r->phase < TERMINATING)
			terminate(r, (int)info.ssi_signo);
}

/* The client's death reaches the reaper directly, too: the shim may be stopped
 * (after the SIGCONT that told it), or deep in a write to a dead disk. */
static void wake_shim(struct reaper *r)
{
	r->client_died = true;
	shut(&r->client);
	nudge_shim(r);
	end_session(r);
}

static void report_death(const siginfo_t *dead)
{
	int pid = (int)dead->si_pid;

	if (opt.stats && is_new(shared->seen_set, pid))
		shared->seen++;
	if (!opt.verbose && trace.fd < 0)
		return;
	if (dead->si_code == CLD_EXITED)
		event("reaped pid=%d command=%s exit=%d", pid, quoted(command_of(pid)),
		      dead->si_status);
	else
		event("reaped pid=%d command=%s signal=%s", pid, quoted(command_of(pid)),
		      signal_name(dead->si_status));
}

/* Collects the dead.  Returns whether any of the tree is left. */
static bool reap(struct reaper *r)
{
	for (;;) {
		siginfo_t dead = {.si_pid = 0};

		if (waitid(P_ALL, 0, &dead, WEXITED | WNOHANG | WNOWAIT) < 0) {
			if (errno == EINTR)
				continue;
			return errno != ECHILD;
		}
		if (dead.si_pid == 0)
			break;
		report_death(&dead);
		if (dead.si_pid == r->server) {
			/* Once reaped, its group's number could be anyone's. */
			if (proc_kind() == PROC_NONE)
				signal_group(r, SIGKILL);
			r->server = 0;
			r->status = exit_status(&dead);
		}
		waitpid(dead.si_pid, NULL, 0);
		forget_launcher(r, &dead);
		forget_inherited(dead.si_pid);
	}
	if (ninherited == 0)
		return true;
	push_own_children();
	bool left = nfound > ninherited;
	nfound = ninherited;
	return left;
}

/* Whether the shim has been killed.  By what it closes then the whole tree can end
 * while it is still about to die. */
static bool has_lost_shim(void)
{
	enum { EXITING = 4, FLAGS = 9 }; /* the kernel's PF_EXITING, set before that */
	char path[32], stat[512];
	int64_t flags = 0;

	snprintf(path, sizeof path, "/proc/%d/stat", (int)shim_pid);
	if (getppid() == shim_pid && read_small(path, stat, sizeof stat))
		flags = field_of(stat, FLAGS);
	return flags & EXITING || getppid() != shim_pid;
}

/* The server has exited: by itself, unless word is on its way that it should. */
static void note_exit(struct reaper *r)
{
	if (r->phase == RUNNING && r->control >= 0 && ready(r->control, POLLIN))
		read_control(r);
	if (r->phase == RUNNING && (opt.verbose || shared))
		event_end(has_lost_shim() ? "shim-died" : "server-exited", "");
}

/* SIGKILLs what can be reached now.  Returns false when all that is left has
 * been beyond our kill for too long. */
static bool kill_round(struct reaper *r)
{
	if (kill_children() > 0)
		r->give_up = 0;
	else if (r->give_up == 0)
		r->give_up = now() + UNKILLABLE_MAX;
	else if (now() >= r->give_up)
		return false;
	return true;
}

/*
 * Sees the tree through its session and to its end.
 *
 * Why nobody is left: only ECHILD from wait ends the killing, and a process of
 * the tree whose parent dies becomes our child before that parent can be
 * reaped.  Why it cannot hang: after a round, each own child that was listed
 * has SIGKILL on it, so its SIGCHLD is to come and brings the next round, which
 * lists the orphans that it left.
 */
static void reap_tree(struct reaper *r)
{
	while (reap(r)) {
		if (!r->server && r->phase < TERMINATING) {
			note_exit(r);
			terminate(r, SIGTERM);
		}
		if (r->phase == KILLING && !kill_round(r)) {
			name_the_unkillable();
			return;
		}

		struct pollfd fds[] = {
			{.fd = r->signals, .events = POLLIN},
			{.fd = r->control, .events = POLLIN},
			{.fd = r->client, .events = POLLIN},
		};
		int timeout = -1;
		if (r->phase == ENDING || r->phase == TERMINATING)
			timeout = until(r->deadline);
		else if (r->give_up)
			timeout = UNKILLABLE_POLL;
		poll(fds, sizeof fds / sizeof *fds, timeout);

		if (fds[0].revents)
			read_signals(r);
		if (fds[1].revents)
			read_control(r);
		if (fds[2].revents)
			wake_shim(r);
		if (r->phase == ENDING && now() >= r->deadline)
			terminate(r, SIGTERM);
		else if (r->phase == TERMINATING && now() >= r->deadline)
			begin_killing(r);
	}
	note_exit(r);
}

/* Adds the names of WHO, behind a comma if SEPARATOR is one. */
static void add_named(struct text *t, const struct signalled *who, const char *separator)
{
	size_t n = who->count < NAMED ? who->count : NAMED;

	for (size_t i = 0; i < n; i++) {
		int pid = (int)who->named[i].pid, sig = who->named[i].sig;
		const char *name = who->named[i].name;
		addf(t, "%s", separator);
		if (opt.json) {
			addf(t, "{\"pid\":%d,\"command\":", pid);
			add_json(t, name, strlen(name));
			addf(t, ",\"signal\":\"%s\"}", signal_name(sig));
		} else if (sig == SIGKILL) {
			addf(t, "%s(%d)", name, pid);
		} else {
			addf(t, "%s(%d) %s", name, pid, signal_name(sig));
		}
		separator = opt.json ? "," : ", ";
	}
}

/* Adds a line of the statistics: how many WHO are, and their names. */
static void add_signalled(struct text *t, const char *label, const struct signalled *who)
{
	size_t start = t->length;

	addf(t, "  %-12s %zu", label, who->count);
	add_named(t, who, ": ");
	if (who->count > NAMED)
		addf(t, ", ...");
	defuse(t->bytes + start, t->length - start);
	add(t, "\n", 1);
}

static double seconds_of(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static void add_stats_json(struct text *t, int status, double seconds, const struct rusage *used)
{
	const struct traffic *client = &shared->from_client, *server = &shared->from_server;

	addf(t, "{\"pid\":%d,\"command\":[", (int)shim_pid);
	for (char **word = session_command; *word && t->length < t->size / 2; word++) {
		if (word > session_command)
			add(t, ",", 1);
		add_json(t, *word, strnlen(*word, 1024));
	}
	addf(t, "],\"reason\":\"%s\",\"status\":%d,\"seconds\":%.3f", shared->reason, status,
	     seconds);
	addf(t, ",\"from_client\":{\"messages\":%" PRIu64 ",\"bytes\":%" PRIu64 "}",
	     client->messages, client->bytes);
	addf(t, ",\"from_server\":{\"messages\":%" PRIu64 ",\"bytes\":%" PRIu64 "}",
	     server->messages, server->bytes);
	addf(t, ",\"processes\":%zu,\"processes_at_once\":%zu,\"memory\":%" PRId64, shared->seen,
	     shared->seen_at_once, shared->memory * 1024);
	addf(t, ",\"largest_process\":%lld,\"cpu_user\":%.3f,\"cpu_system\":%.3f",
	     (long long)used->ru_maxrss * 1024, seconds_of(used->ru_utime),
	     seconds_of(used->ru_stime));
	addf(t, ",\"idle_stops\":%zu,\"memory_given_back\":%" PRId64 ",\"launchers_dropped\":%zu",
	     shared->idle_stops, shared->given_back * 1024, shared->dropped);
	addf(t, ",\"signalled\":%zu,\"killed\":%zu,\"signals\":[", shared->asked.count,
	     shared->killed.count);
	add_named(t, &shared->asked, "");
	add_named(t, &shared->killed, shared->asked.count ? "," : "");
	addf(t, "]}\n");
}

static void add_stats_text(struct text *t, int status, double seconds, const struct rusage *used)
{
	const struct traffic *client = &shared->from_client, *server = &shared->from_server;

	addf(t, "mcp-reap[%d]:", (int)shim_pid);
	for (char **word = session_command; *word && t->length < t->size / 2; word++)
		addf(t, " %.200s", *word);
	defuse(t->bytes, t->length);
	addf(t, "\n  ended        %s, exit status %d, after %.3f s\n", shared->reason, status,
	     seconds);
	addf(t, "  from client  %" PRIu64 " message%s, %" PRIu64 " bytes\n", client->messages,
	     client->messages == 1 ? "" : "s", client->bytes);
	addf(t, "  from server  %" PRIu64 " message%s, %" PRIu64 " bytes\n", server->messages,
	     server->messages == 1 ? "" : "s", server->bytes);
	addf(t, "  processes    %zu seen, %zu at once\n", shared->seen, shared->seen_at_once);
	addf(t, "  memory       %.1f MiB at once, %.1f MiB the largest process\n",
	     (double)shared->memory / 1024, (double)used->ru_maxrss / 1024);
	addf(t, "  CPU time     %.3f s user, %.3f s system\n", seconds_of(used->ru_utime),
	     seconds_of(used->ru_stime));
	if (shared->idle_stops)
		addf(t, "  idle stops   %zu, %.1f MiB given back\n", shared->idle_stops,
		     (double)shared->given_back / 1024);
	if (shared->dropped)
		addf(t, "  launchers    %zu dropped\n", shared->dropped);
	add_signalled(t, "signalled", &shared->asked);
	add_signalled(t, "killed", &shared->killed);
}

/* Says what the session was that ended with STATUS. */
static void say_stats(int status)
{
	struct rusage used;

	if (!opt.stats)
		return;
	struct text t = {shared->report, sizeof shared->report, 0};
	/* The shim's children are the reapers, and all that those have waited for. */
	getrusage(RUSAGE_CHILDREN, &used);
	double seconds = (double)(now() - session_start) / 1000;
	if (shared->seen_at_once == 0)
		shared->seen_at_once = shared->seen > 0;
	if (opt.json)
		add_stats_json(&t, status, seconds, &used);
	else
		add_stats_text(&t, status, seconds, &used);
	write_stderr(t.bytes, t.length);
}

/* The pipes of a session, [0] to read from and [1] to write to, as pipe(2). */
struct pipes {
	int control[2]; /* shim to reaper */
	int input[2];   /* shim to server's stdin */
	int output[2];  /* server's stdout to shim */
};

/* What the server shall find as the client left it. */
static struct {
	sigset_t mask;
	struct sigaction chld;
} inherited_signals;

/* Stderr likewise, for --idle-stop: what we have made of our own is not to be
 * inherited. */
static int kept_stderr = -1;

__attribute__((noreturn)) static void exec_server(char **command, const struct pipes *p,
						  pid_t reaper)
{
	/* The last line of defence; the reaper may be dead already. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != reaper)
		_exit(EXIT_OURS);

	setpgid(0, 0);
	if (dup2(p->input[0], STDIN_FILENO) < 0 || dup2(p->output[1], STDOUT_FILENO) < 0)
		fail("dup2");
	if (kept_stderr >= 0 && dup2(kept_stderr, STDERR_FILENO) < 0)
		fail("dup2");
	if (opt.no_new_privs && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		fail("no-new-privs");
	sigaction(SIGCHLD, &inherited_signals.chld, NULL);
	sigprocmask(SIG_SETMASK, &inherited_signals.mask, NULL);

	execvp(*command, command);
	int why = errno;
	complain("%s: %s", *command, strerror(why));
	_exit(why == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_INVOKE);
}

/* The reaper's life: from the fork to the exit with the server's status. */
__attribute__((noreturn)) static void be_reaper(char **command, const struct pipes *p, int signals,
						int client)
{
	/* SIGCONT, should the shim die: it wakes us if we are stopped.  That it
	 * died before is seen on the control pipe. */
	prctl(PR_SET_PDEATHSIG, SIGCONT);
	prctl(PR_SET_NAME, NAME_REAPER);
	if (setsid() < 0)
		fail("setsid");
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		fail("subreaper");
	if (ninherited)
		ninherited = nfound = 0;

	pid_t self = getpid(), server = _Fork();
	if (server < 0)
		fail("fork");
	if (server == 0)
		exec_server(command, p, self);
	setpgid(server, server); /* for whoever comes first, it or our signal */
	event("server pid=%d", (int)server);

	int shim = pidfd_open_of(shim_pid);
	if (getppid() != shim_pid) /* dead, and the number perhaps recycled */
		shut(&shim);
	struct stat input = {0}, output = {0};
	fstat(p->input[0], &input);
	fstat(p->output[1], &output);
	int keep[] = {STDERR_FILENO, p->control[0], signals, client, shim, trace.fd};
	close_all_but(0, keep, sizeof keep / sizeof *keep);
	own_description(STDERR_FILENO, O_WRONLY);

	struct reaper r = {
		.control = p->control[0],
		.signals = signals,
		.client = client,
		.shim = shim,
		.server = server,
		.group = server,
		.input = input.st_ino,
		.output = output.st_ino,
		.status = EXIT_OURS,
	};
	sigemptyset(&r.asked);
	sigemptyset(&r.sent);
	reap_tree(&r);

	/* Stopped after our first SIGCONT, it would stay so for ever. */
	if (r.client_died)
		nudge_shim(&r);
	if (opt.stats && has_lost_shim())
		say_stats(r.status);
	_exit(r.status);
}

/* ---- Messages of the protocol ------------------------------------------- */

/*
 * What --idle-stop and --drop-launcher have to know of the JSON-RPC messages that
 * pass, a line each.  The bytes are read as they pass, whatever their number.
 * What is not one JSON object, or could be read in two ways (a member twice, an id
 * too long to keep), is no object: when in doubt, nothing is stopped.
 */

enum {
	ID_MAX = 120,     /* bytes */
	NAME_SIZE = 48,   /* bytes of a method or a protocol version */
	DEPTH_MAX = 1024, /* of objects and arrays */
};

/* A request's id, decoded.  Kind: '"' a string, '0' a number, 0 none. */
struct id {
	char kind;
	unsigned char size;
	char bytes[ID_MAX];
};

/* The members that matter: of the message, of params, of result. */
enum member {
	OTHER = 0,
	ID = 1 << 0,
	METHOD = 1 << 1,
	PARAMS = 1 << 2,
	RESULT = 1 << 3,
	ERROR = 1 << 4,
	REQUEST_ID = 1 << 5,
	URI = 1 << 6,
	TASK = 1 << 7,
	PROTOCOL_VERSION = 1 << 8,
};

#define MEMBER(key, within, member)                                                                \
	{                                                                                          \
		key, sizeof(key) - 1, within, member                                               \
	}
static const struct {
	char key[16];
	size_t size;
	enum member within; /* OTHER: the message itself */
	enum member member;
} members[] = {
	MEMBER("id", OTHER, ID),
	MEMBER("method", OTHER, METHOD),
	MEMBER("params", OTHER, PARAMS),
	MEMBER("result", OTHER, RESULT),
	MEMBER("error", OTHER, ERROR),
	MEMBER("requestId", PARAMS, REQUEST_ID),
	MEMBER("uri", PARAMS, URI),
	MEMBER("task", PARAMS, TASK),
	MEMBER("protocolVersion", RESULT, PROTOCOL_VERSION),
};

struct scanner {
	/* The line, once it is over: */
	bool over;
	bool object;   /* one JSON object, and nothing in doubt */
	unsigned seen; /* members */
	struct id id, request_id;
	char method[NAME_SIZE], version[NAME_SIZE];
	uint64_t uri; /* a hash */

	/* On the way: */
	char first; /* byte that is no blank; 0: none yet */
	enum json_state {
		VALUE,
		VALUE_OR_END,
		KEY,
		KEY_OR_END,
		COLON,
		AFTER,
		STRING,
		ESCAPE,
		HEX,
		LITERAL,
		MINUS,
		ZERO,
		DIGITS,
		POINT,
		FRACTION,
		EXPONENT,
		SIGN,
		POWER,
		DONE,
		BAD,
	} state;
	unsigned depth;
	uint64_t objects[DEPTH_MAX / 64]; /* by depth: an object, or an array */
	enum member within;               /* the member of the message that we are in */
	enum member member;               /* whose value comes, or is here */
	bool is_key;
	bool wanted;         /* the string or number is kept in text */
	const char *literal; /* what is left of it */
	unsigned hex_left, code, high;
	char text[ID_MAX];
	size_t size; /* of the whole text, which may be larger */
	uint64_t hash;
};

/* Adds N BYTES to the text.  Only a URI's is needed beyond what is kept of it. */
static void put_bytes(struct scanner *s, const char *bytes, size_t n)
{
	size_t room = s->size < sizeof s->text ? sizeof s->text - s->size : 0;

	memcpy(s->text + sizeof s->text - room, bytes, n < room ? n : room);
	s->size += n;
	for (size_t i = 0; s->member == URI && i < n; i++)
		s->hash = (s->hash ^ (unsigned char)bytes[i]) * 0x100000001b3; /* FNV-1a */
}

static void put(struct scanner *s, unsigned c)
{
	const char byte = (char)c;

	put_bytes(s, &byte, 1);
}

static void put_utf8(struct scanner *s, unsigned code)
{
	if (code < 0x80) {
		put(s, code);
	} else if (code < 0x800) {
		put(s, 0xc0 | code >> 6);
		put(s, 0x80 | (code & 0x3f));
	} else if (code < 0x10000) {
		put(s, 0xe0 | code >> 12);
		put(s, 0x80 | (code >> 6 & 0x3f));
		put(s, 0x80 | (code & 0x3f));
	} else {
		put(s, 0xf0 | code >> 18);
		put(s, 0x80 | (code >> 12 & 0x3f));
		put(s, 0x80 | (code >> 6 & 0x3f));
		put(s, 0x80 | (code & 0x3f));
	}
}

/* Half of a surrogate pair that stays alone is kept as what it is. */
static void flush_high(struct scanner *s)
{
	if (s->high)
		put_utf8(s, s->high);
	s->high = 0;
}

/* A \u escape. */
static void put_escaped(struct scanner *s, unsigned code)
{
	if (s->high && code >= 0xdc00 && code < 0xe000) {
		put_utf8(s, 0x10000 + ((s->high - 0xd800) << 10) + (code - 0xdc00));
		s->high = 0;
		return;
	}
	flush_high(s);
	if (code >= 0xd800 && code < 0xdc00)
		s->high = code;
	else
		put_utf8(s, code);
}

static void begin_text(struct scanner *s, bool wanted)
{
	s->wanted = wanted;
	s->size = 0;
	s->high = 0;
	s->hash = 0xcbf29ce484222325;
}

static bool in_object(const struct scanner *s)
{
	return s->depth > 0 && s->objects[(s->depth - 1) / 64] >> (s->depth - 1) % 64 & 1;
}

/* Whether keys matter here. */
static bool is_watched(const struct scanner *s)
{
	return s->depth == 1 || (s->depth == 2 && (s->within == PARAMS || s->within == RESULT));
}

static void end_key(struct scanner *s)
{
	enum member within = s->depth == 1 ? OTHER : s->within;

	s->state = COLON;
	s->member = OTHER;
	for (size_t i = 0; s->wanted && i < sizeof members / sizeof *members; i++)
		if (members[i].size == s->size && members[i].key[0] == s->text[0] &&
		    members[i].within == within && memcmp(s->text, members[i].key, s->size) == 0)
			s->member = members[i].member;
	if (s->seen & s->member)
		s->state = BAD; /* twice: who knows which one counts */
	s->seen |= s->member;
	if (s->depth == 1)
		s->within = s->member;
}

static void keep_name(struct scanner *s, char name[NAME_SIZE])
{
	if (s->size < NAME_SIZE && !memchr(s->text, '\0', s->size)) {
		memcpy(name, s->text, s->size);
		name[s->size] = '\0';
	} else {
		name[0] = '?';
		name[1] = '\0';
	}
}

static void keep_id(struct scanner *s, struct id *id, char kind)
{
	if (s->size > ID_MAX) {
		s->state = BAD;
		return;
	}
	id->kind = kind;
	id->size = (unsigned char)s->size;
	memcpy(id->bytes, s->text, s->size);
}

/* A value of KIND has ended: '"' a string, '0' a number, 'n' null, or another. */
static void end_value(struct scanner *s, char kind)
{
	s->state = s->depth ? AFTER : DONE;
	if (s->member == OTHER)
		return;
	switch (s->member) {
	case ID:
	case REQUEST_ID:
		if (kind == '"' || kind == '0')
			keep_id(s, s->member == ID ? &s->id : &s->request_id, kind);
		else if (kind != 'n')
			s->state = BAD;
		break;
	case METHOD:
		if (kind == '"')
			keep_name(s, s->method);
		else
			s->state = BAD;
		break;
	case PROTOCOL_VERSION:
		if (kind == '"')
			keep_name(s, s->version);
		break;
	case URI:
		s->uri = s->hash;
		break;
	default:
		break;
	}
	s->member = OTHER;
}

static void end_string(struct scanner *s)
{
	flush_high(s);
	if (s->is_key)
		end_key(s);
	else
		end_value(s, '"');
}

static void open_container(struct scanner *s, char c)
{
	if (s->depth == DEPTH_MAX || (s->depth == 0 && c != '{') ||
	    s->member & (ID | METHOD | REQUEST_ID)) {
		s->state = BAD;
		return;
	}
	uint64_t bit = (uint64_t)1 << s->depth % 64;
	if (c == '{')
		s->objects[s->depth / 64] |= bit;
	else
		s->objects[s->depth / 64] &= ~bit;
	s->depth++;
	s->member = OTHER;
	s->state = c == '{' ? KEY_OR_END : VALUE_OR_END;
}

static void close_container(struct scanner *s, char c)
{
	if (s->depth == 0 || in_object(s) != (c == '}')) {
		s->state = BAD;
		return;
	}
	s->depth--;
	s->member = OTHER;
	s->state = s->depth ? AFTER : DONE;
}

/* isdigit(3) is a call. */
static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static void begin_value(struct scanner *s, char c)
{
	bool wanted = s->member & (ID | METHOD | REQUEST_ID | URI | PROTOCOL_VERSION);

	if (s->depth == 0)
		s->first = c;
	if (c == '{' || c == '[') {
		open_container(s, c);
	} else if (s->depth == 0) {
		s->state = BAD;
	} else if (c == '"') {
		s->is_key = false;
		begin_text(s, wanted);
		s->state = STRING;
	} else if (c == '-' || is_digit(c)) {
		begin_text(s, wanted);
		put(s, (unsigned char)c);
		s->state = c == '-' ? MINUS : c == '0' ? ZERO : DIGITS;
	} else {
		s->literal = c == 't' ? "rue" : c == 'f' ? "alse" : c == 'n' ? "ull" : NULL;
		s->state = s->literal ? LITERAL : BAD;
		s->is_key = c == 'n'; /* for want of another place */
	}
}

/* The next state within a number, or BAD for one that does not go on so. */
static enum json_state after_digit(const struct scanner *s, char c)
{
	bool digit = is_digit(c);

	switch (s->state) {
	case MINUS:
		return c == '0' ? ZERO : digit ? DIGITS : BAD;
	case ZERO:
	case DIGITS:
		if (digit && s->state == DIGITS)
			return DIGITS;
		return c == '.' ? POINT : c == 'e' || c == 'E' ? EXPONENT : BAD;
	case POINT:
		return digit ? FRACTION : BAD;
	case FRACTION:
		return digit ? FRACTION : c == 'e' || c == 'E' ? EXPONENT : BAD;
	case EXPONENT:
		return c == '+' || c == '-' ? SIGN : digit ? POWER : BAD;
	default: /* SIGN, POWER */
		return digit ? POWER : BAD;
	}
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static void scan_escape(struct scanner *s, char c)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *at = c ? strchr(from, c) : NULL;

	s->state = STRING;
	if (c == 'u') {
		s->state = HEX;
		s->hex_left = 4;
		s->code = 0;
	} else if (!at) {
		s->state = BAD;
	} else if (s->wanted) {
		flush_high(s);
		put(s, (unsigned char)to[at - from]);
	}
}

static void scan_hex(struct scanner *s, char c)
{
	if (!isxdigit((unsigned char)c)) {
		s->state = BAD;
		return;
	}
	s->code = s->code << 4 | (unsigned)(is_digit(c) ? c - '0' : (c | 0x20) - 'a' + 10);
	if (--s->hex_left > 0)
		return;
	s->state = STRING;
	if (s->wanted)
		put_escaped(s, s->code);
}

/* Reads C, which is not the end of the line.  Returns how many bytes that was: what
 * ends a number is not of it. */
static size_t scan_byte(struct scanner *s, char c)
{
	switch (s->state) {
	case STRING:
		if (c == '"')
			end_string(s);
		else
			s->state = c == '\\' ? ESCAPE : BAD; /* a control character */
		break;
	case VALUE_OR_END:
	case VALUE:
		if (s->state == VALUE_OR_END && c == ']')
			close_container(s, c);
		else if (!is_blank(c))
			begin_value(s, c);
		break;
	case KEY_OR_END:
	case KEY:
		if (s->state == KEY_OR_END && c == '}') {
			close_container(s, c);
		} else if (c == '"') {
			s->is_key = true;
			begin_text(s, is_watched(s));
			s->state = STRING;
		} else if (!is_blank(c)) {
			s->state = BAD;
		}
		break;
	case COLON:
		if (c == ':')
			s->state = VALUE;
		else if (!is_blank(c))
			s->state = BAD;
		break;
	case AFTER:
		if (c == ',')
			s->state = in_object(s) ? KEY : VALUE;
		else if (c == '}' || c == ']')
			close_container(s, c);
		else if (!is_blank(c))
			s->state = BAD;
		break;
	case LITERAL:
		if (c != *s->literal)
			s->state = BAD;
		else if (!*++s->literal)
			end_value(s, s->is_key ? 'n' : 't');
		break;
	case DONE:
		if (!is_blank(c))
			s->state = BAD;
		break;
	case ESCAPE:
		scan_escape(s, c);
		break;
	case HEX:
		scan_hex(s, c);
		break;
	default: { /* in a number */
		enum json_state next = after_digit(s, c);
		if (next == BAD && (s->state == ZERO || s->state == DIGITS ||
				    s->state == FRACTION || s->state == POWER)) {
			end_value(s, '0');
			return 0;
		}
		if (next != BAD && s->wanted)
			put(s, (unsigned char)c);
		s->state = next;
	}
	}
	return 1;
}

/* Which of the eight BYTES in a string need care: the first one's lowest set bit is
 * right, what is above it need not be. */
static uint64_t needing_care(const char *bytes)
{
	const uint64_t ones = 0x0101010101010101, high = ones << 7;
	uint64_t x, quote, backslash;

	memcpy(&x, bytes, sizeof x);
	x = le64toh(x);
	quote = x ^ ones * '"';
	backslash = x ^ ones * '\\';
	return ((x - ones * 0x20) | (quote - ones) | (backslash - ones)) & high & ~x;
}

/* Bytes in a string, up to one that needs care: returns how many. */
static size_t scan_string(struct scanner *s, const char *bytes, size_t n)
{
	size_t i = 0;

	while (i + 8 <= n) {
		uint64_t care = needing_care(bytes + i);
		if (care) {
			i += (size_t)__builtin_ctzll(care) / 8;
			break;
		}
		i += 8;
	}
	while (i < n && bytes[i] != '"' && bytes[i] != '\\' && (unsigned char)bytes[i] >= 0x20)
		i++;
	if (!s->wanted)
		return i;
	if (i > 0) {
		flush_high(s);
		put_bytes(s, bytes, i);
	}
	return i;
}

static void begin_line(struct scanner *s)
{
	s->over = false;
	s->object = false;
	s->seen = 0;
	s->id.kind = s->request_id.kind = 0;
	s->method[0] = s->version[0] = '\0';
	s->uri = 0;
	s->first = 0;
	s->state = VALUE;
	s->depth = 0;
	s->within = s->member = OTHER;
}

/* Whether the scanner is within a line. */
static bool in_line(const struct scanner *s)
{
	return !s->over && (s->first || s->state != VALUE);
}

/* How many of the N BYTES in front change nothing. */
static size_t skip(struct scanner *s, const char *bytes, size_t n)
{
	const char *end;
	size_t i = 0;

	switch (s->state) {
	case STRING:
		return scan_string(s, bytes, n);
	case DIGITS:
	case FRACTION:
	case POWER:
		while (!s->wanted && i < n && is_digit(bytes[i]))
			i++;
		return i;
	case BAD:
		end = memchr(bytes, '\n', n);
		return end ? (size_t)(end - bytes) : n;
	default:
		return 0;
	}
}

/* Reads up to N of BYTES, but not beyond the end of a line; returns how many. */
static size_t scan(struct scanner *s, const char *bytes, size_t n)
{
	if (s->over)
		begin_line(s);
	for (size_t i = 0; i < n;) {
		i += skip(s, bytes + i, n - i);
		if (i == n)
			break;
		if (bytes[i] == '\n') {
			if (!s->first)
				s->first = '\n';
			s->over = true;
			s->object = s->state == DONE;
			return i + 1;
		}
		i += scan_byte(s, bytes[i]);
	}
	return n;
}

/* ---- Relay -------------------------------------------------------------- */

enum {
	CHUNK = 65536, /* bytes: a pipe's capacity */
	TURN = 16,     /* chunks, before the other direction gets its turn */
};

/* One end of a lane, and what keeps us from waiting on it. */
struct end {
	int fd; /* -1: closed */
	enum {
		NONBLOCKING, /* O_NONBLOCK on a description of our own */
		SOCKET,      /* MSG_DONTWAIT */
		BLOCKING,    /* poll first; then a PIPE_BUF at most */
	} kind;
};

/*
 * Where the bytes of a lane are from its read to its write.  A lane has one only
 * while it holds bytes, so most often both use the first, and one page of it,
 * this header included.  All zeroes is an empty one.
 */
struct buffer {
	alignas(4096) size_t touched;
	bool in_use;
	char bytes[CHUNK];
};

/* Bytes of a page: not worth giving back, nor a splice. */
enum { KEPT = 4096 - offsetof(struct buffer, bytes) };

enum { BUFFERS = 2 }; /* one a lane, at most */
static struct buffer *buffers;

struct lane {
	struct end in, out;
	bool splice;           /* both are pipes */
	struct watch *watch;   /* NULL: nobody looks at the bytes */
	bool large;            /* so was the last step, and splice(2) pays */
	bool full;             /* wait for out, not for in */
	bool held;             /* nothing is to be read for now */
	struct buffer *buffer; /* NULL: holds nothing */

	/* In buffer: from start to cut is what is to be written, to end what
	 * has been read.  From cut to end LOOK, which sees all that is read
	 * before it is written, is still undecided. */
	size_t start, cut, end;
	void (*look)(struct lane *l); /* NULL: nobody looks */
	size_t looked;                /* from start to here */
	const struct end *to;         /* where LOOK wants it; NULL: nowhere */
	bool whole_lines;             /* half a line at the end is dropped */
};

static void hold_buffer(struct lane *l)
{
	l->buffer = buffers[0].in_use ? &buffers[1] : &buffers[0];
	l->buffer->in_use = true;
	l->start = l->cut = l->looked = l->end = 0;
}

static void release_buffer(struct lane *l)
{
	if (l->buffer)
		l->buffer->in_use = false;
	l->buffer = NULL;
}

static bool worth_giving_back(const struct buffer *b)
{
	return !b->in_use && b->touched > KEPT;
}

/* A session is idle for most of its life: what large messages took is given
 * back once nothing has passed for a moment. */
static void give_memory_back(void)
{
	for (size_t i = 0; i < BUFFERS; i++) {
		if (!worth_giving_back(&buffers[i]))
			continue;
		buffers[i].touched = 0;
		give_back(&buffers[i], sizeof buffers[i]);
	}
}

static ssize_t take(const struct end *e, char *buf, size_t size)
{
	if (e->kind == SOCKET)
		return recv(e->fd, buf, size, MSG_DONTWAIT);
	if (e->kind == BLOCKING && !ready(e->fd, POLLIN)) {
		errno = EAGAIN;
		return -1;
	}
	return read(e->fd, buf, size);
}

static ssize_t give(const struct end *e, const char *buf, size_t size)
{
	if (e->kind == SOCKET)
		return send(e->fd, buf, size, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (e->kind == BLOCKING && !ready(e->fd, POLLOUT)) {
		errno = EAGAIN;
		return -1;
	}
	return write(e->fd, buf, e->kind == BLOCKING && size > PIPE_BUF ? PIPE_BUF : size);
}

/* What a turn of a lane came to.  WAIT: most likely there is nothing to do until
 * poll(2) says so; errno tells why for the last two, 0 being the
 * end of file. */
enum flow { FLOW_MORE, FLOW_WAIT, FLOW_IN_ENDED, FLOW_OUT_CLOSED };

/* One step from pipe to pipe, without a copy; it never waits.  Whatever it
 * cannot do (seccomp's EPERM, ENOSYS, EINVAL) a copy can. */
static enum flow splice_step(struct lane *l)
{
	int unread = 0;
	ssize_t n = splice(l->in.fd, NULL, l->out.fd, NULL, CHUNK, SPLICE_F_NONBLOCK);

	if (n > 0) {
		l->full = false;
		l->large = n >= KEPT;
		return n < CHUNK ? FLOW_WAIT : FLOW_MORE; /* most likely all */
	}
	if (n == 0) {
		errno = 0;
		return FLOW_IN_ENDED;
	}
	if (errno == EPIPE)
		return FLOW_OUT_CLOSED;
	if (errno != EAGAIN && errno != EINTR) {
		l->splice = false;
		return FLOW_MORE;
	}
	ioctl(l->in.fd, FIONREAD, &unread);
	l->full = unread > 0;
	return FLOW_WAIT;
}

/* No more is to come: what is undecided is all there is of its line. */
static void decide_rest(struct lane *l)
{
	l->cut = l->looked = l->end;
	l->to = l->whole_lines ? NULL : &l->out;
}

/* One read behind what the lane holds, of which nothing is decided. */
static enum flow fill(struct lane *l)
{
	/* Small messages are copied even from pipe to pipe: it takes less time. */
	size_t most = l->splice ? KEPT : CHUNK;

	if (l->held)
		return FLOW_WAIT;
	if (!l->buffer)
		hold_buffer(l);
	if (l->start > 0) {
		memmove(l->buffer->bytes, l->buffer->bytes + l->start, l->end - l->start);
		l->end -= l->start;
		l->looked -= l->start;
		l->start = l->cut = 0;
	}
	ssize_t n = take(&l->in, l->buffer->bytes + l->end, most - l->end);
	if (n == 0 && l->end > 0) {
		decide_rest(l);
		return FLOW_MORE;
	}
	if (n <= 0) {
		if (l->end == 0)
			release_buffer(l);
		l->full = false;
		if (n == 0)
			errno = 0;
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return FLOW_WAIT;
		if (l->watch)
			end_watch(l->watch);
		return FLOW_IN_ENDED;
	}
	if (l->watch)
		watch_bytes(l->watch, l->buffer->bytes + l->end, (size_t)n);
	l->end += (size_t)n;
	l->large = l->end == most;
	if (l->buffer->touched < l->end)
		l->buffer->touched = l->end;
	if (!l->look)
		l->cut = l->end;
	return FLOW_MORE;
}

/* One write, after a read if nothing is there to be written.  To a closed out,
 * bytes are lost as they are in a pipe that nobody reads to its end. */
static enum flow copy_step(struct lane *l)
{
	if (!l->buffer || (l->start == l->cut && l->looked == l->end)) {
		enum flow flow = fill(l);
		if (flow != FLOW_MORE)
			return flow;
	}
	if (l->look && l->start == l->cut) {
		l->look(l);
		if (l->start == l->cut)
			return l->large ? FLOW_MORE : FLOW_WAIT;
	}
	const struct end *to = l->look ? l->to : &l->out;
	size_t size = l->cut - l->start;
	ssize_t n = (ssize_t)size;
	if (to && to->fd >= 0)
		n = give(to, l->buffer->bytes + l->start, size);
	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		l->full = true;
		return FLOW_WAIT;
	}
	if (n < 0) {
		if (to == &l->out) {
			l->full = true;
			return FLOW_OUT_CLOSED;
		}
		n = (ssize_t)size; /* nobody reads our stderr */
	}
	l->start += (size_t)n;
	l->full = l->start < l->cut; /* a turn may end here */
	if (l->full || l->start < l->end)
		return FLOW_MORE;
	release_buffer(l);
	return l->large ? FLOW_MORE : FLOW_WAIT;
}

/* Whether there are lines in the buffer that LOOK has not seen. */
static bool has_unseen(const struct lane *l)
{
	return l->look && l->buffer && l->looked < l->end;
}

/* Moves what can be moved without waiting, for one turn.  Nothing would wake us for
 * lines that are here already, each of which may be a step. */
static enum flow pump(struct lane *l)
{
	enum flow flow = FLOW_MORE;

	for (int i = 0; flow == FLOW_MORE && (i < TURN || has_unseen(l)); i++)
		flow = l->splice && l->large && !l->buffer ? splice_step(l) : copy_step(l);
	return flow;
}

/* The client's end FD of a lane. */
static struct end client_end(int fd, int access)
{
	struct stat st;

	if (fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode))
		return (struct end){fd, SOCKET};
	/* A FIFO that is opened again when its writer has gone reports no
	 * hang-up; a pipe without a name does. */
	if ((!is_pipe(fd) || !has_name(fd)) && own_description(fd, access))
		return (struct end){fd, NONBLOCKING};
	return (struct end){fd, BLOCKING};
}

/* Stderr likewise.  It is only written to, so that a name does no harm. */
static struct end stderr_end(void)
{
	if (own_description(STDERR_FILENO, O_WRONLY))
		return (struct end){STDERR_FILENO, NONBLOCKING};
	return client_end(STDERR_FILENO, O_WRONLY);
}

/* The server's end FD of a lane: a pipe of ours. */
static struct end server_end(int fd)
{
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return (struct end){fd, NONBLOCKING};
}

/* ---- The talk between client and server --------------------------------- */

enum {
	PENDING_MAX = 512,  /* requests of one side without an answer */
	URIS_MAX = 512,     /* subscriptions */
	KEPT_MAX = 1 << 15, /* bytes of a line that we keep */
};

enum side { CLIENT, SERVER };

/* The client's lines that a new server must hear before anything else. */
enum kept_line { INITIALIZE, INITIALIZED, SET_LEVEL, KEPT_LINES };

static const char *const kept_methods[KEPT_LINES] = {
	[INITIALIZE] = "initialize",
	[INITIALIZED] = "notifications/initialized",
	[SET_LEVEL] = "logging/setLevel",
};

enum route { UNDECIDED, TO_CLIENT, TO_STDERR, TO_US };

/* Both in the memory that main reserves: pages that are not used cost nothing.  No
 * notes are needed while the server is stopped; of the talk, most often one page. */
struct notes {
	alignas(4096) char line[KEPT_MAX]; /* of the client, as far as it has come */
	struct id pending[2][PENDING_MAX]; /* by the side that asked */
	uint64_t uris[URIS_MAX];
};

struct talk {
	struct scanner from[2];
	size_t npending[2], nuris;
	size_t line_size; /* of notes->line; KEPT_MAX: too long */
	size_t kept_size[KEPT_LINES];
	struct id kept_id[KEPT_LINES];
	char version[NAME_SIZE]; /* of the protocol, in the answer to initialize */
	enum { NOTHING_SAID, STATELESS, INITIALIZING, ANSWERED, HANDSHAKEN } handshake;
	const char *doubt; /* why the server is never to be stopped; NULL: no doubt */

	enum kept_line awaited; /* whose answer is for us; KEPT_LINES: no one's */
	bool answered;          /* it has come */
	const char *mismatch;   /* and is not what it was; NULL: it is */
	bool first_message;     /* a whole one has come from the server */
	enum route route;       /* of the server's line */
	struct end to_stderr;

	char kept[KEPT_LINES * KEPT_MAX]; /* the client's lines, one after the other */
};

static struct notes *notes;
static struct talk *talk;

static void have_doubt(const char *why)
{
	if (talk->doubt || opt.idle_stop < 0)
		return;
	talk->doubt = why;
	event("idle-stop-off reason=%s", why);
}

static bool same_id(const struct id *a, const struct id *b)
{
	return a->kind == b->kind && a->size == b->size && memcmp(a->bytes, b->bytes, a->size) == 0;
}

static void add_pending(enum side side, const struct id *id)
{
	if (talk->npending[side] == PENDING_MAX)
		have_doubt("too-many-requests");
	else
		notes->pending[side][talk->npending[side]++] = *id;
}

static void settle(enum side side, const struct id *id)
{
	struct id *pending = notes->pending[side];

	for (size_t i = 0; i < talk->npending[side]; i++) {
		if (same_id(&pending[i], id)) {
			pending[i] = pending[--talk->npending[side]];
			return;
		}
	}
}

static void subscribe(uint64_t uri)
{
	for (size_t i = 0; i < talk->nuris; i++)
		if (notes->uris[i] == uri)
			return;
	if (talk->nuris == URIS_MAX)
		have_doubt("too-many-subscriptions");
	else
		notes->uris[talk->nuris++] = uri;
}

static void unsubscribe(uint64_t uri)
{
	for (size_t i = 0; i < talk->nuris; i++)
		if (notes->uris[i] == uri)
			notes->uris[i] = notes->uris[--talk->nuris];
}

/* Notes a request or a notification of SIDE, just scanned. */
static void note_call(enum side side, const struct scanner *m)
{
	bool request = m->id.kind != 0;

	if (request)
		add_pending(side, &m->id);
	if (m->seen & TASK)
		have_doubt("task");
	if (!request && strcmp(m->method, "notifications/cancelled") == 0)
		settle(side, &m->request_id);
	if (side == SERVER)
		return;
	if (request && strcmp(m->method, "initialize") == 0)
		talk->handshake = INITIALIZING;
	else if (talk->handshake == ANSWERED && !request &&
		 strcmp(m->method, kept_methods[INITIALIZED]) == 0)
		talk->handshake = HANDSHAKEN;
	else if (talk->handshake == NOTHING_SAID)
		talk->handshake = STATELESS;
	if (strcmp(m->method, "resources/subscribe") == 0)
		subscribe(m->uri);
	else if (strcmp(m->method, "resources/unsubscribe") == 0)
		unsubscribe(m->uri);
}

/* Notes an answer of SIDE, just scanned. */
static void note_answer(enum side side, const struct scanner *m)
{
	settle(side == CLIENT ? SERVER : CLIENT, &m->id);
	if (side == SERVER && talk->handshake == INITIALIZING &&
	    same_id(&m->id, &talk->kept_id[INITIALIZE])) {
		talk->handshake = m->seen & RESULT ? ANSWERED : NOTHING_SAID;
		memcpy(talk->version, m->version, sizeof talk->version);
	}
}

/* Notes the line of SIDE that its scanner has come to the end of. */
static void note_line(enum side side)
{
	const struct scanner *m = &talk->from[side];
	bool call = m->seen & METHOD, answer = m->seen & (RESULT | ERROR);

	/* A call with an id of null may be answered, or not. */
	if (!m->object || call == answer || (call && m->seen & ID && !m->id.kind))
		have_doubt(side == CLIENT ? "client-line" : "server-line");
	else if (call)
		note_call(side, m);
	else
		note_answer(side, m);
}

/* Where the kept LINE begins; of KEPT_LINES, where all of them end. */
static char *kept_line(int line)
{
	char *at = talk->kept;

	for (int i = 0; i < line; i++)
		at += talk->kept_size[i];
	return at;
}

/* Keeps the client's LINE of SIZE bytes, just scanned, if a new server needs it. */
static void keep_line(const char *line, size_t size)
{
	const struct scanner *m = &talk->from[CLIENT];

	for (int i = 0; m->object && i < KEPT_LINES; i++) {
		if (strcmp(m->method, kept_methods[i]) != 0)
			continue;
		if (size >= KEPT_MAX) {
			have_doubt("long-line");
			return;
		}
		char *at = kept_line(i), *next = at + talk->kept_size[i];
		memmove(at + size, next, (size_t)(kept_line(KEPT_LINES) - next));
		memcpy(at, line, size);
		talk->kept_size[i] = size;
		talk->kept_id[i] = m->id;
	}
}

/* A part of the client's line that is not over, or the rest of such a one. */
static void add_to_line(const char *bytes, size_t n)
{
	size_t room = KEPT_MAX - talk->line_size;

	memcpy(notes->line + talk->line_size, bytes, n < room ? n : room);
	talk->line_size += n < room ? n : room;
}

/* The client's lines are only noted. */
static void look_at_input(struct lane *l)
{
	struct scanner *m = &talk->from[CLIENT];

	while (l->looked < l->end) {
		const char *bytes = l->buffer->bytes + l->looked;
		size_t n = scan(m, bytes, l->end - l->looked);

		l->looked += n;
		if (!m->over || talk->line_size > 0)
			add_to_line(bytes, n);
		if (!m->over)
			break;
		if (talk->line_size > 0)
			keep_line(notes->line, talk->line_size);
		else
			keep_line(bytes, n);
		note_line(CLIENT);
		if (talk->line_size > KEPT)
			give_back(notes->line, sizeof notes->line);
		talk->line_size = 0;
	}
	l->cut = l->end;
	l->to = &l->out;
}

/* Compares the answer to the replayed initialize with what it was. */
static void note_our_answer(const struct scanner *m)
{
	talk->answered = true;
	if (talk->awaited != INITIALIZE)
		return;
	if (m->seen & ERROR)
		talk->mismatch = "an error";
	else if (strcmp(m->version, talk->version) != 0)
		talk->mismatch = "another protocolVersion";
}

/* Where the line goes that the server is writing: for --json-only as soon as its
 * first byte is known; an answer that is for us, at its end.  FULL: there is no
 * room for more of it, and what has been seen must do. */
static enum route route_of(const struct scanner *m, bool full, bool whole_lines)
{
	if (opt.json_only && m->first && m->first != '{' && m->first != '[' && m->first != '\n')
		return TO_STDERR;
	if (opt.json_only && !m->first)
		return full ? TO_CLIENT : UNDECIDED;
	if (whole_lines && !m->over && !full)
		return UNDECIDED;
	if (talk->awaited == KEPT_LINES)
		return TO_CLIENT;
	if (m->over) {
		bool ours = m->object && !(m->seen & METHOD) && m->seen & (RESULT | ERROR) &&
			    same_id(&m->id, &talk->kept_id[talk->awaited]);
		return ours ? TO_US : TO_CLIENT;
	}
	if (full) /* the only answer that can come now is that */
		return m->seen & (RESULT | ERROR) && !(m->seen & METHOD) ? TO_US : TO_CLIENT;
	return UNDECIDED;
}

/* The server's lines go where they belong. */
static void look_at_output(struct lane *l)
{
	struct scanner *m = &talk->from[SERVER];

	while (l->looked < l->end) {
		l->looked += scan(m, l->buffer->bytes + l->looked, l->end - l->looked);
		if (talk->route == UNDECIDED)
			talk->route = route_of(m, l->end - l->start == CHUNK, l->whole_lines);
		if (talk->route == UNDECIDED)
			return;
		l->to = talk->route == TO_CLIENT   ? &l->out
			: talk->route == TO_STDERR ? &talk->to_stderr
						   : NULL;
		l->cut = l->looked;
		if (m->over) {
			if (talk->route == TO_CLIENT && opt.idle_stop >= 0)
				note_line(SERVER);
			else if (talk->route == TO_US)
				note_our_answer(m);
			if (m->object)
				talk->first_message = true;
			talk->route = UNDECIDED;
		}
		if (opt.json_only || talk->awaited != KEPT_LINES || l->whole_lines)
			return; /* the next line may go elsewhere */
	}
}

/* Whether anything is awaited by anybody, as far as the messages tell. */
static bool may_be_stopped(void)
{
	return !talk->doubt && (talk->handshake == STATELESS || talk->handshake == HANDSHAKEN) &&
	       talk->npending[CLIENT] + talk->npending[SERVER] + talk->nuris == 0 &&
	       !in_line(&talk->from[CLIENT]) && !in_line(&talk->from[SERVER]);
}

/* ---- Shim --------------------------------------------------------------- */

struct shim {
	struct lane in;  /* client to server */
	struct lane out; /* server to client */
	struct watch from_client, from_server;
	bool terminal;   /* is stdin, and the one that controls us */
	int64_t sampled; /* when the reaper was told to look at the tree */
	int control;
	int signals; /* a signalfd */

	pid_t client; /* 0: outside of our PID namespace */
	pid_t reaper; /* 0: gone, and the tree with it */
	int status;   /* the session's, once the reaper is gone */
	bool server_spoke;
	bool relay_failed; /* bytes were lost, by an error of ours */

	int64_t input_ended; /* when; 0: not yet */
	int unread_poll;     /* ms until we look again whether it has been read */
	int64_t over;        /* when the reaper was told to end; 0: not yet */
	bool forced;         /* not ended by the end of input alone */
	bool interrupted;    /* by the terminal's Ctrl-C */
	int64_t progress;    /* when output could be moved last, once the reaper is gone */

	/* Of --idle-stop: */
	enum { UP, GOING_DOWN, COMING_UP } server;
	int64_t active;           /* when bytes passed last */
	int64_t called;           /* when the new server was called for */
	int64_t memory;           /* KiB of the tree, before it was stopped */
	bool server_sent_message; /* a whole one */
};

/* Tells the reaper WHAT: a signal to pass on, or a CONTROL_.  Returns whether it
 * will hear of it: the pipe may be full (64 KiB of signals behind a stopped
 * reaper), or closed behind a dead one. */
static bool tell(const struct shim *s, int what)
{
	unsigned char byte = (unsigned char)what;
	ssize_t n;

	do
		n = write(s->control, &byte, 1);
	while (n < 0 && errno == EINTR);
	return n == 1;
}

/* Whether stdin is to be read next, and that would stop us: it is the terminal, and
 * we are a job in its background. */
static bool would_stop(const struct shim *s)
{
	pid_t foreground = s->terminal && !s->in.buffer ? tcgetpgrp(STDIN_FILENO) : -1;

	return foreground > 0 && foreground != getpgrp();
}

/* Passes on what the client has sent, as far as the server's pipe takes it. */
static void pass_input(struct shim *s)
{
	for (int i = 0; i < TURN && s->in.in.fd >= 0 && s->in.out.fd >= 0; i++)
		if (would_stop(s) || pump(&s->in) >= FLOW_IN_ENDED || s->in.full ||
		    !ready(s->in.in.fd, POLLIN))
			break;
}

/* ... and closes the server's stdin. */
static void finish_input(struct shim *s)
{
	pass_input(s);
	shut(&s->in.in.fd);
	shut(&s->in.out.fd);
}

/* Ends the session as by the end of input.  The reaper hears of it first, so as
 * not to think that a server which exits at once has done so by itself. */
static void end(struct shim *s)
{
	pass_input(s);
	if (!tell(s, CONTROL_INPUT_ENDED))
		shut(&s->control); /* the end-of-file will do */
	shut(&s->in.in.fd);
	shut(&s->in.out.fd);
	if (!s->over)
		s->over = now();
}

/* Says why the session ends, if this is the first that we know of. */
static void say_reason(const struct shim *s, const char *reason, const char *detail)
{
	bool goes_on = s->reaper || s->server == GOING_DOWN;

	if (goes_on && !s->forced && !s->relay_failed && !s->input_ended)
		event_end(reason, detail);
}

/* The client has closed our stdin, or its death did; some may be unread. */
static void note_input_ended(struct shim *s)
{
	if (s->input_ended)
		return;
	say_reason(s, "stdin-closed", "");
	s->input_ended = now();
	s->unread_poll = 1;
}

/* Whether the server has read all that LANE had for it, or nobody reads. */
static bool all_read(const struct lane *lane)
{
	int unread = 0;

	if (lane->out.fd < 0)
		return true;
	if (lane->in.fd >= 0)
		return false;
	return ready(lane->out.fd, 0) /* POLLERR */ || ioctl(lane->out.fd, FIONREAD, &unread) < 0 ||
	       unread == 0;
}

/*
 * The grace starts when the server has read all of its input: one that is still
 * starting, as npx does, has not seen the end yet.  Its stdin is closed only
 * then, so that we can ask; before that it could not notice.
 */
static void await_reading(struct shim *s)
{
	if (all_read(&s->in) || now() >= s->input_ended + UNREAD_MAX) {
		end(s);
		return;
	}
	s->unread_poll *= 2;
	if (s->unread_poll > UNREAD_POLL_MAX)
		s->unread_poll = UNREAD_POLL_MAX;
}

static void lose_client(struct shim *s)
{
	say_reason(s, "client-died", "");
	s->forced = true;
	end(s);
}

/* The client takes no more output, because of errno: the server's next write
 * shall fail, as it would without us. */
static void lose_output(struct shim *s)
{
	if (errno != EPIPE && errno != ECONNRESET) {
		complain("stdout: %s", strerror(errno));
		say_reason(s, "stdout-failed", "");
		s->relay_failed = true;
	}
	say_reason(s, "stdout-closed", "");
	shut(&s->out.in.fd);
	shut(&s->out.out.fd);
	s->forced = true;
	end(s);
}

/* The server reads no more.  The client must not wait for it, and we still have
 * to see the end of input: what comes is read and lost. */
static void drop_input(struct shim *s)
{
	shut(&s->in.out.fd);
	s->in.splice = false;
	s->in.full = false;
	release_buffer(&s->in);
}

/*
 * Whether a SIGCONT is for the client's death, from PR_SET_PDEATHSIG or from the
 * reaper.  It comes for the end of the mere thread that forked us, too, and from
 * the shell's fg.  When it comes for the death, our parent is another process
 * already: the kernel hands us over first.
 */
static bool client_is_dead(const struct shim *s, const struct signalfd_siginfo *cont)
{
	if (opt.outlive_parent)
		return false;
	if (s->client == 0) /* then what comes from outside is all there is */
		return cont->ssi_pid == 0;
	return getppid() != s->client;
}

static void discard(int sig)
{
	const struct timespec at_once = {0, 0};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, sig);
	sigtimedwait(&set, NULL, &at_once);
}

/*
 * Stops us by SIG, which is blocked and pending.  Why we cannot sleep through the
 * client's death: one before SIG was sent is seen by the look here; one after that
 * sends SIGCONT, which discards the pending SIG or ends the stop.
 */
static void stop(struct shim *s, int sig)
{
	const struct signalfd_siginfo no_cont = {.ssi_pid = 1};
	sigset_t set;

	if (client_is_dead(s, &no_cont)) {
		discard(sig);
		lose_client(s);
		return;
	}
	sigemptyset(&set);
	sigaddset(&set, sig);
	sigprocmask(SIG_UNBLOCK, &set, NULL); /* here we stop */
	sigprocmask(SIG_BLOCK, &set, NULL);
}

/* Ctrl-Z: stops the server's process group, then us as SIGTSTP does by default,
 * and lets the server go on after fg. */
static void suspend(struct shim *s)
{
	tell(s, SIGTSTP);
	raise(SIGTSTP);
	stop(s, SIGTSTP);
	tell(s, SIGCONT);
}

/*
 * Stops our job as the read would that is next.  In the read itself we would stop
 * again after each SIGCONT, and never see what kill(1) has sent along with it.
 * That is not lost here either: what came before SIGTTIN is seen behind it.
 */
static void stop_job(struct shim *s)
{
	sigset_t ttin;

	sigemptyset(&ttin);
	sigaddset(&ttin, SIGTTIN);
	sigprocmask(SIG_BLOCK, &ttin, NULL);
	kill(0, SIGTTIN);
	if (ready(s->signals, POLLIN))
		discard(SIGTTIN);
	else
		stop(s, SIGTTIN);
	sigprocmask(SIG_UNBLOCK, &ttin, NULL);
}

static void pump_input(struct shim *s)
{
	if (would_stop(s)) {
		if (s->over)
			shut(&s->in.in.fd);
		else if (!ready(s->signals, POLLIN))
			stop_job(s);
		/* That nothing stops us, SIGTTIN being ignored, fails the read. */
		if (s->over || ready(s->signals, POLLIN))
			return;
	}
	switch (pump(&s->in)) {
	case FLOW_IN_ENDED:
		/* EIO: the terminal has hung up.  ECONNRESET: the socket. */
		if (errno && errno != EIO && errno != ECONNRESET) {
			complain("stdin: %s", strerror(errno));
			say_reason(s, "stdin-failed", "");
			s->relay_failed = true;
		}
		shut(&s->in.in.fd);
		note_input_ended(s);
		break;
	case FLOW_OUT_CLOSED:
		drop_input(s);
		break;
	case FLOW_MORE:
	case FLOW_WAIT:
		break;
	}
}

static void pump_output(struct shim *s)
{
	if (!s->reaper)
		s->progress = now();
	switch (pump(&s->out)) {
	case FLOW_IN_ENDED:
		if (errno) {
			complain("output: %s", strerror(errno));
			s->relay_failed = true;
		}
		shut(&s->out.in.fd);
		if (s->server != GOING_DOWN)
			shut(&s->out.out.fd);
		break;
	case FLOW_OUT_CLOSED:
		lose_output(s);
		break;
	case FLOW_MORE:
		break;
	case FLOW_WAIT:
		/* Someone outside of the tree may hold the pipe open. */
		if (s->reaper || s->out.full || ready(s->out.in.fd, POLLIN))
			break;
		if (s->out.buffer) {
			decide_rest(&s->out);
			pump_output(s);
		} else {
			shut(&s->out.in.fd);
		}
		break;
	}
}

/* Puts the client's kept lines FROM to TO in front of what it sends next. */
static void replay(struct shim *s, int from, int to)
{
	hold_buffer(&s->in);
	s->in.end = (size_t)(kept_line(to + 1) - kept_line(from));
	memcpy(s->in.buffer->bytes, kept_line(from), s->in.end);
	s->in.cut = s->in.looked = s->in.end;
	s->in.to = &s->in.out;
	if (s->in.buffer->touched < s->in.end)
		s->in.buffer->touched = s->in.end;
	pump_input(s);
}

static void go_on(struct shim *s)
{
	talk->awaited = KEPT_LINES;
	s->server = UP;
	s->in.held = false;
	event("idle-start seconds=%.3f", (double)(now() - s->called) / 1000);
	s->active = now();
}

/* Begins to make the new server what the one before was. */
static void restore(struct shim *s)
{
	s->called = now();
	if (talk->handshake == STATELESS) {
		go_on(s);
		return;
	}
	s->server = COMING_UP;
	talk->awaited = INITIALIZE;
	replay(s, INITIALIZE, INITIALIZE);
}

/* The new server has answered what it was sent by us. */
static void go_on_restoring(struct shim *s)
{
	bool level = talk->kept_size[SET_LEVEL] > 0;

	talk->answered = false;
	if (talk->mismatch) {
		complain("idle-stop: the new server answers initialize with %s", talk->mismatch);
		say_reason(s, "not-restored", "");
		s->forced = true;
		end(s);
	} else if (talk->awaited == SET_LEVEL) {
		go_on(s);
	} else {
		replay(s, INITIALIZED, level ? SET_LEVEL : INITIALIZED);
		talk->awaited = level ? SET_LEVEL : KEPT_LINES;
		if (!level)
			go_on(s);
	}
}

/* For --drop-launcher; with nothing else to look for, the bytes pass unseen. */
static void note_first_message(struct shim *s)
{
	talk->first_message = false;
	if (opt.drop_launcher && !s->server_sent_message)
		tell(s, CONTROL_FIRST_MESSAGE);
	s->server_sent_message = true;
	if (opt.idle_stop >= 0 || opt.json_only)
		return;
	if (s->out.buffer)
		s->out.cut = s->out.looked = s->out.end;
	s->out.look = NULL;
	s->out.splice = is_pipe(s->out.out.fd);
}

/* Where the output that waits is to go. */
static const struct end *out_end(const struct shim *s)
{
	return s->out.full && s->out.look ? s->out.to : &s->out.out;
}

/* What to do about poll(2)'s events at the two ends of a lane: a hang-up of an
 * end that is not waited for is news, too. */
static void relay_input(struct shim *s, int in, int out)
{
	if ((s->in.full || s->in.held) && in)
		note_input_ended(s);
	if (s->in.full ? out : in && !s->in.held)
		pump_input(s);
}

static void relay_output(struct shim *s, int in, int out)
{
	bool first = in & POLLIN && !s->server_spoke;

	if (first) {
		s->server_spoke = true;
		tell(s, CONTROL_SERVER_SPOKE);
	}
	if (out & (POLLERR | POLLHUP | POLLNVAL) && out_end(s) == &s->out.out) {
		errno = EPIPE;
		lose_output(s);
	} else if (in || out) {
		pump_output(s);
	}
	if (talk->first_message && s->out.look)
		note_first_message(s);
	if (first)
		forget_text();
}

/* The reaper has been killed, which took the server along (PR_SET_PDEATHSIG);
 * the rest of the tree is ours now. */
static void sweep(struct shim *s)
{
	struct reaper r = {
		.control = -1,
		.signals = s->signals,
		.client = -1,
		.shim = -1,
		.server_spoke = s->server_spoke,
		.phase = ENDING,
	};

	prctl(PR_SET_NAME, NAME_SWEEP);
	sigemptyset(&r.asked);
	sigemptyset(&r.sent);
	finish_input(s);
	reap_tree(&r);
}

static void lose_reaper(struct shim *s, int status)
{
	if (!WIFEXITED(status))
		say_reason(s, "reaper-died", "");
	else if (!s->over && shared && !*shared->reason)
		say_reason(s, WEXITSTATUS(status) == EXIT_OURS ? "reaper-died" : "reaper-signalled",
			   "");
	s->reaper = 0;
	shut(&s->control);
	if (WIFEXITED(status)) {
		s->status = WEXITSTATUS(status);
		/* That late it was not by itself. */
		if (s->over && s->server != GOING_DOWN && now() >= s->over + opt.grace)
			s->forced = true;
	} else {
		complain("reaper: killed by signal %s", signal_name(WTERMSIG(status)));
		s->status = EXIT_OURS;
		s->forced = true;
		sweep(s);
	}
	/* That it could not be run has been said. */
	if (s->server == COMING_UP && !s->forced &&
	    (s->status < EXIT_OURS || s->status > EXIT_NOT_FOUND))
		complain("idle-stop: the new server exited before it had answered initialize");
	if (s->server != GOING_DOWN)
		finish_input(s);
	if (s->out.in.fd >= 0)
		pump_output(s);
}

/* Notes which children we had before we became mcp-reap, and whom they have
 * orphaned to us since.  REAPER is 0 before there is one. */
static void note_inherited_children(pid_t reaper)
{
	siginfo_t dead = {.si_pid = 0};

	push_own_children();
	/* None of them is of the tree, which comes to us by the reaper's death
	 * only, and it is not dead even now. */
	if (!reaper || (waitid(P_PID, (id_t)reaper, &dead, WEXITED | WNOHANG | WNOWAIT) == 0 &&
			dead.si_pid == 0))
		for (size_t i = ninherited; i < nfound; i++)
			if (found[i] != reaper)
				found[ninherited++] = found[i];
	nfound = ninherited;
}

/* The reaper never stays stopped while we live, so that nobody's SIGSTOP puts
 * off an ending. */
static void collect_children(struct shim *s)
{
	int status;
	bool inherited_died = false;

	for (;;) {
		pid_t pid = waitpid(-1, &status, WNOHANG | WUNTRACED);
		if (pid < 0 && errno == EINTR)
			continue;
		if (pid <= 0)
			break;
		if (WIFSTOPPED(status)) {
			if (pid == s->reaper)
				kill(pid, SIGCONT);
		} else if (pid == s->reaper) {
			lose_reaper(s, status);
		} else {
			forget_inherited(pid);
			inherited_died = true;
		}
	}
	if (inherited_died && s->reaper)
		note_inherited_children(s->reaper);
}

/* Ends the session by a signal that no server can be told of. */
static void die_of_signal(struct shim *s, const struct signalfd_siginfo *info)
{
	int sig = (int)info->ssi_signo;

	say_reason(s, "signal-", signal_name(sig));
	s->status = 128 + sig;
	s->interrupted = sig == SIGINT && info->ssi_code == SI_KERNEL;
	s->forced = true;
}

/* Passes SIG on, and ends the session.  The server's stdin stays open until the
 * reaper says that the server has got SIG: the end of input must not be faster,
 * or it could exit as if nothing had happened. */
static void end_by_signal(struct shim *s, const struct signalfd_siginfo *info)
{
	int sig = (int)info->ssi_signo;

	if (!s->reaper) { /* it is only output that nobody takes, or a server to come */
		if (s->server == GOING_DOWN)
			die_of_signal(s, info);
		shut(&s->out.in.fd);
		return;
	}
	say_reason(s, "signal-", signal_name(sig));
	if (sig == SIGINT && info->ssi_code == SI_KERNEL)
		s->interrupted = true;
	s->forced = true;
	if (!s->over)
		s->over = now();
	if (!tell(s, sig))
		end(s);
}

/* A SIGCONT in an ending.  The reaper's means that the server has got its signal.
 * One of somebody else (timeout(1) sends a pair) may have taken its place, as
 * signals of one kind do not queue: then the reaper is asked for it again. */
static void take_nudge(struct shim *s, const struct signalfd_siginfo *cont)
{
	if ((pid_t)cont->ssi_pid == s->reaper || !s->reaper)
		finish_input(s);
	else if (!tell(s, CONTROL_NUDGE))
		end(s);
}

static void read_shim_signals(struct shim *s)
{
	struct signalfd_siginfo info;

	while (read(s->signals, &info, sizeof info) == sizeof info) {
		int sig = (int)info.ssi_signo;

		if (sig == SIGCHLD) {
			collect_children(s);
		} else if (sig == SIGCONT) {
			if (client_is_dead(s, &info))
				lose_client(s);
			else if (s->over && (s->server != GOING_DOWN || s->forced))
				take_nudge(s, &info);
		} else if (sig == SIGTSTP) {
			suspend(s);
		} else if (sigismember(&ending_signals, sig)) {
			end_by_signal(s, &info);
		} else {
			tell(s, sig);
		}
	}
}

/* Whether all that keeps the server from being stopped is time. */
static bool awaits_idleness(const struct shim *s)
{
	return opt.idle_stop >= 0 && s->server == UP && s->reaper && !s->over && !s->input_ended &&
	       !s->in.buffer && !s->out.buffer && s->out.out.fd >= 0 && may_be_stopped();
}

/* The memory of all below PID, KiB. */
static int64_t memory_below(pid_t pid)
{
	size_t first = nfound;
	int64_t sum = 0;

	push_children(pid, -1);
	for (size_t i = first, last = nfound; i < last; i++)
		sum += memory_of(found[i]) + memory_below(found[i]);
	nfound = first;
	return sum;
}

/*
 * Ends the server as at the end of a session, with the client none the wiser.
 * What it sends from now on stays in its pipe or socket until there is a server
 * again, so no message can be lost, or half read by one that is going.
 */
static void stop_server(struct shim *s)
{
	int unread = 0;

	ioctl(s->in.out.fd, FIONREAD, &unread);
	if (unread > 0 || ready(s->in.in.fd, POLLIN | POLLRDHUP) || ready(s->out.in.fd, POLLIN)) {
		s->active = now() + UNREAD_POLL_MAX;
		return;
	}
	s->memory = opt.verbose || shared ? memory_below(s->reaper) : 0;
	s->server = GOING_DOWN;
	s->in.held = true;
	s->out.whole_lines = true;
	if (!tell(s, CONTROL_INPUT_ENDED))
		shut(&s->control);
	shut(&s->in.out.fd); /* after that: see end() */
	s->over = now();
}

/* While the server is stopped, all else that we have reserved is empty, and
 * nothing runs: one process is left, and shall be small. */
static void forget_all_but_kept_lines(void)
{
	give_back(buffers, BUFFERS * sizeof *buffers);
	give_back(notes, sizeof *notes);
	if (ninherited == 0)
		give_back(found, FOUND_MAX * sizeof *found);
	forget_stack();
	forget_text();
}

/* A signal, while there is no server: returns whether it ends the session. */
static bool ends_sleep(struct shim *s, const struct signalfd_siginfo *info)
{
	int sig = (int)info->ssi_signo;

	if (sigismember(&ending_signals, sig))
		die_of_signal(s, info);
	else if (sig == SIGCHLD)
		collect_children(s);
	else if (sig == SIGTSTP)
		suspend(s);
	else if (sig == SIGCONT && client_is_dead(s, info))
		lose_client(s);
	return s->forced;
}

/* Whether the client has sent something, and not just the end. */
static bool has_message(const struct shim *s, short revents)
{
	char byte;

	if (s->in.in.kind == SOCKET)
		return recv(s->in.in.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
	return revents & POLLIN;
}

/* Whether the stop of the server went as it should, and was not overtaken by the
 * session's own end. */
static bool may_start_again(struct shim *s)
{
	if (s->forced || s->relay_failed || s->out.out.fd < 0)
		return false;
	talk->npending[SERVER] = 0; /* who has asked is gone */
	if (talk->route == TO_CLIENT) {
		complain("idle-stop: the server was stopped in the middle of a long line");
		say_reason(s, "not-restored", "");
		return false;
	}
	begin_line(&talk->from[SERVER]);
	talk->route = UNDECIDED;
	s->out.whole_lines = false;
	return true;
}

/* Sleeps while there is no server.  Returns true when the client has a message
 * for one, false when the session is over. */
static bool sleep_until_message(struct shim *s)
{
	struct signalfd_siginfo info;
	bool message = false, over = false;

	event("idle-stop memory=%lld", (long long)s->memory * 1024);
	prctl(PR_SET_NAME, NAME_IDLE);
	if (shared) {
		shared->idle_stops++;
		shared->given_back += s->memory;
	}
	forget_all_but_kept_lines();
	s->status = 0;
	while (!message && !over) {
		struct pollfd fds[] = {
			{.fd = s->signals, .events = POLLIN},
			{.fd = s->in.in.fd, .events = POLLIN | POLLRDHUP},
			{.fd = s->out.out.fd},
		};

		if (poll(fds, sizeof fds / sizeof *fds, -1) < 0)
			continue;
		while (!over && read(s->signals, &info, sizeof info) == sizeof info)
			over = ends_sleep(s, &info);
		if (over)
			break;
		if (fds[2].revents & (POLLERR | POLLHUP | POLLNVAL)) {
			say_reason(s, "stdout-closed", "");
			over = true;
		} else if (fds[1].revents) {
			message = has_message(s, fds[1].revents);
			if (!message)
				note_input_ended(s);
			over = !message;
		}
	}
	prctl(PR_SET_NAME, "mcp-reap");
	return message;
}

/* Whether the session is over, but for output that nobody takes. */
static bool may_give_up(const struct shim *s)
{
	return !s->reaper && (s->forced || out_end(s) != &s->out.out);
}

/* poll(2)'s timeout: none while nothing ends, but for one after a large message. */
static int shim_timeout(const struct shim *s)
{
	if (may_give_up(s))
		return until(s->progress + STUCK_MAX);
	if (s->input_ended && !s->over)
		return s->unread_poll;
	int timeout = awaits_idleness(s) ? until(s->active + opt.idle_stop) : -1;
	bool give_back = worth_giving_back(&buffers[0]) || worth_giving_back(&buffers[1]);

	return give_back && (timeout < 0 || timeout > MOMENT) ? MOMENT : timeout;
}

/* While messages pass, --stats has a look at the tree now and then. */
static void sample(struct shim *s)
{
	if (!opt.stats || now() < s->sampled + SAMPLE || !s->reaper)
		return;
	s->sampled = now();
	tell(s, CONTROL_SAMPLE);
}

/* What poll(2) is to look for at the end of a lane, E, that is waited for or
 * not.  Not waited for, it is watched for a hang-up only. */
static struct pollfd watched(const struct end *e, bool waited_for, short events)
{
	struct pollfd p = {.fd = e->fd};

	if (waited_for)
		p.events = events;
	return p;
}

/* The shim's life: until the reaper is gone, and the tree with it, and the
 * client has all output. */
static void relay_session(struct shim *s)
{
	enum { SIGNALS, IN_IN, IN_OUT, OUT_IN, OUT_OUT, N };

	while (s->reaper || s->out.in.fd >= 0) {
		struct pollfd fds[N] = {
			[SIGNALS] = {.fd = s->signals, .events = POLLIN},
			[IN_IN] = watched(&s->in.in, !s->in.full && !s->in.held, POLLIN),
			[IN_OUT] = watched(&s->in.out, s->in.full, POLLOUT),
			[OUT_IN] = watched(&s->out.in, !s->out.full, POLLIN),
			[OUT_OUT] = watched(out_end(s), s->out.full, POLLOUT),
		};
		/* A hang-up that is known, or will be when its turn comes, must
		 * not wake us again and again. */
		fds[IN_IN].events |= POLLRDHUP;
		if ((s->in.full || s->in.held) && s->input_ended)
			fds[IN_IN].fd = -1;
		if (!s->in.full)
			fds[IN_OUT].fd = -1;
		if (s->out.full)
			fds[OUT_IN].fd = -1;

		int n = poll(fds, N, shim_timeout(s));
		if (n < 0)
			continue;
		if (n == 0)
			give_memory_back();

		if (opt.idle_stop >= 0 && (fds[IN_IN].revents || fds[IN_OUT].revents ||
					   fds[OUT_IN].revents || fds[OUT_OUT].revents))
			s->active = now();
		if (s->out.in.fd >= 0)
			relay_output(s, fds[OUT_IN].revents, fds[OUT_OUT].revents);
		if (s->in.in.fd >= 0)
			relay_input(s, fds[IN_IN].revents, fds[IN_OUT].revents);
		if (talk->answered && !s->in.buffer) /* it need not have read all */
			go_on_restoring(s);
		if (fds[OUT_IN].revents)
			sample(s);
		if (fds[SIGNALS].revents)
			read_shim_signals(s);

		if (s->input_ended && !s->over)
			await_reading(s);
		if (awaits_idleness(s) && now() >= s->active + opt.idle_stop)
			stop_server(s);
		if (may_give_up(s) && now() >= s->progress + STUCK_MAX) {
			if (s->forced)
				break;
			talk->to_stderr.fd = -1; /* what follows may be for stdout */
			pump_output(s);
		}
	}
}

/* ---- Sessions on this host ---------------------------------------------- */

/*
 * Nothing is registered anywhere: a session is known by its processes.  Of those
 * that run a program of our name, a reaper has its name and leads a session of
 * the kernel's; its parent that runs the very same program is the shim.  A
 * script or a stranger with our name has no such child.
 */
struct process {
	pid_t pid, parent, leader;
	char name[16];
	unsigned long long start; /* clock ticks after boot */
	dev_t program_dev;
	ino_t program_ino;     /* 0: not ours */
	struct session *leads; /* whose shim it is */
	struct session *below; /* whose tree it is and what is below it */
};

struct session {
	struct process *shim; /* NULL: killed, and the reaper sees to the end */
	struct process *top;
	const char *state;
	size_t processes;
	int64_t memory; /* bytes */
};

/* All that we know of this host. */
static struct {
	struct process *processes; /* by pid */
	size_t nprocesses;
	struct session *sessions; /* by memory */
	size_t nsessions;
	size_t in_sessions; /* processes, each counted once where sessions are nested */
	int64_t memory;     /* theirs */
} host;

/* Whether the program that PID runs is called NAME, as far as we may know. */
static bool runs_named(const char *pid, const char *name, struct stat *st)
{
	char path[32], target[PATH_MAX];

	snprintf(path, sizeof path, "/proc/%.20s/exe", pid);
	ssize_t n = readlink(path, target, sizeof target - 1);
	if (n <= 0)
		return false;
	target[n] = '\0';
	char *base = strrchr(target, '/');
	if (!base)
		return false;
	char *suffix = strrchr(base, ' ');
	if (suffix && strcmp(suffix, " (deleted)") == 0) /* by an update, say */
		*suffix = '\0';
	return strcmp(base + 1, name) == 0 && stat(path, st) == 0;
}

/* Reads what /proc has on PID, if it is there; OURS is our program's name. */
static bool look_at(const char *pid, const char *ours, struct process *p)
{
	char path[32], line[1024];
	struct stat program;

	snprintf(path, sizeof path, "/proc/%.20s/stat", pid);
	if (!read_small(path, line, sizeof line))
		return false;
	char *name = strchr(line, '('), *after = strrchr(line, ')');
	if (!name || !after || field_of(line, 22) < 0)
		return false;
	p->parent = (pid_t)field_of(line, 4);
	p->leader = (pid_t)field_of(line, 6);
	p->start = (unsigned long long)field_of(line, 22);
	p->pid = atoi(line);
	snprintf(p->name, sizeof p->name, "%.*s", (int)(after - name - 1), name + 1);
	if (runs_named(pid, ours, &program)) {
		p->program_dev = program.st_dev;
		p->program_ino = program.st_ino;
	}
	return true;
}

static int by_pid(const void *a, const void *b)
{
	return ((const struct process *)a)->pid - ((const struct process *)b)->pid;
}

static struct process *process_of(pid_t pid)
{
	struct process key = {.pid = pid};

	return bsearch(&key, host.processes, host.nprocesses, sizeof key, by_pid);
}

static void find_processes(void)
{
	char path[PATH_MAX];
	size_t room = 0;

	ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
	DIR *dir = opendir("/proc");
	if (length < 0 || !dir)
		fail("/proc");
	path[length] = '\0';
	const char *base = strrchr(path, '/');

	for (struct dirent *e; (e = readdir(dir));) {
		if (!isdigit((unsigned char)*e->d_name))
			continue;
		if (host.nprocesses == room) {
			room = room ? 2 * room : 256;
			struct process *more =
				realloc(host.processes, room * sizeof *host.processes);
			if (!more)
				fail("memory");
			host.processes = more;
		}
		struct process *p = &host.processes[host.nprocesses];
		*p = (struct process){.pid = 0};
		if (look_at(e->d_name, base ? base + 1 : path, p))
			host.nprocesses++;
	}
	closedir(dir);
	if (host.nprocesses)
		qsort(host.processes, host.nprocesses, sizeof *host.processes, by_pid);
}

/* What has been forked to become the server is named as the reaper for a moment,
 * but leads nothing. */
static bool is_reaper(const struct process *p)
{
	return p->program_ino && p->leader == p->pid &&
	       (strcmp(p->name, NAME_REAPER) == 0 || strcmp(p->name, NAME_ENDING) == 0);
}

/* Whether P is a process of ours that a session is known by; if so, fills S. */
static bool stands_for_session(struct process *p, struct session *s)
{
	struct process *parent = process_of(p->parent);

	*s = (struct session){.top = p, .state = "ending"};
	if (is_reaper(p)) {
		if (parent && parent->program_ino == p->program_ino &&
		    parent->program_dev == p->program_dev && !is_reaper(parent))
			s->shim = parent;
		if (s->shim && strcmp(p->name, NAME_REAPER) == 0)
			s->state = "running";
		return true;
	}
	if (p->program_ino && strcmp(p->name, NAME_IDLE) == 0)
		s->state = "idle-stopped";
	else if (!p->program_ino || strcmp(p->name, NAME_SWEEP) != 0)
		return false;
	s->shim = p;
	return true;
}

/* Adds P to the sessions that it is in: a shim of its own, and where else those
 * who started it belong. */
static void count_process(const struct process *p)
{
	const struct process *up = p;
	int64_t memory = -1;

	/* Parents that were read at different times could make a ring. */
	for (size_t steps = 0; up && steps < host.nprocesses; steps++) {
		struct session *s = up->below ? up->below : up == p ? up->leads : NULL;
		if (s && memory < 0) {
			memory = memory_of(p->pid) * 1024;
			host.in_sessions++;
			host.memory += memory;
		}
		if (s) {
			s->processes++;
			s->memory += memory;
		}
		up = process_of(up->parent);
	}
}

static int by_memory(const void *a, const void *b)
{
	int64_t difference =
		((const struct session *)b)->memory - ((const struct session *)a)->memory;

	return difference < 0 ? -1 : difference > 0;
}

static void find_sessions(void)
{
	find_processes();
	host.sessions = calloc(host.nprocesses + 1, sizeof *host.sessions);
	if (!host.sessions)
		fail("memory");
	for (size_t i = 0; i < host.nprocesses; i++) {
		struct session *s = &host.sessions[host.nsessions];
		if (!stands_for_session(&host.processes[i], s))
			continue;
		host.nsessions++;
		s->top->below = s;
		if (s->shim)
			s->shim->leads = s;
	}
	for (size_t i = 0; i < host.nprocesses; i++)
		count_process(&host.processes[i]);
	qsort(host.sessions, host.nsessions, sizeof *host.sessions, by_memory);
}

/* Adds the command that the session of P runs: what follows our own options. */
static void add_command(struct text *t, const struct process *p)
{
	char path[32], words[16384], *argv[256];
	int argc = 0;

	snprintf(path, sizeof path, "/proc/%d/cmdline", (int)p->pid);
	ssize_t length = read_file(path, words, sizeof words);
	for (char *w = words; w < words + length && argc < 255; w += strlen(w) + 1)
		argv[argc++] = w;
	argv[argc] = NULL;
	optind = 0; /* anew */
	while (getopt_long(argc, argv, short_options, long_options, NULL) != -1)
		;
	for (int i = optind; i < argc; i++) {
		if (i > optind)
			add(t, opt.json ? "," : " ", 1);
		if (opt.json)
			add_json(t, argv[i], strlen(argv[i]));
		else
			add(t, argv[i], strlen(argv[i]));
	}
}

/* Adds a time as two units at most. */
static void add_age(struct text *t, int64_t seconds)
{
	int days = (int)(seconds / 86400), rest = (int)(seconds % 86400);

	if (days)
		addf(t, " %4dd%02dh", days, rest / 3600);
	else if (rest >= 3600)
		addf(t, " %4dh%02dm", rest / 3600, rest / 60 % 60);
	else if (rest >= 60)
		addf(t, " %4dm%02ds", rest / 60, rest % 60);
	else
		addf(t, " %7ds", rest);
}

/* Adds what --list says about S. */
static void add_session(struct text *t, const struct session *s)
{
	const struct process *p = s->shim ? s->shim : s->top;
	/* Init, or another subreaper, is no client. */
	const struct process *client = s->shim ? process_of(s->shim->parent) : NULL;
	struct timespec t_boot;

	clock_gettime(CLOCK_BOOTTIME, &t_boot);
	int64_t age = t_boot.tv_sec - (int64_t)(p->start / (unsigned long)sysconf(_SC_CLK_TCK));
	if (opt.json) {
		addf(t, "{\"pid\":%d,\"client\":", (int)p->pid);
		if (client) {
			addf(t, "{\"pid\":%d,\"name\":", (int)client->pid);
			add_json(t, client->name, strlen(client->name));
			add(t, "}", 1);
		} else {
			add(t, "null", 4);
		}
		addf(t,
		     ",\"age\":%lld,\"state\":\"%s\",\"processes\":%zu,\"memory\":%lld,\"command\":"
		     "[",
		     (long long)age, s->state, s->processes, (long long)s->memory);
		add_command(t, p);
		add(t, "]}", 2);
		return;
	}
	char name[32] = "-";
	if (client)
		snprintf(name, sizeof name, "%s(%d)", client->name, (int)client->pid);
	addf(t, "%7d  %-22s", (int)p->pid, name);
	add_age(t, age);
	addf(t, "  %-12s %5zu %8.1f MiB  ", s->state, s->processes, (double)s->memory / 1048576);
	add_command(t, p);
	defuse(t->bytes, t->length);
	add(t, "\n", 1);
}

/* Inlined into main, its variables would cost every session's stack some pages. */
__attribute__((noreturn, noinline)) static void list_sessions(void)
{
	struct text t = {map_memory(RECORD, MAP_PRIVATE), RECORD, 0};

	find_sessions();
	if (opt.json)
		print("{\"sessions\":[");
	else if (host.nsessions)
		print("    PID  CLIENT                      AGE  STATE        PROCS       MEMORY  "
		      "COMMAND\n");
	for (size_t i = 0; i < host.nsessions; i++) {
		t.length = 0;
		if (opt.json && i > 0)
			add(&t, ",", 1);
		add_session(&t, &host.sessions[i]);
		print("%.*s", (int)t.length, t.bytes);
	}
	if (opt.json)
		print("],\"processes\":%zu,\"memory\":%lld}\n", host.in_sessions,
		      (long long)host.memory);
	else
		print("%zu session%s, %zu process%s, %.1f MiB\n", host.nsessions,
		      host.nsessions == 1 ? "" : "s", host.in_sessions,
		      host.in_sessions == 1 ? "" : "es", (double)host.memory / 1048576);
	exit(0);
}

/* ---- Main --------------------------------------------------------------- */

#define OPTIONS_VARIABLE "MCP_REAP_OPTIONS"

/* Where the options that are parsed come from. */
static enum { FROM_COMMAND_LINE, FROM_VARIABLE } source;

/* Exits with a complaint about the options. */
__attribute__((noreturn, format(printf, 1, 2))) static void refuse(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(source == FROM_VARIABLE ? "mcp-reap: " OPTIONS_VARIABLE ": " : "mcp-reap: ", format,
	    args);
	va_end(args);
	exit(EXIT_OURS);
}

static int64_t parse_duration(const char *option, const char *value)
{
	static const struct {
		const char *name;
		double ms;
	} units[] = {{"", 1e3}, {"ms", 1}, {"s", 1e3}, {"m", 60e3}, {"h", 3600e3}, {"d", 86400e3}};
	const double most = 1e15; /* ms: 31,000 years, and far from overflow */
	const char *unit = value;
	double number = 0, divisor = 0; /* 0: no point yet */
	bool any = false;

	/* strtod(3) takes blanks, signs, hex, inf and nan as well, and is a tenth
	 * of a static binary. */
	for (; isdigit((unsigned char)*unit) || (*unit == '.' && divisor == 0); unit++) {
		if (*unit == '.') {
			divisor = 1;
			continue;
		}
		any = true;
		number = number * 10 + (*unit - '0');
		divisor *= 10;
	}
	for (size_t i = 0; any && i < sizeof units / sizeof *units; i++) {
		double ms = number * units[i].ms / (divisor > 0 ? divisor : 1);
		if (strcmp(unit, units[i].name) == 0 && ms <= most) {
			int64_t whole = (int64_t)ms;
			return whole + ((double)whole < ms); /* never less than asked */
		}
	}
	refuse("--%s: '%s': not a duration", option, value);
}

/* Whether VALUE, which OPTION need not have, asks for JSON. */
static bool parse_format(const char *option, const char *value)
{
	if (value && strcmp(value, "json") != 0)
		refuse("--%s: '%s': not a format; there is json", option, value);
	return value != NULL;
}

__attribute__((noreturn)) static void print_and_exit(const char *text)
{
	print("%s", text);
	exit(0);
}

/* Parses what precedes the first word that is no option; optind is its index. */
static void parse_words(int argc, char **argv)
{
	static char none[1];

	opterr = 0;
	optind = 0; /* glibc, musl: begin anew */
	for (int c;;) {
		optarg = none; /* or musl leaves the last one's */
		c = getopt_long(argc, argv, short_options, long_options, NULL);
		if (c == -1)
			return;
		if (source == FROM_VARIABLE && (c == 'L' || c == 'h' || c == 'V'))
			refuse("%s: not for every session", argv[optind - 1]);
		switch (c) {
		case 'g':
			opt.grace = parse_duration("grace", optarg);
			break;
		case 'k':
			opt.kill_after = parse_duration("kill-after", optarg);
			break;
		case 'i':
			opt.idle_stop = parse_duration("idle-stop", optarg);
			break;
		case 'l':
			opt.drop_launcher = true;
			break;
		case 'j':
			opt.json_only = true;
			break;
		case 'x':
			opt.no_new_privs = true;
			break;
		case 'o':
			opt.outlive_parent = true;
			break;
		case 'v':
			opt.verbose = true;
			break;
		case 's':
			opt.stats = true;
			opt.json = parse_format("stats", optarg == none ? NULL : optarg);
			break;
		case 't':
			if (!*optarg)
				refuse("--trace: '': not a file");
			opt.trace = optarg;
			break;
		case 'L':
			opt.list = true;
			opt.json = parse_format("list", optarg == none ? NULL : optarg);
			break;
		case 'h':
			print_and_exit(usage);
		case 'V':
			print_and_exit("mcp-reap " VERSION "\n");
		default:
			/* A long option unknown, or with a value that it does not
			 * take, leaves optopt 0 or its letter. */
			if (c == ':')
				refuse("%s: its value is missing", argv[optind - 1]);
			if (optopt && strncmp(argv[optind - 1], "--", 2) != 0)
				refuse("-%c: unknown option; try 'mcp-reap --help'", optopt);
			refuse("%s: unknown option; try 'mcp-reap --help'", argv[optind - 1]);
		}
	}
}

/*
 * Splits TEXT, in its own memory, into words as the shell does: at blanks, but
 * for what is quoted by ', " or \.  Nothing is expanded.  Returns how many words
 * there are in WORDS, for which TEXT's length is enough.
 */
static int split(char *text, char **words)
{
	char *to = text, quote = '\0';
	bool within = false;
	int n = 0;

	for (const char *from = text; *from; from++) {
		if (!quote && strchr(" \t\n", *from)) {
			if (within)
				*to++ = '\0';
			within = false;
			continue;
		}
		if (!within)
			words[n++] = to;
		within = true;
		if (quote && *from == quote) {
			quote = '\0';
		} else if (!quote && (*from == '\'' || *from == '"')) {
			quote = *from;
		} else if (*from == '\\' &&
			   (!quote || (quote == '"' && from[1] && strchr("\"\\$`", from[1])))) {
			if (!*++from)
				refuse("ends in a backslash");
			*to++ = *from;
		} else {
			*to++ = *from;
		}
	}
	if (quote)
		refuse("%c: is not closed", quote);
	*to = '\0';
	return n;
}

/* The options for a client whose configuration cannot be changed.  They are no
 * business of the server's, which may run mcp-reap as well. */
static void parse_variable(char *program)
{
	const char *value = getenv(OPTIONS_VARIABLE);
	if (!value)
		return;
	static char *text; /* for as long as we live: options point into it */
	text = strdup(value);
	char **words = calloc(strlen(value) + 2, sizeof *words);
	if (!text || !words)
		fail("memory");
	unsetenv(OPTIONS_VARIABLE);
	source = FROM_VARIABLE;
	words[0] = program;
	int n = 1 + split(text, words + 1);
	parse_words(n, words);
	if (optind < n)
		refuse("%s: not an option", words[optind]);
	free((void *)words);
	source = FROM_COMMAND_LINE;
}

/* Returns COMMAND and its arguments. */
static char **parse_options(int argc, char **argv)
{
	parse_variable(*argv);
	parse_words(argc, argv);
	if (opt.list && optind < argc)
		refuse("%s: --list takes no command", argv[optind]);
	if (optind == argc && !opt.list)
		refuse("command: missing; try 'mcp-reap --help'");
	return argv + optind;
}

/* Descriptors 0, 1 and 2 that are closed would be taken by our pipes.  For the
 * server, 2 is closed again: O_CLOEXEC. */
static void reserve_stdio(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR | O_CLOEXEC) < 0)
			fail("/dev/null");
}

/*
 * Blocks the signals that we read from the signalfd returned.  SIGTTIN and
 * SIGTTOU keep their ways with a job in the background.  SIGPIPE and SIGXFSZ
 * stay blocked and unread: write's EPIPE and EFBIG do.
 */
static int take_signals(void)
{
	sigset_t set;
	struct sigaction hup;

	sigemptyset(&ending_signals);
	sigaddset(&ending_signals, SIGINT);
	sigaddset(&ending_signals, SIGQUIT);
	sigaddset(&ending_signals, SIGTERM);
	/* Ignored SIGINT and SIGQUIT are no wish of anybody's: a shell without
	 * job control ignores them for whatever it starts with '&'. */
	if (sigaction(SIGHUP, NULL, &hup) == 0 && hup.sa_handler != SIG_IGN)
		sigaddset(&ending_signals, SIGHUP);

	/* Inherited as ignored, it would leave nobody to be waited for. */
	sigaction(SIGCHLD, &(struct sigaction){.sa_handler = SIG_DFL}, &inherited_signals.chld);

	sigfillset(&set);
	sigdelset(&set, SIGTTIN);
	sigdelset(&set, SIGTTOU);
	sigprocmask(SIG_SETMASK, &set, &inherited_signals.mask);
	sigdelset(&set, SIGPIPE);
	sigdelset(&set, SIGXFSZ);
	if (!sigismember(&ending_signals, SIGHUP))
		sigdelset(&set, SIGHUP);
	int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (fd < 0)
		fail("signalfd");
	return fd;
}

/* The client's pidfd, -1 if there is none. */
static int pidfd_of_client(const struct shim *s)
{
	int client = s->client ? pidfd_open_of(s->client) : -1;

	/* Still our parent, it was not recycled when the pidfd was opened. */
	if (client >= 0 && getppid() != s->client)
		shut(&client);
	return client;
}

/*
 * Finds the client.  SIGCONT for its death wakes us should we be stopped then,
 * and does no harm when it comes for nothing.  Returns its pidfd for the reaper
 * to watch, -1 if there is none.
 */
static int watch_client(struct shim *s)
{
	if (opt.outlive_parent)
		return -1;
	prctl(PR_SET_PDEATHSIG, SIGCONT);
	s->client = getppid();
	int client = pidfd_of_client(s);
	if (getppid() != s->client) {
		complain("client: died before the session began");
		exit(EXIT_OURS);
	}
	return client;
}

static void make_pipes(struct pipes *p)
{
	if (pipe2(p->control, O_CLOEXEC) < 0 || pipe2(p->input, O_CLOEXEC) < 0 ||
	    pipe2(p->output, O_CLOEXEC) < 0)
		fail("pipe");
}

static int final_status(const struct shim *s)
{
	return s->relay_failed ? EXIT_OURS : s->status;
}

/* Makes what a client sees of us what it would see of the server: a Ctrl-C
 * ends the script around it only if we died of it, as bash(1) waits. */
__attribute__((noreturn)) static void leave(const struct shim *s)
{
	int status = final_status(s);
	sigset_t interrupt;

	if (s->interrupted && status == 128 + SIGINT) {
		sigemptyset(&interrupt);
		sigaddset(&interrupt, SIGINT);
		signal(SIGINT, SIG_DFL);
		raise(SIGINT);
		sigprocmask(SIG_UNBLOCK, &interrupt, NULL);
	}
	exit(status);
}

/* All the memory that we may come to need: an ending must not depend on some
 * being left then.  Pages cost nothing until they are used. */
struct memory {
	struct buffer buffers[BUFFERS];
	struct notes notes;
	alignas(4096) struct talk talk;
	alignas(4096) pid_t found[FOUND_MAX];
};

static struct memory *reserve_memory(void)
{
	struct memory *m = mmap(NULL, sizeof *m, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (m == MAP_FAILED)
		fail("memory");
	return m;
}

/* Runs COMMAND below a reaper, with new pipes.  CLIENT is a pidfd, or -1. */
static void start_server(struct shim *s, int client)
{
	struct pipes pipes;

	make_pipes(&pipes);
	s->status = EXIT_OURS;
	s->over = 0;
	s->server_spoke = s->server_sent_message = false;
	s->reaper = _Fork();
	if (s->reaper < 0)
		fail("fork");
	if (s->reaper == 0)
		be_reaper(session_command, &pipes, s->signals, client);
	event("start shim=%d reaper=%d client=%d command=%s", (int)shim_pid, (int)s->reaper,
	      (int)s->client, quoted(*session_command));

	s->control = pipes.control[1];
	s->in.out = server_end(pipes.input[1]);
	s->out.in = server_end(pipes.output[0]);
	s->out.look = NULL;
	if (opt.idle_stop >= 0 || opt.drop_launcher || opt.json_only) {
		s->out.look = look_at_output;
		talk->awaited = KEPT_LINES;
		talk->to_stderr.fd = STDERR_FILENO; /* given up behind the last server, perhaps */
	}
	s->out.splice = !s->out.look && !shared && is_pipe(s->out.out.fd);
	fcntl(s->control, F_SETFL, O_NONBLOCK);
	shut(&client);
	shut(&pipes.control[0]);
	shut(&pipes.input[0]);
	shut(&pipes.output[1]);
}

int main(int argc, char **argv)
{
	struct shim s = {.status = EXIT_OURS};

	session_start = now();
	session_command = parse_options(argc, argv);
	if (opt.list && fcntl(STDOUT_FILENO, F_GETFD) < 0)
		fail("stdout"); /* not for /dev/null to take */
	reserve_stdio();
	if (opt.list)
		list_sessions();
	struct memory *memory = reserve_memory();
	found = memory->found;
	buffers = memory->buffers;
	notes = &memory->notes;
	talk = &memory->talk;
	dl_iterate_phdr(note_text, NULL);
	shim_pid = getpid();
	begin_watching(&s.from_client, &s.from_server);
	s.signals = take_signals();
	int client = watch_client(&s);
	if (waitid(P_ALL, 0, &(siginfo_t){0}, WEXITED | WNOHANG | WNOWAIT) == 0)
		note_inherited_children(0); /* rare: most often it is ECHILD */
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		fail("subreaper");

	s.in.in.fd = STDIN_FILENO;
	/* What a pty's master controls is another session. */
	s.terminal = isatty(STDIN_FILENO) && tcgetsid(STDIN_FILENO) == getsid(0);
	s.out.out.fd = STDOUT_FILENO;
	s.in.watch = shared ? &s.from_client : NULL;
	s.out.watch = shared ? &s.from_server : NULL;
	start_server(&s, client);

	/* What else the client handed down may be other servers' pipes, whose
	 * end-of-file we would hold back. */
	if (opt.idle_stop >= 0)
		kept_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	int keep[] = {s.signals, s.control, s.in.out.fd, s.out.in.fd, kept_stderr, trace.fd};
	close_all_but(STDERR_FILENO + 1, keep, sizeof keep / sizeof *keep);
	s.in.splice = is_pipe(STDIN_FILENO) && opt.idle_stop < 0 && !shared;
	s.in.look = opt.idle_stop < 0 ? NULL : look_at_input;
	s.in.in = client_end(STDIN_FILENO, O_RDONLY);
	s.out.out = client_end(STDOUT_FILENO, O_WRONLY);
	if (opt.json_only)
		talk->to_stderr = stderr_end();
	else
		own_description(STDERR_FILENO, O_WRONLY);

	s.active = now();
	relay_session(&s);
	while (s.server == GOING_DOWN && may_start_again(&s) && sleep_until_message(&s)) {
		start_server(&s, pidfd_of_client(&s));
		restore(&s);
		relay_session(&s);
	}

	if (shared) {
		end_watch(&s.from_client);
		end_watch(&s.from_server);
	}
	event("done status=%d seconds=%.3f", final_status(&s),
	      (double)(now() - session_start) / 1000);
	say_stats(final_status(&s));
	leave(&s);
}
