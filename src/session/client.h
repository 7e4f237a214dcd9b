/* SPDX-License-Identifier: MIT */
/* The client: who is dead? */
#ifndef SESSION_CLIENT_H
#define SESSION_CLIENT_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * Finds the client.  SIGCONT for its death wakes us should we be stopped then,
 * and does no harm when it comes for nothing.  Returns its pidfd for the reaper
 * to watch, -1 if there is none.  Exits if it is dead already.
 */
int watch_client(void);

/* Another pidfd of it, -1 if there is none. */
int pidfd_of_client(void);

/* Its pid; 0: outside of our PID namespace, or none of our business. */
pid_t client_pid(void);

/* Whether it is in our process group, as far as we know. */
bool client_is_in_our_group(void);

/*
 * Whether a SIGCONT is for the client's death, from PR_SET_PDEATHSIG or from the
 * reaper; OUTSIDE: it came from outside of our PID namespace.  It comes for the end of
 * the mere thread that forked us, too, and from the shell's fg.  When it comes for the
 * death, our parent is another process already: the kernel hands us over first.
 */
bool client_is_dead(bool outside);

#endif
