/* SPDX-License-Identifier: MIT */
/* How a session without a server gets one that is where the last one was. */
#ifndef SESSION_RESTORE_H
#define SESSION_RESTORE_H

#include "session.h"

/* Does what is due: starts a server for what the client waits for, tells it what it has to hear,
 * and lets the client's lines through to it, or answers them when no server can be had. */
void go_on_restoring(struct session *s);

/* The server has gone down, and there is none until the client needs one, unless the session's own
 * end has overtaken that. */
void fall_asleep(struct session *s);

/* --lazy: begins the session without a server. */
void begin_asleep(struct session *s);

/* When that is due without an event; 0: no matter. */
int64_t restoring_due(const struct session *s);

/* This try has failed, WHY: the new server, if it is still there, is ended. */
void fail_restoring(struct session *s, const char *why);

/* Puts messages of our own on their way. */
void pass_ours(struct session *s);

#endif
