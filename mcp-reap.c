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
 * not waited for cannot be recycled.  SIGKILL goes to our own children only;
 * their orphans become our own children; repeat until wait says ECHILD.
 *
 * Assumed of the kernel (Linux, with what happens where it is missing):
 *   3.4   PR_SET_CHILD_SUBREAPER, signalfd   exit 125
 *   3.17  /proc/thread-self/children         /proc/PID/stat of all is read
 *   5.3   pidfd_open                         PR_SET_PDEATHSIG stands alone
 *   5.9   close_range                        /proc/self/fd is read
 *         /proc of our own PID namespace     only the server's process group
 *                                            is signalled, and we say so
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
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
};

/* ---- Options ------------------------------------------------------------ */

static struct {
	int64_t grace;
	int64_t kill_after; /* -1: KILL_AFTER, or KILL_AFTER_SILENT */
	bool no_new_privs;
	bool outlive_parent;
	bool verbose;
} opt = {.grace = GRACE, .kill_after = -1};

static const char usage[] =
	"Usage: mcp-reap [OPTION]... [--] COMMAND [ARG]...\n"
	"Run COMMAND, a stdio server, and leave nothing of it behind when the session\n"
	"is over: when stdin ends, stdout is closed, the client dies, or COMMAND exits.\n"
	"\n"
	"  -g, --grace=DURATION       from the end of input to SIGTERM [2s]\n"
	"  -k, --kill-after=DURATION  from SIGTERM to SIGKILL\n"
	"                               [2s; 10s before COMMAND's first output]\n"
	"  -x, --no-new-privs         COMMAND cannot gain privileges (setuid)\n"
	"  -o, --outlive-parent       our parent may exit; only stdio and signals\n"
	"                               end the session\n"
	"  -v, --verbose              say on stderr what happens\n"
	"  -h, --help                 show this help and exit\n"
	"  -V, --version              show the version and exit\n"
	"\n"
	"DURATION is a number with an optional unit: ms, s (the default), m, h or d.\n"
	"Exit status: COMMAND's; 128+N if signal N ended it; 125 if mcp-reap failed,\n"
	"126 if COMMAND cannot be run, 127 if it is not found.\n";

/* clang-format off */
static const struct option long_options[] = {
	{"grace",          required_argument, NULL, 'g'},
	{"kill-after",     required_argument, NULL, 'k'},
	{"no-new-privs",   no_argument,       NULL, 'x'},
	{"outlive-parent", no_argument,       NULL, 'o'},
	{"verbose",        no_argument,       NULL, 'v'},
	{"help",           no_argument,       NULL, 'h'},
	{"version",        no_argument,       NULL, 'V'},
	{NULL,             0,                 NULL, 0},
};
/* clang-format on */

/* ---- Messages ----------------------------------------------------------- */

static pid_t shim_pid; /* names the session in the lines of both processes */

/*
 * Writes one line to stderr in one write, so that the lines of several
 * processes do not mix.  Names of files and processes are other people's: what
 * could move a terminal's cursor or begin a line becomes '?'.  A line that
 * cannot be written now is lost: nobody's stderr holds up an ending.
 */
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
	for (size_t i = 0; i < len; i++)
		if (iscntrl((unsigned char)line[i]))
			line[i] = '?';
	line[len++] = '\n';

	ssize_t sent = send(STDERR_FILENO, line, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent < 0 && errno == ENOTSOCK)
		sent = write(STDERR_FILENO, line, len);
	(void)sent;
}

/* An error: "mcp-reap: what: why". */
__attribute__((format(printf, 1, 2))) static void complain(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say("mcp-reap: ", format, args);
	va_end(args);
}

/* With -v, something that happened: "mcp-reap[SESSION]: event key=value ...". */
__attribute__((format(printf, 1, 2))) static void event(const char *format, ...)
{
	char prefix[32];
	va_list args;

	if (!opt.verbose)
		return;
	snprintf(prefix, sizeof prefix, "mcp-reap[%d]: ", (int)shim_pid);
	va_start(args, format);
	say(prefix, format, args);
	va_end(args);
}

__attribute__((noreturn)) static void fail(const char *what)
{
	complain("%s: %s", what, strerror(errno));
	exit(EXIT_OURS);
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
	dup3(own, fd, O_CLOEXEC);
	close(own);
	return true;
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

/* Reads the small file PATH as a string into BUF; returns whether it could. */
static bool read_small(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	ssize_t n = read(fd, buf, size - 1);
	close(fd);
	if (n < 0)
		return false;
	buf[n] = '\0';
	return true;
}

/* PID's parent, or -1. */
static pid_t parent_of(pid_t pid)
{
	char path[32], stat[512];
	int ppid;

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	if (!read_small(path, stat, sizeof stat))
		return -1;
	/* The second field is the command in parentheses, and may hold some. */
	char *after = strrchr(stat, ')');
	return after && sscanf(after, ") %*c %d", &ppid) == 1 ? ppid : -1;
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

/* Pushes PARENT's children.  Each thread has a list of its own. */
static void push_children(pid_t parent)
{
	char path[64];

	if (proc_kind() == PROC_STAT) {
		push_children_by_stat(parent);
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

/* Sends SIG, then SIGCONT (the stopped act on SIG only then), to PID by its
 * PIDFD, or by its number if that is -1.  Returns whether it took SIG. */
static bool signal_one(pid_t pid, int pidfd, int sig)
{
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
 * its number is known to stay (our own child).  Returns how many took it.
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
static size_t signal_below(pid_t parent, int parent_fd, int sig)
{
	size_t first = nfound, count = 0;

	push_children(parent);
	for (size_t i = first, last = nfound; i < last; i++) {
		pid_t child = found[i];
		int fd = pidfd_open_of(child);

		if (parent_of(child) == parent &&
		    (parent_fd < 0 || pidfd_signal(parent_fd, 0) == 0 || errno != ESRCH)) {
			count += signal_below(child, fd, sig);
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
		count += signal_below(found[i], -1, sig);
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
		if (kill(found[i], SIGKILL) == 0)
			count++;
		else /* it has changed its user, but what it started may not have */
			count += signal_below(found[i], -1, SIGKILL);
	}
	nfound = first;
	return count;
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

/* ---- Reaper ------------------------------------------------------------- */

/* What comes through the control pipe besides numbers of signals to pass on.
 * End-of-file there means: the shim is gone, end the session. */
enum { CONTROL_INPUT_ENDED = 100, CONTROL_SERVER_SPOKE = 101 };

/* The signals that end a session; without SIGHUP under nohup(1). */
static sigset_t ending_signals;

struct reaper {
	int control; /* -1: none (more) */
	int signals; /* a signalfd */
	int client;  /* a pidfd, the truth; -1: dead, unknown, none of our business */
	int shim;    /* a pidfd; -1: unknown */

	pid_t server; /* 0: reaped */
	int status;   /* the server's, once it is reaped */
	bool server_spoke;

	enum { RUNNING, ENDING, TERMINATING, KILLING } phase;
	int64_t deadline; /* of ENDING and TERMINATING */
	int64_t give_up;  /* KILLING: when to leave the unkillable; 0: not yet */
	sigset_t asked;   /* ending signals that the client sent */
	sigset_t sent;    /* ending signals that the tree got */
	bool client_died;
};

/* The end of input: the server has the grace to exit by itself. */
static void end_session(struct reaper *r)
{
	if (r->phase != RUNNING)
		return;
	r->phase = ENDING;
	r->deadline = now() + opt.grace;
	/* Stopped with its terminal's job, it could not see the end. */
	if (r->server)
		kill(-r->server, SIGCONT);
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
		/* The group's number stays while its leader is not reaped. */
		count = r->server && kill(-r->server, sig) == 0;
		if (r->server)
			kill(-r->server, SIGCONT);
		if (r->phase < TERMINATING)
			complain("/proc: not usable: what has left the server's process group "
				 "may be left running");
	}
	event("signal name=%s processes=%zu", signal_name(sig), count);
	if (r->phase >= TERMINATING)
		return;
	r->phase = TERMINATING;
	int64_t kill_after = r->server_spoke ? KILL_AFTER : KILL_AFTER_SILENT;
	r->deadline = now() + (opt.kill_after >= 0 ? opt.kill_after : kill_after);
}

/* The rounds that follow find each level of a tree by the death of the one
 * above; the walk is for those of many levels. */
static void begin_killing(struct reaper *r)
{
	r->phase = KILLING;
	if (proc_kind() == PROC_CHILDREN)
		signal_tree(SIGKILL);
	else if (proc_kind() == PROC_NONE && r->server)
		kill(-r->server, SIGKILL);
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
		/* The group's number stays while its leader is not reaped.  Job
		 * control is for all of the group, as a terminal does it. */
		if (r->server)
			kill(sig == SIGTSTP || sig == SIGCONT ? -r->server : r->server, sig);
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

static void read_control(struct reaper *r)
{
	unsigned char bytes[64];
	ssize_t n = read(r->control, bytes, sizeof bytes);

	if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN)) {
		shut(&r->control);
		if (r->phase == RUNNING)
			event("end reason=shim-died");
		end_session(r);
	}
	for (ssize_t i = 0; i < n; i++) {
		if (bytes[i] == CONTROL_INPUT_ENDED)
			end_session(r);
		else if (bytes[i] == CONTROL_SERVER_SPOKE)
			r->server_spoke = true;
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

static int exit_status(const siginfo_t *dead)
{
	return dead->si_code == CLD_EXITED ? dead->si_status : 128 + dead->si_status;
}

static void report_death(const siginfo_t *dead)
{
	int pid = (int)dead->si_pid;

	if (dead->si_code == CLD_EXITED)
		event("reaped pid=%d command=%s exit=%d", pid, command_of(pid), dead->si_status);
	else
		event("reaped pid=%d command=%s signal=%s", pid, command_of(pid),
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
		if (opt.verbose)
			report_death(&dead);
		if (dead.si_pid == r->server) {
			/* Once reaped, its group's number could be anyone's. */
			if (proc_kind() == PROC_NONE)
				kill(-r->server, SIGKILL);
			r->server = 0;
			r->status = exit_status(&dead);
		}
		waitpid(dead.si_pid, NULL, 0);
		forget_inherited(dead.si_pid);
	}
	if (ninherited == 0)
		return true;
	push_own_children();
	bool left = nfound > ninherited;
	nfound = ninherited;
	return left;
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
			if (r->phase == RUNNING)
				event("end reason=server-exited");
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
	prctl(PR_SET_NAME, "mcp-reap-reaper");
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
	int keep[] = {STDERR_FILENO, p->control[0], signals, client, shim};
	close_all_but(0, keep, sizeof keep / sizeof *keep);
	own_description(STDERR_FILENO, O_WRONLY);

	struct reaper r = {
		.control = p->control[0],
		.signals = signals,
		.client = client,
		.shim = shim,
		.server = server,
		.status = EXIT_OURS,
	};
	sigemptyset(&r.asked);
	sigemptyset(&r.sent);
	reap_tree(&r);

	/* Stopped after our first SIGCONT, it would stay so for ever. */
	if (r.client_died)
		nudge_shim(&r);
	_exit(r.status);
}

/* ---- Relay -------------------------------------------------------------- */

enum {
	CHUNK = 65536, /* bytes: a pipe's capacity */
	TURN = 16,     /* chunks, before the other direction gets its turn */
	KEPT = 4096,   /* bytes: not worth giving back, nor a splice */
	MOMENT = 100,  /* ms, after which a large message is over */
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
 * while it holds bytes, so most often both use the first, and one page of it.
 */
struct buffer {
	char *bytes; /* CHUNK of them, in the memory that main reserves */
	size_t touched;
	bool in_use;
};

static struct buffer buffers[2]; /* one a lane, at most */

struct lane {
	struct end in, out;
	bool splice;           /* both are pipes */
	bool large;            /* so was the last step, and splice(2) pays */
	bool full;             /* wait for out, not for in */
	struct buffer *buffer; /* NULL: holds nothing */
	size_t start, end;     /* what in buffer is still to be written */
};

static void hold_buffer(struct lane *l)
{
	l->buffer = buffers[0].in_use ? &buffers[1] : &buffers[0];
	l->buffer->in_use = true;
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
	for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++) {
		if (!worth_giving_back(&buffers[i]))
			continue;
		madvise(buffers[i].bytes, CHUNK, MADV_DONTNEED);
		buffers[i].touched = 0;
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

/* One read into the empty lane's buffer. */
static enum flow fill(struct lane *l)
{
	/* Small messages are copied even from pipe to pipe: it takes less time. */
	size_t most = l->splice ? KEPT : CHUNK;

	hold_buffer(l);
	ssize_t n = take(&l->in, l->buffer->bytes, most);
	if (n <= 0) {
		release_buffer(l);
		l->full = false;
		if (n == 0)
			errno = 0;
		return n < 0 && (errno == EAGAIN || errno == EINTR) ? FLOW_WAIT : FLOW_IN_ENDED;
	}
	l->start = 0;
	l->end = (size_t)n;
	l->large = l->end == most;
	if (l->buffer->touched < l->end)
		l->buffer->touched = l->end;
	return FLOW_MORE;
}

/* One write, after a read if the lane is empty.  To a closed out, bytes are lost
 * as they are in a pipe that nobody reads to its end. */
static enum flow copy_step(struct lane *l)
{
	if (!l->buffer) {
		enum flow flow = fill(l);
		if (flow != FLOW_MORE)
			return flow;
	}
	if (l->out.fd < 0) {
		release_buffer(l);
		return FLOW_MORE;
	}
	ssize_t n = give(&l->out, l->buffer->bytes + l->start, l->end - l->start);
	if (n < 0) {
		l->full = true;
		return errno == EAGAIN || errno == EINTR ? FLOW_WAIT : FLOW_OUT_CLOSED;
	}
	l->start += (size_t)n;
	l->full = l->start < l->end; /* a turn may end here */
	if (l->full)
		return FLOW_MORE;
	release_buffer(l);
	return l->large ? FLOW_MORE : FLOW_WAIT;
}

/* Moves what can be moved without waiting, for one turn. */
static enum flow pump(struct lane *l)
{
	enum flow flow = FLOW_MORE;

	for (int i = 0; i < TURN && flow == FLOW_MORE; i++)
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

/* The server's end FD of a lane: a pipe of ours. */
static struct end server_end(int fd)
{
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return (struct end){fd, NONBLOCKING};
}

/* ---- Shim --------------------------------------------------------------- */

struct shim {
	struct lane in;  /* client to server */
	struct lane out; /* server to client */
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

/* Passes on what the client has sent, as far as the server's pipe takes it, and
 * closes the server's stdin. */
static void finish_input(struct shim *s)
{
	for (int i = 0; i < TURN && s->in.in.fd >= 0 && s->in.out.fd >= 0; i++)
		if (pump(&s->in) >= FLOW_IN_ENDED || s->in.full || !ready(s->in.in.fd, POLLIN))
			break;
	shut(&s->in.in.fd);
	shut(&s->in.out.fd);
}

/* Ends the session as by the end of input. */
static void end(struct shim *s)
{
	finish_input(s);
	if (!tell(s, CONTROL_INPUT_ENDED))
		shut(&s->control); /* the end-of-file will do */
	if (!s->over)
		s->over = now();
}

static void say_reason(const struct shim *s, const char *reason, const char *detail)
{
	if (!s->over && !s->input_ended && s->reaper)
		event("end reason=%s%s", reason, detail);
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

static void pump_input(struct shim *s)
{
	switch (pump(&s->in)) {
	case FLOW_IN_ENDED:
		/* EIO: the terminal has hung up.  ECONNRESET: the socket. */
		if (errno && errno != EIO && errno != ECONNRESET) {
			complain("stdin: %s", strerror(errno));
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
		shut(&s->out.out.fd);
		break;
	case FLOW_OUT_CLOSED:
		lose_output(s);
		break;
	case FLOW_MORE:
		break;
	case FLOW_WAIT:
		/* Someone outside of the tree may hold the pipe open. */
		if (!s->reaper && !s->out.full && !ready(s->out.in.fd, POLLIN))
			shut(&s->out.in.fd);
		break;
	}
}

/* What to do about poll(2)'s events at the two ends of a lane: a hang-up of an
 * end that is not waited for is news, too. */
static void relay_input(struct shim *s, int in, int out)
{
	if (s->in.full && in)
		note_input_ended(s);
	if (s->in.full ? out : in)
		pump_input(s);
}

static void relay_output(struct shim *s, int in, int out)
{
	if (in & POLLIN && !s->server_spoke) {
		s->server_spoke = true;
		tell(s, CONTROL_SERVER_SPOKE);
	}
	if (out & (POLLERR | POLLHUP | POLLNVAL)) {
		errno = EPIPE;
		lose_output(s);
	} else if (in || out) {
		pump_output(s);
	}
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

	sigemptyset(&r.asked);
	sigemptyset(&r.sent);
	finish_input(s);
	reap_tree(&r);
}

static void lose_reaper(struct shim *s, int status)
{
	s->reaper = 0;
	if (WIFEXITED(status)) {
		s->status = WEXITSTATUS(status);
		/* That late it was not by itself. */
		if (s->over && now() >= s->over + opt.grace)
			s->forced = true;
	} else {
		complain("reaper: killed by signal %s", signal_name(WTERMSIG(status)));
		s->status = EXIT_OURS;
		s->forced = true;
		sweep(s);
	}
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

/*
 * Ctrl-Z: stops the server's process group, then us as SIGTSTP does by default,
 * and lets the server go on after fg.  Why we cannot sleep through the client's
 * death: one before raise() is seen by the look behind it; one after that sends
 * SIGCONT, which discards the pending SIGTSTP or ends the stop.
 */
static void suspend(struct shim *s)
{
	const struct timespec at_once = {0, 0};
	const struct signalfd_siginfo no_cont = {.ssi_pid = 1};
	sigset_t tstp;

	sigemptyset(&tstp);
	sigaddset(&tstp, SIGTSTP);
	tell(s, SIGTSTP);
	raise(SIGTSTP);
	if (client_is_dead(s, &no_cont)) {
		sigtimedwait(&tstp, NULL, &at_once);
		lose_client(s);
		return;
	}
	sigprocmask(SIG_UNBLOCK, &tstp, NULL); /* here we stop */
	sigprocmask(SIG_BLOCK, &tstp, NULL);
	tell(s, SIGCONT);
}

/* Passes SIG on, and ends the session.  The server's stdin stays open until the
 * reaper says that the server has got SIG: the end of input must not be faster,
 * or it could exit as if nothing had happened. */
static void end_by_signal(struct shim *s, const struct signalfd_siginfo *info)
{
	int sig = (int)info->ssi_signo;

	if (!s->reaper) { /* it is only output that nobody takes */
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
			else if (s->over)
				finish_input(s);
		} else if (sig == SIGTSTP) {
			suspend(s);
		} else if (sigismember(&ending_signals, sig)) {
			end_by_signal(s, &info);
		} else {
			tell(s, sig);
		}
	}
}

/* poll(2)'s timeout: none while nothing ends, but for one after a large message. */
static int shim_timeout(const struct shim *s)
{
	if (!s->reaper && s->forced)
		return until(s->progress + STUCK_MAX);
	if (s->input_ended && !s->over)
		return s->unread_poll;
	if (worth_giving_back(&buffers[0]) || worth_giving_back(&buffers[1]))
		return MOMENT;
	return -1;
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
			[IN_IN] = watched(&s->in.in, !s->in.full, POLLIN),
			[IN_OUT] = watched(&s->in.out, s->in.full, POLLOUT),
			[OUT_IN] = watched(&s->out.in, !s->out.full, POLLIN),
			[OUT_OUT] = watched(&s->out.out, s->out.full, POLLOUT),
		};
		/* A hang-up that is known, or will be when its turn comes, must
		 * not wake us again and again. */
		fds[IN_IN].events |= POLLRDHUP;
		if (s->in.full && s->input_ended)
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

		if (s->out.in.fd >= 0)
			relay_output(s, fds[OUT_IN].revents, fds[OUT_OUT].revents);
		if (s->in.in.fd >= 0)
			relay_input(s, fds[IN_IN].revents, fds[IN_OUT].revents);
		if (fds[SIGNALS].revents)
			read_shim_signals(s);

		if (s->input_ended && !s->over)
			await_reading(s);
		if (!s->reaper && s->forced && now() >= s->progress + STUCK_MAX)
			break;
	}
}

/* ---- Main --------------------------------------------------------------- */

/* Exits with a complaint about the VALUE of OPTION. */
static int64_t parse_duration(const char *option, const char *value)
{
	static const struct {
		const char *name;
		double ms;
	} units[] = {{"", 1e3}, {"ms", 1}, {"s", 1e3}, {"m", 60e3}, {"h", 3600e3}, {"d", 86400e3}};
	const double most = 1e15; /* ms: 31,000 years, and far from overflow */
	char *unit = NULL;
	double number = -1;

	/* strtod(3) takes blanks, signs, hex, inf and nan as well. */
	if ((isdigit((unsigned char)*value) || *value == '.') && !strpbrk(value, "xX"))
		number = strtod(value, &unit);
	for (size_t i = 0; unit && unit != value && i < sizeof units / sizeof *units; i++) {
		double ms = number * units[i].ms;
		if (strcmp(unit, units[i].name) == 0 && ms <= most) {
			int64_t whole = (int64_t)ms;
			return whole + ((double)whole < ms); /* never less than asked */
		}
	}
	complain("--%s: '%s': not a duration", option, value);
	exit(EXIT_OURS);
}

__attribute__((noreturn)) static void print_and_exit(const char *text)
{
	if (fputs(text, stdout) < 0 || fflush(stdout) != 0)
		fail("stdout");
	exit(0);
}

/* Returns COMMAND and its arguments. */
static char **parse_options(int argc, char **argv)
{
	opterr = 0;
	for (int c; (c = getopt_long(argc, argv, "+:g:k:xovhV", long_options, NULL)) != -1;) {
		switch (c) {
		case 'g':
			opt.grace = parse_duration("grace", optarg);
			break;
		case 'k':
			opt.kill_after = parse_duration("kill-after", optarg);
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
		case 'h':
			print_and_exit(usage);
		case 'V':
			print_and_exit("mcp-reap " VERSION "\n");
		default:
			/* A long option unknown, or with a value that it does not
			 * take, leaves optopt 0 or its letter. */
			if (c == ':')
				complain("%s: a duration is missing", argv[optind - 1]);
			else if (optopt && strncmp(argv[optind - 1], "--", 2) != 0)
				complain("-%c: unknown option; try 'mcp-reap --help'", optopt);
			else
				complain("%s: unknown option; try 'mcp-reap --help'",
					 argv[optind - 1]);
			exit(EXIT_OURS);
		}
	}
	if (optind == argc) {
		complain("command: missing; try 'mcp-reap --help'");
		exit(EXIT_OURS);
	}
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

/*
 * Finds the client.  SIGCONT for its death wakes us should we be stopped then,
 * and does no harm when it comes for nothing.  Returns its pidfd for the reaper
 * to watch, -1 if there is none.
 */
static int watch_client(struct shim *s)
{
	int client = -1;

	if (opt.outlive_parent)
		return -1;
	prctl(PR_SET_PDEATHSIG, SIGCONT);
	s->client = getppid();
	if (s->client != 0)
		client = pidfd_open_of(s->client);
	/* Still our parent, it was not recycled when the pidfd was opened. */
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

/* Makes what a client sees of us what it would see of the server: a Ctrl-C
 * ends the script around it only if we died of it, as bash(1) waits. */
__attribute__((noreturn)) static void leave(const struct shim *s)
{
	int status = s->relay_failed ? EXIT_OURS : s->status;
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
	char buffers[2][CHUNK];
	pid_t found[FOUND_MAX];
};

static struct memory *reserve_memory(void)
{
	struct memory *m = mmap(NULL, sizeof *m, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (m == MAP_FAILED)
		fail("memory");
	return m;
}

int main(int argc, char **argv)
{
	struct shim s = {.status = EXIT_OURS};
	struct pipes pipes;
	int64_t start = now();

	char **command = parse_options(argc, argv);
	reserve_stdio();
	struct memory *memory = reserve_memory();
	found = memory->found;
	buffers[0].bytes = memory->buffers[0];
	buffers[1].bytes = memory->buffers[1];
	shim_pid = getpid();
	s.signals = take_signals();
	int client = watch_client(&s);
	if (waitid(P_ALL, 0, &(siginfo_t){0}, WEXITED | WNOHANG | WNOWAIT) == 0)
		note_inherited_children(0); /* rare: most often it is ECHILD */
	make_pipes(&pipes);
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		fail("subreaper");

	s.reaper = _Fork();
	if (s.reaper < 0)
		fail("fork");
	if (s.reaper == 0)
		be_reaper(command, &pipes, s.signals, client);
	event("start shim=%d reaper=%d client=%d command=%s", (int)shim_pid, (int)s.reaper,
	      (int)s.client, *command);

	/* What else the client handed down may be other servers' pipes, whose
	 * end-of-file we would hold back. */
	s.control = pipes.control[1];
	int keep[] = {s.signals, s.control, pipes.input[1], pipes.output[0]};
	close_all_but(STDERR_FILENO + 1, keep, sizeof keep / sizeof *keep);
	fcntl(s.control, F_SETFL, O_NONBLOCK);

	s.in = (struct lane){
		.in = client_end(STDIN_FILENO, O_RDONLY),
		.out = server_end(pipes.input[1]),
		.splice = is_pipe(STDIN_FILENO),
	};
	s.out = (struct lane){
		.in = server_end(pipes.output[0]),
		.out = client_end(STDOUT_FILENO, O_WRONLY),
		.splice = is_pipe(STDOUT_FILENO),
	};
	own_description(STDERR_FILENO, O_WRONLY);
	relay_session(&s);

	event("done status=%d seconds=%.3f", s.status, (double)(now() - start) / 1000);
	leave(&s);
}
