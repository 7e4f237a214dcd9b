/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "tree.h"

#include "../base/clock.h"
#include "../base/fd.h"
#include "../base/memory.h"
#include "../base/options.h"
#include "../base/say.h"
#include "../base/self.h"
#include "../sight/event.h"
#include "../sight/stats.h"
#include "proc.h"
#include "spare.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FOUND_MAX = 65536 };

/*
 * A stack of pids: each level of a walk pushes the children that it found and
 * pops them when done.  What finds no room gets no SIGTERM; SIGKILL comes in
 * rounds and misses nobody.
 *
 * At its bottom, in the shim only, are the inherited children.  All of it is there
 * from the start: an ending must not depend on some memory being left then.
 */
static pid_t *found; /* FOUND_MAX of them */
static size_t nfound;
static size_t ninherited;

void forget_inherited(pid_t pid)
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
	struct proc p;

	if (proc_kind() == PROC_STAT) {
		push_children_by_stat(parent);
		return;
	}
	if (threads < 0 && read_proc(parent, &p))
		threads = p.threads;
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
	struct proc p = {.name = ""};

	if (!is_news(pid, sig))
		return;
	/* To look takes longer than some processes need to fork and exit. */
	if (!wants_name(sig) || (read_proc(pid, &p) && !is_zombie(&p)))
		count_signalled(pid, p.name, sig);
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

/* Where a walk is: the children that it found of PID are found[first] on, of which
 * NEXT is looked at next. */
struct level {
	pid_t pid;
	int fd; /* pidfd; -1: none */
	int64_t threads;
	size_t first, next, last;
};

/* As deep as a walk goes.  What is deeper, or beyond FOUND_MAX, or not reached in
 * WALK_MAX ms as the tree grows faster than we walk, gets no SIGTERM. */
enum { LEVELS_MAX = 32768, WALK_MAX = 3000 };
static struct level *levels; /* LEVELS_MAX of them */

/* Mapped, not static: between what is small and used they would cost each process pages. */
void begin_walks(void)
{
	found = map_memory(FOUND_MAX * sizeof *found, MAP_PRIVATE);
	levels = map_memory(LEVELS_MAX * sizeof *levels, MAP_PRIVATE);
}

static void enter_level(struct level *l, pid_t pid, int fd, int64_t threads)
{
	*l = (struct level){.pid = pid, .fd = fd, .threads = threads, .first = nfound};
	push_children(pid, threads);
	l->next = l->first;
	l->last = nfound;
}

/* Whether the parent of CHILD, which P is about, is the process of level L, still. */
static bool is_child_of(const struct level *l, const struct proc *p)
{
	return p->parent == l->pid && (l->fd < 0 || pidfd_signal(l->fd, 0) == 0 || errno != ESRCH);
}

/* Whether a walk has come by a command that may run a container: to look for one again costs too
 * much of the time in which a tree is to be killed. */
static bool met_container;

static bool has_container_name(const struct proc *p)
{
	static const char *const commands[] = {"docker", "podman", "nerdctl"};

	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		if (strcmp(p->name, commands[i]) == 0)
			return true;
	return false;
}

/*
 * Signals every descendant of ROOT, our own child, children before parents so that
 * none is orphaned, and lost, under the walk.  Returns how many took it.  With the
 * stack of our own, no depth of a tree can overflow ours.
 *
 * No stranger is hit.  A child's pidfd is opened, then its parent read: either
 * what the pidfd holds is dead, and no signal does harm, or the number is still
 * its own and so was the answer.  That the parent's number was the parent's then is
 * known because that is held by its pidfd, or our own child, and not reaped even now.
 *
 * Where there is no pidfd (kernel < 5.3, or no descriptor is left in a very deep
 * tree) the number itself is used, which all of the PID space would have to
 * pass by between two system calls to make wrong.
 */
static size_t signal_below(pid_t root, int sig, int64_t deadline)
{
	size_t depth = 0, count = 0;
	struct proc p;

	bool known = read_proc(root, &p);
	met_container |= known && has_container_name(&p);
	enter_level(&levels[0], root, -1, known ? p.threads : -1);
	for (;;) {
		struct level *l = &levels[depth];

		if (l->next < l->last && depth + 1 < LEVELS_MAX && now() < deadline) {
			pid_t child = found[l->next++];
			int fd = pidfd_open_of(child);
			if (read_proc(child, &p) && is_child_of(l, &p) && !is_spared(child)) {
				met_container |= has_container_name(&p);
				enter_level(&levels[++depth], child, fd, p.threads);
			} else {
				shut(&fd);
			}
			continue;
		}
		nfound = l->first;
		if (depth == 0)
			return count;
		count += signal_one(l->pid, l->fd, sig);
		shut(&l->fd);
		depth--;
	}
}

size_t signal_tree(int sig, pid_t spared)
{
	size_t first = nfound, count = 0;
	/* SIGKILL comes in rounds, which reach all. */
	int64_t deadline = now() + (sig == SIGKILL ? WALK_MAX / 8 : WALK_MAX);
	struct rlimit files;

	/* The walk holds a few descriptors for each level of depth. */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	/* From behind: there are those who have come last, and in front are the dead. */
	push_own_children();
	for (size_t i = nfound; i-- > first && now() < deadline;) {
		if (is_spared(found[i]))
			continue;
		count += signal_below(found[i], sig, deadline);
		if (found[i] == spared)
			kill(spared, SIGCONT); /* to see the end of its child */
		else
			count += signal_one(found[i], -1, sig);
	}
	nfound = first;
	return count;
}

bool signal_only_child(pid_t pid, int sig)
{
	pid_t child = only_child(pid);
	int fd = child ? pidfd_open_of(child) : -1;
	bool sent = false;

	/* No stranger is hit: see signal_below(). */
	if (child && parent_of(child) == pid)
		sent = (fd >= 0 ? pidfd_signal(fd, sig) : kill(child, sig)) == 0;
	shut(&fd);
	return sent;
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

	if (group > 1 && group != getpgrp() && (getpid() != self.shim || getsid(pid) != getsid(0)))
		kill(-group, SIGKILL);
}

void kill_children(void)
{
	size_t first = nfound;

	/* From behind: there are those who have come last, and may fork before we are done;
	 * in front are the dead. */
	push_own_children();
	for (size_t i = nfound; i-- > first;) {
		if (is_spared(found[i]))
			continue;
		if (proc_kind() == PROC_STAT && !spares_any())
			kill_group_of(found[i]);
		note_signalled(found[i], SIGKILL);
		/* What has changed its user may have started what has not. */
		if (kill(found[i], SIGKILL) < 0)
			signal_below(found[i], SIGKILL, now() + WALK_MAX);
	}
	nfound = first;
}

/*
 * Why the killed PID stays, and for how long nobody knows; NULL: it is at work, which can
 * only be its dying (the memory of a large one takes seconds), or is gone.  Valid until the
 * next call.
 */
static const char *why_stuck(pid_t pid)
{
	static char why[96];
	struct proc p;

	if (kill(pid, 0) < 0)
		return strerror(errno);
	if (!read_proc(pid, &p) || p.state == 'R')
		return NULL;
	pid_t tracer = tracer_of(pid);
	if (tracer)
		snprintf(why, sizeof why, "it is traced by %d (%s)", (int)tracer,
			 command_of(tracer));
	else
		snprintf(why, sizeof why, "it has been killed and does not die (state %c)",
			 p.state);
	return why;
}

bool is_stuck(void)
{
	size_t first = nfound;
	bool stuck = true;

	push_own_children();
	for (size_t i = first; stuck && i < nfound; i++)
		stuck = is_spared(found[i]) || why_stuck(found[i]);
	nfound = first;
	return stuck;
}

void each_child(pid_t pid, bool (*visit)(void *arg, pid_t child), void *arg)
{
	size_t first = nfound;

	push_children(pid, -1);
	for (size_t i = first; i < nfound && visit(arg, found[i]); i++)
		;
	nfound = first;
}

void each_below(pid_t pid, bool (*visit)(void *arg, pid_t below), void *arg)
{
	int64_t deadline = now() + WALK_MAX;
	size_t first = nfound;

	push_children(pid, -1);
	/* Each one's children come behind the others that are there: no depth. */
	for (size_t i = first; i < nfound && now() < deadline && visit(arg, found[i]); i++)
		push_children(found[i], -1);
	nfound = first;
}

struct measure {
	size_t count;
	int64_t memory; /* KiB */
};

static bool measure(void *arg, pid_t pid)
{
	struct measure *m = arg;

	m->count++;
	count_process(pid);
	m->memory += memory_of(pid);
	return true;
}

int64_t memory_below(pid_t pid)
{
	struct measure m = {0, 0};

	each_below(pid, measure, &m);
	return m.memory;
}

void sample_tree(void)
{
	struct measure m = {0, 0};

	if (!opt.stats || proc_kind() == PROC_NONE)
		return;
	each_below(getpid(), measure, &m);
	count_tree(m.count, m.memory + memory_of(getpid()) + memory_of(self.shim));
}

void name_the_stuck(void)
{
	size_t first = nfound;

	push_own_children();
	for (size_t i = first; i < nfound; i++) {
		const char *why = is_spared(found[i]) ? NULL : why_stuck(found[i]);
		char name[64];
		struct proc p;

		if (!why)
			continue;
		snprintf(name, sizeof name, "%s", command_of(found[i]));
		complain("%d (%s): cannot be ended, left%s: %s", (int)found[i], name,
			 (read_proc(found[i], &p) && is_zombie(&p)) ? " as a zombie" : "", why);
	}
	nfound = first;
}

pid_t only_child(pid_t pid)
{
	size_t first = nfound;

	push_children(pid, -1);
	pid_t child = nfound == first + 1 ? found[first] : 0;
	nfound = first;
	return child;
}

pid_t child_with_pipes(pid_t pid, ino_t input, ino_t output)
{
	size_t first = nfound, count = 0;
	pid_t child = 0;

	push_children(pid, -1);
	for (size_t i = first; i < nfound; i++) {
		if (pipe_of(found[i], "fd/0") != input || pipe_of(found[i], "fd/1") != output)
			continue;
		child = found[i];
		count++;
	}
	nfound = first;
	return count == 1 ? child : 0;
}

pid_t heir_with_pipes(ino_t input, ino_t output)
{
	int64_t deadline = now() + WALK_MAX;
	size_t first = nfound;
	pid_t child = 0;

	push_own_children();
	for (size_t i = first, last = nfound; i < last && !child; i++) {
		if (has_pipes(found[i], input, output))
			child = found[i];
		push_children(found[i], -1);
		for (size_t j = last; j < nfound && !child && now() < deadline; j++) {
			if (has_pipes(found[j], input, output))
				child = found[i];
			push_children(found[j], -1);
		}
		nfound = last;
	}
	nfound = first;
	return child;
}

/* Whether PID is docker run, or one of its kind. */
static bool runs_container(pid_t pid)
{
	struct proc p;
	char line[1024];

	if (!read_proc(pid, &p) || !has_container_name(&p))
		return false;
	ssize_t n = read_proc_file(pid, "cmdline", line, sizeof line);
	for (const char *word = line; word < line + n; word += strlen(word) + 1)
		if (strcmp(word, "run") == 0)
			return true;
	return false;
}

bool warn_of_containers(void)
{
	enum { LOOK_MAX = 100 }; /* ms: killing must not wait for long */
	int64_t deadline = now() + LOOK_MAX;
	size_t first = nfound;
	bool found_one = false;

	if (!met_container)
		return false;
	push_own_children();
	for (size_t i = first; i < nfound && now() < deadline && !found_one; i++) {
		found_one = runs_container(found[i]);
		if (found_one)
			complain("%d (%s run): has to be killed: its container may be running; add "
				 "--init",
				 (int)found[i], command_of(found[i]));
		push_children(found[i], -1);
	}
	nfound = first;
	return found_one;
}

void note_inherited_children(pid_t reaper)
{
	siginfo_t dead = {.si_pid = 0};

	/* Rare: most often there are none. */
	if (!reaper && waitid(P_ALL, 0, &dead, WEXITED | WNOHANG | WNOWAIT) < 0)
		return;
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

void disown_inherited(void)
{
	if (ninherited) /* a write would cost a page of our own */
		ninherited = nfound = 0;
}

bool has_tree(void)
{
	if (ninherited == 0 && (!spares_any() || proc_kind() == PROC_NONE))
		return true;
	push_own_children();
	bool left = false;
	for (size_t i = ninherited; i < nfound && !left; i++)
		left = !is_spared(found[i]);
	nfound = ninherited;
	return left;
}

void name_the_spared(void)
{
	size_t first = nfound;

	if (!spares_any())
		return;
	push_own_children();
	for (size_t i = first; i < nfound; i++)
		if (is_spared(found[i]))
			event("spared pid=%d command=%s", (int)found[i],
			      quoted(command_of(found[i])));
	nfound = first;
}

void forget_walks(void)
{
	if (ninherited == 0)
		give_back(found, FOUND_MAX * sizeof *found);
}
