/* SPDX-License-Identifier: MIT */
/* --idle-stop: when a server is not needed, and how it is stopped. */
#ifndef SESSION_IDLE_H
#define SESSION_IDLE_H

#include "session.h"

/* When it is to be seen whether the server is needed, if nothing passes until then; 0: never. */
int64_t when_idle(const struct session *s);

/* While messages pass: what the tree has used by now, so that a later look tells what it does
 * by itself. */
void note_work(struct session *s);

/* Ends the server, if it is not needed. */
void stop_if_idle(struct session *s);

/* It is gone. */
void note_idle_stop(struct session *s);

#endif
