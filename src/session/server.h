/* SPDX-License-Identifier: MIT */
/* A server's start: its pipes, its fork, its exec. */
#ifndef SESSION_SERVER_H
#define SESSION_SERVER_H

#include <stdbool.h>
#include <sys/types.h>

/* [0] to read from and [1] to write to, as pipe(2). */
struct pipes {
	int control[2]; /* shim to reaper */
	int input[2];   /* shim to server's stdin */
	int output[2];  /* server's stdout to shim */
	int errors[2];  /* server's stderr to shim, if that is to see it; else -1 */
	int exit;       /* an eventfd, reaper to shim: how the server died */
};

/* Whether the server's stderr passes the shim: for the trace, or for errors that tell of it. */
bool relays_stderr(void);

/* Returns NULL, or what failed; then some may be open. */
const char *make_pipes(struct pipes *p);

void shut_pipes(struct pipes *p);

/* fork(2), without what fork(3) does for threads and their locks, of which we have
 * none: it would write to 12 KiB of libc's memory, which then is no longer shared. */
pid_t fork_process(void);

/* Keeps stderr as the client gave it to us, for servers that start later: what we make
 * of our own is not to be inherited.  Returns where. */
int keep_stderr(void);

/* Runs the session's command with P, as a child, which leads a process group.  Returns
 * its pid.  Exits without a fork.  OUTLIVED: the session may go on if it cannot be run. */
pid_t run_server(const struct pipes *p, bool outlived);

#endif
