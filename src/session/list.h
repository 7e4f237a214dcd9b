/* SPDX-License-Identifier: MIT */
/*
 * --list: the sessions on this host.
 *
 * Nothing is registered anywhere: a session is known by its processes.  Of those
 * that run a program of our name, a reaper has its name and leads a session of
 * the kernel's; its parent that runs the very same program is the shim.  A
 * script or a stranger with our name has no such child.
 */
#ifndef SESSION_LIST_H
#define SESSION_LIST_H

#include <sys/types.h>

/* Prints them, and exits. */
__attribute__((noreturn)) void list_sessions(void);

/* The state that --list shows for the session of PID; NULL: it shows none. */
const char *state_of_session(pid_t pid);

#endif
