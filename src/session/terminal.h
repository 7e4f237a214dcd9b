/* SPDX-License-Identifier: MIT */
/* Being a job of a shell: Ctrl-Z, and reads in the background. */
#ifndef SESSION_TERMINAL_H
#define SESSION_TERMINAL_H

#include <stdbool.h>

/* Looks whether stdin is the terminal that controls us. */
void begin_terminal(void);

/* Whether a read of stdin would stop us: it is the terminal, and we are a job in its
 * background. */
bool would_stop(void);

/*
 * Stops us by SIG, which is blocked and pending.  Returns false, at once, if the client
 * is dead.  Why we cannot sleep through its death: one before SIG was sent is seen by
 * the look here; one after that sends SIGCONT, which discards the pending SIG or ends
 * the stop.
 */
bool stop_by(int sig);

/*
 * Stops our job as the read would that is next.  In the read itself we would stop
 * again after each SIGCONT, and never see what kill(1) has sent along with it.
 * That is not lost here either: what came before SIGTTIN is seen behind it, in SIGNALS,
 * a signalfd.  Returns false if the client is dead.
 */
bool stop_job(int signals);

#endif
