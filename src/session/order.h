/* SPDX-License-Identifier: MIT */
/*
 * --stop and --restart: what a person asks of a session, by its PID of --list.
 *
 * Both exit if that cannot be: with EXIT_NO_SESSION if --list shows no such session.
 */
#ifndef SESSION_ORDER_H
#define SESSION_ORDER_H

#include <sys/types.h>

enum { EXIT_NO_SESSION = 1 };

/* Ends the session of PID as its client would, by SIGTERM. */
void stop_session(pid_t pid);

/* Has the session of PID, which must have --restart, start its command again, by SIGUSR1. */
void restart_session(pid_t pid);

#endif
