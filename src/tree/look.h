/* SPDX-License-Identifier: MIT */
/* A look at the tree from outside, by the shim: whether it is at work though no message passes. */
#ifndef TREE_LOOK_H
#define TREE_LOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* What the server is known by: its stdin and stdout. */
struct server_pipes {
	ino_t input, output;
};

/* ms of CPU that REAPER, all below it, and those of them who have died have used; -1: unknown. */
int64_t cpu_below(pid_t reaper);

/*
 * A process below REAPER that is at work at this moment, or would be if it were given a processor:
 * where too many want one, the CPU that it has used says little.  Its pid, 0 for none; NAME, of
 * SIZE bytes, gets its command.
 */
pid_t at_work_below(pid_t reaper, char *name, size_t size);

/* Who is there at a moment. */
enum { CREW_MAX = 32 };
struct crew {
	size_t n;
	struct {
		pid_t pid;
		uint64_t start;
	} of[CREW_MAX];
};

void muster(pid_t reaper, struct crew *crew);

/*
 * A process below REAPER that has begun since SINCE, ms of since_boot(), and is not of the CREW:
 * its pid, 0 for none; NAME, of SIZE bytes, gets its command.  One that has since run another
 * program began when it was forked.  A server without a handshake, where there is no crew, is asked
 * something before it SPOKE first, ms: then what has its PIPES by that time is no such process.
 */
pid_t younger_than(pid_t reaper, int64_t since, const struct crew *crew, struct server_pipes pipes,
		   int64_t spoke, char *name, size_t size);

/* What the tree below REAPER is more than launchers, one below the other, and a server: children;
 * or what one of these holds that others may know of: socket, lock; or unreadable, if that may not
 * be seen.  NULL: nothing. */
const char *holding(pid_t reaper, struct server_pipes pipes);

#endif
