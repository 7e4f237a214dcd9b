/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "look.h"

#include "../base/fd.h"
#include "proc.h"
#include "program.h"
#include "tree.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int64_t ms_of_ticks(uint64_t ticks)
{
	return (int64_t)ticks * 1000 / sysconf(_SC_CLK_TCK);
}

static bool add_cpu(void *sum, pid_t pid)
{
	struct proc p;

	if (read_proc(pid, &p))
		*(uint64_t *)sum += p.cpu;
	return true;
}

int64_t cpu_below(pid_t reaper)
{
	uint64_t sum = 0;

	if (proc_kind() == PROC_NONE)
		return -1;
	add_cpu(&sum, reaper);
	each_below(reaper, add_cpu, &sum);
	return ms_of_ticks(sum);
}

static bool is_resting(void *arg, pid_t pid)
{
	struct proc *found = arg, p;

	if (!read_proc(pid, &p) || is_zombie(&p) || !has_thread_at_work(&p))
		return true;
	*found = p;
	return false;
}

pid_t at_work_below(pid_t reaper, char *name, size_t size)
{
	struct proc found = {.pid = 0};

	each_below(reaper, is_resting, &found);
	snprintf(name, size, "%s", found.name);
	return found.pid;
}

static bool is_in(const struct crew *crew, const struct proc *p)
{
	for (size_t i = 0; i < crew->n; i++)
		if (crew->of[i].pid == p->pid && crew->of[i].start == p->start)
			return true;
	return false;
}

static bool add_to(void *arg, pid_t pid)
{
	struct crew *crew = arg;
	struct proc p;

	if (read_proc(pid, &p)) {
		crew->of[crew->n].pid = pid;
		crew->of[crew->n++].start = p.start;
	}
	return crew->n < CREW_MAX;
}

void muster(pid_t reaper, struct crew *crew)
{
	crew->n = 0;
	each_below(reaper, add_to, crew);
}

struct search {
	int64_t since, spoke; /* ms after boot */
	struct server_pipes pipes;
	const struct crew *crew;
	struct proc found; /* pid 0: none yet */
};

/*
 * A start is known to the tick, 10 ms, in which it was.  One in the same tick as what it is
 * compared with may have come behind it: it counts, since to stop a server that has been asked to
 * start something would be worse than to keep one.
 */
static bool is_older(void *arg, pid_t pid)
{
	struct search *s = arg;
	int64_t tick = ms_of_ticks(1), began;
	struct proc p;

	if (!read_proc(pid, &p) || is_zombie(&p))
		return true;
	began = ms_of_ticks(p.start);
	if (began + tick <= s->since || is_in(s->crew, &p) ||
	    (s->crew->n == 0 && began <= s->spoke &&
	     has_pipes(pid, s->pipes.input, s->pipes.output)))
		return true;
	s->found = p;
	return false;
}

pid_t younger_than(pid_t reaper, int64_t since, const struct crew *crew, struct server_pipes pipes,
		   int64_t spoke, char *name, size_t size)
{
	struct search s = {.since = since, .spoke = spoke, .pipes = pipes, .crew = crew};

	each_below(reaper, is_older, &s);
	snprintf(name, size, "%s", s.found.name);
	return s.found.pid;
}

/*
 * The other end of a connected AF_UNIX socket, by inode, which /proc does not tell: sock_diag(7).
 * The structures are the kernel's, as in linux/netlink.h, linux/unix_diag.h and linux/rtnetlink.h,
 * which not every libc's compiler finds.  0: unknown.
 */
static uint32_t peer_of(uint32_t inode)
{
	enum {
		NETLINK_SOCK_DIAG_ = 4,
		SOCK_DIAG_BY_FAMILY_ = 20,
		REQUEST = 1,
		SHOW_PEER = 4,
		PEER = 2,
	};
	struct header {
		uint32_t length;
		uint16_t type, flags;
		uint32_t sequence, pid;
	};
	struct {
		struct header header;
		uint8_t family, protocol;
		uint16_t pad;
		uint32_t states, inode, show, cookie[2];
	} ask = {.header = {sizeof ask, SOCK_DIAG_BY_FAMILY_, REQUEST, 1, 0},
		 .family = AF_UNIX,
		 .states = UINT32_MAX,
		 .inode = inode,
		 .show = SHOW_PEER,
		 .cookie = {UINT32_MAX, UINT32_MAX}};
	struct {
		struct header header;
		uint8_t family, type, state, pad;
		uint32_t inode, cookie[2];
		struct {
			uint16_t length, type;
			uint32_t value;
		} attribute; /* the first; no other is asked for */
	} answer;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG_);
	ssize_t n = -1;

	/* The kernel answers within the send. */
	if (fd >= 0 && send(fd, &ask, sizeof ask, MSG_DONTWAIT) == sizeof ask)
		n = recv(fd, &answer, sizeof answer, MSG_DONTWAIT);
	shut(&fd);
	return n == sizeof answer && answer.header.type == SOCK_DIAG_BY_FAMILY_ &&
			       answer.inode == inode && answer.attribute.type == PEER
		       ? answer.attribute.value
		       : 0;
}

/* Calls VISIT with what each descriptor of PID points to, until it returns false.  Returns whether
 * they may be seen. */
static bool each_descriptor(pid_t pid, bool (*visit)(void *arg, int fd, const char *to), void *arg)
{
	char path[48], to[64];
	bool more = true, seen = true;

	snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
	DIR *dir = opendir(path);
	if (!dir)
		return false;
	for (struct dirent *e; more && (e = readdir(dir));) {
		if (!isdigit((unsigned char)*e->d_name))
			continue;
		ssize_t n = readlinkat(dirfd(dir), e->d_name, to, sizeof to - 1);
		if (n < 0) {
			/* Else closed meanwhile.  Root without its capabilities may list what it
			 * may not read. */
			seen = seen && errno == ENOENT;
			continue;
		}
		to[n] = '\0';
		more = visit(arg, atoi(e->d_name), to);
	}
	closedir(dir);
	return seen;
}

static uint32_t socket_inode(const char *to)
{
	unsigned long inode;

	return sscanf(to, "socket:[%lu]", &inode) == 1 ? (uint32_t)inode : 0;
}

struct holder {
	pid_t pid;
	uint32_t peer; /* looked for */
	const char *what;
};

static bool is_not_peer(void *arg, int fd, const char *to)
{
	struct holder *h = arg;

	(void)fd;
	if (socket_inode(to) == h->peer)
		h->peer = 0;
	return h->peer;
}

/* Whether both ends are PID's own, as those of event loops that wake themselves are. */
static bool is_own_pair(pid_t pid, uint32_t inode)
{
	struct holder h = {.pid = pid, .peer = peer_of(inode)};

	return h.peer && each_descriptor(pid, is_not_peer, &h) && !h.peer;
}

/* Whether it does, or that may not be seen. */
static bool holds_lock(pid_t pid, int fd)
{
	char file[32], info[1024];

	snprintf(file, sizeof file, "fdinfo/%d", fd);
	if (read_proc_file(pid, file, info, sizeof info) < 0)
		return errno != ENOENT; /* closed meanwhile */
	return strstr(info, "\nlock:");
}

static bool holds_nothing(void *arg, int fd, const char *to)
{
	struct holder *h = arg;
	uint32_t inode = socket_inode(to);

	if (fd > STDERR_FILENO && inode && !is_own_pair(h->pid, inode))
		h->what = "socket";
	else if (*to == '/' && holds_lock(h->pid, fd))
		h->what = "lock";
	return !h->what;
}

struct chain {
	pid_t children[2];
	int n;
};

static bool note_living(void *arg, pid_t pid)
{
	struct chain *c = arg;
	struct proc p;

	if (!read_proc(pid, &p) || is_zombie(&p))
		return true;
	c->children[c->n++] = pid;
	return c->n < 2;
}

/* What the process PID holds. */
static const char *held_by(pid_t pid)
{
	struct holder h = {.pid = pid};

	return each_descriptor(pid, holds_nothing, &h) ? h.what : "unreadable";
}

/*
 * Of processes one below the other all but the last are launchers if that is known of them: else
 * the last may be a child of the server's that has its stdin and stdout.  What launchers hold, npm
 * a connection to its registry, is nobody's.
 */
const char *holding(pid_t reaper, struct server_pipes pipes)
{
	pid_t at = reaper;
	int depth = 0;

	for (;; depth++) {
		struct chain c = {.n = 0};
		each_child(at, note_living, &c);
		if (c.n > 1)
			return "children";
		if (c.n == 0)
			break;
		at = c.children[0];
	}
	const char *held = at == reaper ? "unreadable" : held_by(at);
	bool is_server = has_pipes(at, pipes.input, pipes.output);
	if (!(held && strcmp(held, "unreadable") == 0) &&
	    (!is_server || (depth > 1 && !noted_program())))
		return "children";
	return held;
}
