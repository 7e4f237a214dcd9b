/* SPDX-License-Identifier: MIT */
/* Launchers: what only waits for the server that it has started, in a chain of them:
 * npm exec (npx), and the shell that it puts in between. */
#ifndef TREE_LAUNCHER_H
#define TREE_LAUNCHER_H

#include <stddef.h>
#include <sys/types.h>

enum { LAUNCHERS_MAX = 4 };

struct launchers {
	pid_t pids[LAUNCHERS_MAX]; /* the first is our own child */
	int fds[LAUNCHERS_MAX];    /* pidfds of the others */
	size_t n;
	pid_t server; /* below them */
};

/*
 * Finds the launchers from PID, our own child, down to the server, whose stdin and
 * stdout are the pipes INPUT and OUTPUT.  Returns NULL, or why there are none to be
 * dropped.  What it found is held by pidfds, until release_launchers.
 */
const char *find_launchers(pid_t pid, ino_t input, ino_t output, struct launchers *l);

/*
 * SIGKILLs the Ith.  No stranger is hit: the first is our own child; of each other
 * one the pidfd was opened, then its parent read, as in a walk over the tree, and
 * the parent is held likewise.
 */
void kill_launcher(const struct launchers *l, size_t i);

void release_launchers(struct launchers *l);

#endif
