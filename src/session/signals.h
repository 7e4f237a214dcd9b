/* SPDX-License-Identifier: MIT */
/* The signals that we take from what they would do, and read. */
#ifndef SESSION_SIGNALS_H
#define SESSION_SIGNALS_H

#include <stdbool.h>

/*
 * Blocks the signals that we read from the signalfd returned.  SIGTTIN and
 * SIGTTOU keep their ways with a job in the background.  SIGPIPE and SIGXFSZ
 * stay blocked and unread: write's EPIPE and EFBIG do.
 */
int take_signals(void);

/* Whether SIG ends a session; SIGHUP does not under nohup(1). */
bool is_ending(int sig);

/* In the process that becomes the server: all as the client left it. */
void restore_signals(void);

#endif
